"""`rolecall evaluate` on a large snapshot file, beside jq making the same selection and beside gzip alone.

jq reads the file as one value; its --stream mode would need little memory and several times as long. What it is asked
is less than what rolecall answers: whether there is a profile ARN, and no row of the verdict table but two.
"""

import gzip
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench import population
from bench.candidates import FOLDER
from bench.figures import Measure, Part, Target
from bench.progress import Progress

ROLECALL = "rolecall"
JQ = "jq"
GZIP = "gzip -dc"

SPEED_TARGET = Target("≥ jq", 1.0, at_most=False)
MEMORY_TARGET = Target("< 150 MB", 150.0)

_SELECTION = (
    '.configurationItems[] | select(.resourceType == "AWS::EC2::Instance") | '
    '[.resourceId, if (.configuration.iamInstanceProfile.arn // "") == "" then "NON_COMPLIANT" else "COMPLIANT" end]'
)
_COMPLIANCE = re.compile(rb'"(NON_)?COMPLIANT"')
_LOOK_SECONDS = 0.01
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Run:
    """What one command line took, all its processes together: seconds, and the sum of their peaks in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class CommandFailed(Exception):
    """A command that is measured ended otherwise than it should; the message holds what it said."""


def measure_snapshot(progress: Progress, *, items: int, rounds: int) -> list[Part]:
    """`rounds` runs of each over a compressed and a plain file. Raises CommandFailed, WrongAnswer."""
    plain, compressed = _snapshot(progress, items)
    return [
        _measure(progress, compressed, items, rounds, f"gzip, {_size(compressed)}"),
        _measure(progress, plain, items, rounds, f"plain, {_size(plain)}"),
    ]


def _measure(progress: Progress, file: Path, items: int, rounds: int, kind: str) -> Part:
    compressed = file.suffix == ".gz"
    rolecall = [sys.executable, "-m", "rolecall", "evaluate", "--format", "jsonl", "--quiet", str(file)]
    commands: dict[str, list[list[str]]] = {ROLECALL: [rolecall]}
    if shutil.which("jq"):
        jq = ["jq", "--compact-output", _SELECTION]
        commands = {JQ: [["gzip", "-dc", str(file)], jq] if compressed else [[*jq, str(file)]], **commands}
    if compressed:
        commands[GZIP] = [["gzip", "-dc", str(file)]]
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for name in progress.track(f"snapshot, {kind}", [name for _ in range(rounds) for name in commands]):
        output = FOLDER / "snapshot-output"
        # rolecall ends with 1 when something is NON_COMPLIANT, and half of the instances are.
        runs[name].append(run(commands[name], output, ends_with=1 if name == ROLECALL else 0))
        if name != GZIP:
            _check(name, output, items)
        output.unlink()
    speed = {name: [items / run.seconds for run in of] for name, of in runs.items()}
    per_cpu = {name: [items / run.cpu_seconds for run in of] for name, of in runs.items()}
    memory = {name: [run.peak_mb for run in of] for name, of in runs.items()}
    return Part(
        f"snapshot, {kind}",
        f"Snapshot of {items:,} instances ({kind}): {rounds} runs each, taking turns",
        [
            Measure("items per second", "", speed),
            Measure("items per CPU second", "", per_cpu, SPEED_TARGET if JQ in commands else None, ROLECALL),
            Measure("peak memory", "MB", memory, MEMORY_TARGET, ROLECALL, as_ratio=False),
        ],
        [] if JQ in commands else ["jq is not installed: its target was not looked at."],
    )


def _snapshot(progress: Progress, items: int) -> tuple[Path, Path]:
    """The plain and the compressed file, made once."""
    origin = hashlib.sha256(Path(population.__file__).read_bytes()).hexdigest()[:12]
    plain = FOLDER / f"snapshot-{items}-{origin}.json"
    compressed = plain.with_suffix(".json.gz")
    if not compressed.exists():
        progress.say(f"a snapshot of {items:,} instances (once)")
        FOLDER.mkdir(parents=True, exist_ok=True)
        with plain.open("w", encoding="utf-8") as out:
            out.write('{"fileVersion":"1.0","configSnapshotId":"0a1b2c3d-0000-4000-8000-000000000000",')
            out.write('"configurationItems":[')
            for number in range(items):
                out.write("," if number else "")
                out.write(json.dumps(population.configuration_item(number)))
            out.write("]}")
        unfinished = compressed.with_suffix(".unfinished")
        with plain.open("rb") as source, gzip.open(unfinished, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        unfinished.rename(compressed)
    return plain, compressed


def run(
    pipeline: Sequence[Sequence[str]], output: Path, *, ends_with: int, variables: Mapping[str, str] | None = None
) -> Run:
    """Run commands, each reading from the one before it, the last one into a file. Raises CommandFailed.

    `variables` go over this process's environment.
    """
    started, cpu_before = time.perf_counter(), _cpu_of_children()
    processes: list[subprocess.Popen[bytes]] = []
    with output.open("wb") as out, output.with_suffix(".errors").open("wb+") as errors:
        for number, command in enumerate(pipeline):
            last = number == len(pipeline) - 1
            processes.append(
                subprocess.Popen(  # noqa: S603 - the commands above, no shell
                    command,
                    stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
                    stdout=out if last else subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, **(variables or {})},
                )
            )
        with _Watch([process.pid for process in processes]) as watch:
            for process in processes:
                process.wait()
        seconds, cpu_seconds = time.perf_counter() - started, _cpu_of_children() - cpu_before
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    output.with_suffix(".errors").unlink()
    if processes[-1].returncode != ends_with or any(process.returncode for process in processes[:-1]):
        raise CommandFailed(f"{pipeline[-1][0]} ended with {processes[-1].returncode}: {said[-2000:]}")
    return Run(seconds, cpu_seconds, watch.peak_mb)


def _cpu_of_children() -> float:
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch:
    """Looks again and again at how much memory processes have had at most. A context manager.

    Not what the operating system says at their end: that begins with this process's own peak.
    """

    def __init__(self, process_ids: Sequence[int]) -> None:
        self._peaks = dict.fromkeys(process_ids, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def peak_mb(self) -> float:
        return sum(self._peaks.values()) / _MEGABYTE

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            for process_id in self._peaks:
                self._peaks[process_id] = max(self._peaks[process_id], _peak_bytes(process_id))


def _peak_bytes(process_id: int) -> int:
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _check(name: str, output: Path, items: int) -> None:
    with output.open("rb") as lines:
        found = [match[0] for line in lines if (match := _COMPLIANCE.search(line))]
    expected = [b'"COMPLIANT"' if population.has_profile(number) else b'"NON_COMPLIANT"' for number in range(items)]
    if found != expected:
        raise CommandFailed(f"{name} gave {len(found):,} verdicts of {items:,}, or wrong ones")


def _size(file: Path) -> str:
    return f"{file.stat().st_size / _MEGABYTE:,.0f} MB"
