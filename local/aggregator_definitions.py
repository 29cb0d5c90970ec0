"""What PutConfigurationAggregator takes, in the words with which AWS refuses the rest."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.service_errors import ServiceError, invalid_parameter
from local.timestamps import wire

MAX_AGGREGATORS = 50
"""In one account and region: the default quota that AWS Config's documentation names."""

MAX_ACCOUNTS = 10_000
"""In one aggregator: likewise."""


@dataclass(frozen=True)
class Definition:
    """An aggregator as it is kept."""

    name: str
    arn: str
    accounts: tuple[str, ...] | None
    """None: those of the organization."""
    regions: tuple[str, ...] | None
    """None: all of them."""
    source: Mapping[str, Any]
    """The one aggregation source, as it was given."""
    created_ms: int
    updated_ms: int

    def described(self) -> dict[str, Any]:
        """The ConfigurationAggregator as the API answers it."""
        source = {"AllAwsRegions": self.regions is None, **self.source}
        kind = "OrganizationAggregationSource" if self.accounts is None else "AccountAggregationSources"
        return {
            "ConfigurationAggregatorName": self.name,
            "ConfigurationAggregatorArn": self.arn,
            kind: source if self.accounts is None else [source],
            "CreationTime": wire(self.created_ms),
            "LastUpdatedTime": wire(self.updated_ms),
        }


def checked(request: Mapping[str, Any], known: Definition | None, arn_prefix: str, now_ms: int) -> Definition:
    """The definition that a request makes, which already satisfies the service model.

    `known` is the aggregator that is replaced, `arn_prefix` what a new one's ARN begins with. Raises ServiceError.
    """
    listed = request.get("AccountAggregationSources") or []
    organization = request.get("OrganizationAggregationSource")
    if listed and organization:
        raise invalid_parameter(
            "The configuration aggregator cannot be created because your request contains both the "
            "AccountAggregationSource and the OrganizationAggregationSource. Include only one aggregation source and "
            "try again."
        )
    if not listed and not organization:
        raise invalid_parameter(
            "The configuration aggregator cannot be created because your request is missing either the "
            "AccountAggregationSource or the OrganizationAggregationSource. Include the appropriate aggregation source "
            "and try again."
        )
    if request.get("AggregatorFilters"):
        raise invalid_parameter("The local AWS Config aggregates everything: it carries out no AggregatorFilters")
    source = organization or listed[0]
    if organization and ":role/" not in organization["RoleArn"]:
        raise ServiceError("InvalidRoleException", f"The role '{organization['RoleArn']}' is not valid.")
    return Definition(
        name=request["ConfigurationAggregatorName"],
        arn=known.arn if known else f"{arn_prefix}config-aggregator-{_suffix()}",
        accounts=None if organization else _accounts(source["AccountIds"]),
        regions=_regions(source),
        source=source,
        created_ms=known.created_ms if known else now_ms,
        updated_ms=now_ms,
    )


def _accounts(ids: list[str]) -> tuple[str, ...]:
    accounts = tuple(dict.fromkeys(ids))
    if len(accounts) > MAX_ACCOUNTS:
        raise ServiceError(
            "LimitExceededException", f"An aggregator takes {MAX_ACCOUNTS} accounts at most, not {len(accounts)}"
        )
    return accounts


def _regions(source: Mapping[str, Any]) -> tuple[str, ...] | None:
    named, everywhere = source.get("AwsRegions"), source.get("AllAwsRegions")
    if named and everywhere:
        raise invalid_parameter(
            "Your configuration aggregator contains a list of regions and also specifies the use of all regions. You "
            "must choose one of these options."
        )
    if not named and not everywhere:
        raise invalid_parameter(
            "Your request does not specify any regions. Select AWS Config-supported regions and try again."
        )
    return tuple(dict.fromkeys(named)) if named else None


def _suffix() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
