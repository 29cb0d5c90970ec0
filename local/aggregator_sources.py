"""What an aggregator gets to see: its accounts and regions, and what AWS Config recorded in each.

A source can be held, so that its copy lags behind or counts as failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.aggregator_definitions import Definition
from local.compliance import Result
from local.config_region import ConfigRegion
from local.configuration_items import Item
from local.timestamps import Clock, wire

Place = tuple[str, str]
"""Account and region."""

Status = dict[str, object]


@dataclass(frozen=True)
class _Held:
    """What is shown of one account and region instead of what is there."""

    items: Sequence[Item]
    results: Mapping[str, Sequence[Result]]
    """By the rule's name."""
    status: str
    code: str | None
    message: str | None


class Sources:
    """All accounts and regions. Not safe to use from many threads: the aggregators hold the lock.

    `regions` are those in which AWS Config was ever asked for something; `organizations` says which organization an
    account is in.
    """

    def __init__(self, regions: Mapping[Place, ConfigRegion], clock: Clock) -> None:
        self.organizations: Mapping[str, str] = {}
        self._regions = regions
        self._clock = clock
        self._held: dict[Place, _Held] = {}

    def hold(
        self, account: str, region: str, status: str = "SUCCEEDED", code: str | None = None, message: str | None = None
    ) -> None:
        """From now on every aggregator shows of this source what it shows at this moment, with that status.

        Raises ValueError for a status that AWS does not know.
        """
        if status not in ("SUCCEEDED", "FAILED", "OUTDATED"):
            raise ValueError(f"status is {status!r}; allowed: SUCCEEDED, FAILED, OUTDATED")
        place = account, region
        self._held[place] = _Held(self.items(place), self.results(place), status, code, message)

    def release(self, account: str, region: str) -> None:
        """From now on this source is up to date again."""
        self._held.pop((account, region), None)

    def places(self, home: Place, definition: Definition) -> list[Place]:
        """The accounts and regions of an aggregator whose home is that account and region."""
        accounts = definition.accounts
        if accounts is None:
            organization = self.organizations[home[0]]
            accounts = tuple(one for one, other in self.organizations.items() if other == organization)
        regions = definition.regions or {region for _, region in list(self._regions)}
        return [(account, region) for account in sorted(accounts) for region in sorted(regions)]

    def sees(self, home: Place, definition: Definition, place: Place) -> bool:
        """Whether a place is among them, without listing all."""
        account, region = place
        if definition.regions is not None and region not in definition.regions:
            return False
        if definition.accounts is not None:
            return account in definition.accounts
        return self.organizations.get(account) == self.organizations[home[0]]

    def items(self, place: Place) -> Sequence[Item]:
        """The last items of what is not deleted."""
        if held := self._held.get(place):
            return held.items
        region = self._recording(place)
        return region.current() if region else ()

    def results(self, place: Place) -> Mapping[str, Sequence[Result]]:
        """By the rule's name."""
        if held := self._held.get(place):
            return held.results
        region = self._recording(place)
        return region.results_by_rule() if region else {}

    def _recording(self, place: Place) -> ConfigRegion | None:
        region = self._regions.get(place)
        return region if region and region.recorders.exists else None

    def statuses(self, home: Place, definition: Definition) -> Iterator[Status]:
        """The AggregatedSourceStatus of each; an organization is one of its own, without a region."""
        now = wire(self._clock())
        if definition.accounts is None:
            organization: Status = {"SourceId": self.organizations[home[0]], "SourceType": "ORGANIZATION"}
            yield organization | {"LastUpdateStatus": "SUCCEEDED", "LastUpdateTime": now}
        for place in self.places(home, definition):
            account, region = place
            held = self._held.get(place)
            status: Status = {
                "SourceId": account,
                "SourceType": "ACCOUNT",
                "AwsRegion": region,
                "LastUpdateStatus": held.status if held else "SUCCEEDED",
                "LastUpdateTime": now,
                "LastErrorCode": held.code if held else None,
                "LastErrorMessage": held.message if held else None,
            }
            yield {name: value for name, value in status.items() if value is not None}
