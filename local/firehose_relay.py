"""From the evaluations bus through Firehose into the ledger, as the template says; moto answers 500 to such a target.

The rule's own pattern is put on the bus in moto, with a queue for its target. What arrives in it goes through the
rule's `InputPath` into a stream of ours (`firehose_stream`).
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.aws import LocalAws
from local.cloud_assembly import AssemblyError, Place, Stack, mapping, read_stacks
from local.firehose_stream import FirehoseStream, StreamDefinition
from local.states_language import at_path
from rolecall.items import partition_of

STREAM_TYPE = "AWS::KinesisFirehose::DeliveryStream"
RULE_TYPE = "AWS::Events::Rule"

_MESSAGES_PER_CALL = 10


class LedgerRelay:
    """The only rule of the assembly whose target is a Firehose stream, with that stream.

    Bus and bucket have to be there. `clock` (UTC) tells when a record arrives, and so into which day it goes.
    """

    def __init__(
        self,
        aws: LocalAws,
        cdk_out: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        place = Place(aws.account, aws.region, partition_of(None, aws.region))
        stack, rule, self._input_path, stream = _ledger(read_stacks(cdk_out, place))
        role_arn = stream["ExtendedS3DestinationConfiguration"]["RoleARN"]
        self.stream = FirehoseStream(StreamDefinition.of(stream), aws.client("s3", role_arn=role_arn), clock)
        self._sqs = aws.client("sqs")
        name = f"{stack.name}-ledger-tap"
        self._queue_url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = f"arn:{place.partition}:sqs:{place.region}:{place.account_id}:{name}"
        events = aws.client("events")
        bus = rule["EventBusName"]
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(rule["EventPattern"]))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": queue_arn}])

    def poll(self) -> int:
        """Hand to the stream what the bus has sent since, and write what is due; how many records there were."""
        taken = 0
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=_MESSAGES_PER_CALL)
            messages = answer.get("Messages", ())
            for message in messages:
                selected = at_path(json.loads(message["Body"]), self._input_path)
                self.stream.put_record(json.dumps(selected, separators=(",", ":")).encode())
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
                taken += 1
            if not messages:
                self.stream.deliver_due()
                return taken

    def deliver(self) -> int:
        """The same, and write at once what would wait for the buffer to fill."""
        taken = self.poll()
        self.stream.flush()
        return taken


def _ledger(stacks: list[Stack]) -> tuple[Stack, Mapping[str, Any], str, Mapping[str, Any]]:
    """The stack, the rule, its input path and the stream of the ledger."""
    found = []
    for stack in stacks:
        streams = {
            stack.attribute(logical_id, "Arn", logical_id): mapping(stack.resolve(properties, logical_id), logical_id)
            for logical_id, properties in stack.of_type(STREAM_TYPE).items()
        }
        for logical_id, properties in stack.of_type(RULE_TYPE).items():
            rule: Mapping[str, Any] = mapping(stack.resolve(properties, logical_id), logical_id)
            found += [
                (stack, rule, target.get("InputPath", "$"), streams[target["Arn"]])
                for target in rule["Targets"]
                if target["Arn"] in streams
            ]
    if len(found) != 1:
        raise AssemblyError(f"there are {len(found)} rules whose target is a Firehose stream, not one")
    return found[0]
