"""A day in the life of episodes: what was known before, the day's verdicts and the day's inventory make what is known.

Records may be lost and come late, so the inventory speaks, too, for what it says of the day itself: its verdict counts
as one more, by its own version. What a row alone has opened or closed is marked as inferred.

An instance is known once there was a verdict on it: that is how a launch without a role is told from drift.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from rolecall.evidence.episodes import (
    NOTHING,
    WINDOW_DAYS,
    Episode,
    EpisodeKey,
    History,
    Outcome,
    Verdict,
    Version,
    continued,
    end_of,
)
from rolecall.evidence.manifest import Period
from rolecall.evidence.rows import IN_FLIGHT_HOURS, EvidenceRow, EvidenceVerdict

MISSED_DAYS = 7
"""So long an instance without an episode is known after it left the inventory: that may be a gap of the inventory."""

_MILLISECOND = timedelta(milliseconds=1)

_OUTCOMES: Mapping[EvidenceVerdict, Outcome] = {
    EvidenceVerdict.COMPLIANT: Outcome.REMEDIATED,
    EvidenceVerdict.EXEMPT: Outcome.EXEMPTED,
    EvidenceVerdict.NOT_APPLICABLE: Outcome.GONE,
}

_KNOWN, _TOLD, _LISTED = "known", "told", "listed"


class InstanceDay(NamedTuple):
    """One instance at the end of a day."""

    resource_id: str
    row: EvidenceRow | None
    """None: it is not in the inventory."""
    history: History


@dataclass(frozen=True, slots=True)
class ScopeDay:
    """One account and region on one day."""

    account: str
    region: str
    rule: str
    """The rule's own name. Episodes of other rules only end: the rule had that name before."""
    period: Period
    covered: bool
    """Whether an instance that is not in the inventory is gone."""

    def instances(
        self,
        known: Iterable[tuple[str, History]],
        verdicts: Iterable[tuple[str, Sequence[Verdict]]],
        rows: Iterable[EvidenceRow],
    ) -> Iterator[InstanceDay]:
        """Every instance of the inventory, and every other one that was known before or is told of.

        `known` and `verdicts` name the resource id; like `rows`, they are sorted by it. Holds one instance at a time.
        """
        streams: tuple[Iterable[tuple[str, str, Any]], ...] = (
            ((resource_id, _KNOWN, history) for resource_id, history in known),
            ((resource_id, _TOLD, told) for resource_id, told in verdicts),
            ((row.resource_id, _LISTED, row) for row in rows),
        )
        for resource_id, found in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
            parts = {kind: part for _, kind, part in found}
            row = parts.get(_LISTED)
            history = self._after(resource_id, parts.get(_KNOWN, NOTHING), parts.get(_TOLD, ()), row)
            yield InstanceDay(resource_id, row, history)

    def _after(self, resource_id: str, before: History, told: Sequence[Verdict], row: EvidenceRow | None) -> History:
        """The history of one instance; `NOTHING` if nothing is known of it any more."""
        key = EpisodeKey(self.account, self.region, self.rule, resource_id)
        others = [self._of_another_rule(one) for one in before.episodes if one.key != key]
        mine = replace(before, episodes=tuple(one for one in before.episodes if one.key == key))
        verdict = self._verdict_of(row) if row else None
        after = continued(key, mine, [*told, verdict] if verdict else told)
        after = self._listed(after, row) if row else self._not_listed(after)
        seen = row is not None or after.newest != before.newest
        today = self.period.start.date()
        missing_since = None if seen else before.missing_since or today
        forgotten = self.period.end - timedelta(days=WINDOW_DAYS)
        kept = [one for one in (*others, *after.episodes) if one.ended is None or one.ended > forgotten]
        if self.covered and not kept and missing_since and (today - missing_since).days >= MISSED_DAYS:
            return NOTHING
        return replace(after, episodes=tuple(kept), missing_since=missing_since)

    def _listed(self, history: History, row: EvidenceRow) -> History:
        """What was missing yesterday and is there again was never gone."""
        latest = history.episodes[-1] if history.episodes else None
        if latest and latest.outcome is Outcome.MISSING and row.verdict is not EvidenceVerdict.NOT_APPLICABLE:
            return replace(history, episodes=(*history.episodes[:-1], latest.reopened()))
        return history

    def _not_listed(self, history: History) -> History:
        """What is open has ended, unless it was told of so lately that the inventory may not have it yet."""
        latest, end = history.episodes[-1] if history.episodes else None, self.period.end
        settled = history.newest and history.newest.evaluated_at <= end - timedelta(hours=IN_FLIGHT_HOURS)
        if not (self.covered and settled and latest and latest.is_open):
            return history
        return replace(history, episodes=(*history.episodes[:-1], latest.closed(end, Outcome.MISSING)))

    def _of_another_rule(self, episode: Episode) -> Episode:
        if self.covered and episode.is_open:
            return episode.closed(self.period.end, Outcome.GONE, inferred=True)
        return episode

    def _verdict_of(self, row: EvidenceRow) -> Verdict | None:
        """What the row says of the day; None if nothing: what came after it is the next day's."""
        recorded, last_moment = row.recorded, self.period.end - _MILLISECOND
        captured = recorded.ordering_timestamp if recorded else row.capture_time
        made = (recorded.recorded_at if recorded else None) or last_moment
        if row.verdict is EvidenceVerdict.UNEVALUATED or captured is None or max(captured, made) > last_moment:
            return None
        return Verdict(
            version=Version(captured, made),
            id="",
            known_at=self.period.end,  # it is not known before the inventory is
            outcome=_OUTCOMES.get(row.verdict),
            reason=recorded.reason if recorded else None,
            first_launch=row.instance.first_launch if row.instance else None,
            exempt_until=end_of(row.exemption, recorded.reason if recorded else None),
            inferred=True,
        )
