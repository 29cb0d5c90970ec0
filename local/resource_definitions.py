"""What a synthesized template says about queues, tables, event buses and how a queue feeds a function.

Each reader gives what the service's own API takes, so that whoever creates it locally adds nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mypy_boto3_sqs.literals import QueueAttributeNameType

from local.cloud_assembly import AssemblyError, Stack, mapping

_QUEUE_ATTRIBUTES: tuple[QueueAttributeNameType, ...] = (
    "MessageRetentionPeriod",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Queue:
    """An SQS queue: CreateQueue's name and attributes."""

    name: str
    attributes: dict[QueueAttributeNameType, str]


@dataclass(frozen=True)
class BusRule:
    """An EventBridge rule: PutRule's and PutTargets' arguments."""

    name: str
    bus: str
    pattern: str
    targets: tuple[Mapping[str, object], ...]


@dataclass(frozen=True)
class EventSourceMapping:
    """How a queue feeds a function. The defaults are Lambda's own."""

    queue_arn: str
    batch_size: int = 10
    window_seconds: int = 0
    reports_failures: bool = False
    """Whether the function says which messages of a batch failed."""
    maximum_concurrency: int | None = None


def queues(stack: Stack) -> list[Queue]:
    """Those that others name as dead-letter queue come first, as SQS wants them to be there."""
    found = [_queue(stack, logical_id) for logical_id in stack.of_type("AWS::SQS::Queue")]
    return sorted(found, key=lambda queue: "RedrivePolicy" in queue.attributes)


def _queue(stack: Stack, logical_id: str) -> Queue:
    properties = _properties(stack, logical_id)
    attributes: dict[QueueAttributeNameType, str] = {
        name: stack.text(properties[name], logical_id) for name in _QUEUE_ATTRIBUTES if name in properties
    }
    if "RedrivePolicy" in properties:
        attributes["RedrivePolicy"] = json.dumps(properties["RedrivePolicy"])
    return Queue(stack.physical_name(logical_id), attributes)


def tables(stack: Stack) -> Iterator[tuple[Json, Json | None]]:
    """CreateTable's arguments, and UpdateTimeToLive's specification if there is one."""
    for logical_id in stack.of_type("AWS::DynamoDB::Table"):
        properties = _properties(stack, logical_id)
        kept = {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
        yield {"TableName": stack.physical_name(logical_id), **kept}, properties.get("TimeToLiveSpecification")


def bus_rules(stack: Stack) -> Iterator[BusRule]:
    """The rules that hand events on."""
    for logical_id in stack.of_type("AWS::Events::Rule"):
        properties = _properties(stack, logical_id)
        yield BusRule(
            stack.physical_name(logical_id),
            str(properties.get("EventBusName", "default")),
            json.dumps(properties["EventPattern"]),
            tuple(properties["Targets"]),
        )


def event_source(stack: Stack, function_name: str) -> EventSourceMapping:
    """The one queue that feeds the function. Raises AssemblyError if there is none, or several."""
    every = [_properties(stack, logical_id) for logical_id in stack.of_type("AWS::Lambda::EventSourceMapping")]
    found = [one for one in every if one["FunctionName"] == function_name]
    if len(found) != 1:
        raise AssemblyError(f"{stack.name}: {len(found)} event source mappings feed {function_name}; allowed: one")
    (properties,) = found
    default = EventSourceMapping
    return EventSourceMapping(
        str(properties["EventSourceArn"]),
        int(properties.get("BatchSize", default.batch_size)),
        int(properties.get("MaximumBatchingWindowInSeconds", default.window_seconds)),
        "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ()),
        properties.get("ScalingConfig", {}).get("MaximumConcurrency"),
    )


def _properties(stack: Stack, logical_id: str) -> Json:
    resource = stack.resources[logical_id].get("Properties", {})
    return dict(mapping(stack.resolve(resource, logical_id), f"{stack.name}: {logical_id}"))
