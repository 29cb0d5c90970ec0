from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.deployment import Deployment
from local.journal import Call
from rolecall.errors import RolecallError
from rolecall.events import OversizedNotification, parse_invocation
from rolecall.items import instant
from tests.builders import Json, iso, notification_item
from tests.local.synthesized import rule_assembly
from tests.test_recorded_events import EXAMPLES, NOW, OWN, PUT, REFUSED, Put, read, variants


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[LocalAws, Deployment]]:
    """The synthesized function in an account of one instance without a profile, on the day of the events."""
    with LocalAws() as aws, Deployment(aws, rule_assembly(), time_scale=0.001) as deployment:
        aws.config_region.load([notification_item(profile=None, tags={})])
        deployment.runtime.advance_clock(NOW - datetime.now(UTC))
        yield aws, deployment


def answered(running: tuple[LocalAws, Deployment], event: Json) -> tuple[str, list[Call]]:
    """The function's error, if any, and the calls that it made.

    In test mode and from the one rule that is there, as the files' tokens and rules are not known here.
    """
    aws, deployment = running
    aws.config.journal.clear()
    (rule,) = deployment.rule_names
    result = deployment.runtime.invoke({**event, "configRuleName": rule, "resultToken": "TESTMODE"})
    error = f"{result.error.error_type}: {result.error.message}" if result.error else ""
    return error, aws.config.journal.calls()


def put_by(call: Call) -> list[Put]:
    """The evaluations of a PutEvaluations call."""
    assert call.error is None
    return [
        (
            one["ComplianceResourceId"],
            one["ComplianceType"],
            one["Annotation"],
            iso(instant(one["OrderingTimestamp"], "OrderingTimestamp")),
        )
        for one in call.input["Evaluations"]
    ]


def record_what_was_announced(aws: LocalAws, event: Json) -> None:
    """Put the whole item of an oversized notification into Config's history."""
    try:
        notification = parse_invocation(event).notification
    except RolecallError:
        return
    if not isinstance(notification, OversizedNotification):
        return
    summary = notification.summary
    captured = iso(summary.capture_time)
    known = aws.config_region.newest(summary.resource_type, summary.resource_id)
    if known is None or known["configurationItemCaptureTime"] != captured:
        item = notification_item(
            profile=None, tags={}, resourceId=summary.resource_id, configurationItemCaptureTime=captured
        )
        aws.config_region.load([item])


@pytest.mark.parametrize("name", [name for name in PUT if name != "oversized.json"])
def test_the_real_function_puts_what_is_expected_in_one_call(running: tuple[LocalAws, Deployment], name: str) -> None:
    """The same expectations as without the runtime, through Lambda's client, the package and HTTP."""
    error, calls = answered(running, read(OWN / name))
    assert error == ""
    *reads, put = calls
    listings = ["GetComplianceDetailsByConfigRule", "SelectResourceConfig"]
    assert [call.operation for call in reads] == (listings if name == "scheduled.json" else [])
    assert PUT[name] in put_by(put)


def test_the_real_function_fetches_an_oversized_item(running: tuple[LocalAws, Deployment]) -> None:
    """One call to fetch it, one to report."""
    event = read(OWN / "oversized.json")
    record_what_was_announced(running[0], event)
    error, (fetch, put) = answered(running, event)
    assert (error, fetch.operation, put_by(put)) == ("", "GetResourceConfigHistory", [PUT["oversized.json"]])


@pytest.mark.parametrize("name", REFUSED)
def test_the_real_function_refuses_what_it_cannot_answer(running: tuple[LocalAws, Deployment], name: str) -> None:
    """With the same words, and without calling anything."""
    error, calls = answered(running, read(OWN / name))
    assert error.partition(": ")[2] == REFUSED[name]
    assert calls == []


@pytest.mark.parametrize(
    "path", [OWN / "change_exempt.json", *sorted(EXAMPLES.glob("*.json"))], ids=lambda path: path.name
)
def test_the_real_function_answers_or_refuses_whatever_is_at_hand(
    running: tuple[LocalAws, Deployment], path: Path
) -> None:
    """Files that others wrote end in one PutEvaluations call that Config takes, or in an error that names a field."""
    for event in variants(read(path)):
        record_what_was_announced(running[0], event)
        error, calls = answered(running, event)
        if error:
            assert "; allowed: " in error
            assert calls == []
        else:
            assert [call.operation for call in calls].count("PutEvaluations") == 1
            assert calls[-1].error is None
