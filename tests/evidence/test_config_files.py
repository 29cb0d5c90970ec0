from datetime import date

import pytest

from rolecall.evidence.config_files import ConfigFile, FileKind, PlaceCoverage, config_file, coverage, needed_files

ONE, TWO = "111122223333", "444455556666"
HOME = "eu-west-1"
ROOT = f"AWSLogs/{ONE}/Config/{HOME}"
HISTORY = f"{ONE}_Config_{HOME}_ConfigHistory_AWS::EC2::Instance_20260331T010203Z_20260331T030405Z_1.json.gz"
SNAPSHOT = f"{ONE}_Config_{HOME}_ConfigSnapshot_20260331T120000Z_5c1d0f3e-0000-0000-0000-000000000000.json.gz"


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (
            f"{ROOT}/2026/3/31/ConfigHistory/{HISTORY}",
            ConfigFile("", ONE, HOME, date(2026, 3, 31), FileKind.HISTORY, "AWS::EC2::Instance"),
        ),
        (
            f"/home/x/{ROOT}/2026/3/1/ConfigSnapshot/{SNAPSHOT}",
            ConfigFile("", ONE, HOME, date(2026, 3, 1), FileKind.SNAPSHOT),
        ),
        (
            f"prefix/AWSLogs/o-a1b2c3d4e5/{ONE}/Config/{HOME}/2026/03/01/ConfigSnapshot/{SNAPSHOT}",
            ConfigFile("", ONE, HOME, date(2026, 3, 1), FileKind.SNAPSHOT),
        ),
        (
            f"{ROOT}/2026/3/31/ConfigHistory/{HISTORY.replace('::', '%3A%3A')}",
            ConfigFile("", ONE, HOME, date(2026, 3, 31), FileKind.HISTORY, "AWS::EC2::Instance"),
        ),
        (f"{ROOT}/2026/2/30/ConfigHistory/{HISTORY}", None),
        (f"{ROOT}/2026/3/31/OversizedChangeNotification/AWS::EC2::Instance/i-1/x.json.gz", None),
        (f"AWSLogs/{ONE}/Config/ConfigWritabilityCheckFile", None),
        (f"AWSLogs/{ONE}/CloudTrail/{HOME}/2026/3/31/x.json.gz", None),
        ("snapshot.json", None),
    ],
)
def test_a_key_says_what_the_file_is(path: str, file: ConfigFile | None) -> None:
    """Whatever comes before AWSLogs; days with and without leading zeros; anything else is no such file."""
    found = config_file(path)
    assert found == (file and ConfigFile(path, *(getattr(file, name) for name in ConfigFile.__slots__[1:])))


def snapshot(day: int, account: str = ONE) -> ConfigFile:
    """A snapshot of that day in March."""
    return ConfigFile(f"s{account}{day}", account, HOME, date(2026, 3, day), FileKind.SNAPSHOT)


def history(day: int, resource_type: str = "AWS::EC2::Instance", account: str = ONE) -> ConfigFile:
    """A history file of that day in March."""
    return ConfigFile(f"h{account}{day}", account, HOME, date(2026, 3, day), FileKind.HISTORY, resource_type)


def test_a_range_needs_what_lies_between_its_snapshot_and_the_day_after() -> None:
    """In each account and region for itself; without a snapshot from before, everything up to there."""
    mine = [snapshot(1), history(2), snapshot(5), history(5), history(6), snapshot(8), history(9), history(10)]
    theirs = [history(1, account=TWO), snapshot(9, TWO), history(20, account=TWO)]
    others = [history(6, "AWS::EC2::Volume"), history(7, "")]
    assert needed_files([*mine, *theirs, *others], date(2026, 3, 6), date(2026, 3, 8)) == [
        *mine[2:7],
        others[1],
        *theirs[:2],
    ]


def test_coverage_says_what_cannot_be_known() -> None:
    """Without a snapshot, what did not change is unknown; without any file, everything is."""
    found = coverage(
        [snapshot(1), history(3), snapshot(5), history(3, account=TWO)], [("999999999999", HOME)], date(2026, 3, 3)
    )
    assert found == [
        PlaceCoverage(ONE, HOME, date(2026, 3, 1), 2),
        PlaceCoverage(TWO, HOME, None, 1),
        PlaceCoverage("999999999999", HOME, None, 0),
    ]
    assert [one.missing for one in found] == [
        "",
        "no snapshot from before the end of the day: instances that have not changed since may be missing",
        "no file covers it",
    ]


@pytest.mark.parametrize(
    ("unreadable", "found"),
    [
        ((), (date(2026, 3, 5), 5, 0)),
        ([history(2)], (date(2026, 3, 5), 4, 0)),
        ([history(6)], (date(2026, 3, 5), 4, 1)),
        ([snapshot(5)], (date(2026, 3, 1), 4, 1)),
        ([snapshot(1), snapshot(5)], (None, 3, 2)),
        ([history(20)], (date(2026, 3, 5), 5, 0)),
    ],
    ids=["none", "before the snapshot", "since", "the snapshot", "all snapshots", "after the day"],
)
def test_what_could_not_be_read_covers_nothing(
    unreadable: list[ConfigFile], found: tuple[date | None, int, int]
) -> None:
    """Nor is it missed where a later snapshot holds all."""
    files = [snapshot(1), history(2), snapshot(5), history(6), history(7), history(20)]
    [covered] = coverage(files, [], date(2026, 3, 6), [one.path for one in unreadable])
    assert covered == PlaceCoverage(ONE, HOME, *found)
    assert covered.missing.startswith(f"{found[2]} file") == bool(found[2])
