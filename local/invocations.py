"""Lambda's asynchronous invocations, which is how Config invokes a rule's function: queue, retries, dead letters.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import heapq
import itertools
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

from local.closing import Closing
from local.execution_environment import FunctionError, InvocationResult
from local.function_runtime import FunctionRuntime

RETRY_DELAYS = (60.0, 120.0)
"""Seconds before the second and the third attempt at an event that the function failed."""

ERROR_MESSAGE_LENGTH = 1024
"""Of the error's message, this much goes into a dead letter's attribute."""

_AGE_EXCEEDED = FunctionError("EventAgeExceeded", "The event was older than the function's maximum event age")


class Outcome(StrEnum):
    """What became of an event."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    DEAD_LETTERED = "dead-lettered"
    """Given up, and sent to the dead-letter queue or on-failure destination, if an SQS client was given."""
    DISCARDED = "discarded"
    """Given up, and the function's definition names nothing to send it to."""
    LOST = "lost"
    """Given up, and the dead-letter queue or destination did not take it."""


class UnknownFunction(LookupError):
    """No function with this ARN runs here."""


class DeadLetterNotSent(Exception):
    """The dead-letter queue or destination did not take an event: Lambda would have lost it, with only a metric."""


@dataclass
class AsynchronousInvocation:
    """One event in a function's queue: the journal's entry. A duplicate has an entry of its own with the same id."""

    request_id: str
    function_arn: str
    event: Mapping[str, object] = field(repr=False)  # Config's events carry a result token
    accepted: float = field(default_factory=time.monotonic, repr=False)
    attempts: list[InvocationResult] = field(default_factory=list)
    outcome: Outcome = Outcome.PENDING
    gave_up_because: FunctionError | None = None

    @property
    def last_error(self) -> FunctionError | None:
        """The error of the last attempt, if there was an attempt and it failed."""
        return self.attempts[-1].error if self.attempts else None


class AsynchronousInvocations(Closing):
    """The event queues of the functions that run here. A context manager: leaving it drops what still waits.

    The `runtimes` stay the caller's to close. `sqs` reaches the queues that the definitions name for failed events;
    without it they are only kept in the journal. `time_scale` shortens waiting: at 0.001 a delay of one minute, and a
    maximum event age of one minute, last 60 ms.
    """

    def __init__(
        self, runtimes: Iterable[FunctionRuntime], *, sqs: SQSClient | None = None, time_scale: float = 1.0
    ) -> None:
        self._queues = {runtime.definition.arn: _EventQueue(runtime, sqs, time_scale) for runtime in runtimes}

    def invoke(self, function_arn: str, event: Mapping[str, object]) -> None:
        """Accept an event and return, as Lambda does with 202. Raises UnknownFunction."""
        if function_arn not in self._queues:
            known = ", ".join(self._queues) or "none"
            raise UnknownFunction(f"no function {function_arn} runs here; functions that do: {known}")
        self._queues[function_arn].accept(event)

    def deliver_twice(self, function_arn: str, count: int = 1) -> None:
        """Deliver each of the next `count` events two times, as Lambda may."""
        self._queues[function_arn].duplicates = count

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until no event waits or runs. Raises TimeoutError, or DeadLetterNotSent once for each failed sending."""
        deadline = time.monotonic() + timeout
        for queue in self._queues.values():
            queue.wait_idle(deadline)

    @property
    def journal(self) -> tuple[AsynchronousInvocation, ...]:
        """Every event accepted so far, function by function, in order."""
        return tuple(entry for queue in self._queues.values() for entry in tuple(queue.journal))

    @property
    def dead_letters(self) -> tuple[AsynchronousInvocation, ...]:
        """The journal's entries that were given up, wherever they went."""
        return tuple(entry for entry in self.journal if entry.gave_up_because)

    def close(self) -> None:
        """Begin no more attempts; those under way are waited for."""
        for queue in self._queues.values():
            queue.close()


class _EventQueue:
    def __init__(self, runtime: FunctionRuntime, sqs: SQSClient | None, time_scale: float) -> None:
        self.journal: list[AsynchronousInvocation] = []
        self.duplicates = 0
        self._runtime = runtime
        self._sqs = sqs
        self._time_scale = time_scale
        self._waiting: list[tuple[float, int, AsynchronousInvocation]] = []  # a heap: due time, tie-breaker, entry
        self._sequence = itertools.count()
        self._running = 0
        self._unsent: deque[DeadLetterNotSent] = deque()
        self._closed = False
        self._changed = threading.Condition()
        self._workers = [
            threading.Thread(target=self._work, name=f"local-lambda-queue-{number}", daemon=True)
            for number in range(runtime.concurrency)
        ]
        for worker in self._workers:
            worker.start()

    def accept(self, event: Mapping[str, object]) -> None:
        request_id = str(uuid.uuid4())
        text = json.dumps(event)
        with self._changed:
            copies = 2 if self.duplicates else 1
            self.duplicates = max(self.duplicates - 1, 0)
            for _ in range(copies):
                entry = AsynchronousInvocation(request_id, self._runtime.definition.arn, json.loads(text))
                self.journal.append(entry)
                self._schedule(entry, delay=0)

    def wait_idle(self, deadline: float) -> None:
        with self._changed:
            idle = self._changed.wait_for(lambda: not self._waiting and not self._running, deadline - time.monotonic())
            if not idle:
                raise TimeoutError(
                    f"{self._runtime.definition.name}: {len(self._waiting)} event(s) still wait, {self._running} run"
                )
            if self._unsent:
                raise self._unsent.popleft()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _schedule(self, entry: AsynchronousInvocation, delay: float) -> None:
        with self._changed:
            due = time.monotonic() + delay * self._time_scale
            heapq.heappush(self._waiting, (due, next(self._sequence), entry))
            self._changed.notify_all()

    def _work(self) -> None:
        while (entry := self._next_due()) is not None:
            try:
                self._attempt(entry)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    def _next_due(self) -> AsynchronousInvocation | None:
        with self._changed:
            while not self._closed:
                left = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if left is not None and left <= 0:
                    self._running += 1
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(left)
            return None

    def _attempt(self, entry: AsynchronousInvocation) -> None:
        definition = self._runtime.definition
        age = (time.monotonic() - entry.accepted) / self._time_scale
        if age > definition.maximum_event_age_seconds:
            self._give_up(entry, entry.last_error or _AGE_EXCEEDED, too_old=True)
            return
        result = self._runtime.invoke(entry.event, entry.request_id)
        entry.attempts.append(result)
        if result.error is None:
            entry.outcome = Outcome.SUCCEEDED
        elif len(entry.attempts) > definition.retry_attempts:
            self._give_up(entry, result.error)
        else:
            self._schedule(entry, RETRY_DELAYS[min(len(entry.attempts), len(RETRY_DELAYS)) - 1])

    def _give_up(self, entry: AsynchronousInvocation, error: FunctionError, *, too_old: bool = False) -> None:
        entry.gave_up_because = error
        definition = self._runtime.definition
        messages = []
        if definition.dead_letter_arn:
            messages.append(
                (definition.dead_letter_arn, json.dumps(entry.event), _dead_letter_attributes(entry, error))
            )
        if definition.on_failure_arn:
            messages.append((definition.on_failure_arn, _failure_record(entry, error, too_old=too_old), {}))
        entry.outcome = Outcome.DEAD_LETTERED if messages else Outcome.DISCARDED
        for arn, body, attributes in messages:
            if self._sqs is None:
                break
            try:
                _send(self._sqs, arn, body, attributes)
            except (BotoCoreError, ClientError) as problem:
                entry.outcome = Outcome.LOST
                with self._changed:
                    self._unsent.append(DeadLetterNotSent(f"{arn} did not take event {entry.request_id}: {problem}"))


def _send(sqs: SQSClient, queue_arn: str, body: str, attributes: Mapping[str, MessageAttributeValueTypeDef]) -> None:
    _, _, _, _, account_id, name = queue_arn.split(":")
    url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account_id)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)


def _dead_letter_attributes(
    entry: AsynchronousInvocation, error: FunctionError
) -> dict[str, MessageAttributeValueTypeDef]:
    """ErrorCode is the HTTP status of the last attempt: 200 for a function that failed, 429 for one never begun."""
    return {
        "RequestID": {"DataType": "String", "StringValue": entry.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200" if entry.attempts else "429"},
        "ErrorMessage": {"DataType": "String", "StringValue": error.message[:ERROR_MESSAGE_LENGTH] or error.error_type},
    }


def _failure_record(entry: AsynchronousInvocation, error: FunctionError, *, too_old: bool) -> str:
    """What Lambda sends to a destination: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html."""
    return json.dumps(
        {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": entry.request_id,
                "functionArn": f"{entry.function_arn}:$LATEST",
                "condition": "EventAgeExceeded" if too_old else "RetriesExhausted",
                "approximateInvokeCount": len(entry.attempts),
            },
            "requestPayload": entry.event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {
                "errorType": error.error_type,
                "errorMessage": error.message,
                "stackTrace": error.stack_trace,
            },
        }
    )
