"""How long instances stay NON_COMPLIANT until they are remediated: the figures of one kind of episode.

The window is the 90 days that end with the day. Open episodes count as lasting until now at least; an end that
remedied nothing (exempted, gone) ends the observation, not the episode; what was open before anybody could see it, or
before the window, counts from then on.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Any

from rolecall.evidence.episodes import WINDOW_DAYS, Episode, Outcome
from rolecall.evidence.survival import Spell, kaplan_meier

HORIZON_DAYS = 30
"""Of the restricted mean."""

AGES = (("upTo1Day", 1), ("upTo7Days", 7), ("upTo30Days", 30), ("upTo90Days", 90))
OLDER = "longer"

WITHIN = (("1Day", 1), ("7Days", 7), ("30Days", 30))
"""Days within which what share is remediated."""

_HOUR = timedelta(hours=1)


def remediation_times(episodes: Iterable[Episode], end: datetime) -> Mapping[str, Any]:
    """The figures of `episodes`, all of one kind, at `end`. Hours, to two decimals; None: not reached, or none."""
    given = list(episodes)
    opening = end - timedelta(days=WINDOW_DAYS)
    spells = [spell for episode in given if (spell := spell_of(episode, end)).left > spell.entered]
    curve = kaplan_meier(spells)
    horizon = HORIZON_DAYS * 24
    # Nobody knows the curve where nothing was observed so early or for so long, unless all has ended before.
    known_from = min((spell.entered for spell in spells), default=inf)
    known_until = max((spell.left for spell in spells), default=-1.0)
    all_ended = curve.quantile(1) is not None

    def known(hours: float) -> bool:
        return known_from < hours and (known_until >= hours or all_ended)

    outcomes = [episode.outcome for episode in given]
    ages = sorted((end - episode.began for episode in given if episode.is_open), reverse=True)
    return {
        "observed": len(spells),
        "opened": sum(episode.opened >= opening for episode in given),
        **{outcome.value: outcomes.count(outcome) for outcome in Outcome},
        "open": outcomes.count(None),
        "inferred": sum(episode.inferred for episode in given),
        "medianHours": _rounded(curve.quantile(0.5)),
        "p90Hours": _rounded(curve.quantile(0.9)),
        "restrictedMeanHours": _rounded(curve.restricted_mean(horizon) if known(horizon) else None),
        "remediatedWithin": {
            name: round(curve.ended_by(days * 24), 6) if known(days * 24) else None for name, days in WITHIN
        },
        **_detection([episode for episode in given if episode.opened >= opening and not episode.inferred]),
        "openByAge": _by_age(ages),
        "oldestOpenHours": _rounded(ages[0] / _HOUR) if ages else None,
    }


def _detection(episodes: Sequence[Episode]) -> dict[str, float | None]:
    """From what opened an episode, an item or the end of an exemption, to the verdict: how long it goes unnoticed."""
    seconds = sorted((one.known_since - max(one.opened, one.began)).total_seconds() for one in episodes)

    def at(share: float) -> float | None:
        return round(seconds[ceil(share * len(seconds)) - 1], 3) if seconds else None

    return {"detectionMedianSeconds": at(0.5), "detectionP90Seconds": at(0.9)}


def spell_of(episode: Episode, end: datetime) -> Spell:
    """The episode as it was observed within the window that ends at `end`; in hours since it began."""
    entered = max(episode.known_since, end - timedelta(days=WINDOW_DAYS))
    return Spell(
        entered=(entered - episode.began) / _HOUR,
        left=((episode.ended or end) - episode.began) / _HOUR,
        ended=episode.outcome is Outcome.REMEDIATED,
    )


def _by_age(ages: Iterable[timedelta]) -> dict[str, int]:
    counts = dict.fromkeys([*(name for name, _ in AGES), OLDER], 0)
    for age in ages:
        counts[next((name for name, days in AGES if age <= timedelta(days=days)), OLDER)] += 1
    return counts


def _rounded(hours: float | None) -> float | None:
    return None if hours is None else round(hours, 2)
