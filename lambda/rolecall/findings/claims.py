"""What the messages of one batch want of one finding, and what follows from the row that is there.

Messages come twice and late, and functions run at the same time and die at any moment. Between an import and the write
of its row anything may happen, so a claim that has imported, or that may have done so in an attempt that died, does not
end before Security Hub was told once more what the row says.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rolecall.errors import InvalidRecord, RolecallError
from rolecall.findings.identity import compliance_status, finding_id
from rolecall.findings.lifecycle import Decision, FindingRow, FindingState, Import, Noted, Superseded, decide, restated
from rolecall.findings.settings import FindingSettings
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import REFRESH

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the queue."""

    id: str
    body: str
    """The whole EventBridge event, as JSON."""
    receives: int
    """How often it was received, this time included."""
    moved_back: bool = False
    """Whether it was given up before, and moved back from the dead-letter queue: its receives count anew."""

    @property
    def was_tried(self) -> bool:
        """Whether there may have been an attempt at it before."""
        return self.receives > 1 or self.moved_back


@dataclass(slots=True)
class Claim:
    """The newest record of one finding in a batch; the messages of older ones share its fate."""

    finding_id: str
    record: EvaluationRecord
    messages: list[Message]
    maybe_sent: bool
    """Whether an earlier attempt at one of the messages may have imported it, and died before it wrote the row."""
    sent: FindingRow | None = None
    """The row of what was imported last, as long as it is not written."""
    failure: RolecallError | None = None

    def decision(self, row: FindingRow | None, settings: FindingSettings, now: datetime) -> Decision:
        """What is to be done on top of `row`. Raises InvalidRecord when the record in the row cannot be read."""
        if self.sent and self.sent.updated_at:
            # Whatever is sent next has to replace it.
            now = max(now, self.sent.updated_at + _MILLISECOND)
        decision = decide(self.record, row, settings, now)
        if not self.maybe_sent and self.sent is None:
            return decision
        match decision:
            case Superseded() if row is not None and not self._is_written(row):
                return _stated(row, settings, now)
            case Noted(noted):
                return _stated(replace(noted, revision=noted.revision - 1), settings, now)
        return decision

    def _is_written(self, row: FindingRow) -> bool:
        """Whether the row is what was sent last: its write succeeded, and only the answer was lost."""
        sent = self.sent
        return sent is not None and (row.revision, row.version, row.updated_at) == (
            sent.revision,
            sent.version,
            sent.updated_at,
        )


def claims(messages: Iterable[Message]) -> tuple[list[Claim], dict[str, RolecallError]]:
    """The claims of a batch, and why messages that hold no record are refused, by message id."""
    found: dict[str, Claim] = {}
    refused: dict[str, RolecallError] = {}
    for message in messages:
        try:
            record = read_body(message.body)
        except InvalidRecord as error:
            refused[message.id] = error
            continue
        key, maybe_sent = finding_id(record), message.was_tried and _opens(record)
        claim = found.get(key)
        if claim is None:
            found[key] = Claim(key, record, [message], maybe_sent)
            continue
        claim.messages.append(message)
        claim.maybe_sent = claim.maybe_sent or maybe_sent
        if _order(record) > _order(claim.record):
            claim.record = record
    return list(found.values()), refused


def by_place(imports: Iterable[tuple[Claim, Import]]) -> Iterator[tuple[str, str, list[tuple[Claim, Import]]]]:
    """Grouped by account and region; those of a region one after the other, so that they share its connection."""
    places: dict[tuple[str, str], list[tuple[Claim, Import]]] = {}
    for claim, wanted in imports:
        places.setdefault((claim.record.region, claim.record.account), []).append((claim, wanted))
    for (region, account), group in sorted(places.items(), key=lambda one: one[0]):
        yield account, region, group


def read_body(body: str) -> EvaluationRecord:
    """The record in an EventBridge event's JSON. Raises InvalidRecord."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRecord("message", body, "the JSON text of an EventBridge event") from None
    if not isinstance(event, Mapping) or "detail" not in event:
        raise InvalidRecord("message", event, "an EventBridge event, whose detail is an evaluation record")
    return read_record(event["detail"])


def _order(record: EvaluationRecord) -> tuple[datetime, datetime, bool]:
    # A refresh says more than a verdict of the same version: that the finding was seen to be wrong.
    return (*record.version, record.kind == REFRESH)


def _opens(record: EvaluationRecord) -> bool:
    """Whether the record may be imported where there is no row yet."""
    return compliance_status(record.reason).is_open or record.kind == REFRESH


def _stated(row: FindingRow, settings: FindingSettings, now: datetime) -> Decision:
    """Tell Security Hub what the row says. A tombstone says that nothing is open, of which there may be a finding."""
    shown = replace(row, state=FindingState.ARCHIVED) if row.state is FindingState.NONE else row
    return restated(shown, settings, now) or Superseded()
