import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidRecord
from rolecall.evidence.episodes import Episode, EpisodeKey, History, Kind, Outcome
from rolecall.evidence.kpis import DEFINITIONS, DayFigures, kpi_document, read_trend, share_with_role
from rolecall.evidence.manifest import Totals
from rolecall.evidence.remediation_times import RemediationTimes, spell_of
from rolecall.model import Reason
from tests.evidence.made import ACCOUNT, DAY, PERIOD, REGION, RULE, evidence_row, exemption, instance_id
from tests.evidence.sample_days import header

END = PERIOD.end
HOUR = timedelta(hours=1)


def episode(began: int, ended: int | None = None, outcome: Outcome | None = None, **changes: Any) -> Episode:  # noqa: ANN401 - whatever the field holds
    """An episode that began and ended so many hours before the end of the day, and was known at once."""
    start = END - began * HOUR
    made = Episode(
        key=EpisodeKey(ACCOUNT, REGION, RULE, instance_id(1)),
        kind=Kind.DRIFT,
        began=start,
        opened=start,
        known_since=start,
        reason=Reason.NO_PROFILE,
        ended=None if ended is None else END - ended * HOUR,
        outcome=outcome,
    )
    return replace(made, **changes)


def remediation_times(given_episodes: Sequence[Episode], end: datetime) -> Mapping[str, Any]:
    """The figures of these episodes, as if all were of one kind."""
    with closing(RemediationTimes(end)) as times:
        for one in given_episodes:
            times.take(one, end)
        return times.figures()


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """Any episode that may be carried: of the window, or still open."""
    began = draw(st.integers(1, 150 * 24))
    delay = draw(st.sampled_from([0, 0, 5, began]))
    start = END - began * HOUR
    outcome = draw(st.sampled_from([None, *Outcome]))
    ended = draw(st.integers(0, min(began - 1, 90 * 24 - 1))) if outcome else None
    return episode(began, ended, outcome, known_since=start + delay * HOUR)


def obvious_median(given_episodes: Sequence[Episode]) -> float | None:
    """The median by walking over every hour: at each, who is under observation, and who is remediated then."""
    window = END - timedelta(days=90)
    share = 1.0
    for hour in range(1, 151 * 24):
        at_risk = remediated = 0
        for one in given_episodes:
            since = max(one.known_since, window) - one.began
            until = (one.ended or END) - one.began
            if since < hour * HOUR <= until:
                at_risk += 1
                remediated += until == hour * HOUR and one.outcome is Outcome.REMEDIATED
        if remediated:
            share *= 1 - remediated / at_risk
            if share <= 0.5 + 1e-9:
                return float(hour)
    return None


@given(st.lists(episodes(), max_size=6))
def test_times_to_remediate_are_what_an_hourly_walk_finds(drawn: list[Episode]) -> None:
    """Median, counts by outcome, and ages of what is open."""
    told = remediation_times(drawn, END)
    assert told["medianHours"] == obvious_median(drawn)
    for outcome in Outcome:
        assert told[outcome.value] == sum(one.outcome is outcome for one in drawn)
    ages = [(END - one.began) / timedelta(days=1) for one in drawn if one.is_open]
    assert list(told["openByAge"].values()) == [
        sum(lower < days <= upper for days in ages)
        for lower, upper in ((0, 1), (1, 7), (7, 30), (30, 90), (90, 10_000))
    ]
    assert told["open"] == sum(told["openByAge"].values())
    assert told["oldestOpenHours"] == (round(max(ages) * 24, 2) if ages else None)


def test_all_closed_is_the_plain_median() -> None:
    """Without anything open or late, Kaplan-Meier says what everybody would."""
    hours = [3, 8, 20, 31, 70]
    told = remediation_times([episode(100 + h, 100, Outcome.REMEDIATED) for h in hours], END)
    assert told["medianHours"] == median(hours)
    assert told["p90Hours"] == 70
    assert told["restrictedMeanHours"] == sum(hours) / 5
    assert told["remediatedWithin"] == {"1Day": 0.6, "7Days": 1.0, "30Days": 1.0}


def test_open_episodes_make_the_median_longer_than_what_is_closed() -> None:
    """Two closed after 2 and 4 hours, three open for 50: the naive median of 3 hours would be a lie."""
    closed = [episode(50, 48, Outcome.REMEDIATED), episode(50, 46, Outcome.REMEDIATED)]
    told = remediation_times([*closed, *[episode(50)] * 3], END)
    assert (told["medianHours"], told["p90Hours"], told["restrictedMeanHours"]) == (None, None, None)
    assert (told["remediated"], told["open"], told["observed"]) == (2, 3, 5)
    assert told["remediatedWithin"] == {"1Day": 0.4, "7Days": None, "30Days": None}


def test_detection_is_told_apart() -> None:
    """From the item to the verdict, by nearest rank; what only the inventory told of says nothing about it."""
    noticed = [episode(50, known_since=END - 50 * HOUR + timedelta(seconds=one)) for one in (9, 1, 2, 3, 60)]
    told = remediation_times([*noticed, episode(50, known_since=END, inferred=True)], END)
    assert (told["detectionMedianSeconds"], told["detectionP90Seconds"]) == (3, 60)
    nothing = remediation_times([], END)
    assert (nothing["detectionMedianSeconds"], nothing["remediatedWithin"]["1Day"]) == (None, None)


def test_being_terminated_or_exempted_remediates_nothing() -> None:
    """It ends the observation: nobody knows how long it would have lasted."""
    told = remediation_times([episode(50, 40, Outcome.GONE), episode(50, 30, Outcome.EXEMPTED)], END)
    assert (told["medianHours"], told["gone"], told["exempted"], told["remediated"]) == (None, 1, 1, 0)


def test_what_nobody_has_seen_since_is_counted_apart() -> None:
    """Open, in a place where nobody could look for two days: it was observed until then, and has no age."""
    seen, unseen = episode(50), episode(100)
    figures = DayFigures(PERIOD)
    for one, since in ((seen, None), (unseen, DAY - timedelta(days=1))):
        figures.take_history(History(episodes=(one,), missing_since=since))
    told = figures.times_to_remediate()["drift"]
    figures.close()
    assert (told["observed"], told["open"], told["openUnobserved"], told["oldestOpenHours"]) == (2, 1, 1, 50)
    assert spell_of(unseen, END, END - 48 * HOUR).left == 52
    assert told["openByAge"] == {"upTo1Day": 0, "upTo7Days": 1, "upTo30Days": 0, "upTo90Days": 0, "longer": 0}


def test_what_nobody_could_observe_does_not_count() -> None:
    """Known only since the end of the day, or over before the first look at it."""
    told = remediation_times([episode(50, known_since=END)], END)
    assert (told["observed"], told["open"], told["restrictedMeanHours"]) == (0, 1, None)


@given(st.builds(Totals, *[st.integers(0, 10**9)] * 6))
def test_shares_add_up(totals: Totals) -> None:
    """With a role, of all to whom the rule applies; exempt instances in the whole, then aside."""
    share = share_with_role(totals)
    applicable = totals.compliant + totals.exempt + totals.non_compliant
    judged = totals.compliant + totals.non_compliant
    assert share["ofAll"] == (pytest.approx(totals.compliant / applicable, abs=1e-6) if applicable else None)
    assert share["ofNotExempt"] == (pytest.approx(totals.compliant / judged, abs=1e-6) if judged else None)


def test_exemptions_are_grouped_by_age_and_by_what_is_left() -> None:
    """At the bounds of each group; an exempt instance whose tags are gone is one of unknown age."""
    figures = DayFigures(PERIOD)
    for number, (granted_days, left_days) in enumerate([(0, 0), (30, 30), (31, 31), (366, -1), (None, None)]):
        declared = exemption(
            granted=None if granted_days is None else DAY - timedelta(days=granted_days),
            expires=None if left_days is None else DAY + timedelta(days=left_days),
        )
        figures.take_row(evidence_row(Reason.EXEMPT, number, exemption=declared))
    figures.take_row(evidence_row(Reason.EXEMPT, 9, exemption=None))
    figures.take_row(evidence_row(Reason.NO_PROFILE, 10))
    assert figures.exemptions() == {
        "inForce": 6,
        "declared": {"valid": 5, "expired": 0, "malformed": 0},
        "withoutExpiry": 2,
        "aboutToExpire": 2,
        "byAge": {
            "upTo30Days": 2,
            "upTo90Days": 1,
            "upTo180Days": 0,
            "upTo365Days": 0,
            "longer": 1,
            "unknown": 2,
        },
    }


def test_keys_are_counted_once_for_each_account_and_the_uncounted_are_named() -> None:
    """One shard of an account has the counts; an account without any is not taken for one without keys."""
    figures = DayFigures(PERIOD)
    figures.take_header(header("111122223333", "eu-central-1", DAY))
    figures.take_header(header("111122223333", "eu-west-1", DAY))
    figures.take_header(header("444455556666", "eu-central-1", DAY, keys=None, keys_problem="access denied"))
    figures.take_header(header("777788889999", "eu-west-1", DAY))
    assert figures.access_keys() == {
        "accountsCounted": 1,
        "accountsNotCounted": [
            {"account": "444455556666", "why": "access denied"},
            {"account": "777788889999", "why": None},
        ],
        "users": 4,
        "usersWithActiveKeys": 2,
        "activeKeys": 3,
        "rootActiveKeys": 1,
        "oldestRotation": "2024-05-01T00:00:00.000Z",
    }


def document(trend: Sequence[Any] = (), given_episodes: Sequence[Episode] = ()) -> dict[str, Any]:
    """`kpis.json` of a day with ten instances."""
    with closing(DayFigures(PERIOD)) as figures:
        for one in given_episodes:
            figures.take_history(History(episodes=(one,)))
        return kpi_document(PERIOD, Totals(10, 6, 1, 2, 1, 0), figures, trend)


def test_a_day_hands_its_figures_to_the_next() -> None:
    """The trend is what each day said of itself, in order, and a day that is sealed again replaces nothing."""
    first = document()
    trend = read_trend(json.dumps(first).encode())
    assert document(trend)["trend"] == first["trend"]
    earlier = [{"day": "2026-02-28", "ofAll": 0.5}, {"day": "2026-03-01", "ofAll": 0.4}]
    assert document(earlier)["trend"] == [*earlier, first["trend"][0]]
    assert first["trend"] == [
        {
            "day": "2026-03-02",
            **Totals(10, 6, 1, 2, 1, 0).to_json(),
            "ofAll": 0.666667,
            "ofNotExempt": 0.75,
            "aboutToExpire": 0,
            "openEpisodes": 0,
            "launchedWithoutRoleMedianHours": None,
            "driftMedianHours": None,
            "activeKeys": None,
            "rootActiveKeys": None,
        }
    ]


def test_the_trend_is_bounded() -> None:
    """400 days."""
    long = [{"day": (date(2024, 1, 1) + timedelta(days=number)).isoformat()} for number in range(500)]
    assert len(document(long)["trend"]) == 400
    assert document(long)["trend"][-1]["day"] == "2026-03-02"


@pytest.mark.parametrize("trend", [None, {}, [1], [{}], [{"day": "soon"}]])
def test_a_trend_that_cannot_be_read_is_refused(trend: object) -> None:
    """It names the field."""
    with pytest.raises(InvalidRecord):
        read_trend(json.dumps({**document(), "trend": trend}).encode())


def test_kinds_are_never_mixed() -> None:
    """A drift that was mended at once does not make launches look better."""
    told = document(given_episodes=[episode(9, 8, Outcome.REMEDIATED), episode(90, kind=Kind.LAUNCHED_WITHOUT_ROLE)])
    assert told["timeToRemediate"]["drift"]["medianHours"] == 1
    assert told["timeToRemediate"]["launched-without-role"]["medianHours"] is None
    assert told["timeToRemediate"]["launched-without-role"]["open"] == 1


def test_every_figure_has_its_definition() -> None:
    """And every definition is of a figure that is there."""
    told = document()
    for definition in DEFINITIONS:
        found: Any = told
        for part in definition.key.split("."):
            found = found[part]
        assert told["definitions"][definition.key] == definition.text
    named = {definition.key.partition(".")[0] for definition in DEFINITIONS}
    assert named == set(told) - {"schema", "day", "definitions"}


def test_the_documentation_has_the_same_definitions() -> None:
    """When this fails, paste what it expects between the two comments."""
    rows = [f"| {one.title} | `{one.key}` | {one.text} |" for one in DEFINITIONS]
    table = "\n".join(["| figure | in `kpis.json` | definition |", "|---|---|---|", *rows])
    text = (Path(__file__).parents[2] / "docs" / "evidence-contents.md").read_text()
    (documented,) = re.findall(r"<!-- figures: begin .*?-->\n(.*?)\n<!-- figures: end -->", text, re.DOTALL)
    assert documented == table
