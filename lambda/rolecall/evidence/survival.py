"""Kaplan-Meier: how long something lasts when some of it is still going on and some was only seen from the middle.

The mean of what has ended says too little: what lasts longest has not ended yet, and so is left out. Whatever is
still open counts as under observation until now (right censoring); what began before it could be observed counts
from then on (delayed entry, or left truncation).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

_ROUNDING = 1e-9
"""A product of fractions misses 1/2 by less than this: a curve that falls to one half must count as having done so."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One thing that lasted: from 0, observed after `entered`, until `left`. One unit for all; it is the caller's."""

    entered: float
    left: float
    ended: bool
    """Whether it ended at `left`; False: it was still going on when observation stopped, or something else ended it."""


@dataclass(frozen=True, slots=True)
class Survival:
    """The share that lasts longer than t: 1 until the first of `steps`, each (t, share from t on), ascending."""

    steps: tuple[tuple[float, float], ...]

    def quantile(self, share: float) -> float | None:
        """When `share` (0.5: the median) has ended; None: not reached in what was observed."""
        return next((time for time, lasting in self.steps if lasting <= 1 - share + _ROUNDING), None)

    def ended_by(self, time: float) -> float:
        """The share that has ended by then."""
        return 1 - next((lasting for since, lasting in reversed(self.steps) if since <= time), 1.0)

    def restricted_mean(self, horizon: float) -> float:
        """The mean of how much of `horizon` is lasted: the area under the curve up to there.

        Beyond what was observed the curve stays where it is, so the mean is never too short.
        """
        steps = [(0.0, 1.0), *(step for step in self.steps if step[0] < horizon), (horizon, 0.0)]
        return sum(lasting * (until - since) for (since, lasting), (until, _) in pairwise(steps))


def kaplan_meier(spells: Iterable[Spell]) -> Survival:
    """The estimate. A spell that is left when it is entered was never observed, and counts for nothing.

    With delayed entry few may be at risk at first: where all of them end at once, the curve falls to 0 and stays.
    """
    ended: Counter[float] = Counter()
    entered: Counter[float] = Counter()
    left: Counter[float] = Counter()
    for spell in spells:
        if spell.left <= spell.entered:
            continue
        entered[spell.entered] += 1
        left[spell.left] += 1
        ended[spell.left] += spell.ended
    at_risk, lasting, steps = 0, 1.0, []
    for time in sorted(entered.keys() | left.keys()):
        # At risk at t: entered before t, and not left before t.
        if ended[time]:
            lasting *= (at_risk - ended[time]) / at_risk
            steps.append((time, lasting))
        at_risk += entered[time] - left[time]
    return Survival(tuple(steps))
