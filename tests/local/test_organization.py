import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.evidence_steps import COLLECTOR_ACTIONS
from infra.pack import TEMPLATE
from local.aws import LocalAws
from local.cloud_assembly import AssemblyError, Place
from local.nested_template import nested_stack
from local.organization import Organization, OrganizationAssembly, read_organization
from tests.builders import Json
from tests.infra.organization import AUDIT, EXAMPLE, HOME, MEMBER, ORGANIZATION, organization_settings
from tests.infra.synthesis import assembly

ONE_REGION: Json = {**EXAMPLE, "regions": HOME, "ruleParameters": {"exemptionMaxDays": 90}}
PLACE = Place(MEMBER, HOME)
FUNCTION = f"arn:aws:lambda:{HOME}:{AUDIT}:function:Rolecall-Rule-{HOME}-RuleFunction"
RULE = "rolecall-ec2-instance-profile"


@pytest.fixture(scope="module")
def synthesized() -> OrganizationAssembly:
    """The example organization's stacks, in one region."""
    return read_organization(assembly(**ONE_REGION))


@pytest.fixture(scope="module")
def aws(synthesized: OrganizationAssembly) -> Iterator[LocalAws]:
    """Its audit account."""
    with LocalAws(synthesized.audit_account, synthesized.region) as running:
        yield running


@pytest.fixture
def organization(aws: LocalAws, synthesized: OrganizationAssembly) -> Organization:
    """With no member yet."""
    return Organization(aws, synthesized)


def test_accounts_and_region_are_those_of_the_settings(synthesized: OrganizationAssembly) -> None:
    """Nothing about the organization is told twice."""
    settings = organization_settings(**ONE_REGION)
    assert synthesized.audit_account == settings.audit_account_id == AUDIT
    assert synthesized.region == settings.home_region == HOME
    assert synthesized.organization_id == settings.organization_id == ORGANIZATION


def test_a_member_gets_the_packs_rule_under_a_name_of_its_own(aws: LocalAws, organization: Organization) -> None:
    """As the pack resolves: parameters that are given, none that are blank, and the audit account's function."""
    names = [organization.join(account) for account in (MEMBER, "444455556666")]
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"{RULE}-conformance-pack-") for name in names)
    [rule] = aws.client("config", MEMBER).describe_config_rules()["ConfigRules"]
    assert rule.pop("ConfigRuleArn").startswith(f"arn:aws:config:{HOME}:{MEMBER}:config-rule/")
    assert rule.pop("ConfigRuleId")
    assert rule == {
        "ConfigRuleName": names[0],
        "Description": "Every EC2 instance carries an IAM instance profile, or a documented reason not to.",
        "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Instance"]},
        "InputParameters": '{"exemptionMaxDays":"90"}',
        "Source": {
            "Owner": "CUSTOM_LAMBDA",
            "SourceIdentifier": FUNCTION,
            "SourceDetails": [
                {"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"},
                {"EventSource": "aws.config", "MessageType": "OversizedConfigurationItemChangeNotification"},
                {
                    "EventSource": "aws.config",
                    "MessageType": "ScheduledNotification",
                    "MaximumExecutionFrequency": "TwentyFour_Hours",
                },
            ],
        },
        "ConfigRuleState": "ACTIVE",
        "EvaluationModes": [{"Mode": "DETECTIVE"}],
    }


ROLES: Json = {
    "rolecall-reporter": ("rolecall-rule", "report", ["*", f"arn:aws:config:*:{MEMBER}:config-rule/*"]),
    "rolecall-publisher": (
        "rolecall-findings",
        "publish",
        [f"arn:aws:securityhub:*:{MEMBER}:product/{MEMBER}/default"],
    ),
}
"""By the names of the roles: whom they let in, their only policy, and on what it allows something."""


def test_the_roles_are_those_of_the_stackset(aws: LocalAws, organization: Organization) -> None:
    """Trust and permissions, resolved in the member account; before, there are none."""
    iam = aws.client("iam", MEMBER)
    assert iam.list_roles()["Roles"] == []
    organization.roll_out_role(MEMBER)
    roles = {role["RoleName"]: role for role in iam.list_roles()["Roles"]}
    assert roles.keys() == ROLES.keys()
    for name, (let_in, policy_name, allowed_on) in ROLES.items():
        policy = iam.get_role_policy(RoleName=name, PolicyName=policy_name)["PolicyDocument"]
        assert roles[name]["Arn"] == f"arn:aws:iam::{MEMBER}:role/{name}"
        assert roles[name]["AssumeRolePolicyDocument"]["Statement"] == [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": AUDIT},
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{AUDIT}:role/{let_in}"},
                    "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION},
                },
            }
        ]
        assert [statement["Resource"] for statement in policy["Statement"]] == allowed_on


def test_with_evidence_there_is_a_role_that_lets_the_collecting_function_in(aws: LocalAws) -> None:
    """Alone, and to what is read in the account itself; one that is there already stays as it is."""
    account = "777788889999"
    organization = Organization(aws, read_organization(assembly(**ONE_REGION, evidence=True)))
    iam = aws.client("iam", account)
    organization.roll_out_role(account)
    before = iam.get_role(RoleName="rolecall-collector")["Role"]
    organization.roll_out_role(account)
    assert iam.get_role(RoleName="rolecall-collector")["Role"] == before
    [statement] = before["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{AUDIT}:role/rolecall-evidence-collect"},
        "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION},
    }
    policy = iam.get_role_policy(RoleName="rolecall-collector", PolicyName="collect")["PolicyDocument"]
    assert [one["Action"] for one in policy["Statement"]] == [[*COLLECTOR_ACTIONS]]


def test_the_aggregator_is_that_of_the_home_stack(aws: LocalAws, organization: Organization) -> None:
    """By the name that the evidence functions are told, over all accounts and regions."""
    organization.aggregate()
    [aggregator] = aws.client("config").describe_configuration_aggregators()["ConfigurationAggregators"]
    assert aggregator["ConfigurationAggregatorName"] == "rolecall"
    assert aggregator["OrganizationAggregationSource"] == {
        "RoleArn": f"arn:aws:iam::{AUDIT}:role/rolecall-aggregator",
        "AllAwsRegions": True,
    }


def test_without_findings_there_is_no_role_for_them(aws: LocalAws) -> None:
    """The template decides, by a blank name."""
    account = "666677778888"
    Organization(aws, read_organization(assembly(**ONE_REGION, securityHub=False))).roll_out_role(account)
    assert [role["RoleName"] for role in aws.client("iam", account).list_roles()["Roles"]] == ["rolecall-reporter"]


def test_an_assembly_of_several_regions_holds_several_packs() -> None:
    """Which of them to run is for its caller to say, by synthesizing one region."""
    several = read_organization(assembly(**EXAMPLE))
    with pytest.raises(AssemblyError, match=r"^the assembly holds 3 resources of type .*; allowed: one$"):
        several.pack(PLACE)


def test_an_assembly_of_one_account_is_no_organizations() -> None:
    """There is no StackSet in it."""
    with pytest.raises(AssemblyError, match=r"^the assembly holds 0 resources of type AWS::CloudFormation::StackSet"):
        read_organization(assembly())


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ({}, ["Rule"]),
        ({"Ec2Imdsv2": "true", "UnusedCredentials": "true"}, ["Rule", "Ec2Imdsv2Rule", "UnusedCredentialsRule"]),
    ],
)
def test_conditions_decide_which_rules_a_pack_holds(given: dict[str, str], rules: list[str]) -> None:
    """The companion rules are left out unless a parameter asks for them."""
    required = {"FunctionArn": FUNCTION, "RuleName": RULE}
    stack = nested_stack("pack", TEMPLATE.read_text(encoding="utf-8"), {**required, **given}, PLACE)
    assert list(stack.of_type("AWS::Config::ConfigRule")) == rules


def body(condition: object) -> str:
    """A template with one condition and one resource."""
    template: dict[str, Any] = {
        "Parameters": {"Name": {"Type": "String", "Default": "one"}},
        "Conditions": {"IsIt": condition},
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::If": ["IsIt", "a", "b"]}}}
        },
    }
    return json.dumps(template)


@pytest.mark.parametrize(
    ("condition", "given", "name"),
    [
        ({"Fn::Equals": [{"Ref": "Name"}, "one"]}, {}, "a"),
        ({"Fn::Equals": [{"Ref": "Name"}, "one"]}, {"Name": "two"}, "b"),
        ({"Fn::Not": [{"Fn::Equals": [{"Ref": "Name"}, "one"]}]}, {"Name": "two"}, "a"),
    ],
)
def test_conditions_decide_properties(condition: object, given: dict[str, str], name: str) -> None:
    """By the parameters that are given, else by their defaults."""
    assert nested_stack("nested", body(condition), given, PLACE).physical_name("Topic") == name


@pytest.mark.parametrize(
    ("condition", "given", "error"),
    [
        ({"Fn::Equals": ["", ""]}, {"Nmae": "two"}, "nested is given Nmae; allowed: Name"),
        ({"Fn::Or": []}, {}, 'nested: IsIt is {"Fn::Or": []}; allowed: Fn::Not and Fn::Equals'),
    ],
)
def test_what_is_not_understood_is_refused(condition: object, given: dict[str, str], error: str) -> None:
    """Rather than deployed as something else."""
    with pytest.raises(AssemblyError) as refused:
        nested_stack("nested", body(condition), given, PLACE)
    assert str(refused.value) == error
