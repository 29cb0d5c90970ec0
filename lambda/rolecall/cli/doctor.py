"""`rolecall doctor`: is everything there that rolecall needs? Reads only."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from enum import StrEnum
from functools import partial
from typing import Annotated, TextIO

import typer
from rich.text import Text

from rolecall.cli.checks_of_organizations import Mode
from rolecall.cli.diagnosis import Diagnosis, Status
from rolecall.cli.live import choose_regions, refuse_no_region
from rolecall.cli.output import UNUSABLE, opened
from rolecall.cli.screen import ProgressBar, complain, console, printable
from rolecall.errors import AwsError

PROBLEM = 1
"""The exit code when something is wrong; `output.UNUSABLE`, when something could not be looked at, prevails."""

_STYLES = {Status.OK: "cyan", Status.PROBLEM: "bold red", Status.CANNOT_TELL: "bold yellow"}


class ReportFormat(StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"


def doctor(  # noqa: PLR0913 - one argument for each option
    *,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="REGION", help="May be given several times. Default: your profile's.", show_default=False),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Every region that is enabled for the account.")
    ] = False,
    home_region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="Where the aggregator and the member roles' StackSet are. Default: your profile's region if it is "
            "among the others, else the first.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="As in the settings: one account, or the organization too. Default: organization for the management "
            "account and a delegated administrator, else account.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.")] = None,
    rule_name: Annotated[
        str, typer.Option(metavar="NAME", help="The setting ruleName; a conformance pack's suffix may follow it.")
    ] = "rolecall-ec2-instance-profile",
    stack_name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The setting stackName: the names of the conformance pack and of the member roles' StackSet begin "
            "with it, in capitals or not.",
        ),
    ] = "Rolecall",
    chosen: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="How to write the report.")
    ] = ReportFormat.TABLE,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only what is not ok; no summary and no progress.")
    ] = False,
) -> None:
    """Examine an account before and after a deployment, and say what mends it. Read-only.

    Looks at the organization (delegated administrators, trusted access, the member roles' StackSet, the aggregator)
    and, in each region, at the conformance pack in all accounts and, in this one, at AWS Config's recorder and delivery
    channel, the rule and its results, the function's scheduled runs, Lambda's concurrency, and Security Hub.
    One line for each, with the command that mends it.
    AWS's managed policy `ReadOnlyAccess` allows all that it asks.

    **Examples**

    ```
    rolecall doctor
    rolecall doctor --profile audit --mode organization --all-regions --home-region eu-west-1
    rolecall doctor --region eu-west-1 --region us-east-1 --format json
    ```

    **Exit codes**

    - `0` all is well
    - `1` there are problems
    - `2` an option is wrong, or something could not be looked at
    """
    # boto3 loads slowly, and --help needs none of it.
    from rolecall.aws.preflight import Preflight  # noqa: PLC0415 - as above
    from rolecall.cli.examination import Examination  # noqa: PLC0415 - as above

    refuse_no_region(home_region, "--home-region")
    account, regions = choose_regions(partial(Preflight, profile), region or [], all_regions=all_regions)
    home = home_region or (account.default_region if account.default_region in regions else None) or regions[0]
    with closing(account):
        examination = Examination(account, rule_name, stack_name, regions, home)
        try:
            examination.look_around(mode)
        except AwsError as error:
            complain(str(error))
            raise typer.Exit(UNUSABLE) from None
        bar = ProgressBar("checks", examination.size, wanted=not quiet)
        bar.describe("Examining")
        try:
            found = examination.run(bar.advance)
        finally:
            bar.hide()
    report = [_with_profile(one, profile) for one in found if not quiet or one.status is not Status.OK]
    with opened(None) as out:
        if chosen is ReportFormat.JSON:
            subject = {
                "account": examination.account,
                "kind": examination.kind.name.lower(),
                "mode": examination.mode.value,
            }
            _write_json(out, subject, report)
        else:
            _write_table(out, report, None if quiet else _summary(examination.mode, found))
    statuses = {one.status for one in found}
    if Status.CANNOT_TELL in statuses:
        raise typer.Exit(UNUSABLE)
    if Status.PROBLEM in statuses:
        raise typer.Exit(PROBLEM)


def _with_profile(found: Diagnosis, profile: str | None) -> Diagnosis:
    """The command that mends it, to be run with the same profile, unless it is another account's."""
    if not profile or found.mend_in or not found.mend.startswith("aws "):
        return found
    commands = (command.removeprefix("aws ") for command in found.mend.split(" && "))
    return replace(found, mend=" && ".join(f"aws --profile {shlex.quote(profile)} {command}" for command in commands))


def _write_json(output: TextIO, subject: dict[str, str], report: Sequence[Diagnosis]) -> None:
    described = {**subject, "checks": [asdict(one) for one in report]}
    output.write(f"{json.dumps(described, indent=2, ensure_ascii=False)}\n")


def _write_table(output: TextIO, report: Sequence[Diagnosis], summary: str | None) -> None:
    out = console(output)
    places = max((len(one.where) for one in report), default=0)
    checks = max((len(one.check) for one in report), default=0)
    for one in report:
        line = Text(f"{one.status.value:<11}", style=_STYLES[one.status])
        rest = f"  {printable(one.where):<{places}}  {one.check:<{checks}}  {printable(one.says)}"
        out.print(line.append(rest, style="not bold default"))
        if one.mend:
            who = f" (in {one.mend_in})" if one.mend_in else ""
            out.print(Text(f"{'':<11}  → {printable(one.mend)}{who}"))
    if summary:
        out.print(summary)


def _summary(mode: Mode, found: Sequence[Diagnosis]) -> str:
    counts = Counter(one.status for one in found)
    parts = [f"{counts[Status.OK]} ok"]
    if counts[Status.PROBLEM]:
        parts.append(f"{counts[Status.PROBLEM]} {'problem' if counts[Status.PROBLEM] == 1 else 'problems'}")
    if counts[Status.CANNOT_TELL]:
        parts.append(f"{counts[Status.CANNOT_TELL]} cannot be told")
    return f"{len(found)} checks in mode {mode.value}: {', '.join(parts)}."
