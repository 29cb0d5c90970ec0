"""Configuration items of a live account, region by region."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

import typer

from rolecall.cli.output import UNUSABLE
from rolecall.cli.screen import ProgressBar, complain
from rolecall.cli.subjects import ForRule, Found, Problem, Subject, said
from rolecall.errors import AwsError, InvalidItem, shown
from rolecall.items import REGION_NAME
from rolecall.model import ConfigurationItem


class Inventory(StrEnum):
    """Which service is asked for the instances."""

    CONFIG = "config"
    EC2 = "ec2"


class HasRegions(Protocol):
    """What any account knows of its regions."""

    default_region: str | None

    def enabled_regions(self) -> list[str]:
        """Those that are enabled."""


class Account(HasRegions, Protocol):
    """What `aws.live.LiveAccount` offers; it is named here without importing it, as boto3 takes its time to load."""

    def recorded(self, region: str) -> Iterator[ConfigurationItem | InvalidItem]:
        """What AWS Config recorded."""

    def described(self, region: str) -> Iterator[ConfigurationItem | InvalidItem]:
        """What EC2 describes."""


_Opened = TypeVar("_Opened", bound=HasRegions)


def live(
    account: Account, inventory: Inventory, regions: Sequence[str], for_rule: ForRule, bar: ProgressBar
) -> Iterator[Found]:
    """Every instance in `regions`; a region that cannot be read is a Problem and does not stop the others."""
    listings: dict[Inventory, Callable[[str], Iterator[ConfigurationItem | InvalidItem]]] = {
        Inventory.CONFIG: account.recorded,
        Inventory.EC2: account.described,
    }
    parameters = for_rule(None)
    for region in regions:
        bar.describe(region)
        try:
            for item in listings[inventory](region):
                if isinstance(item, InvalidItem):
                    yield Problem(f"{region}: {said(item)}")
                else:
                    yield Subject(item, parameters, f"{inventory}:{region}")
        except AwsError as error:
            yield Problem(f"{region}: {error}")
        bar.advance(1)


def live_account(profile: str | None) -> Account:
    """The account of `profile`. Raises AwsError."""
    from rolecall.aws.live import LiveAccount  # noqa: PLC0415 - boto3 loads slowly, and judging files needs none of it

    return LiveAccount(profile)


def refuse_no_region(region: str | None, option: str) -> None:
    """Raise BadParameter for what cannot be the name of a region; which ones there are, AWS knows."""
    if region is not None and not REGION_NAME.fullmatch(region):
        raise typer.BadParameter(f"region is {shown(region)}; allowed: as eu-west-1", param_hint=option)


def refuse_no_rule_name(name: str, option: str) -> None:
    """Raise BadParameter for a blank one, as an unset variable gives it."""
    if not name.strip():
        raise typer.BadParameter("is blank; allowed: the name of a rule of AWS Config", param_hint=option)


def choose_regions(
    opened: Callable[[], _Opened], regions: Sequence[str], *, all_regions: bool
) -> tuple[_Opened, Sequence[str]]:
    """The account that `opened` gives, and the regions that the options name, at least one.

    Raises BadParameter; Exit, once it said why.
    """
    if all_regions and regions:
        raise typer.BadParameter("leave it out beside --all-regions", param_hint="--region")
    for region in regions:
        refuse_no_region(region, "--region")
    try:
        account = opened()
        if all_regions:
            regions = account.enabled_regions()
    except AwsError as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None
    regions = list(dict.fromkeys(regions)) or [account.default_region or ""]
    if not all(regions):
        raise typer.BadParameter("name one, or --all-regions: the profile has none", param_hint="--region")
    return account, regions
