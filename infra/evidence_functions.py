"""The three functions of a day's package: plan, collect, seal. Each has a role of its own, for its part alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.evidence_names import acknowledge, named
from infra.function_parts import function_logs, may_log, python_function, resource_of
from infra.metrics import NAMESPACE
from infra.settings import Settings

TIMEOUT_SECONDS = 900
"""Lambda's maximum: a shard is one account and region, whatever its size."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what its function is called, needs and may do."""

    name: str
    """`plan`, `collect` or `seal`; the handler's module is named after it."""
    description: str
    memory_mb: int
    environment: Mapping[str, str]
    statements: Sequence[iam.PolicyStatement]
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    """Why a wildcard of the statements has to be: the resource, and the reason."""
    storage_mb: int = 512
    """Of /tmp, where files are put together; 512 is Lambda's own."""

    @property
    def handler(self) -> str:
        """What Lambda is told to call."""
        return f"rolecall.handlers.evidence_{self.name}.handler"


class StepFunction(Construct):
    """The function of one step. Step Functions invokes it and retries, so that it needs no queue."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, step: Step, code: lambda_.Code
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = function_logs(self, settings)
        self.role = iam.Role(
            self,
            "Role",
            role_name=named(settings, step.name),
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the evidence function {step.name} of rolecall may do",
        )
        for statement in (may_log(log_group), *step.statements):
            self.role.add_to_policy(statement)
        acknowledge(self.role, step.acknowledged)
        self.function = python_function(
            self,
            f"Evidence{step.name.title()}Function",
            settings=settings,
            handler=step.handler,
            description=f"rolecall evidence: {step.description}",
            code=code,
            environment={
                "POWERTOOLS_SERVICE_NAME": settings.rule_name,
                "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
                **step.environment,
            },
            role=self.role,
            memory_mb=step.memory_mb,
            timeout_seconds=TIMEOUT_SECONDS,
            log_group=log_group,
        )
        resource_of(
            self.function, lambda_.CfnFunction
        ).ephemeral_storage = lambda_.CfnFunction.EphemeralStorageProperty(size=step.storage_mb)
