"""Several calls at the same time: a bucket takes as long for the smallest file as for a large one, but gives many."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def side_by_side(
    act: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    at_once: int,
    discard: Callable[[ResultT], None] = lambda _: None,
) -> Generator[ResultT]:
    """What `act` makes of each item, in their order; `at_once` of them are under way while one is looked at.

    1: one after the other, in this thread. Raises what `act` raises, when its turn comes; what was made of later items
    is then given to `discard`.
    """
    if at_once == 1:
        yield from map(act, items)
        return
    under_way: deque[Future[ResultT]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                if len(under_way) == at_once:
                    yield under_way.popleft().result()
                under_way.append(pool.submit(act, item))
            while under_way:
                yield under_way.popleft().result()
        finally:
            for one in under_way:
                # An error that comes after the first is none that anybody waits for.
                if not one.cancel() and one.exception() is None:
                    discard(one.result())
