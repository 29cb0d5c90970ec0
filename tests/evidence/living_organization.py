"""An organization in a local AWS whose days pass as fast as the tests want: what they do to it, and what it knows.

Who answers for the rule, carries its records and makes the packages is up to those that are made of it: handlers in
this process (`local_organization`), or all that the synthesized stacks deploy (`deployed_organization`).
"""

from abc import ABC, abstractmethod
from collections import Counter
from datetime import date, datetime
from typing import Any

from local.aws import LocalAws
from local.config_region import ConfigRegion
from tests.builders import Json, iso, notification_item

HOME = "eu-west-1"
COLLECTOR = "rolecall-collector"
ALIASES = ("shop", "research", "old")
"""What the accounts beside the audit account are called; the last one is closed."""


class LivingOrganization(ABC):
    """The audit account and two members, all with instances; a fourth account is closed."""

    aws: LocalAws
    now: datetime
    """Of their Configs, of the rule and of what arrives in the ledger."""
    accounts: tuple[str, str, str]
    closed: str
    regions: tuple[str, ...]
    """Where instances are; one at least, the home region first."""
    ledger: str
    packages: str
    """Names of buckets."""
    signing_key: str

    @abstractmethod
    def rule(self, account: str) -> str:
        """The rule's name there: each pack has a suffix of its own."""

    @abstractmethod
    def settle(self) -> None:
        """Whatever there is to be judged is judged after this."""

    @abstractmethod
    def deliver(self, day: date) -> None:
        """Everything is judged, and the records of it are in the ledger of `day`, which it is."""

    @abstractmethod
    def run(self, day: date) -> Json:
        """Plan, collect each shard and seal; what seal answers."""

    @abstractmethod
    def close(self) -> None:
        """Stop it."""

    @property
    def firehose(self) -> Any:  # noqa: ANN401 - boto3 makes it
        """An S3 client of the role that writes the ledger."""
        return self.aws.client("s3", role_arn=f"arn:aws:iam::{self.accounts[0]}:role/rolecall-evidence-ledger")

    def become(self, moment: datetime) -> None:
        """It becomes that time."""
        self.now = moment

    def config(self, account: str, region: str = HOME) -> ConfigRegion:
        """The account's Config."""
        return self.aws.config.region(account, region)

    def record(self, account: str, resource_id: str, region: str = HOME, **changes: Any) -> None:  # noqa: ANN401 - of an item
        """Something about an instance changed just now."""
        launched = changes.pop("launched", self.now)
        item = notification_item(
            resourceId=resource_id,
            awsAccountId=account,
            awsRegion=region,
            ARN=f"arn:aws:ec2:{region}:{account}:instance/{resource_id}",
            configurationItemCaptureTime=iso(self.now),
            **changes,
        )
        if item["configuration"]:
            attachment = {"attachTime": iso(launched), "deviceIndex": 0, "status": "attached"}
            item["configuration"]["networkInterfaces"] = [{"attachment": attachment}]
        self.config(account, region).record(item)
        self.settle()

    def sweep(self) -> None:
        """Every rule gets its daily notification."""
        for account in self.accounts:
            for region in self.regions:
                self.config(account, region).run_schedule(self.rule(account))
                self.settle()

    def known(self) -> Counter[str]:
        """What the Configs know, counted without rolecall: instances, and what is recorded of them."""
        counted: Counter[str] = Counter()
        for account in self.accounts:
            for region in self.regions:
                config = self.config(account, region)
                listed = {item["resourceId"] for item in config.current()}
                counted["population"] += len(listed)
                for result in config.results(self.rule(account)):
                    if result.resource_id in listed:
                        exempt = (result.annotation or "").startswith("EXEMPT:")
                        counted["exempt" if exempt else result.compliance_type] += 1
        return counted

    def withdraw_role(self, account: str) -> None:
        """The account loses its collector role, and whoever has a session of it loses that."""
        iam = self.aws.client("iam", account)
        role = iam.get_role(RoleName=COLLECTOR)["Role"]
        for policy in iam.list_role_policies(RoleName=COLLECTOR)["PolicyNames"]:
            iam.delete_role_policy(RoleName=COLLECTOR, PolicyName=policy)
        iam.delete_role(RoleName=COLLECTOR)
        self.aws.config.credentials.forget_sessions_of(role["Arn"])

    @abstractmethod
    def give_role(self, account: str) -> None:
        """The account gets its collector role (back)."""

    def found(self) -> tuple[str, str, str]:
        """The organization as AWS Organizations knows it: the ids of the other accounts, by `ALIASES`.

        moto lists accounts to the one that made the organization alone, so that is our audit account here: it knows
        no delegated administrator.
        """
        organizations = self.aws.client("organizations")
        organizations.create_organization(FeatureSet="ALL")
        made = [organizations.create_account(AccountName=one, Email=f"{one}@example.com") for one in ALIASES]
        first, second, closed = (str(one["CreateAccountStatus"]["AccountId"]) for one in made)
        organizations.close_account(AccountId=closed)
        return first, second, closed
