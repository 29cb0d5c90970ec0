import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings

from rolecall.evidence.coverage import Coverage
from rolecall.evidence.episode_day import InstanceDay
from rolecall.evidence.episodes import NOTHING, History, Kind, Outcome
from rolecall.evidence.kpis import DEFINITIONS, DayFigures, kpi_document
from rolecall.evidence.plan import Gap
from rolecall.evidence.report import ReportRows, report_html
from rolecall.evidence.report.tables import SHOWN_ROWS, open_table
from rolecall.evidence.report.titles import KINDS
from rolecall.evidence.rows import Agreement, EvidenceRow, EvidenceVerdict, ReperformedVerdict
from rolecall.evidence.shard_header import WhyNot
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Reason
from tests.evidence.made import ACCOUNT, DAY, PERIOD, REGION, at, evidence_row, exemption, instance_id, record
from tests.evidence.sample_days import header, plan_of
from tests.evidence.test_episodes import after, episode
from tests.strategies import texts

IN_THE_NIGHT = at(3, 2)


def page_of(
    rows: Iterable[EvidenceRow] = (),
    *,
    gaps: Sequence[Gap] = (),
    why_not: WhyNot | None = None,
    collected_at: datetime = IN_THE_NIGHT,
    histories: Sequence[History] = (),
) -> str:
    """The report of a day of one account and region with these rows."""
    coverage, shown, figures = Coverage(), ReportRows(PERIOD), DayFigures(PERIOD)
    for row in rows:
        for take in (coverage.take_row, shown.take_row, figures.take_row):
            take(row)
    head = header(ACCOUNT, REGION, DAY, why_not=why_not, collected_at=collected_at)
    coverage.close_scope(head, 0)
    figures.take_header(head)
    for history in histories:
        figures.take_history(history)
    kpis = kpi_document(PERIOD, coverage.totals, figures, ())
    page = report_html(plan_of(DAY, [(ACCOUNT, REGION)], gaps), coverage, shown, kpis)
    coverage.close()
    figures.close()
    return page


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Called for the text between."""
        self.text += data


ONE_EXEMPT = Elements(page_of([evidence_row(Reason.EXEMPT, exemption=exemption(reason="x"))])).found


@settings(max_examples=40)
@given(texts, texts)
def test_what_a_tag_says_is_shown_and_never_obeyed(reason: str, approver: str) -> None:
    """Whatever it is, the page has the same elements as with a harmless text."""
    declared = exemption(
        reason=f'</td><script>alert(1)</script>{reason}"', approved_by=f"{approver}x<img src=x onerror=y>"
    )
    page = page_of([evidence_row(Reason.EXEMPT, exemption=declared)])
    assert [tag for tag, _ in Elements(page).found] == [tag for tag, _ in ONE_EXEMPT]
    page.encode()


def test_the_page_loads_nothing() -> None:
    """No element refers to anything outside, and its own policy forbids that anyway, but for its one script."""
    page = page_of([evidence_row(Reason.EXEMPT)])
    elements = Elements(page)
    references = [
        value
        for tag, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "srcset", "poster", "background")
    ]
    assert references
    assert all(value and value.startswith("#") for value in references)
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [one["content"] for tag, one in elements.found if tag == "meta" and one.get("http-equiv")]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert str(policy).split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]


def test_the_page_depends_on_its_inputs_alone() -> None:
    """To the byte: charts carry no date of their making and no random name."""
    rows = [evidence_row(Reason.EXEMPT), evidence_row(Reason.NO_PROFILE, 2)]
    assert page_of(rows) == page_of(rows)
    assert "Generated with" not in page_of(rows)


def test_no_two_elements_share_an_id() -> None:
    """Charts and tables alike, so that links and labels lead to one place."""
    rows = [evidence_row(Reason.EXEMPT), *(evidence_row(Reason.NO_PROFILE, number) for number in range(2, 9))]
    known = after([record(Reason.NO_PROFILE, at(1, 1), number) for number in range(2, 9)])
    page = page_of(rows, histories=list(known.values()))
    elements = Elements(page).found
    ids = [one["id"] for _, one in elements if "id" in one]
    assert sorted(ids, key=str) == sorted(set(ids), key=str)
    targets = [str(one["href"])[1:] for tag, one in elements if tag == "a"]
    assert set(targets) <= set(ids)
    labelled = [one[name] for _, one in elements for name in ("for", "aria-labelledby") if name in one]
    assert labelled
    assert set(labelled) <= set(ids)
    assert page.count("<svg") == 2
    assert "One day so far." in page


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "No EC2 instance is in the inventory of this day."),
        (
            [evidence_row(Reason.PROFILE_ATTACHED, 1), evidence_row(Reason.EXEMPT, 2)],
            "Yes, or they are exempt. 1 of 2 instances carry a role. Exempt: 1. Not applicable: 0.",
        ),
        (
            [evidence_row(Reason.PROFILE_ATTACHED, 1), evidence_row(Reason.NO_PROFILE, 2)],
            "No. 1 of 2 instances carry no role, or not an allowed one, and no valid exemption.",
        ),
        (
            [evidence_row(verdict=EvidenceVerdict.UNEVALUATED, recorded=None, agreement=Agreement.UNEVALUATED)],
            "Not known. 1 of 1 instances were not evaluated; none of the others is non-compliant.",
        ),
    ],
)
def test_the_headline_answers_the_question(rows: list[EvidenceRow], sentence: str) -> None:
    """In one sentence."""
    assert sentence in " ".join(Elements(page_of(rows)).text.split())


def test_what_is_not_covered_stands_at_the_top() -> None:
    """A reader who stops after the headline knows that there is more."""
    gap = Gap("999900001111", WhyNot.ACCOUNT_NOT_ACTIVE, "SUSPENDED")
    text = " ".join(Elements(page_of(gaps=[gap], why_not=WhyNot.NO_RECORDER)).text.split())
    assert "Not everything is covered. 2 accounts and regions were not covered on this day" in text
    assert "Not everything is covered" not in Elements(page_of()).text


@pytest.mark.parametrize(
    ("collected_at", "head", "notice"),
    [
        (at(3, 2), "Collected 2026-03-03 02:00 (UTC).", None),
        (at(4), "Collected 2026-03-04 00:00 (UTC).", None),
        (
            at(4, 0, 1),
            "Collected 2026-03-04 00:01 (UTC).",
            f"The latest of it was collected 2026-03-04 00:01 (UTC), 1 day after {DAY} was over.",
        ),
        (
            at(7, 9, 30),
            "Collected 2026-03-07 09:30 (UTC).",
            f"The latest of it was collected 2026-03-07 09:30 (UTC), 4 days after {DAY} was over.",
        ),
    ],
)
def test_the_page_says_when_it_was_collected(collected_at: datetime, head: str, notice: str | None) -> None:
    """In its head; and plainly, if that was more than a day after the day's end."""
    text = " ".join(Elements(page_of(collected_at=collected_at)).text.split())
    assert head in text
    told = f"Collected late. {notice} It shows what there was then, not on that day."
    assert (told in text) if notice else "Collected late" not in text


def test_a_long_table_says_of_how_many_it_shows_how_few() -> None:
    """And which file has all of them; the soonest to expire are those that are shown."""
    rows = [
        evidence_row(Reason.EXEMPT, number, exemption=exemption(ticket=f"T-{number}"))
        for number in range(SHOWN_ROWS * 5)
    ]
    last = evidence_row(Reason.EXEMPT, SHOWN_ROWS * 5, exemption=exemption(ticket="SOON", expires=DAY))
    page = page_of([*rows, last])
    assert "(the first 500 of 2,501; all of them are in <code>exemptions.csv</code>)" in page
    tickets = re.findall(r"<td>(T-\d+|SOON)</td>", page)
    assert tickets == ["SOON", *(f"T-{number}" for number in range(SHOWN_ROWS - 1))]


def test_non_compliant_instances_are_shown_the_longest_first() -> None:
    """All of the inventory and no other: also who became so after the day; not who is remediated, or not listed."""
    known = after(
        [
            record(Reason.NO_PROFILE, at(2, 1), 1, instance=None),
            record(Reason.NO_PROFILE, at(1, 1), 2, instance=None),
            record(Reason.NO_PROFILE, at(1, 1), 3),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 3),
            record(Reason.NO_PROFILE, at(1, 1), 5),
        ]
    )
    listed = [
        (1, Reason.NO_PROFILE, at(2, 1)),
        (2, Reason.NO_PROFILE, at(1, 1)),
        (3, Reason.PROFILE_ATTACHED, at(1, 2)),
        (4, Reason.NO_PROFILE, at(3, 2)),
    ]
    rows = ReportRows(PERIOD)
    for number, reason, moment in listed:
        identity = instance_id(number)
        row = evidence_row(reason, number, capture_time=moment)
        rows.take_instance(InstanceDay(identity, row, known.get(identity, NOTHING)))
    rows.take_instance(InstanceDay(instance_id(5), None, known[instance_id(5)]))
    table = open_table(rows.open, PERIOD.end)
    assert table.total == 3
    assert [(row[2], *row[3:]) for row in table.rows] == [
        (instance_id(2), "Launched without a role", "NO_PROFILE", "2026-03-01 01:00", 1),
        (instance_id(1), "Launched without a role", "NO_PROFILE", "2026-03-02 01:00", 0),
        (instance_id(4), "After the day", "NO_PROFILE", "2026-03-03 02:00", 0),
    ]


def times_of(page: str, title: str) -> list[str]:
    """A row of the times to remediate."""
    (row,) = re.findall(rf'<tr><th scope="row">{title}</th>(.*?)</tr>', page)
    return re.findall(r'<td class="number">(.*?)</td>', row)


OPEN = episode(Kind.DRIFT, at(1, 2))


@pytest.mark.parametrize(
    ("histories", "expected"),
    [
        pytest.param([], [*["no episode"] * 4, "0", "0", "0", "0", "0", "none"], id="none"),
        pytest.param(
            [History(episodes=(replace(OPEN, known_since=PERIOD.end),))],
            [*["observed too briefly"] * 4, "0", "0", "0", "0", "1", "46.0 h"],
            id="known since the day's end, so not observed",
        ),
        pytest.param(
            [History(episodes=(OPEN,))],
            ["not reached"] * 2 + ["observed too briefly"] * 2 + ["0", "0", "0", "0", "1", "46.0 h"],
            id="open",
        ),
        pytest.param(
            [History(episodes=(episode(Kind.DRIFT, at(1, 2), at(2, 2), Outcome.MISSING),))],
            ["not reached"] * 2 + ["observed too briefly"] * 2 + ["0", "0", "0", "1", "0", "none"],
            id="missing",
        ),
    ],
)
def test_no_figure_is_said_to_be_of_no_episode_where_there_is_one(
    histories: list[History], expected: list[str]
) -> None:
    """It may have been observed too briefly to say anything."""
    assert times_of(page_of(histories=histories), "Drift") == expected


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (0, None),
        (1, "1 more was open when somebody last could look; nobody knows whether it still is."),
        (2, "2 more were open when somebody last could look; nobody knows whether they still are."),
    ],
)
def test_what_was_open_where_nobody_can_look_is_said(number: int, says: str | None) -> None:
    """It stands in no column."""
    unseen = [History(episodes=(OPEN,), missing_since=DAY)] * number
    page = page_of(histories=unseen)
    assert (says in page) if says else "nobody knows whether" not in page
    assert times_of(page, "Drift")[-2] == "0"


def test_a_kind_has_one_name() -> None:
    """In the figures, the chart and the table."""
    lapsed = [History(episodes=(episode(Kind.EXEMPTION_LAPSED, at(1, 2)),))]
    page = page_of(histories=lapsed)
    (chart,) = re.findall(r'<svg[^>]*aria-label="Non-compliant instances by age".*?</svg>', page, re.DOTALL)
    for title in KINDS.values():
        assert title in chart
        assert times_of(page, title)
    assert "exemption lapsed" not in page


def test_instances_in_flight_are_named() -> None:
    """In a table of their own: they are no disagreements (yet)."""
    other = ReperformedVerdict(Reason.NO_PROFILE, "NO_PROFILE: told")
    rows = [
        evidence_row(Reason.PROFILE_ATTACHED, number, agreement=agreement, reperformed=other)
        for number, agreement in enumerate([Agreement.DISAGREES, Agreement.IN_FLIGHT, Agreement.IN_FLIGHT])
    ]
    page = page_of(rows)
    tables = {
        name: re.findall(r'<td class="id">(i-\w+)</td>', table)
        for name, _, table in (part.partition('"') for part in page.split('<div data-table="')[1:])
    }
    assert (tables["disagreements"], tables["in-flight"]) == ([instance_id(0)], [instance_id(1), instance_id(2)])
    assert "No change was under way." in page_of()


def test_every_definition_and_every_requirement_is_on_the_page() -> None:
    """With its version."""
    text = Elements(page_of()).text
    for definition in DEFINITIONS:
        assert definition.title in text
        assert definition.text in text
    for requirement in REQUIREMENTS:
        assert re.search(rf"{re.escape(requirement.framework)}\s+{re.escape(requirement.version)}\s", text)


def test_the_page_is_rendered_without_compiled_extensions(tmp_path: Path) -> None:
    """In the function's package, nothing is compiled: markupsafe works without its speedups."""
    program = (
        "import sys; sys.modules['markupsafe._speedups'] = None\n"
        "from tests.evidence.test_report import page_of\n"
        "import markupsafe\n"
        "assert markupsafe._escape_inner.__module__ == 'markupsafe._native'\n"
        "print(len(page_of()) > 1000)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(  # noqa: S603 - this interpreter, with a program written above
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{root / 'lambda'}:{root}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == "True\n"
