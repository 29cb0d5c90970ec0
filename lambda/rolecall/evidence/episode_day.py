"""A day in the life of episodes: what was known before, the day's verdicts and the day's inventory make what is known.

Verdicts may be lost and come late, so the inventory has the last word, for what it says of the day itself: an episode
that it contradicts is closed, one that no verdict told of is opened, and both are marked as inferred.

An instance is known once there was a verdict on it: that is how a launch without a role is told from drift.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from rolecall.evidence.episodes import WINDOW_DAYS, Episode, EpisodeKey, Outcome, Verdict, continued, end_of
from rolecall.evidence.manifest import Period
from rolecall.evidence.rows import IN_FLIGHT_HOURS, EvidenceRow, EvidenceVerdict

_OUTCOMES: Mapping[EvidenceVerdict, Outcome] = {
    EvidenceVerdict.COMPLIANT: Outcome.REMEDIATED,
    EvidenceVerdict.EXEMPT: Outcome.EXEMPTED,
    EvidenceVerdict.NOT_APPLICABLE: Outcome.GONE,
}

_KNOWN, _TOLD, _LISTED = "known", "told", "listed"


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

    def histories(
        self,
        known: Iterable[tuple[str, Sequence[Episode]]],
        verdicts: Iterable[tuple[str, Sequence[Verdict]]],
        rows: Iterable[EvidenceRow],
    ) -> Iterator[tuple[str, Sequence[Episode]]]:
        """Every instance that is known at the end of the day, with its episodes; from what was known before.

        `known` and `verdicts` name the resource id; like `rows`, they are sorted by it. Holds one instance at a time.
        """
        streams: tuple[Iterable[tuple[str, str, Any]], ...] = (
            ((resource_id, _KNOWN, episodes) for resource_id, episodes in known),
            ((resource_id, _TOLD, told) for resource_id, told in verdicts),
            ((row.resource_id, _LISTED, row) for row in rows),
        )
        for resource_id, found in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
            parts = {kind: part for _, kind, part in found}
            after = self._after(resource_id, parts.get(_KNOWN), parts.get(_TOLD, ()), parts.get(_LISTED))
            if after is not None:
                yield resource_id, after

    def _after(
        self, resource_id: str, known: Sequence[Episode] | None, verdicts: Sequence[Verdict], row: EvidenceRow | None
    ) -> Sequence[Episode] | None:
        """The episodes of one instance; None if nothing is known of it any more."""
        key = EpisodeKey(self.account, self.region, self.rule, resource_id)
        known_before = known is not None
        mine = [one for one in known or () if one.key == key]
        others = [one for one in known or () if one.key != key]
        mine = continued(key, mine, verdicts, seen_before=known_before)
        if row:
            mine = self._with_row(key, mine, row, seen_before=known_before or bool(verdicts))
        if self.covered:
            others = self._without_row(others)
            mine = mine if row else self._without_row(mine)
        forgotten = self.period.end - timedelta(days=WINDOW_DAYS)
        kept = [_within(one, forgotten) for one in (*others, *mine) if one.ended is None or one.ended > forgotten]
        listed = row is not None and (known_before or row.recorded is not None)
        is_known = listed or bool(verdicts) or (known_before and not self.covered)
        return kept if kept or is_known else None

    def _with_row(self, key: EpisodeKey, mine: list[Episode], row: EvidenceRow, *, seen_before: bool) -> list[Episode]:
        """What the inventory's row makes of them: it closes or opens what no verdict told of."""
        verdict = self._verdict_of(row)
        latest = mine[-1] if mine else None
        if verdict is None:
            return mine
        if verdict.outcome:
            late = latest and latest.is_open and verdict.ordering_timestamp > latest.confirmed
            return continued(key, mine, [verdict], seen_before=True) if late else mine
        if latest and latest.is_open:
            return mine
        if latest and latest.ended and verdict.ordering_timestamp <= latest.ended:
            # Missing from an inventory once, and there again: it was never gone. Any other end is newer than the row.
            if latest.outcome is Outcome.GONE and latest.inferred:
                return [*mine[:-1], replace(latest, ended=None, outcome=None)]
            return mine
        return continued(key, mine, [verdict], seen_before=seen_before)

    def _without_row(self, episodes: Sequence[Episode]) -> list[Episode]:
        """What is open is gone, unless it was told of so lately that the inventory may not have it yet."""
        end = self.period.end
        settled = end - timedelta(hours=IN_FLIGHT_HOURS)
        return [
            one.closed(end, Outcome.GONE, inferred=True) if one.is_open and one.confirmed <= settled else one
            for one in episodes
        ]

    def _verdict_of(self, row: EvidenceRow) -> Verdict | None:
        """What the row says of the day; None if nothing: what happened after it is the next day's."""
        moment = row.recorded.ordering_timestamp if row.recorded else row.capture_time
        if row.verdict is EvidenceVerdict.UNEVALUATED or moment is None or moment >= self.period.end:
            return None
        return Verdict(
            ordering_timestamp=moment,
            evaluated_at=self.period.end,  # it is not known before the inventory is
            id="",
            outcome=_OUTCOMES.get(row.verdict),
            reason=row.recorded.reason if row.recorded else None,
            first_launch=row.instance.first_launch if row.instance else None,
            exempt_until=end_of(row.exemption, row.recorded.reason if row.recorded else None),
            inferred=True,
        )


def _within(episode: Episode, forgotten: datetime) -> Episode:
    """Without the interruptions that no verdict can speak of any more."""
    if not episode.flaps:
        return episode
    return replace(episode, flaps=tuple(flap for flap in episode.flaps if flap[1] > forgotten))
