"""`rolecall evaluate`: judge configuration items from files, or those of a live account."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import typer

from rolecall.cli.finding_lines import DEFAULT_RULE_NAME, checked_rule_name
from rolecall.cli.inputs import Ignored, Input, Unreadable, find_inputs
from rolecall.cli.listing import FINDING_FORMATS, MACHINE_FORMATS, Format, Listing, is_listed
from rolecall.cli.live import Inventory, choose_regions, live, live_account
from rolecall.cli.offline import offline
from rolecall.cli.output import UNUSABLE, opened, output_path, refuse_to_overwrite
from rolecall.cli.parameter_options import ParameterChoice, with_rule_parameters
from rolecall.cli.screen import ProgressBar, Table, Tally, complain, say
from rolecall.cli.subjects import ForRule, Found, Note, Problem, Subject
from rolecall.errors import InvalidRecord
from rolecall.model import ComplianceType, Evaluation
from rolecall.rule import evaluate as judge

NON_COMPLIANT = 1
"""The exit code when something is; `output.UNUSABLE` prevails over it."""

_LIVE = "A live account"


@with_rule_parameters
def evaluate(  # noqa: PLR0913 - one argument for each option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Files or folders, - for standard input. What is piped in is read without it.",
            show_default=False,
        ),
    ] = None,
    *,
    chosen: Annotated[Format, typer.Option("--format", "-f", help="How to write the evaluations.")] = Format.TABLE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=output_path,
            help="Write the evaluations there, once all are judged.",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            help="List every configuration item. Without it, the table lists what is NON_COMPLIANT or EXEMPT, "
            "the other formats every EC2 instance.",
        ),
    ] = False,
    rule_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The rule whose findings asff and ocsf show, where no invocation event names it. "
            f"Default: {DEFAULT_RULE_NAME}.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress; problems are named.")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Hold exemptions against this day or time, as 2026-03-31 or 2026-03-31T12:00Z. Default: now.",
            show_default=False,
        ),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Rule parameters as AWS Config takes them: a JSON object, or a file that holds one. "
            "Options below replace single ones. Both replace those of the same name in an invocation event.",
            rich_help_panel="Rule parameters",
        ),
    ] = None,
    live_wanted: Annotated[
        bool,
        typer.Option("--live", help="Judge the instances of an AWS account. Read-only.", rich_help_panel=_LIVE),
    ] = False,
    source: Annotated[
        Inventory | None,
        typer.Option(
            help="Whom to ask: AWS Config for what it recorded, or EC2. Default: config.",
            show_default=False,
            rich_help_panel=_LIVE,
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.", rich_help_panel=_LIVE)
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGION",
            help="May be given several times. Default: your profile's.",
            show_default=False,
            rich_help_panel=_LIVE,
        ),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Every region that is enabled for the account.", rich_help_panel=_LIVE)
    ] = False,
    **rule_parameters: str | None,
) -> None:
    """Judge configuration items with the code that the deployed rule runs.

    Reads invocation events, SNS and EventBridge notifications, configuration items as they are notified and as the
    Config API returns them, JSON lines, AWS Config's snapshot and history files (`.json`, `.json.gz`), and folders of
    all these. A history file holds an item for every change, and each is judged.

    The formats asff (Security Hub's) and ocsf (OCSF 1.8, Compliance Finding) write each instance's finding as one line
    of JSON, in the state that a deployment with default settings gives it: what passes is archived.

    **Examples**

    ```
    rolecall evaluate event.json
    rolecall evaluate AWSLogs/111122223333/Config/eu-west-1/2026/3/31
    rolecall evaluate snapshot.json.gz --format csv --output verdicts.csv
    rolecall evaluate snapshot.json --exemption-max-days 365 --as-of 2026-12-31
    aws configservice get-resource-config-history ... | rolecall evaluate --all
    rolecall evaluate --live --source ec2 --all-regions
    rolecall evaluate snapshot.json.gz --format ocsf --rule-name our-rule
    ```

    **Exit codes**

    - `0` nothing is NON_COMPLIANT
    - `1` something is NON_COMPLIANT
    - `2` an option is wrong, or something that should have been judged could not be
    """
    now = _moment(as_of)
    own_name = _rule_name(rule_name, chosen)
    for_rule = ParameterChoice(parameters, rule_parameters)
    if live_wanted:
        if paths:
            raise typer.BadParameter("judges an account, not files: leave the PATHs out", param_hint="--live")
        account, regions = choose_regions(partial(live_account, profile), region or [], all_regions=all_regions)
        bar = ProgressBar("regions", len(regions), wanted=not quiet)
        found = live(account, source or Inventory.CONFIG, regions, for_rule, bar)
    else:
        _only_with_live({"--source": source, "--profile": profile, "--region": region, "--all-regions": all_regions})
        inputs = list(find_inputs(paths or [_piped()]))
        refuse_to_overwrite(output, [one.path for one in inputs if isinstance(one, Input) and one.path])
        bar, found = _offline(inputs, for_rule, quiet=quiet)
    with opened(output) as out:
        run = _Run(
            _listing(chosen, out, own_name),
            bar,
            now,
            listed=lambda one: every or is_listed(one, chosen),
            on_screen=out.isatty(),
        )
        tally = run.judge(found)
        if not quiet:
            tally.print(sys.stdout if chosen is Format.TABLE and output is None else sys.stderr)
    if tally.problems:
        raise typer.Exit(UNUSABLE)
    if tally.count_of(ComplianceType.NON_COMPLIANT):
        raise typer.Exit(NON_COMPLIANT)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no day or time; allowed: 2026-03-31, 2026-03-31T12:00Z", param_hint="--as-of"
        ) from None


def _rule_name(given: str | None, chosen: Format) -> str:
    if given is None:
        return DEFAULT_RULE_NAME
    if chosen not in FINDING_FORMATS:
        raise typer.BadParameter(f"needs --format {' or '.join(FINDING_FORMATS)}", param_hint="--rule-name")
    return checked_rule_name(given, "--rule-name")


def _listing(chosen: Format, out: TextIO, rule_name: str) -> Listing:
    if chosen in FINDING_FORMATS:
        return FINDING_FORMATS[chosen](out, rule_name)
    return MACHINE_FORMATS[chosen](out) if chosen in MACHINE_FORMATS else Table(out)


def _piped() -> Path:
    """Standard input, unless somebody would have to type it."""
    if sys.stdin is None or sys.stdin.isatty():
        raise typer.BadParameter("give files or folders, - for standard input, or --live", param_hint="PATH")
    return Path("-")


def _only_with_live(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value:
            raise typer.BadParameter("needs --live", param_hint=name)


def _offline(
    inputs: Sequence[Input | Unreadable | Ignored], for_rule: ForRule, *, quiet: bool
) -> tuple[ProgressBar, Iterator[Found]]:
    sizes = [one.size for one in inputs if isinstance(one, Input)]
    known = [size for size in sizes if size is not None]
    bar = ProgressBar("bytes", sum(known) if len(known) == len(sizes) else None, wanted=not quiet)
    return bar, offline(inputs, for_rule, bar)


@dataclass(frozen=True, slots=True)
class _Run:
    listing: Listing
    bar: ProgressBar
    now: datetime
    _: KW_ONLY
    listed: Callable[[Evaluation], bool]
    on_screen: bool
    """Whether what is listed would be printed over the progress bar."""

    def judge(self, found: Iterable[Found]) -> Tally:
        """Judge, list and count everything, and say what could not be judged."""
        tally = Tally()
        try:
            for one in found:
                match one:
                    case Subject():
                        self._judge(one, tally)
                    case Problem(message):
                        tally.problems += 1
                        self.bar.hide()
                        complain(message)
                    case Note(message):
                        self.bar.hide()
                        say(message)
        finally:
            self.bar.hide()
        self.listing.close()
        return tally

    def _judge(self, subject: Subject, tally: Tally) -> None:
        evaluation = judge(subject.item, subject.parameters, self.now)
        tally.reasons[evaluation.reason] += 1
        if not self.listed(evaluation):
            tally.not_listed += 1
            return
        if self.on_screen:
            self.bar.hide()
        try:
            self.listing.write(evaluation, subject)
        except InvalidRecord as refused:  # its account is none, for one: Security Hub could not be told of it
            tally.problems += 1
            self.bar.hide()
            complain(f"{subject.source}: {subject.item.resource_id}: no finding can be made: {refused}")
