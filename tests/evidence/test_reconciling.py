"""What was sealed as it is may still contradict itself: verifying says so, and does not call it tampering."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import counted
from rolecall.evidence.exemption_rows import ExemptionRows
from rolecall.evidence.exemption_sums import ExemptionSums
from rolecall.evidence.findings import Outcome, Report
from rolecall.evidence.stores import FolderStore
from rolecall.evidence.verifying import verify
from tests.evidence.chains import A_DAY, FIRST_DAY, KEY, Row, add, exempt, gzipped, row_object

HOME = ("111122223333", "eu-west-1")
PART = "evaluations/111122223333_eu-west-1"

Files = dict[str, bytes]


def sealed_with(folder: Path, change: Callable[[Files], object]) -> Report:
    """A package whose files were changed before it was sealed."""
    files = A_DAY.files()
    change(files)
    store = FolderStore(folder)
    add(store, A_DAY, files=files)
    return verify(store, [KEY.public], until=FIRST_DAY)


def swap(path: str, old: bytes, new: bytes) -> Callable[[Files], object]:
    """Replace bytes of a file."""

    def change(files: Files) -> None:
        assert old in files[path]
        files[path] = files[path].replace(old, new)

    return change


def rows(*changed: Row) -> Callable[[Files], object]:
    """Other rows of one account and region, with as many in the CSV."""

    def change(files: Files) -> None:
        content = b"".join(
            json.dumps(row_object(*HOME, row), separators=(",", ":")).encode() + b"\n" for row in changed
        )
        files[f"{PART}.jsonl.gz"] = gzipped(content)
        files[f"{PART}.csv.gz"] = gzipped(b"a\r\n" + b"1\r\n" * len(changed))

    return change


def coverage(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], object]:
    """Something else in coverage.json."""

    def changed(files: Files) -> None:
        document = json.loads(files["coverage.json"])
        change(document)
        files["coverage.json"] = json.dumps(document).encode()

    return changed


def counts(*numbers: int) -> str:
    """The verdicts in words."""
    names = ("population", "compliant", "exempt", "nonCompliant", "notApplicable", "unevaluated")
    return f"({', '.join(f'{name} {number}' for name, number in zip(names, numbers, strict=True))})"


def other_counts(*numbers: int) -> str:
    """The rows are not those that coverage.json counts."""
    return f"has {counts(*numbers)}; coverage.json says {counts(6, 1, 2, 1, 1, 1)}"


def other_exemptions(listed: int) -> str:
    """The exemptions of the rows, which are two, are not those of the file."""
    return (
        f"of 111122223333 in eu-west-1 it lists {counted(listed, 'exemption')} in use, {PART}.jsonl.gz has 2: "
        "they are not the same instances, or not the same days"
    )


OF_HOME = list(A_DAY.parts[HOME])


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        (
            rows(*OF_HOME[:-2], OF_HOME[-1]),
            f"{PART}.jsonl.gz",
            other_counts(5, 1, 2, 1, 1, 0),
        ),
        (
            rows(replace(OF_HOME[0], verdict="NON_COMPLIANT"), *OF_HOME[1:]),
            f"{PART}.jsonl.gz",
            other_counts(6, 0, 2, 2, 1, 1),
        ),
        (rows(*reversed(OF_HOME)), f"{PART}.jsonl.gz", "its rows are not sorted by resource id, each once"),
        (
            rows(OF_HOME[0], exempt("i-02", expires="2026-11-19"), *OF_HOME[2:]),
            f"{PART}.jsonl.gz",
            "'i-02' is exempt, and its exemption expired on '2026-11-19'",
        ),
        (
            rows(OF_HOME[0], exempt("i-02", expires="2027-12-31"), *OF_HOME[2:]),
            "exemptions.csv",
            other_exemptions(2),
        ),
        (
            lambda files: files.pop(f"{PART}.csv.gz"),
            f"{PART}.jsonl.gz",
            "is not there both as .jsonl.gz and as .csv.gz",
        ),
        (
            lambda files: files.update({f"{PART}.csv.gz": gzipped(b"a\r\n")}),
            f"{PART}.csv.gz",
            f"has 0 rows; {PART}.jsonl.gz has 6",
        ),
        (
            lambda files: files.update({"evaluations/notes.txt": b""}),
            "evaluations/notes.txt",
            "is not there both as .jsonl.gz and as .csv.gz",
        ),
        (
            lambda files: files.update(
                {"evaluations/1_x.jsonl.gz": gzipped(b""), "evaluations/1_x.csv.gz": gzipped(b"a\n")}
            ),
            "evaluations/1_x.jsonl.gz",
            "has rows of an account and region that coverage.json does not name",
        ),
        (coverage(lambda given: given.update(day="2026-11-21")), "coverage.json", "is of 2026-11-21"),
        (
            swap("exemptions.csv", b"i-06", b"i-07"),
            "exemptions.csv",
            other_exemptions(2),
        ),
        (
            swap("exemptions.csv", b"EXEMPT", b"COMPLIANT"),
            "exemptions.csv",
            other_exemptions(0),
        ),
        (swap("exemptions.csv", b",granted,", b",given,"), "exemptions.csv", "its header has no granted"),
        (swap("exemptions.csv", b",age,", b",ticket,"), "exemptions.csv", "its header names a column twice"),
        (
            lambda files: files.update({"exemptions.csv": files["exemptions.csv"] + b"1,2\r\n"}),
            "exemptions.csv",
            "a row has 2 cells, its header 13",
        ),
        (
            lambda files: files.update({"exemptions.csv": files["exemptions.csv"] + b"\xff\r\n"}),
            "exemptions.csv",
            "is no CSV in UTF-8: ",
        ),
        (
            lambda files: files.pop("exemptions.csv"),
            "exemptions.csv",
            "is not in the package, so nothing can be reconciled",
        ),
    ],
)
def test_a_contradiction_is_incomplete_and_says_what_and_where(
    tmp_path: Path, change: Callable[[Files], object], path: str, says: str
) -> None:
    """It was sealed so: no one changed it, but it does not account for every instance."""
    report = sealed_with(tmp_path, change)
    first = next(report.all_findings())
    assert report.outcome is Outcome.INCOMPLETE
    assert (first.day, first.path) == (FIRST_DAY, path)
    assert first.says.startswith(says)


@pytest.mark.parametrize(
    ("late", "says"),
    [
        ([], []),
        (
            [2],
            [
                (
                    "1 package was collected more than a day late, with what there was then, not on the day itself: "
                    "2026-11-22 on 2026-12-24"
                )
            ],
        ),
        (
            range(7),
            [
                (
                    "7 packages were collected more than a day late, with what there was then, not on the day itself: "
                    "2026-11-20 on 2026-12-24, 2026-11-21 on 2026-12-24, 2026-11-22 on 2026-12-24, "
                    "2026-11-23 on 2026-12-24, 2026-11-24 on 2026-12-24, …"
                )
            ],
        ),
    ],
)
def test_what_was_collected_late_is_a_note(tmp_path: Path, late: Sequence[int], says: list[str]) -> None:
    """It is as it was sealed, and shows another time than its day."""
    store, then = FolderStore(tmp_path), date(2026, 12, 24)
    for number in range(7):
        content = replace(A_DAY, day=FIRST_DAY + timedelta(days=number), collected=then if number in late else None)
        add(store, content)
    report = verify(store, [KEY.public], until=FIRST_DAY + timedelta(days=6))
    assert (report.outcome, [note for note in report.notes if "late" in note]) == (Outcome.OK, says)


def test_doubted_exemptions_are_a_note(tmp_path: Path) -> None:
    """The rule, performed again, does not agree: coverage.json names such rows, and verifying their number."""
    changed = rows(OF_HOME[0], Row("i-02", "EXEMPT", None, "IN_FLIGHT"), *OF_HOME[2:])

    def change(files: Files) -> None:
        changed(files)
        kept = [line for line in files["exemptions.csv"].split(b"\r\n") if b"i-02" not in line or b"4444" in line]
        files["exemptions.csv"] = b"\r\n".join(kept)

    report = sealed_with(tmp_path, change)
    assert report.outcome is Outcome.OK
    assert report.notes[1].startswith("1 row is exempt by what AWS Config recorded, and the rule does not agree")


FACTS = st.tuples(
    st.sampled_from(["1", "2"]), st.sampled_from(["x", "y"]), st.sampled_from("abc"), st.none() | st.just("2026-01-01")
)


def summed(facts: list[tuple[str, str, str, str | None]]) -> ExemptionSums:
    """The sums of exemptions."""
    sums = ExemptionSums()
    for account, region, resource_id, expires in facts:
        sums.of(account, region).add(resource_id, None, expires)
    return sums


@given(st.lists(FACTS, max_size=8), st.lists(FACTS, max_size=8))
def test_two_lists_have_the_same_sums_only_if_they_hold_the_same(
    one: list[tuple[str, str, str, str | None]], other: list[tuple[str, str, str, str | None]]
) -> None:
    """In any order, each as often."""
    differing = {
        (account, region)
        for account in "12"
        for region in "xy"
        if sorted(map(str, (fact for fact in one if fact[:2] == (account, region))))
        != sorted(map(str, (fact for fact in other if fact[:2] == (account, region))))
    }
    assert set(summed(one).differences(summed(other))) == differing


@given(st.integers(1, 300))
def test_exemptions_are_read_wherever_blocks_end(size: int) -> None:
    """Quotes, doubled quotes and line breaks in a cell belong to it."""
    content = A_DAY.files()["exemptions.csv"]
    assert b'""old""\n=1+1' in content
    found = ExemptionRows()
    for start in range(0, len(content), size):
        found.take(content[start : start + size])
    assert found.problem is None
    assert found.sums.by_home.keys() == {HOME}
    assert found.sums.of(*HOME).count == 2


@given(st.binary(max_size=300) | st.text('a,"\r\n', max_size=300).map(str.encode), st.integers(1, 40))
def test_no_bytes_crash_the_reader_of_exemptions(content: bytes, size: int) -> None:
    """They are a problem in words, or nothing."""
    found = ExemptionRows()
    for start in range(0, len(content), size):
        found.take(content[start : start + size])
    assert found.problem is None or found.problem
