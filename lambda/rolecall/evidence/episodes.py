"""Episodes: how long instances stayed NON_COMPLIANT, carried from one day's package to the next.

An episode belongs to one instance and one rule, by the rule's own name. It opens when the verdict becomes
NON_COMPLIANT and closes at the first later verdict that is not:

    COMPLIANT, with a profile    remediated
    COMPLIANT, exempt            exempted
    NOT_APPLICABLE               gone: terminated or out of scope, which remedies nothing

Verdicts count in the order of their ordering timestamps, whatever the order of their delivery; a record that was
delivered before changes nothing. A record that is older than what earlier days have settled is too late to change
that, with one exception: a verdict that closes an open episode before it was last confirmed divides it in two. An
instance that is NON_COMPLIANT again within `FLAP` goes on with the same episode.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from rolecall.model import ComplianceType, Exemption, Reason
from rolecall.received_record import PACK_SUFFIX, EvaluationRecord

WINDOW_DAYS = 90
"""Closed episodes are carried for so long."""


FLAP = timedelta(minutes=10)
"""An instance that is NON_COMPLIANT again within less was not remediated: somebody was trying."""


class Kind(StrEnum):
    """How the instance came to be NON_COMPLIANT. Times to remediate are never mixed between kinds."""

    LAUNCHED_WITHOUT_ROLE = "launched-without-role"
    """The first verdict on the instance is NON_COMPLIANT. It lasts since the first launch, where that is known."""
    DRIFT = "drift"
    """An earlier verdict was another one: the role was taken away, or replaced by one that is not allowed."""
    EXEMPTION_LAPSED = "exemption-lapsed"
    """An earlier verdict was another one, and now an exemption is there that is expired or malformed."""


class Outcome(StrEnum):
    """What ended an episode."""

    REMEDIATED = "remediated"
    EXEMPTED = "exempted"
    GONE = "gone"


_LAST_MOMENT = time(23, 59, 59, 999_000)
"""Of a day, to the millisecond, as times are told."""

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
    """The first launch of an instance that was launched without a role, or the end of an exemption that lapsed by time
    alone: no item is captured then, so the verdict's ordering timestamp is older. Otherwise the same as `opened`."""
    opened: datetime
    """The ordering timestamp of the verdict that opened it."""
    known_since: datetime
    """When that verdict was made. Had the episode ended before that, nobody would have seen it."""
    confirmed: datetime
    """The ordering timestamp of the newest NON_COMPLIANT verdict in it."""
    reason: Reason | None
    """Of the verdict that opened it; None where only Config's recorded result is known, and does not say."""
    ended: datetime | None = None
    outcome: Outcome | None = None
    inferred: bool = False
    """Whether its beginning or end was seen in the day's inventory only, because a record of it never came."""

    flaps: tuple[tuple[datetime, datetime], ...] = ()
    """From a verdict that would have closed it to the next NON_COMPLIANT, which came at once."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def closed(self, ended: datetime, outcome: Outcome, *, inferred: bool = False) -> "Episode":
        """The same, over."""
        began = min(self.began, ended)
        return replace(self, began=began, ended=ended, outcome=outcome, inferred=self.inferred or inferred)


class Verdict(NamedTuple):
    """What an episode is made of: of a record, or of a row of the inventory. Sorts in the order of time."""

    ordering_timestamp: datetime
    evaluated_at: datetime
    id: str
    """Of the record: the same for every delivery of it."""
    outcome: Outcome | None
    """What the verdict would end an episode as; None: NON_COMPLIANT."""
    reason: Reason | None
    first_launch: datetime | None
    exempt_until: datetime | None = None
    """Of EXEMPTION_EXPIRED: the end of the exemption's last day."""
    inferred: bool = False
    """Whether it is of a row."""


def outcome_of(compliance_type: ComplianceType, *, exempt: bool) -> Outcome | None:
    """What a verdict ends an episode as; None if it is NON_COMPLIANT."""
    if compliance_type is ComplianceType.NON_COMPLIANT:
        return None
    if compliance_type is ComplianceType.NOT_APPLICABLE:
        return Outcome.GONE
    return Outcome.EXEMPTED if exempt else Outcome.REMEDIATED


def key_of(record: EvaluationRecord) -> EpisodeKey:
    """Whose episode a record speaks of."""
    return EpisodeKey(record.account, record.region, record.own_rule_name, record.resource_id)


def own_name(rule_name: str) -> str:
    """A rule's own name, from the one that Config knows it by."""
    return rule_name.partition(PACK_SUFFIX)[0]


def end_of(exemption: Exemption | None, reason: Reason | None) -> datetime | None:
    """When an exemption that has expired did so; None for every other verdict."""
    if reason is not Reason.EXEMPTION_EXPIRED or exemption is None or exemption.expires is None:
        return None
    return datetime.combine(exemption.expires, _LAST_MOMENT, UTC)


def verdict_of(record: EvaluationRecord) -> Verdict:
    """The part of a record that an episode needs."""
    return Verdict(
        ordering_timestamp=record.ordering_timestamp,
        evaluated_at=record.evaluated_at,
        id=record.id,
        outcome=outcome_of(record.compliance_type, exempt=record.reason is Reason.EXEMPT),
        reason=record.reason,
        first_launch=record.instance.first_launch if record.instance else None,
        exempt_until=end_of(record.exemption, record.reason),
    )


def continued(
    key: EpisodeKey, known: Sequence[Episode], verdicts: Iterable[Verdict], *, seen_before: bool
) -> list[Episode]:
    """The episodes of one instance after `verdicts`, in any order and with duplicates, from those known before.

    `seen_before`: whether there was a verdict on it on an earlier day.
    """
    episodes = sorted(known, key=lambda episode: episode.opened)
    first = not seen_before and not episodes
    for verdict in sorted(set(verdicts), key=lambda one: one[:3]):
        latest = episodes[-1] if episodes else None
        if verdict.outcome is None:
            episodes[-1:] = _opened(key, latest, verdict, first=first)
        elif latest and latest.is_open and verdict.ordering_timestamp >= latest.opened:
            episodes[-1:] = _ended(latest, verdict, verdict.outcome)
        first = False
    return episodes


def _opened(key: EpisodeKey, latest: Episode | None, verdict: Verdict, *, first: bool) -> Iterator[Episode]:
    """What `latest` becomes by a NON_COMPLIANT verdict."""
    moment = verdict.ordering_timestamp
    if latest and latest.is_open:
        yield replace(latest, confirmed=max(latest.confirmed, moment))
        return
    if latest and latest.ended:
        if timedelta(0) < moment - latest.ended < FLAP:
            flaps = (*latest.flaps, (latest.ended, moment))
            yield replace(latest, ended=None, outcome=None, confirmed=moment, flaps=flaps)
            return
        yield latest
        if moment <= latest.ended:
            return
    kind = Kind.DRIFT
    if first:
        kind = Kind.LAUNCHED_WITHOUT_ROLE
    elif verdict.reason in _LAPSED:
        kind = Kind.EXEMPTION_LAPSED
    began = min(verdict.first_launch or moment, moment) if first else max(verdict.exempt_until or moment, moment)
    yield Episode(
        key,
        kind,
        began,
        opened=moment,
        known_since=verdict.evaluated_at,
        confirmed=moment,
        reason=verdict.reason,
        inferred=verdict.inferred,
    )


def _ended(latest: Episode, verdict: Verdict, outcome: Outcome) -> Iterator[Episode]:
    """What an open episode becomes by a verdict that closes it."""
    moment = verdict.ordering_timestamp
    if any(since <= moment < until for since, until in latest.flaps):
        yield latest
        return
    if timedelta(0) < latest.confirmed - moment < FLAP:
        yield replace(latest, flaps=(*latest.flaps, (moment, latest.confirmed)))
        return
    yield replace(latest, confirmed=min(latest.confirmed, moment)).closed(moment, outcome, inferred=verdict.inferred)
    if moment < latest.confirmed:
        again = latest.confirmed
        yield Episode(
            latest.key,
            Kind.DRIFT,
            again,
            opened=again,
            known_since=max(again, latest.known_since),
            confirmed=again,
            reason=latest.reason,
        )
