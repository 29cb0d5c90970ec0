import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.evidence.side_by_side import side_by_side


@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
def test_results_come_in_the_order_of_their_items(items: list[int], at_once: int) -> None:
    """However many are under way."""
    assert list(side_by_side(lambda item: item * 2, items, at_once)) == [item * 2 for item in items]


def test_as_many_are_under_way_as_are_allowed() -> None:
    """Three wait for one another: each ends only once all have begun."""
    together = threading.Barrier(3, timeout=30)
    assert sorted(side_by_side(lambda _: together.wait(), range(3), 3)) == [0, 1, 2]


def test_nothing_is_begun_that_nobody_has_room_for() -> None:
    """Two at once: while the first result is looked at, the second item is under way, and no third one is taken."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = side_by_side(str, items(), 2)
    assert next(results) == "0"
    assert taken == [0, 1, 2]


def test_one_at_a_time_stays_in_this_thread() -> None:
    """A disk gains nothing, and what dies there dies here."""
    (thread,) = side_by_side(lambda _: threading.current_thread(), [1], 1)
    assert thread is threading.current_thread()


@pytest.mark.parametrize("at_once", [1, 4])
def test_an_error_is_raised_when_its_turn_comes(at_once: int) -> None:
    """What came before it is given, what comes after it is discarded; some of that may have failed, too."""
    made: list[int] = []
    discarded: list[int] = []

    def act(item: int) -> int:
        if item in (2, 4):
            raise ValueError("the third one" if item == 2 else "another one")
        made.append(item)
        return item

    results = side_by_side(act, range(100), at_once, discarded.append)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="the third one"):
        next(results)
    assert sorted([0, 1, *discarded]) == sorted(made)
