import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from local.aws import LocalAws
from local.deployment import Deployment
from local.faults import FaultKind
from rolecall.aws.clients import Deadline, client
from rolecall.aws.config_service import ConfigService
from rolecall.errors import IncompleteRun, OutOfTime, ServiceError
from rolecall.model import Reason
from rolecall.recorded_results import recorded_reason
from rolecall.responding import Responder
from tests.builders import (
    ACCOUNT,
    CAPTURED,
    NOW,
    REGION,
    RULE_NAME,
    Json,
    deleted_item,
    exemption_tags,
    iso,
    notification_item,
)
from tests.fakes import FakeBus, FakeTelemetry
from tests.local.config_harness import Harness, instance_id, running_config
from tests.local.synthesized import rule_assembly

SESSION = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="local", region_name=REGION)  # noqa: S106 - verified by nobody
"""One for all tests: a session reads the service models once."""

DETAILS = "GetComplianceDetailsByConfigRule"
ROWS = "SelectResourceConfig"
HISTORY = "GetResourceConfigHistory"
PUT = "PutEvaluations"


class Swept:
    """The rule with its own client of a strict AWS Config, which it reaches over HTTP."""

    def __init__(self, config: Harness) -> None:
        self.config = config
        self.now = NOW
        self.clock = 0.0
        self.deadline = Deadline(lambda: self.clock)
        self.client = client("config", self.deadline, SESSION)
        service = ConfigService(self.client, self.deadline)
        self.bus = FakeBus()
        self.telemetry = FakeTelemetry()
        self.responder = Responder(lambda _: service, self.bus, self.telemetry, lambda: self.now)

    def record(self, number: int, captured: datetime = CAPTURED, *, gone: bool = False, **changes: Any) -> Json:  # noqa: ANN401 - any key of an item
        """An item of an instance enters Config's history; the rule hears nothing of it."""
        shape = deleted_item if gone else notification_item
        item = shape(resourceId=instance_id(number), configurationItemCaptureTime=iso(captured), **changes)
        self.config.region.load([item])
        return item

    def judge(self, item: Json) -> None:
        """The rule hears of an item."""
        self.responder.respond(self.config.region.event_for(RULE_NAME, item))

    def sweep(self, **parameters: str) -> dict[str, int]:
        """One scheduled run; how often it called which operation."""
        self.config.service.journal.clear()
        event = self.config.region.scheduled_event_for(RULE_NAME)
        self.responder.respond({**event, "ruleParameters": json.dumps(parameters)})
        return self.calls()

    def calls(self) -> dict[str, int]:
        """How often each operation was called since the sweep began."""
        made = [call.operation for call in self.config.service.journal.calls()]
        return {operation: made.count(operation) for operation in sorted(set(made))}

    def results(self) -> dict[str, Reason | None]:
        """What Config has recorded."""
        return {
            one.resource_id: recorded_reason(one.compliance_type, one.annotation or "")
            for one in self.config.region.results(RULE_NAME)
        }


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Swept]:
    """Config on the tests' day; pauses between attempts take no time."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with running_config() as config:
        monkeypatch.setenv("AWS_ENDPOINT_URL", config.url)
        yield Swept(config)


def test_from_a_first_sweep_to_one_that_finds_nothing(swept: Swept) -> None:
    """250 instances: listed once, put in three calls; then three pages of each listing, and not one call more."""
    for number in range(250):
        swept.record(number, profile=None)
    assert swept.sweep() == {DETAILS: 1, ROWS: 3, PUT: 3}
    assert swept.results() == {instance_id(number): Reason.NO_PROFILE for number in range(250)}
    assert swept.sweep() == {DETAILS: 3, ROWS: 3}


def test_what_became_of_each_instance_is_found(swept: Swept) -> None:
    """Lost events, a deletion, an exemption that expired: each costs one look at its newest item, all one put."""
    for number, tags in ((1, {}), (2, {}), (3, exemption_tags(expires=f"{NOW:%Y-%m-%d}")), (4, {})):
        swept.judge(swept.record(number, profile=None, tags=tags))
    later = CAPTURED + timedelta(hours=1)
    swept.record(1, later)
    swept.record(2, later, gone=True)
    swept.record(5, later, profile=None)
    swept.now += timedelta(days=1)
    assert swept.sweep() == {DETAILS: 1, ROWS: 1, HISTORY: 3, PUT: 1}
    assert swept.results() == {
        instance_id(1): Reason.PROFILE_ATTACHED,
        instance_id(3): Reason.EXEMPTION_EXPIRED,
        instance_id(4): Reason.NO_PROFILE,
        instance_id(5): Reason.NO_PROFILE,
    }
    assert {record["resourceId"] for record in swept.bus.records if record["source"] == "sweep"} >= {
        instance_id(number) for number in (1, 2, 3, 5)
    }
    run = swept.telemetry.runs[-1]
    assert (run.seen, run.differences, sum(run.repaired.values()), run.completed) == (5, 4, 4, True)
    assert swept.sweep() == {DETAILS: 1, ROWS: 1}


def test_an_expired_exemption_comes_a_millisecond_after_what_was_recorded(swept: Swept) -> None:
    """So it replaces the result; a change of the very next second still replaces it."""
    item = swept.record(1, profile=None, tags=exemption_tags(expires=f"{NOW:%Y-%m-%d}"))
    swept.judge(item)
    swept.now += timedelta(days=1)
    swept.sweep()
    (result,) = swept.config.region.results(RULE_NAME)
    assert result.ordering_ms == round(CAPTURED.timestamp() * 1000) + 1
    swept.judge(item)
    assert swept.results() == {instance_id(1): Reason.EXEMPTION_EXPIRED}
    swept.judge(swept.record(1, CAPTURED + timedelta(seconds=1)))
    assert swept.results() == {instance_id(1): Reason.PROFILE_ATTACHED}


@pytest.mark.parametrize("operation", [DETAILS, ROWS, HISTORY])
def test_empty_pages_are_followed(swept: Swept, operation: str) -> None:
    """A page without rows is not the last one, and what it does not hold is not gone."""
    for number in range(120):
        swept.judge(swept.record(number, profile=None))
    swept.record(7, CAPTURED + timedelta(hours=1))
    swept.config.service.faults.inject(FaultKind.EMPTY_PAGE, operation, times=3)
    swept.sweep()
    assert swept.results() == {
        instance_id(number): Reason.PROFILE_ATTACHED if number == 7 else Reason.NO_PROFILE for number in range(120)
    }
    assert swept.calls() == {
        DETAILS: 2 + 3 * (operation == DETAILS),
        HISTORY: 1 + 3 * (operation == HISTORY),
        PUT: 1,
        ROWS: 2 + 3 * (operation == ROWS),
    }


@pytest.mark.parametrize("operation", [DETAILS, ROWS, HISTORY, PUT])
@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.OUTAGE, FaultKind.DROP, FaultKind.LOSE_ANSWER])
def test_what_passes_is_retried_within_the_sweep(swept: Swept, operation: str, kind: FaultKind) -> None:
    """Two failures of any call leave no trace."""
    swept.judge(swept.record(1, profile=None))
    swept.record(1, CAPTURED + timedelta(hours=1))
    swept.config.service.faults.inject(kind, operation, times=2)
    assert swept.sweep()[operation] == 3
    assert swept.results() == {instance_id(1): Reason.PROFILE_ATTACHED}


@pytest.mark.parametrize(
    ("operation", "error"),
    [(DETAILS, ServiceError), (ROWS, ServiceError), (HISTORY, IncompleteRun), (PUT, ServiceError)],
)
def test_what_does_not_pass_fails_the_sweep_erases_nothing_and_is_made_good_by_the_next(
    swept: Swept, operation: str, error: type[Exception]
) -> None:
    """Of 120 instances one is gone; whatever failed, the others keep their results."""
    for number in range(120):
        swept.judge(swept.record(number, profile=None))
    swept.record(7, CAPTURED + timedelta(hours=1), gone=True)
    before = swept.results()
    swept.config.service.faults.inject(FaultKind.OUTAGE, operation, times=None)
    with pytest.raises(error, match=f"{operation} failed: InternalFailure"):
        swept.sweep()
    assert swept.results() == before
    assert not swept.telemetry.runs[-1].completed
    swept.config.service.faults.clear()
    swept.sweep()
    assert swept.results() == {name: reason for name, reason in before.items() if name != instance_id(7)}


def test_a_listing_that_fails_on_its_second_page_erases_nothing(swept: Swept) -> None:
    """What is on the pages that never came is not gone; what was found before is put."""
    for number in range(150):
        item = swept.record(number, profile=None)
        if number:
            swept.judge(item)
    pages: list[object] = []

    def fail_the_second_page(**_: object) -> None:
        pages.append(None)
        if len(pages) == 2:
            swept.config.service.faults.inject(FaultKind.OUTAGE, ROWS, times=None)

    swept.client.meta.events.register(f"before-call.config.{ROWS}", fail_the_second_page)
    with pytest.raises(ServiceError, match=f"{ROWS} failed: InternalFailure"):
        swept.sweep()
    assert swept.results() == {instance_id(number): Reason.NO_PROFILE for number in range(150)}


def test_a_sweep_stops_in_time_and_the_next_goes_on(swept: Swept) -> None:
    """With 28 s a page is read that takes 10; what it holds is put in the 15 s kept, and the sweep says so."""
    for number in range(250):
        swept.record(number, profile=None)

    def take_ten_seconds(**_: object) -> None:
        swept.clock += 10

    swept.client.meta.events.register(f"before-call.config.{ROWS}", take_ten_seconds)
    swept.deadline.set(28)
    with pytest.raises(OutOfTime, match=f"{ROWS} was not tried again: the 18.0 s left of this invocation are too few"):
        swept.sweep()
    assert swept.calls() == {DETAILS: 1, ROWS: 1, PUT: 1}
    assert len(swept.results()) == 100
    swept.deadline.set(600)
    assert swept.sweep() == {DETAILS: 1, ROWS: 3, PUT: 2}
    assert len(swept.results()) == 250


def test_an_instance_that_is_judged_again_after_not_applicable_replaces_it(swept: Swept) -> None:
    """Config keeps the time of a NOT_APPLICABLE result: a verdict at the item's own time would never get through."""
    swept.judge(swept.record(1, profile=None, state="stopped"))
    for evaluate_stopped, calls in (
        ("false", {DETAILS: 1, ROWS: 1, HISTORY: 1, PUT: 1}),
        ("false", {DETAILS: 1, ROWS: 1}),
        ("true", {DETAILS: 1, ROWS: 1, HISTORY: 1, PUT: 1}),
        ("true", {DETAILS: 1, ROWS: 1}),
    ):
        assert swept.sweep(evaluateStopped=evaluate_stopped) == calls
        expected = {instance_id(1): Reason.NO_PROFILE} if evaluate_stopped == "true" else {}
        assert swept.results() == expected
    (result,) = swept.config.region.results(RULE_NAME)
    assert result.ordering_ms == round(CAPTURED.timestamp() * 1000) + 2


def test_what_was_deleted_costs_no_call_more(swept: Swept) -> None:
    """Its NOT_APPLICABLE result is neither confirmed nor put again."""
    swept.judge(swept.record(1))
    swept.judge(swept.record(1, CAPTURED + timedelta(hours=1), gone=True))
    assert swept.sweep() == {DETAILS: 1, ROWS: 1}
    assert swept.results() == {}


def test_an_evaluation_that_config_keeps_rejecting_stops_no_other(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and the next sweep finds it again."""
    monkeypatch.setattr("rolecall.aws.clients.time.sleep", lambda _: None)
    for number in range(3):
        swept.record(number, profile=None)
    swept.config.service.faults.inject(FaultKind.FAIL_EVALUATIONS, PUT, times=None, resource_ids=[instance_id(1)])
    with pytest.raises(IncompleteRun, match=f"after its retries: {instance_id(1)} "):
        swept.sweep()
    assert set(swept.results()) == {instance_id(0), instance_id(2)}
    swept.config.service.faults.clear()
    swept.sweep()
    assert len(swept.results()) == 3


def test_an_instance_that_config_does_not_know_any_more_is_named_and_keeps_its_result(swept: Swept) -> None:
    """A history that was forgotten is not a deletion."""
    stranger = notification_item(resourceId=instance_id(9), profile=None)
    swept.judge(stranger)
    with pytest.raises(
        IncompleteRun, match=f"{instance_id(9)} could not be confirmed .*ResourceNotDiscoveredException"
    ):
        swept.sweep()
    assert swept.results() == {instance_id(9): Reason.NO_PROFILE}


def test_the_function_as_deployed_repairs_overnight_what_was_lost() -> None:
    """Under Lambda's runtime client: an event that never came, and an exemption that ends; then nothing is put."""
    with LocalAws() as aws, Deployment(aws, rule_assembly(), time_scale=0.001) as deployment:
        (rule,) = deployment.rule_names
        today = datetime.now(UTC)
        exempt = notification_item(
            resourceId=instance_id(1), profile=None, tags=exemption_tags(expires=f"{today:%Y-%m-%d}")
        )
        aws.config_region.load([exempt, notification_item(resourceId=instance_id(2))])
        assert deployment.runtime.invoke(aws.config_region.event_for(rule, exempt)).error is None
        deployment.runtime.advance_clock(timedelta(days=1))
        found = []
        for _ in range(2):
            aws.config.journal.clear()
            aws.config_region.run_schedule(rule)
            deployment.invocations.wait_idle()
            found.append([call.operation for call in aws.config.journal.calls()])
        assert found == [[DETAILS, ROWS, HISTORY, PUT], [DETAILS, ROWS]]
        assert {one.resource_id: str(one.annotation).partition(":")[0] for one in aws.config_region.results(rule)} == {
            instance_id(1): "EXEMPTION_EXPIRED",
            instance_id(2): "PROFILE_ATTACHED",
        }
        assert not deployment.invocations.dead_letters
