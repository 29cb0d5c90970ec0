"""A scheduled run over many instances, beside rdklib's periodic pattern.

rolecall lists Config's recorded results and the recorded instances, confirms what differs by its newest item, and puts
only that. rdklib's rule describes instances, as its examples do, and puts every verdict; the library lists the recorded
results, too, to find those whose resource is gone. The endpoint answers at once, so this is the processor's part: AWS's
own time comes on top for each call.
"""

from collections.abc import Iterator, Sequence

from bench import population
from bench.candidates import RDKLIB, ROLECALL, Candidates
from bench.clocked import Clocked, Cost
from bench.endpoint import Endpoint, Inventory
from bench.figures import Measure, Part, Target
from bench.progress import Progress

TARGET = Target("≥ 20 times rdklib", 20.0, at_most=False)

CASES = ((1_000, True), (10_000, True), (10_000, False))
"""How many instances there are, and whether their results are recorded already: in the first run of a rule none is."""


def measure_schedule(candidates: Candidates, endpoint: Endpoint, progress: Progress, *, rounds: int) -> Iterator[Part]:
    """`rounds` runs of each in every case. Raises FunctionFailed, WrongAnswer."""
    for instances, recorded in CASES:
        yield _measure(candidates, endpoint, progress, rounds, instances, recorded=recorded)


def _measure(  # noqa: PLR0913 - the three that measure, and the case
    candidates: Candidates, endpoint: Endpoint, progress: Progress, rounds: int, instances: int, *, recorded: bool
) -> Part:
    progress.say(f"answers for {instances:,} instances")
    endpoint.inventory = Inventory.of(instances, recorded=recorded)
    every = {population.instance_id(number): population.verdict(number) for number in range(instances)}
    stale = {
        population.instance_id(number): population.verdict(number)
        for number in range(instances)
        if population.is_stale(number)
    }
    expected = {RDKLIB: every, ROLECALL: stale if recorded else every}
    costs: dict[str, list[Cost]] = {RDKLIB: [], ROLECALL: []}
    calls: dict[str, list[float]] = {RDKLIB: [], ROLECALL: []}
    turns = [candidates.rdklib, candidates.rolecall] * rounds
    for candidate in progress.track(f"scheduled runs over {instances:,} instances", turns):
        with Clocked(candidate, candidates.interpreter, endpoint) as environment:
            # The start is not the run's: one change comes first, and makes the connection, too.
            environment.invoke(population.change_event(0))
            endpoint.received()
            costs[candidate.name].append(environment.invoke(population.scheduled_event()))
        received = endpoint.received()
        received.check(expected[candidate.name])
        calls[candidate.name].append(received.calls.total())
    endpoint.inventory = Inventory()
    state = "one result in 1,000 out of date" if recorded else "first run, nothing recorded"
    return Part(
        f"schedule, {instances}, {'recorded' if recorded else 'first run'}",
        f"Scheduled run over {instances:,} instances, {state}: {rounds} each, taking turns; TLS on loopback",
        [
            Measure("instances per second", "", _per(costs, "wall", instances)),
            Measure("instances per CPU second", "", _per(costs, "cpu", instances), TARGET, ROLECALL),
            Measure("CPU", "s", {name: [one.cpu for one in of] for name, of in costs.items()}),
            Measure("peak memory", "MiB", {name: [one.peak_memory_mib for one in of] for name, of in costs.items()}),
            Measure("API calls", "", calls),
        ],
    )


def _per(costs: dict[str, list[Cost]], attribute: str, instances: int) -> dict[str, Sequence[float]]:
    return {name: [instances / getattr(one, attribute) for one in of] for name, of in costs.items()}
