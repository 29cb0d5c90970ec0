import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidManifest
from rolecall.evidence import received_coverage
from rolecall.evidence.collection_times import CollectionTimes
from rolecall.evidence.received_coverage import Coverage, CoverageReader
from tests.evidence.chains import A_DAY, EMPTY_DAY, totals

LONG = [f"disagreement {number}" for number in range(20_000)]
"""Much longer than what is looked at first."""


def read(content: bytes, size: int = 30_000) -> Coverage:
    """What is said of the population, given in blocks of a size."""
    reader = CoverageReader()
    for start in range(0, len(content), size):
        reader.take(content[start : start + size])
    return reader.coverage()


def encoded(document: dict[str, Any], *, compact: bool = True) -> bytes:
    """As a file."""
    return json.dumps(document, separators=(",", ":") if compact else None, indent=None if compact else 2).encode()


IN_THE_NIGHT = datetime(2026, 11, 21, 2, tzinfo=UTC)

EXPECTED = Coverage(
    "2026-11-20",
    totals([row for rows in A_DAY.parts.values() for row in rows]),
    {home: totals(rows) for home, rows in A_DAY.parts.items()},
    CollectionTimes(IN_THE_NIGHT, IN_THE_NIGHT),
)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("size", [1_000, 30_000, 10_000_000])
@pytest.mark.parametrize("before", [{}, {"é": 'a "text" }'}, {"long": LONG}, {"long": {"total": LONG}}])
@pytest.mark.parametrize("after", [{}, {"long": LONG}])
def test_the_sums_are_read_wherever_they_are(
    before: dict[str, Any], after: dict[str, Any], size: int, *, compact: bool
) -> None:
    """Before and after lists of any length."""
    assert read(encoded(before | A_DAY.coverage() | after, compact=compact), size) == EXPECTED


def test_no_more_is_kept_than_the_sums_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after them may be of any length; what comes before them may not."""
    monkeypatch.setattr(received_coverage, "MAX_HEAD_BYTES", 100_000)
    assert read(encoded(A_DAY.coverage() | {"long": LONG})) == EXPECTED
    with pytest.raises(InvalidManifest, match="day, total, accountRegions among its first 100,000 bytes"):
        read(encoded({"long": LONG} | A_DAY.coverage()))


def test_it_is_known_when_the_first_and_the_last_were_collected() -> None:
    """In whatever order they stand; of nothing, nothing is known."""
    document = A_DAY.coverage()
    for entry, moment in zip(document["accountRegions"], ("21T03:00", "25T10:30", "21T01:00"), strict=True):
        entry["collectedAt"] = f"2026-11-{moment}:00.000Z"
    first, last = datetime(2026, 11, 21, 1, tzinfo=UTC), datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
    assert read(encoded(document)).collected == CollectionTimes(first, last)
    assert read(encoded(EMPTY_DAY.coverage())).collected is None


def test_what_does_not_add_up_is_said() -> None:
    """Of each account and region, in total, and between the two."""
    document = A_DAY.coverage()
    document["total"]["population"] = 9
    document["accountRegions"][0]["compliant"] = 7
    assert read(encoded(document)).problems() == [
        "it accounts for 12 of 6 instances of 111122223333 in eu-west-1",
        "it accounts for 8 of 9 instances in total",
        (
            "its accounts and regions come to {'population': 8, 'compliant': 9, 'exempt': 2, 'nonCompliant': 1, "
            "'notApplicable': 1, 'unevaluated': 1}, its total is {'population': 9, 'compliant': 3, 'exempt': 2, "
            "'nonCompliant': 1, 'notApplicable': 1, 'unevaluated': 1}"
        ),
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total": None}, "coverage.json: total"),
        ({"total": {}}, "coverage.json: total.population"),
        ({"accountRegions": {}}, "coverage.json: accountRegions"),
        ({"accountRegions": [7]}, "coverage.json: accountRegions[0]"),
        ({"accountRegions": [{}]}, "coverage.json: accountRegions[0].covered"),
        ({"accountRegions": [{"covered": True}]}, "coverage.json: accountRegions[0].account"),
        (
            {"accountRegions": [{"covered": True, "account": "1", "region": ""}]},
            "coverage.json: accountRegions[0].region",
        ),
        (
            {"accountRegions": [A_DAY.coverage()["accountRegions"][0] | {"collectedAt": "then"}]},
            "coverage.json: accountRegions[0].collectedAt",
        ),
        ({"accountRegions": A_DAY.coverage()["accountRegions"] * 2}, "coverage.json: accountRegions[3]"),
    ],
)
def test_what_cannot_be_read_is_named(change: dict[str, Any], field: str) -> None:
    """By its field."""
    with pytest.raises(InvalidManifest) as raised:
        read(encoded(A_DAY.coverage() | change))
    assert raised.value.field == field


@given(st.binary(max_size=200), st.integers(1, 3))
def test_no_bytes_crash_it(content: bytes, times: int) -> None:
    """Short or long."""
    try:
        read(content * times * (400 if times > 1 else 1))
    except InvalidManifest as error:
        assert error.field.startswith("coverage.json")  # noqa: PT017 - whether it raises is not the question
