from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rolecall.findings.lifecycle import FindingRow, FindingState, Import, Noted, decide, restated, shown_state
from rolecall.findings.settings import FindingSettings
from rolecall.findings.severity import DEFAULT_SEVERITIES
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import REFRESH, VERDICT, timestamp
from tests.findings.records import record

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
REASONS = (
    Reason.NO_PROFILE,
    Reason.EXEMPTION_EXPIRED,
    Reason.EXEMPT,
    Reason.PROFILE_ATTACHED,
    Reason.STOPPED,
    Reason.DELETED,
)
settings = st.builds(
    FindingSettings, severities=st.just(DEFAULT_SEVERITIES), keep_passed=st.booleans(), remediation_url=st.none()
)
ticks = st.integers(0, 3)
"""A few milliseconds: clocks that stand still and versions that are close are what goes wrong."""


@cache
def _record(reason: Reason, kind: str, ordering: int, evaluated: int) -> EvaluationRecord:
    times: dict[str, Any] = {
        "orderingTimestamp": timestamp(_moment(ordering)),
        "evaluatedAt": timestamp(_moment(evaluated)),
    }
    return record(reason, kind=kind, **times)


@st.composite
def lives(draw: st.DrawFn) -> list[EvaluationRecord]:
    """The records of one instance from the oldest to the newest, no two of the same version.

    An open one may be repeated as a refresh, as sweeps do: same item, later evaluation.
    """
    versions = draw(st.lists(st.tuples(ticks, ticks), min_size=1, max_size=8, unique=True).map(sorted))
    life: list[EvaluationRecord] = []
    for ordering, evaluated in versions:
        same_item = bool(life) and ordering == _tick(life[-1].ordering_timestamp)
        refreshed = same_item and shown_state(life[-1], _ARCHIVING) is FindingState.ACTIVE and draw(st.booleans())
        reason, kind = (life[-1].reason, REFRESH) if refreshed else (draw(st.sampled_from(REASONS)), VERDICT)
        life.append(_record(reason, kind, ordering, evaluated))
    return life


_ARCHIVING = FindingSettings(DEFAULT_SEVERITIES)


def _moment(tick: int) -> datetime:
    return START + timedelta(milliseconds=tick)


def _tick(moment: datetime) -> int:
    return (moment - START) // timedelta(milliseconds=1)


class Hub:
    """What a table and Security Hub hold of one finding after records have been handled one after another."""

    def __init__(self, settings_: FindingSettings) -> None:
        self.settings = settings_
        self.row: FindingRow | None = None
        self.sent: list[dict[str, Any]] = []

    def handle(self, one: EvaluationRecord, now: datetime) -> None:
        """Decide, import, write."""
        match decide(one, self.row, self.settings, now):
            case Noted(row):
                self._written(row)
            case Import(finding, row):
                self.sent.append(finding)
                self._written(row)

    def _written(self, row: FindingRow) -> None:
        assert row.revision == (self.row.revision if self.row else 0) + 1
        self.row = row

    def shown(self) -> tuple[str, str] | None:
        """State and status of the finding; None when nothing is active: archived, or never sent."""
        last = self.sent[-1] if self.sent else None
        if last is None or last["RecordState"] == "ARCHIVED":
            return None
        return last["RecordState"], last["Compliance"]["Status"]


def _handled(life: Sequence[EvaluationRecord], settings_: FindingSettings, clock: Sequence[int]) -> Hub:
    hub = Hub(settings_)
    for number, one in enumerate(life):
        hub.handle(one, START + timedelta(seconds=clock[number % len(clock)]))
    return hub


clocks = st.lists(st.integers(0, 10), min_size=1, max_size=20)
"""Seconds at which records are handled, one after the other: hosts disagree, so time may go back."""


@given(life=lives(), chosen=settings, clock=clocks, data=st.data())
def test_no_finding_goes_backwards(
    life: list[EvaluationRecord], chosen: FindingSettings, clock: list[int], data: st.DataObject
) -> None:
    """In any order, with duplicates: versions and UpdatedAt grow, CreatedAt and the id stay."""
    order = data.draw(st.lists(st.sampled_from(life), min_size=1, max_size=20))
    hub = Hub(chosen)
    versions = []
    for number, one in enumerate(order):
        hub.handle(one, START + timedelta(seconds=clock[number % len(clock)]))
        assert hub.row is not None
        versions.append(hub.row.version)
    assert versions == sorted(versions)
    assert versions[-1] == max(one.version for one in order)
    updates = [finding["UpdatedAt"] for finding in hub.sent]
    assert updates == sorted(set(updates))
    assert len({finding["CreatedAt"] for finding in hub.sent}) <= 1
    assert len({finding["Id"] for finding in hub.sent}) <= 1


@given(life=lives(), chosen=settings, clock=clocks, data=st.data())
def test_the_end_does_not_depend_on_the_order(
    life: list[EvaluationRecord], chosen: FindingSettings, clock: list[int], data: st.DataObject
) -> None:
    """Any permutation with duplicates ends with the newest record in the row, and shows the same.

    One thing may differ: whether a finding that is closed at the end was ever sent. Where its closing overtook all
    that would have opened it, nobody needs to see it.
    """
    shuffled = data.draw(st.permutations(life + data.draw(st.lists(st.sampled_from(life), max_size=5))))
    straight, mixed = _handled(life, chosen, clock), _handled(shuffled, chosen, clock)
    assert straight.row is not None
    assert mixed.row is not None
    newest = life[-1]
    for hub in (straight, mixed):
        assert hub.row is not None
        assert (hub.row.version, hub.row.record) == (newest.version, straight.row.record)
        assert hub.row.status == straight.row.status
    if shown_state(newest, _ARCHIVING) is FindingState.ACTIVE:
        assert straight.shown() == mixed.shown() == ("ACTIVE", straight.row.status.value)
    else:
        assert {hub.shown() for hub in (straight, mixed)} <= {
            None,
            ("ACTIVE", "PASSED") if chosen.keep_passed else None,
        }
    if mixed.sent and straight.sent:
        assert (mixed.row.state, mixed.shown()) == (straight.row.state, straight.shown())


@given(life=lives(), chosen=settings, clock=clocks)
def test_a_second_delivery_of_everything_changes_nothing(
    life: list[EvaluationRecord], chosen: FindingSettings, clock: list[int]
) -> None:
    """Neither the row nor Security Hub."""
    hub = _handled(life, chosen, clock)
    row, sent = hub.row, len(hub.sent)
    for one in life:
        hub.handle(one, START + timedelta(days=1))
    assert (hub.row, len(hub.sent)) == (row, sent)


@given(life=lives(), chosen=settings, clock=clocks, now=st.integers(0, 20))
def test_the_last_finding_can_always_be_stated_again(
    life: list[EvaluationRecord], chosen: FindingSettings, clock: list[int], now: int
) -> None:
    """With a later UpdatedAt, and otherwise as it was sent, unless a closing record moved the row on since."""
    hub = _handled(life, chosen, clock)
    assert hub.row is not None
    again = restated(hub.row, chosen, START + timedelta(seconds=now))
    assert (again is None) is (hub.row.state is FindingState.NONE) is (not hub.sent)
    if again is None:
        return
    last = hub.sent[-1]
    assert again.finding["UpdatedAt"] > last["UpdatedAt"]
    stable = ("Id", "CreatedAt", "RecordState")
    assert [again.finding[name] for name in stable] == [last[name] for name in stable]
    assert again.row.version == hub.row.version


@given(life=lives(), chosen=settings, clock=clocks)
def test_whoever_failed_or_is_exempt_last_has_an_active_finding_that_never_expires(
    life: list[EvaluationRecord], chosen: FindingSettings, clock: list[int]
) -> None:
    """And everything else leaves the table some day, unless it is kept in sight on purpose."""
    hub = _handled(life, chosen, clock)
    assert hub.row is not None
    assert (hub.row.expires_at is None) is (hub.row.state is FindingState.ACTIVE)
    if shown_state(life[-1], _ARCHIVING) is FindingState.ACTIVE:
        assert hub.row.state is FindingState.ACTIVE
