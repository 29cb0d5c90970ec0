"""The findings function with its bus, queues and table, as a synthesized template says, in a local AWS."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.type_defs import MessageTypeDef

from local import resource_definitions
from local.aws import LocalAws
from local.closing import Closing
from local.cloud_assembly import Place, Stack, read_stacks
from local.event_source import EventSource
from local.function_runtime import FunctionRuntime
from local.template import FUNCTION_TYPE, FunctionDefinition, read_function

HANDLER = "rolecall.handlers.findings.handler"


def findings_stack(cdk_out: Path, place: Place) -> Stack | None:
    """The stack of the assembly with the findings function; None if the setting securityHub is off."""
    for stack in read_stacks(cdk_out, place):
        if any(properties.get("Handler") == HANDLER for properties in stack.of_type(FUNCTION_TYPE).values()):
            return stack
    return None


class FindingsDeployment(Closing):
    """What `cdk deploy` would make of the findings in `stack`. A context manager.

    Bus, rule, queues and table are in moto, which carries events from the bus into the queue; the function runs under
    AWS's runtime client with the credentials of its role, and is fed from the queue as its event source mapping says.
    The other arguments are as in `deployment.Deployment`.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a default
        self,
        aws: LocalAws,
        cdk_out: Path,
        stack: Stack,
        *,
        environment: Mapping[str, str] | None = None,
        time_scale: float = 1.0,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        synthesized = read_function(cdk_out, HANDLER, stack.place, stack=stack.name)
        self.function: FunctionDefinition = replace(
            synthesized, environment={**synthesized.environment, **(environment or {})}
        )
        self._sqs: SQSClient = aws.client("sqs")
        urls = _create_queues(self._sqs, stack)
        _create_tables(aws, stack)
        _create_bus_rules(aws, stack)
        mapping = resource_definitions.event_source(stack, self.function.name)
        self.queue_url = urls[mapping.queue_arn.rpartition(":")[2]]
        visibility = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["VisibilityTimeout"])
        with ExitStack() as started:
            variables = aws.role_environment(str(self.function.role_arn))
            self.runtime = started.enter_context(FunctionRuntime(self.function, variables, on_log=on_log))
            self.source = started.enter_context(
                EventSource(
                    self.runtime,
                    self._sqs,
                    mapping,
                    self.queue_url,
                    visibility_seconds=int(visibility["Attributes"]["VisibilityTimeout"]),
                    time_scale=time_scale,
                )
            )
            self._running = started.pop_all()

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until every record in the queue has become a finding, or was given up."""
        self.source.wait_idle(timeout)

    def dead_letters(self) -> list[MessageTypeDef]:
        """The messages that were given up, in the queue's order; they stay where they are."""
        url = self.function.environment["ROLECALL_DEAD_LETTERS"]
        answer = self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return answer.get("Messages", [])

    def close(self) -> None:
        """Stop the function. Queue and table stay, but nothing reads them any more."""
        self._running.close()


def _create_queues(sqs: SQSClient, stack: Stack) -> dict[str, str]:
    """Create the queues of the stack that are not there yet; the URLs of all by name."""
    urls = {url.rpartition("/")[2]: url for url in sqs.list_queues().get("QueueUrls", [])}
    for queue in resource_definitions.queues(stack):
        if queue.name not in urls:
            urls[queue.name] = sqs.create_queue(QueueName=queue.name, Attributes=queue.attributes)["QueueUrl"]
    return urls


def _create_tables(aws: LocalAws, stack: Stack) -> None:
    dynamodb = aws.client("dynamodb")
    for table, time_to_live in resource_definitions.tables(stack):
        dynamodb.create_table(**table)
        if time_to_live:
            dynamodb.update_time_to_live(TableName=table["TableName"], TimeToLiveSpecification=time_to_live)


def _create_bus_rules(aws: LocalAws, stack: Stack) -> None:
    events = aws.client("events")
    for rule in resource_definitions.bus_rules(stack):
        create_bus(aws, rule.bus)
        events.put_rule(Name=rule.name, EventBusName=rule.bus, EventPattern=rule.pattern)
        answer = events.put_targets(Rule=rule.name, EventBusName=rule.bus, Targets=[*rule.targets])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"moto did not take a target of {rule.name}: {answer['FailedEntries']}")


def create_bus(aws: LocalAws, name: str) -> None:
    """Create an event bus, unless it is there: several stacks may be about the same."""
    events = aws.client("events")
    known = {bus["Name"] for bus in events.list_event_buses()["EventBuses"]}
    if name not in known:
        events.create_event_bus(Name=name)
