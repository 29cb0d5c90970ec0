"""`rolecall evidence replay`: verdicts of past days, from the files that AWS Config delivered then."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from rolecall.cli.evidence_place import read_day
from rolecall.cli.inputs import Ignored, Input, Unreadable, find_inputs
from rolecall.cli.output import UNUSABLE, opened, output_path, refuse_to_overwrite
from rolecall.cli.parameter_options import ParameterChoice, with_rule_parameters
from rolecall.cli.reading import Broken, ValueReader
from rolecall.cli.replay_listing import Day, ReplayFormat, listing
from rolecall.cli.screen import ProgressBar, complain, say
from rolecall.errors import InvalidItem, counted
from rolecall.evidence.config_files import ConfigFile, Place, config_file, coverage, needed_files
from rolecall.evidence.replaying import ItemHistory

INCOMPLETE = 4
"""The exit code when files are missing: that of `evidence verify` for the same."""


@with_rule_parameters
def replay(  # noqa: PLR0913 - one argument for each option
    *,
    snapshots: Annotated[
        list[Path],
        typer.Option(
            metavar="PATH",
            help="A folder with what AWS Config delivered, AWSLogs/… and all. May be given several times.",
            show_default=False,
        ),
    ],
    on: Annotated[
        str | None, typer.Option("--on", metavar="DAY", help="The day, in UTC, as 2026-03-31.", show_default=False)
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first day of a range.", show_default=False)
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="The last day of a range.", show_default=False)
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="ACCOUNT/REGION",
            help="What must be covered; without any file it is named as missing. May be given several times.",
            show_default=False,
        ),
    ] = None,
    chosen: Annotated[ReplayFormat, typer.Option("--format", "-f", help="How to write it.")] = ReplayFormat.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", parser=output_path, help="Default: standard output."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; problems are named.")] = False,
    parameters: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Rule parameters as AWS Config takes them: a JSON object, or a file that holds one. "
            "Options below replace single ones.",
            rich_help_panel="Rule parameters",
        ),
    ] = None,
    **rule_parameters: str | None,
) -> None:
    """Say what the rule would have said at the end of a past day, from AWS Config's own history and snapshot files.

    For the time before rolecall was installed: nobody recorded these verdicts then, and each is marked as
    `re-performed`. Of every instance the newest item that was captured by the end of the day (UTC) counts; exemptions
    are held against that day. Copy the files as they are in the bucket, from the last snapshot before the first day to
    the day after the last one: `aws s3 sync s3://BUCKET/AWSLogs AWSLogs`.

    What no file covers, or no snapshot vouches for, is named: there, instances may be missing.

    **Examples**

    ```
    rolecall evidence replay --snapshots AWSLogs --on 2026-03-31
    rolecall evidence replay --snapshots AWSLogs --from 2026-03-01 --to 2026-03-31 --format csv --output march.csv
    rolecall evidence replay --snapshots AWSLogs --on 2026-03-31 --expect 111122223333/eu-west-1
    ```

    **Exit codes**

    - `0` every account and region is covered
    - `2` an option is wrong, or something could not be read or judged
    - `4` incomplete: files are missing
    """
    days = _days(on, first, last)
    places = [_place(text) for text in expected or ()]
    judged_by = ParameterChoice(parameters, rule_parameters)(None)
    inputs, files, unreadable = _found(snapshots)
    refuse_to_overwrite(output, [one.path for one in inputs.values() if one.path])
    needed = needed_files(files, days[0], days[-1])
    incomplete = False
    with closing(ItemHistory()) as history, opened(output) as out:
        found, damaged = _read([inputs[one.path] for one in needed], history, quiet=quiet)
        problems = unreadable + found
        write = listing(chosen, out, judged_by)
        for day in days:
            covered = coverage(files, places, day, damaged)
            made = Day(day, covered, history.at_the_end_of(day, judged_by))
            write.day(made)
            problems += len(made.problems)
            for problem in made.problems:
                complain(f"{day}: {problem}")
            for place in covered:
                if place.missing:
                    incomplete = True
                    say(f"{day}: {place.account} in {place.region}: {place.missing}")
            if not covered:
                incomplete = True
                say(f"{day}: no file of AWS Config covers any account")
        write.close()
    if problems:
        raise typer.Exit(UNUSABLE)
    if incomplete:
        raise typer.Exit(INCOMPLETE)


def _days(on: str | None, first: str | None, last: str | None) -> list[date]:
    if (on is None) == (first is None and last is None):
        raise typer.BadParameter("give a day, or --from and --to", param_hint="--on")
    begin, end = (read_day(on, "--on"),) * 2 if on is not None else (read_day(first, "--from"), read_day(last, "--to"))
    if end is None:
        raise typer.BadParameter(f"name the last day with --to; for {begin} alone use --on", param_hint="--from")
    if begin is None:
        raise typer.BadParameter("name the first day with --from, too", param_hint="--to")
    if begin > end:
        raise typer.BadParameter(f"{begin} is later than {end}", param_hint="--from")
    if end >= datetime.now(UTC).date():
        raise typer.BadParameter(f"{end} is not over", param_hint="--on" if on is not None else "--to")
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


def _place(text: str) -> Place:
    account, _, region = text.partition("/")
    if len(account) != 12 or not account.isdecimal() or not region:  # noqa: PLR2004 - of any account id
        raise typer.BadParameter(f"{text!r} is no place; allowed: as 111122223333/eu-west-1", param_hint="--expect")
    return account, region


def _found(paths: Sequence[Path]) -> tuple[Mapping[str, Input], list[ConfigFile], int]:
    """The files of AWS Config below `paths`, and how many paths cannot be read, once that was said."""
    inputs: dict[str, Input] = {}
    files: list[ConfigFile] = []
    unreadable = others = 0
    # A folder named `.` or AWSLogs itself still lies somewhere.
    for one in find_inputs([path.absolute() for path in paths]):
        match one:
            case Input(name):
                file = config_file(name)
                if file is None:
                    others += 1
                else:
                    inputs[name] = one
                    files.append(file)
            case Unreadable(name, reason):
                unreadable += 1
                complain(f"{name}: {reason}")
            case Ignored(_, count):
                others += count
    if others:
        were = "was" if others == 1 else "were"
        why = "not called as AWS Config's history and snapshots are"
        say(f"{counted(others, 'other file')} {were} not read: {why}")
    return inputs, files, unreadable


def _read(inputs: Sequence[Input], history: ItemHistory, *, quiet: bool) -> tuple[int, set[str]]:
    """Fill the history. How many problems there were, once they were said, and the names of files not read whole."""
    bar = ProgressBar("bytes", sum(one.size or 0 for one in inputs), wanted=not quiet)
    problems = 0
    damaged: set[str] = set()
    try:
        for one in inputs:
            bar.describe(one.name)
            for problem in _read_file(one, history, bar):
                problems += 1
                bar.hide()
                complain(f"{one.name}: {problem.says}")
                if not problem.of_one_item:
                    damaged.add(one.name)
    finally:
        bar.hide()
    return problems, damaged


@dataclass(frozen=True, slots=True)
class _Problem:
    says: str
    of_one_item: bool = False
    """It is named; whatever else the file holds is known."""


def _read_file(one: Input, history: ItemHistory, bar: ProgressBar) -> Iterator[_Problem]:
    reader = ValueReader(one.text(bar.advance))
    try:
        for value in reader:
            if isinstance(value, Broken):
                yield _Problem(f"{value.position}: not JSON: {value.reason}")
                continue
            try:
                history.add(value, one.name)
            except InvalidItem as error:
                yield _Problem(f"{reader.position}: {error}", of_one_item=True)
    except OSError as error:
        yield _Problem(error.strerror or str(error))
    except (EOFError, zlib.error) as error:
        yield _Problem(f"the compressed file is truncated or damaged ({error}); the rest was not read")
    else:
        if reader.blank:
            yield _Problem("is empty")
