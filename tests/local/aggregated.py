"""An organization whose audit account has a configuration aggregator in the strict local AWS Config."""

import json
from typing import Any

from tests.builders import REGION, RULE_NAME, Json, notification_item
from tests.local.config_harness import INSTANCE, Harness, answer_of, evaluation, instance_id

AUDIT = "999900001111"
MEMBERS = ("111122223333", "444455556666")
ORGANIZATION = "o-a1b2c3d4e5"
NAME = "everything"
ROLE_ARN = f"arn:aws:iam::{AUDIT}:role/aggregator"
QUERY = f"SELECT accountId, awsRegion, resourceId WHERE resourceType = '{INSTANCE}'"


class Organization:
    """An audit account with an aggregator over two members, whose rule has a suffix of each account's own."""

    def __init__(self, config: Harness) -> None:
        self.config = config
        self.aggregators = config.service.aggregators
        self.aggregators.sources.organizations = dict.fromkeys((AUDIT, *MEMBERS), ORGANIZATION)
        self.client = config.client(AUDIT)
        self.put(OrganizationAggregationSource={"RoleArn": ROLE_ARN, "AllAwsRegions": True})
        for account in MEMBERS:
            self.add_rule(account)

    def put(self, **request: object) -> Json:
        """PutConfigurationAggregator in the audit account."""
        return answer_of(self.client.put_configuration_aggregator, **{"ConfigurationAggregatorName": NAME, **request})

    def add_rule(self, account: str, region: str = REGION) -> None:
        """Start to record there, and add the rule."""
        self.config.service.region(account, region).start_recording()
        self.config.put_rule(account, region, ConfigRuleName=self.rule(account))

    def rule(self, account: str) -> str:
        """The name of the rule in a conformance pack."""
        return f"{RULE_NAME}-conformance-pack-{account[:4]}"

    def record(self, account: str, *numbers: int, region: str = REGION) -> None:
        """Instances enter the account's inventory."""
        self.config.service.region(account, region).load(
            notification_item(resourceId=instance_id(one), awsAccountId=account, awsRegion=region) for one in numbers
        )

    def judge(self, account: str, *numbers: int, region: str = REGION, **changes: object) -> None:
        """Results enter the account's compliance."""
        self.config.client(account, region).put_evaluations(
            Evaluations=[evaluation(ComplianceResourceId=instance_id(one), **changes) for one in numbers],
            ResultToken=self.config.token(self.rule(account), account, region),
        )

    def ask(self, operation: str, **request: object) -> Json:
        """An operation of the aggregator."""
        return answer_of(getattr(self.client, operation), ConfigurationAggregatorName=NAME, **request)

    def all(self, operation: str, member: str, **request: object) -> list[Any]:
        """What all pages hold."""
        pages = [self.ask(operation, **request)]
        while token := pages[-1].get("NextToken"):
            pages.append(self.ask(operation, **request, NextToken=token))
        return [one for page in pages for one in page[member]]

    def rows(self, expression: str = QUERY) -> list[Json]:
        """Rows of a query over everything."""
        return [
            json.loads(row) for row in self.all("select_aggregate_resource_config", "Results", Expression=expression)
        ]

    def results(self, account: str, region: str = REGION, **request: object) -> list[Json]:
        """The results of the account's rule."""
        place = {"AccountId": account, "AwsRegion": region}
        return self.all(
            "get_aggregate_compliance_details_by_config_rule",
            "AggregateEvaluationResults",
            ConfigRuleName=self.rule(account),
            **place,
            **request,
        )
