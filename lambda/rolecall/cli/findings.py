"""`rolecall findings`: what there is to do about findings in Security Hub."""

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from rolecall.cli.commands import Command, Group
from rolecall.cli.difference_rows import RowFormat, write_rows
from rolecall.cli.live import choose_regions, refuse_no_rule_name
from rolecall.cli.output import UNUSABLE, failures_named, opened
from rolecall.cli.parameter_options import ParameterChoice
from rolecall.cli.reconciliation import Reconciliation
from rolecall.cli.screen import ProgressBar
from rolecall.parameters import PARAMETERS, RuleParameters

DIFFERS = 1
"""The exit code when findings differ and were not mended; `output.UNUSABLE` prevails over it."""

findings = typer.Typer(
    name="findings", cls=Group, no_args_is_help=True, help="Findings in Security Hub: whether they are right."
)


@findings.command(cls=Command)
def reconcile(  # noqa: PLR0913 - one argument for each option
    *,
    rule_name: Annotated[
        str, typer.Option(metavar="NAME", help="The setting ruleName; a conformance pack's suffix may follow it.")
    ] = "rolecall-ec2-instance-profile",
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGION",
            help="May be given several times; with --aggregator, the one region of both aggregator and Security Hub's "
            "aggregation. Default: your profile's.",
            show_default=False,
        ),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Every region that is enabled for the account.")
    ] = False,
    aggregator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Reconcile all that this configuration aggregator collects from, instead of one account.",
            show_default=False,
        ),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="With --aggregator and --apply: the rule's parameters, a JSON object or a file that holds one. "
            "Default: those of the rule's copy in the aggregator's own account and region.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Publish what mends the differences; needs --bus.")] = False,
    bus: Annotated[
        str | None,
        typer.Option(
            metavar="BUS", help="The evaluations bus, by name or ARN; in the first region by name.", show_default=False
        ),
    ] = None,
    chosen: Annotated[RowFormat, typer.Option("--format", "-f", help="How to list the differences.")] = RowFormat.TABLE,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress; problems are named.")
    ] = False,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.")] = None,
) -> None:
    """Compare the active findings in Security Hub with what AWS Config recorded, and mend them.

    `missing`: an instance fails or is exempt, and has no active finding. `stale`: its finding says something else.
    `orphaned`: a finding is active, and AWS Config recorded no such result. Without `--apply` nothing is changed.

    `--apply` publishes a record for each difference on the evaluations bus, as the rule's function does; the findings
    function then mends it. Only what AWS Config recorded is told, and only if the instance, judged again, still comes
    to it: all else is skipped and named, and the rule's next sweep mends it. Where a listing is not known to be
    complete, no finding is taken for orphaned.

    **Examples**

    ```
    rolecall findings reconcile
    rolecall findings reconcile --region eu-west-1 --apply --bus Rolecall-evaluations
    rolecall findings reconcile --profile audit --region eu-west-1 --aggregator rolecall --format csv
    ```

    **Exit codes**

    - `0` nothing differs, or all that did is mended
    - `1` findings differ
    - `2` an option is wrong, or something could not be looked at
    """
    from rolecall.aws.reconciled import ReconciledAccount  # noqa: PLC0415 - boto3 loads slowly

    refuse_no_rule_name(rule_name, "--rule-name")
    if apply and not bus:
        raise typer.BadParameter("name the evaluations bus: its records mend findings", param_hint="--bus")
    if bus and not apply:
        raise typer.BadParameter("belongs to --apply: nothing is published without it", param_hint="--bus")
    if parameters is not None and not (aggregator and apply):
        raise typer.BadParameter("belongs to --aggregator with --apply", param_hint="--parameters")
    if aggregator and (all_regions or len(region or ()) > 1):
        raise typer.BadParameter("name one: that of the aggregator", param_hint="--region")
    given = _given(parameters)
    account, regions = choose_regions(partial(ReconciledAccount, profile), region or [], all_regions=all_regions)
    bar = ProgressBar("findings and results", None, wanted=not quiet)
    publishing = account.bus(bus, regions[0]) if bus else nullcontext()
    with opened(None) as out, failures_named(), publishing as events:
        run = Reconciliation(events, datetime.now(UTC), bar)
        try:
            own = account.account_id(regions[0])
            scopes = (
                [partial(account.organization, own, regions[0], aggregator, rule_name, given)]
                if aggregator
                else [partial(account.one_region, own, one, rule_name) for one in regions]
            )
            for open_scope in scopes:
                with open_scope() as scope:
                    run.reconcile(scope)
        finally:
            bar.hide()
            write_rows(out, run.rows, chosen)
        if not quiet:
            run.summarize(sys.stdout if chosen is RowFormat.TABLE else sys.stderr)
    if run.problems:
        raise typer.Exit(UNUSABLE)
    if run.left:
        raise typer.Exit(DIFFERS)


def _given(parameters: str | None) -> RuleParameters | None:
    if parameters is None:
        return None
    return ParameterChoice(parameters, dict.fromkeys(spec.attribute for spec in PARAMETERS.values()))(None)
