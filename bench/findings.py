"""The findings function with 100,000 records of some hundred account-regions, over HTTP.

Its deployment package runs under AWS's runtime client and gets batches as the queue makes them: of a sweep, one account
and region after the other, or of changes, all mixed. The strict local Security Hub answers, rate limits included, and
afterwards has to hold exactly the findings that the records call for, or the benchmark ends.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

from bench import population
from bench.clocked import FunctionFailed, cpu_seconds
from bench.endpoint import WrongAnswer
from bench.figures import Measure, Part, Target
from bench.findings_endpoint import FindingsEndpoint
from bench.progress import Progress
from bench.records import RECORD
from infra.package import FINDINGS, FUNCTION_PYTHON, build_package
from local.execution_environment import ExecutionEnvironment
from local.function_runtime import platform_variables
from local.interpreter import interpreter_for
from local.template import FunctionDefinition

ACCOUNTS = 50
REGIONS = ("eu-central-1", "eu-north-1", "eu-west-1", "us-east-1", "us-west-2")
PLACES = [(f"{222200000000 + number:012d}", region) for number in range(ACCOUNTS) for region in REGIONS]
PER_CALL = 100
"""Findings that one BatchImportFindings takes."""
BATCH = 1_000
"""Records of one invocation, as deployed."""
MIXED_ONE_IN = 5
"""Part of the records that are told once more, mixed."""
SINGLE_RECORDS = 500
"""In invocations of one record each, as a yardstick."""

CALLS_TARGET = Target("≤ 1", 1.0)
MEMORY_TARGET = Target("≤ 1.1", 1.1)

_FUNCTION_ARN = f"arn:aws:lambda:eu-west-1:{population.ACCOUNT}:function:findings"


@dataclass(frozen=True)
class _Run:
    """Of some batches: seconds, MiB, and what was called."""

    records: int
    cpu: float
    wall: float
    imports: int
    least_imports: int
    least_by_batch: int
    memory: Sequence[float]
    """Peak so far, after each batch."""
    calls: Counter[str]


def measure_findings(progress: Progress, *, records: int) -> Part:
    """`records` from sweeps, then some of them again as changes. Raises FunctionFailed, WrongAnswer, PackageError."""
    with FindingsEndpoint() as endpoint:
        for place in PLACES:
            endpoint.security_hub.enable(*place)
        told = [_Told(number, PLACES[number * len(PLACES) // records]) for number in range(records)]
        with _Environment(endpoint) as environment:
            swept = environment.run(progress.track("findings: batches of sweeps", list(_batches(told, 0))))
            _check(endpoint, told)
            mixed = random.Random(1).sample(told, records // MIXED_ONE_IN)  # noqa: S311 - an order, no secret
            changed = environment.run(progress.track("findings: mixed batches", list(_batches(mixed, 1))))
            single = [[one] for one in mixed[:SINGLE_RECORDS]]
            alone = environment.run(progress.track("findings: one record each", [_batch(one, 2) for one in single]))
            _check(endpoint, told)
    return _part(swept, changed, alone)


@dataclass(frozen=True)
class _Told:
    """One instance: its number, account and region."""

    number: int
    place: tuple[str, str]


def _record(told: _Told, turn: int) -> dict[str, Any]:
    """Of an instance without a profile; `turn` counts how often it is told, so that each is newer."""
    account, region = told.place
    instance = population.instance_id(told.number)
    return RECORD | {
        "id": f"{told.number:060d}{turn:04d}",
        "account": account,
        "region": region,
        "resourceId": instance,
        "resourceArn": f"arn:aws:ec2:{region}:{account}:instance/{instance}",
        "orderingTimestamp": f"2026-03-01T00:00:{turn:02d}.000Z",
    }


_Batch = tuple[Sequence[_Told], dict[str, Any]]


def _batches(told: Sequence[_Told], turn: int) -> Iterator[_Batch]:
    for start in range(0, len(told), BATCH):
        yield told[start : start + BATCH], {"turn": turn}


def _batch(told: Sequence[_Told], turn: int) -> _Batch:
    return told, {"turn": turn}


def _event(told: Sequence[_Told], turn: int) -> bytes:
    """As Lambda hands over messages of SQS; each body is an event of the bus."""
    records = [
        {
            "messageId": f"{one.number:08x}-0000-4000-8000-{turn:012d}",
            "receiptHandle": "receipt",
            "body": json.dumps(
                {
                    "version": "0",
                    "detail-type": "Rolecall Evaluation",
                    "source": "rolecall",
                    "account": population.ACCOUNT,
                    "region": "eu-west-1",
                    "detail": _record(one, turn),
                },
                separators=(",", ":"),
            ),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:eu-west-1:{population.ACCOUNT}:rolecall-findings",
            "awsRegion": "eu-west-1",
        }
        for one in told
    ]
    return json.dumps({"Records": records}).encode()


class _Environment:
    """The function, in a process of its own. A context manager."""

    def __init__(self, endpoint: FindingsEndpoint) -> None:
        runtime, code = f"python{FUNCTION_PYTHON}", build_package(FINDINGS).path
        definition = FunctionDefinition(
            name="findings",
            arn=_FUNCTION_ARN,
            handler="rolecall.handlers.findings.handler",
            runtime=runtime,
            code=code,
            timeout_seconds=900,
            environment={
                "POWERTOOLS_SERVICE_NAME": population.RULE_NAME,
                "POWERTOOLS_METRICS_NAMESPACE": "Rolecall",
                "ROLECALL_DEAD_LETTERS": "https://sqs.eu-west-1.amazonaws.com/1/none",
                "ROLECALL_FINDINGS_TABLE": "findings",
                "ROLECALL_PUBLISHER_ROLE": "rolecall-publisher",
            },
            log_format="JSON",
        )
        variables = platform_variables(definition, code) | dict(definition.environment) | endpoint.variables
        self._endpoint = endpoint
        self._process = ExecutionEnvironment(interpreter_for(runtime), definition, code, variables)
        self._invocations = 0
        self._peak = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def run(self, batches: Iterator[_Batch]) -> _Run:
        """Have every batch answered. Raises FunctionFailed, WrongAnswer."""
        self._endpoint.clear()
        cpu = wall = 0.0
        memory: list[float] = []
        places: Counter[tuple[str, str]] = Counter()
        by_batch = records = 0
        for told, turn in batches:
            event = _event(told, **turn)
            before, started = self._cpu(), perf_counter()
            self._invoke(event)
            wall += perf_counter() - started
            cpu += self._cpu() - before
            memory.append(self._peak)
            here = Counter(one.place for one in told)
            by_batch += _least(here)
            places += here
            records += len(told)
        imports = self._endpoint.imports()
        return _Run(records, cpu, wall, imports, _least(places), by_batch, memory, +self._endpoint.calls)

    def _invoke(self, event: bytes) -> None:
        self._invocations += 1
        result = self._process.invoke(f"{self._invocations:08x}-0000-4000-8000-000000000000", event)
        if result.error or result.payload != {"batchItemFailures": []}:
            shown = str(result.error or result.payload)[:500]
            raise FunctionFailed("\n".join([f"findings failed: {shown}", *result.log[-5:]]))
        self._peak = result.peak_memory_mib or 0.0

    def _cpu(self) -> float:
        # What there is of the process before its first event is a part of that.
        return cpu_seconds(self._process.process_id) if self._invocations else 0.0


def _least(places: Counter[tuple[str, str]]) -> int:
    return sum(-(-count // PER_CALL) for count in places.values())


def _check(endpoint: FindingsEndpoint, told: Sequence[_Told]) -> None:
    """Every instance has its one finding, where it belongs, and a row."""
    for place, count in Counter(one.place for one in told).items():
        states = Counter(one["RecordState"] for one in endpoint.security_hub.findings(*place))
        if states != {"ACTIVE": count}:
            raise WrongAnswer(f"{place} has {dict(states)} findings instead of {count} active ones")
    if endpoint.rows != len(told):
        raise WrongAnswer(f"there are {endpoint.rows} rows for {len(told)} instances")


def _part(swept: _Run, changed: _Run, alone: _Run) -> Part:
    runs = {"one by one": alone, "mixed": changed, "sweeps": swept}
    # Until then it grows by its clients, of which an environment keeps as many as there are in half of the places.
    early, late = swept.memory[len(swept.memory) // 2], swept.memory[-1]
    return Part(
        "findings",
        f"Findings function: {swept.records:,} records of {len(PLACES)} account-regions in batches of {BATCH:,}",
        [
            Measure("records", "", {name: [run.records] for name, run in runs.items()}),
            Measure("records per CPU second", "", {name: [run.records / run.cpu] for name, run in runs.items()}),
            Measure("records per second", "", {name: [run.records / run.wall] for name, run in runs.items()}),
            Measure("BatchImportFindings calls", "", {name: [run.imports] for name, run in runs.items()}),
            Measure(
                "  to the least for all records",
                "",
                {name: [run.imports / run.least_imports] for name, run in runs.items()},
                CALLS_TARGET,
                "sweeps",
                as_ratio=False,
            ),
            Measure(
                "  to the least for each batch",
                "",
                {name: [run.imports / run.least_by_batch] for name, run in runs.items()},
                CALLS_TARGET,
                "mixed",
                as_ratio=False,
            ),
            Measure(
                "peak memory, MiB: at half, at the end",
                "",
                {"at half": [early], "at the end": [late]},
                MEMORY_TARGET,
                "at the end",
            ),
        ],
        [f"{name}: {run.records / run.cpu:,.0f} records a CPU second; {dict(run.calls)}" for name, run in runs.items()],
    )
