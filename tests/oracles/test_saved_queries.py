"""The saved queries on files of the ledger, by DuckDB; sqlglot translates them from the dialect of Athena."""

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from infra.evidence_queries import COLUMNS, FOLDER, saved_queries
from rolecall import __version__
from rolecall.events import parse_invocation
from rolecall.model import Source
from rolecall.record import REFRESH, VERDICT, evaluation_record
from rolecall.rule import evaluate
from tests.builders import PROFILE_ARN, RULE_NAME, Json, change_event, exemption_tags, iso, notification_item
from tests.ledger_files import written_ledger

UTC = dt.UTC


def at(day: int, hour: int = 0) -> dt.datetime:
    """A moment of November 2026."""
    return dt.datetime(2026, 11, day, hour, tzinfo=UTC)


def verdict(  # noqa: PLR0913 - what tells one verdict from another
    resource: str,
    when: dt.datetime,
    *,
    profile: str | None = None,
    tags: dict[str, str] | None = None,
    state: str = "running",
    kind: str = VERDICT,
    evaluated: dt.timedelta = dt.timedelta(minutes=1),
) -> tuple[dt.datetime, Json]:
    """The record of an instance as it was captured `when`, and its arrival in the ledger a minute after."""
    captured = {"resourceId": resource, "configurationItemCaptureTime": iso(when)}
    event = change_event(notification_item(profile=profile, tags=tags or {}, state=state, **captured))
    invocation = parse_invocation(event)
    evaluation = evaluate(
        invocation.notification.item,  # type: ignore[union-attr]  # a change
        invocation.parameters,
        when + evaluated,
    )
    return when + evaluated, evaluation_record(evaluation, invocation, Source.CHANGE, kind=kind)


WEB, BATCH, KIOSK, OLD, GONE = (f"i-0000000000000000{letter}" for letter in "abcde")
KIOSK_TAGS = exemption_tags("kiosk", expires="2026-11-30", granted="2026-11-01", approved_by="sec", ticket="T-1")

HISTORY = [
    verdict(WEB, at(1, 8), profile=PROFILE_ARN),
    # Launched without a role; mended; lost again: two episodes, the second of them is open.
    verdict(BATCH, at(1, 9)),
    verdict(BATCH, at(2, 9), profile=PROFILE_ARN),
    verdict(BATCH, at(3, 9)),
    # The same verdict again, for another reason: the episode goes on.
    verdict(BATCH, at(4, 9), tags=exemption_tags("")),
    # Delivered twice, judged again a minute later: one verdict.
    verdict(KIOSK, at(2, 10), tags=KIOSK_TAGS),
    verdict(KIOSK, at(2, 10), tags=KIOSK_TAGS, evaluated=dt.timedelta(minutes=2)),
    # Exempt without an end; its refresh is not for the ledger, and would not count if it were there.
    verdict(OLD, at(3, 11), tags=exemption_tags("appliance")),
    verdict(OLD, at(3, 12), tags=exemption_tags("appliance"), kind=REFRESH),
    # There for two days without a role, then terminated.
    verdict(GONE, at(2, 7)),
    verdict(GONE, at(4, 7), state="terminated"),
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that Firehose would have written of it."""
    return written_ledger(tmp_path_factory.mktemp("ledger"), HISTORY)


def answers(query: str, ledger: Path, *parameters: object) -> list[tuple[Any, ...]]:
    """What a saved query answers, seeing the table's own columns alone."""
    (translated,) = sqlglot.transpile((FOLDER / f"{query}.sql").read_text(), read="athena", write="duckdb")
    columns = [(name, _duckdb(kind)) for name, kind in (*COLUMNS, ("dt", "string"))]
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE evaluations ({', '.join(f'{name} {kind}' for name, kind in columns)})")
        rows = list(_rows(ledger))
        assert len(rows) == len(HISTORY)
        database.executemany(f"INSERT INTO evaluations VALUES ({', '.join('?' for _ in columns)})", rows)  # noqa: S608 - question marks
        return database.execute(translated, list(parameters)).fetchall()


def _duckdb(kind: str) -> str:
    """A type of Glue's, as DuckDB writes it: texts, and structures of them."""
    if kind == "string":
        return "VARCHAR"
    members = kind.removeprefix("struct<").removesuffix(">").split(",")
    return f"STRUCT({', '.join(member.replace(':string', ' VARCHAR') for member in members)})"


def _rows(ledger: Path) -> Iterator[list[object]]:
    """Every line of every file as the table has it: names without regard to case, the partition from the path."""
    for file in sorted(ledger.glob("dt=*/*.jsonl.gz")):
        for line in gzip.decompress(file.read_bytes()).decode().splitlines():
            record = {name.lower(): value for name, value in json.loads(line).items()}
            yield [*(_cell(record[name], kind) for name, kind in COLUMNS), file.parent.name.removeprefix("dt=")]


def _cell(value: Any, kind: str) -> object:  # noqa: ANN401 - any JSON value
    if value is None or kind == "string":
        return value
    members = {name.lower(): one for name, one in value.items()}
    names = [member.partition(":")[0] for member in kind.removeprefix("struct<").removesuffix(">").split(",")]
    return {name: members[name] for name in names}


def test_coverage_over_time(ledger: Path) -> None:
    """By hand, instance by instance.

    Day 1: web has a role, batch has none. Day 2: batch has one, too; kiosk is exempt, gone has none. Day 3: batch lost
    it; old is exempt. Day 4: gone is gone. Day 5: nothing happens, and everything stands as before.
    """
    assert answers("coverage_over_time", ledger, "2026-11-01", "2026-11-05") == [
        ("2026-11-01", 1, 0, 1, 0, 50.0),
        ("2026-11-02", 2, 1, 1, 0, 50.0),
        ("2026-11-03", 1, 2, 2, 0, 20.0),
        ("2026-11-04", 1, 2, 1, 0, 25.0),
        ("2026-11-05", 1, 2, 1, 0, 25.0),
    ]


def test_open_episodes(ledger: Path) -> None:
    """One: since the third, through another reason on the fourth; it had a role before, so it lost it."""
    found = answers("open_episodes", ledger)
    assert [row[:7] for row in found] == [
        (
            "111122223333",
            "eu-west-1",
            BATCH,
            "EXEMPTION_INVALID",
            "2026-11-03T09:00:00.000Z",
            "2025-11-03T16:45:30.000Z",
            "lost later",
        )
    ]
    assert found[0][7].startswith("EXEMPTION_INVALID: ")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-01", []),
        ("2026-11-02", [(KIOSK, "kiosk", "sec", "T-1", "2026-11-01", "2026-11-30", 28)]),
        (
            "2026-11-30",
            [
                (KIOSK, "kiosk", "sec", "T-1", "2026-11-01", "2026-11-30", 0),
                (OLD, "appliance", None, None, None, None, None),
            ],
        ),
        ("2026-12-01", [(OLD, "appliance", None, None, None, None, None)]),
    ],
)
def test_exemptions_in_force(ledger: Path, day: str, expected: list[tuple[object, ...]]) -> None:
    """Through the last day, and not a day longer, even where no verdict has said so yet."""
    assert [row[2:] for row in answers("exemptions_in_force", ledger, day)] == expected


def test_verdicts_of_one_instance(ledger: Path) -> None:
    """Each once, however often it was delivered, in the days that were asked for."""
    found = answers("verdicts_of_one_instance", ledger, BATCH, "2026-11-02", "2026-11-03")
    assert [(row[0], row[4], row[5], row[7], row[8], row[9], row[10]) for row in found] == [
        ("2026-11-02T09:00:00.000Z", "COMPLIANT", "PROFILE_ATTACHED", PROFILE_ARN, "change", RULE_NAME, __version__),
        ("2026-11-03T09:00:00.000Z", "NON_COMPLIANT", "NO_PROFILE", None, "change", RULE_NAME, __version__),
    ]
    assert len(answers("verdicts_of_one_instance", ledger, KIOSK, "2026-11-01", "2026-11-30")) == 1


def test_every_saved_query_is_tested_here() -> None:
    """A new one comes with rows counted by hand."""
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {query.stem for query in saved_queries()} <= tested


@pytest.mark.parametrize("query", saved_queries(), ids=lambda query: query.stem)
def test_a_query_is_of_athenas_dialect(query: Path) -> None:
    """As far as a parser knows it: one statement."""
    assert len(sqlglot.parse(query.read_text(), read="athena")) == 1
