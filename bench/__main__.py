"""`python -m bench`: see the package's docstring."""

import json
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench import machine, report
from bench.candidates import FOLDER, candidates
from bench.clocked import FunctionFailed
from bench.endpoint import Endpoint, WrongAnswer
from bench.estimate import Assumptions
from bench.evidence_collect import measure_evidence_collect
from bench.evidence_places import measure_evidence_places
from bench.evidence_verify import measure_evidence_verify
from bench.figures import Part
from bench.findings import measure_findings
from bench.function import measure_function
from bench.memory import measure_memory
from bench.organization import measure_organization
from bench.progress import Progress
from bench.schedule import measure_schedule
from bench.snapshot import CommandFailed, measure_snapshot
from infra.package import PackageError
from local.interpreter import NoInterpreter


class Chosen(StrEnum):
    """The parts that can be run."""

    FUNCTION = "function"
    SCHEDULE = "schedule"
    ORGANIZATION = "organization"
    SNAPSHOT = "snapshot"
    MEMORY = "memory"
    FINDINGS = "findings"
    EVIDENCE = "evidence"


def bench(  # noqa: PLR0913 - one argument for each option
    parts: Annotated[
        list[Chosen] | None, typer.Argument(metavar="[PART]...", help="Which parts to run; all by default.")
    ] = None,
    *,
    rounds: Annotated[int, typer.Option(min=2, help="Cold starts of each candidate.")] = 20,
    events: Annotated[int, typer.Option(min=20, help="Warm events of each candidate.")] = 400,
    runs: Annotated[
        int, typer.Option(min=1, help="Scheduled runs, memory environments, and runs of snapshot and evidence.")
    ] = 3,
    items: Annotated[
        int,
        typer.Option(min=1000, help="Instances in the snapshot, records of findings; ten times as many in a package."),
    ] = 100_000,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="A price or rate that the estimate for an organization assumes, for example "
            "config_calls_per_second=20; it prints all of them. Several times for several.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
) -> None:
    """Measure rolecall beside its yardsticks. Nothing leaves this machine but the download of the yardsticks.

    Whether the targets hold is printed and does not change the exit code: a figure is no test.
    """
    if sys.platform != "linux":
        raise typer.BadParameter("processor time of other processes is read as Linux gives it; run it there")
    try:
        assumptions = Assumptions().with_settings(assume or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--assume") from None
    chosen = parts or list(Chosen)
    console = report.console()
    progress = Progress()
    facts = machine.facts() | machine.versions("boto3", "awslambdaric", "aws-lambda-powertools")
    measured: list[Part] = []
    try:
        for part in _measured(
            chosen,
            progress,
            rounds=rounds,
            events=events,
            runs=runs,
            items=items,
            assumptions=assumptions,
            facts=facts,
        ):
            report.show(part, console)
            measured.append(part)
    except (CommandFailed, FunctionFailed, NoInterpreter, OSError, PackageError, WrongAnswer) as error:
        progress.say(f"could not run: {error}")
        raise typer.Exit(1) from None
    for name, fact in facts.items():
        console.print(f"  {name:<22}{fact}", highlight=False)
    missed = report.missed(measured)
    console.print("\n  Every target holds." if not missed else "\n  Missed:", *missed, sep="\n    ")
    if json_file:
        figures = {"machine": facts, "parts": [part.to_json() for part in measured]}
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _measured(  # noqa: PLR0913 - one argument for each option
    chosen: Sequence[Chosen],
    progress: Progress,
    *,
    rounds: int,
    events: int,
    runs: int,
    items: int,
    assumptions: Assumptions,
    facts: dict[str, str],
) -> Iterator[Part]:
    if set(chosen) - {Chosen.SNAPSHOT, Chosen.FINDINGS, Chosen.EVIDENCE}:
        built = candidates(progress.say)
        facts["function's python"] = built.interpreter.description
        with Endpoint(FOLDER / "tls") as endpoint:
            if Chosen.FUNCTION in chosen:
                yield measure_function(built, endpoint, progress, rounds=rounds, events=events)
            if Chosen.SCHEDULE in chosen:
                yield from measure_schedule(built, endpoint, progress, rounds=runs)
            if Chosen.ORGANIZATION in chosen:
                yield from measure_organization(built, endpoint, progress, rounds=runs, assumptions=assumptions)
            if Chosen.MEMORY in chosen:
                yield measure_memory(built, endpoint, progress, rounds=runs)
    if Chosen.SNAPSHOT in chosen:
        yield from measure_snapshot(progress, items=items, rounds=runs)
    if Chosen.FINDINGS in chosen:
        yield measure_findings(progress, records=items)
    if Chosen.EVIDENCE in chosen:
        made, folder = measure_evidence_collect(progress, items=items * 10)
        yield made
        yield measure_evidence_verify(progress, folder, items=items * 10, rounds=runs)
        yield measure_evidence_places(progress)


if __name__ == "__main__":
    typer.run(bench)
