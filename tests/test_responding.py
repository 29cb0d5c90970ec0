from collections.abc import Sequence
from typing import Any

import pytest

from rolecall.errors import EvaluationsRejected, InvalidEvent, InvalidInput, RecordsRejected
from rolecall.events import Invocation
from rolecall.model import ComplianceType, ConfigurationItem, Reason
from rolecall.responding import Responder
from tests.builders import (
    CAPTURED,
    INSTANCE_ID,
    NOW,
    RESULT_TOKEN,
    Json,
    change_event,
    deleted_item,
    exemption_tags,
    instance_item,
    item_summary,
    notification_item,
    oversized_event,
    query_row,
    scheduled_event,
    snapshot_event,
)
from tests.fakes import FakeBus, FakeConfig, FakeTelemetry, Run


class Rule:
    """The rule among its fakes."""

    def __init__(
        self, rows: Sequence[object] = (), items: Sequence[ConfigurationItem] = (), *, bus: bool = True
    ) -> None:
        self.config = FakeConfig(rows, items)
        self.bus = FakeBus()
        self.telemetry = FakeTelemetry()
        self.responder = Responder(lambda _: self.config, self.bus if bus else None, self.telemetry, lambda: NOW)

    def respond(self, event: object) -> None:
        """Answer one event."""
        self.responder.respond(event)


def row(number: int, **changes: Any) -> Json:  # noqa: ANN401 - any key of a row
    """A row of an advanced query for instance `number`."""
    return query_row(resourceId=f"i-{number:017x}", **changes)


@pytest.mark.parametrize(
    ("what", "event", "reason"),
    [
        ("an instance with a profile", change_event(), Reason.PROFILE_ATTACHED),
        ("an instance without one", change_event(notification_item(profile=None)), Reason.NO_PROFILE),
        ("a deleted instance", change_event(deleted_item()), Reason.DELETED),
        ("an instance that left the scope", change_event(left_scope=True), Reason.LEFT_SCOPE),
        (
            "an oversized deletion",
            oversized_event(item_summary(configurationItemStatus="ResourceDeleted")),
            Reason.DELETED,
        ),
        ("an oversized item out of scope", oversized_event(left_scope=True), Reason.LEFT_SCOPE),
    ],
)
def test_a_change_is_put_once_without_reading_anything(what: str, event: Json, reason: Reason) -> None:
    """One evaluation, in one call, with the event's token and the item's capture time; then its record."""
    rule = Rule()
    rule.respond(event)
    ((evaluations, token, test_mode),) = rule.config.calls
    assert [(one.item.resource_id, one.reason, one.ordering_timestamp) for one in evaluations] == [
        (INSTANCE_ID, reason, CAPTURED)
    ], what
    assert (token, test_mode, rule.config.fetched) == (RESULT_TOKEN, False, 0)
    assert [record["reason"] for record in rule.bus.records] == [reason]
    assert [one.reason for one in rule.telemetry.evaluations] == [reason]


def test_an_oversized_item_is_fetched_and_judged() -> None:
    """The summary alone does not say whether there is a profile."""
    rule = Rule(items=[instance_item(profile=None)])
    rule.respond(oversized_event())
    assert (rule.config.verdicts, rule.config.fetched) == ({INSTANCE_ID: Reason.NO_PROFILE}, 1)
    assert [record["source"] for record in rule.bus.records] == ["oversized"]


def test_without_a_bus_nothing_is_published() -> None:
    """The rule alone works without EventBridge."""
    rule = Rule(bus=False)
    rule.respond(change_event())
    assert rule.config.verdicts == {INSTANCE_ID: Reason.PROFILE_ATTACHED}
    assert rule.bus.records == []


def test_test_mode_stores_and_publishes_nothing() -> None:
    """Config is asked in TestMode, and nobody is told of a verdict that does not exist."""
    rule = Rule()
    rule.respond(change_event(resultToken="TESTMODE"))
    assert [test_mode for _, _, test_mode in rule.config.calls] == [True]
    assert rule.bus.records == []


@pytest.mark.parametrize(
    ("what", "event"),
    [("a message nobody knows", snapshot_event()), ("an item that cannot be judged", change_event({"tags": {}}))],
)
def test_what_cannot_be_answered_puts_nothing(what: str, event: Json) -> None:
    """No verdict is made up."""
    rule = Rule()
    with pytest.raises(InvalidInput):
        rule.respond(event)
    assert (rule.config.calls, rule.bus.records) == ([], []), what


def test_a_rejected_change_is_raised_and_not_published() -> None:
    """Nobody hears of a verdict that Config did not take."""
    rule = Rule()
    rule.config.rejects = {INSTANCE_ID}
    with pytest.raises(EvaluationsRejected, match=rf"1 evaluation unrecorded.*: {INSTANCE_ID} \(COMPLIANT\)"):
        rule.respond(change_event())
    assert rule.bus.records == []


def test_a_record_that_the_bus_refuses_fails_the_invocation_and_a_retry_does_both_again() -> None:
    """At least once: put twice, published once, and the record's id is the same."""
    rule = Rule()
    rule.bus.refuses = {INSTANCE_ID}
    with pytest.raises(RecordsRejected):
        rule.respond(change_event())
    rule.bus.refuses = set()
    rule.respond(change_event())
    assert [len(evaluations) for evaluations, _, _ in rule.config.calls] == [1, 1]
    assert len(rule.bus.records) == 1


def test_a_schedule_is_a_sweep() -> None:
    """What tests of `sweep` show holds for the event; it asks for the rule by the event's own name."""
    rule = Rule([row(1, profile=None, tags=exemption_tags(expires="2026-03-01"))])
    rule.respond(scheduled_event(configRuleName="rolecall-conformance-pack-x1y2z3"))
    assert rule.config.asked_rules == ["rolecall-conformance-pack-x1y2z3"]
    assert list(rule.config.verdicts.values()) == [Reason.EXEMPTION_EXPIRED]
    assert [record["source"] for record in rule.bus.records] == ["sweep"]
    repaired = {(ComplianceType.NON_COMPLIANT, Reason.EXEMPTION_EXPIRED): 1}
    assert rule.telemetry.runs == [Run(repaired, 1, 1, completed=True)]


def test_an_event_of_somebody_elses_rule_is_refused_before_anything_is_asked() -> None:
    """Nothing is put, published or fetched, not even a session of the account."""
    asked: list[str] = []

    def refuse(invocation: Invocation) -> None:
        raise InvalidEvent("configRuleName", invocation.rule.name, "ours")

    def config_of(account: str) -> FakeConfig:
        asked.append(account)
        return FakeConfig()

    bus = FakeBus()
    responder = Responder(config_of, bus, FakeTelemetry(), lambda: NOW, check=refuse)
    with pytest.raises(InvalidEvent, match="configRuleName"):
        responder.respond(change_event())
    assert (asked, bus.records) == ([], [])
