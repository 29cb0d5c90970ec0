"""A queue's messages become batches of a function, and those that it fails come again."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_sqs import SQSClient

from local.aws import LocalAws
from local.event_source import EventSource, failed_messages
from local.execution_environment import FunctionError, InvocationResult
from local.function_runtime import FunctionRuntime
from local.resource_definitions import EventSourceMapping
from tests.local.functions import write_function

SECOND = 1 / 1000
"""The time scale of these tests: a visibility time-out of half a minute lasts 30 ms."""

ECHO = "def handler(event, context): print('got', *(one['body'] for one in event['Records']))"

FAILS_SOME = """
    def handler(event, context):
        failed = [one["messageId"] for one in event["Records"] if one["body"].startswith("bad")]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""

FAILS = "def handler(event, context): raise ValueError('no')"

Start = Callable[..., EventSource]


@pytest.fixture
def sqs(local_aws: LocalAws) -> SQSClient:
    """Queues in moto, through the endpoint of the local AWS."""
    client: SQSClient = local_aws.client("sqs")
    return client


@pytest.fixture
def queue(sqs: SQSClient, request: pytest.FixtureRequest) -> str:
    """The URL of a queue of the test's own, which gives a message up after three receives."""
    name = request.node.name[:40].translate({ord(letter): "-" for letter in "[] "})
    letters = sqs.create_queue(QueueName=f"{name}-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "30"}
    return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])  # type: ignore[arg-type]  # names


@pytest.fixture
def start(sqs: SQSClient, queue: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a function, by its source, that the queue feeds; both are closed at the end."""
    closing: list[EventSource | FunctionRuntime] = []

    def begin(source: str, **mapping: Any) -> EventSource:  # noqa: ANN401 - any field
        runtime = FunctionRuntime(write_function(tmp_path / "package", source), {})
        fed = EventSource(
            runtime,
            sqs,
            EventSourceMapping("arn:aws:sqs:eu-west-1:123456789012:queue", **mapping),
            queue,
            visibility_seconds=30,
            time_scale=SECOND,
        )
        closing.extend([fed, runtime])
        return fed

    yield begin
    for one in closing:
        one.close()


def send(sqs: SQSClient, queue: str, *bodies: str) -> None:
    """Put messages into the queue."""
    for body in bodies:
        sqs.send_message(
            QueueUrl=queue,
            MessageBody=body,
            MessageAttributes={"Sent": {"StringValue": "yes", "DataType": "String"}},
        )


def letters(sqs: SQSClient, queue: str) -> list[str]:
    """What was given up."""
    answer = sqs.receive_message(QueueUrl=f"{queue}-letters", MaxNumberOfMessages=10, VisibilityTimeout=0)
    return sorted(message["Body"] for message in answer.get("Messages", []))


def test_a_batch_is_as_large_as_the_mapping_says(sqs: SQSClient, queue: str, start: Start) -> None:
    """More than SQS hands out at once, and no message is left or given twice."""
    bodies = [f"number {one}" for one in range(30)]
    send(sqs, queue, *bodies)
    source = start(ECHO, batch_size=12, maximum_concurrency=2)
    source.wait_idle()
    assert max(len(batch.messages) for batch in source.journal) == 12
    given = [identifier for batch in source.journal for identifier in batch.messages]
    assert (len(given), len(set(given))) == (30, 30)
    printed = " ".join(line for batch in source.journal for line in batch.result.log)
    assert all(body in printed for body in bodies)


def test_a_window_gathers_what_comes_meanwhile(sqs: SQSClient, queue: str, start: Start) -> None:
    """One message opens it; a batch without a window does not wait."""
    source = start(ECHO, batch_size=100, window_seconds=600, maximum_concurrency=2)
    time.sleep(0.1)
    send(sqs, queue, "first", "second", "third")
    source.wait_idle()
    assert len(source.journal) < 3


def test_a_record_has_what_lambda_gives(sqs: SQSClient, queue: str, start: Start) -> None:
    """Every key, with the receive count that tells a retry from a first attempt."""
    send(sqs, queue, "hello")
    source = start("import json\ndef handler(event, context): print(json.dumps(event))")
    source.wait_idle()
    [batch] = source.journal
    [record] = json.loads(batch.result.log[-1])["Records"]
    assert record.keys() == {
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    }
    assert record["messageId"] == batch.messages[0]
    assert (record["body"], record["eventSource"], record["awsRegion"]) == ("hello", "aws:sqs", "eu-west-1")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["Sent"]["stringValue"] == "yes"


def test_only_the_messages_that_failed_come_again(sqs: SQSClient, queue: str, start: Start) -> None:
    """Until SQS itself gives them up."""
    send(sqs, queue, "good", "bad one", "fine", "bad two")
    source = start(FAILS_SOME, reports_failures=True)
    source.wait_idle()
    assert letters(sqs, queue) == ["bad one", "bad two"]
    attempts = [identifier for batch in source.journal for identifier in batch.messages]
    assert sorted(attempts.count(identifier) for identifier in set(attempts)) == [1, 1, 3, 3]


def test_a_function_that_fails_fails_its_whole_batch(sqs: SQSClient, queue: str, start: Start) -> None:
    """Each message is tried as often as the queue allows."""
    send(sqs, queue, "one", "two")
    source = start(FAILS, reports_failures=True)
    source.wait_idle()
    assert letters(sqs, queue) == ["one", "two"]
    assert all(batch.failed == frozenset(batch.messages) for batch in source.journal)


def test_whoever_waits_learns_that_it_takes_too_long(sqs: SQSClient, queue: str, start: Start) -> None:
    """Instead of waiting for ever."""
    source = start("import time\ndef handler(event, context): time.sleep(0.5)")
    send(sqs, queue, "slow")
    with pytest.raises(TimeoutError, match=r"1 message\(s\) are still in"):
        source.wait_idle(timeout=0.1)
    source.wait_idle()


def test_whoever_waits_learns_what_broke(sqs: SQSClient, queue: str, start: Start) -> None:
    """A queue that is gone feeds nobody."""
    source = start(ECHO)
    send(sqs, queue, "too late")
    sqs.delete_queue(QueueUrl=queue)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        source.wait_idle()


ALL = frozenset(["a", "b"])
NONE: frozenset[str] = frozenset()

ANSWERS: dict[str, tuple[object, frozenset[str]]] = {
    "null is success": (None, NONE),
    "an empty object is success": ({}, NONE),
    "an empty list is success": ({"batchItemFailures": []}, NONE),
    "null in place of the list, with other keys, is a failure": ({"other": 1}, ALL),
    "those that are named fail": ({"batchItemFailures": [{"itemIdentifier": "b"}]}, frozenset(["b"])),
    "an unknown message fails all": ({"batchItemFailures": [{"itemIdentifier": "c"}]}, ALL),
    "a blank one fails all": ({"batchItemFailures": [{"itemIdentifier": ""}]}, ALL),
    "one without a name fails all": ({"batchItemFailures": [{"itemId": "a"}]}, ALL),
    "no object fails all": ({"batchItemFailures": ["a"]}, ALL),
    "no list fails all": ({"batchItemFailures": "a"}, ALL),
    "another answer fails all": ("done", ALL),
}


def answered(payload: object, error: FunctionError | None = None) -> InvocationResult:
    """What an invocation ended with."""
    return InvocationResult("1", payload, error, (), 0.1, None, None)


@pytest.mark.parametrize(("payload", "failed"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_means(payload: object, failed: frozenset[str]) -> None:
    """As AWS documents partial batch responses."""
    assert failed_messages(answered(payload), ["a", "b"], reported=True) == failed


def test_an_answer_means_nothing_unless_failures_are_reported() -> None:
    """Then only an error fails the batch, and always the whole of it."""
    named = {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert failed_messages(answered(named), ["a", "b"], reported=False) == NONE
    assert failed_messages(answered(named, FunctionError("E", "no")), ["a", "b"], reported=True) == ALL
