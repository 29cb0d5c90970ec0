"""How long instances stay NON_COMPLIANT until they are remediated: the figures of one kind of episode.

The window is the 90 days that end with the day. Open episodes count as lasting until now at least; an end that
remedied nothing (exempted, gone) ends the observation, not the episode; what was open before anybody could see it, or
before the window, counts from then on.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from rolecall.evidence.episodes import WINDOW_DAYS, Episode, Outcome
from rolecall.evidence.scratch import scratch_database
from rolecall.evidence.survival import Spell, kaplan_meier

HORIZON_DAYS = 30
"""Of the restricted mean."""

AGES = (("upTo1Day", 1), ("upTo7Days", 7), ("upTo30Days", 30), ("upTo90Days", 90))
OLDER = "longer"

WITHIN = (("1Day", 1), ("7Days", 7), ("30Days", 30))
"""Days within which what share is remediated."""

_HOUR = timedelta(hours=1)

_TABLES = """
CREATE TABLE spells (entered REAL NOT NULL, gone REAL NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE detections (seconds REAL NOT NULL);
"""


class RemediationTimes:
    """Takes the episodes of one kind; what grows with their number is kept on disk. `close` ends it."""

    def __init__(self, end: datetime) -> None:
        """`end` of the day, which is now for what is open."""
        self._end = end
        self._opening = end - timedelta(days=WINDOW_DAYS)
        self._database = scratch_database(_TABLES)
        self._outcomes: Counter[Outcome | None] = Counter()
        self._ages: Counter[str] = Counter()
        self._oldest: timedelta | None = None
        self._opened = self._inferred = self._unobserved = 0

    def close(self) -> None:
        """Give the disk's room back."""
        self._database.close()

    def take(self, episode: Episode, seen_until: datetime) -> None:
        """One more. What is open and was not seen at the end of the day counts until then; nobody knows its age."""
        self._inferred += episode.inferred
        spell = spell_of(episode, self._end, seen_until)
        if spell.left > spell.entered:
            self._database.execute("INSERT INTO spells VALUES (?, ?, ?)", (spell.entered, spell.left, spell.ended))
        if episode.opened >= self._opening:
            self._opened += 1
            if not episode.inferred:
                # From what opened it, an item or the end of an exemption: so long it went unnoticed.
                unnoticed = episode.known_since - max(episode.opened, episode.began)
                self._database.execute("INSERT INTO detections VALUES (?)", (unnoticed.total_seconds(),))
        if episode.is_open and seen_until < self._end:
            self._unobserved += 1
            return
        self._outcomes[episode.outcome] += 1
        if episode.is_open:
            age = self._end - episode.began
            self._ages[_age_group(age)] += 1
            self._oldest = max(self._oldest or age, age)

    def figures(self) -> Mapping[str, Any]:
        """What `kpis.json` says of the kind. Hours, to two decimals; None: not reached, or none."""
        observed, known_from, known_until = self._database.execute(
            "SELECT COUNT(*), MIN(entered), MAX(gone) FROM spells"
        ).fetchone()
        curve = kaplan_meier(
            Spell(entered, left, bool(ended))
            for entered, left, ended in self._database.execute("SELECT entered, gone, ended FROM spells")
        )
        all_ended = curve.quantile(1) is not None

        def known(hours: float) -> bool:
            # Nobody knows the curve where nothing was observed so early or for so long, unless all has ended before.
            return bool(observed) and known_from < hours and (known_until >= hours or all_ended)

        horizon = HORIZON_DAYS * 24
        return {
            "observed": observed,
            "opened": self._opened,
            **{outcome.value: self._outcomes[outcome] for outcome in Outcome},
            "open": self._outcomes[None],
            "openUnobserved": self._unobserved,
            "inferred": self._inferred,
            "medianHours": _rounded(curve.quantile(0.5)),
            "p90Hours": _rounded(curve.quantile(0.9)),
            "restrictedMeanHours": _rounded(curve.restricted_mean(horizon) if known(horizon) else None),
            "remediatedWithin": {
                name: round(curve.ended_by(days * 24), 6) if known(days * 24) else None for name, days in WITHIN
            },
            "detectionMedianSeconds": self._detected_within(0.5),
            "detectionP90Seconds": self._detected_within(0.9),
            "openByAge": {name: self._ages[name] for name in (*(name for name, _ in AGES), OLDER)},
            "oldestOpenHours": _rounded(self._oldest / _HOUR) if self._oldest is not None else None,
        }

    def _detected_within(self, share: float) -> float | None:
        """The seconds within which `share` of the verdicts were made, by nearest rank; None if there is none."""
        (count,) = self._database.execute("SELECT COUNT(*) FROM detections").fetchone()
        found = self._database.execute(
            "SELECT seconds FROM detections ORDER BY seconds LIMIT 1 OFFSET ?", (ceil(share * count) - 1,)
        ).fetchone()
        return round(found[0], 3) if found else None


def spell_of(episode: Episode, end: datetime, seen_until: datetime) -> Spell:
    """The episode as it was observed within the window that ends at `end`; in hours since it began."""
    entered = max(episode.known_since, end - timedelta(days=WINDOW_DAYS))
    return Spell(
        entered=(entered - episode.began) / _HOUR,
        left=((episode.ended or min(end, seen_until)) - episode.began) / _HOUR,
        ended=episode.outcome is Outcome.REMEDIATED,
    )


def _age_group(age: timedelta) -> str:
    return next((name for name, days in AGES if age <= timedelta(days=days)), OLDER)


def _rounded(hours: float | None) -> float | None:
    return None if hours is None else round(hours, 2)
