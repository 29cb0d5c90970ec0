"""The function, with all that it alone uses: role, log group, dead-letter queue."""

import json
import re
from dataclasses import dataclass
from typing import TypeVar

from aws_cdk import Acknowledgment, Aws, CfnResource, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import NAMESPACE
from infra.settings import Settings

ResourceT = TypeVar("ResourceT", bound=CfnResource)

HANDLER = "rolecall.handlers.rule.handler"

LOGICAL_ID = "RuleFunction"
"""Pinned: other templates, the local runtime and people refer to it."""

RETRY_ATTEMPTS = 2
"""Lambda's maximum for asynchronous invocations, and its default; written down because the design relies on it."""

MAX_EVENT_AGE_HOURS = 6
"""Likewise."""

DEAD_LETTER_DAYS = 14
"""SQS's maximum."""

CONFIG_ACTIONS = ("config:GetResourceConfigHistory", "config:PutEvaluations", "config:SelectResourceConfig")
"""Read an instance's newest item, report, list instances. None of them has a resource type in IAM."""

RULE_ACTIONS = ("config:GetComplianceDetailsByConfigRule",)
"""List what is recorded. Its resource type is the rule, whose id does not exist before the rule does."""


@dataclass(frozen=True, slots=True)
class OrganizationRole:
    """What the functions of an organization share: their role, and what they find in the environment."""

    role_name: str
    role_arn: str
    reporter_role_name: str
    """The role to assume in every account but the function's own."""
    bus_arn: str
    """The evaluations bus, which may be in another region."""


class RuleFunction(Construct):
    """Answers AWS Config's invocations with evaluations. `code` holds the deployment package.

    With `shared`, the function runs under a role that is there already, and adds to it what is its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        code: lambda_.Code,
        shared: OrganizationRole | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = self._queue()
        self.log_group = self._log_group(settings)
        environment = {"POWERTOOLS_SERVICE_NAME": settings.rule_name, "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE}
        bus = shared.bus_arn if shared else settings.event_bus
        if bus:
            environment["ROLECALL_EVENT_BUS"] = bus
        if shared:
            environment["ROLECALL_REPORTER_ROLE"] = shared.reporter_role_name
            # Any account of the organization can point a rule of its own at the function: others are refused.
            environment["ROLECALL_RULE_PARAMETERS"] = json.dumps(settings.rule_parameters.changed(), sort_keys=True)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"AWS Config rule {settings.rule_name}: instance profile, or a documented reason not to",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=HANDLER,
            code=code,
            environment=environment,
            role=self._shared_role(shared) if shared else self._execution_role(settings),
            memory_size=settings.memory_mb,
            timeout=Duration.seconds(settings.timeout_seconds),
            reserved_concurrent_executions=settings.reserved_concurrency,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[settings.log_level],
            log_group=self.log_group,
            dead_letter_queue=self.dead_letters,
            retry_attempts=RETRY_ATTEMPTS,
            max_event_age=Duration.hours(MAX_EVENT_AGE_HOURS),
        )
        resource = _resource(self.function, lambda_.CfnFunction)
        resource.override_logical_id(LOGICAL_ID)
        if shared:
            # Lambda refuses a function whose role may not send to its dead-letter queue.
            resource.node.add_dependency(self._own_permissions(shared))
        # cfn-lint: the CDK lists the role under DependsOn, which Role already implies.
        resource.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
        Validations.of(self.function).acknowledge(
            Acknowledgment(
                id="AwsSolutions-L1",
                reason="Python 3.13 on purpose: the package carries byte code, so an interpreter of the function's own "
                "version must be at hand wherever it is built.",
            )
        )

    def _log_group(self, settings: Settings) -> logs.LogGroup:
        # What the rule decided stays readable when the stack is gone.
        group = logs.LogGroup(self, "Logs", removal_policy=RemovalPolicy.RETAIN)
        # The construct itself takes named periods only.
        _resource(group, logs.CfnLogGroup).retention_in_days = settings.log_retention_days
        return group

    def _queue(self) -> sqs.Queue:
        """Where Lambda puts an event that it gave up on: the event as Config sent it, result token included."""
        queue = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(DEAD_LETTER_DAYS),
        )
        Validations.of(queue).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SQS3",
                reason="It is a dead-letter queue itself: a function's, which the check does not see.",
            )
        )
        return queue

    def _execution_role(self, settings: Settings) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the function of AWS Config rule {settings.rule_name} may do",
        )
        for statement in own_account_statements(Stack.of(self), Aws.REGION):
            role.add_to_policy(statement)
        role.add_to_policy(self._may_log())
        if settings.event_bus:
            role.add_to_policy(
                iam.PolicyStatement(actions=["events:PutEvents"], resources=[self._bus_arn(settings.event_bus)])
            )
        acknowledge_wildcards(role, Stack.of(self), Aws.REGION)
        return role

    def _may_log(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
        )

    def _shared_role(self, shared: OrganizationRole) -> iam.IRole:
        return iam.Role.from_role_arn(self, "Role", shared.role_arn, mutable=False)

    def _own_permissions(self, shared: OrganizationRole) -> iam.CfnRolePolicy:
        """What the role may do in this region alone: the function's own log group and queue."""
        may_send = iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn])
        return iam.CfnRolePolicy(
            self,
            "RolePolicy",
            role_name=shared.role_name,
            policy_name=f"{LOGICAL_ID}-{Stack.of(self).region}",
            policy_document=iam.PolicyDocument(statements=[self._may_log(), may_send]),
        )

    def _bus_arn(self, bus: str) -> str:
        if bus.startswith("arn:"):
            return bus
        return Stack.of(self).format_arn(service="events", resource="event-bus", resource_name=bus)


def own_account_statements(stack: Stack, region: str) -> list[iam.PolicyStatement]:
    """What the function may do with AWS Config of its own account, in `region` (`*`: in all of them)."""
    return [
        iam.PolicyStatement(actions=[*CONFIG_ACTIONS], resources=["*"]),
        iam.PolicyStatement(actions=[*RULE_ACTIONS], resources=[_rules_of_account(stack, region)]),
    ]


def acknowledge_wildcards(role: iam.Role, stack: Stack, region: str) -> None:
    """Tell cdk-nag why `own_account_statements` cannot be narrower."""
    # cdk-nag names pseudo parameters in this way.
    rules = re.sub(
        r"\$\{Token\[(AWS\.\w+)\.[0-9]+\]\}",
        lambda token: f"<{token[1].replace('.', '::')}>",
        _rules_of_account(stack, region),
    )
    Validations.of(role).acknowledge(
        Acknowledgment(
            id="AwsSolutions-IAM5[Resource::*]",
            reason=f"{', '.join(CONFIG_ACTIONS)} have no resource types in IAM: * is the narrowest there is.",
        ),
        Acknowledgment(
            id=f"AwsSolutions-IAM5[Resource::{rules}]",
            reason=f"{', '.join(RULE_ACTIONS)}: the rule's id does not exist before the rule, nor the rule before the "
            "function.",
        ),
    )


def _rules_of_account(stack: Stack, region: str) -> str:
    return stack.format_arn(service="config", region=region, resource="config-rule", resource_name="*")


def _resource(construct: Construct, kind: type[ResourceT]) -> ResourceT:
    """The CloudFormation resource that `construct` stands for."""
    resource = construct.node.default_child
    if not isinstance(resource, kind):
        raise TypeError(f"{construct.node.path} stands for {resource!r}, not for a {kind.__name__}")
    return resource
