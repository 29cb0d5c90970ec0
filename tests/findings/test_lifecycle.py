import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rolecall.errors import InvalidRecord
from rolecall.findings import asff
from rolecall.findings.identity import ComplianceStatus, compliance_status, finding_id
from rolecall.findings.lifecycle import (
    Decision,
    FindingRow,
    FindingState,
    Import,
    Noted,
    Superseded,
    decide,
    restated,
    shown_state,
)
from rolecall.findings.settings import DEFAULTS, FindingSettings
from rolecall.findings.severity import DEFAULT_SEVERITIES
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import REFRESH, VERDICT
from tests.builders import CAPTURED
from tests.builders import NOW as EVALUATED
from tests.findings.records import record

NOW = datetime(2026, 3, 2, 12, 0, 30, 456_789, tzinfo=UTC)
"""When a record is decided upon; a finding tells only its whole milliseconds."""
MOMENT = NOW.replace(microsecond=456_000)
LATER = MOMENT + timedelta(hours=1)
CREATED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
KEEP = FindingSettings(DEFAULT_SEVERITIES, keep_passed=True)
NONE, ACTIVE, ARCHIVED = FindingState


def row_of(one: EvaluationRecord, state: FindingState, **changes: object) -> FindingRow:
    """The row after `one` was handled an hour before NOW."""
    hour_ago = MOMENT - timedelta(hours=1)
    row = FindingRow(
        finding_id=finding_id(one),
        state=state,
        status=compliance_status(one.reason),
        ordering_timestamp=one.ordering_timestamp,
        evaluated_at=one.evaluated_at,
        created_at=None if state is NONE else CREATED,
        updated_at=None if state is NONE else hour_ago,
        record=json.dumps(one.raw, separators=(",", ":")),
        revision=7,
        expires_at=None if state is ACTIVE else hour_ago + timedelta(days=30 if state is NONE else 90),
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # any field


def earlier(reason: Reason = Reason.NO_PROFILE) -> EvaluationRecord:
    """A record of the day before those of the tests."""
    return record(reason, now=EVALUATED - timedelta(days=1))


def told(decision: Decision) -> tuple[str, ...]:
    """A decision in short: what it is, the state and status of its row, and what is sent."""
    match decision:
        case Superseded():
            return ("superseded",)
        case Noted(row):
            return ("noted", row.state, row.status)
        case Import(finding, row):
            return ("import", row.state, row.status, finding["RecordState"], finding["Compliance"]["Status"])


OPENED = ("import", "ACTIVE", "FAILED", "ACTIVE", "FAILED")
EXEMPTED = ("import", "ACTIVE", "WARNING", "ACTIVE", "WARNING")
PASSED = ("import", "ARCHIVED", "PASSED", "ARCHIVED", "PASSED")
GONE = ("import", "ARCHIVED", "NOT_AVAILABLE", "ARCHIVED", "NOT_AVAILABLE")
KEPT = ("import", "ACTIVE", "PASSED", "ACTIVE", "PASSED")

DECISIONS = [
    # what the newest record says, what was sent before (None: no row), what follows; then the same with keep_passed
    (Reason.NO_PROFILE, None, OPENED, OPENED),
    (Reason.NO_PROFILE, NONE, OPENED, OPENED),
    (Reason.NO_PROFILE, ACTIVE, OPENED, OPENED),
    (Reason.NO_PROFILE, ARCHIVED, OPENED, OPENED),
    (Reason.EXEMPT, None, EXEMPTED, EXEMPTED),
    (Reason.EXEMPT, NONE, EXEMPTED, EXEMPTED),
    (Reason.EXEMPT, ACTIVE, EXEMPTED, EXEMPTED),
    (Reason.EXEMPT, ARCHIVED, EXEMPTED, EXEMPTED),
    (Reason.PROFILE_ATTACHED, None, ("noted", "NONE", "PASSED"), ("noted", "NONE", "PASSED")),
    (Reason.PROFILE_ATTACHED, NONE, ("noted", "NONE", "PASSED"), ("noted", "NONE", "PASSED")),
    (Reason.PROFILE_ATTACHED, ACTIVE, PASSED, KEPT),
    (Reason.PROFILE_ATTACHED, ARCHIVED, ("noted", "ARCHIVED", "PASSED"), KEPT),
    (Reason.TERMINATING, None, ("noted", "NONE", "NOT_AVAILABLE"), ("noted", "NONE", "NOT_AVAILABLE")),
    (Reason.TERMINATING, NONE, ("noted", "NONE", "NOT_AVAILABLE"), ("noted", "NONE", "NOT_AVAILABLE")),
    (Reason.TERMINATING, ACTIVE, GONE, GONE),
    (Reason.TERMINATING, ARCHIVED, ("noted", "ARCHIVED", "NOT_AVAILABLE"), ("noted", "ARCHIVED", "NOT_AVAILABLE")),
]


@pytest.mark.parametrize(("reason", "sent", "archiving", "keeping"), DECISIONS)
def test_a_newer_verdict_opens_changes_or_closes_the_finding(
    reason: Reason, sent: FindingState | None, archiving: tuple[str, ...], keeping: tuple[str, ...]
) -> None:
    """Nothing is sent of what Security Hub never heard of, nor of what is archived there already."""
    row = row_of(earlier(), sent) if sent else None
    assert told(decide(record(reason), row, DEFAULTS, NOW)) == archiving
    assert told(decide(record(reason), row, KEEP, NOW)) == keeping


@pytest.mark.parametrize("sent", [None, *FindingState])
@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.NO_PROFILE, OPENED),
        (Reason.EXEMPT, EXEMPTED),
        (Reason.PROFILE_ATTACHED, PASSED),
        (Reason.DELETED, GONE),
    ],
)
def test_a_refresh_is_always_sent(reason: Reason, expected: tuple[str, ...], sent: FindingState | None) -> None:
    """An open finding must not age out; a closed one was seen active where the table does not know of it."""
    row = row_of(earlier(), sent) if sent else None
    assert told(decide(record(reason, kind=REFRESH), row, DEFAULTS, NOW)) == expected


@pytest.mark.parametrize("state", FindingState)
@pytest.mark.parametrize("kind", [VERDICT, REFRESH])
@pytest.mark.parametrize(
    ("what", "ordering", "evaluated", "superseded"),
    [
        ("the same", 0, 0, True),
        ("evaluated before", 0, -1, True),
        ("captured before, evaluated after", -1, 1, True),
        ("evaluated after", 0, 1, False),
        ("captured after, evaluated before", 1, -1, False),
    ],
)
def test_only_a_newer_record_counts(  # noqa: PLR0913, PLR0917 - one argument for each column
    what: str,
    ordering: int,
    evaluated: int,
    superseded: bool,
    kind: str,
    state: FindingState,
) -> None:
    """By its ordering timestamp, then by the time of its evaluation; to the millisecond."""
    known = record()
    row = row_of(
        known,
        state,
        ordering_timestamp=known.ordering_timestamp - ordering * MILLISECOND,
        evaluated_at=known.evaluated_at - evaluated * MILLISECOND,
    )
    assert (told(decide(record(kind=kind), row, DEFAULTS, NOW)) == ("superseded",)) is superseded, what


def test_a_first_import_creates_finding_and_row() -> None:
    """The whole decision: both times are now, in whole milliseconds, and the row never expires."""
    one = record()
    assert decide(one, None, DEFAULTS, NOW) == Import(
        finding=asff.finding(one, DEFAULTS, archived=False, created_at=MOMENT, updated_at=MOMENT),
        row=FindingRow(
            finding_id=finding_id(one),
            state=ACTIVE,
            status=ComplianceStatus.FAILED,
            ordering_timestamp=CAPTURED,
            evaluated_at=EVALUATED,
            created_at=MOMENT,
            updated_at=MOMENT,
            record=json.dumps(one.raw, separators=(",", ":")),
            revision=1,
            expires_at=None,
        ),
    )


def test_a_tombstone_remembers_the_record_for_60_days() -> None:
    """The whole decision: an older failing record that comes late will find it."""
    one = record(Reason.PROFILE_ATTACHED)
    assert decide(one, None, DEFAULTS, NOW) == Noted(
        FindingRow(
            finding_id=finding_id(one),
            state=NONE,
            status=ComplianceStatus.PASSED,
            ordering_timestamp=CAPTURED,
            evaluated_at=EVALUATED,
            created_at=None,
            updated_at=None,
            record=json.dumps(one.raw, separators=(",", ":")),
            revision=1,
            expires_at=MOMENT + timedelta(days=60),
        )
    )


def test_archiving_keeps_the_creation_and_lets_the_row_expire_after_90_days() -> None:
    """Longer than Security Hub keeps an archived finding."""
    one = record(Reason.PROFILE_ATTACHED)
    row = row_of(earlier(), ACTIVE)
    assert decide(one, row, DEFAULTS, NOW) == Import(
        finding=asff.finding(one, DEFAULTS, archived=True, created_at=CREATED, updated_at=MOMENT),
        row=row_of(one, ARCHIVED, updated_at=MOMENT, revision=8, expires_at=MOMENT + timedelta(days=90)),
    )


def test_what_is_archived_moves_on_without_an_import() -> None:
    """The row has the newest record, the times of what was last sent, and lives for another 90 days."""
    one = record(Reason.DELETED)
    row = row_of(earlier(Reason.PROFILE_ATTACHED), ARCHIVED)
    assert decide(one, row, DEFAULTS, NOW) == Noted(
        row_of(one, ARCHIVED, updated_at=row.updated_at, revision=8, expires_at=MOMENT + timedelta(days=90))
    )


def test_a_finding_that_is_opened_again_keeps_its_creation() -> None:
    """While the row is there: for the customer it is the same finding."""
    decision = decide(record(), row_of(earlier(Reason.PROFILE_ATTACHED), ARCHIVED), DEFAULTS, NOW)
    assert isinstance(decision, Import)
    assert (decision.finding["CreatedAt"], decision.row.created_at) == ("2026-01-05T08:00:00.000Z", CREATED)
    assert (decision.row.expires_at, decision.row.revision) == (None, 8)


@pytest.mark.parametrize(
    ("updated_at", "expected"),
    [
        (MOMENT - MILLISECOND, "2026-03-02T12:00:30.456Z"),
        (MOMENT, "2026-03-02T12:00:30.457Z"),
        (LATER, "2026-03-02T13:00:30.457Z"),
    ],
)
def test_updated_at_grows_even_when_the_clock_does_not(updated_at: datetime, expected: str) -> None:
    """Security Hub ignores an update that is no later than the last: two within a millisecond, or a clock set back."""
    row = row_of(earlier(), ACTIVE, updated_at=updated_at)
    decision, again = decide(record(), row, DEFAULTS, NOW), restated(row, DEFAULTS, NOW)
    assert isinstance(decision, Import)
    assert again is not None
    assert {decision.finding["UpdatedAt"], again.finding["UpdatedAt"]} == {expected}


@pytest.mark.parametrize(
    ("reason", "state", "archived", "expires_at"),
    [
        (Reason.NO_PROFILE, ACTIVE, False, None),
        (Reason.EXEMPT, ACTIVE, False, None),
        (Reason.PROFILE_ATTACHED, ACTIVE, False, None),
        (Reason.PROFILE_ATTACHED, ARCHIVED, True, MOMENT + timedelta(days=90)),
    ],
)
def test_a_row_can_be_stated_again(
    reason: Reason,
    state: FindingState,
    archived: bool,
    expires_at: datetime | None,
) -> None:
    """The same finding in the same state, a little later; and the row is written anew."""
    one = record(reason)
    assert restated(row_of(one, state), DEFAULTS, NOW) == Import(
        finding=asff.finding(one, DEFAULTS, archived=archived, created_at=CREATED, updated_at=MOMENT),
        row=row_of(one, state, updated_at=MOMENT, revision=8, expires_at=expires_at),
    )


def test_a_tombstone_cannot_be_stated() -> None:
    """Nothing was ever sent."""
    assert restated(row_of(record(Reason.DELETED), NONE), DEFAULTS, NOW) is None


def test_a_row_whose_record_is_none_says_so() -> None:
    """Somebody else wrote the table."""
    with pytest.raises(InvalidRecord, match=r"^evaluation record is 'x'; allowed: JSON text of an object$"):
        restated(row_of(record(), ACTIVE, record="x"), DEFAULTS, NOW)


def test_a_record_that_utf_8_cannot_carry_is_kept_as_ascii() -> None:
    """A lone surrogate in a tag's value must not keep a row from being written, and comes back as it was."""
    raw = record().raw
    odd = record(instance={**raw["instance"], "tags": {"Name": "\ud800"}})
    decision = decide(odd, None, DEFAULTS, NOW)
    assert isinstance(decision, Import)
    assert decision.row.record.isascii()
    assert json.loads(decision.row.record) == odd.raw


@pytest.mark.parametrize(
    ("reason", "archiving", "keeping"),
    [
        (Reason.NO_PROFILE, ACTIVE, ACTIVE),
        (Reason.EXEMPT, ACTIVE, ACTIVE),
        (Reason.PROFILE_ATTACHED, ARCHIVED, ACTIVE),
        (Reason.STOPPED, ARCHIVED, ARCHIVED),
    ],
)
def test_how_a_verdict_is_shown(reason: Reason, archiving: FindingState, keeping: FindingState) -> None:
    """`keep_passed` concerns what passes, and nothing else."""
    assert (shown_state(record(reason), DEFAULTS), shown_state(record(reason), KEEP)) == (archiving, keeping)
