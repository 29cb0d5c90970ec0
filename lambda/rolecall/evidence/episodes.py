"""Episodes: how long instances stayed NON_COMPLIANT, carried from one day's package to the next.

An episode belongs to one instance and one rule, by the rule's own name. It opens when the verdict becomes
NON_COMPLIANT and closes at the first later verdict that is not:

    COMPLIANT, with a profile    remediated
    COMPLIANT, exempt            exempted
    NOT_APPLICABLE               gone: terminated or out of scope, which remedies nothing

Verdicts count in the order of their versions: by the ordering timestamp of the item, then by when they were made. A
verdict that is no newer than the newest that counted was told twice, or too late, and changes nothing.

A verdict holds since its item was captured; but if the verdict before it was on the same item, nothing about the
instance has changed since, and it holds since it was made: the rule's parameters are others. An exemption that has
expired meanwhile tells by itself when. An instance that is NON_COMPLIANT again within `FLAP` goes on with the same
episode.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from rolecall.model import ComplianceType, Exemption, Reason
from rolecall.received_record import EvaluationRecord

WINDOW_DAYS = 90
"""Closed episodes are carried for so long."""

FLAP = timedelta(minutes=10)
"""An instance that is NON_COMPLIANT again within less was not remediated: somebody was trying."""

SAME_ITEM = timedelta(seconds=1)
"""AWS Config captures no instance twice within less, and a sweep orders what it finds changed a millisecond later."""


class Kind(StrEnum):
    """How the instance came to be NON_COMPLIANT. Times to remediate are never mixed between kinds."""

    LAUNCHED_WITHOUT_ROLE = "launched-without-role"
    """The first verdict on the instance is NON_COMPLIANT. It lasts since the first launch, where that is known."""
    DRIFT = "drift"
    """An earlier verdict was another one: the role was taken away, or replaced by one that is not allowed."""
    EXEMPTION_LAPSED = "exemption-lapsed"
    """It was exempt, and now the exemption is expired or malformed."""


class Outcome(StrEnum):
    """What ended an episode."""

    REMEDIATED = "remediated"
    EXEMPTED = "exempted"
    GONE = "gone"
    """A verdict says so."""
    MISSING = "missing"
    """It is not in the inventory any more, and nothing says why. Should it come back, the episode goes on."""


_LAPSED = (Reason.EXEMPTION_EXPIRED, Reason.EXEMPTION_INVALID)


class EpisodeKey(NamedTuple):
    """Whose episode it is."""

    account: str
    region: str
    rule: str
    """The rule's own name: in a conformance pack, the name that Config gives it differs by account."""
    resource_id: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One stretch of being NON_COMPLIANT."""

    key: EpisodeKey
    kind: Kind
    began: datetime
    """The first launch of an instance that was launched without a role; otherwise the same as `opened`."""
    opened: datetime
    """Since when the verdict that opened it holds."""
    known_since: datetime
    """When that was known. Had the episode ended before that, nobody would have seen it."""
    reason: Reason | None
    """Of the verdict that opened it; None where only Config's recorded result is known, and does not say."""
    ended: datetime | None = None
    outcome: Outcome | None = None
    inferred: bool = False
    """Whether its beginning or end was seen in the day's inventory only, because a record of it never came."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def closed(self, ended: datetime, outcome: Outcome, *, inferred: bool = False) -> "Episode":
        """The same, over."""
        began = min(self.began, ended)
        return replace(self, began=began, ended=ended, outcome=outcome, inferred=self.inferred or inferred)

    def reopened(self) -> "Episode":
        """The same, going on."""
        return replace(self, ended=None, outcome=None)


class Version(NamedTuple):
    """What verdicts on one instance are ordered by."""

    ordering_timestamp: datetime
    evaluated_at: datetime


class Verdict(NamedTuple):
    """What an episode is made of: of a record, or of a row of the inventory."""

    version: Version
    id: str
    """Of the record: the same for every delivery of it."""
    known_at: datetime
    """When whoever makes evidence could know of it."""
    outcome: Outcome | None
    """What the verdict would end an episode as; None: NON_COMPLIANT."""
    reason: Reason | None
    first_launch: datetime | None
    exempt_until: datetime | None = None
    """Of EXEMPTION_EXPIRED: the first moment at which the exemption does not hold any more."""
    inferred: bool = False
    """Whether it is of a row."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one instance."""

    newest: Version | None = None
    """Of all verdicts that counted; None: there was none yet."""
    exempt: bool = False
    """Whether the newest one said so."""
    episodes: tuple[Episode, ...] = ()
    missing_since: date | None = None
    """The first of the days, up to now, on which it was in no inventory and no verdict on it came; None: not today."""


NOTHING = History()


def outcome_of(compliance_type: ComplianceType, *, exempt: bool) -> Outcome | None:
    """What a verdict ends an episode as; None if it is NON_COMPLIANT."""
    if compliance_type is ComplianceType.NON_COMPLIANT:
        return None
    if compliance_type is ComplianceType.NOT_APPLICABLE:
        return Outcome.GONE
    return Outcome.EXEMPTED if exempt else Outcome.REMEDIATED


def end_of(exemption: Exemption | None, reason: Reason | None) -> datetime | None:
    """When an exemption that has expired did so, the day after its last; None for every other verdict."""
    if reason is not Reason.EXEMPTION_EXPIRED or exemption is None or exemption.expires is None:
        return None
    return datetime.combine(exemption.expires, time(), UTC) + timedelta(days=1)


def verdict_of(record: EvaluationRecord) -> Verdict:
    """The part of a record that an episode needs."""
    return Verdict(
        version=Version(*record.version),
        id=record.id,
        known_at=record.evaluated_at,
        outcome=outcome_of(record.compliance_type, exempt=record.reason is Reason.EXEMPT),
        reason=record.reason,
        first_launch=record.instance.first_launch if record.instance else None,
        exempt_until=end_of(record.exemption, record.reason),
    )


def continued(key: EpisodeKey, history: History, verdicts: Iterable[Verdict]) -> History:
    """The history after `verdicts`, in any order and with duplicates."""
    # Of a record and a row that say the same, the record was first.
    for verdict in sorted(verdicts, key=lambda one: (one.version, one.inferred, one.id)):
        if history.newest is None or verdict.version > history.newest:
            episodes = (*history.episodes[:-1], *_after(key, history, verdict))
            history = History(verdict.version, verdict.outcome is Outcome.EXEMPTED, episodes, history.missing_since)
    return history


def _after(key: EpisodeKey, history: History, verdict: Verdict) -> list[Episode]:
    """What the latest episode becomes by a verdict that is newer than all before."""
    latest = history.episodes[-1] if history.episodes else None
    if latest and latest.outcome is Outcome.MISSING:
        latest = latest.reopened()
    before = [latest] if latest else []
    moment = _holds_since(history.newest, verdict)
    if verdict.outcome:
        if latest and latest.is_open:
            return [latest.closed(max(moment, latest.opened), verdict.outcome, inferred=verdict.inferred)]
        return before
    if latest is None or latest.ended is None:
        return before or [_opened(key, history, verdict, moment)]
    if moment - latest.ended < FLAP:
        return [latest.reopened()]
    return [latest, _opened(key, history, verdict, moment)]


def _holds_since(newest: Version | None, verdict: Verdict) -> datetime:
    ordered, evaluated = verdict.version
    if verdict.exempt_until and ordered < verdict.exempt_until <= evaluated:
        return verdict.exempt_until
    if newest and ordered - newest.ordering_timestamp < SAME_ITEM:
        return max(ordered, evaluated)
    return ordered


def _opened(key: EpisodeKey, history: History, verdict: Verdict, moment: datetime) -> Episode:
    kind, began = Kind.DRIFT, moment
    if moment == verdict.exempt_until or (history.exempt and verdict.reason in _LAPSED):
        kind = Kind.EXEMPTION_LAPSED
    elif history.newest is None:
        kind, began = Kind.LAUNCHED_WITHOUT_ROLE, min(verdict.first_launch or moment, moment)
    return Episode(
        key,
        kind,
        began,
        opened=moment,
        known_since=verdict.known_at,
        reason=verdict.reason,
        inferred=verdict.inferred,
    )
