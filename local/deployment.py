"""The functions and their Config rules, as a synthesized template says, in a local AWS."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from local.aws import LocalAws
from local.closing import Closing
from local.cloud_assembly import Place
from local.config_settings import any_function_exists, invoke_nothing
from local.findings_deployment import FindingsDeployment, create_bus, findings_stack
from local.function_runtime import FunctionRuntime
from local.invocations import AsynchronousInvocations
from local.template import FunctionDefinition, read_function
from rolecall.items import partition_of

HANDLER = "rolecall.handlers.rule.handler"


class Deployment(Closing):
    """What `cdk deploy` would make of the assembly in `cdk_out`, as far as the rule needs it. A context manager.

    The rule's function runs under AWS's runtime client, its dead-letter queue and event bus exist in moto, and its
    rules are put into AWS Config, whose events it gets; its credentials are those of its execution role. If there is a
    findings function, `findings` is that. `environment` goes over the template's of the rule's function. `time_scale`
    shortens the waiting before retries and for batches; `on_log` gets the lines that the functions write.
    Raises AssemblyError for an assembly that lacks something.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a default
        self,
        aws: LocalAws,
        cdk_out: Path,
        *,
        handler: str = HANDLER,
        environment: Mapping[str, str] | None = None,
        time_scale: float = 1.0,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        self._aws = aws
        place = Place(aws.account, aws.region, partition_of(None, aws.region))
        synthesized = read_function(cdk_out, handler, place)
        self.function: FunctionDefinition = replace(
            synthesized, environment={**synthesized.environment, **(environment or {})}
        )
        _create_queues(aws, self.function)
        _create_event_bus(aws, self.function.environment.get("ROLECALL_EVENT_BUS"))
        findings = findings_stack(cdk_out, place)
        with ExitStack() as started:
            self.findings = (
                started.enter_context(FindingsDeployment(aws, cdk_out, findings, time_scale=time_scale, on_log=on_log))
                if findings
                else None
            )
            role_arn = self.function.role_arn
            variables = aws.role_environment(role_arn) if role_arn else aws.environment()
            self.runtime = started.enter_context(FunctionRuntime(self.function, variables, on_log=on_log))
            self.invocations = started.enter_context(
                AsynchronousInvocations([self.runtime], sqs=aws.client("sqs"), time_scale=time_scale)
            )
            aws.config.invoke = self.invocations.invoke
            aws.config.function_exists = self.function.arn.__eq__
            aws.functions.functions[self.function.arn] = self.invocations.invoke
            started.callback(self._disconnect)
            config = aws.client("config")
            for rule in self.function.config_rules:
                config.put_config_rule(ConfigRule=rule)
            self._running = started.pop_all()

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until the functions have answered every event and record. Raises TimeoutError."""
        self.invocations.wait_idle(timeout)
        if self.findings:
            self.findings.wait_idle(timeout)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of the rules whose events the function gets."""
        return tuple(str(rule["ConfigRuleName"]) for rule in self.function.config_rules)

    def close(self) -> None:
        """Stop the function. Its rules stay, but nothing answers them any more."""
        self._running.close()

    def _disconnect(self) -> None:
        self._aws.config.invoke = invoke_nothing
        self._aws.config.function_exists = any_function_exists
        del self._aws.functions.functions[self.function.arn]


def _create_queues(aws: LocalAws, function: FunctionDefinition) -> None:
    for arn in {function.dead_letter_arn, function.on_failure_arn} - {None}:
        if arn is not None and ":sqs:" in arn:
            aws.client("sqs").create_queue(QueueName=arn.rpartition(":")[2])


def _create_event_bus(aws: LocalAws, bus: str | None) -> None:
    name = (bus or "").rpartition("/")[2]
    if name:
        create_bus(aws, name)
