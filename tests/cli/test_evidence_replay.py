import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rolecall.cli import app
from tests.builders import ACCOUNT, REGION, deleted_item, exemption_tags, iso, notification_item
from tests.evidence.delivered_files import history, snapshot

OTHER = "444455556666"
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """What an account and another one got delivered in March."""

    def item(resource_id: str, hours: int, account: str = ACCOUNT, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of an item
        moment = iso(NOON + timedelta(hours=hours))
        return notification_item(
            resourceId=resource_id, awsAccountId=account, configurationItemCaptureTime=moment, **changes
        )

    volume = notification_item(resourceType="AWS::EC2::Volume", configuration={})
    old = [item("i-web", -900), item("i-bare", -900, profile=None), item("i-gone", -900), volume]
    snapshot(tmp_path, NOON - timedelta(days=2), old)
    history(tmp_path, NOON - timedelta(days=1), [volume], resource_type="AWS::EC2::Volume")
    gone = deleted_item(resourceId="i-gone", configurationItemCaptureTime=iso(NOON))
    history(tmp_path, NOON + timedelta(hours=1), [item("i-late", 0, profile=None, tags=exemption_tags("=1+1")), gone])
    # What happens late on a day is delivered on the next.
    history(tmp_path, NOON + timedelta(hours=14), [item("i-bare", 11), item("i-next", 13)])
    history(tmp_path, NOON, [item("i-other", -1, OTHER, profile=None)], OTHER)
    return tmp_path


def replay(*arguments: object) -> Result:
    """The command."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evidence", "replay", *map(str, arguments)])


def rows(done: Result) -> list[dict[str, str]]:
    """What CSV says."""
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_a_day_is_rebuilt_from_snapshot_and_history(bucket: Path) -> None:
    """Every instance as it was at the end of that day, and each marked as re-performed."""
    done = replay("--snapshots", bucket, "--on", "2026-03-31", "--format", "csv")
    found = [(one["basis"], one["day"], one["account"], one["resource_id"], one["reason"]) for one in rows(done)]
    assert found == [
        ("re-performed", "2026-03-31", ACCOUNT, "i-bare", "PROFILE_ATTACHED"),
        ("re-performed", "2026-03-31", ACCOUNT, "i-late", "EXEMPT"),
        ("re-performed", "2026-03-31", ACCOUNT, "i-web", "PROFILE_ATTACHED"),
        ("re-performed", "2026-03-31", OTHER, "i-other", "NO_PROFILE"),
    ]
    assert rows(done)[1]["exemption_reason"] == "'=1+1"
    assert done.exit_code == 4
    assert f"2026-03-31: {OTHER} in {REGION}: no snapshot from before" in done.stderr


def test_a_range_has_each_of_its_days(bucket: Path) -> None:
    """In JSON, with the coverage and the counts of each."""
    done = replay("--snapshots", bucket, "--from", "2026-03-30", "--to", "2026-03-31", "-f", "json")
    document = json.loads(done.stdout)
    assert document["basis"] == "re-performed"
    assert document["parameters"]["exemptionTagKey"] == "intentional-no-role"
    assert [(day["day"], day["counts"], day["notJudged"]) for day in document["days"]] == [
        ("2026-03-30", {"NO_PROFILE": 1, "PROFILE_ATTACHED": 2}, 0),
        ("2026-03-31", {"PROFILE_ATTACHED": 2, "EXEMPT": 1, "NO_PROFILE": 1}, 0),
    ]
    assert document["days"][1]["coverage"] == [
        {"account": ACCOUNT, "region": REGION, "snapshot": "2026-03-29", "files": 3 + 1, "missing": None},
        {
            "account": OTHER,
            "region": REGION,
            "snapshot": None,
            "files": 1,
            "missing": "no snapshot from before the end of the day: instances that have not changed since may be "
            "missing",
        },
    ]


def test_the_table_shows_what_needs_a_look(bucket: Path) -> None:
    """And counts the rest; rule parameters decide as they do everywhere."""
    own = bucket / "AWSLogs" / ACCOUNT
    done = replay("--snapshots", own, "--on", "2026-03-31", "--exemption-expiry-required", "true")
    assert done.exit_code == 0, done.output
    assert "2026-03-31, re-performed: 1 of 1 accounts and regions are covered" in done.stdout
    assert "NON_COMPLIANT   1  EXEMPTION_INVALID 1" in done.stdout
    assert "i-late" in done.stdout
    assert "i-web" not in done.stdout


def test_what_is_expected_and_not_there_is_named(bucket: Path) -> None:
    """No file covers it: it is no empty account."""
    own = bucket / "AWSLogs" / ACCOUNT
    done = replay("--snapshots", own, "--on", "2026-03-31", "--expect", "999999999999/us-east-1")
    assert done.exit_code == 4
    assert "2026-03-31: 999999999999 in us-east-1: no file covers it" in done.stderr


def test_a_damaged_file_is_named(bucket: Path) -> None:
    """The rest is read all the same."""
    [path] = bucket.rglob("*ConfigSnapshot_*")
    path.write_bytes(path.read_bytes()[:-30])
    done = replay("--snapshots", bucket, "--on", "2026-03-31", "-f", "csv")
    assert done.exit_code == 2
    assert "ConfigSnapshot" in done.stderr
    assert "i-other" in done.stdout


def test_a_place_whose_only_file_cannot_be_read_is_not_covered(bucket: Path) -> None:
    """Whatever its name promises."""
    [path] = bucket.rglob(f"{OTHER}_Config_*")
    path.write_bytes(b"no json")
    done = replay("--snapshots", bucket, "--on", "2026-03-31")
    assert done.exit_code == 2
    assert f"2026-03-31: {OTHER} in {REGION}: 1 file could not be read: what only it holds is missing" in done.stderr
    assert "1 of 2 accounts and regions are covered" in done.stdout


def test_an_empty_folder_covers_nothing(tmp_path: Path) -> None:
    """It is said, and the result is not that all is well."""
    done = replay("--snapshots", tmp_path, "--on", "2026-03-31")
    assert done.exit_code == 2
    assert "no file in this folder" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a day, or --from and --to"),
        (["--on", "2026-03-31", "--from", "2026-03-01"], "give a day, or --from and --to"),
        (["--from", "2026-03-01"], "name the last day with --to; for 2026-03-01 alone use --on"),
        (["--to", "2026-03-01"], "name the first day with --from, too"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "is later than"),
        (["--on", "2999-01-01"], "is not over"),
        (["--on", "31.3.2026"], "is no day"),
        (["--on", "2026-03-31", "--expect", "eu-west-1"], "is no place"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """With one clear error."""
    done = replay("--snapshots", tmp_path, *arguments)
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")
