"""The function, with all that it alone uses: role, log group, dead-letter queue."""

import json
import re
from dataclasses import dataclass

from aws_cdk import Acknowledgment, Aws, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.function_parts import dead_letter_queue, function_logs, may_log, python_function, resource_of
from infra.metrics import NAMESPACE
from infra.settings import Settings

HANDLER = "rolecall.handlers.rule.handler"

LOGICAL_ID = "RuleFunction"
"""Pinned: other templates, the local runtime and people refer to it."""

RETRY_ATTEMPTS = 2
"""Lambda's maximum for asynchronous invocations, and its default; written down because the design relies on it."""

MAX_EVENT_AGE_HOURS = 6
"""Likewise."""

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

    `bus` is the event bus of the own account and region, by its name, or any by its ARN; None: no records are sent.
    With `shared`, the function runs under a role that is there already, and adds to it what is its own.
    """

    def __init__(  # noqa: PLR0913  # what it is for, what it runs, where it reports
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        code: lambda_.Code,
        bus: str | None = None,
        shared: OrganizationRole | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        # Lambda puts there the event as Config sent it, result token included.
        self.dead_letters = dead_letter_queue(self, "DeadLetters", "a function's")
        self.log_group = function_logs(self, settings)
        environment = {"POWERTOOLS_SERVICE_NAME": settings.rule_name, "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE}
        bus = shared.bus_arn if shared else bus
        if bus:
            environment["ROLECALL_EVENT_BUS"] = bus
        if shared:
            environment["ROLECALL_REPORTER_ROLE"] = shared.reporter_role_name
            # Any account of the organization can point a rule of its own at the function: others are refused.
            environment["ROLECALL_RULE_PARAMETERS"] = json.dumps(settings.rule_parameters.changed(), sort_keys=True)
        self.function = python_function(
            self,
            LOGICAL_ID,
            settings=settings,
            handler=HANDLER,
            description=f"AWS Config rule {settings.rule_name}: instance profile, or a documented reason not to",
            code=code,
            environment=environment,
            role=self._shared_role(shared) if shared else self._execution_role(settings, bus),
            memory_mb=settings.memory_mb,
            timeout_seconds=settings.timeout_seconds,
            log_group=self.log_group,
            dead_letters=self.dead_letters,
            retry_attempts=RETRY_ATTEMPTS,
            max_event_age=Duration.hours(MAX_EVENT_AGE_HOURS),
            reserved_concurrency=settings.reserved_concurrency,
        )
        if shared:
            # Lambda refuses a function whose role may not send to its dead-letter queue.
            resource_of(self.function, lambda_.CfnFunction).node.add_dependency(self._own_permissions(shared))

    def _execution_role(self, settings: Settings, bus: str | None) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the function of AWS Config rule {settings.rule_name} may do",
        )
        for statement in own_account_statements(Stack.of(self), Aws.REGION):
            role.add_to_policy(statement)
        role.add_to_policy(may_log(self.log_group))
        if bus:
            role.add_to_policy(iam.PolicyStatement(actions=["events:PutEvents"], resources=[self._bus_arn(bus)]))
        acknowledge_wildcards(role, Stack.of(self), Aws.REGION)
        return role

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
            policy_document=iam.PolicyDocument(statements=[may_log(self.log_group), may_send]),
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
