"""What a record means for the finding it speaks of: what is sent to Security Hub, and what is remembered of it.

Records arrive late, twice and in any order. The row remembers the newest record that was looked at, so that a finding
never goes backwards, keeps its CreatedAt and gets an UpdatedAt that grows: Security Hub ignores any other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rolecall.findings.asff import finding
from rolecall.findings.identity import ComplianceStatus, compliance_status, finding_id
from rolecall.findings.settings import FindingSettings
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import REFRESH

TOMBSTONE_DAYS = 60
"""Longer than the bus retries (1 day) and two queues keep a record (14 days each), though somebody moves it back from
the dead letters twice: an older failing one that arrives after a closing one cannot open a finding that nobody would
close."""

ARCHIVED_DAYS = 90
"""Security Hub deletes an archived finding after 30 days without an update, and an active one after 90."""


class FindingState(StrEnum):
    """What Security Hub has been sent last."""

    NONE = "NONE"
    """Nothing, ever: a tombstone, which only remembers the newest record."""
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One item of the findings table. Times are UTC; `created_at` and `updated_at` have whole milliseconds."""

    finding_id: str
    state: FindingState
    status: ComplianceStatus
    """What the newest record says; a closing one that changed nothing in Security Hub was not sent."""
    ordering_timestamp: datetime
    evaluated_at: datetime
    """This and the ordering timestamp: the version of the newest record."""
    created_at: datetime | None
    updated_at: datetime | None
    """These two are None while the state is NONE."""
    record: str
    """The newest record as JSON text, so that anybody can state it again."""
    revision: int
    """1 more at each write: whoever writes on top of a row checks that it is still the one that was read."""
    expires_at: datetime | None
    """When the table may forget the row; None: never."""

    @property
    def version(self) -> tuple[datetime, datetime]:
        """Compares with `EvaluationRecord.version`."""
        return self.ordering_timestamp, self.evaluated_at


@dataclass(frozen=True, slots=True)
class Superseded:
    """The row has the same record, or a newer one: there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Security Hub need not know; the row is to be written."""

    row: FindingRow


@dataclass(frozen=True, slots=True)
class Import:
    """The finding is to be imported, and the row to be written once it was."""

    finding: dict[str, Any]
    row: FindingRow


Decision = Superseded | Noted | Import


def decide(record: EvaluationRecord, row: FindingRow | None, settings: FindingSettings, now: datetime) -> Decision:
    """What `record` means at `now` (UTC), given the row of its finding, None when there is none."""
    if row is not None and record.version <= row.version:
        return Superseded()
    state = shown_state(record, settings)
    sent = row.state if row else FindingState.NONE
    # Nobody publishes a refresh of a verdict that closes unless Security Hub was seen to show something else.
    if record.kind == REFRESH or not _is_known(sent, state, compliance_status(record.reason)):
        return _imported(record, state, row, settings, now)
    days = TOMBSTONE_DAYS if sent is FindingState.NONE else ARCHIVED_DAYS
    return Noted(
        FindingRow(
            finding_id=finding_id(record),
            state=sent,
            status=compliance_status(record.reason),
            ordering_timestamp=record.ordering_timestamp,
            evaluated_at=record.evaluated_at,
            created_at=row.created_at if row else None,
            updated_at=row.updated_at if row else None,
            record=_text(record.raw),
            revision=_next_revision(row),
            expires_at=_whole_milliseconds(now) + timedelta(days=days),
        )
    )


def restated(row: FindingRow, settings: FindingSettings, now: datetime) -> Import | None:
    """What Security Hub should show by `row`, once more with a later UpdatedAt; None for a tombstone.

    Raises InvalidRecord when the row's record cannot be read.
    """
    if row.state is FindingState.NONE:
        return None
    return _imported(read_record(row.record), row.state, row, settings, now)


def shown_state(record: EvaluationRecord, settings: FindingSettings) -> FindingState:
    """ACTIVE or ARCHIVED: how Security Hub shows a finding with this verdict."""
    status = compliance_status(record.reason)
    kept = settings.keep_passed and status is ComplianceStatus.PASSED
    return FindingState.ACTIVE if status.is_open or kept else FindingState.ARCHIVED


def _is_known(sent: FindingState, state: FindingState, status: ComplianceStatus) -> bool:
    """Whether Security Hub, which was sent `sent`, need not hear of it: what it never heard of, or archived before."""
    if sent is FindingState.NONE:
        return not status.is_open
    return sent is state is FindingState.ARCHIVED


def _imported(
    record: EvaluationRecord, state: FindingState, row: FindingRow | None, settings: FindingSettings, now: datetime
) -> Import:
    moment = _whole_milliseconds(now)
    updated_at = max(moment, row.updated_at + timedelta(milliseconds=1)) if row and row.updated_at else moment
    created_at = row.created_at if row and row.created_at else moment
    archived = state is FindingState.ARCHIVED
    written = FindingRow(
        finding_id=finding_id(record),
        state=state,
        status=compliance_status(record.reason),
        ordering_timestamp=record.ordering_timestamp,
        evaluated_at=record.evaluated_at,
        created_at=created_at,
        updated_at=updated_at,
        record=_text(record.raw),
        revision=_next_revision(row),
        expires_at=moment + timedelta(days=ARCHIVED_DAYS) if archived else None,
    )
    return Import(finding(record, settings, archived=archived, created_at=created_at, updated_at=updated_at), written)


def _next_revision(row: FindingRow | None) -> int:
    return row.revision + 1 if row else 1


def _text(raw: Mapping[str, Any]) -> str:
    # ASCII: a lone surrogate in a tag must not keep the row from being written.
    return json.dumps(raw, separators=(",", ":"))


def _whole_milliseconds(moment: datetime) -> datetime:
    """Findings tell their times to the millisecond: what is finer would not grow there."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
