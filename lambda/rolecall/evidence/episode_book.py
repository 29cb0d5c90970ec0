"""The book of episodes: yesterday's, the day's records, and the day's inventory make today's.

Records may be lost and come late, so the inventory has the last word, for what it says of the day itself: an episode
that it contradicts is closed, one that no record told of is opened, and both are marked as inferred.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from rolecall.evidence.episodes import (
    WINDOW_DAYS,
    Episode,
    EpisodeKey,
    Outcome,
    Verdict,
    continued,
    end_of,
    key_of,
    own_name,
    verdict_of,
)
from rolecall.evidence.known_instances import KnownInstances, number_of
from rolecall.evidence.manifest import Period
from rolecall.evidence.rows import IN_FLIGHT_HOURS, EvidenceRow, EvidenceVerdict
from rolecall.model import ComplianceType
from rolecall.received_record import EvaluationRecord
from rolecall.record import VERDICT

Scope = tuple[str, str]
"""Account and region."""

_OUTCOMES: Mapping[EvidenceVerdict, Outcome] = {
    EvidenceVerdict.COMPLIANT: Outcome.REMEDIATED,
    EvidenceVerdict.EXEMPT: Outcome.EXEMPTED,
    EvidenceVerdict.NOT_APPLICABLE: Outcome.GONE,
}


class EpisodeBook:
    """First `take_records`, then `take_row` for each row and `close_scope` after the rows of each account and region.

    Holds the episodes that are open or closed within the window, and 8 bytes for each instance.
    """

    def __init__(
        self, period: Period, episodes: Iterable[Episode] = (), known: Mapping[Scope, KnownInstances] | None = None
    ) -> None:
        self._period = period
        self._oldest = period.end - timedelta(days=WINDOW_DAYS)
        self._by_scope: dict[Scope, dict[EpisodeKey, list[Episode]]] = defaultdict(dict)
        for episode in sorted(episodes, key=lambda one: one.opened):
            self._of_scope(episode.key).setdefault(episode.key, []).append(episode)
        self._known = dict(known or {})
        self._recorded: dict[Scope, KnownInstances] = {}
        self._listed: dict[Scope, array[int]] = defaultdict(lambda: array("Q"))
        self._listed_and_open: set[EpisodeKey] = set()

    def take_records(self, records: Iterable[EvaluationRecord]) -> None:
        """The day's records, in any order, with duplicates. They are iterated twice: of most instances none is kept."""
        concerned = {key for keys in self._by_scope.values() for key, known in keys.items() if known[-1].is_open}
        recorded: dict[Scope, array[int]] = defaultdict(lambda: array("Q"))
        for record in records:
            if record.kind == VERDICT:
                recorded[record.account, record.region].append(number_of(record.resource_id))
                if record.compliance_type is ComplianceType.NON_COMPLIANT:
                    concerned.add(key_of(record))
        verdicts: dict[EpisodeKey, set[Verdict]] = defaultdict(set)
        for record in records:
            # One that was made before the window was delivered before, and what it said is forgotten since.
            if record.kind == VERDICT and record.evaluated_at > self._oldest and (key := key_of(record)) in concerned:
                verdicts[key].add(verdict_of(record))
        for key, of_instance in verdicts.items():
            self._continue(key, of_instance, seen_before=self._was_known(key))
        self._recorded = {scope: KnownInstances(numbers) for scope, numbers in recorded.items()}

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population: closes or opens what the records missed."""
        key = EpisodeKey(row.account, row.region, own_name(row.rule_name), row.resource_id)
        known = self._of_scope(key).get(key, [])
        if row.recorded or self._was_known(key):
            self._listed[row.account, row.region].append(number_of(row.resource_id))
        verdict = self._verdict_of_row(row)
        if verdict and verdict.outcome is None:
            self._open_by_row(key, known, verdict)
        elif verdict and known and known[-1].is_open and verdict.ordering_timestamp > known[-1].confirmed:
            self._continue(key, [verdict], seen_before=True)
        if (now := self._of_scope(key).get(key)) and now[-1].is_open:
            self._listed_and_open.add(key)

    def close_scope(self, account: str, region: str) -> None:
        """All rows of a covered account and region were taken: what is open there and not among them is gone.

        Unless it was told of so lately that the inventory may not have it yet.
        """
        scope = account, region
        for key, known in self._by_scope[scope].items():
            latest = known[-1]
            settled = latest.confirmed <= self._period.end - timedelta(hours=IN_FLIGHT_HOURS)
            if latest.is_open and settled and key not in self._listed_and_open:
                known[-1] = latest.closed(self._period.end, Outcome.GONE, inferred=True)
        recorded = self._recorded.pop(scope, KnownInstances())
        self._known[scope] = recorded.with_numbers(self._listed.pop(scope, ()))

    def episodes(self) -> Iterator[Episode]:
        """Those open at the end of the day, and those closed within the window; sorted."""
        for scope in sorted(self._by_scope):
            keys = self._by_scope[scope]
            for key in sorted(keys):
                yield from (one for one in keys[key] if one.ended is None or one.ended > self._oldest)

    def known(self) -> Mapping[Scope, KnownInstances]:
        """For the next day. Of a scope that was not closed: what was known before, and the day's records."""
        for scope, recorded in self._recorded.items():
            self._known[scope] = self._known.get(scope, KnownInstances()).with_numbers(recorded)
        self._recorded = {}
        return self._known

    def _of_scope(self, key: EpisodeKey) -> dict[EpisodeKey, list[Episode]]:
        return self._by_scope[key.account, key.region]

    def _was_known(self, key: EpisodeKey) -> bool:
        known = self._known.get((key.account, key.region))
        return known is not None and key.resource_id in known

    def _continue(self, key: EpisodeKey, verdicts: Iterable[Verdict], *, seen_before: bool) -> None:
        before = self._of_scope(key).get(key, [])
        after = continued(key, before, verdicts, seen_before=seen_before)
        if after:
            self._of_scope(key)[key] = after

    def _open_by_row(self, key: EpisodeKey, known: list[Episode], verdict: Verdict) -> None:
        """The row says NON_COMPLIANT: there has to be an open episode."""
        latest = known[-1] if known else None
        if latest and latest.is_open:
            return
        if latest and latest.ended and verdict.ordering_timestamp <= latest.ended:
            # Missing from an inventory once, and there again: it was never gone. Any other end is newer than the row.
            if latest.outcome is Outcome.GONE and latest.inferred:
                known[-1] = replace(latest, ended=None, outcome=None)
            return
        recorded = self._recorded.get((key.account, key.region), KnownInstances())
        self._continue(key, [verdict], seen_before=self._was_known(key) or key.resource_id in recorded)

    def _verdict_of_row(self, row: EvidenceRow) -> Verdict | None:
        """What the row says of the day; None if nothing: what happened after it is the next day's."""
        moment = row.recorded.ordering_timestamp if row.recorded else row.capture_time
        if row.verdict is EvidenceVerdict.UNEVALUATED or moment is None or moment >= self._period.end:
            return None
        return Verdict(
            ordering_timestamp=moment,
            evaluated_at=self._period.end,  # it is not known before the inventory is
            id="",
            outcome=_OUTCOMES.get(row.verdict),
            reason=row.recorded.reason if row.recorded else None,
            first_launch=row.instance.first_launch if row.instance else None,
            exempt_until=end_of(row.exemption, row.recorded.reason if row.recorded else None),
            inferred=True,
        )
