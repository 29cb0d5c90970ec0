"""The conformance pack: the rule and AWS's own rules beside it, for one account or for every account."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import CfnResource
from aws_cdk import aws_config as config
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.limits import CONFORMANCE_PACK
from infra.organization_settings import OrganizationSettings
from infra.rule import own_account_permission
from infra.settings import Settings

TEMPLATE = Path(__file__).parent / "templates" / "conformance-pack.yaml"

LOGICAL_ID = "Pack"
"""Pinned: a pack under another logical id is another pack, whose rules have no history."""


@dataclass(frozen=True, slots=True)
class Companion:
    """One of AWS's own rules in the pack's template."""

    parameter: str
    """Of the template: `true` deploys the rule."""
    global_resources: bool = False
    """It is about IAM, which is the same seen from every region: deployed in one, it finds everything once."""


COMPANIONS: Mapping[str, Companion] = {
    "ec2-imdsv2-check": Companion("Ec2Imdsv2"),
    "ec2-launch-template-imdsv2-check": Companion("LaunchTemplateImdsv2"),
    "access-keys-rotated": Companion("AccessKeysRotated", global_resources=True),
    "iam-user-unused-credentials-check": Companion("UnusedCredentials", global_resources=True),
}


def template_body() -> str:
    """The pack's template. Raises InvalidSettings when it has outgrown its limit."""
    return CONFORMANCE_PACK.check(TEMPLATE.read_text(encoding="utf-8"), "Shorten infra/templates/conformance-pack.yaml")


def input_parameters(settings: Settings, function_arn: str, *, with_global_resources: bool) -> dict[str, str]:
    """The parameters of the pack's template; those of the rule only where they differ from its defaults."""
    companions = [COMPANIONS[name] for name in settings.companion_rules]
    return {
        "FunctionArn": function_arn,
        "RuleName": settings.rule_name,
        "ScheduleFrequency": settings.schedule_frequency,
        **settings.rule_parameters.changed(),
        **{one.parameter: "true" for one in companions if with_global_resources or not one.global_resources},
    }


class AccountPack(Construct):
    """The pack of one account and region."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, function: lambda_.IFunction) -> None:
        super().__init__(scope, construct_id)
        permission = own_account_permission(self, function)
        parameters = input_parameters(settings, function.function_arn, with_global_resources=True)
        pack = config.CfnConformancePack(
            self,
            "Resource",
            conformance_pack_name=settings.stack_name,
            template_body=template_body(),
            conformance_pack_input_parameters=[
                config.CfnConformancePack.ConformancePackInputParameterProperty(
                    parameter_name=name, parameter_value=value
                )
                for name, value in parameters.items()
            ],
        )
        pack.override_logical_id(LOGICAL_ID)
        pack.node.add_dependency(permission)


class OrganizationPack(Construct):
    """The pack of one region, in every account of the organization but those excluded, present and future.

    It waits for `grants`, without which Config refuses the rule in every account.
    """

    def __init__(  # noqa: PLR0913  # what it deploys, and where
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: OrganizationSettings,
        region: str,
        function: lambda_.IFunction,
        grants: list[CfnResource],
    ) -> None:
        super().__init__(scope, construct_id)
        parameters = input_parameters(
            settings, function.function_arn, with_global_resources=region == settings.home_region
        )
        pack = config.CfnOrganizationConformancePack(
            self,
            "Resource",
            organization_conformance_pack_name=settings.stack_name,
            template_body=template_body(),
            conformance_pack_input_parameters=[
                config.CfnOrganizationConformancePack.ConformancePackInputParameterProperty(
                    parameter_name=name, parameter_value=value
                )
                for name, value in parameters.items()
            ],
            excluded_accounts=settings.pack_excludes or None,
        )
        pack.override_logical_id(LOGICAL_ID)
        pack.node.add_dependency(*grants)
