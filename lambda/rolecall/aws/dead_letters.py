"""The events that Lambda gave up, and how they are handed to the function again. For the command line alone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from rolecall.aws.clients import calling
from rolecall.aws.live import LiveAccount
from rolecall.errors import ServiceError

HIDDEN_SECONDS = 600
"""How long SQS hides a message that was received; it is shown again at once when this ends in order."""

POLL_SECONDS = 2
"""Above 0, SQS asks all of its servers before it says that a queue is empty."""

BATCH = 10
"""The most that one call of SQS receives or changes."""

ACCEPTED = 202
"""Lambda's answer to an event that it keeps and will hand to the function."""

_QUEUE_REGION = re.compile(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")


def region_of_queue(url: str) -> str | None:
    """The region that the URL of a queue names, if it does."""
    found = _QUEUE_REGION.match(url)
    return (found[1] or found[2]) if found else None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that Lambda gave up. What is secret is in no representation: the event holds a result token."""

    message_id: str
    event: str = field(repr=False)
    """As it was in the queue: JSON, if Lambda put it there."""
    sent_at: datetime
    request_id: str | None
    error: str
    """What the function said at its last attempt, its first 1,024 characters."""


class DeadLetterQueue:
    """The queue of one function. Messages that were received and not replayed stay; `close` shows them again.

    Every method raises ServiceError.
    """

    def __init__(self, sqs: Any, functions: Any, url: str, function: str) -> None:  # noqa: ANN401 - made by boto3
        self._sqs = sqs
        self._lambda = functions
        self._url = url
        self._function = function
        self._receipts: dict[str, str] = {}

    def approximate_size(self) -> int:
        """How many messages SQS believes to be there."""
        name = "ApproximateNumberOfMessages"
        with calling("GetQueueAttributes"):
            answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receive(self) -> Iterator[DeadLetter]:
        """Every message once, until the queue has no other."""
        while messages := self._receive():
            new = [message for message in messages if message["MessageId"] not in self._receipts]
            # Before any is handed out: all of them are hidden now. One that waited here too long comes again, with a
            # receipt that replaces its last.
            self._receipts.update({message["MessageId"]: message["ReceiptHandle"] for message in messages})
            yield from map(_dead_letter, new)

    def replay(self, letter: DeadLetter) -> None:
        """Let Lambda invoke the function with the event, then delete the message; never the other way round."""
        with calling("Invoke"):
            answer = self._lambda.invoke(
                FunctionName=self._function, InvocationType="Event", Payload=letter.event.encode()
            )
            # Empty, but only what was read to its end gives the connection back.
            answer["Payload"].read()
        if answer["StatusCode"] != ACCEPTED:
            raise ServiceError("Invoke", "NotAccepted", f"Lambda answered {answer['StatusCode']}, not {ACCEPTED}")
        with calling("DeleteMessage"):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=self._receipts[letter.message_id])
        del self._receipts[letter.message_id]

    def close(self) -> None:
        """Show what is left in the queue to others again."""
        receipts = iter(self._receipts.values())
        self._receipts = {}
        while batch := list(islice(receipts, BATCH)):
            with calling("ChangeMessageVisibilityBatch"):
                answer = self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=_shown_again(batch))
            for failed in answer.get("Failed", ()):
                raise ServiceError("ChangeMessageVisibilityBatch", failed["Code"], failed.get("Message", ""))

    def _receive(self) -> list[Mapping[str, Any]]:
        with calling("ReceiveMessage"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                MessageAttributeNames=["RequestID", "ErrorMessage"],
                MessageSystemAttributeNames=["SentTimestamp"],
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=POLL_SECONDS,
            )
        messages: list[Mapping[str, Any]] = answer.get("Messages", [])
        return messages


class RedrivingAccount(LiveAccount):
    """An account with a rule function. Every method raises ServiceError."""

    @contextmanager
    def dead_letters(self, queue_url: str, function: str, region: str) -> Iterator[DeadLetterQueue]:
        """The dead-letter queue at `queue_url`, whose events belong to `function` (name or ARN)."""
        with (
            self._client("sqs", region) as sqs,
            self._client("lambda", region) as functions,
            closing(DeadLetterQueue(sqs, functions, queue_url, function)) as queue,
        ):
            yield queue


def _dead_letter(message: Mapping[str, Any]) -> DeadLetter:
    attributes = message.get("MessageAttributes", {})
    sent = int(message["Attributes"]["SentTimestamp"])
    return DeadLetter(
        message_id=message["MessageId"],
        event=message["Body"],
        sent_at=datetime.fromtimestamp(sent / 1000, UTC),
        request_id=attributes.get("RequestID", {}).get("StringValue"),
        error=attributes.get("ErrorMessage", {}).get("StringValue", ""),
    )


def _shown_again(receipts: Iterable[str]) -> list[dict[str, object]]:
    return [
        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0} for number, receipt in enumerate(receipts)
    ]
