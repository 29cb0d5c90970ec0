import json
import re
import subprocess
import sys
from pathlib import Path

import cfnlint  # type: ignore[import-untyped]  # it ships no types
import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]  # as above

from infra.invocation import check_size
from infra.limits import CONFORMANCE_PACK, RESOURCE_POLICY, SERVICE_CONTROL_POLICY, STACK_SET, TAG_POLICY, Limit
from infra.organization_settings import REGIONS_WITHOUT_RESOURCE_POLICY
from infra.pack import COMPANIONS
from infra.setting_types import InvalidSettings
from infra.settings import COMPANION_RULES
from rolecall.parameters import PARAMETERS
from tests.infra.cdk_cli import cdk
from tests.infra.organization import (
    AUDIT,
    EXAMPLE,
    HOME,
    MANAGEMENT,
    MEMBER,
    ORGANIZATION,
    REGIONS,
    accounts,
    organization_settings,
)
from tests.infra.organization import (
    ROOT as ORGANIZATION_ROOT,
)
from tests.infra.synthesis import ROOT, Json, all_statements, assembly, properties, resources, template

TEMPLATES = ROOT / "infra" / "templates"
FUNCTION = {"Fn::GetAtt": ["RuleFunction", "Arn"]}
HOME_RULE = f"Rolecall-Rule-{HOME}"

EVERYTHING: Json = {
    "regions": HOME,
    "excludedAccounts": [MEMBER],
    "includeManagementAccount": True,
    "invokeTrust": "accounts",
    "memberAccounts": accounts(2),
    "rolePrefix": "judge",
    "deployerRoles": ["deployer"],
    "ruleParameters": {"exemptionTagKey": "no-role", "exemptionMaxDays": 90},
    "companionRules": "",
    "suppressNativeFindings": True,
}

VARIANTS: dict[str, Json] = {
    "the example": {},
    "everything set": EVERYTHING,
    "China": {"homeRegion": "cn-north-1", "regions": "cn-north-1,cn-northwest-1", "memberAccounts": accounts(2)},
    "GovCloud without a guardrail": {
        "homeRegion": "us-gov-west-1",
        "regions": "us-gov-west-1",
        "memberAccounts": accounts(1),
        "guardrail": False,
        "securityHub": False,
    },
    "a region without full resource policies among others": {
        "regions": "eu-west-1,me-central-1",
        "memberAccounts": accounts(1),
    },
}


def config_statements(rules: str) -> list[Json]:
    """What a role may do with AWS Config of one account, and nothing else of it."""
    return [
        {
            "Effect": "Allow",
            "Action": ["config:GetResourceConfigHistory", "config:PutEvaluations", "config:SelectResourceConfig"],
            "Resource": "*",  # these actions have no resource types
        },
        {"Effect": "Allow", "Action": "config:GetComplianceDetailsByConfigRule", "Resource": rules},
    ]


def test_every_policy_statement_of_the_home_stack_is_expected() -> None:
    """The one role that may assume the member roles, and the aggregator's."""
    assert all_statements("Rolecall-Home", **EXAMPLE) == {
        "ExecutionRoleCDF74862": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        ],
        "ExecutionRoleDefaultPolicy1742C18B": [
            *config_statements(f"arn:aws:config:*:{AUDIT}:config-rule/*"),
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": "arn:aws:iam::*:role/rolecall-reporter",
                "Condition": {"StringEquals": {"aws:ResourceOrgID": ORGANIZATION}},
            },
            {
                "Effect": "Allow",
                "Action": "events:PutEvents",
                "Resource": f"arn:aws:events:{HOME}:{AUDIT}:event-bus/rolecall-evaluations",
            },
        ],
        "AggregatorRole2F3D6B04": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "config.amazonaws.com"}}
        ],
        "AggregatorRoleDefaultPolicy684C6EE5": [
            {
                "Effect": "Allow",
                "Action": [
                    "organizations:DescribeOrganization",
                    "organizations:ListAWSServiceAccessForOrganization",
                    "organizations:ListAccounts",
                    "organizations:ListDelegatedAdministrators",
                ],
                "Resource": "*",  # these actions have no resource types
            }
        ],
    }


def test_the_home_stack_has_fixed_names() -> None:
    """Other regions and accounts refer to them; and no role has a managed policy."""
    roles = resources("AWS::IAM::Role", "Rolecall-Home", **EXAMPLE)
    assert {role["Properties"]["RoleName"] for role in roles.values()} == {"rolecall-rule", "rolecall-aggregator"}
    assert {key for role in roles.values() for key in role["Properties"]} == {
        "AssumeRolePolicyDocument",
        "Description",
        "RoleName",
    }
    bus = properties("AWS::Events::EventBus", "Rolecall-Home", **EXAMPLE)
    assert bus == {"Name": "rolecall-evaluations", "Description": "Evaluation records of rolecall, from all regions"}


def test_the_aggregator_reads_all_accounts_and_regions() -> None:
    """By its role, for whose permissions it waits."""
    assert resources("AWS::Config::ConfigurationAggregator", "Rolecall-Home", **EXAMPLE) == {
        "Aggregator0EFCD1D2": {
            "Properties": {
                "ConfigurationAggregatorName": "rolecall",
                "OrganizationAggregationSource": {
                    "AllAwsRegions": True,
                    "RoleArn": {"Fn::GetAtt": ["AggregatorRole2F3D6B04", "Arn"]},
                },
            },
            "DependsOn": ["AggregatorRoleDefaultPolicy684C6EE5"],
        }
    }


@pytest.mark.parametrize("region", REGIONS)
def test_a_function_adds_to_its_role_its_own_log_group_and_queue(region: str) -> None:
    """And that is all; the function waits, as Lambda checks whether its role may send dead letters."""
    stack = f"Rolecall-Rule-{region}"
    assert resources("AWS::IAM::RolePolicy", stack, **EXAMPLE) == {
        "RuleFunctionRolePolicy86FA1AA2": {
            "Properties": {
                "RoleName": "rolecall-rule",
                "PolicyName": f"RuleFunction-{region}",
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": {"Fn::GetAtt": ["RuleFunctionLogsF6A9B58F", "Arn"]},
                        },
                        {
                            "Effect": "Allow",
                            "Action": "sqs:SendMessage",
                            "Resource": {"Fn::GetAtt": ["RuleFunctionDeadLetters1BEDFF76", "Arn"]},
                        },
                    ],
                },
            }
        }
    }
    assert resources("AWS::Lambda::Function", stack, **EXAMPLE)["RuleFunction"]["DependsOn"] == [
        "RuleFunctionRolePolicy86FA1AA2"
    ]
    assert set(all_statements(stack, **EXAMPLE)) == {
        "RuleFunctionRolePolicy86FA1AA2",
        "InvocationPolicy4ACEB68F",
        "RuleFunctionDeadLettersPolicy122D7906",  # these three are test_stack's
        "AlarmTopicKeyBA1A4AA7",
        "AlarmTopicPolicyDD12BE57",
    }
    assert not resources("AWS::IAM::Role", stack, **EXAMPLE)


@pytest.mark.parametrize("region", REGIONS)
def test_the_function_of_every_region_is_that_of_one_account_but_for_whom_it_is(region: str) -> None:
    """The shared role, the member role's name, and the bus of the home region by its ARN."""
    found = properties("AWS::Lambda::Function", f"Rolecall-Rule-{region}", **EXAMPLE)
    alone = properties("AWS::Lambda::Function")
    assert found.pop("Role") == f"arn:aws:iam::{AUDIT}:role/rolecall-rule"
    assert found.pop("Environment")["Variables"] == alone.pop("Environment")["Variables"] | {
        "ROLECALL_EVENT_BUS": f"arn:aws:events:{HOME}:{AUDIT}:event-bus/rolecall-evaluations",
        "ROLECALL_REPORTER_ROLE": "rolecall-reporter",
        "ROLECALL_RULE_PARAMETERS": "{}",
    }
    del found["Code"], alone["Code"], alone["Role"]
    assert found == alone


def test_the_dashboard_shows_roles_that_were_not_assumed() -> None:
    """In an organization alone: where there is one account, no role is assumed."""
    shown = '"Rolecall","RoleNotAssumed","service","rolecall-ec2-instance-profile"'
    in_an_organization = properties("AWS::CloudWatch::Dashboard", HOME_RULE, **EXAMPLE)["DashboardBody"]
    assert shown in "".join(part for part in in_an_organization["Fn::Join"][1] if isinstance(part, str))
    assert "RoleNotAssumed" not in json.dumps(properties("AWS::CloudWatch::Dashboard"))


def invoke_statement(**condition: object) -> Json:
    """The only statement of a function's resource policy."""
    return {
        "Sid": "ConfigOfThisOrganization",
        "Effect": "Allow",
        "Principal": {"Service": "config.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION,
        "Condition": {"StringEquals": condition},
    }


@pytest.mark.parametrize(
    ("given", "statement"),
    [
        ({}, invoke_statement(**{"aws:SourceOrgID": ORGANIZATION})),
        (
            EVERYTHING,
            invoke_statement(**{"aws:SourceAccount": [*accounts(2), MANAGEMENT, AUDIT]}),
        ),
    ],
    ids=["the organization", "its accounts by name"],
)
def test_only_config_of_the_organization_may_invoke(given: Json, statement: Json) -> None:
    """One whole policy, and no permission beside it, which would overwrite it or be overwritten."""
    assert resources("AWS::Lambda::ResourcePolicy", HOME_RULE, **EXAMPLE, **given) == {
        "InvocationPolicy4ACEB68F": {
            "Properties": {
                "ResourceArn": FUNCTION,
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            }
        }
    }
    assert not resources("AWS::Lambda::Permission", HOME_RULE, **EXAMPLE, **given)


def test_where_there_are_no_full_policies_each_account_is_permitted() -> None:
    """In these regions alone; the pack waits for every permission."""
    given = VARIANTS["a region without full resource policies among others"]
    stack = "Rolecall-Rule-me-central-1"
    expected = {
        account: {
            "Action": "lambda:InvokeFunction",
            "FunctionName": FUNCTION,
            "Principal": "config.amazonaws.com",
            "SourceAccount": account,
        }
        for account in (AUDIT, *accounts(1))
    }
    found = resources("AWS::Lambda::Permission", stack, **EXAMPLE, **given)
    assert [one["Properties"] for one in found.values()] == [expected[account] for account in sorted(expected)]
    assert not resources("AWS::Lambda::ResourcePolicy", stack, **EXAMPLE, **given)
    pack = resources("AWS::Config::OrganizationConformancePack", stack, **EXAMPLE, **given)["Pack"]
    assert pack["DependsOn"] == sorted(found)
    assert list(resources("AWS::Lambda::ResourcePolicy", HOME_RULE, **EXAMPLE, **given)) == ["InvocationPolicy4ACEB68F"]
    assert not resources("AWS::Lambda::Permission", HOME_RULE, **EXAMPLE, **given)


def test_the_regions_without_full_policies_are_those_of_cfn_lints_schemas() -> None:
    """When this fails, AWS has brought the resource type to a region, or the list has aged."""
    folder = Path(cfnlint.__file__).parent / "data" / "schemas" / "providers"
    known = {path.stem: json.loads(path.read_text()) for path in folder.glob("*-*-*.json")}
    assert len(known) > 30
    lacking = {region for region, types in known.items() if "AWS::Lambda::ResourcePolicy" not in types}
    assert lacking == set(REGIONS_WITHOUT_RESOURCE_POLICY)


def test_names_and_arns_are_of_the_partition() -> None:
    """No template of China names the partition aws."""
    given = VARIANTS["China"]
    for stack in ("Home", "MemberRoles", "Findings", "Guardrail", "Rule-cn-north-1", "Rule-cn-northwest-1"):
        text = json.dumps(template(f"Rolecall-{stack}", **EXAMPLE, **given))
        assert "arn:aws:" not in text
    policy = resources("AWS::IAM::Policy", "Rolecall-Home", **EXAMPLE, **given)["ExecutionRoleDefaultPolicy1742C18B"]
    assert "arn:aws-cn:iam::*:role/rolecall-reporter" in json.dumps(policy)


def pack(region: str, **given: object) -> Json:
    """The pack's properties, its parameters as one object."""
    found = properties("AWS::Config::OrganizationConformancePack", f"Rolecall-Rule-{region}", **EXAMPLE, **given)
    named = {one["ParameterName"]: one["ParameterValue"] for one in found.pop("ConformancePackInputParameters")}
    return {**found, "Parameters": named}


@pytest.mark.parametrize("region", REGIONS)
def test_the_pack_goes_to_everybody_but_the_management_account(region: str) -> None:
    """The static template with this region's function; what IAM users have is checked in the home region alone."""
    everywhere = {
        "FunctionArn": FUNCTION,
        "RuleName": "rolecall-ec2-instance-profile",
        "ScheduleFrequency": "TwentyFour_Hours",
        "Ec2Imdsv2": "true",
        "LaunchTemplateImdsv2": "true",
    }
    at_home = {"AccessKeysRotated": "true", "UnusedCredentials": "true"}
    assert pack(region) == {
        "OrganizationConformancePackName": "Rolecall",
        "ExcludedAccounts": [MANAGEMENT],
        "TemplateBody": (TEMPLATES / "conformance-pack.yaml").read_text(),
        "Parameters": everywhere | at_home if region == HOME else everywhere,
    }
    resource = resources("AWS::Config::OrganizationConformancePack", f"Rolecall-Rule-{region}", **EXAMPLE)["Pack"]
    assert resource["DependsOn"] == ["InvocationPolicy4ACEB68F"]


def test_settings_reach_the_pack() -> None:
    """Excluded accounts; rule parameters where they differ from the defaults; no companion that is not asked for."""
    found = pack(HOME, **EVERYTHING)
    assert found["ExcludedAccounts"] == [MEMBER]
    assert found["Parameters"] == {
        "FunctionArn": FUNCTION,
        "RuleName": "rolecall-ec2-instance-profile",
        "ScheduleFrequency": "TwentyFour_Hours",
        "exemptionTagKey": "no-role",
        "exemptionMaxDays": "90",
    }


def test_one_account_may_have_the_pack_too() -> None:
    """The setting conformancePack: the same template, with the permission of the rule that it replaces."""
    given: Json = {"conformancePack": True, "companionRules": ["access-keys-rotated"]}
    (name,) = resources("AWS::Lambda::Permission", **given)
    assert properties("AWS::Lambda::Permission", **given) == properties("AWS::Lambda::Permission")
    assert resources("AWS::Config::ConformancePack", **given) == {
        "Pack": {
            "Properties": {
                "ConformancePackName": "Rolecall",
                "TemplateBody": (TEMPLATES / "conformance-pack.yaml").read_text(),
                "ConformancePackInputParameters": [
                    {"ParameterName": "FunctionArn", "ParameterValue": FUNCTION},
                    {"ParameterName": "RuleName", "ParameterValue": "rolecall-ec2-instance-profile"},
                    {"ParameterName": "ScheduleFrequency", "ParameterValue": "TwentyFour_Hours"},
                    {"ParameterName": "AccessKeysRotated", "ParameterValue": "true"},
                ],
            },
            "DependsOn": [name],
        }
    }
    assert not resources("AWS::Config::ConfigRule", **given)


def static(name: str) -> Json:
    """A static template, its intrinsics in the long form."""
    return dict(json.loads(json.dumps(cfn_yaml.load(str(TEMPLATES / name)))))


def test_the_packs_rule_is_the_rule_of_one_account() -> None:
    """Scope, messages and description; each parameter of the rule can be set, and blank leaves its default."""
    found = static("conformance-pack.yaml")["Resources"]["Rule"]["Properties"]
    alone = properties("AWS::Config::ConfigRule")
    source = alone["Source"]
    source["SourceIdentifier"] = {"Ref": "FunctionArn"}
    source["SourceDetails"][-1]["MaximumExecutionFrequency"] = {"Ref": "ScheduleFrequency"}
    assert found == {
        **alone,
        "ConfigRuleName": {"Ref": "RuleName"},
        "InputParameters": {
            name: {"Fn::If": [f"{name}Given", {"Ref": name}, {"Ref": "AWS::NoValue"}]} for name in PARAMETERS
        },
    }


def test_the_pack_has_a_switch_for_every_companion() -> None:
    """Off by default, on when its parameter is the text true."""
    found = static("conformance-pack.yaml")
    companions = {name: one for name, one in found["Resources"].items() if name != "Rule"}
    assert {one["Properties"]["ConfigRuleName"] for one in companions.values()} == set(COMPANION_RULES)
    assert set(COMPANIONS) == set(COMPANION_RULES)
    for one in companions.values():
        parameter = COMPANIONS[one["Properties"]["ConfigRuleName"]].parameter
        assert one["Condition"] == f"With{parameter}"
        assert found["Conditions"][f"With{parameter}"] == {"Fn::Equals": ["true", {"Ref": parameter}]}
        assert found["Parameters"][parameter]["Default"] == "false"
        assert one["Properties"]["Source"] == {
            "Owner": "AWS",
            "SourceIdentifier": one["Properties"]["ConfigRuleName"].upper().replace("-", "_"),
        }


def lets_in(role: str) -> Json:
    """A trust policy for one role of the audit account, as long as that account is in the organization."""
    trusted = f"arn:${{AWS::Partition}}:iam::${{AuditAccountId}}:role/${{{role}}}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": {"Ref": "AuditAccountId"}},
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": {"Fn::Sub": trusted}},
                    "StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}},
                },
            }
        ],
    }


def test_the_member_roles_trust_one_role_each_and_may_do_a_few_things() -> None:
    """The whole template: an action, a principal or a wildcard more makes this fail."""
    found = static("member-roles.yaml")
    product = "arn:${AWS::Partition}:securityhub:*:${AWS::AccountId}:product/${AWS::AccountId}/default"
    assert found["Conditions"] == {
        f"With{role}": {"Fn::Not": [{"Fn::Equals": ["", {"Ref": f"{role}RoleName"}]}]}
        for role in ("Collector", "Publisher")
    }
    assert {name: one.get("Default") for name, one in found["Parameters"].items()} == {
        "ReporterRoleName": None,
        "AuditAccountId": None,
        "ExecutionRoleName": None,
        "OrganizationId": None,
        "PublisherRoleName": "",
        "FindingsRoleName": "",
        "CollectorRoleName": "",
        "CollectFunctionRoleName": "",
    }
    assert found["Resources"] == {
        "Collector": {
            "Type": "AWS::IAM::Role",
            "Condition": "WithCollector",
            "Properties": {
                "RoleName": {"Ref": "CollectorRoleName"},
                "Description": (
                    "Lets the evidence of rolecall show whether AWS Config records here, and how many access keys "
                    "there are"
                ),
                "AssumeRolePolicyDocument": lets_in("CollectFunctionRoleName"),
                "Policies": [
                    {
                        "PolicyName": "collect",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": [
                                        "config:DescribeConfigurationRecorderStatus",
                                        "config:DescribeConfigurationRecorders",
                                        "iam:GenerateCredentialReport",
                                        "iam:GetCredentialReport",
                                    ],
                                    "Resource": "*",  # these actions have no resource types of use
                                }
                            ],
                        },
                    }
                ],
            },
        },
        "Publisher": {
            "Type": "AWS::IAM::Role",
            "Condition": "WithPublisher",
            "Properties": {
                "RoleName": {"Ref": "PublisherRoleName"},
                "Description": "Lets rolecall keep its Security Hub findings in this account",
                "AssumeRolePolicyDocument": lets_in("FindingsRoleName"),
                "Policies": [
                    {
                        "PolicyName": "publish",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": "securityhub:BatchImportFindings",
                                    "Resource": {"Fn::Sub": product},
                                }
                            ],
                        },
                    }
                ],
            },
        },
        "Reporter": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": {"Ref": "ReporterRoleName"},
                "Description": "Lets the rule of rolecall read and report the compliance of this account",
                "AssumeRolePolicyDocument": lets_in("ExecutionRoleName"),
                "Policies": [
                    {
                        "PolicyName": "report",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                config_statements("")[0],
                                {
                                    "Effect": "Allow",
                                    "Action": "config:GetComplianceDetailsByConfigRule",
                                    "Resource": {
                                        "Fn::Sub": "arn:${AWS::Partition}:config:*:${AWS::AccountId}:config-rule/*"
                                    },
                                },
                            ],
                        },
                    }
                ],
            },
        },
    }


def stack_set(**given: object) -> Json:
    """The StackSet's properties, its parameters as one object."""
    found = properties("AWS::CloudFormation::StackSet", "Rolecall-MemberRoles", **EXAMPLE, **given)
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in found.pop("Parameters")}
    return {**found, "Parameters": parameters}


def test_the_member_roles_go_to_every_account_of_the_units() -> None:
    """By the delegated administrator, now and when an account joins, in one region: IAM has no more."""
    assert stack_set() == {
        "StackSetName": "Rolecall-MemberRoles",
        "Description": "The roles by which rolecall reports evaluations and findings into each account",
        "PermissionModel": "SERVICE_MANAGED",
        "CallAs": "DELEGATED_ADMIN",
        "AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": False},
        "ManagedExecution": {"Active": True},
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "OperationPreferences": {
            "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
            "FailureTolerancePercentage": 10,
            "MaxConcurrentPercentage": 100,
        },
        "StackInstancesGroup": [
            {"DeploymentTargets": {"OrganizationalUnitIds": [ORGANIZATION_ROOT]}, "Regions": [HOME]}
        ],
        "TemplateBody": (TEMPLATES / "member-roles.yaml").read_text(),
        "Parameters": {
            "ReporterRoleName": "rolecall-reporter",
            "AuditAccountId": AUDIT,
            "ExecutionRoleName": "rolecall-rule",
            "OrganizationId": ORGANIZATION,
            "PublisherRoleName": "rolecall-publisher",
            "FindingsRoleName": "rolecall-findings",
        },
    }
    without = stack_set(securityHub=False)["Parameters"]
    assert "PublisherRoleName" not in without
    assert "FindingsRoleName" not in without


def test_excluded_accounts_get_no_role() -> None:
    """The prefix names all roles."""
    found = stack_set(**EVERYTHING)
    assert found["StackInstancesGroup"][0]["DeploymentTargets"] == {
        "OrganizationalUnitIds": [ORGANIZATION_ROOT],
        "Accounts": [MEMBER],
        "AccountFilterType": "DIFFERENCE",
    }
    assert found["Parameters"]["ReporterRoleName"] == "judge-reporter"
    assert found["Parameters"]["ExecutionRoleName"] == "judge-rule"
    assert found["Parameters"]["PublisherRoleName"] == "judge-publisher"
    assert found["Parameters"]["FindingsRoleName"] == "judge-findings"


def test_the_management_account_gets_the_same_roles_when_it_is_included() -> None:
    """From the same template, in a stack of its own."""
    found = resources("AWS::IAM::Role", "Rolecall-ManagementRole", **EXAMPLE, **EVERYTHING)
    assert {name: (one["Properties"]["RoleName"], one.get("Condition")) for name, one in found.items()} == {
        "Reporter": ("judge-reporter", None),
        "Publisher": ({"Ref": "PublisherRoleName"}, "WithPublisher"),
        "Collector": ({"Ref": "CollectorRoleName"}, "WithCollector"),
    }
    for role in found.values():
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"AWS": AUDIT}
        assert trust["Condition"]["StringEquals"] == {"aws:PrincipalOrgID": ORGANIZATION}
    report = found["Reporter"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert report[0] == config_statements("")[0]
    whole = template("Rolecall-ManagementRole", **EXAMPLE, **EVERYTHING)
    assert whole["Parameters"]["PublisherRoleName"]["Default"] == "judge-publisher"
    assert whole["Parameters"]["FindingsRoleName"]["Default"] == "judge-findings"
    assert whole["Conditions"] == static("member-roles.yaml")["Conditions"]
    assert not (assembly(**EXAMPLE) / "Rolecall-ManagementRole.template.json").exists()


def stacks(**given: object) -> dict[str, tuple[str, list[str]]]:
    """Each stack's environment and the stacks that it is deployed after."""
    manifest = json.loads((assembly(**EXAMPLE, **given) / "manifest.json").read_text())
    assert "missing" not in manifest  # what would have to be looked up
    return {
        name: (
            artifact["environment"].removeprefix("aws://"),
            sorted(one for one in artifact["dependencies"] if not one.endswith(".assets")),
        )
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }


def test_the_stacks_their_places_and_their_order() -> None:
    """A rule comes after whatever its function needs, in every region, and after what takes its records."""
    assert stacks() == {
        "Rolecall-Home": (f"{AUDIT}/{HOME}", []),
        "Rolecall-MemberRoles": (f"{AUDIT}/{HOME}", []),
        "Rolecall-Findings": (f"{AUDIT}/{HOME}", ["Rolecall-Home", "Rolecall-MemberRoles"]),
        "Rolecall-SecurityHub": (f"{AUDIT}/{HOME}", []),
        "Rolecall-Guardrail": (f"{MANAGEMENT}/{HOME}", []),
        **{
            f"Rolecall-Rule-{region}": (
                f"{AUDIT}/{region}",
                ["Rolecall-Findings", "Rolecall-Home", "Rolecall-MemberRoles"],
            )
            for region in REGIONS
        },
    }


def test_stacks_are_added_and_left_out_by_settings() -> None:
    """The management account's role is one that rules wait for; the guardrail may be somebody else's."""
    before = ["Rolecall-Home", "Rolecall-ManagementRole", "Rolecall-MemberRoles"]
    assert stacks(**EVERYTHING) == {
        "Rolecall-Home": (f"{AUDIT}/{HOME}", []),
        "Rolecall-Findings": (f"{AUDIT}/{HOME}", before),
        "Rolecall-SecurityHub": (f"{AUDIT}/{HOME}", []),
        "Rolecall-MemberRoles": (f"{AUDIT}/{HOME}", []),
        "Rolecall-ManagementRole": (f"{MANAGEMENT}/{HOME}", []),
        "Rolecall-Guardrail": (f"{MANAGEMENT}/{HOME}", []),
        HOME_RULE: (f"{AUDIT}/{HOME}", ["Rolecall-Findings", *before]),
    }
    assert not {"Rolecall-Findings", "Rolecall-SecurityHub"} & set(stacks(securityHub=False))
    assert "Rolecall-Guardrail" not in stacks(**VARIANTS["GovCloud without a guardrail"])


LIMITS = [CONFORMANCE_PACK, STACK_SET, RESOURCE_POLICY, SERVICE_CONTROL_POLICY, TAG_POLICY]


def test_the_limits_are_those_of_aws() -> None:
    """API references: Config, CloudFormation, Lambda, Organizations."""
    assert [(one.size, one.unit) for one in LIMITS] == [
        (51_200, "bytes"),
        (51_200, "bytes"),
        (20_480, "characters"),
        (5_120, "characters"),
        (10_000, "characters"),
    ]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.document)
def test_a_document_may_fill_its_limit_and_no_more(limit: Limit) -> None:
    """One character beyond is one line that says what to do."""
    letter = "é" if limit.unit == "characters" else "e"
    assert limit.check(letter * limit.size, "Shorten it") == letter * limit.size
    with pytest.raises(InvalidSettings) as refused:
        limit.check(letter * (limit.size + 1), "Shorten it")
    assert str(refused.value) == (
        f"{limit.document} is {limit.size + 1} {limit.unit}; allowed: at most {limit.size}, {limit.owner}. Shorten it"
    )


def test_bytes_are_no_characters() -> None:
    """A letter beyond ASCII takes two."""
    with pytest.raises(InvalidSettings, match="is 51202 bytes"):
        CONFORMANCE_PACK.check("é" * 25_601, "Shorten it")


def test_as_many_accounts_as_fit_may_invoke_by_name() -> None:
    """The policy is measured with the longest name that its function can get; each account takes 15 characters."""

    def measured(number: int) -> str:
        return check_size(organization_settings(invokeTrust="accounts", memberAccounts=accounts(number)), HOME)

    most = 1 + (RESOURCE_POLICY.size - len(measured(1))) // len(f'"{MEMBER}",')
    assert len(measured(most)) <= RESOURCE_POLICY.size
    with pytest.raises(
        InvalidSettings, match=r"allowed: at most 20480, AWS Lambda's limit. Let the setting invokeTrust"
    ):
        measured(most + 1)
    assert len(check_size(organization_settings(), HOME)) < 400


def test_a_document_that_is_too_large_ends_synth_in_one_line(tmp_path: Path) -> None:
    """By the command line, as a user sees it."""
    approvers = ",".join(f"approver-of-the-team-with-the-number-{number}" for number in range(30))
    arguments = ["-c", "environment=organization-example", "-c", f"exemptionApproverRoles={approvers}"]
    refused = cdk("synth", "--quiet", "--output", str(tmp_path), *arguments)
    assert refused.returncode == 1
    # A package that was not there yet tells of itself.
    said = [line for line in refused.stderr.splitlines() if not line.startswith("rolecall: ")]
    assert re.fullmatch(
        r"the service control policy is \d+ characters; allowed: at most 5120, AWS Organizations' limit. "
        r"Shorten the settings exemptionApproverRoles and deployerRoles",
        said[0],
    )


def test_synth_of_an_organization_needs_no_credentials(tmp_path: Path) -> None:
    """By the command line, with the real deployment package in every region."""
    done = cdk("synth", "--quiet", "--output", str(tmp_path), "-c", "environment=organization-example")
    assert done.returncode == 0, done.stderr
    assert {path.name.removesuffix(".template.json") for path in tmp_path.glob("*.template.json")} == set(stacks())


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_cdk_nag_finds_nothing(settings: Json) -> None:
    """It looks at each stack of each synthesis, and a finding would have ended this one."""
    report = json.loads((assembly(**EXAMPLE, **settings) / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_cfn_lint_finds_nothing() -> None:
    """In no template of any variant, for the region that it is meant for, nor in the templates within them."""
    lint = Path(sys.executable).with_name("cfn-lint")
    by_region: dict[str, list[Path]] = {HOME: sorted(TEMPLATES.glob("*.yaml"))}
    for settings in VARIANTS.values():
        for name, (environment, _) in stacks(**settings).items():
            folder = assembly(**EXAMPLE, **settings)
            by_region.setdefault(environment.split("/")[1], []).append(folder / f"{name}.template.json")
    for region, files in by_region.items():
        found = subprocess.run(  # noqa: S603  # our own templates
            [lint, "--regions", region, "--", *files], capture_output=True, text=True, check=False
        )
        assert (found.stdout, found.stderr, found.returncode) == ("", "", 0), region
