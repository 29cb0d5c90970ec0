"""What an organization's deployment has once: the functions' role, the evaluations bus, the aggregator."""

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_config as config
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.findings_function import Publishing
from infra.function import OrganizationRole, acknowledge_wildcards, own_account_statements
from infra.organization_settings import OrganizationSettings
from infra.settings import Settings

_AGGREGATOR_ACTIONS = (
    "organizations:DescribeOrganization",
    "organizations:ListAccounts",
    "organizations:ListAWSServiceAccessForOrganization",
    "organizations:ListDelegatedAdministrators",
)
"""What AWS's managed policy AWSConfigRoleForOrganizations allows. None of them has a resource type in IAM."""


def shared_role(settings: OrganizationSettings) -> OrganizationRole:
    """What the functions of all regions share. Names are fixed, so that nothing is exported from region to region."""
    of_the_audit_account = f"{settings.audit_account_id}"
    home = f"arn:{settings.partition}:events:{settings.home_region}:{of_the_audit_account}"
    return OrganizationRole(
        role_name=settings.execution_role_name,
        role_arn=f"arn:{settings.partition}:iam::{of_the_audit_account}:role/{settings.execution_role_name}",
        reporter_role_name=settings.reporter_role_name,
        bus_arn=f"{home}:event-bus/{bus_name(settings)}",
    )


def bus_name(settings: OrganizationSettings) -> str:
    """The evaluations bus of the home region."""
    return f"{settings.role_prefix}-evaluations"


def account_bus_name(settings: Settings) -> str:
    """The evaluations bus of one account, unless the setting eventBus names another one."""
    return f"{settings.stack_name}-evaluations"


def publishing(settings: OrganizationSettings) -> Publishing:
    """What lets the findings function into the accounts of the organization."""
    return Publishing(
        role_name=settings.findings_role_name,
        publisher_role_name=settings.publisher_role_name,
        publisher_role_arn=f"arn:{settings.partition}:iam::*:role/{settings.publisher_role_name}",
        organization_id=settings.organization_id,
    )


class EvaluationsBus(Construct):
    """Takes evaluation records, of the own account's functions alone: no other account may put events to it."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, description: str) -> None:
        super().__init__(scope, construct_id)
        bus = events.CfnEventBus(self, "Bus", name=name, description=description)
        self.name = bus.ref
        """Whoever uses it is created after the bus."""


class ExecutionRole(Construct):
    """The role of the functions of all regions: the only one that may assume the member roles."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: OrganizationSettings) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        shared = shared_role(settings)
        role = iam.Role(
            self,
            "Role",
            role_name=shared.role_name,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the functions of AWS Config rule {settings.rule_name} may do",
        )
        for statement in own_account_statements(stack, "*"):
            role.add_to_policy(statement)
        reporters = f"arn:{settings.partition}:iam::*:role/{shared.reporter_role_name}"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["sts:AssumeRole"],
                resources=[reporters],
                conditions={"StringEquals": {"aws:ResourceOrgID": settings.organization_id}},
            )
        )
        role.add_to_policy(iam.PolicyStatement(actions=["events:PutEvents"], resources=[shared.bus_arn]))
        acknowledge_wildcards(role, stack, "*")
        Validations.of(role).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{reporters}]",
                reason="One role by its name, in whichever account of the organization is judged: they come and go.",
            )
        )


class Aggregator(Construct):
    """Config's read-only copy of all accounts and regions, with the role by which it lists the accounts."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: OrganizationSettings) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "Role",
            role_name=f"{settings.role_prefix}-aggregator",
            assumed_by=iam.ServicePrincipal("config.amazonaws.com"),
            description="Lets AWS Config list the accounts of the organization for the aggregator of rolecall",
        )
        role.add_to_policy(iam.PolicyStatement(actions=[*_AGGREGATOR_ACTIONS], resources=["*"]))
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason=f"{', '.join(_AGGREGATOR_ACTIONS)} have no resource types in IAM: * is the narrowest there is.",
            )
        )
        aggregator = config.CfnConfigurationAggregator(
            self,
            "Aggregator",
            configuration_aggregator_name=settings.role_prefix,
            organization_aggregation_source=config.CfnConfigurationAggregator.OrganizationAggregationSourceProperty(
                role_arn=role.role_arn, all_aws_regions=True
            ),
        )
        # Config lists the accounts by the role as soon as the aggregator is there.
        aggregator.node.add_dependency(role.node.find_child("DefaultPolicy"))
