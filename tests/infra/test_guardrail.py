import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import pytest

from infra.guardrail import service_control_policy, tag_policy
from infra.limits import SERVICE_CONTROL_POLICY, TAG_POLICY
from rolecall.exemption import COMPANIONS
from rolecall.model import ComplianceType, Reason
from rolecall.parameters import RuleParameters
from rolecall.rule import evaluate
from tests.builders import NO_ROLE, NOW, exemption_tags, instance_item
from tests.infra.organization import AUDIT, EXAMPLE, HOME, MANAGEMENT, MEMBER, ROOT, organization_settings
from tests.infra.policy_evaluator import ADMINISTRATOR, INSTANCE, Request, allowed, passes
from tests.infra.synthesis import Json, resources

SCP = service_control_policy(organization_settings())
APPROVER = "role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ExemptionApprover_0123456789abcdef"
GROUP = f"arn:aws:autoscaling:{HOME}:{MEMBER}:autoScalingGroup:0a1b2c3d:autoScalingGroupName/web"
AUTO_SCALING = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
ROLE = f"arn:aws:iam::{MEMBER}:role"
KEYS = [NO_ROLE, *(f"{NO_ROLE}:{companion}" for companion in COMPANIONS)]
EXEMPT = {NO_ROLE: "licensed appliance"}
STACK_SETS = "role/stacksets-exec-0123456789abcdef0123456789abcdef"
CDK_ROLE = f"role/cdk-hnb659fds-cfn-exec-role-{AUDIT}-{HOME}"


def test_the_policies_are_attached_to_the_units() -> None:
    """As the management account deploys them: both, with what the tests below judge."""
    found = resources("AWS::Organizations::Policy", "Rolecall-Guardrail", **EXAMPLE)
    assert [one["Properties"] for one in found.values()] == [
        {
            "Name": "Rolecall-ExemptionTags",
            "Description": "Only approvers exempt EC2 instances from having a role; "
            "nobody changes the roles of rolecall",
            "Type": "SERVICE_CONTROL_POLICY",
            "Content": SCP,
            "TargetIds": [ROOT],
        },
        {
            "Name": "Rolecall-ExemptionTagSpelling",
            "Description": "The exemption tags of EC2 instances are spelled as rolecall reads them",
            "Type": "TAG_POLICY",
            "Content": tag_policy(organization_settings()),
            "TargetIds": [ROOT],
        },
    ]


FOR_OTHERS = {
    "ArnNotLike": {
        "aws:PrincipalArn": ["arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_ExemptionApprover_*"]
    }
}
NAMING_THEM = {"ForAnyValue:StringLike": {"aws:TagKeys": [NO_ROLE, f"{NO_ROLE}:*"]}, **FOR_OTHERS}


def test_the_service_control_policy() -> None:
    """Every statement whole; it only ever denies."""
    assert SCP == {  # noqa: SIM300  # it is not the constant here
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ExemptionTagsOfInstances",
                "Effect": "Deny",
                "Action": ["ec2:CreateFleet", "ec2:CreateTags", "ec2:DeleteTags", "ec2:RunInstances"],
                "Resource": "arn:aws:ec2:*:*:instance/*",
                "Condition": NAMING_THEM,
            },
            {
                "Sid": "ExemptionTagsOfAutoScalingGroups",
                "Effect": "Deny",
                "Action": [
                    "autoscaling:CreateAutoScalingGroup",
                    "autoscaling:CreateOrUpdateTags",
                    "autoscaling:DeleteTags",
                ],
                "Resource": "arn:aws:autoscaling:*:*:autoScalingGroup:*",
                "Condition": NAMING_THEM,
            },
            {
                "Sid": "TagsBesideAnExemption",
                "Effect": "Deny",
                "Action": ["autoscaling:DeleteTags", "ec2:DeleteTags"],
                "Resource": ["arn:aws:autoscaling:*:*:autoScalingGroup:*", "arn:aws:ec2:*:*:instance/*"],
                "Condition": {"Null": {f"aws:ResourceTag/{NO_ROLE}": "false"}, **FOR_OTHERS},
            },
            {
                "Sid": "RolesOfRolecall",
                "Effect": "Deny",
                "Action": [
                    "iam:AttachRolePolicy",
                    "iam:CreateRole",
                    "iam:DeleteRole",
                    "iam:DeleteRolePermissionsBoundary",
                    "iam:DeleteRolePolicy",
                    "iam:DetachRolePolicy",
                    "iam:PutRolePermissionsBoundary",
                    "iam:PutRolePolicy",
                    "iam:TagRole",
                    "iam:UntagRole",
                    "iam:UpdateAssumeRolePolicy",
                    "iam:UpdateRole",
                    "iam:UpdateRoleDescription",
                ],
                "Resource": [
                    "arn:aws:iam::*:role/rolecall-*",
                    "arn:aws:iam::*:role/stacksets-exec-*",
                    "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_ExemptionApprover_*",
                ],
                "Condition": {
                    "ArnNotLike": {
                        "aws:PrincipalArn": [
                            "arn:aws:iam::*:role/stacksets-exec-*",
                            f"arn:aws:iam::{AUDIT}:role/cdk-hnb659fds-cfn-exec-role-{AUDIT}-*",
                        ]
                    }
                },
            },
        ],
    }


def test_settings_change_what_the_policies_are_about() -> None:
    """The exemption tag's key, the prefix, the deployers and the partition."""
    settings = organization_settings(
        homeRegion="us-gov-west-1",
        regions="us-gov-west-1",
        memberAccounts=MEMBER,
        rolePrefix="judge",
        ruleParameters={"exemptionTagKey": "No Role"},
        exemptionApproverRoles="approver",
        deployerRoles="deployer,platform/*",
    )
    tags, _, deletions, roles = service_control_policy(settings, "mine")["Statement"]
    assert tags["Resource"] == "arn:aws-us-gov:ec2:*:*:instance/*"
    assert tags["Condition"]["ForAnyValue:StringLike"] == {"aws:TagKeys": ["No Role", "No Role:*"]}
    assert deletions["Condition"]["Null"] == {"aws:ResourceTag/No Role": "false"}
    assert roles["Resource"] == [
        "arn:aws-us-gov:iam::*:role/judge-*",
        "arn:aws-us-gov:iam::*:role/stacksets-exec-*",
        "arn:aws-us-gov:iam::*:role/approver",
    ]
    assert roles["Condition"]["ArnNotLike"]["aws:PrincipalArn"] == [
        "arn:aws-us-gov:iam::*:role/stacksets-exec-*",
        f"arn:aws-us-gov:iam::{AUDIT}:role/cdk-mine-cfn-exec-role-{AUDIT}-*",
        "arn:aws-us-gov:iam::*:role/deployer",
        "arn:aws-us-gov:iam::*:role/platform/*",
    ]
    spelled = tag_policy(settings)["tags"]
    assert spelled["no role:expires"] == {
        "tag_key": {"@@assign": "No Role:expires"},
        "enforced_for": {"@@assign": ["ec2:instance"]},
    }


def test_the_policies_fit_with_the_longest_tag_key() -> None:
    """What a rule parameter may be must not end in an error about a policy."""
    settings = organization_settings(ruleParameters={"exemptionTagKey": "k" * 116})
    for document, limit in (
        (service_control_policy(settings), SERVICE_CONTROL_POLICY),
        (tag_policy(settings), TAG_POLICY),
    ):
        assert len(json.dumps(document, separators=(",", ":"))) < limit.size


def denial(**condition: object) -> Json:
    """A policy that denies tagging under a condition."""
    statement = {
        "Effect": "Deny",
        "Action": "ec2:*Tags",
        "Resource": "arn:aws:ec2:*:*:instance/*",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


ANY_OF_TWO = {"ForAnyValue:StringLike": {"aws:TagKeys": ["a", "a:*"]}}
NOT_APPROVER = {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x/*Approver_*"}}
TAGGED = {"Null": {"aws:ResourceTag/a": "false"}}

EVALUATOR: Mapping[str, tuple[Json, Request, bool]] = {
    "one of several keys is enough": (ANY_OF_TWO, Request("ec2:CreateTags", tag_keys=["b", "a"]), False),
    "a wildcard takes any ending": (ANY_OF_TWO, Request("ec2:CreateTags", tag_keys=["a:expires"]), False),
    "and an empty one": (ANY_OF_TWO, Request("ec2:CreateTags", tag_keys=["a:"]), False),
    "a key that only begins like it does not match": (ANY_OF_TWO, Request("ec2:CreateTags", tag_keys=["ab"]), True),
    "case counts": (ANY_OF_TWO, Request("ec2:CreateTags", tag_keys=["A"]), True),
    "ForAnyValue is false without the key": (ANY_OF_TWO, Request("ec2:DeleteTags"), True),
    "ForAnyValue is false of an empty list": (ANY_OF_TWO, Request("ec2:DeleteTags", tag_keys=[]), True),
    "ForAllValues is true without the key": (
        {"ForAllValues:StringLike": {"aws:TagKeys": ["a"]}},
        Request("ec2:DeleteTags"),
        False,
    ),
    "ArnNotLike leaves out whom it names": (
        NOT_APPROVER,
        Request("ec2:CreateTags", principal="role/x/y/AApprover_1"),
        True,
    ),
    "and nobody else": (NOT_APPROVER, Request("ec2:CreateTags", principal="role/AApprover_1"), False),
    "Null false means that the key is there": (TAGGED, Request("ec2:CreateTags", resource_tags={"a": ""}), False),
    "and not another": (TAGGED, Request("ec2:CreateTags", resource_tags={"b": "1"}), True),
    "both of two operators must hold": (
        {**ANY_OF_TWO, **TAGGED},
        Request("ec2:CreateTags", tag_keys=["a"], resource_tags={"b": "1"}),
        True,
    ),
    "another resource is not meant": (
        {},
        Request("ec2:CreateTags", resource=f"arn:aws:ec2:{HOME}:{MEMBER}:volume/vol-1"),
        True,
    ),
    "another action is not meant": ({}, Request("ec2:StartInstances"), True),
    "without a condition all of it is denied": ({}, Request("ec2:CreateTags"), False),
}


@pytest.mark.parametrize(("condition", "request_", "expected"), EVALUATOR.values(), ids=EVALUATOR)
def test_the_evaluator_answers_as_aws_documents(condition: Json, request_: Request, expected: bool) -> None:
    """IAM User Guide: condition operators, set operators, Null. What it gets wrong, the tests below could not see."""
    assert passes(denial(**condition), request_) is expected


def test_the_evaluator_is_the_one_that_was_looked_at() -> None:
    """An explicit denial in a limit goes before any allowance; nothing is allowed without one."""
    assert version("ministack") == "1.5.33"
    assert allowed([ADMINISTRATOR], Request("ec2:CreateTags"))
    assert not allowed([], Request("ec2:CreateTags"), [ADMINISTRATOR])
    assert not allowed([ADMINISTRATOR], Request("ec2:CreateTags"), [])


def denied() -> Iterator[tuple[str, Request]]:
    """What nobody but approvers may do, by a sentence."""
    for key in KEYS:
        for action in ("ec2:CreateTags", "ec2:DeleteTags", "ec2:RunInstances", "ec2:CreateFleet"):
            yield f"{action} naming {key}", Request(action, tag_keys=["Name", key])
        for action in ("CreateAutoScalingGroup", "CreateOrUpdateTags", "DeleteTags"):
            yield f"autoscaling:{action} naming {key}", Request(f"autoscaling:{action}", GROUP, tag_keys=[key])
    yield "an unknown companion", Request("ec2:CreateTags", tag_keys=[f"{NO_ROLE}:comment"])
    yield "deleting any tag of an exempt instance", Request("ec2:DeleteTags", tag_keys=["Name"], resource_tags=EXEMPT)
    yield "deleting all tags of an exempt instance", Request("ec2:DeleteTags", resource_tags=EXEMPT)
    yield (
        "deleting any tag of a group that exempts",
        Request("autoscaling:DeleteTags", GROUP, tag_keys=["Name"], resource_tags=EXEMPT),
    )


DENIED = dict(denied())


@pytest.mark.parametrize("request_", DENIED.values(), ids=DENIED)
def test_only_approvers_may(request_: Request) -> None:
    """Neither an administrator of the account, nor of the audit account, nor its root user, nor who deploys."""
    assert not passes(SCP, request_)
    for principal in ("root", "user/admin", STACK_SETS, "role/AWSReservedSSO_ExemptionApprover_1"):
        assert not passes(SCP, Request(**{**vars(request_), "principal": principal}))
    assert not passes(SCP, Request(**{**vars(request_), "account": AUDIT, "principal": CDK_ROLE}))
    assert passes(SCP, Request(**{**vars(request_), "principal": APPROVER}))


PASSES: Mapping[str, Request] = {
    "tags of one's own": Request("ec2:CreateTags", tag_keys=["Name", "intentional-no-role-list"]),
    "launching without the tag": Request("ec2:RunInstances", tag_keys=["Name"]),
    "launching without any tag": Request("ec2:RunInstances"),
    "deleting a tag of an instance that is not exempt": Request("ec2:DeleteTags", tag_keys=["Name"]),
    "setting another tag of an exempt instance": Request("ec2:CreateTags", tag_keys=["Name"], resource_tags=EXEMPT),
    "terminating an exempt instance": Request("ec2:TerminateInstances", resource_tags=EXEMPT),
    "the same tag on a volume": Request(
        "ec2:CreateTags", f"arn:aws:ec2:{HOME}:{MEMBER}:volume/vol-1", tag_keys=[NO_ROLE]
    ),
    "roles of one's own": Request("iam:CreateRole", f"{ROLE}/app"),
    "a role that only contains the prefix": Request("iam:DeleteRole", f"{ROLE}/my-rolecall-reporter"),
    "looking at the roles": Request("iam:GetRole", f"{ROLE}/rolecall-reporter"),
}


@pytest.mark.parametrize("request_", PASSES.values(), ids=PASSES)
def test_everything_else_passes(request_: Request) -> None:
    """A guardrail that is in the way is taken down."""
    assert passes(SCP, request_)


@pytest.mark.parametrize("action", SCP["Statement"][-1]["Action"])
def test_nobody_changes_the_roles(action: str) -> None:
    """Nor those that are excepted; but StackSets and the CDK in the audit account do."""
    approver = "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_ExemptionApprover_1"
    for role in ("role/rolecall-reporter", STACK_SETS, approver):
        resource = f"arn:aws:iam::{MEMBER}:{role}"
        for principal in (
            "role/admin",
            "root",
            APPROVER,
            f"role/cdk-hnb659fds-cfn-exec-role-{MEMBER}-{HOME}",
            CDK_ROLE,
        ):
            assert not passes(SCP, Request(action, resource, principal=principal))
        assert passes(SCP, Request(action, resource, principal=STACK_SETS))
    own = f"arn:aws:iam::{AUDIT}:role/rolecall-rule"
    assert passes(SCP, Request(action, own, principal=CDK_ROLE, account=AUDIT))
    assert not passes(SCP, Request(action, own, principal="role/admin", account=AUDIT))


GAPS: Mapping[str, Request] = {
    "a service-linked role sets what a launch template says": Request(
        "ec2:CreateTags", tag_keys=[NO_ROLE], principal=AUTO_SCALING
    ),
    "the management account is not bound": Request("ec2:CreateTags", tag_keys=[NO_ROLE], account=MANAGEMENT),
    "a launch template may name the tag: no condition key sees into it": Request(
        "ec2:CreateLaunchTemplate", f"arn:aws:ec2:{HOME}:{MEMBER}:launch-template/*"
    ),
    "all tags at once may be deleted from an instance that is not exempt": Request("ec2:DeleteTags"),
    "a misspelled tag may be set beside an exemption, which makes it invalid": Request(
        "ec2:CreateTags", tag_keys=["Intentional-No-Role:Expires"], resource_tags=EXEMPT
    ),
}


@pytest.mark.parametrize("request_", GAPS.values(), ids=GAPS)
def test_gaps(request_: Request) -> None:
    """What the policy cannot keep anybody from, as docs/organization.md says; when one closes, this fails."""
    assert passes(SCP, request_)


@pytest.mark.parametrize("gap", ["a service-linked role sets", "the management account is"])
def test_two_gaps_are_those_of_service_control_policies_themselves(gap: str) -> None:
    """The policy means them as well, but AWS does not ask it."""
    (request,) = (one for sentence, one in GAPS.items() if sentence.startswith(gap))
    assert not allowed([ADMINISTRATOR], request, [ADMINISTRATOR, SCP])


STRICT = RuleParameters(exemption_expiry_required=True, exemption_max_days=90, exemption_approver_required=True)
SOUND = exemption_tags(expires="2026-04-30", granted="2026-02-20", approved_by="on-call", ticket="OPS-1")
"""Exempts under STRICT, too."""

CANDIDATES = {
    NO_ROLE: "licensed appliance",
    f"{NO_ROLE}:expires": "2026-04-30",
    f"{NO_ROLE}:granted": "2026-02-20",
    f"{NO_ROLE}:approved-by": "on-call",
    f"{NO_ROLE}:ticket": "OPS-1",
    "Name": "web",
}
"""For each tag a value that can only help an exemption."""

MISSPELLED = (
    "Intentional-No-Role:Expires",
    "intentional_no_role:expires",
    "intentionalNoRoleGranted",
    f"{NO_ROLE}:expiry",
    f"{NO_ROLE}:Expires",
    "INTENTIONAL-NO-ROLE:comment",
    " intentional no role expires",
)
"""Each makes an exemption invalid while it is there."""

STATES: Mapping[str, Mapping[str, str]] = {
    "no exemption": {},
    "other tags alone": {"Name": "web"},
    "companions alone": {key: value for key, value in SOUND.items() if key != NO_ROLE},
    "a misspelled main tag": {"Intentional-No-Role": "licensed appliance"},
    "expired": {**SOUND, f"{NO_ROLE}:expires": "2026-02-27"},
    "without a reason": {**SOUND, NO_ROLE: " "},
    "expires on no day": {**SOUND, f"{NO_ROLE}:expires": "never"},
    "granted on no day": {**SOUND, f"{NO_ROLE}:granted": "today"},
    "granted in the future": {**SOUND, f"{NO_ROLE}:granted": "2026-03-20"},
    "expires before it was granted": {**SOUND, f"{NO_ROLE}:expires": "2026-02-19"},
    **{f"beside {tag!r}": {**SOUND, tag: "2026-03-01"} for tag in MISSPELLED},
    **{f"only the reason, beside {tag!r}": {NO_ROLE: "licensed appliance", tag: "x"} for tag in MISSPELLED},
}

STRICT_STATES: Mapping[str, Mapping[str, str]] = {
    **STATES,
    "too long": {**SOUND, f"{NO_ROLE}:expires": "2026-12-31"},
    **{
        f"without {companion}": {key: value for key, value in SOUND.items() if key != f"{NO_ROLE}:{companion}"}
        for companion in ("expires", "granted", "approved-by")
    },
}


def reason(tags: Mapping[str, str], parameters: RuleParameters) -> Reason:
    """The verdict on an instance without a profile that carries `tags`."""
    return evaluate(instance_item(profile=None, tags=tags), parameters, NOW).reason


def single_changes(tags: Mapping[str, str]) -> Iterator[tuple[Request, Mapping[str, str]]]:
    """Every call that changes one tag, and the tags after it; deleting all at once too."""
    for key, value in {**dict.fromkeys(tags, "2026-03-10"), **dict.fromkeys(MISSPELLED, "x"), **CANDIDATES}.items():
        yield Request("ec2:CreateTags", tag_keys=[key], resource_tags=tags), {**tags, key: value}
    for key in tags:
        left = {name: value for name, value in tags.items() if name != key}
        yield Request("ec2:DeleteTags", tag_keys=[key], resource_tags=tags), left
    yield Request("ec2:DeleteTags", resource_tags=tags), {}


def ways_out(policy: Mapping[str, object], tags: Mapping[str, str], parameters: RuleParameters) -> list[Request]:
    """The single changes that `policy` lets pass and that exempt the instance."""
    return [
        request
        for request, after in single_changes(tags)
        if passes(policy, request) and reason(after, parameters) is Reason.EXEMPT
    ]


@pytest.mark.parametrize(
    ("parameters", "tags"),
    [
        *(pytest.param(RuleParameters(), tags, id=f"defaults, {state}") for state, tags in STATES.items()),
        *(pytest.param(STRICT, tags, id=f"strict, {state}") for state, tags in STRICT_STATES.items()),
    ],
)
def test_no_single_tag_change_exempts(parameters: RuleParameters, tags: Mapping[str, str]) -> None:
    """From no state that is NON_COMPLIANT, by nobody but an approver; the rule itself says what exempts."""
    assert reason(tags, parameters).compliance_type is ComplianceType.NON_COMPLIANT
    assert ways_out(SCP, tags, parameters) == []


def test_that_test_would_find_a_way_out() -> None:
    """Without the policy there are some; without its third statement, deleting a misspelled companion is one."""
    beside = STATES["beside 'Intentional-No-Role:Expires'"]
    assert ways_out(ADMINISTRATOR, {}, RuleParameters()) == [Request("ec2:CreateTags", tag_keys=[NO_ROLE])]
    first_two: Json = {"Version": "2012-10-17", "Statement": SCP["Statement"][:2]}
    assert ways_out(first_two, beside, RuleParameters()) == [
        Request("ec2:DeleteTags", tag_keys=["Intentional-No-Role:Expires"], resource_tags=beside)
    ]


def test_every_state_can_be_mended_by_an_approver_or_by_a_role() -> None:
    """The states are what they are called: the sound exemption exempts under both sets of parameters."""
    assert reason(SOUND, RuleParameters()) is Reason.EXEMPT
    assert reason(SOUND, STRICT) is Reason.EXEMPT
    assert {reason(tags, STRICT) for tags in STRICT_STATES.values()} == {
        Reason.NO_PROFILE,
        Reason.EXEMPTION_EXPIRED,
        Reason.EXEMPTION_INVALID,
    }
    assert INSTANCE.endswith("instance/i-0a1b2c3d4e5f60718")
