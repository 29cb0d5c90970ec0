"""A day of an organization's evidence, from the aggregator's rows to the sealed package, at a tenth and at full size.

Collecting asks `evidence_endpoint` over TLS, page by page; sealing reads the shards. Each runs in a process of its own,
whose start counts. Of what comes out the sums are checked, and of the calls their number, or the benchmark ends.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.candidates import FOLDER
from bench.endpoint import WrongAnswer
from bench.evidence_endpoint import INVENTORY, RESULTS, EvidenceEndpoint, least_calls
from bench.evidence_next_day import NEXT_DAY, add_next_day
from bench.evidence_organization import DAY, REGIONS, Place, expected_totals, places
from bench.evidence_steps import VARIABLES
from bench.figures import Measure, Part, Target
from bench.progress import Progress
from bench.snapshot import Run, run
from rolecall.evidence.received_manifest import read_manifest
from rolecall.evidence.steps import PACKAGES

ACCOUNTS = 50
"""Times 5 regions, whatever their size: what grows with the number of accounts is not what grows with instances."""

CALLS_TARGET = Target("≤ 1", 1.0)
FLAT_TARGET = Target("≤ 1.1", 1.1)

_PER = 100_000
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class _Day:
    """What it took."""

    instances: int
    collecting: Run
    sealing: Run
    next_day: Run
    """Sealing the day after, with a history and a ledger."""
    calls: Counter[str]
    least_calls: int
    shards_mb: float
    package_mb: float


def measure_evidence_collect(progress: Progress, *, items: int) -> tuple[Part, Path]:
    """`items` instances, and a tenth of them before; and the folder of the larger package.

    Raises CommandFailed, WrongAnswer.
    """
    folder = FOLDER / "evidence"
    with EvidenceEndpoint(FOLDER / "tls") as endpoint:
        days = {
            name: _day(progress, endpoint, folder, places(ACCOUNTS, count // (ACCOUNTS * len(REGIONS))))
            for name, count in (("a tenth", items // 10), ("all", items))
        }
    return _part(days), folder / PACKAGES


def _day(progress: Progress, endpoint: EvidenceEndpoint, folder: Path, of: Sequence[Place]) -> _Day:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    instances = sum(len(place.numbers) for place in of)
    endpoint.serve(of)
    endpoint.received()
    progress.say(f"evidence: collect {instances:,} instances of {len(of)} account-regions")
    collecting = _step("collect", folder, endpoint.variables)
    calls, least = endpoint.received().calls, least_calls(of)
    progress.say(f"evidence: seal them ({collecting.cpu_seconds:.0f} s of processor time so far)")
    sealing = _step("seal", folder, {})
    _check(folder, of)
    shards_mb, package_mb = _megabytes(folder / "shards"), _megabytes(folder / PACKAGES)
    progress.say("evidence: make up the next day, and seal it")
    add_next_day(folder)
    next_day = _step("next", folder, {})
    _check_next(folder, of)
    return _Day(instances, collecting, sealing, next_day, calls, least, shards_mb, package_mb)


def _step(name: str, folder: Path, variables: Mapping[str, str]) -> Run:
    output = FOLDER / "evidence-output"
    command = [sys.executable, "-m", "bench.evidence_steps", name, str(folder)]
    ran = run([command], output, ends_with=0, variables={**VARIABLES, **variables})
    output.unlink()
    return ran


def _check(folder: Path, of: Sequence[Place]) -> None:
    """The package counts every instance as what it is."""
    manifest = read_manifest((folder / PACKAGES / f"{DAY}" / "manifest.json").read_bytes())
    expected = expected_totals(of)
    if manifest.totals != expected:
        raise WrongAnswer(f"the package sums up to {manifest.totals} instead of {expected}")
    coverage = json.loads((folder / PACKAGES / f"{DAY}" / "coverage.json").read_bytes())
    covered = sum(1 for one in coverage["accountRegions"] if one["covered"])
    if covered != len(of):
        raise WrongAnswer(f"{covered} of {len(of)} account-regions are covered")


def _check_next(folder: Path, of: Sequence[Place]) -> None:
    """What was told of on the next day is remediated, and everything else is still open."""
    kpis = json.loads((folder / PACKAGES / f"{NEXT_DAY}" / "kpis.json").read_bytes())
    times = kpis["timeToRemediate"].values()
    open_now, remediated = (sum(kind[name] for kind in times) for name in ("open", "remediated"))
    expected = expected_totals(of).non_compliant
    if open_now + remediated != expected or not remediated:
        raise WrongAnswer(f"{open_now} episodes are open and {remediated} remediated; there were {expected}")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / _MEGABYTE


def _part(days: Mapping[str, _Day]) -> Part:
    whole = list(days.values())[-1]
    return Part(
        "evidence, made",
        f"Evidence of {whole.instances:,} instances, collected and sealed: one run of each size",
        [
            Measure("instances", "", {name: [day.instances] for name, day in days.items()}),
            *_taken("collect", {name: (day.collecting, day.instances) for name, day in days.items()}),
            *_taken("contents and seal", {name: (day.sealing, day.instances) for name, day in days.items()}),
            *_taken("the next day", {name: (day.next_day, day.instances) for name, day in days.items()}),
            Measure("calls of the two listings", "", {name: [_listings(day)] for name, day in days.items()}),
            Measure(
                "  to the least, ⌈rows / 100⌉ of each",
                "",
                {name: [_listings(day) / day.least_calls] for name, day in days.items()},
                CALLS_TARGET,
                "all",
                as_ratio=False,
            ),
            Measure("all calls", "", {name: [day.calls.total()] for name, day in days.items()}),
            Measure("shards", "MB", {name: [day.shards_mb] for name, day in days.items()}),
            Measure("package", "MB", {name: [day.package_mb] for name, day in days.items()}),
        ],
        [f"calls: {dict(whole.calls)}"],
    )


def _taken(step: str, runs: Mapping[str, tuple[Run, int]]) -> list[Measure]:
    """By a step; each run with its instances."""
    return [
        Measure(
            f"{step}: CPU for {_PER:,}",
            "s",
            {name: [ran.cpu_seconds * _PER / instances] for name, (ran, instances) in runs.items()},
        ),
        Measure(
            f"{step}: wall for {_PER:,}",
            "s",
            {name: [ran.seconds * _PER / instances] for name, (ran, instances) in runs.items()},
        ),
        Measure(
            f"{step}: peak memory",
            "MB",
            {name: [ran.peak_mb] for name, (ran, _) in runs.items()},
            FLAT_TARGET,
            list(runs)[-1],
        ),
    ]


def _listings(day: _Day) -> int:
    return day.calls[INVENTORY] + day.calls[RESULTS]
