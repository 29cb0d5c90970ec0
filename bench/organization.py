"""The rule in a whole organization: runs of several sizes, a fit, and what it makes of 1,000,000 instances.

The function is set up as an organization has it: the account is another one than its own, so that it assumes the
reporter role, and a bus takes its evaluation records. The counted calls of every run have to be those of the
estimate's model, or the benchmark ends: so the model may be trusted where nothing was run.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import linear_regression, median
from typing import Any

from bench import estimate, population
from bench.candidates import Candidate, Candidates
from bench.clocked import Clocked, Cost
from bench.endpoint import DESCRIBED_PER_PAGE, Endpoint, Inventory, Received, WrongAnswer
from bench.estimate import Assumptions, Estimate, Run
from bench.figures import Measure, Part, Target
from bench.progress import Progress

SIZES = (1_000, 10_000, 100_000)
FEWER_SIZES = (1_000, 10_000)
"""Of what takes minutes for more: rdklib, and a sweep that confirms each instance."""
ONCE_FROM = 100_000
"""With so many instances, one run is enough."""
EVENTS = 200

MEMORY_TARGET = Target("≤ 200 bytes", 200.0)

SWEEP = "daily sweep"
FIRST_DAY = "first day"
ALL_DIFFER = "all differ"
STORM = "change storm"
RDKLIB = "rdklib, daily"


@dataclass(frozen=True)
class _Kind:
    """Of sweeps."""

    name: str
    sizes: Sequence[int]
    recorded: bool
    differing: Callable[[int], bool]


KINDS = (
    _Kind(SWEEP, SIZES, recorded=True, differing=population.is_stale),
    _Kind(FIRST_DAY, SIZES, recorded=False, differing=population.every),
    _Kind(ALL_DIFFER, FEWER_SIZES, recorded=True, differing=population.every),
)

_AUDIT_ACCOUNT = "444455556666"
_MIB = 1024 * 1024


@dataclass
class _Measured:
    """Seconds of processor time, and MiB."""

    cpu: dict[str, dict[int, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """Of runs by kind and number of instances."""
    peak_memory: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of daily sweeps by number of instances."""
    starts: list[float] = field(default_factory=list)
    """Of an environment, its first event included."""
    event: float = 0
    event_of_new_account: float = 0

    def medians(self, *kinds: str) -> Iterator[tuple[str, dict[int, float]]]:
        """Processor time by number of instances, of each kind."""
        return ((kind, {size: median(seconds) for size, seconds in self.cpu[kind].items()}) for kind in kinds)


@dataclass(frozen=True)
class _Scene:
    """What runs are made with."""

    candidates: Candidates
    endpoint: Endpoint
    progress: Progress

    @property
    def rule(self) -> Candidate:
        """Our function as it is set up in an organization."""
        return _in_an_organization(self.candidates.rolecall)

    def environment(self, candidate: Candidate) -> Clocked:
        """A new one."""
        self.endpoint.received()
        return Clocked(candidate, self.candidates.interpreter, self.endpoint)


def measure_organization(
    candidates: Candidates, endpoint: Endpoint, progress: Progress, *, rounds: int, assumptions: Assumptions
) -> Iterator[Part]:
    """What was measured, then what it makes of an organization. Raises FunctionFailed, WrongAnswer."""
    measured = _measure(_Scene(candidates, endpoint, progress), rounds)
    fits = {
        name: linear_regression(list(of), list(of.values()))
        for name, of in measured.medians(*(kind.name for kind in KINDS))
    }
    rdklib_fit = _quadratic(dict(measured.medians(RDKLIB))[RDKLIB])
    yield _measured_part(measured, [*_fit_notes(fits, measured), _rdklib_note(rdklib_fit)], rounds)

    progress.say("calls of 1,000,000 instances, one by one")
    start, day = median(measured.starts), datetime.now(UTC)

    def sweeps(kind: _Kind) -> Estimate:
        slope, intercept = fits[kind.name]
        runs = []
        for numbers in estimate.account_regions():
            calls, evaluations, records = _swept(kind, numbers, day)
            cpu = start + max(intercept, 0) + slope * len(numbers)
            runs.append(Run({"AssumeRole": 1, **calls}, cpu, evaluations, records))
        return estimate.of_schedules(runs, assumptions)

    change = Run({"AssumeRole": 1, "PutEvaluations": 1, "PutEvents": 1}, measured.event_of_new_account, 1, 1)
    estimates = {
        **{kind.name: sweeps(kind) for kind in KINDS},
        STORM: estimate.of_events(change, assumptions),
        RDKLIB: estimate.of_schedules(_rdklib_runs(start, rdklib_fit), assumptions),
    }
    yield estimate.part(estimates, assumptions)


def _in_an_organization(candidate: Candidate) -> Candidate:
    bus = f"arn:aws:events:{population.REGION}:{_AUDIT_ACCOUNT}:event-bus/rolecall-evaluations"
    definition = candidate.definition
    return replace(
        candidate,
        definition=replace(
            definition,
            arn=definition.arn.replace(population.ACCOUNT, _AUDIT_ACCOUNT),
            environment={
                **definition.environment,
                "ROLECALL_EVENT_BUS": bus,
                "ROLECALL_REPORTER_ROLE": "rolecall-reporter",
            },
        ),
    )


def _measure(scene: _Scene, rounds: int) -> _Measured:
    measured = _Measured()
    for kind, size in [(one, size) for one in KINDS for size in one.sizes]:
        scene.progress.say(f"answers for {size:,} instances")
        with_rdklib = kind.name == SWEEP and size in FEWER_SIZES
        scene.endpoint.inventory = Inventory.of(
            size, recorded=kind.recorded, differing=kind.differing, described=with_rdklib
        )
        turns = 1 if size >= ONCE_FROM else rounds
        for _ in scene.progress.track(f"{kind.name}: {size:,} instances", range(turns)):
            if with_rdklib:
                _, run = _scheduled_run(scene, scene.candidates.rdklib)
                _check_rdklib(scene.endpoint.received(), size)
                measured.cpu[RDKLIB][size].append(run.cpu)
            expected = _swept(kind, range(size), datetime.now(UTC))
            start, run = _scheduled_run(scene, scene.rule)
            _check_sweep(scene.endpoint.received(), kind, size, expected)
            measured.cpu[kind.name][size].append(run.cpu)
            measured.starts.append(start.cpu)
            if kind.name == SWEEP:
                measured.peak_memory[size].append(run.peak_memory_mib)
    scene.endpoint.inventory = Inventory()
    measured.event = _events(scene, others=False)
    measured.event_of_new_account = _events(scene, others=True)
    return measured


def _swept(kind: _Kind, numbers: range, day: datetime) -> tuple[Counter[str], int, int]:
    return estimate.sweep(numbers, recorded=kind.recorded, differing=kind.differing, day=day)


def _scheduled_run(scene: _Scene, candidate: Candidate) -> tuple[Cost, Cost]:
    """Start and first event of a new environment, and the run after it."""
    with scene.environment(candidate) as environment:
        start = environment.invoke(population.change_event(0))
        scene.endpoint.received()
        return start, environment.invoke(population.scheduled_event())


def _check_sweep(received: Received, kind: _Kind, size: int, expected: tuple[Counter[str], int, int]) -> None:
    put = filter(kind.differing, range(size))
    received.check({population.instance_id(number): population.verdict(number) for number in put})
    calls, _, records = expected
    if (received.calls, received.records) != (+calls, records):
        raise WrongAnswer(f"{received.records} records in {received.calls}: the model has {records} in {+calls}")


def _check_rdklib(received: Received, size: int) -> None:
    received.check({population.instance_id(number): population.verdict(number) for number in range(size)})
    if received.calls != _rdklib_calls(size):
        raise WrongAnswer(f"rdklib made {received.calls}: the model has {_rdklib_calls(size)}")


def _rdklib_calls(instances: int) -> Counter[str]:
    listed = estimate.pages(instances)
    return Counter(
        {
            "DescribeInstances": max(1, -(-instances // DESCRIBED_PER_PAGE)),
            "GetComplianceDetailsByConfigRule": listed,
            "PutEvaluations": listed if instances else 0,
        }
    )


def _events(scene: _Scene, *, others: bool) -> float:
    """Processor seconds of a warm event; with `others`, each is of another account, whose role is assumed first."""
    seconds = []
    with scene.environment(scene.rule) as environment:
        environment.invoke(population.change_event(0))
        for number in scene.progress.track("events of other accounts" if others else "events", range(1, 1 + EVENTS)):
            account = f"{int(population.ACCOUNT) + number * others:012d}"
            event = json.dumps(population.change_event(number)).replace(population.ACCOUNT, account)
            seconds.append(environment.invoke(json.loads(event)).cpu)
    received = scene.endpoint.received()
    received.check({population.instance_id(number): population.verdict(number) for number in range(1 + EVENTS)})
    calls = {"AssumeRole": 1 + EVENTS * others, "PutEvaluations": 1 + EVENTS, "PutEvents": 1 + EVENTS}
    if received.calls != calls:
        raise WrongAnswer(f"changes made {received.calls} instead of {calls}")
    return median(seconds)


def _quadratic(cpu: dict[int, float]) -> tuple[float, float]:
    """`a` and `b` of a·n + b·n² through two points. More than linear is what it does by its code: see the notes."""
    (small, few), (large, many) = cpu.items()
    squared = max((many / large - few / small) / (large - small), 0.0)
    return few / small - squared * small, squared


def _rdklib_runs(start: float, fit: tuple[float, float]) -> list[Run]:
    """Its start is taken to cost what rolecall's does."""
    linear, squared = fit
    return [
        Run(_rdklib_calls(size), start + linear * size + squared * size**2, size, 0)
        for size in map(len, estimate.account_regions())
    ]


def _fit_notes(fits: Mapping[str, Any], measured: _Measured) -> Iterator[str]:
    for name, medians in measured.medians(*fits):
        slope, intercept = fits[name]
        off = max(abs(intercept + slope * size - seconds) / seconds for size, seconds in medians.items())
        yield (
            f"{name}: {slope * 1e6:.0f} µs of processor time an instance and {intercept * 1000:+.0f} ms a run; "
            f"no run lies further than {off:.0%} from that line."
        )


def _rdklib_note(fit: tuple[float, float]) -> str:
    linear, squared = fit
    return (
        f"rdklib: {linear * 1e6:.0f} µs an instance and {squared * 1e9:.2f} ns for each pair of instances, as it looks "
        f"for each recorded result in a list: {linear * 1e5 + squared * 1e10:.0f} s at 100,000. Two points, no check."
    )


def _measured_part(measured: _Measured, notes: Sequence[str], rounds: int) -> Part:
    _, middle, large = SIZES
    memory = measured.peak_memory
    each = (median(memory[large]) - median(memory[middle])) * _MIB / (large - middle)
    largest = f"{large:,}"
    return Part(
        "organization, measured",
        f"In a member account: {rounds} runs each, one of {ONCE_FROM:,} and more; TLS on loopback",
        [
            *(Measure(f"{name}, CPU", "s", _by_size(series)) for name, series in measured.cpu.items()),
            Measure(f"{SWEEP}, peak memory", "MiB", _by_size(memory)),
            Measure("  for each instance, bytes", "", {largest: [each]}, MEMORY_TARGET, largest, as_ratio=False),
        ],
        [
            *notes,
            f"Processor time of a start with its first event: {_ms(median(measured.starts))}.",
            f"Of a warm event: {_ms(measured.event)}; with a role to assume: {_ms(measured.event_of_new_account)}.",
        ],
    )


def _by_size(series: Mapping[int, Sequence[float]]) -> dict[str, list[float]]:
    """Medians alone: sizes are run a different number of times, so their rounds have no ratios."""
    return {f"{size:,}": [median(values)] for size, values in series.items()}


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
