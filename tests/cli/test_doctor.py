import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from typer.testing import CliRunner, Result

from local.http_server import HttpServer, Response
from local.moto_process import MotoProcess
from rolecall.aws.preflight import READS
from rolecall.cli import app
from rolecall.cli.checks_of_organizations import SERVICES
from rolecall.model import INSTANCE_TYPE
from tests import aws_commands
from tests.cli.stand_in import Answer, Refusal, StandIn

Json = dict[str, Any]
Answers = dict[str, Answer | Refusal | list[Answer]]

HERE, ELSEWHERE = "eu-west-1", "us-east-1"
ACCOUNT, OTHER, MANAGEMENT = "111122223333", "444455556666", "999988887777"
RULE = "rolecall-ec2-instance-profile"
DENIED = Refusal("AccessDeniedException")
ALONE = Refusal("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")


def organization() -> Json:
    """With all features; this account is not the management account."""
    return {"Organization": {"Id": "o-a1b2c3d4e5", "MasterAccountId": MANAGEMENT, "FeatureSet": "ALL"}}


def config_rule(name: str = RULE, function_account: str = ACCOUNT) -> Json:
    """Rolecall's own."""
    messages = ("ConfigurationItemChangeNotification", "OversizedConfigurationItemChangeNotification")
    return {
        "ConfigRuleName": name,
        "Scope": {"ComplianceResourceTypes": [INSTANCE_TYPE]},
        "ConfigRuleState": "ACTIVE",
        "Source": {
            "Owner": "CUSTOM_LAMBDA",
            "SourceIdentifier": f"arn:aws:lambda:{HERE}:{function_account}:function:rolecall",
            "SourceDetails": [
                {"EventSource": "aws.config", "MessageType": message}
                for message in (*messages, "ScheduledNotification")
            ],
        },
    }


def pack(name: str, status: str) -> Json:
    """An organization conformance pack."""
    return {"OrganizationConformancePackName": name, "Status": status, "LastUpdateTime": datetime.now(UTC)}


def healthy_account() -> Answers:
    """One account without an organization, in which everything is as it should be."""
    now = datetime.now(UTC)
    return {
        "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/me"},
        "DescribeOrganization": ALONE,
        "DescribeRegions": {"Regions": [{"RegionName": ELSEWHERE}, {"RegionName": HERE}]},
        "DescribeConfigurationRecorders": {
            "ConfigurationRecorders": [{"name": "default", "recordingGroup": {"allSupported": True}}]
        },
        "DescribeConfigurationRecorderStatus": {
            "ConfigurationRecordersStatus": [{"name": "default", "recording": True, "lastStatus": "Success"}]
        },
        "DescribeDeliveryChannels": {"DeliveryChannels": [{"name": "default", "s3BucketName": "config-bucket"}]},
        "DescribeDeliveryChannelStatus": {
            "DeliveryChannelsStatus": [{"configStreamDeliveryInfo": {"lastStatus": "Success"}}]
        },
        "DescribeConfigRules": [
            {"ConfigRules": [config_rule("another")]},
            {"ConfigRules": []},
            {"ConfigRules": [config_rule()]},
        ],
        "DescribeComplianceByConfigRule": {
            "ComplianceByConfigRules": [{"ConfigRuleName": RULE, "Compliance": {"ComplianceType": "NON_COMPLIANT"}}]
        },
        "GetDiscoveredResourceCounts": {
            "totalDiscoveredResources": 7, "resourceCounts": [{"resourceType": INSTANCE_TYPE, "count": 7}]
        },
        "GetMetricStatistics": {"Datapoints": [{"Timestamp": now - timedelta(hours=3), "Sum": 1.0, "Unit": "Count"}]},
        "GetAccountSettings": {
            "AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}, "AccountUsage": {}
        },
        "DescribeHub": {"HubArn": f"arn:aws:securityhub:{HERE}:{ACCOUNT}:hub/default", "SubscribedAt": "2026"},
    }  # fmt: skip


def healthy_organization() -> Answers:
    """The audit account of an organization, in which everything is as it should be."""
    return healthy_account() | {
        "DescribeOrganization": organization(),
        "ListDelegatedServicesForAccount": [
            {"DelegatedServices": [{"ServicePrincipal": principal}]} for principal in SERVICES
        ],
        "ListDelegatedAdministrators": [
            {"DelegatedAdministrators": []},
            {"DelegatedAdministrators": [{"Id": ACCOUNT, "Status": "ACTIVE"}]},
        ],
        "ListAWSServiceAccessForOrganization": [
            {"EnabledServicePrincipals": [{"ServicePrincipal": principal}]} for principal in SERVICES
        ],
        "ListAccounts": [
            {"Accounts": [{"Id": account, "Status": "ACTIVE"}]} for account in (MANAGEMENT, ACCOUNT, OTHER)
        ],
        "DescribeOrganizationsAccess": {"Status": "ENABLED"},
        "ListStackSets": [
            {"Summaries": [{"StackSetName": "baseline", "Status": "ACTIVE"}]},
            {"Summaries": [{"StackSetName": "Rolecall-MemberRoles", "Status": "ACTIVE"}]},
        ],
        "DescribeStackSet": {
            "StackSet": {
                "StackSetName": "Rolecall-MemberRoles",
                "PermissionModel": "SERVICE_MANAGED",
                "AutoDeployment": {"Enabled": True},
                "OrganizationalUnitIds": ["r-a1b2"],
            }
        },
        "ListStackInstances": [
            {"Summaries": [{"Account": account, "Region": HERE, "Status": "CURRENT"}]} for account in (ACCOUNT, OTHER)
        ],
        "DescribeOrganizationConformancePackStatuses": [
            {"OrganizationConformancePackStatuses": [pack("baseline", "CREATE_FAILED")]},
            {"OrganizationConformancePackStatuses": [pack("Rolecall", "UPDATE_SUCCESSFUL")]},
        ],
        "DescribeConfigurationAggregators": {
            "ConfigurationAggregators": [
                {
                    "ConfigurationAggregatorName": "rolecall",
                    "OrganizationAggregationSource": {
                        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/a",
                        "AllAwsRegions": True,
                    },
                }
            ]
        },
        "DescribeConfigurationAggregatorSourcesStatus": {"AggregatedSourceStatusList": []},
    }


def doctor(stand_in: StandIn, *arguments: str, **changes: str) -> Result:
    """Run the command against it."""
    env = stand_in.environment() | {"COLUMNS": "200"} | changes
    return CliRunner().invoke(app, ["doctor", *arguments], env=env)


def report(answers: Answers, *arguments: str) -> tuple[int, Json]:
    """The exit code and the report as JSON."""
    with StandIn(answers) as stand_in:
        result = doctor(stand_in, "--format", "json", *arguments)
    assert result.stderr == ""
    found: Json = json.loads(result.stdout)
    for one in found["checks"]:
        for command in aws_commands.commands_in(one["mend"]):
            aws_commands.check(command)
    return result.exit_code, found


def lines(found: Json, *statuses: str) -> list[tuple[str, str, str]]:
    """Check, place and status of each line, or of those with one of `statuses`."""
    every = [(one["check"], one["where"], one["status"]) for one in found["checks"]]
    return [line for line in every if not statuses or line[2] in statuses]


REGIONAL = (
    "recorder",
    "recording",
    "delivery channel",
    "rule",
    "results",
    "scheduled run",
    "concurrency",
    "Security Hub",
)
ORGANIZATIONAL = (
    "account", "features", "delegation of conformance packs", "delegation of the aggregator",
    "delegation of the member roles", "trusted access of conformance packs", "trusted access of the aggregator",
    "trusted access of the member roles", "StackSets activated",
)  # fmt: skip


def test_a_healthy_account_is_ok_in_every_line() -> None:
    """In a table, region by region, through all pages."""
    with StandIn(healthy_account()) as stand_in:
        result = doctor(stand_in)
    assert result.exit_code == 0
    shown = result.stdout.splitlines()
    assert shown[:4] == [
        "ok           organization  account           111122223333 is in no organization",
        "ok           eu-west-1     recorder          default is on",
        "ok           eu-west-1     recording         AWS::EC2::Instance is recorded continuously",
        "ok           eu-west-1     delivery channel  delivers to config-bucket",
    ]
    assert shown[4] == f"ok           eu-west-1     rule              {RULE} is ACTIVE"
    assert shown[-1] == "9 checks in mode account: 9 ok."
    assert result.stderr == ""


def test_a_healthy_organization_is_ok_in_every_line_and_region() -> None:
    """Its order is that of the regions, however long each takes; every call is one that `READS` names."""
    with StandIn(healthy_organization()) as stand_in:
        result = doctor(stand_in, "--format", "json", "--all-regions")
    found = json.loads(result.stdout)
    home = [("member roles", HERE, "ok"), ("aggregator", HERE, "ok"), ("aggregator's sources", HERE, "ok")]
    regional = [*REGIONAL[:3], "conformance pack", *REGIONAL[3:]]
    regions = [(check, region, "ok") for region in (HERE, ELSEWHERE) for check in regional]
    assert lines(found) == [(check, "organization", "ok") for check in ORGANIZATIONAL] + home + regions
    assert (found["account"], found["kind"], found["mode"]) == (ACCOUNT, "delegated", "organization")
    assert result.exit_code == 0
    called = {(operation, service) for service, operation, _ in stand_in.calls}
    only_if_failed = {("GetOrganizationConformancePackDetailedStatus", "config")}
    assert called == (READS.items() | {("DescribeRegions", "ec2")}) - only_if_failed


def test_a_conformance_pack_that_left_accounts_out_names_them() -> None:
    """Of all accounts, through all pages: those without a recorder, for one."""
    accounts = [
        {"AccountId": ACCOUNT, "ConformancePackName": "OrgConformsPack-Rolecall", "Status": "CREATE_SUCCESSFUL"}
    ]
    failed = accounts[0] | {
        "AccountId": OTHER, "Status": "CREATE_FAILED", "ErrorCode": "NoRecorder", "ErrorMessage": "No recorder."
    }  # fmt: skip
    key = "OrganizationConformancePackDetailedStatuses"
    answers = healthy_organization() | {
        "DescribeOrganizationConformancePackStatuses": {
            "OrganizationConformancePackStatuses": [pack("Rolecall", "CREATE_FAILED")]
        },
        "GetOrganizationConformancePackDetailedStatus": [{key: accounts}, {key: [failed]}],
    }
    code, found = report(answers)
    assert lines(found, "problem", "cannot tell") == [("conformance pack", HERE, "problem")]
    [line] = [one for one in found["checks"] if one["status"] == "problem"]
    assert line["says"] == f"Rolecall is CREATE_FAILED in {OTHER} (NoRecorder: No recorder.)"
    assert code == 1


def test_the_managed_policy_of_readers_allows_every_call() -> None:
    """By moto's copy of AWS's managed policies, as `--help` says; who calls may always be asked."""
    document = json.loads(aws_managed_policies_data)["ReadOnlyAccess"]["Document"]
    allowed = [action.lower() for statement in document["Statement"] for action in statement["Action"]]
    for operation, service in READS.items():
        assert any(fnmatchcase(f"{service}:{operation}".lower(), action) for action in allowed), operation


def test_every_call_exists_and_only_reads() -> None:
    """By the names of AWS's own models."""
    session = botocore.session.Session()
    for operation, service in READS.items():
        assert operation in session.get_service_model(service).operation_names
        assert operation.startswith(("Describe", "Get", "List"))


SICK: list[tuple[str, Answers, str, str, str]] = [
    ("no recorder", {"DescribeConfigurationRecorders": {"ConfigurationRecorders": []}}, "recorder", "problem",
     "aws configservice put-configuration-recorder"),
    ("no delivery channel", {"DescribeDeliveryChannels": {"DeliveryChannels": []}}, "delivery channel", "problem",
     "aws configservice put-delivery-channel"),
    ("no rule", {"DescribeConfigRules": {"ConfigRules": []}}, "rule", "problem", "node_modules/.bin/cdk deploy"),
    ("no result", {"DescribeComplianceByConfigRule": {"ComplianceByConfigRules": [{"ConfigRuleName": RULE}]}},
     "results", "problem", "aws configservice start-config-rules-evaluation"),
    ("no run", {"GetMetricStatistics": {"Datapoints": []}}, "scheduled run", "problem",
     "aws cloudformation describe-stacks --stack-name Rolecall --query"),
    ("few executions", {"GetAccountSettings": {"AccountLimit": {
        "ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}}}, "concurrency", "problem",
     "aws service-quotas request-service-quota-increase"),
    ("no Security Hub", {"DescribeHub": Refusal("InvalidAccessException")}, "Security Hub", "ok",
     "aws securityhub enable-security-hub"),
    ("an organization that may not be seen", {"DescribeOrganization": DENIED}, "account", "cannot tell",
     "allow organizations:DescribeOrganization to these credentials"),
    ("rules that may not be seen", {"DescribeConfigRules": DENIED}, "rule", "cannot tell",
     "allow config:DescribeConfigRules to these credentials"),
    ("an error that nobody knows", {"DescribeHub": Refusal("ThrottledForEver")}, "Security Hub",
     "cannot tell", "mend what the message says, then run this again"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "changes", "check", "status", "mend"), SICK, ids=[case[0] for case in SICK])
def test_what_is_wrong_is_named_with_what_mends_it(
    case: str, changes: Answers, check: str, status: str, mend: str
) -> None:
    """And one thing that is wrong, or cannot be seen, stops no other check."""
    code, found = report(healthy_account() | changes)
    [line] = [one for one in found["checks"] if one["check"] == check]
    assert line["status"] == status, case
    assert line["mend"].startswith(mend)
    assert code == {"ok": 0, "problem": 1, "cannot tell": 2}[status]
    others = [one for one in found["checks"] if one is not line]
    assert {one["status"] for one in others} == {"ok"}
    assert "Security Hub" in {one["check"] for one in found["checks"]}


def test_what_cannot_be_told_prevails_over_problems() -> None:
    """Exit code 2: nobody may take the rest for all there is."""
    answers = healthy_account() | {f"DescribeHub {HERE}": DENIED, "GetMetricStatistics": {"Datapoints": []}}
    code, found = report(answers)
    assert lines(found, "problem", "cannot tell") == [
        ("scheduled run", HERE, "problem"),
        ("Security Hub", HERE, "cannot tell"),
    ]
    assert code == 2


def test_a_region_that_is_sick_does_not_hide_another() -> None:
    """Each line names its region, and so does the command that mends it."""
    answers = healthy_account() | {f"DescribeConfigurationRecorders {ELSEWHERE}": {"ConfigurationRecorders": []}}
    code, found = report(answers, "--region", HERE, "--region", ELSEWHERE)
    assert lines(found, "problem") == [("recorder", ELSEWHERE, "problem")]
    [line] = [one for one in found["checks"] if one["status"] == "problem"]
    assert line["mend"].endswith(f"--region {ELSEWHERE}")
    assert code == 1


def test_quiet_leaves_out_what_is_ok() -> None:
    """So that a job's log holds what somebody has to do."""
    with StandIn(healthy_account() | {"GetMetricStatistics": {"Datapoints": []}}) as stand_in:
        result = doctor(stand_in, "--quiet")
    assert result.stdout.splitlines() == [
        (
            "problem      eu-west-1  scheduled run  none was completed in 26 hours: exemptions do not expire. "
            "A new rule's first run may take a day; else look at the function's log"
        ),
        (
            "             → aws cloudformation describe-stacks --stack-name Rolecall --query "
            "\"Stacks[0].Outputs[?OutputKey=='LogGroupName'].OutputValue\" --output text --region eu-west-1"
        ),
    ]
    assert result.exit_code == 1


def test_a_plain_member_is_not_asked_about_its_organization() -> None:
    """Its own deployment needs none; the first line says how to ask. The function's account tells of its runs."""
    there = {"ConfigRules": [config_rule(f"{RULE}-conformance-pack-a1b2c3d4e", OTHER)]}
    answers = healthy_account() | {
        "DescribeOrganization": organization(),
        "ListDelegatedServicesForAccount": DENIED,
        "DescribeConfigRules": there,
    }
    code, found = report(answers)
    assert found["checks"][0]["says"] == (
        f"{ACCOUNT} is a member account of o-a1b2c3d4e5; --mode organization looks at delegation and trusted access"
    )
    assert [check for check, _, _ in lines(found)] == [
        "account", "recorder", "recording", "delivery channel", "rule", "results", "Security Hub"
    ]  # fmt: skip
    assert (code, found["kind"], found["mode"]) == (0, "member", "account")


def test_before_the_delegation_nothing_of_the_organization_passes_for_ok() -> None:
    """A plain member may not ask: each line is named, with what the management account has to do."""
    refused = dict.fromkeys(
        ("ListDelegatedServicesForAccount", "ListDelegatedAdministrators", "ListAWSServiceAccessForOrganization"),
        DENIED,
    )
    not_delegated = Refusal("ValidationError", "You must be the management account or a delegated administrator")
    answers = (
        healthy_organization()
        | refused
        | dict.fromkeys(("DescribeOrganizationsAccess", "ListStackSets"), not_delegated)
    )
    code, found = report(answers, "--mode", "organization")
    assert lines(found, "cannot tell", "problem") == [
        ("delegation of conformance packs", "organization", "cannot tell"),
        ("delegation of the aggregator", "organization", "cannot tell"),
        ("delegation of the member roles", "organization", "cannot tell"),
        ("trusted access", "organization", "cannot tell"),
        ("StackSets activated", "organization", "cannot tell"),
        ("member roles", HERE, "cannot tell"),
    ]
    assert found["checks"][2]["mend"] == (
        f"aws organizations register-delegated-administrator --account-id {ACCOUNT} "
        "--service-principal config-multiaccountsetup.amazonaws.com"
    )
    assert found["checks"][2]["mend_in"] == "the management account"
    assert code == 2


def test_the_management_account_expects_one_account_to_have_all() -> None:
    """Whoever has the conformance packs has to have the rest; the command names that account."""
    here = organization()
    here["Organization"]["MasterAccountId"] = ACCOUNT
    accounts = {"Accounts": [{"Id": account, "Status": "ACTIVE"} for account in (ACCOUNT, OTHER)]}
    answers = healthy_organization() | {"DescribeOrganization": here, "ListAccounts": accounts}
    with StandIn(answers, administrators={"config.amazonaws.com": OTHER}) as stand_in:
        found = json.loads(doctor(stand_in, "-f", "json").stdout)
    [line] = [one for one in found["checks"] if one["status"] == "problem"]
    assert line["check"] == "delegation of the aggregator"
    assert line["says"] == f"{OTHER} administers config.amazonaws.com, and {ACCOUNT} does not"
    assert f"--account-id {ACCOUNT} " in line["mend"]


def test_the_mode_organization_needs_one() -> None:
    """A problem of its own; the account and its regions are looked at nevertheless."""
    code, found = report(healthy_account(), "--mode", "organization")
    assert lines(found, "problem") == [("account", "organization", "problem")]
    assert len(lines(found)) == 1 + len(REGIONAL)
    assert code == 1


def test_a_profile_is_part_of_the_commands(tmp_path: Path) -> None:
    """Unless another account has to run them. And the home region is where it is said to be."""
    config = tmp_path / "config"
    credentials = f"aws_access_key_id = {ACCOUNT}\naws_secret_access_key = invented"
    config.write_text(f"[profile audit]\nregion = {ELSEWHERE}\n{credentials}\n")
    changes: Answers = {
        "DescribeConfigurationAggregators": {"ConfigurationAggregators": []},
        "DescribeConfigurationRecorders": {"ConfigurationRecorders": []},
        "DescribeOrganizationsAccess": {"Status": "DISABLED"},
    }
    with StandIn(healthy_organization() | changes) as stand_in:
        arguments = ("-f", "json", "--profile", "audit", "--region", HERE, "--home-region", "eu-central-1")
        result = doctor(stand_in, *arguments, AWS_CONFIG_FILE=str(config))
    found = json.loads(result.stdout)
    mends = {one["check"]: one["mend"] for one in found["checks"] if one["status"] == "problem"}
    assert mends["StackSets activated"] == "aws cloudformation activate-organizations-access"
    assert mends["aggregator"].startswith("aws --profile audit configservice put-configuration-aggregator ")
    assert mends["aggregator"].endswith("--region eu-central-1")
    assert mends["recorder"].count("aws --profile audit configservice") == 3
    assert ("cloudformation", "ListStackSets", "eu-central-1") in stand_in.calls
    assert result.exit_code == 1


UNUSABLE = [
    ("no credentials", (), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Finding AWS credentials failed"),
    ("no such profile", ("--profile", "audit"), {}, "The config profile (audit) could not be found"),
    ("no region", (), {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "--region: name one, or --all-regions"),
    ("both", ("--region", HERE, "--all-regions"), {}, "leave it out beside --all-regions"),
    ("no such mode", ("--mode", "all"), {}, "'all' is not one of 'account', 'organization'"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "arguments", "changes", "message"), UNUSABLE, ids=[case[0] for case in UNUSABLE])
def test_an_account_that_cannot_be_asked_is_a_clear_error(
    case: str, arguments: tuple[str, ...], changes: dict[str, str], message: str
) -> None:
    """One message, no traceback, no report."""
    with StandIn(healthy_account()) as stand_in:
        result = doctor(stand_in, *arguments, **changes)
    assert message in " ".join(result.stderr.replace("│", " ").split()), case
    assert (result.exit_code, result.stdout) == (2, "")


def test_credentials_that_aws_refuses_are_a_clear_error() -> None:
    """Whose account it is has to be known before anything else is asked."""
    with StandIn({"GetCallerIdentity": Refusal("InvalidClientTokenId", "The token is invalid.", 403)}) as stand_in:
        result = doctor(stand_in)
    assert result.stderr == "error: GetCallerIdentity failed: InvalidClientTokenId: The token is invalid.\n"
    assert (result.exit_code, result.stdout) == (2, "")


PROXIES = [
    ("a page that is XML", 200, "<html><body>Log in</body></html>", "UnreadableAnswer: "),
    ("a page that is not", 200, "<!doctype html><html><p>Log in<br></html>", "UnreadableAnswer: "),
    ("a page that says no", 403, "<!doctype html><html><p>Log in<br></html>", "HTTP 403, no answer of AWS\n"),
    ("an XML page that says no", 404, "<html>\n<body>Not here</body>\n</html>", "HTTP 404, no answer of AWS\n"),
]


@pytest.mark.parametrize(("case", "status", "page", "why"), PROXIES, ids=[case[0] for case in PROXIES])
def test_a_proxys_page_is_no_answer(case: str, status: int, page: str, why: str) -> None:
    """A clear error and no traceback, whatever stands between the command and AWS."""
    environment = {
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_REGION": HERE,
        "AWS_DEFAULT_REGION": HERE,
    }
    with HttpServer(lambda _: Response(status, page.encode())) as server:
        result = CliRunner().invoke(app, ["doctor"], env=environment | {"AWS_ENDPOINT_URL": server.url})
    assert result.stderr.startswith(f"error: GetCallerIdentity failed: {why}"), case
    assert (result.exit_code, result.stdout) == (2, "")


def test_pages_that_do_not_end_are_no_answer() -> None:
    """A service that hands out the same token for ever would keep the command busy for ever."""
    again = {"ConfigRules": [], "NextToken": "again"}
    code, found = report(healthy_account() | {"DescribeConfigRules": again})
    [line] = [one for one in found["checks"] if one["check"] == "rule"]
    assert line["status"] == "cannot tell"
    assert "EndlessPages" in line["says"]
    assert code == 2


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoProcess]:
    """An organization whose management account has a StackSet and a half-made set-up, in moto."""
    with MotoProcess() as running:
        client = _clients(running)
        organizations = client("organizations")
        organizations.create_organization(FeatureSet="ALL")
        for name in ("audit", "workload"):
            organizations.create_account(AccountName=name, Email=f"{name}@example.com")
        for principal in list(SERVICES)[:2]:
            organizations.enable_aws_service_access(ServicePrincipal=principal)
        [audit] = [one["Id"] for one in organizations.list_accounts()["Accounts"] if one["Name"] == "audit"]
        organizations.register_delegated_administrator(AccountId=audit, ServicePrincipal=next(iter(SERVICES)))
        [root] = organizations.list_roots()["Roots"]
        cloudformation = client("cloudformation")
        role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
        cloudformation.create_stack_set(
            StackSetName="rolecall-member-roles",
            TemplateBody=json.dumps({"Resources": {"Role": role}}),
            PermissionModel="SERVICE_MANAGED",
        )
        cloudformation.create_stack_instances(
            StackSetName="rolecall-member-roles",
            DeploymentTargets={"OrganizationalUnitIds": [root["Id"]]},
            Regions=[HERE],
        )
        config = client("config")
        config.put_configuration_recorder(
            ConfigurationRecorder={"name": "default", "roleARN": f"arn:aws:iam::{ACCOUNT}:role/config"}
        )
        client("s3").create_bucket(Bucket="config", CreateBucketConfiguration={"LocationConstraint": HERE})
        config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config"})
        yield running


def _clients(moto: MotoProcess) -> Callable[[str], Any]:
    """A maker of clients of moto, with the credentials of `ACCOUNT`."""
    session = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="invented", region_name=HERE)  # noqa: S106 - moto does not ask

    def client(service: str) -> Any:  # noqa: ANN401 - made by boto3
        made: Any = session.client(service, endpoint_url=f"http://127.0.0.1:{moto.port}")  # type: ignore[call-overload]  # any service
        made.meta.events.register(
            "before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", ACCOUNT)
        )
        return made

    return client


def test_the_management_account_of_a_half_made_set_up(moto: MotoProcess) -> None:
    """Asked of moto: what is delegated, trusted and deployed is told from what is not; its regions are not asked."""
    with StandIn({"DescribeOrganizationsAccess": {"Status": "ENABLED"}}, moto_port=moto.port) as stand_in:
        result = doctor(stand_in, "--format", "json")
    found = json.loads(result.stdout)
    assert (found["kind"], found["mode"]) == ("management", "organization")
    assert lines(found) == [
        ("account", "organization", "ok"),
        ("features", "organization", "ok"),
        ("delegation of conformance packs", "organization", "ok"),
        # moto knows neither of these two as services that can be delegated, and says so with an error.
        ("delegation of the aggregator", "organization", "cannot tell"),
        ("delegation of the member roles", "organization", "cannot tell"),
        ("trusted access of conformance packs", "organization", "ok"),
        ("trusted access of the aggregator", "organization", "ok"),
        ("trusted access of the member roles", "organization", "problem"),
        ("StackSets activated", "organization", "ok"),
        ("member roles", HERE, "problem"),
    ]
    assert "has no auto-deployment" in found["checks"][-1]["says"]
    assert result.exit_code == 2


def test_the_regions_of_an_account(moto: MotoProcess) -> None:
    """Asked of moto: a recorder that is not on, a channel, no rule; the command that starts the recorder does."""
    others: Answers = {
        name: healthy_account()[name] for name in ("GetAccountSettings", "DescribeDeliveryChannelStatus")
    }
    with StandIn({**others, "DescribeHub": ALONE}, moto_port=moto.port) as stand_in:
        result = doctor(stand_in, "--format", "json", "--mode", "account")
        found = json.loads(result.stdout)
        assert lines(found) == [
            ("account", "organization", "ok"),
            ("recorder", HERE, "problem"),
            ("recording", HERE, "ok"),
            ("delivery channel", HERE, "ok"),
            ("rule", HERE, "problem"),
            ("concurrency", HERE, "ok"),
            ("Security Hub", HERE, "cannot tell"),
        ]
        assert "recorder default is stopped" in found["checks"][1]["says"]
        _clients(moto)("config").start_configuration_recorder(ConfigurationRecorderName="default")
        mended = json.loads(doctor(stand_in, "--format", "json", "--mode", "account").stdout)
    assert mended["checks"][1]["status"] == "ok"


def test_the_installed_command_asks_many_regions_at_once() -> None:
    """A process of its own, with its own credentials: 12 regions are not asked one after another."""
    regions = [f"eu-test-{number}" for number in range(1, 13)]
    with StandIn(healthy_account(), delay=0.05) as stand_in:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= stand_in.environment() | {"AWS_CONFIG_FILE": os.devnull, "COLUMNS": "200"}
        command = [
            sys.executable,
            "-m",
            "rolecall",
            "doctor",
            *(part for name in regions for part in ("--region", name)),
        ]
        done = subprocess.run(  # noqa: S603 - this interpreter, our own module
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "97 checks in mode account: 97 ok."
    assert stand_in.most_at_once > 1
