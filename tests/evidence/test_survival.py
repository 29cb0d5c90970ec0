from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.evidence.survival import Spell, Survival, kaplan_meier

spells = st.lists(
    st.builds(Spell, st.integers(0, 12).map(float), st.integers(0, 20).map(float), st.booleans()), max_size=25
)


def share_lasting_longer_than(time: float, given_spells: list[Spell]) -> float:
    """The same from its definition: of those under observation at each moment, the share that did not end then."""
    observed = [spell for spell in given_spells if spell.left > spell.entered]
    share = 1.0
    for moment in sorted({spell.left for spell in observed if spell.left <= time}):
        at_risk = sum(spell.entered < moment <= spell.left for spell in observed)
        ending = sum(spell.left == moment and spell.ended for spell in observed)
        share *= 1 - ending / at_risk
    return share


@given(spells)
def test_the_curve_is_what_its_definition_says(drawn: list[Spell]) -> None:
    """At every moment, for any spells: entered late, left early, ended at once, never observed."""
    curve = kaplan_meier(drawn)
    for tenth in range(-5, 250, 5):
        time = tenth / 10
        assert curve.ended_by(time) == pytest.approx(1 - share_lasting_longer_than(time, drawn), abs=1e-9)


@given(spells, st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_is_the_first_moment_at_which_so_many_have_ended(drawn: list[Spell], share: float) -> None:
    """None when the curve never falls so far: the answer is then that it was not reached, and no number."""
    moments = [float(time) for time in range(21) if share_lasting_longer_than(time, drawn) <= 1 - share + 1e-9]
    assert kaplan_meier(drawn).quantile(share) == (moments[0] if moments else None)


@given(spells, st.integers(1, 25))
def test_the_restricted_mean_is_the_area_under_the_curve(drawn: list[Spell], horizon: int) -> None:
    """Up to the horizon, summed in small steps: the curve changes at whole numbers only."""
    area = sum(share_lasting_longer_than(time, drawn) for time in range(horizon))
    assert kaplan_meier(drawn).restricted_mean(horizon) == pytest.approx(area)


@given(spells)
def test_the_order_of_the_spells_does_not_matter(drawn: list[Spell]) -> None:
    """To the last bit: the figures are part of a signed package."""
    assert kaplan_meier(drawn) == kaplan_meier(sorted(drawn, key=repr)) == kaplan_meier(drawn[::-1])


def test_one_half_is_reached_by_fractions_that_multiply_to_it() -> None:
    """1/2 as 9/10 · 8/9 · … of floating point is not exactly 0.5; the median is reached all the same."""
    drawn = [Spell(0, time, ended=True) for time in range(1, 11)]
    assert kaplan_meier(drawn).quantile(0.5) == 5


def test_what_is_still_open_counts() -> None:
    """Two closed after 1 and 2, two still open at 10: half has ended after 2, and 90 % has not yet."""
    drawn = [Spell(0, 1, ended=True), Spell(0, 2, ended=True), Spell(0, 10, ended=False), Spell(0, 10, ended=False)]
    curve = kaplan_meier(drawn)
    assert list(curve.steps) == [(1, 0.75), (2, 0.5)]
    assert (curve.quantile(0.5), curve.quantile(0.9), curve.restricted_mean(10)) == (2, None, 1 + 0.75 + 8 * 0.5)


def test_nothing_observed_is_no_figure() -> None:
    """An empty curve: nothing has ended, so nothing is reached."""
    assert kaplan_meier([]) == kaplan_meier([Spell(3, 3, ended=True)]) == Survival(array("d"), array("d"))
    assert kaplan_meier([]).quantile(0.5) is None
