"""What a rule costs a whole organization: calls, function-seconds, dollars and time, out of measured processor time.

Calls are counted instance by instance; processor time comes from a fit of measured runs; prices, latency and rates are
`Assumptions`, because AWS publishes no request rates of AWS Config and prices change.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from math import ceil
from typing import Self

from bench import population
from bench.figures import Measure, Part
from bench.memory import WHOLE_PROCESSOR_MB
from rolecall.aws.config_service import ROWS_PER_PAGE
from rolecall.aws.evaluations_bus import ENTRIES_PER_CALL
from rolecall.model import EVALUATIONS_PER_CALL
from rolecall.sweep import refresh_is_due

ACCOUNTS = 1_000
REGIONS = 3

ACCOUNT_REGIONS = ((2, 100_000), (30, 10_000), (400, 1_000), (1_000, 100), (1_568, 0))
"""How many account-regions have how many instances: 3,000 with 1,000,000 together, half of them in 32."""

OTHER_SERVICES = ("AssumeRole", "DescribeInstances", "PutEvents")
"""Operations that AWS Config's request rate does not slow down."""


_ABOUT_THE_ESTIMATE = (
    "Daily sweep: one result in 1,000 differs; half of the instances have no profile, one in 30 of them is told again.",
    "First day: nothing is recorded. Also what a schedule that puts everything would cost every time.",
    "All differ: each recorded result differs and is confirmed, as after another version judged otherwise.",
    "Change storm: all instances change once; also what StartConfigRulesEvaluation costs, an event for each instance.",
    "Each scheduled run starts a new environment. In the storm each event assumes a role: the most there can be.",
    "What is longer than Lambda's 900 s is cut: rolecall has put what it found and goes on next time; rdklib has not.",
    "The storm's wall time is that of the largest account-region.",
)


@dataclass(frozen=True)
class Assumptions:
    """Prices are of us-east-1. All but that of an evaluation are the ones commonly known: check them."""

    evaluation_dollars: float = 0.001
    """AWS Config's pricing page: each of the first 100,000 a month in an account and region; less beyond."""
    gb_second_dollars: float = 0.0000133334
    """Lambda on arm64."""
    million_invocations_dollars: float = 0.20
    million_records_dollars: float = 1.00
    """EventBridge, custom events of at most 64 kB."""
    memory_mb: float = 512
    """The function's default."""
    call_seconds: float = 0.05
    """From a request to its answer. A guess; never measured on AWS."""
    config_calls_per_second: float = 8
    """Of one operation in one account and region. AWS publishes none; its own Workload Discovery holds itself to 8 of
    SelectAggregateResourceConfig."""
    records_per_second: float = 10_000
    """That the home region's bus takes: PutEvents' quota in the largest regions; elsewhere it is less."""
    concurrent_invocations: float = 1_000
    """Lambda's default in one account and region."""

    def with_settings(self, settings: Sequence[str]) -> Self:
        """Take `name=number` for any of the assumptions. Raises ValueError with what is allowed."""
        names = [one.name for one in fields(self)]
        changed = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            try:
                number = float(text)
            except ValueError:
                number = -1.0
            if name not in names or not 0 < number < float("inf"):
                raise ValueError(f"{setting!r}: allowed is NAME=NUMBER above 0 with a NAME of {', '.join(names)}")
            changed[name] = number
        return replace(self, **changed)

    def run_seconds(self, cpu_seconds: float, calls: Mapping[str, int]) -> float:
        """How long one invocation lasts that makes its calls one after the other."""
        share = min(self.memory_mb / WHOLE_PROCESSOR_MB, 1.0)
        config_seconds = max(self.call_seconds, 1 / self.config_calls_per_second)
        waiting = sum(
            count * (self.call_seconds if operation in OTHER_SERVICES else config_seconds)
            for operation, count in calls.items()
        )
        return cpu_seconds / share + waiting


@dataclass(frozen=True)
class Run:
    """What one invocation does."""

    calls: Mapping[str, int]
    cpu_seconds: float
    evaluations: int
    records: int


@dataclass(frozen=True)
class Estimate:
    """What all account-regions take together."""

    invocations: int
    calls: Mapping[str, int]
    function_seconds: float
    evaluations: int
    records: int
    longest_run_seconds: float
    wall_seconds: float
    dollars: Mapping[str, float]


def account_regions() -> Iterator[range]:
    """The instances' numbers in each account-region."""
    first = 0
    for count, instances in ACCOUNT_REGIONS:
        for _ in range(count):
            yield range(first, first + instances)
            first += instances


def sweep(
    numbers: range, *, recorded: bool, differing: Callable[[int], bool], day: datetime
) -> tuple[Counter[str], int, int]:
    """Calls, evaluations and records of one sweep of rolecall over these instances, counted one by one."""
    differences: list[bool] = []  # of each record in its order; the others are refreshed
    for number in numbers:
        if differing(number):
            differences.append(True)
        elif not population.has_profile(number) and refresh_is_due(population.instance_id(number), day):
            differences.append(False)
    evaluations = sum(differences)
    reports = [
        differences[start : start + EVALUATIONS_PER_CALL] for start in range(0, len(differences), EVALUATIONS_PER_CALL)
    ]
    calls = Counter(
        {
            "GetComplianceDetailsByConfigRule": pages(len(numbers) if recorded else 0),
            "SelectResourceConfig": pages(len(numbers)),
            "GetResourceConfigHistory": evaluations if recorded else 0,
            "PutEvaluations": sum(map(any, reports)),
            "PutEvents": sum(ceil(len(report) / ENTRIES_PER_CALL) for report in reports),
        }
    )
    return calls, evaluations, len(differences)


def pages(rows: int) -> int:
    """Calls that it takes to list them: an empty listing takes one, too."""
    return max(1, ceil(rows / ROWS_PER_PAGE))


def of_schedules(runs: Sequence[Run], assumptions: Assumptions) -> Estimate:
    """One run for each account-region, all at the same time."""
    seconds = [assumptions.run_seconds(run.cpu_seconds, run.calls) for run in runs]
    return _estimate(runs, seconds, max(seconds), assumptions)


def of_events(run: Run, assumptions: Assumptions) -> Estimate:
    """`run` once for each instance, all at the same time: a put for each, as fast as its account-region takes them."""
    sizes = [len(numbers) for numbers in account_regions()]
    instances = sum(sizes)
    # The rate spreads events over time; no function waits for it.
    unlimited = replace(assumptions, config_calls_per_second=float("inf"))
    seconds = unlimited.run_seconds(run.cpu_seconds, run.calls)
    wall = max(
        max(sizes) / assumptions.config_calls_per_second,
        instances * seconds / (assumptions.concurrent_invocations * REGIONS),
    )
    return _estimate([run] * instances, [seconds] * instances, wall, assumptions)


def part(estimates: Mapping[str, Estimate], assumptions: Assumptions) -> Part:
    """The table of several kinds of work."""
    operations = dict.fromkeys(operation for one in estimates.values() for operation in one.calls)
    services = next(iter(estimates.values())).dollars

    def measure(name: str, unit: str, value: Callable[[Estimate], float]) -> Measure:
        # What is zero is left out: nothing has a ratio to it.
        values = {column: value(one) for column, one in estimates.items()}
        return Measure(name, unit, {column: [number] for column, number in values.items() if number})

    return Part(
        "organization, estimated",
        f"{ACCOUNTS:,} accounts, {REGIONS} regions, 1,000,000 instances",
        [
            measure("invocations", "", lambda one: one.invocations),
            measure("API calls", "", lambda one: sum(one.calls.values())),
            *(measure(f"  {name}", "", lambda one, name=name: one.calls.get(name, 0)) for name in operations),  # type: ignore[misc]  # a default binds the loop's name
            measure("evaluations put", "", lambda one: one.evaluations),
            measure("records published", "", lambda one: one.records),
            measure("function-seconds", "", lambda one: one.function_seconds),
            measure("longest run, s", "", lambda one: one.longest_run_seconds),
            measure("wall time, s", "", lambda one: one.wall_seconds),
            measure("dollars", "", lambda one: sum(one.dollars.values())),
            *(measure(f"  {name}", "", lambda one, name=name: one.dollars[name]) for name in services),  # type: ignore[misc]  # likewise
        ],
        [
            "Instances by account-region: "
            + ", ".join(f"{count:,} of {instances:,}" for count, instances in ACCOUNT_REGIONS),
            *_ABOUT_THE_ESTIMATE,
            f"Assumed: {assumptions}",
        ],
    )


def _estimate(runs: Sequence[Run], seconds: Sequence[float], wall: float, assumptions: Assumptions) -> Estimate:
    calls: Counter[str] = Counter()
    for run in runs:
        calls.update(run.calls)
    evaluations = sum(run.evaluations for run in runs)
    records = sum(run.records for run in runs)
    function_seconds = sum(seconds)
    return Estimate(
        invocations=len(runs),
        calls=+calls,
        function_seconds=function_seconds,
        evaluations=evaluations,
        records=records,
        longest_run_seconds=max(seconds),
        wall_seconds=max(wall, records / assumptions.records_per_second),
        dollars={
            "AWS Config": evaluations * assumptions.evaluation_dollars,
            "Lambda": function_seconds * assumptions.memory_mb / 1024 * assumptions.gb_second_dollars
            + len(runs) * assumptions.million_invocations_dollars / 1e6,
            "EventBridge": records * assumptions.million_records_dollars / 1e6,
        },
    )
