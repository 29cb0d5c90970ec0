"""Kaplan-Meier: how long something lasts when some of it is still going on and some was only seen from the middle.

The mean of what has ended says too little: what lasts longest has not ended yet, and so is left out. Whatever is
still open counts as under observation until now (right censoring); what began before it could be observed counts
from then on (delayed entry, or left truncation).

Spells are sorted on disk, by SQLite: however many there are, they take no memory.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise, takewhile

from rolecall.evidence.scratch import scratch_database

_ROUNDING = 1e-9
"""A product of fractions misses 1/2 by less than this: a curve that falls to one half must count as having done so."""

_TABLE = """
CREATE TABLE moments (
    time REAL NOT NULL, entered INTEGER NOT NULL, gone INTEGER NOT NULL, ended INTEGER NOT NULL
);
"""

_IN_ORDER = "SELECT time, SUM(entered), SUM(gone), SUM(ended) FROM moments GROUP BY time ORDER BY time"


@dataclass(frozen=True, slots=True)
class Spell:
    """One thing that lasted: from 0, observed after `entered`, until `left`. One unit for all; it is the caller's."""

    entered: float
    left: float
    ended: bool
    """Whether it ended at `left`; False: it was still going on when observation stopped, or something else ended it."""


@dataclass(frozen=True, slots=True)
class Survival:
    """The share that lasts longer than t: 1 until the first of `times`, then `lasting` of each from there on.

    Holds 16 bytes for each moment at which something ended.
    """

    times: "array[float]"
    """Ascending."""
    lasting: "array[float]"

    @property
    def steps(self) -> Iterator[tuple[float, float]]:
        """Each time with the share from there on."""
        return zip(self.times, self.lasting, strict=True)

    def quantile(self, share: float) -> float | None:
        """When `share` (0.5: the median) has ended; None: not reached in what was observed."""
        return next((time for time, lasting in self.steps if lasting <= 1 - share + _ROUNDING), None)

    def ended_by(self, time: float) -> float:
        """The share that has ended by then."""
        steps = bisect_right(self.times, time)
        return 1 - (self.lasting[steps - 1] if steps else 1.0)

    def restricted_mean(self, horizon: float) -> float:
        """The mean of how much of `horizon` is lasted: the area under the curve up to there.

        Beyond what was observed the curve stays where it is, so the mean is never too short.
        """
        within = takewhile(lambda step: step[0] < horizon, self.steps)
        steps = chain([(0.0, 1.0)], within, [(horizon, 0.0)])
        return sum(lasting * (until - since) for (since, lasting), (until, _) in pairwise(steps))


def kaplan_meier(spells: Iterable[Spell]) -> Survival:
    """The estimate. A spell that is left when it is entered was never observed, and counts for nothing.

    With delayed entry few may be at risk at first: where all of them end at once, the curve falls to 0 and stays.
    """
    times, shares = array("d"), array("d")
    with closing(scratch_database(_TABLE)) as database:
        observed = (moment for spell in spells if spell.left > spell.entered for moment in _moments(spell))
        database.executemany("INSERT INTO moments VALUES (?, ?, ?, ?)", observed)
        at_risk, lasting = 0, 1.0
        for time, entered, left, ended in database.execute(_IN_ORDER):
            # At risk at t: entered before t, and not left before t.
            if ended:
                lasting *= (at_risk - ended) / at_risk
                times.append(time)
                shares.append(lasting)
            at_risk += entered - left
    return Survival(times, shares)


def _moments(spell: Spell) -> Iterator[tuple[float, int, int, int]]:
    """When it was entered, and when it was left."""
    yield spell.entered, 1, 0, 0
    yield spell.left, 0, 1, spell.ended
