"""`rolecall evidence collect`: one account's package of a day, made on a laptop by the code that runs in AWS."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer

from rolecall.cli.evidence_key_files import (
    KmsSigner,
    either_key,
    other_public_keys,
    private_key,
    write_public_keys,
)
from rolecall.cli.evidence_place import KMS_KEY, read_day, refuse_no_folder
from rolecall.cli.live import HasRegions, choose_regions, refuse_no_rule_name
from rolecall.cli.output import UNUSABLE
from rolecall.cli.screen import ProgressBar, complain, console, say
from rolecall.errors import AwsError, InvalidInput, RolecallError, shown
from rolecall.evidence.beginning import package_to_follow
from rolecall.evidence.collecting import Collector, Evidence
from rolecall.evidence.packages import SealedPackage
from rolecall.evidence.plan import Plan
from rolecall.evidence.shard_header import ShardHeader, WhyNot
from rolecall.evidence.signing import Signer, Verifier
from rolecall.evidence.steps import planned
from rolecall.evidence.stores import FolderStore

WORKING = ".collecting"
"""The folder, in that of the packages, where plans and shards are kept: what is there is not collected again."""


class Collection(Protocol):
    """What is asked of one account."""

    @property
    def evidence(self) -> Evidence:
        """Whom to ask about shards."""

    def plan(self, day: date) -> Plan:
        """What a day covers. Raises AwsError, InvalidParameter."""


class CollectingAccount(HasRegions, Protocol):
    """What `aws.evidence_collection.CollectingAccount` offers; named here without importing it: boto3 loads slowly."""

    def unknown(self, regions: Sequence[str]) -> list[str]:
        """Those that boto3 does not know."""

    def collection(self, rule_name: str, regions: Sequence[str]) -> AbstractContextManager[Collection]:
        """What is asked of the account, in these regions. Raises AwsError."""

    def signing_key(self, key_id: str, region: str | None) -> AbstractContextManager[KmsSigner]:
        """A key of KMS. Raises AwsError, InvalidKey."""


def collect(  # noqa: PLR0913 - one argument for each option
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the packages are kept, one folder for each day.",
            show_default=False,
        ),
    ],
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="What signs: a file with a private key on P-256 as PEM, or the id, ARN or alias of a KMS key.",
            show_default=False,
        ),
    ],
    day: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="A day that is over, in UTC. Default: yesterday.", show_default=False),
    ] = None,
    rule_name: Annotated[
        str, typer.Option(metavar="NAME", help="The rule's own name; a conformance pack's suffix may follow it.")
    ] = "rolecall-ec2-instance-profile",
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.", show_default=False)
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="REGION", help="May be given several times. Default: your profile's.", show_default=False),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Every region that is enabled for the account.")
    ] = False,
    older_key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A key that signed packages before --key did, public or private, as PEM. May be given several times.",
            show_default=False,
        ),
    ] = None,
    begin: Annotated[
        bool,
        typer.Option(
            "--begin",
            help="Begin a chain with this day, whatever came before it: only if it cannot go on from the day before.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress; problems are named.")
    ] = False,
) -> None:
    """Collect one account's evidence and seal it as the package of a day.

    Asks AWS Config for its inventory, the rule's results and its recorder, region by region, and IAM for the
    credential report, of which only counts are kept; nothing in the account is changed. Collects what is there now:
    for a day that is long over, use `rolecall evidence replay`. Packages follow one another day by day, so run it
    every day. Interrupted, it goes on where it stopped.

    Needs config:DescribeConfigRules, config:SelectResourceConfig, config:GetComplianceDetailsByConfigRule,
    config:DescribeConfigurationRecorders, config:DescribeConfigurationRecorderStatus, iam:GenerateCredentialReport,
    iam:GetCredentialReport, and for a KMS key kms:GetPublicKey, kms:Sign and kms:Verify.

    **Examples**

    ```
    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    rolecall evidence collect --output evidence --key key.pem --all-regions
    rolecall evidence collect --output evidence --key alias/Rolecall-evidence --profile audit --region eu-west-1
    ```

    **Exit codes**

    - `0` the package is sealed
    - `2` an option is wrong, or something could not be collected or sealed
    """
    wanted = _over(day)
    refuse_no_rule_name(rule_name, "--rule-name")
    refuse_no_folder(output, "--output")
    local = _local_key(key)
    older_keys = [either_key(path, "--older-key") for path in older_key or ()]
    account, regions = choose_regions(partial(_account, profile), region or [], all_regions=all_regions)
    for unknown in account.unknown(regions):
        say(f"{unknown} is no region that boto3 knows: unless it is a new one, look at --region")
    try:
        # Before anything is collected: what is kept of a day that cannot be sealed stands in the way of others.
        package_to_follow(FolderStore(output / WORKING), FolderStore(output), wanted, asked=begin)
        with nullcontext(local) if local else account.signing_key(key, regions[0]) as signer:
            with account.collection(rule_name, regions) as collection:
                plan = _collected(output, collection, regions, wanted, quiet=quiet)
            package = _sealed(output, plan, signer, older_keys, begin=begin)
            public_keys = write_public_keys(output, signer, older_keys)
    except RolecallError as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None
    except OSError as error:
        complain(f"{error.filename or output}: {error.strerror or error}")
        raise typer.Exit(UNUSABLE) from None
    _refuse_missing_files(output, package)
    if not quiet:
        _sum_up(output, package, public_keys)


def _over(text: str | None) -> date:
    today = datetime.now(UTC).date()
    day = read_day(text, "--day") or today - timedelta(days=1)
    if day >= today:
        raise typer.BadParameter(f"{day} is not over; allowed: a day before {today}, in UTC", param_hint="--day")
    if day < today - timedelta(days=1):
        say(f"{day}: what is collected is what there is now, not what there was on that day")
    return day


def _account(profile: str | None) -> CollectingAccount:
    from rolecall.aws.evidence_collection import CollectingAccount  # noqa: PLC0415 - boto3 loads slowly

    return CollectingAccount(profile)


def _local_key(key: str) -> Signer | None:
    """The key in a file; None for one of KMS. Raises BadParameter for what is neither."""
    path = Path(key)
    if path.exists() and not path.is_dir():
        return private_key(path, "--key")
    if not KMS_KEY.fullmatch(key):
        raise typer.BadParameter(f"{shown(key)} is no file, and no id, ARN or alias of a KMS key", param_hint="--key")
    return None


def _collected(output: Path, collection: Collection, regions: Sequence[str], day: date, *, quiet: bool) -> Plan:
    """The plan, whose shards are all there. Raises Exit once it said which are not."""
    working = output / WORKING
    working.mkdir(parents=True, exist_ok=True)
    store = FolderStore(working)
    plan = planned(store, day, lambda: collection.plan(day))
    _refuse_another_plan(plan, collection.evidence.own_rule_name, regions, working)
    collector = Collector(collection.evidence, store, lambda: datetime.now(UTC))
    bar = ProgressBar("shards", len(plan.shards), wanted=not quiet)
    headers: list[ShardHeader] = []
    try:
        for item in plan.shards:
            bar.describe(item.region)
            try:
                made = collector.collect(item)
            except (AwsError, InvalidInput) as error:
                bar.hide()
                complain(f"{item.region}: {error}")
            else:
                headers.append(made.header)
                _note(made.header, bar)
            bar.advance(1)
    finally:
        bar.hide()
    if missing := len(plan.shards) - len(headers):
        complain(f"{missing} of {len(plan.shards)} regions could not be collected: run it again to go on")
        raise typer.Exit(UNUSABLE)
    _refuse_where_nothing_is_ours(plan, headers, working)
    return plan


def _refuse_where_nothing_is_ours(plan: Plan, headers: Sequence[ShardHeader], working: Path) -> None:
    """Raise Exit if no region is covered and none has the rule: the options may be wrong, and a day is sealed once.

    Where the rule is, they are right. What its recorder does, or that nobody may look at it, is for the package to say.
    """
    if any(header.covered or header.rule_name for header in headers):
        return
    # What was found out does not stand in the way of the right options.
    for kept in ("plans", "shards"):
        shutil.rmtree(working / kept / plan.day.isoformat(), ignore_errors=True)
    unknown = any(header.why_not is WhyNot.RECORDER_UNKNOWN for header in headers)
    look_at = "--rule-name, --region and the right to read the recorder" if unknown else "--rule-name and --region"
    complain(
        f"{plan.day}: nothing is sealed, as no region is covered and none has the rule {plan.rule_name}: "
        f"look at {look_at}"
    )
    raise typer.Exit(UNUSABLE)


def _refuse_another_plan(plan: Plan, rule_name: str, regions: Sequence[str], working: Path) -> None:
    """Raise Exit if the day was planned before, for another rule or other regions: that would be sealed, not this."""
    planned_for = f"rule {plan.rule_name} in {', '.join(item.region for item in plan.shards)}"
    asked_for = f"rule {rule_name} in {', '.join(sorted(set(regions)))}"
    if planned_for != asked_for:
        places = " and ".join(str(working / kept / plan.day.isoformat()) for kept in ("plans", "shards"))
        complain(f"{plan.day} was planned for {planned_for}, not {asked_for}: remove {places} to plan it anew")
        raise typer.Exit(UNUSABLE)


def _note(header: ShardHeader, bar: ProgressBar) -> None:
    uncovered = f"not covered: {': '.join(filter(None, (header.why_not, header.detail)))}" if header.why_not else ""
    for problem in (uncovered, header.keys_problem):
        if problem:
            bar.hide()
            say(f"{header.region}: {problem}")


def _sealed(output: Path, plan: Plan, signer: Signer, older_keys: Sequence[Verifier], *, begin: bool) -> SealedPackage:
    from rolecall.evidence.packaging import sealed  # noqa: PLC0415 - templates and charts load slowly

    working, packages = FolderStore(output / WORKING), FolderStore(output)
    return sealed(working, packages, plan.day, signer, older_keys=older_keys, begins_chain=begin)


def _refuse_missing_files(output: Path, package: SealedPackage) -> None:
    """Raise Exit once it said so: a day that was sealed before may have lost files since."""
    day = package.manifest.day
    missing = [file.path for file in package.manifest.files if not (output / f"{day}" / file.path).is_file()]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        complain(f"{day} is sealed, but {missing[0]}{more} of it is missing: see rolecall evidence verify")
        raise typer.Exit(UNUSABLE)


def _sum_up(output: Path, package: SealedPackage, public_keys: Sequence[Path]) -> None:
    totals, day = package.manifest.totals, package.manifest.day
    out = console(sys.stdout)
    out.print(
        f"{day}: {totals.population:,} instances: {totals.compliant:,} with a role, {totals.exempt:,} exempt, "
        f"{totals.non_compliant:,} non-compliant, {totals.not_applicable:,} not applicable, "
        f"{totals.unevaluated:,} unevaluated."
    )
    out.print(f"Sealed as number {package.manifest.sequence:,}; the report: {output / day.isoformat() / 'report.html'}")
    for other in other_public_keys(output, public_keys):
        say(f"{other} is not pinned below, as no --older-key names it: packages that it signed verify with it alone")
    pinned = [part for path in public_keys for part in ("--public-key", str(path))]
    command = ["rolecall", "evidence", "verify", str(output), *pinned]
    out.print(f"Verify: {shlex.join([*command, '--until', day.isoformat()])}")
