"""The roles that the functions assume in every account that is judged."""

from pathlib import Path

from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_cloudformation as cloudformation
from aws_cdk import cloudformation_include as include
from constructs import Construct

from infra.evidence_names import named
from infra.evidence_steps import COLLECTOR_ACTIONS
from infra.findings_function import IMPORT_ACTION
from infra.function import CONFIG_ACTIONS, RULE_ACTIONS
from infra.limits import STACK_SET
from infra.organization_settings import OrganizationSettings

TEMPLATE = Path(__file__).parent / "templates" / "member-roles.yaml"

_CONCURRENT_PERCENT = 100
_TOLERATED_PERCENT = 10
"""Of accounts whose roles may fail, as those of suspended accounts do, before the others are rolled back as well."""


def template_parameters(settings: OrganizationSettings) -> dict[str, str]:
    """The parameters of the member roles' template."""
    return {
        "ReporterRoleName": settings.reporter_role_name,
        "AuditAccountId": settings.audit_account_id,
        "ExecutionRoleName": settings.execution_role_name,
        "OrganizationId": settings.organization_id,
        **publisher_parameters(settings),
        **collector_parameters(settings),
    }


def publisher_parameters(settings: OrganizationSettings) -> dict[str, str]:
    """Those that are blank by default, and then no findings are published."""
    if not settings.security_hub:
        return {}
    return {"PublisherRoleName": settings.publisher_role_name, "FindingsRoleName": settings.findings_role_name}


def collector_parameters(settings: OrganizationSettings) -> dict[str, str]:
    """Likewise, and then no evidence is collected."""
    if not settings.evidence:
        return {}
    return {
        "CollectorRoleName": settings.collector_role_name,
        "CollectFunctionRoleName": named(settings, "collect"),
    }


class MemberRoles(Construct):
    """A StackSet that gives the roles to every account of the units, now and when it joins. IAM needs one region."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: OrganizationSettings) -> None:
        super().__init__(scope, construct_id)
        excluded = list(settings.excluded_accounts)
        targets = cloudformation.CfnStackSet.DeploymentTargetsProperty(
            organizational_unit_ids=list(settings.root_or_ou_ids),
            accounts=excluded or None,
            account_filter_type="DIFFERENCE" if excluded else None,
        )
        body = TEMPLATE.read_text(encoding="utf-8")
        cloudformation.CfnStackSet(
            self,
            "StackSet",
            stack_set_name=f"{settings.stack_name}-MemberRoles",
            description="The roles by which rolecall reports evaluations and findings into each account",
            permission_model="SERVICE_MANAGED",
            call_as="DELEGATED_ADMIN",
            auto_deployment=cloudformation.CfnStackSet.AutoDeploymentProperty(
                enabled=True, retain_stacks_on_account_removal=False
            ),
            managed_execution={"Active": True},
            capabilities=["CAPABILITY_NAMED_IAM"],
            operation_preferences=cloudformation.CfnStackSet.OperationPreferencesProperty(
                concurrency_mode="SOFT_FAILURE_TOLERANCE",
                failure_tolerance_percentage=_TOLERATED_PERCENT,
                max_concurrent_percentage=_CONCURRENT_PERCENT,
            ),
            parameters=[
                cloudformation.CfnStackSet.ParameterProperty(parameter_key=key, parameter_value=value)
                for key, value in template_parameters(settings).items()
            ],
            stack_instances_group=[
                cloudformation.CfnStackSet.StackInstancesProperty(
                    deployment_targets=targets, regions=[settings.home_region]
                )
            ],
            template_body=STACK_SET.check(body, "Shorten infra/templates/member-roles.yaml"),
        )


class ManagementRole(Construct):
    """The same roles in the management account, which StackSets leave out."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: OrganizationSettings) -> None:
        super().__init__(scope, construct_id)
        optional = {**publisher_parameters(settings), **collector_parameters(settings)}
        given = {name: value for name, value in template_parameters(settings).items() if name not in optional}
        included = include.CfnInclude(self, "Template", template_file=str(TEMPLATE), parameters=given)
        # Put in place of these, the values would make a condition that is always true or always false.
        for name, value in optional.items():
            included.get_parameter(name).default = value
        rules = "arn:<AWS::Partition>:config:*:<AWS::AccountId>:config-rule/*"
        Validations.of(included.get_resource("Reporter")).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason=f"{', '.join(CONFIG_ACTIONS)} have no resource types in IAM: * is the narrowest there is.",
            ),
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{rules}]",
                reason=f"{', '.join(RULE_ACTIONS)}: which id Config gives to the pack's rule cannot be known.",
            ),
        )
        product = "arn:<AWS::Partition>:securityhub:*:<AWS::AccountId>:product/<AWS::AccountId>/default"
        Validations.of(included.get_resource("Publisher")).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{product}]",
                reason=f"{IMPORT_ACTION}: findings come from every region, and belong there.",
            )
        )
        Validations.of(included.get_resource("Collector")).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason=f"{', '.join(COLLECTOR_ACTIONS)} have no resource types of use in IAM.",
            )
        )
