"""Cold starts and warm events of the function, beside the floor and beside rdklib.

The candidates take turns, and the first of each round is another one every time: what disturbs the machine disturbs
all of them alike.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from bench import population
from bench.candidates import ROLECALL, Candidate, Candidates
from bench.clocked import Clocked, Cost
from bench.endpoint import Endpoint, Received, WrongAnswer
from bench.figures import Measure, Part, Target, p99
from bench.progress import Progress

WARMING_UP = 20
"""Events that each environment answers before its warm ones are measured."""

COLD_TARGET = Target("≤ 0.9 of the floor", 0.9)
WARM_TARGET = Target("≤ 1.3 of the floor", 1.3)
PACKAGE_TARGET = Target("≤ 5 MB", 5.0)
CALLS_TARGET = Target("exactly 1", 1.0)

_MEGABYTE = 1_000_000

Costs = dict[str, list[Cost]]


def measure_function(
    candidates: Candidates, endpoint: Endpoint, progress: Progress, *, rounds: int, events: int
) -> Part:
    """`rounds` cold starts and `events` warm events of each candidate. Raises FunctionFailed, WrongAnswer."""
    cold = _cold(candidates, endpoint, progress, rounds)
    warm, calls = _warm(candidates, endpoint, progress, events)
    sizes = {candidate.name: [candidate.zipped_bytes / _MEGABYTE] for candidate in candidates}
    return Part(
        "function",
        f"Function: {rounds} cold starts and {events} warm events each, taking turns; TLS on loopback",
        [
            _milliseconds("cold start, CPU", cold, "cpu", COLD_TARGET),
            _milliseconds("cold start, wall", cold, "wall"),
            _milliseconds("  until it asks for its first event", cold, "init"),
            Measure(
                "  first event",
                "ms",
                {name: [(one.wall - one.init) * 1000 for one in costs] for name, costs in cold.items()},
            ),
            _milliseconds("warm event, CPU", warm, "cpu", WARM_TARGET),
            _milliseconds("warm event, wall", warm, "wall"),
            Measure(
                "  99th percentile",
                "ms",
                {name: [p99([one.wall for one in costs]) * 1000] for name, costs in warm.items()},
            ),
            Measure("peak memory", "MiB", {name: [costs[-1].peak_memory_mib] for name, costs in warm.items()}),
            Measure("API calls for one event", "", calls, CALLS_TARGET, ROLECALL, as_ratio=False),
            Measure("package, zipped", "MB", sizes, PACKAGE_TARGET, ROLECALL, as_ratio=False),
        ],
        [
            "Each cell: median, ratio of medians to the floor (and the quartiles of the ratios of single rounds).",
            "The packages of floor and rdklib are shown with the whole SDK, which Lambda's runtime would bring.",
        ],
    )


def in_turn(candidates: Sequence[Candidate], rounds: int) -> Iterator[Candidate]:
    """Each candidate once in each round, another one first every time."""
    for first in range(rounds):
        start = first % len(candidates)
        yield from [*candidates[start:], *candidates[:start]]


def _cold(candidates: Candidates, endpoint: Endpoint, progress: Progress, rounds: int) -> Costs:
    costs: Costs = defaultdict(list, {candidate.name: [] for candidate in candidates})
    for candidate in progress.track("cold starts", list(in_turn(list(candidates), rounds))):
        number = len(costs[candidate.name])
        with Clocked(candidate, candidates.interpreter, endpoint) as environment:
            costs[candidate.name].append(environment.invoke(population.change_event(number)))
        _check(candidate, endpoint.received(), [number])
    return costs


def _warm(
    candidates: Candidates, endpoint: Endpoint, progress: Progress, events: int
) -> tuple[Costs, dict[str, list[float]]]:
    costs: Costs = {candidate.name: [] for candidate in candidates}
    calls: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    with ExitStack() as stack:
        environments = {
            candidate.name: stack.enter_context(Clocked(candidate, candidates.interpreter, endpoint))
            for candidate in candidates
        }
        for number in range(WARMING_UP):
            for environment in environments.values():
                environment.invoke(population.change_event(number))
        endpoint.received()
        numbers = itertools.count()
        for candidate in progress.track("warm events", list(in_turn(list(candidates), events))):
            number = next(numbers)
            costs[candidate.name].append(environments[candidate.name].invoke(population.change_event(number)))
            received = endpoint.received()
            _check(candidate, received, [number])
            calls[candidate.name].append(received.calls.total())
    return costs, calls


def _check(candidate: Candidate, received: Received, numbers: Sequence[int]) -> None:
    try:
        received.check({population.instance_id(number): population.verdict(number) for number in numbers})
    except WrongAnswer as wrong:
        raise WrongAnswer(f"{candidate.name}: {wrong}") from None


def _milliseconds(name: str, costs: Costs, attribute: str, target: Target | None = None) -> Measure:
    series = {candidate: [getattr(cost, attribute) * 1000 for cost in of] for candidate, of in costs.items()}
    return Measure(name, "ms", series, target, ROLECALL)
