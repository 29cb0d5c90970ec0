import gzip
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rolecall.cli import app
from rolecall.evidence.sealing import seal
from tests.evidence.chains import KEY
from tests.evidence.sample_days import Organization

DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed package of an organization's day."""
    organization = Organization(tmp_path_factory.mktemp("organization"), DAY)
    contents = organization.package(0)
    seal(organization.packages, DAY, contents.files, rule=contents.rule, previous=None, signer=KEY)
    return organization.folder / "packages"


def export(*arguments: object) -> Result:
    """The command."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evidence", "export", *map(str, arguments)])


def test_every_instance_with_a_verdict_has_a_finding(packages: Path, tmp_path: Path) -> None:
    """To a file and to standard output, of the newest package and of a named one; the others are counted."""
    output = tmp_path / "findings.jsonl"
    done = export(packages, "--format", "ocsf", "--output", output)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "58 findings; 2 instances without a recorded verdict have none" in done.stderr
    findings = [json.loads(line) for line in output.read_text().splitlines()]
    assert len({one["finding_info"]["uid"] for one in findings}) == len(findings) == 58
    assert Counter(one["compliance"]["status"] for one in findings) == {
        "Pass": 43, "Warning": 5, "Fail": 5, "Unknown": 5,
    }  # fmt: skip
    assert export(packages / str(DAY), "--format", "ocsf").stdout == output.read_text()


def test_what_is_no_package_is_said(packages: Path, tmp_path: Path) -> None:
    """An empty folder, a damaged part, no format."""
    (tmp_path / "empty").mkdir()
    empty = export(tmp_path / "empty", "--format", "ocsf")
    assert empty.exit_code == 2
    assert f"{tmp_path / 'empty'}: there is no package in it" in empty.stderr.replace("\n", "")
    assert export(packages).exit_code == 2
    assert export(packages, "--format", "csv").exit_code == 2
    part = packages / str(DAY) / "evaluations" / "111122223333_eu-west-1.jsonl.gz"
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])
    output = tmp_path / "half.jsonl"
    done = export(packages, "--format", "ocsf", "--output", output)
    part.write_bytes(whole)
    assert done.exit_code == 2
    assert "111122223333_eu-west-1.jsonl.gz" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"junk", "is cut off, or damaged; rolecall evidence verify tells whether it is what was sealed"),
        (gzip.compress(b"[\n")[:5], "is cut off, or damaged; "),
        (gzip.compress(b"[\n"), "line 1 is no JSON; rolecall evidence verify tells"),
        (gzip.compress(b"{}\n"), "line 1 is no evaluation: its rule must be a JSON object; rolecall evidence verify"),
    ],
    ids=["no gzip", "cut off", "no JSON", "another object"],
)
def test_what_is_no_evaluation_is_said_in_plain_words(packages: Path, content: bytes, says: str) -> None:
    """Where it is, and what to do; not what a parser says."""
    part = packages / str(DAY) / "evaluations" / "111122223333_eu-west-1.jsonl.gz"
    whole = part.read_bytes()
    part.write_bytes(content)
    done = export(packages, "--format", "ocsf")
    part.write_bytes(whole)
    assert done.exit_code == 2
    assert f"{DAY}/evaluations/{part.name}: {says}" in done.stderr.replace("\n", "")
