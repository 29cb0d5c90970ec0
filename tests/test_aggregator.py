import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.faults import FaultKind
from rolecall.aws.aggregator import AggregatedRule, Aggregator, SourceStatus
from rolecall.aws.clients import Deadline, client
from rolecall.errors import ServiceError
from rolecall.items import configuration_item
from rolecall.record import timestamp
from rolecall.recorded_results import RecordedResult
from tests.builders import NOW, REGION, RULE_NAME, iso
from tests.local.aggregated import AUDIT, MEMBERS, NAME, ORGANIZATION, Organization
from tests.local.config_harness import INSTANCE, evaluation, instance_id, running_config

SESSION = boto3.Session(aws_access_key_id=AUDIT, aws_secret_access_key="local", region_name=REGION)  # noqa: S106 - verified by nobody
"""One for all tests: a session reads the service models once."""


class Aggregated(Organization):
    """The organization, and rolecall's own reader of its aggregator."""

    made: Any = None
    """rolecall's own client."""

    def reader(self, name: str = NAME) -> Aggregator:
        """With a client of its own."""
        return Aggregator(self.made, name, Deadline())


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aggregated]:
    """Nothing is recorded yet."""
    with running_config() as config:
        monkeypatch.setenv("AWS_ENDPOINT_URL", config.url)
        config.client().delete_config_rule(ConfigRuleName=RULE_NAME)
        made = Aggregated(config)
        made.made = client("config", Deadline(), SESSION)
        yield made
        made.made.close()


def test_sources(organization: Aggregated) -> None:
    """Each account and region with its status; the organization is one without a region."""
    organization.aggregators.sources.hold(MEMBERS[0], REGION, "FAILED", "AccessDenied", "no authorization")
    organization.aggregators.sources.hold(MEMBERS[1], REGION, "OUTDATED")
    organization.config.service.faults.inject("empty-page", "DescribeConfigurationAggregatorSourcesStatus")
    assert list(organization.reader().sources()) == [
        SourceStatus(ORGANIZATION, "", "SUCCEEDED", ""),
        SourceStatus(MEMBERS[0], REGION, "FAILED", "AccessDenied: no authorization"),
        SourceStatus(MEMBERS[1], REGION, "OUTDATED", ""),
        SourceStatus(AUDIT, REGION, "SUCCEEDED", ""),
    ]


def test_rows_are_configuration_items(organization: Aggregated) -> None:
    """Of all accounts, 100 to a page, empty pages followed."""
    organization.record(MEMBERS[0], *range(150))
    organization.record(MEMBERS[1], 1)
    organization.config.service.faults.inject("empty-page", "SelectAggregateResourceConfig", 2)
    items = [configuration_item(row) for row in organization.reader().instance_rows()]
    assert [(one.account, one.resource_id) for one in items] == [
        *((MEMBERS[0], instance_id(number)) for number in range(150)),
        (MEMBERS[1], instance_id(1)),
    ]
    calls = organization.config.service.journal.calls("SelectAggregateResourceConfig")
    assert {call.input["Limit"] for call in calls} == {100}
    assert len(calls) == 2 + 2


def test_rules_by_their_own_name(organization: Aggregated) -> None:
    """With or without a pack's suffix; another rule whose name only begins so is none of them."""
    organization.config.put_rule(MEMBERS[0], ConfigRuleName=f"{RULE_NAME}-other")
    other = organization.config.token(f"{RULE_NAME}-other", MEMBERS[0])
    organization.config.client(MEMBERS[0]).put_evaluations(Evaluations=[evaluation()], ResultToken=other)
    for account in MEMBERS:
        organization.judge(account, 1)
    organization.config.service.faults.inject("empty-page", "DescribeAggregateComplianceByConfigRules")
    reader = organization.reader()
    assert list(reader.rules(RULE_NAME)) == [
        AggregatedRule(account, REGION, organization.rule(account)) for account in MEMBERS
    ]
    assert list(reader.rules(organization.rule(MEMBERS[1]))) == [
        AggregatedRule(MEMBERS[1], REGION, organization.rule(MEMBERS[1]))
    ]
    assert list(reader.rules("ec2-instance")) == []


def test_results(organization: Aggregated) -> None:
    """As Config recorded them, to the last page; to the millisecond."""
    organization.judge(MEMBERS[0], *range(70))
    organization.judge(MEMBERS[0], *range(70, 140), ComplianceType="COMPLIANT", Annotation="EXEMPT: appliance")
    organization.config.service.faults.inject("empty-page", "GetAggregateComplianceDetailsByConfigRule", 2)
    results = list(organization.reader().results(organization.rule(MEMBERS[0]), MEMBERS[0], REGION))
    told = evaluation()
    assert results[0] == RecordedResult(
        INSTANCE, instance_id(0), "NON_COMPLIANT", told["Annotation"], told["OrderingTimestamp"], recorded_at=NOW
    )
    assert results[139][:4] == (INSTANCE, instance_id(139), "COMPLIANT", "EXEMPT: appliance")
    assert len(results) == 140


def test_times_are_in_utc_wherever_this_runs(organization: Aggregated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore answers them in the zone of the machine, and records tell them without a zone of their own."""
    organization.judge(MEMBERS[0], 1)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        [result] = organization.reader().results(organization.rule(MEMBERS[0]), MEMBERS[0], REGION)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert timestamp(result.ordering_timestamp) == iso(evaluation()["OrderingTimestamp"])
    assert result.recorded_at
    assert timestamp(result.recorded_at) == iso(NOW)


def test_throttling_is_waited_for(organization: Aggregated, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long listing meets it, and goes on."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    organization.record(MEMBERS[0], 1)
    organization.config.service.faults.inject(FaultKind.THROTTLE, "SelectAggregateResourceConfig", 3)
    assert len(list(organization.reader().instance_rows())) == 1


@pytest.mark.parametrize("method", ["sources", "instance_rows"])
def test_an_aggregator_that_is_not_there(organization: Aggregated, method: str) -> None:
    """AWS's own words say what to do."""
    with pytest.raises(ServiceError, match=r"NoSuchConfigurationAggregatorException: .* Check the configuration agg"):
        list(getattr(organization.reader("other"), method)())


def test_a_listing_that_is_cut_short_is_an_error(organization: Aggregated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the end of the listing."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    organization.record(MEMBERS[0], *range(150))
    rows = organization.reader().instance_rows()
    for _ in range(100):
        next(rows)
    organization.config.service.faults.inject(FaultKind.OUTAGE, "SelectAggregateResourceConfig", None, status=503)
    with pytest.raises(ServiceError, match="SelectAggregateResourceConfig failed: InternalFailure"):
        next(rows)
