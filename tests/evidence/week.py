"""Seven days in the life of an organization, told once for all that can live them."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Generic, TypeVar

from rolecall.aws.object_store import ObjectStore
from rolecall.evidence.packages import SealedPackage, read_package, read_whole
from tests.builders import Json, deleted_item, exemption_tags
from tests.evidence.living_organization import HOME, LivingOrganization

DAYS = 7
SOURCE_FAILED = ("FAILED", "AccessDenied", "Config may not be read there")
"""Status, code and message of an aggregator's source."""
RECORDER_FAILED = ("InsufficientDeliveryPolicyException", "The bucket takes nothing")
"""Code and message of a recorder."""

OrganizationT = TypeVar("OrganizationT", bound=LivingOrganization)


class Week(Generic[OrganizationT]):
    """Seven days of an organization, the last one yesterday, and what was known at the end of each."""

    def __init__(self, make: Callable[[date], OrganizationT]) -> None:
        """`make` makes the organization, on its first day."""
        self.days = [datetime.now(UTC).date() - timedelta(days=ago) for ago in range(DAYS, 0, -1)]
        self.organization = make(self.days[0])
        self.known: dict[date, Json] = {}
        self.answers: dict[date, Json] = {}

    def at(self, day: date, hour: int) -> None:
        """It becomes that time."""
        self.organization.become(datetime.combine(day, time(hour), UTC))

    def live(self) -> None:
        """What happens: launches, attachments, exemptions and their end, terminations, drift; each night a package.

        On the fourth day, evidence is hard to get: the aggregator cannot read one member, and another one has lost the
        collector's role. On the sixth day, a recorder fails.
        """
        for number, day in enumerate(self.days, 1):
            self.at(day, 6)
            self.organization.sweep()
            self.at(day, 9)
            self._happen(number)
            self.organization.deliver(day)
            self.known[day] = dict(self.organization.known())
            self.answers[day] = self.organization.run(day)

    def _happen(self, number: int) -> None:
        audit, shop, research = self.organization.accounts
        record, elsewhere = self.organization.record, self.organization.regions[-1]
        sources = self.organization.aws.config.aggregators.sources
        match number:
            case 1:
                record(audit, "i-audit")
                record(shop, "i-bare", profile=None)
                expires = str(self.days[2])
                record(
                    research, "i-appliance", elsewhere, profile=None, tags=exemption_tags("appliance", expires=expires)
                )
            case 2:
                record(shop, "i-bare", launched=self.organization.now - timedelta(days=1))
                record(shop, "i-short", profile=None)
            case 3:
                record(research, "i-stopped", state="stopped", profile=None)
            case 4:
                sources.hold(shop, HOME, *SOURCE_FAILED)
                self.organization.withdraw_role(research)
            case 5:
                sources.release(shop, HOME)
                self.organization.give_role(research)
                gone = deleted_item()
                record(shop, "i-short", **{name: gone[name] for name in ("configuration", "configurationItemStatus")})
                iam = self.organization.aws.client("iam", shop)
                iam.create_user(UserName="robot")
                iam.create_access_key(UserName="robot")
            case 6:
                record(audit, "i-audit", profile=None, launched=self.organization.now - timedelta(days=5))
                self.organization.config(shop).recorders.fail(*RECORDER_FAILED)
            case 7:
                self.organization.config(shop).recorders.start({"ConfigurationRecorderName": "default"})
                record(audit, "i-audit", launched=self.organization.now - timedelta(days=6))
                record(research, "i-late", profile=None)

    def packages(self) -> ObjectStore:
        """What was sealed."""
        return ObjectStore(self.organization.aws.client("s3"), self.organization.packages, "packages")

    def sealed(self, day: date) -> SealedPackage:
        """One package."""
        return read_package(self.packages(), day)

    def document(self, day: date, name: str) -> Any:  # noqa: ANN401 - JSON
        """A JSON file of a package."""
        return json.loads(read_whole(self.packages(), f"{day}/{name}", 10_000_000))
