"""What the parts of the evidence export are called: conditions of policies name them before they exist."""

import re
from collections.abc import Mapping

from aws_cdk import Acknowledgment, ArnFormat, Aws, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from infra.function_parts import resource_of
from infra.organization_settings import OrganizationSettings
from infra.settings import Settings


def prefix(settings: Settings) -> str:
    """What names begin with: that of the roles of an organization, or the stack's."""
    return settings.role_prefix if isinstance(settings, OrganizationSettings) else settings.stack_name


def named(settings: Settings, part: str) -> str:
    """The name of one part; each is one of its kind in the account and region."""
    return f"{prefix(settings)}-evidence-{part}"


def arn(stack: Stack, service: str, resource: str, name: str, *, colon: bool = False) -> str:
    """The ARN of something in the stack's own account and region."""
    form = ArnFormat.COLON_RESOURCE_NAME if colon else ArnFormat.SLASH_RESOURCE_NAME
    return stack.format_arn(service=service, resource=resource, resource_name=name, arn_format=form)


def role_arn(stack: Stack, settings: Settings, part: str) -> str:
    """The role of one part, for a condition on who calls: `aws:PrincipalArn` is the role's ARN for its sessions, too.

    By name: a principal that is a role's ARN would be lost for good once the role is created anew.
    """
    return stack.format_arn(service="iam", region="", resource="role", resource_name=named(settings, part))


def service(principal: str, source_arn: str, *others: str) -> iam.IPrincipal:
    """A service of AWS, only while it acts for this account and for what `source_arn`, or one of `others`, names.

    Without both, another account could have the service use our role: the confused deputy.
    """
    return iam.ServicePrincipal(
        f"{principal}.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
            "ArnLike": {"aws:SourceArn": [source_arn, *others] if others else source_arn},
        },
    )


def acknowledge(role: iam.Role, wildcards: Mapping[str, str]) -> None:
    """Tell cdk-nag why the resources of the role's policy, by their ARNs, cannot be narrower."""
    Validations.of(role).acknowledge(
        *(
            Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{_as_nag_says(arn)}]", reason=reason)
            for arn, reason in wildcards.items()
        )
    )


def below(bucket: s3.Bucket, *prefixes: str) -> dict[str, str]:
    """Wildcards for objects of a bucket, as `acknowledge` takes them."""
    logical_id = Stack.of(bucket).get_logical_id(resource_of(bucket, s3.CfnBucket))
    return {
        f"<{logical_id}.Arn>/{prefix}*": f"Objects below {prefix} alone; their names come with the day."
        for prefix in prefixes
    }


def _as_nag_says(text: str) -> str:
    """Pseudo parameters, as cdk-nag writes them."""
    return re.sub(r"\$\{Token\[(AWS\.\w+)\.[0-9]+\]\}", lambda token: f"<{token[1].replace('.', '::')}>", text)
