"""Lambda's polling of an SQS queue: batches, partial batch responses, and what becomes of messages that failed.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html

What differs from Lambda: a failed message does not wait out its visibility time-out in SQS, but is shown again when
that has passed on a clock which `time_scale` may let run faster.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.type_defs import MessageTypeDef

from local.closing import Closing
from local.execution_environment import InvocationResult
from local.function_runtime import FunctionRuntime
from local.resource_definitions import EventSourceMapping

RECEIVED_AT_ONCE = 10
"""SQS's maximum."""

PAYLOAD_BYTES = 6 * 1024 * 1024
"""Of one synchronous invocation: AWS Lambda Developer Guide, "Lambda quotas"."""

MESSAGE_BYTES = 1024 * 1024
"""SQS's maximum; as much room is left for whatever comes next."""

_POLL_SECONDS = 0.05
"""Between two looks at an empty queue."""


@dataclass(frozen=True)
class Batch:
    """One invocation: the ids of the messages that the function was given, and of those that failed."""

    messages: tuple[str, ...]
    failed: frozenset[str]
    result: InvocationResult


class EventSource(Closing):
    """Feeds `runtime` from the queue of `mapping` until it is closed; the runtime stays the caller's to close.

    `visibility_seconds` is the queue's visibility time-out. `time_scale` shortens waiting, as in
    `invocations.AsynchronousInvocations`.
    """

    def __init__(  # noqa: PLR0913 - what feeds what, and how
        self,
        runtime: FunctionRuntime,
        sqs: SQSClient,
        mapping: EventSourceMapping,
        queue_url: str,
        *,
        visibility_seconds: int,
        time_scale: float = 1.0,
    ) -> None:
        self.journal: list[Batch] = []
        self._runtime = runtime
        self._sqs = sqs
        self._mapping = mapping
        self._queue_url = queue_url
        self._visibility = visibility_seconds * time_scale
        self._window = mapping.window_seconds * time_scale
        self._hidden: list[tuple[float, str]] = []  # when it is to be shown again, receipt handle
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._broken: Exception | None = None
        workers = min(mapping.maximum_concurrency or runtime.concurrency, runtime.concurrency)
        self._workers = [
            threading.Thread(target=self._work, name=f"local-event-source-{number}", daemon=True)
            for number in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until the queue is empty, messages that are hidden included. Raises TimeoutError, or what broke this."""
        deadline = time.monotonic() + timeout
        while left := self._messages_left():
            if self._broken:
                raise self._broken
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} message(s) are still in {self._queue_url}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Begin no more batches; those under way are waited for."""
        self._closed.set()
        for worker in self._workers:
            worker.join()

    def _messages_left(self) -> int:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(map(int, attributes.values()))

    def _work(self) -> None:
        try:
            while not self._closed.is_set():
                self._show_again()
                if messages := self._gathered():
                    self._hand_over(messages)
                else:
                    self._closed.wait(_POLL_SECONDS)
        except Exception as error:  # noqa: BLE001 - whoever waits must learn of it, whatever it is
            self._broken = error

    def _gathered(self) -> list[MessageTypeDef]:
        """As many messages as a batch may have, or as there are within the window."""
        messages = self._received(self._mapping.batch_size)
        if not messages:
            return []
        ends = time.monotonic() + self._window
        while (room := self._mapping.batch_size - len(messages)) and _size(messages) < PAYLOAD_BYTES - MESSAGE_BYTES:
            more = self._received(room)
            messages += more
            left = ends - time.monotonic()
            if not more and (left <= 0 or self._closed.wait(min(left, _POLL_SECONDS))):
                break
        return messages

    def _received(self, room: int) -> list[MessageTypeDef]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=min(room, RECEIVED_AT_ONCE),
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])

    def _hand_over(self, messages: list[MessageTypeDef]) -> None:
        result = self._runtime.invoke({"Records": [self._record(message) for message in messages]})
        ids = [message["MessageId"] for message in messages]
        failed = failed_messages(result, ids, reported=self._mapping.reports_failures)
        self.journal.append(Batch(tuple(ids), failed, result))
        shown_again = time.monotonic() + self._visibility
        with self._lock:
            self._hidden += [(shown_again, one["ReceiptHandle"]) for one in messages if one["MessageId"] in failed]
        done = [one for one in messages if one["MessageId"] not in failed]
        for some in _chunks(done):
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[{"Id": str(index), "ReceiptHandle": one["ReceiptHandle"]} for index, one in enumerate(some)],
            )
            if answer.get("Failed"):
                raise RuntimeError(f"{self._queue_url} did not delete {answer['Failed']}")

    def _show_again(self) -> None:
        """What has been hidden for long enough can be received once more."""
        now = time.monotonic()
        with self._lock:
            due = [receipt for shown, receipt in self._hidden if shown <= now]
            self._hidden = [(shown, receipt) for shown, receipt in self._hidden if shown > now]
        for receipt in due:
            self._sqs.change_message_visibility(QueueUrl=self._queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)

    def _record(self, message: MessageTypeDef) -> dict[str, object]:
        """A message as Lambda hands it to a function: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message.get("Attributes", {})),
            "messageAttributes": {
                name: {
                    "stringValue": value.get("StringValue"),
                    "dataType": value["DataType"],
                    "stringListValues": [],
                    "binaryListValues": [],
                }
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping.queue_arn,
            "awsRegion": self._mapping.queue_arn.split(":")[3],
        }


def failed_messages(result: InvocationResult, ids: Iterable[str], *, reported: bool) -> frozenset[str]:
    """Those that stay in the queue.

    All of them when the function failed, or when it reports failures in a way that Lambda does not understand: no
    list of objects with an `itemIdentifier` each, or one that is blank or no message of the batch. Null, `{}` and an
    empty list mean success.
    """
    every = frozenset(ids)
    if result.error is not None:
        return every
    if not reported or result.payload is None:
        return frozenset()
    if not isinstance(result.payload, Mapping):
        return every
    failures = result.payload.get("batchItemFailures")
    if failures is None:
        return frozenset() if not result.payload else every
    if not isinstance(failures, list):
        return every
    named = {_identifier(one) for one in failures}
    return frozenset(one for one in named if one) if named <= every else every


def _identifier(failure: Any) -> str | None:  # noqa: ANN401 - JSON
    identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
    return identifier if isinstance(identifier, str) else None


def _size(messages: list[MessageTypeDef]) -> int:
    return sum(len(message["Body"].encode()) for message in messages)


def _chunks(messages: list[MessageTypeDef]) -> Iterator[tuple[MessageTypeDef, ...]]:
    remaining = iter(messages)
    while some := tuple(itertools.islice(remaining, RECEIVED_AT_ONCE)):
        yield some
