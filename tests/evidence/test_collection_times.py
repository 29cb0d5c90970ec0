import pytest

from rolecall.evidence.collection_times import CollectionTimes
from tests.evidence.made import PERIOD, at


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (CollectionTimes(at(3, 2), at(3, 2)), "2026-03-03 02:00 (UTC)"),
        (CollectionTimes(at(3, 2), at(3, 2, 14)), "2026-03-03 02:00 to 02:14 (UTC)"),
        (CollectionTimes(at(3, 2), at(7, 9, 30)), "2026-03-03 02:00 to 2026-03-07 09:30 (UTC)"),
    ],
)
def test_times_are_told_to_the_minute(times: CollectionTimes, words: str) -> None:
    """And no day twice."""
    assert times.in_words() == words


def test_the_latest_decides_whether_it_is_late() -> None:
    """More than a day after the period, whatever was collected in time; of nothing, nothing can be late."""
    assert CollectionTimes.of([]) is None
    assert CollectionTimes.of([at(7), at(3), at(5)]) == CollectionTimes(at(3), at(7))
    assert [CollectionTimes(at(3), last).is_late(PERIOD) for last in (at(3, 1), at(4), at(4, 0, 1))] == [
        False,
        False,
        True,
    ]
    assert [CollectionTimes(at(3), last).days_late(PERIOD) for last in (at(4, 23), at(7, 1))] == [1, 4]
