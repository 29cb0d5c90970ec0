"""Who may exempt instances: a service control policy and a tag policy.

Service control policies bind member accounts alone, and no service-linked role: docs/organization.md lists the gaps.
"""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import DefaultStackSynthesizer, Stack
from aws_cdk import aws_organizations as organizations
from constructs import Construct

from infra.limits import SERVICE_CONTROL_POLICY, TAG_POLICY
from infra.organization_settings import OrganizationSettings
from rolecall.exemption import COMPANIONS

STACK_SETS_ROLES = "stacksets-exec-*"
"""The roles by which service-managed StackSets deploy into an account; a service-linked role makes them there."""

ROLE_CHANGES = (
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
)


class Guardrail(Construct):
    """Both policies, attached to the units of the settings."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: OrganizationSettings) -> None:
        super().__init__(scope, construct_id)
        qualifier = Stack.of(self).synthesizer.bootstrap_qualifier or DefaultStackSynthesizer.DEFAULT_QUALIFIER
        tags = service_control_policy(settings, qualifier)
        SERVICE_CONTROL_POLICY.check(_compact(tags), "Shorten the settings exemptionApproverRoles and deployerRoles")
        self._policy(
            settings,
            "ExemptionTags",
            "SERVICE_CONTROL_POLICY",
            "Only approvers exempt EC2 instances from having a role; nobody changes the roles of rolecall",
            tags,
        )
        spelling = tag_policy(settings)
        TAG_POLICY.check(_compact(spelling), "Shorten the rule parameter exemptionTagKey")
        self._policy(
            settings,
            "ExemptionTagSpelling",
            "TAG_POLICY",
            "The exemption tags of EC2 instances are spelled as rolecall reads them",
            spelling,
        )

    def _policy(
        self, settings: OrganizationSettings, name: str, kind: str, description: str, content: Mapping[str, object]
    ) -> None:
        organizations.CfnPolicy(
            self,
            name,
            name=f"{settings.stack_name}-{name}",
            description=description,
            type=kind,
            content=content,
            target_ids=list(settings.root_or_ou_ids),
        )


def service_control_policy(
    settings: OrganizationSettings, qualifier: str = DefaultStackSynthesizer.DEFAULT_QUALIFIER
) -> dict[str, Any]:
    """Four denials, none of which binds the roles that it excepts. `qualifier` is that of the CDK's bootstrap."""
    key = settings.rule_parameters.exemption_tag_key
    instances = f"arn:{settings.partition}:ec2:*:*:instance/*"
    groups = f"arn:{settings.partition}:autoscaling:*:*:autoScalingGroup:*"
    approvers = [_role(settings, pattern) for pattern in settings.exemption_approver_roles]
    for_others = {"ArnNotLike": {"aws:PrincipalArn": approvers}}
    naming_them = {"ForAnyValue:StringLike": {"aws:TagKeys": [key, f"{key}:*"]}, **for_others}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ExemptionTagsOfInstances",
                "Effect": "Deny",
                "Action": ["ec2:CreateFleet", "ec2:CreateTags", "ec2:DeleteTags", "ec2:RunInstances"],
                "Resource": instances,
                "Condition": naming_them,
            },
            {
                "Sid": "ExemptionTagsOfAutoScalingGroups",
                "Effect": "Deny",
                "Action": [
                    "autoscaling:CreateAutoScalingGroup",
                    "autoscaling:CreateOrUpdateTags",
                    "autoscaling:DeleteTags",
                ],
                "Resource": groups,
                "Condition": naming_them,
            },
            {
                # A misspelled companion makes an exemption invalid: whoever deletes it would make it valid, whatever
                # it is called. And a deletion that names no key deletes all of them.
                "Sid": "TagsBesideAnExemption",
                "Effect": "Deny",
                "Action": ["autoscaling:DeleteTags", "ec2:DeleteTags"],
                "Resource": [groups, instances],
                "Condition": {"Null": {f"aws:ResourceTag/{key}": "false"}, **for_others},
            },
            {
                "Sid": "RolesOfRolecall",
                "Effect": "Deny",
                "Action": [*ROLE_CHANGES],
                # Who could make a role of an excepted name would be excepted.
                "Resource": [
                    _role(settings, f"{settings.role_prefix}-*"),
                    _role(settings, STACK_SETS_ROLES),
                    *approvers,
                ],
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": _deployers(settings, qualifier)}},
            },
        ],
    }


def tag_policy(settings: OrganizationSettings) -> dict[str, Any]:
    """Each tag in one spelling, enforced on instances: another one in other cases is refused, whoever sets it."""
    key = settings.rule_parameters.exemption_tag_key
    keys = [key, *(f"{key}:{companion}" for companion in COMPANIONS)]
    return {
        "tags": {
            one.lower(): {"tag_key": {"@@assign": one}, "enforced_for": {"@@assign": ["ec2:instance"]}} for one in keys
        }
    }


def _role(settings: OrganizationSettings, pattern: str, account: str = "*") -> str:
    return f"arn:{settings.partition}:iam::{account}:role/{pattern}"


def _deployers(settings: OrganizationSettings, qualifier: str) -> list[str]:
    audit = settings.audit_account_id
    return [
        _role(settings, STACK_SETS_ROLES),
        _role(settings, f"cdk-{qualifier}-cfn-exec-role-{audit}-*", account=audit),
        *(_role(settings, pattern) for pattern in settings.deployer_roles),
    ]


def _compact(document: Mapping[str, object]) -> str:
    return json.dumps(document, separators=(",", ":"))
