"""`rolecall evidence verify` on a large package, beside sha256sum and then gzip over the same files.

The yardstick reads every file twice and answers much less: neither signature, rows nor sums.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.candidates import FOLDER
from bench.evidence_organization import DAY
from bench.evidence_steps import PUBLIC_KEY
from bench.figures import Measure, Part, Target
from bench.progress import Progress
from bench.snapshot import Run, run

ROLECALL = "rolecall"
TOOLS = "sha256sum + gzip"

SPEED_TARGET = Target("≥ 60 %", 0.6, at_most=False)
MEMORY_TARGET = Target("< 150 MB", 150.0)

_MEGABYTE = 1_000_000


def measure_evidence_verify(progress: Progress, folder: Path, *, items: int, rounds: int) -> Part:
    """`rounds` runs of each, taking turns, over the package of `items` instances in `folder`. Raises CommandFailed."""
    files = sorted(str(path) for path in (folder / f"{DAY}").rglob("*") if path.is_file())
    compressed = [file for file in files if file.endswith(".gz")]
    commands = {
        TOOLS: [["sha256sum", *files], ["sh", "-c", 'gzip -dc "$@" > /dev/null', "sh", *compressed]],
        ROLECALL: [
            [sys.executable, "-m", "rolecall", "evidence", "verify", str(folder), "--until", f"{DAY}",
             "--public-key", str(folder / PUBLIC_KEY)]
        ],
    }  # fmt: skip
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for name in progress.track("evidence", [name for _ in range(rounds) for name in commands]):
        output = FOLDER / "evidence-output"
        runs[name].append(_together([run([command], output, ends_with=0) for command in commands[name]]))
        output.unlink()
    stored = sum(Path(file).stat().st_size for file in files) / _MEGABYTE
    content = sum(_content_bytes(folder)) / _MEGABYTE
    return Part(
        "evidence, verified",
        f"Package of {items:,} instances ({stored:,.0f} MB, {content:,.0f} MB uncompressed): {rounds} runs each",
        [
            Measure("MB of content per second", "", _per_second(content, runs, cpu=False)),
            Measure("MB of content per CPU second", "", _per_second(content, runs, cpu=True), SPEED_TARGET, ROLECALL),
            Measure(
                "peak memory",
                "MB",
                {name: [one.peak_mb for one in of] for name, of in runs.items()},
                MEMORY_TARGET,
                ROLECALL,
                as_ratio=False,
            ),
        ],
    )


def _together(parts: list[Run]) -> Run:
    """One after the other."""
    return Run(
        sum(part.seconds for part in parts),
        sum(part.cpu_seconds for part in parts),
        max(part.peak_mb for part in parts),
    )


def _per_second(content: float, runs: dict[str, list[Run]], *, cpu: bool) -> dict[str, list[float]]:
    return {name: [content / (one.cpu_seconds if cpu else one.seconds) for one in of] for name, of in runs.items()}


def _content_bytes(folder: Path) -> Iterator[int]:
    manifest = json.loads((folder / f"{DAY}" / "manifest.json").read_bytes())
    yield from (file["contentBytes"] for file in manifest["files"])
