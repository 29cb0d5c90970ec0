"""docs/evidence-fields.md names every column and every member of a package's files, and none that is not there."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from rolecall.evidence.episodes import Kind
from rolecall.evidence.kpis import DayFigures, kpi_document
from rolecall.evidence.manifest import Totals
from rolecall.evidence.rows import Agreement, EvidenceVerdict
from rolecall.evidence.stores import FolderStore
from rolecall.model import ExemptionState, InstanceState
from tests.evidence.chains import FIRST_DAY, build
from tests.evidence.made import ACCOUNT, DAY, PERIOD, REGION
from tests.evidence.sample_days import Organization, header

PAGE = (Path(__file__).parents[2] / "docs" / "evidence-fields.md").read_text()

OPAQUE = {"rule.parameters", "definitions"}
"""Their members' names are no fields, but what somebody chose, or figures."""

ONE_OF_A_KIND = re.compile(rf"^timeToRemediate\.({'|'.join(Kind)})")
THE_SAME = re.compile(r"^reperformed\.(inFlight|notJudged)\.")


def section(heading: str) -> str:
    """What stands under a heading of the page."""
    (text,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def named_in(heading: str) -> list[str]:
    """What the first column of the section's tables names."""
    rows = re.findall(r"^\| (`.*?) \|", section(heading), re.MULTILINE)
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


def members(value: object, path: str = "") -> Iterator[str]:
    """The path of every member that is there, as the page writes it; of objects and lists, too."""
    if isinstance(value, dict) and path not in OPAQUE:
        for name, member in value.items():
            inner = f"{path}.{name}" if path else name
            inner = THE_SAME.sub("reperformed.disagreements.", ONE_OF_A_KIND.sub("timeToRemediate.KIND", inner))
            yield inner
            yield from members(member, inner)
    elif isinstance(value, list):
        for one in value:
            yield from members(one, path)


def without_keys() -> dict[str, Any]:
    """The figures of a day on which a credential report could not be read."""
    figures = DayFigures(PERIOD)
    figures.take_header(header(ACCOUNT, REGION, DAY, keys=None, keys_problem="denied"))
    document = kpi_document(PERIOD, Totals(), figures, ())
    figures.close()
    return document


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Every JSON object of an organization's third package, by the heading that documents it."""
    folder = tmp_path_factory.mktemp("packages")
    organization = Organization(folder, date(2026, 3, 1), instances=36)
    for number in range(3):
        organization.package(number)
    day, sealed = folder / "packages" / "2026-03-03", folder / "sealed"
    build(FolderStore(sealed), 2)
    second = sealed / f"{FIRST_DAY + timedelta(days=1)}"
    return {
        "`evaluations/<account>_<region>.jsonl.gz`": [
            json.loads(line)
            for part in day.glob("evaluations/*.jsonl.gz")
            for line in gzip.decompress(part.read_bytes()).splitlines()
        ],
        "`coverage.json`": [json.loads((day / "coverage.json").read_bytes())],
        "`kpis.json`": [json.loads((day / "kpis.json").read_bytes()), without_keys()],
        "`manifest.json`": [json.loads((second / "manifest.json").read_bytes())],
        "`episodes/<account>_<region>.jsonl.gz`": [
            json.loads(line)
            for part in day.glob("episodes/*.jsonl.gz")
            for line in gzip.decompress(part.read_bytes()).splitlines()
        ],
        "`manifest.sig`": [json.loads((second / "manifest.sig").read_bytes())],
    }


@pytest.mark.parametrize(
    "heading",
    [
        "`evaluations/<account>_<region>.jsonl.gz`",
        "`coverage.json`",
        "`kpis.json`",
        "`manifest.json`",
        "`manifest.sig`",
        "`episodes/<account>_<region>.jsonl.gz`",
    ],
)
def test_every_member_has_its_words(files: dict[str, list[Any]], heading: str) -> None:
    """An object may go unnamed where its members are named; nothing is named that no package has."""
    there = {path for document in files[heading] for path in members(document)}
    named = named_in(heading)
    objects = {path for path in there if any(other.startswith(f"{path}.") for other in there)}
    assert sorted(there - objects - set(named)) == []
    assert sorted(set(named) - there) == []
    for document in files[heading]:
        assert "schema" not in document or f"| `schema` | `{document['schema']}` |" in section(heading)


@pytest.mark.parametrize(
    ("heading", "pattern"),
    [
        ("`evaluations/<account>_<region>.csv.gz`", "evaluations/*.csv.gz"),
        ("`exemptions.csv`", "exemptions.csv"),
    ],
)
def test_every_column_has_its_words(tmp_path: Path, heading: str, pattern: str) -> None:
    """In the order of the header."""
    Organization(tmp_path, DAY).package(0)
    for part in (tmp_path / "packages" / f"{DAY}").glob(pattern):
        content = gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes()
        assert next(csv.reader(io.StringIO(content.decode(), newline=""))) == named_in(heading)


def test_every_file_has_its_section() -> None:
    """Those that are for people have none, nor has what NIST defines."""
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings == [
        "Verdicts",
        "Agreement",
        "`evaluations/<account>_<region>.jsonl.gz`",
        "`evaluations/<account>_<region>.csv.gz`",
        "`exemptions.csv`",
        "`coverage.json`",
        "`kpis.json`",
        "`manifest.json`",
        "`manifest.sig`",
        "`episodes/<account>_<region>.jsonl.gz`",
    ]


@pytest.mark.parametrize(
    ("heading", "values"),
    [("Verdicts", EvidenceVerdict), ("Agreement", Agreement)],
)
def test_every_value_has_its_words(heading: str, values: type[StrEnum]) -> None:
    """In the order of the code."""
    assert named_in(heading) == [value.value for value in values]


@pytest.mark.parametrize("values", [ExemptionState, InstanceState])
def test_every_state_is_named(values: type[StrEnum]) -> None:
    """Where the fields are that hold it."""
    text = section("`evaluations/<account>_<region>.jsonl.gz`")
    assert [value for value in values if f"`{value}`" not in text] == []
