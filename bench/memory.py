"""The function with the share of a processor that Lambda gives with several memory sizes.

Lambda gives one whole processor with 1,769 MB and less in proportion
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). Here the process is stopped whenever it has
used its share of 20 ms. The share holds from the start of the process; what Lambda grants while a function loads is
not documented and not imitated.
"""

from bench import population
from bench.candidates import Candidates
from bench.clocked import Clocked, Cost, Throttled
from bench.endpoint import Endpoint, Inventory
from bench.figures import Measure, Part
from bench.progress import Progress

WHOLE_PROCESSOR_MB = 1769
SIZES_MB = (1769, 1024, 512, 256, 128)
WARM_EVENTS = 15
INSTANCES = 1_000


def measure_memory(candidates: Candidates, endpoint: Endpoint, progress: Progress, *, rounds: int) -> Part:
    """`rounds` environments of each size. Raises FunctionFailed."""
    names = {size: f"{size} MB" for size in SIZES_MB}
    cold: dict[str, list[float]] = {name: [] for name in names.values()}
    warm: dict[str, list[float]] = {name: [] for name in names.values()}
    scheduled: dict[str, list[float]] = {name: [] for name in names.values()}
    endpoint.inventory = Inventory.of(INSTANCES, recorded=True)
    for size in progress.track("memory sizes", [size for _ in range(rounds) for size in SIZES_MB]):
        with Clocked(candidates.rolecall, candidates.interpreter, endpoint) as environment:
            share = min(size / WHOLE_PROCESSOR_MB, 1.0)
            with Throttled(environment.process_id, share):
                cold[names[size]].append(_ms(environment.invoke(population.change_event(0))))
                events = [environment.invoke(population.change_event(number)) for number in range(1, 1 + WARM_EVENTS)]
                warm[names[size]] += [_ms(one) for one in events]
                scheduled[names[size]].append(_ms(environment.invoke(population.scheduled_event())) / 1000)
    endpoint.inventory = Inventory()
    endpoint.received()
    return Part(
        "memory",
        f"rolecall by memory size, processor share imitated: {rounds} environments each",
        [
            Measure("cold start, wall", "ms", cold),
            Measure("warm event, wall", "ms", warm),
            Measure(f"scheduled run over {INSTANCES:,} instances, wall", "s", scheduled),
        ],
    )


def _ms(cost: Cost) -> float:
    return cost.wall * 1000
