from datetime import UTC, datetime
from typing import Any

import pytest

from rolecall.cli.checks_of_organizations import (
    SERVICES,
    STACK_SETS,
    Kind,
    MemberRoles,
    check_aggregator,
    check_delegation,
    check_features,
    check_sources,
    check_stack_sets_access,
    check_trusted_access,
    delegation_unknown,
    kind_of,
    no_stack_set,
    widest,
)
from rolecall.cli.checks_of_regions import (
    MESSAGES,
    check_concurrency,
    check_delivery,
    check_hub,
    check_pack,
    check_recorder,
    check_results,
    check_rule,
    check_runs,
    function_account,
    rolecall_rules,
)
from rolecall.cli.diagnosis import Diagnosis, Status
from rolecall.model import INSTANCE_TYPE
from rolecall.recording import instance_frequency, recording_instances, records_instances
from tests import aws_commands

Json = dict[str, Any]

HERE = "eu-west-1"
ACCOUNT, OTHER, MANAGEMENT = "111122223333", "444455556666", "999988887777"
RULE = "rolecall-ec2-instance-profile"
SETUP = "config-multiaccountsetup.amazonaws.com"


def ok(check: str, where: str, says: str, mend: str = "") -> Diagnosis:
    """A line without a problem."""
    return Diagnosis(check, where, Status.OK, says, mend)


def assert_is(found: Diagnosis, expected: tuple[str, str]) -> None:
    """Status and what it says; and every command that mends something is one that AWS's command line would take."""
    assert (found.status.value, found.says) == expected
    assert (found.mend != "") or found.status is Status.OK
    for command in aws_commands.commands_in(found.mend):
        aws_commands.check(command)
    assert found.mend.startswith(("aws ", "node_modules/.bin/cdk deploy")) or not found.mend


# --- the recorder -----------------------------------------------------------------------------------------------------


def recorder(**changes: object) -> Json:
    """One that records everything, continuously."""
    return {
        "name": "default",
        "roleARN": f"arn:aws:iam::{ACCOUNT}:role/config",
        "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": False, "resourceTypes": []},
    } | changes


def only(*types: str) -> Json:
    """A group of just these types."""
    return {
        "allSupported": False,
        "resourceTypes": list(types),
        "recordingStrategy": {"useOnly": "INCLUSION_BY_RESOURCE_TYPES"},
    }


def all_but(*types: str) -> Json:
    """A group of all types but these."""
    return {
        "allSupported": False,
        "exclusionByResourceTypes": {"resourceTypes": list(types)},
        "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
    }


def daily_but(*types: str) -> Json:
    """A mode of daily recording, apart from these types."""
    overrides = [{"resourceTypes": list(types), "recordingFrequency": "CONTINUOUS"}] if types else []
    return {"recordingFrequency": "DAILY", "recordingModeOverrides": overrides}


def continuous_but(*types: str) -> Json:
    """A mode of continuous recording, apart from these types."""
    override = {"resourceTypes": list(types), "recordingFrequency": "DAILY"}
    return {"recordingFrequency": "CONTINUOUS", "recordingModeOverrides": [override]}


ON = {"name": "default", "recording": True, "lastStatus": "Success"}
FINE = ("ok", "default is on")
RECORDED = ("ok", "AWS::EC2::Instance is recorded continuously")
DAILY = ("problem", "AWS::EC2::Instance is recorded DAILY: a verdict may be a day old")
UNRECORDED = ("problem", "AWS::EC2::Instance is not recorded")

RECORDERS: list[tuple[str, list[Json], list[Json], list[tuple[str, str]]]] = [
    ("there is none", [], [], [("problem", "AWS Config has none, so nothing is judged")]),
    ("it records everything", [recorder()], [ON], [FINE, RECORDED]),
    ("its status is another's", [recorder()], [ON | {"name": "other"}],
     [("cannot tell", "AWS Config shows no status of recorder default"), RECORDED]),
    ("it is stopped", [recorder()], [ON | {"recording": False}],
     [("problem", "recorder default is stopped: changes are not judged"), RECORDED]),
    ("it fails", [recorder()],
     [ON | {"lastStatus": "FAILURE", "lastErrorCode": "AccessDenied", "lastErrorMessage": "no"}],
     [("problem", "recorder default is on but fails: AccessDenied: no"), RECORDED]),
    ("it fails, as the model spells it", [recorder()], [ON | {"lastStatus": "Failure"}],
     [("problem", "recorder default is on but fails: no code: no message"), RECORDED]),
    ("it failed once", [recorder()], [ON | {"lastErrorCode": "AccessDenied"}], [FINE, RECORDED]),
    ("instances are among its types", [recorder(recordingGroup=only("AWS::S3::Bucket", INSTANCE_TYPE))], [ON],
     [FINE, RECORDED]),
    ("instances are not among its types", [recorder(recordingGroup=only("AWS::S3::Bucket"))], [ON], [FINE, UNRECORDED]),
    ("instances are left out", [recorder(recordingGroup=all_but(INSTANCE_TYPE, "AWS::S3::Bucket"))], [ON],
     [FINE, UNRECORDED]),
    ("nothing but instances is left out", [recorder(recordingGroup=all_but(INSTANCE_TYPE))], [ON], [FINE, UNRECORDED]),
    ("others are left out", [recorder(recordingGroup=all_but("AWS::S3::Bucket"))], [ON], [FINE, RECORDED]),
    ("it has no group", [recorder(recordingGroup={})], [ON], [FINE, UNRECORDED]),
    ("it records daily", [recorder(recordingMode=daily_but())], [ON], [FINE, DAILY]),
    ("it records daily, but not instances", [recorder(recordingMode=daily_but("AWS::S3::Bucket", INSTANCE_TYPE))], [ON],
     [FINE, RECORDED]),
    ("only instances are daily", [recorder(recordingMode=continuous_but(INSTANCE_TYPE, "AWS::S3::Bucket"))], [ON],
     [FINE, DAILY]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "recorders", "statuses", "expected"), RECORDERS, ids=[case[0] for case in RECORDERS])
def test_the_recorder(case: str, recorders: list[Json], statuses: list[Json], expected: list[tuple[str, str]]) -> None:
    """On, not failing, and recording instances as they change; the command that mends it keeps all else."""
    found = check_recorder((recorders, statuses), HERE, ACCOUNT, "aws")
    assert len(found) == len(expected), case
    for one, each in zip(found, expected, strict=True):
        assert_is(one, each)
    for described in recorders:
        mended = recording_instances(described)
        assert records_instances(mended)
        assert instance_frequency(mended) == "CONTINUOUS"
        assert recording_instances(mended) == mended
        assert mended["roleARN"] == described["roleARN"]


def test_a_mended_recorder_records_what_it_recorded_before() -> None:
    """PutConfigurationRecorder replaces the whole."""
    before = recorder(recordingGroup=only("AWS::S3::Bucket"), recordingMode=daily_but("AWS::S3::Bucket"))
    assert recording_instances(before) == recorder(
        recordingGroup=only("AWS::S3::Bucket", INSTANCE_TYPE),
        recordingMode={
            "recordingFrequency": "DAILY",
            "recordingModeOverrides": [
                {"resourceTypes": ["AWS::S3::Bucket"], "recordingFrequency": "CONTINUOUS"},
                {"resourceTypes": [INSTANCE_TYPE], "recordingFrequency": "CONTINUOUS"},
            ],
        },
    )


CHANNEL = {"name": "default", "s3BucketName": "config-bucket"}
DELIVERIES: list[tuple[str, list[Json], list[Json], tuple[str, str]]] = [
    ("there is none", [], [], ("problem", "there is none, and without one no recorder starts")),
    ("it delivers", [CHANNEL], [{"configHistoryDeliveryInfo": {"lastStatus": "Success"}}],
     ("ok", "delivers to config-bucket")),
    ("it has not delivered yet", [CHANNEL], [], ("ok", "delivers to config-bucket")),
    ("history fails", [CHANNEL],
     [{"configStreamDeliveryInfo": {"lastStatus": "Failure"},
       "configHistoryDeliveryInfo": {
           "lastStatus": "FAILURE", "lastErrorCode": "AccessDenied", "lastErrorMessage": "no"}}],
     ("problem", "deliveries to config-bucket fail: history (AccessDenied: no), stream (no code: no message)")),
]  # fmt: skip


@pytest.mark.parametrize(("case", "channels", "statuses", "expected"), DELIVERIES, ids=[case[0] for case in DELIVERIES])
def test_the_delivery_channel(case: str, channels: list[Json], statuses: list[Json], expected: tuple[str, str]) -> None:
    """There, and nothing that it delivers fails."""
    assert case
    assert_is(check_delivery((channels, statuses), HERE), expected)


# --- the rule ---------------------------------------------------------------------------------------------------------


def rule(name: str = RULE, messages: tuple[str, ...] = MESSAGES, **changes: object) -> Json:
    """As DescribeConfigRules shows it."""
    details = [{"EventSource": "aws.config", "MessageType": message} for message in messages]
    source = {
        "Owner": "CUSTOM_LAMBDA",
        "SourceIdentifier": f"arn:aws:lambda:{HERE}:{ACCOUNT}:function:rolecall",
        "SourceDetails": details,
    }
    described = {
        "ConfigRuleName": name,
        "Scope": {"ComplianceResourceTypes": [INSTANCE_TYPE]},
        "Source": source,
        "ConfigRuleState": "ACTIVE",
    }
    return described | changes


PACKED = f"{RULE}-conformance-pack-a1b2c3d4e"
RULES: list[tuple[str, list[Json], tuple[str, str]]] = [
    ("there is none", [rule("other"), rule(f"{RULE}-2")],
     ("problem", f"there is none named {RULE}, or {RULE}-conformance-pack-…")),
    ("it is there", [rule("other"), rule()], ("ok", f"{RULE} is ACTIVE")),
    ("a conformance pack brought it", [rule(PACKED)], ("ok", f"{PACKED} is ACTIVE")),
    ("it is there twice", [rule(), rule(PACKED)],
     ("problem", f"{RULE} and {PACKED} judge the same instances: keep one")),
    ("it is being deleted", [rule(ConfigRuleState="DELETING")], ("problem", f"{RULE} is DELETING")),
    ("it evaluates", [rule(ConfigRuleState="EVALUATING")], ("ok", f"{RULE} is EVALUATING")),
    ("it is another rule", [rule(Source={"Owner": "AWS", "SourceIdentifier": "EC2_INSTANCE_PROFILE_ATTACHED"})],
     ("problem", f"{RULE} is no custom Lambda rule but AWS, is not subscribed to {', '.join(MESSAGES)}")),
    ("it hears no schedule", [rule(messages=MESSAGES[:2])],
     ("problem", f"{RULE} is not subscribed to ScheduledNotification")),
    ("it is scoped by a tag", [rule(Scope={"TagKey": "env"})],
     ("problem", f'{RULE} has another scope than every AWS::EC2::Instance: {{"TagKey": "env"}}')),
]  # fmt: skip


@pytest.mark.parametrize(("case", "rules", "expected"), RULES, ids=[case[0] for case in RULES])
@pytest.mark.parametrize("organization", [False, True])
def test_the_rule(case: str, rules: list[Json], expected: tuple[str, str], *, organization: bool) -> None:
    """There once, active, and asked about everything."""
    assert case
    assert_is(check_rule(rolecall_rules(rules, RULE), RULE, HERE, organization=organization), expected)


PACKS: list[tuple[str | None, list[Json], tuple[str, str]]] = [
    (None, [], ("problem", "no organization conformance pack's name begins with Rolecall")),
    ("CREATE_SUCCESSFUL", [], ("ok", "Rolecall is in every account")),
    ("UPDATE_IN_PROGRESS", [], ("cannot tell", "Rolecall is UPDATE_IN_PROGRESS")),
    ("DELETE_SUCCESSFUL", [], ("problem", "Rolecall is DELETE_SUCCESSFUL (Code: text)")),
    ("CREATE_FAILED", [{"AccountId": OTHER, "Status": "CREATE_SUCCESSFUL"}],
     ("problem", "Rolecall is CREATE_FAILED (Code: text)")),
    ("UPDATE_FAILED",
     [{"AccountId": str(number), "Status": "UPDATE_FAILED", "ErrorCode": "Own"} for number in range(7)],
     ("problem", "Rolecall is UPDATE_FAILED in 0, 1, 2, 3, 4 and 2 more (Own: no message)")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "accounts", "expected"), PACKS)
def test_the_conformance_pack(status: str | None, accounts: list[Json], expected: tuple[str, str]) -> None:
    """In every account, or those are named in which it is not."""
    described = {"OrganizationConformancePackName": "Rolecall", "ErrorCode": "Code", "ErrorMessage": "text"}
    found = check_pack("Rolecall", described | {"Status": status} if status else None, accounts, HERE)
    assert_is(found, expected)


def test_the_function_may_be_in_another_account() -> None:
    """Whose metrics and limits these credentials do not show."""
    elsewhere = rule(Source={"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": f"arn:aws:lambda:{HERE}:{OTHER}:function:f"})
    assert function_account([elsewhere]) == OTHER
    assert function_account([rule()]) == ACCOUNT
    assert function_account([rule(Source={"Owner": "AWS", "SourceIdentifier": "MANAGED"})]) is None
    assert function_account([]) is None


RESULTS = [
    ("COMPLIANT", 7, ("ok", "COMPLIANT as a whole; 7 EC2 instances are recorded")),
    ("NON_COMPLIANT", 1_200, ("ok", "NON_COMPLIANT as a whole; 1,200 EC2 instances are recorded")),
    ("INSUFFICIENT_DATA", 0, ("ok", "none, and no EC2 instance is recorded")),
    ("INSUFFICIENT_DATA", 3,
     ("problem", "none, though 3 EC2 instances are recorded: all of them stopped or gone, or the function fails")),
    ("no answer", 3, ("cannot tell", "AWS Config says no answer")),
    ("NOT_APPLICABLE", 3, ("cannot tell", "AWS Config says NOT_APPLICABLE")),
]  # fmt: skip


@pytest.mark.parametrize(("compliance", "instances", "expected"), RESULTS)
def test_the_results(compliance: str, instances: int, expected: tuple[str, str]) -> None:
    """No result is no problem only where there is nothing to judge."""
    assert_is(check_results(compliance, instances, RULE, HERE), expected)


def test_scheduled_runs() -> None:
    """The last hour with one; none, and an hour in which none was completed, are problems."""
    hours = [datetime(2026, 3, 31, hour, tzinfo=UTC) for hour in (2, 5, 7)]
    points = [{"Timestamp": hour, "Sum": completed} for hour, completed in zip(hours, (1.0, 2.0, 0.0), strict=True)]
    assert_is(
        check_runs(points, RULE, "My Stack", HERE),
        ("ok", f"{RULE} completed one in the hour from 2026-03-31 05:00 UTC"),
    )
    for none in ([], points[2:]):
        found = check_runs(none, RULE, "My Stack", HERE)
        says = (
            "none was completed in 26 hours: exemptions do not expire. A new rule's first run may take a day; else "
            "look at the function's log"
        )
        assert_is(found, ("problem", says))
        assert found.mend.startswith("aws cloudformation describe-stacks --stack-name 'My Stack' --query ")
        assert "LogGroupName" in found.mend


LIMITS: list[tuple[Json, tuple[str, str]]] = [
    ({"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900},
     ("ok", "900 of 1,000 concurrent executions of Lambda are unreserved")),
    ({"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10},
     ("problem", "10 of 10 concurrent executions of Lambda are unreserved: a storm of changes will wait")),
    ({}, ("cannot tell", "Lambda does not say how many executions may run at once")),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "expected"), LIMITS)
def test_lambdas_concurrency(limits: Json, expected: tuple[str, str]) -> None:
    """New accounts may have ten."""
    assert_is(check_concurrency(limits, HERE), expected)


def test_security_hub() -> None:
    """The rule works without it, so that its absence is no problem; the command that turns it on is there."""
    assert check_hub({"HubArn": "arn"}, HERE) == ok("Security Hub", HERE, "on")
    assert_is(check_hub(None, HERE), ("ok", "off; the rule works without it"))
    assert "enable-security-hub" in check_hub(None, HERE).mend


# --- the organization -------------------------------------------------------------------------------------------------

ORGANIZATION = {"Id": "o-a1b2c3d4e5", "MasterAccountId": MANAGEMENT, "FeatureSet": "ALL"}
KINDS = [
    (MANAGEMENT, ORGANIZATION, [], Kind.MANAGEMENT),
    (ACCOUNT, ORGANIZATION, [SETUP], Kind.DELEGATED),
    (ACCOUNT, ORGANIZATION, ["guardduty.amazonaws.com"], Kind.MEMBER),
    (ACCOUNT, ORGANIZATION, [], Kind.MEMBER),
    (ACCOUNT, None, [], Kind.ALONE),
]


@pytest.mark.parametrize(("account", "organization", "services", "expected"), KINDS)
def test_what_an_account_is(account: str, organization: Json | None, services: list[str], expected: Kind) -> None:
    """A delegated administrator of something else is a plain member to us."""
    assert kind_of(account, organization, services) is expected


def test_all_features_are_needed() -> None:
    """Without them there is neither delegation nor a service control policy."""
    assert_is(check_features(ORGANIZATION), ("ok", "o-a1b2c3d4e5 has all features"))
    billing = check_features(ORGANIZATION | {"FeatureSet": "CONSOLIDATED_BILLING"})
    says = "o-a1b2c3d4e5 has the feature set CONSOLIDATED_BILLING; organization-wide rules need ALL"
    assert_is(billing, ("problem", says))
    assert billing.mend_in == "the management account"


DELEGATIONS: list[tuple[str, list[Json], set[str], tuple[str, str], str]] = [
    ("nobody, seen from the management account", [], set(), ("problem", f"no account administers {SETUP}"),
     "--account-id AUDIT_ACCOUNT_ID "),
    ("nobody, seen from the audit account", [], {ACCOUNT}, ("problem", f"no account administers {SETUP}"),
     f"--account-id {ACCOUNT} "),
    ("this account", [{"Id": ACCOUNT, "Status": "ACTIVE"}], {ACCOUNT}, ("ok", f"{ACCOUNT} administers {SETUP}"), ""),
    ("somebody, seen from the management account", [{"Id": ACCOUNT}], set(), ("ok", f"{ACCOUNT} administers {SETUP}"),
     ""),
    ("another", [{"Id": OTHER, "Status": "ACTIVE"}], {ACCOUNT},
     ("problem", f"{OTHER} administers {SETUP}, and {ACCOUNT} does not"), f"--account-id {ACCOUNT} "),
    ("a suspended one", [{"Id": ACCOUNT, "Status": "SUSPENDED"}], {ACCOUNT},
     ("problem", f"no account administers {SETUP}"), f"--account-id {ACCOUNT} "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "administrators", "wanted", "expected", "mend"), DELEGATIONS, ids=[case[0] for case in DELEGATIONS]
)
def test_delegation(
    case: str, administrators: list[Json], wanted: set[str], expected: tuple[str, str], mend: str
) -> None:
    """Of the account that has to have it; only the management account can mend it."""
    found = check_delegation(SETUP, administrators, wanted)
    assert_is(found, expected)
    assert mend in found.mend
    assert found.mend_in == ("the management account" if found.mend else ""), case


def test_delegation_that_cannot_be_seen_is_not_ok() -> None:
    """A plain member may not ask who is delegated."""
    found = delegation_unknown(SETUP, ACCOUNT, "AccessDeniedException")
    assert found.status is Status.CANNOT_TELL
    aws_commands.check(found.mend)


@pytest.mark.parametrize("principal", SERVICES)
def test_trusted_access(principal: str) -> None:
    """For StackSets, CloudFormation has to switch it on."""
    assert_is(check_trusted_access(principal, [*SERVICES]), ("ok", f"{principal} has it"))
    missing = check_trusted_access(principal, [other for other in SERVICES if other != principal])
    assert_is(missing, ("problem", f"{principal} has none"))
    assert missing.mend.startswith("aws cloudformation") == (principal == STACK_SETS)
    assert_is(check_stack_sets_access("ENABLED"), ("ok", "StackSets may act in the organization"))
    assert_is(check_stack_sets_access("DISABLED"), ("problem", "StackSets are DISABLED"))


def stack_set(**changes: object) -> Json:
    """One that goes to the whole organization."""
    return {
        "StackSetName": "rolecall-roles",
        "PermissionModel": "SERVICE_MANAGED",
        "AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": False},
        "OrganizationalUnitIds": ["r-a1b2"],
    } | changes


def instance(account: str = ACCOUNT, detailed: str = "SUCCEEDED", status: str = "CURRENT", **changes: object) -> Json:
    """Its stack in one account."""
    return {
        "Account": account,
        "Region": HERE,
        "Status": status,
        "StackInstanceStatus": {"DetailedStatus": detailed},
    } | changes


BOTH = [instance(), instance(OTHER)]
NAME = "StackSet rolecall-roles"
ROLES: list[tuple[str, Json, list[Json], list[tuple[str, str]]]] = [
    ("everywhere", stack_set(), BOTH, [("ok", f"{NAME} is current; accounts: 2, active members: 2")]),
    ("in some units only", stack_set(OrganizationalUnitIds=["ou-a1b2-c3d4e5f6"]), BOTH[:1],
     [("ok", f"{NAME} is current; accounts: 1, active members: 2")]),
    ("a suspended account is passed over", stack_set(),
     [*BOTH, instance("777766665555", "SKIPPED_SUSPENDED_ACCOUNT", "OUTDATED")],
     [("ok", f"{NAME} is current; accounts: 2, active members: 2")]),
    ("one failed", stack_set(), [BOTH[0], instance(OTHER, "FAILED", "OUTDATED", StatusReason="role exists")],
     [("problem", f"{NAME} is not current in {OTHER} (1 FAILED): role exists")]),
    ("one is outdated", stack_set(), [BOTH[0], instance(OTHER, status="OUTDATED")],
     [("problem", f"{NAME} is not current in {OTHER} (1 OUTDATED)")]),
    ("one is inoperable", stack_set(), [BOTH[0], instance(OTHER, "INOPERABLE", "INOPERABLE")],
     [("problem", f"{NAME} is not current in {OTHER} (1 INOPERABLE)")]),
    ("one is under way", stack_set(), [BOTH[0], instance(OTHER, "RUNNING", "OUTDATED")],
     [("cannot tell", f"{NAME} is being deployed to {OTHER}")]),
    ("one is missing", stack_set(), BOTH[:1],
     [("problem", f"{NAME} goes to the whole organization and is not in {OTHER}")]),
    ("nowhere", stack_set(), [], [("problem", f"{NAME} has no instance: no account has the role")]),
    ("two regions", stack_set(), [*BOTH, instance(Region="us-east-1")],
     [("problem", f"{NAME} is in eu-west-1, us-east-1: IAM is global, and only the first makes the role")]),
    ("no auto-deployment", stack_set(AutoDeployment={"Enabled": False}), BOTH,
     [("problem", f"{NAME} has no auto-deployment: new accounts get no role")]),
    ("self-managed", stack_set(PermissionModel="SELF_MANAGED"), BOTH,
     [("problem", f"{NAME} is SELF_MANAGED: it does not follow the organization")]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "described", "instances", "expected"), ROLES, ids=[case[0] for case in ROLES])
def test_the_member_roles(case: str, described: Json, instances: list[Json], expected: list[tuple[str, str]]) -> None:
    """Current in every account, in one region, and in every account to come."""
    found = MemberRoles(described, instances, {ACCOUNT, OTHER}, HERE, "DELEGATED_ADMIN").check()
    assert len(found) == len(expected), case
    for one, each in zip(found, expected, strict=True):
        assert_is(one, each)


def test_many_accounts_are_counted_not_listed() -> None:
    """The command that mends it names them all."""
    accounts = [f"{number:012}" for number in range(1, 31)]
    [found] = MemberRoles(stack_set(), [instance(accounts[0])], accounts, HERE, "SELF").check()
    assert found.says.endswith(
        "is not in 000000000002, 000000000003, 000000000004, 000000000005, 000000000006 and 24 more"
    )
    assert found.mend.endswith(f"Accounts={','.join(accounts[1:])},AccountFilterType=INTERSECTION")
    aws_commands.check(found.mend)


def test_no_stack_set() -> None:
    """Members have no role then."""
    assert no_stack_set("rolecall", HERE).status is Status.PROBLEM


def aggregator(name: str = "all", **source: object) -> Json:
    """Of the organization."""
    role = f"arn:aws:iam::{ACCOUNT}:role/aggregator"
    return {"ConfigurationAggregatorName": name, "OrganizationAggregationSource": {"RoleArn": role} | source}


REGIONS = [HERE, "us-east-1"]
AGGREGATORS: list[tuple[str, list[Json], tuple[str, str], str]] = [
    ("none", [], ("problem", "none in eu-west-1 gathers the organization, or --home-region names another"),
     "role/AGGREGATOR_ROLE,AllAwsRegions=true"),
    ("of accounts", [{"ConfigurationAggregatorName": "some", "AccountAggregationSources": [{"AccountIds": [OTHER]}]}],
     ("problem", "none in eu-west-1 gathers the organization, or --home-region names another"), "--configuration-agg"),
    ("every region", [aggregator("few", AwsRegions=[HERE]), aggregator(AllAwsRegions=True)],
     ("ok", "all gathers every region"), ""),
    ("a region is missing", [aggregator(AwsRegions=[HERE])], ("problem", "all does not gather us-east-1"),
     "--organization-aggregation-source RoleArn=arn:aws:iam::111122223333:role/aggregator,AllAwsRegions=true"),
    ("these regions", [aggregator(AwsRegions=[*REGIONS, "eu-central-1"])],
     ("ok", "all gathers these regions, and will not gather those that AWS adds"), "AllAwsRegions=true"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "aggregators", "expected", "mend"), AGGREGATORS, ids=[case[0] for case in AGGREGATORS]
)
def test_the_aggregator(case: str, aggregators: list[Json], expected: tuple[str, str], mend: str) -> None:
    """One that gathers the organization in every region."""
    found = check_aggregator(widest(aggregators, REGIONS), REGIONS, HERE, ACCOUNT, "aws")
    assert_is(found, expected)
    assert mend in found.mend, case


def test_sources_that_an_aggregator_cannot_read() -> None:
    """Named, with what AWS says about the first."""
    assert_is(check_sources([], "all", HERE), ("ok", "all could read all"))
    failed = [{"SourceId": OTHER, "AwsRegion": HERE, "LastErrorCode": "Denied", "LastErrorMessage": "no"}]
    says = f"all could not read {OTHER} in {HERE} (Denied: no)"
    assert_is(check_sources(failed, "all", HERE), ("problem", says))


WRONG = [
    "aws config describe-configuration-recorder",
    "aws configservice start-configuration-recorder --region eu-west-1",
    "aws configservice start-configuration-recorder --recorder default",
    "aws cloudformation update-stack-set --stack-set-name x --auto-deployment Enable=true",
    "aws cloudformation list-stack-sets --call-as ADMIN",
    "aws organizations register-delegated-administrator 111122223333",
]


@pytest.mark.parametrize("command", WRONG)
def test_the_check_of_commands_finds_what_is_wrong(command: str) -> None:
    """Otherwise the tests above would hold for any command."""
    with pytest.raises(aws_commands.BadCommand):
        aws_commands.check(command)
