import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_sqs import SQSClient

from local.execution_environment import FunctionError
from local.function_runtime import FunctionRuntime
from local.invocations import (
    AsynchronousInvocation,
    AsynchronousInvocations,
    DeadLetterNotSent,
    Outcome,
    UnknownFunction,
)
from tests.local.functions import FUNCTION_ARN, write_function

QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012:dead-letters"  # moto's own account
SECOND = 1 / 1000
"""The time scale of these tests: a minute lasts 60 ms."""

FAILS = "def handler(event, context): raise ValueError('no ' + event['id'])"

FAILS_AT_FIRST = """
    import pathlib

    def handler(event, context):
        tried = pathlib.Path(event["tried"])
        tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
        if len(tried.read_text()) < event["succeeds_at"]:
            raise ValueError("not yet")
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., AsynchronousInvocations]]:
    """Starts a function, by its source, with asynchronous invocations; both are closed at the end."""
    closing: list[AsynchronousInvocations | FunctionRuntime] = []

    def start(
        source: str,
        *,
        sqs: SQSClient | None = None,
        scale: float = SECOND,
        **changes: Any,  # noqa: ANN401 - any field
    ) -> AsynchronousInvocations:
        runtime = FunctionRuntime(write_function(tmp_path / "package", source, **changes), {})
        invocations = AsynchronousInvocations([runtime], sqs=sqs, time_scale=scale)
        closing.extend([invocations, runtime])
        return invocations

    yield start
    for one in closing:
        one.close()


@pytest.fixture(scope="module")
def moto_sqs() -> Iterator[SQSClient]:
    """SQS in moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "sqs",
        region_name="eu-west-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - invented, opens nothing
    )
    yield client
    client.close()
    server.stop()


@pytest.fixture
def sqs(moto_sqs: SQSClient) -> Iterator[SQSClient]:
    """SQS with an empty dead-letter queue."""
    url = moto_sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    yield moto_sqs
    moto_sqs.delete_queue(QueueUrl=url)


def received(sqs: SQSClient) -> list[tuple[Any, dict[str, str]]]:
    """Every message in the dead-letter queue: its body, and its attributes as text."""
    url = sqs.get_queue_url(QueueName="dead-letters")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
    return [
        (
            json.loads(message["Body"]),
            {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
        )
        for message in messages
    ]


def test_success(started: Callable[..., AsynchronousInvocations]) -> None:
    """An event that is handled is invoked once; the journal tells."""
    invocations = started("def handler(event, context): return event['id']")
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.wait_idle()
    [entry] = invocations.journal
    assert (entry.function_arn, entry.event, entry.outcome) == (FUNCTION_ARN, {"id": "one"}, Outcome.SUCCEEDED)
    assert [(attempt.payload, attempt.request_id) for attempt in entry.attempts] == [("one", entry.request_id)]
    assert invocations.dead_letters == ()


def test_invoke_returns_at_once(started: Callable[..., AsynchronousInvocations], tmp_path: Path) -> None:
    """The caller does not wait for the function, which here waits for the caller; a later change is not seen."""
    invocations = started(
        "import pathlib, time\n\n"
        "def handler(event, context):\n"
        "    while not pathlib.Path(event['go']).exists(): time.sleep(0.01)\n"
        "    return event"
    )
    event = {"go": str(tmp_path / "go")}
    invocations.invoke(FUNCTION_ARN, event)
    event["id"] = "after"
    (tmp_path / "go").touch()
    invocations.wait_idle()
    assert invocations.journal[0].attempts[0].payload == {"go": str(tmp_path / "go")}


def test_retries_until_it_succeeds(started: Callable[..., AsynchronousInvocations], tmp_path: Path) -> None:
    """A failed event is tried again after one minute and then after two, under the same request id."""
    invocations = started(FAILS_AT_FIRST, scale=2 * SECOND)
    began = time.monotonic()
    invocations.invoke(FUNCTION_ARN, {"tried": str(tmp_path / "tried"), "succeeds_at": 3})
    invocations.wait_idle()
    assert time.monotonic() - began > (60 + 120) * 2 * SECOND
    [entry] = invocations.journal
    assert [attempt.error and attempt.error.message for attempt in entry.attempts] == ["not yet", "not yet", None]
    assert {attempt.request_id for attempt in entry.attempts} == {entry.request_id}
    assert entry.outcome is Outcome.SUCCEEDED


def test_retries_exhausted(started: Callable[..., AsynchronousInvocations], sqs: SQSClient) -> None:
    """The event itself goes to the dead-letter queue, with Lambda's attributes; other events are not held up."""
    invocations = started(FAILS, sqs=sqs, dead_letter_arn=QUEUE_ARN)
    invocations.invoke(FUNCTION_ARN, {"id": "x" * 2000})
    invocations.wait_idle()
    [entry] = invocations.dead_letters
    assert (entry.outcome, len(entry.attempts)) == (Outcome.DEAD_LETTERED, 3)
    message = ("no " + "x" * 2000)[:1024]
    attributes = {"RequestID": entry.request_id, "ErrorCode": "200", "ErrorMessage": message}
    assert received(sqs) == [({"id": "x" * 2000}, attributes)]


TIMEOUT = "import time\n\ndef handler(event, context): time.sleep(30)"


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        (FAILS, "ValueError"),
        ("import os\n\ndef handler(event, context): os._exit(1)", "Runtime.ExitError"),
        ("import boto3", "Runtime.ImportModuleError"),
        (TIMEOUT, "Sandbox.Timedout"),
    ],
)
def test_every_kind_of_failure_is_retried(
    started: Callable[..., AsynchronousInvocations], source: str, error_type: str
) -> None:
    """An exception, an exit, a failed start and a time-out count alike; one retry makes two attempts."""
    invocations = started(source, retry_attempts=1, timeout_seconds=1)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.wait_idle()
    [entry] = invocations.dead_letters
    assert [attempt.error and attempt.error.error_type for attempt in entry.attempts] == [error_type] * 2
    assert entry.gave_up_because == entry.last_error
    assert entry.outcome is Outcome.DISCARDED  # the definition names no queue


def test_on_failure_destination(started: Callable[..., AsynchronousInvocations], sqs: SQSClient) -> None:
    """A destination gets a record of the invocation with the event in it."""
    invocations = started(FAILS, sqs=sqs, on_failure_arn=QUEUE_ARN, retry_attempts=0)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.wait_idle()
    [(record, attributes)] = received(sqs)
    assert attributes == {}
    assert record.pop("timestamp").endswith("Z")
    [trace] = record["responsePayload"].pop("stackTrace")
    assert "raise ValueError" in trace
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": invocations.journal[0].request_id,
            "functionArn": f"{FUNCTION_ARN}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"id": "one"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": "ValueError", "errorMessage": "no one"},
    }


def test_event_too_old_for_its_retry(started: Callable[..., AsynchronousInvocations], sqs: SQSClient) -> None:
    """An event older than the maximum age is not tried again: it is dead-lettered with its last error."""
    invocations = started(FAILS, sqs=sqs, dead_letter_arn=QUEUE_ARN, maximum_event_age_seconds=59, scale=10 * SECOND)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.wait_idle()
    [entry] = invocations.dead_letters
    assert len(entry.attempts) == 1
    assert received(sqs) == [
        ({"id": "one"}, {"RequestID": entry.request_id, "ErrorCode": "200", "ErrorMessage": "no one"})
    ]


def test_event_too_old_for_any_attempt(started: Callable[..., AsynchronousInvocations], sqs: SQSClient) -> None:
    """An event that waited too long behind others is dead-lettered without an attempt, and says why."""
    invocations = started(
        "import time\n\ndef handler(event, context): time.sleep(1)",
        sqs=sqs,
        dead_letter_arn=QUEUE_ARN,
        reserved_concurrency=1,
        maximum_event_age_seconds=60,
        scale=10 * SECOND,
    )
    invocations.invoke(FUNCTION_ARN, {"id": "first"})
    invocations.invoke(FUNCTION_ARN, {"id": "second"})
    invocations.wait_idle()
    first, second = invocations.journal
    why = "The event was older than the function's maximum event age"
    assert first.outcome is Outcome.SUCCEEDED
    assert (second.attempts, second.gave_up_because) == ([], FunctionError("EventAgeExceeded", why))
    assert received(sqs) == [
        ({"id": "second"}, {"RequestID": second.request_id, "ErrorCode": "429", "ErrorMessage": why})
    ]


def test_duplicates(started: Callable[..., AsynchronousInvocations]) -> None:
    """As Lambda may, an event is delivered twice under one request id, even though the function succeeds."""
    invocations = started("def handler(event, context): return event['id']")
    invocations.deliver_twice(FUNCTION_ARN, count=1)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.invoke(FUNCTION_ARN, {"id": "two"})
    invocations.wait_idle()

    def shown(entry: AsynchronousInvocation) -> tuple[Mapping[str, object], list[object], str]:
        return entry.event, [attempt.payload for attempt in entry.attempts], entry.outcome

    assert [shown(entry) for entry in invocations.journal] == [
        ({"id": "one"}, ["one"], "succeeded"),
        ({"id": "one"}, ["one"], "succeeded"),
        ({"id": "two"}, ["two"], "succeeded"),
    ]
    first, second, other = (entry.request_id for entry in invocations.journal)
    assert first == second != other


def test_dead_letter_queue_that_does_not_exist(started: Callable[..., AsynchronousInvocations], sqs: SQSClient) -> None:
    """An event that its queue does not take is lost in Lambda; here whoever waits is told."""
    missing = QUEUE_ARN.replace("dead-letters", "missing")
    invocations = started(FAILS, sqs=sqs, dead_letter_arn=missing, retry_attempts=0)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    with pytest.raises(DeadLetterNotSent, match=rf"^{missing} did not take event .*NonExistentQueue"):
        invocations.wait_idle()
    assert invocations.journal[0].outcome is Outcome.LOST
    invocations.wait_idle()


def test_without_sqs_dead_letters_stay_in_the_journal(started: Callable[..., AsynchronousInvocations]) -> None:
    """With no client for the queue, the journal is where to look."""
    invocations = started(FAILS, dead_letter_arn=QUEUE_ARN, retry_attempts=0)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    invocations.wait_idle()
    [entry] = invocations.dead_letters
    assert (entry.outcome, entry.event) == (Outcome.DEAD_LETTERED, {"id": "one"})


def test_waiting_ends(started: Callable[..., AsynchronousInvocations]) -> None:
    """`wait_idle` gives up after its time and says what is still to come."""
    invocations = started(FAILS, scale=1.0)
    invocations.invoke(FUNCTION_ARN, {"id": "one"})
    with pytest.raises(TimeoutError, match=r"^sample: 1 event\(s\) still wait, 0 run$"):
        invocations.wait_idle(timeout=1)


def test_unknown_function(started: Callable[..., AsynchronousInvocations]) -> None:
    """An ARN that runs no function is refused, with those that do."""
    invocations = started(FAILS)
    other = FUNCTION_ARN.replace("sample", "other")
    with pytest.raises(UnknownFunction, match=rf"^no function {other} runs here; functions that do: {FUNCTION_ARN}$"):
        invocations.invoke(other, {})


def test_result_tokens_stay_out_of_sight(started: Callable[..., AsynchronousInvocations]) -> None:
    """An event may carry a secret: the journal's entries do not print it."""
    invocations = started("def handler(event, context): return None")
    invocations.invoke(FUNCTION_ARN, {"resultToken": "a secret"})
    invocations.wait_idle()
    assert "a secret" not in repr(invocations.journal)
