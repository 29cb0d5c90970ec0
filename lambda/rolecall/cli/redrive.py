"""`rolecall redrive`: hand the events that Lambda gave up to the function again."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Protocol, TextIO

import typer
from rich.text import Text

from rolecall.cli.letters import Letter, readable, row_of
from rolecall.cli.live import refuse_no_region
from rolecall.cli.output import failures_named, opened
from rolecall.cli.screen import ProgressBar, console, printable, say
from rolecall.errors import shown

KEPT = 1
"""The exit code when dead letters were kept; `output.UNUSABLE` prevails over it."""

_NAMED = 5
"""Messages that are named in one line."""

_COLUMNS = (("Outcome", 8), ("Age", 6), ("Account", 12), ("Region", 14), ("Resource", 19), ("Rule", 30))
_GAP = "  "
_FUNCTION_OUTPUT, _QUEUE_OUTPUT = "FunctionName", "DeadLetterQueueUrl"
"""Outputs of the rule's stack."""


class ListFormat(StrEnum):
    """How dead letters are listed."""

    TABLE = "table"
    JSON = "json"


class Queue(Protocol):
    """What `aws.dead_letters.DeadLetterQueue` offers."""

    def approximate_size(self) -> int:
        """How many there seem to be."""

    def receive(self) -> Iterator[Letter]:
        """All of them."""

    def replay(self, letter: Any) -> None:  # noqa: ANN401 - one that `receive` gave
        """Invoke the function with it, then delete it."""


def redrive(  # noqa: PLR0913 - one argument for each option
    *,
    stack: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The stack of the rule: it names queue and function.", show_default=False),
    ] = None,
    queue: Annotated[
        str | None, typer.Option(metavar="URL", help="The dead-letter queue itself.", show_default=False)
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --queue: the function whose events are in it.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="List the dead letters, and change nothing.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Hand back no more than so many; those that are kept do not count. Default: all.",
            show_default=False,
        ),
    ] = None,
    chosen: Annotated[ListFormat, typer.Option("--format", "-f", help="How to list them.")] = ListFormat.TABLE,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress; problems are named.")
    ] = False,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.")] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="REGION", help="Default: that of the queue, or your profile's.", show_default=False),
    ] = None,
) -> None:
    """Hand the events in a dead-letter queue to the rule's function again.

    Mend first what made them fail; `--dry-run` tells what that was. Each message is deleted once Lambda has accepted
    its event. An event that fails again comes back after three attempts, some five minutes later. Replaying is
    harmless: an old event never replaces a newer result.

    An event whose result token AWS Config does not take any more is kept: the next sweep of its rule reports what it
    would have reported. Purge the queue after that sweep.

    **Examples**

    ```
    rolecall redrive --stack Rolecall --dry-run
    rolecall redrive --stack Rolecall --limit 1
    rolecall redrive --queue https://sqs.eu-west-1.amazonaws.com/111122223333/dead --function rolecall --format json
    ```

    **Exit codes**

    - `0` every dead letter was handed back (with `--dry-run`: would be), or there is none
    - `1` some were kept; it says why
    - `2` an option is wrong, or AWS refused something; what was handed back until then is listed
    """
    from rolecall.aws.dead_letters import RedrivingAccount, region_of_queue  # noqa: PLC0415 - boto3 loads slowly

    if stack is None and queue is None and function is None:
        raise typer.BadParameter("give --stack, or --queue with --function")
    if (stack is None) == (queue is None):
        raise typer.BadParameter("give either --stack or --queue", param_hint="--stack")
    if (function is None) != (queue is None):
        raise typer.BadParameter("belongs to --queue, whose events do not say whose they are", param_hint="--function")
    if queue is not None and not re.fullmatch(r"https?://[^/\s]+/\S+", queue):
        raise typer.BadParameter(
            f"queue is {shown(queue)}; allowed: a URL, as https://sqs.eu-west-1.amazonaws.com/111122223333/dead",
            param_hint="--queue",
        )
    refuse_no_region(region, "--region")
    run = _Run(dry_run=dry_run, listing=[])
    with failures_named(), opened(None) as out:
        account = RedrivingAccount(profile)
        region = region or (queue and region_of_queue(queue)) or account.default_region
        if not region:
            raise typer.BadParameter("name one: the profile has none", param_hint="--region")
        if stack is not None:
            queue, function = _named_by(account.stack_outputs(stack, region), stack)
        try:
            with account.dead_letters(str(queue), str(function), region) as letters:
                run.redrive(letters, limit, wanted=not quiet)
        finally:
            run.write(out, chosen)
            if not quiet:
                run.summarize(sys.stdout if chosen is ListFormat.TABLE else sys.stderr, str(function))
    if run.kept:
        raise typer.Exit(KEPT)


def _named_by(outputs: Mapping[str, str], stack: str) -> tuple[str, str]:
    missing = [name for name in (_QUEUE_OUTPUT, _FUNCTION_OUTPUT) if name not in outputs]
    if missing:
        raise typer.BadParameter(
            f"stack {stack} has no output {', '.join(missing)}: it is not the stack of a rule", param_hint="--stack"
        )
    return outputs[_QUEUE_OUTPUT], outputs[_FUNCTION_OUTPUT]


@dataclass(slots=True)
class _Run:
    dry_run: bool
    listing: list[dict[str, Any]]
    """A row for each dead letter, as the JSON format has it."""

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The rows of those that stay in the queue and have no business there."""
        return [row for row in self.listing if row["kept_because"]]

    def redrive(self, queue: Queue, limit: int | None, *, wanted: bool) -> None:
        """Replay, or only list, until `limit` are handed back. Raises AwsError."""
        handed_back = 0
        size = queue.approximate_size()
        bar = ProgressBar("dead letters", min(size, limit or size), wanted=wanted)
        bar.describe("Listing" if self.dry_run else "Redriving")
        try:
            for letter in queue.receive():
                event, why_not = readable(letter)
                listed = {"outcome": self._outcome(why_not), **row_of(letter, event), "kept_because": why_not}
                if why_not is None and not self.dry_run:
                    queue.replay(letter)
                self.listing.append(listed)
                handed_back += why_not is None
                bar.advance(int(limit is None or why_not is None))
                if handed_back == limit:
                    break
        finally:
            bar.hide()

    def _outcome(self, why_not: str | None) -> str:
        if self.dry_run:
            return "keep" if why_not else "replay"
        return "kept" if why_not else "replayed"

    def write(self, out: TextIO, chosen: ListFormat) -> None:
        """Write the listing."""
        if chosen is ListFormat.JSON:
            out.write(f"{json.dumps(self.listing, indent=2, ensure_ascii=False)}\n")
        elif self.listing:
            _write_table(out, self.listing)

    def summarize(self, output: TextIO, function: str) -> None:
        """Say how many were handed back, and what becomes of the others."""
        replayed = len(self.listing) - len(self.kept)
        would = "would be " if self.dry_run else ""
        kept = f", {len(self.kept)} {would}kept" if self.kept else ""
        console(output).print(f"{_counted(replayed)} {would}handed back to {function}{kept}.")
        for why in dict.fromkeys(row["kept_because"] for row in self.kept):
            ids = [row["message_id"] for row in self.kept if row["kept_because"] == why]
            more = f" and {len(ids) - _NAMED:,} more (--format json names all)" if len(ids) > _NAMED else ""
            say(f"kept {', '.join(ids[:_NAMED])}{more}: {why}")


def _write_table(out: TextIO, rows: list[dict[str, Any]]) -> None:
    shown = console(out)
    names = _GAP.join(f"{name:<{width}}" for name, width in _COLUMNS)
    shown.print(Text(f"{names}{_GAP}Error", style="bold"))
    for row in rows:
        # A sweep has no resource, it says which message it is.
        what = row["resource"] or row["message_type"] or "-"
        cells = (row["outcome"], _age(row["age_seconds"]), row["account"], row["region"], what, row["rule"])
        columns = (f"{printable(cell or '-'):<{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
        shown.print(Text(_GAP.join((*columns, printable(row["error"]) or "-"))))
    shown.print()


def _age(seconds: int) -> str:
    age = timedelta(seconds=max(seconds, 0))
    if age >= timedelta(days=1):
        return f"{age.days} d"
    minutes = age // timedelta(minutes=1)
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - minutes of an hour


def _counted(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"
