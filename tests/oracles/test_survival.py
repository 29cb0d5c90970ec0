"""The same figures from lifelines, the library that everybody uses for them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter  # type: ignore[import-untyped] # it has no types
from lifelines.utils import (  # type: ignore[import-untyped] # as above
    qth_survival_time,
    restricted_mean_survival_time,
)

from rolecall.evidence.survival import Spell, kaplan_meier


@st.composite
def spells(draw: st.DrawFn) -> list[Spell]:
    """Observed spells. At least one begins at 0, so that lifelines's curve begins at 1 there, as ours does."""
    drawn = []
    for _ in range(draw(st.integers(1, 30))):
        entered = draw(st.integers(0, 20))
        drawn.append(Spell(entered, entered + draw(st.integers(1, 60)), draw(st.booleans())))
    return [*drawn, Spell(0, draw(st.integers(40, 90)), draw(st.booleans()))]


# lifelines warns of few at risk at first, as we do in words.
@pytest.mark.filterwarnings("ignore::lifelines.exceptions.StatisticalWarning")
@given(spells())
def test_the_figures_agree_with_lifelines(drawn: list[Spell]) -> None:
    """Curve, median, 90th percentile and restricted mean, with right censoring and delayed entry."""
    ours = kaplan_meier(drawn)
    theirs = KaplanMeierFitter().fit(
        [spell.left for spell in drawn], [spell.ended for spell in drawn], entry=[spell.entered for spell in drawn]
    )
    for time, lasting in ours.steps:
        assert lasting == pytest.approx(float(theirs.predict(time)), abs=1e-9)
    for share in (0.5, 0.9):
        expected = float(qth_survival_time(1 - share + 1e-9, theirs.survival_function_))
        assert ours.quantile(share) == (None if math.isinf(expected) else expected)
    assert ours.restricted_mean(30) == pytest.approx(restricted_mean_survival_time(theirs, t=30), abs=1e-6)
