"""The figures of `kpis.json` from lifelines, for episodes as they are carried."""

import math

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter  # type: ignore[import-untyped] # it has no types
from lifelines.exceptions import StatError  # type: ignore[import-untyped] # as above
from lifelines.utils import qth_survival_time  # type: ignore[import-untyped] # as above

from rolecall.evidence.episodes import Episode, Outcome
from rolecall.evidence.remediation_times import spell_of
from tests.evidence.test_kpis import END, episodes, remediation_times


# lifelines warns of few at risk at first, as we do in words.
@pytest.mark.filterwarnings("ignore::lifelines.exceptions.StatisticalWarning")
@settings(max_examples=50)
@given(st.lists(episodes(), min_size=1, max_size=30))
def test_median_percentile_and_shares_agree_with_lifelines(drawn: list[Episode]) -> None:
    """Open, late, exempted and gone ones among them."""
    told = remediation_times(drawn, END)
    spells = [spell for one in drawn if (spell := spell_of(one, END, END)).left > spell.entered]
    if not spells:
        assert (told["medianHours"], told["p90Hours"]) == (None, None)
        return
    try:
        fitted = KaplanMeierFitter().fit(
            [spell.left for spell in spells],
            [spell.ended for spell in spells],
            entry=[spell.entered for spell in spells],
        )
    except StatError:  # for a moment nobody was at risk: lifelines refuses, we go on with those who come later
        reject()
    for name, share in (("medianHours", 0.5), ("p90Hours", 0.9)):
        expected = float(qth_survival_time(1 - share + 1e-9, fitted.survival_function_))
        assert told[name] == (None if math.isinf(expected) else round(expected, 2))
    for name, days in (("1Day", 1), ("7Days", 7), ("30Days", 30)):
        if (within := told["remediatedWithin"][name]) is not None:
            assert within == pytest.approx(1 - float(fitted.predict(days * 24)), abs=1e-5)
    assert told["remediated"] == sum(one.outcome is Outcome.REMEDIATED for one in drawn)
