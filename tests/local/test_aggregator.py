from collections.abc import Iterator

import pytest

from tests.builders import ACCOUNT, REGION, RULE_NAME, Json, deleted_item, iso, notification_item
from tests.local.aggregated import AUDIT, MEMBERS, NAME, ORGANIZATION, QUERY, ROLE_ARN, Organization
from tests.local.config_harness import (
    INSTANCE,
    Harness,
    answer_of,
    evaluation,
    instance_id,
    moments,
    refusal,
    running_config,
)


@pytest.fixture
def organization() -> Iterator[Organization]:
    """Nothing is recorded yet."""
    with running_config() as config:
        config.client().delete_config_rule(ConfigRuleName=RULE_NAME)
        yield Organization(config)


def _ids(results: list[Json]) -> list[str]:
    return [one["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"] for one in results]


def test_one_query_over_all_accounts_and_regions(organization: Organization) -> None:
    """The same language and rows as in one account; what is deleted is not there."""
    organization.add_rule(MEMBERS[1], "us-east-1")
    organization.record(MEMBERS[0], 1, 2)
    organization.record(MEMBERS[1], 3, region="us-east-1")
    organization.config.region.load(
        [deleted_item(resourceId=instance_id(2), configurationItemCaptureTime=moments(2)[1])]
    )
    assert organization.rows() == [
        {"accountId": MEMBERS[0], "awsRegion": REGION, "resourceId": instance_id(1)},
        {"accountId": MEMBERS[1], "awsRegion": "us-east-1", "resourceId": instance_id(3)},
    ]


def test_a_result_as_the_aggregator_shows_it(organization: Organization) -> None:
    """With the account and region, all of it."""
    organization.judge(MEMBERS[1], 1)
    [shown] = organization.results(MEMBERS[1])
    times = [shown.pop("ResultRecordedTime"), shown.pop("ConfigRuleInvokedTime")]
    assert [iso(one) for one in times] == [iso(organization.config.clock.now)] * 2
    ordering = shown["EvaluationResultIdentifier"].pop("OrderingTimestamp")
    assert iso(ordering) == iso(evaluation()["OrderingTimestamp"])
    assert shown == {
        "EvaluationResultIdentifier": {
            "EvaluationResultQualifier": {
                "ConfigRuleName": organization.rule(MEMBERS[1]),
                "ResourceType": INSTANCE,
                "ResourceId": instance_id(1),
                "EvaluationMode": "DETECTIVE",
            },
        },
        "ComplianceType": "NON_COMPLIANT",
        "Annotation": "NO_PROFILE: attach an instance profile.",
        "AccountId": MEMBERS[1],
        "AwsRegion": REGION,
    }


def test_what_is_not_applicable_is_dropped(organization: Organization) -> None:
    """Whoever reports exemptions so, loses them here."""
    organization.judge(MEMBERS[0], 1)
    organization.judge(MEMBERS[0], 2, ComplianceType="NOT_APPLICABLE")
    organization.judge(MEMBERS[0], 3, ComplianceType="COMPLIANT")
    assert _ids(organization.results(MEMBERS[0])) == [instance_id(1), instance_id(3)]
    assert _ids(organization.results(MEMBERS[0], ComplianceType="COMPLIANT")) == [instance_id(3)]


def test_rules_with_results(organization: Organization) -> None:
    """A rule without any is not listed; names carry the pack's suffix, and the count is capped."""
    organization.judge(MEMBERS[0], 1, 2, 3, ComplianceType="COMPLIANT")
    assert organization.all("describe_aggregate_compliance_by_config_rules", "AggregateComplianceByConfigRules") == [
        {
            "ConfigRuleName": organization.rule(MEMBERS[0]),
            "Compliance": {
                "ComplianceType": "COMPLIANT",
                "ComplianceContributorCount": {"CappedCount": 3, "CapExceeded": False},
            },
            "AccountId": MEMBERS[0],
            "AwsRegion": REGION,
        }
    ]
    for start in (0, 60):
        organization.judge(MEMBERS[1], *range(start, start + 60))
    [shown] = organization.all(
        "describe_aggregate_compliance_by_config_rules",
        "AggregateComplianceByConfigRules",
        Filters={"AccountId": MEMBERS[1]},
    )
    assert shown["Compliance"] == {
        "ComplianceType": "NON_COMPLIANT",
        "ComplianceContributorCount": {"CappedCount": 100, "CapExceeded": True},
    }


FILTERS: list[tuple[str, Json, int]] = [
    ("none", {}, 2),
    ("the exact name", {"ConfigRuleName": f"{RULE_NAME}-conformance-pack-1111"}, 1),
    ("the rule's own name is no prefix here", {"ConfigRuleName": RULE_NAME}, 0),
    ("account", {"AccountId": MEMBERS[1]}, 1),
    ("region", {"AwsRegion": "us-east-1"}, 0),
    ("compliance type", {"ComplianceType": "COMPLIANT"}, 1),
]


@pytest.mark.parametrize(("what", "filters", "count"), FILTERS, ids=[row[0] for row in FILTERS])
def test_filters_of_rules_are_exact(organization: Organization, what: str, filters: Json, count: int) -> None:
    """No wildcard, no prefix."""
    organization.judge(MEMBERS[0], 1)
    organization.judge(MEMBERS[1], 1, ComplianceType="COMPLIANT")
    found = organization.ask("describe_aggregate_compliance_by_config_rules", Filters=filters)
    assert len(found["AggregateComplianceByConfigRules"]) == count, what


def test_every_operation_pages_and_may_answer_with_an_empty_page(organization: Organization) -> None:
    """Whoever stops at the first page without rows misses the others."""
    organization.record(MEMBERS[0], *range(120))
    for start in (0, 60):
        organization.judge(MEMBERS[0], *range(start, start + 60))
    organization.config.service.faults.inject("empty-page", "*", 2)
    assert len(organization.results(MEMBERS[0])) == 120
    organization.config.service.faults.inject("empty-page", "*", 2)
    assert len(organization.rows()) == 120
    organization.config.service.faults.inject("empty-page", "*", 1)
    assert (
        len(organization.all("describe_aggregate_compliance_by_config_rules", "AggregateComplianceByConfigRules")) == 1
    )
    organization.config.service.faults.inject("empty-page", "*", 1)
    assert len(organization.all("describe_configuration_aggregator_sources_status", "AggregatedSourceStatusList")) == 4
    calls = [call.operation for call in organization.config.service.journal.calls()]
    assert calls.count("GetAggregateComplianceDetailsByConfigRule") == 2 + 3  # 50 to a page by default
    assert calls.count("SelectAggregateResourceConfig") == 2 + 5  # 25


def test_an_account_without_a_recorder_shows_nothing(organization: Organization) -> None:
    """And its source has SUCCEEDED nevertheless: that is about the authorization, so it proves no listing."""
    organization.aggregators.sources.organizations = {
        **organization.aggregators.sources.organizations,
        "777788889999": ORGANIZATION,
    }
    statuses = organization.all("describe_configuration_aggregator_sources_status", "AggregatedSourceStatusList")
    times = {one.pop("LastUpdateTime") for one in statuses}
    assert {iso(one) for one in times} == {iso(organization.config.clock.now)}
    assert statuses == [
        {"SourceId": ORGANIZATION, "SourceType": "ORGANIZATION", "LastUpdateStatus": "SUCCEEDED"},
        *(
            {"SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": REGION, "LastUpdateStatus": "SUCCEEDED"}
            for account in (*MEMBERS, "777788889999", AUDIT)
        ),
    ]
    organization.config.service.region("777788889999", REGION)
    assert organization.results("777788889999") == []


def test_a_source_that_fails(organization: Organization) -> None:
    """It says why, and shows what it showed before; filters find it."""
    organization.record(MEMBERS[0], 1)
    organization.aggregators.sources.hold(MEMBERS[0], REGION, "FAILED", "AccessDenied", "no authorization")
    organization.record(MEMBERS[0], 2)
    [failed] = organization.all(
        "describe_configuration_aggregator_sources_status", "AggregatedSourceStatusList", UpdateStatus=["FAILED"]
    )
    del failed["LastUpdateTime"]
    assert failed == {
        "SourceId": MEMBERS[0],
        "SourceType": "ACCOUNT",
        "AwsRegion": REGION,
        "LastUpdateStatus": "FAILED",
        "LastErrorCode": "AccessDenied",
        "LastErrorMessage": "no authorization",
    }
    assert [row["resourceId"] for row in organization.rows()] == [instance_id(1)]


def test_a_copy_that_lags_behind(organization: Organization) -> None:
    """Items and results are those of before, until it has caught up."""
    organization.aggregators.sources.hold(MEMBERS[0], REGION)
    organization.record(MEMBERS[0], 1)
    organization.judge(MEMBERS[0], 1)
    assert (organization.rows(), organization.results(MEMBERS[0])) == ([], [])
    organization.aggregators.sources.release(MEMBERS[0], REGION)
    assert (len(organization.rows()), len(organization.results(MEMBERS[0]))) == (1, 1)


COUNTS: list[tuple[str, Json, Json]] = [
    ("all", {}, {"TotalDiscoveredResources": 4}),
    ("of one type", {"Filters": {"ResourceType": INSTANCE}}, {"TotalDiscoveredResources": 3}),
    ("of an account", {"Filters": {"AccountId": MEMBERS[1]}}, {"TotalDiscoveredResources": 1}),
    ("of a region", {"Filters": {"Region": "us-east-1"}}, {"TotalDiscoveredResources": 1}),
    ("by account", {"GroupByKey": "ACCOUNT_ID"}, {
        "TotalDiscoveredResources": 4, "GroupByKey": "ACCOUNT_ID",
        "GroupedResourceCounts": [{"GroupName": MEMBERS[0], "ResourceCount": 3},
                                  {"GroupName": MEMBERS[1], "ResourceCount": 1}]}),
    ("by region", {"GroupByKey": "AWS_REGION", "Filters": {"ResourceType": INSTANCE}}, {
        "TotalDiscoveredResources": 3, "GroupByKey": "AWS_REGION",
        "GroupedResourceCounts": [{"GroupName": REGION, "ResourceCount": 2},
                                  {"GroupName": "us-east-1", "ResourceCount": 1}]}),
    ("by type", {"GroupByKey": "RESOURCE_TYPE"}, {
        "TotalDiscoveredResources": 4, "GroupByKey": "RESOURCE_TYPE",
        "GroupedResourceCounts": [{"GroupName": INSTANCE, "ResourceCount": 3},
                                  {"GroupName": "AWS::EC2::Volume", "ResourceCount": 1}]}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "request_", "expected"), COUNTS, ids=[row[0] for row in COUNTS])
def test_counts(organization: Organization, what: str, request_: Json, expected: Json) -> None:
    """What is discovered, filtered and grouped."""
    organization.add_rule(MEMBERS[1], "us-east-1")
    organization.record(MEMBERS[0], 1, 2)
    organization.record(MEMBERS[1], 3, region="us-east-1")
    organization.config.region.load([notification_item(resourceType="AWS::EC2::Volume", resourceId="vol-1")])
    assert organization.ask("get_aggregate_discovered_resource_counts", **request_) == expected, what


def test_an_aggregator_of_named_accounts_and_regions(organization: Organization) -> None:
    """It sees these alone."""
    organization.put(AccountAggregationSources=[{"AccountIds": [MEMBERS[1]], "AwsRegions": [REGION]}])
    for account in MEMBERS:
        organization.record(account, 1)
        organization.judge(account, 1)
    assert [row["accountId"] for row in organization.rows()] == [MEMBERS[1]]
    assert (organization.results(MEMBERS[0]), len(organization.results(MEMBERS[1]))) == ([], 1)
    assert organization.results(MEMBERS[1], "us-east-1") == []


def test_an_aggregator_as_it_is_described(organization: Organization) -> None:
    """Put again, it keeps its ARN and the time of its creation."""
    [first] = answer_of(organization.client.describe_configuration_aggregators)["ConfigurationAggregators"]
    again = organization.put(AccountAggregationSources=[{"AccountIds": [ACCOUNT], "AllAwsRegions": True}])
    assert first["OrganizationAggregationSource"] == {"RoleArn": ROLE_ARN, "AllAwsRegions": True}
    assert again["ConfigurationAggregator"] == {
        **{name: first[name] for name in ("ConfigurationAggregatorArn", "CreationTime", "LastUpdatedTime")},
        "ConfigurationAggregatorName": NAME,
        "AccountAggregationSources": [{"AccountIds": [ACCOUNT], "AllAwsRegions": True}],
    }


NO_SUCH = (
    "NoSuchConfigurationAggregatorException",
    "The configuration aggregator does not exist. Check the configuration aggregator name and try again.",
)


@pytest.mark.parametrize(
    ("account", "region"), [(MEMBERS[0], REGION), (AUDIT, "us-east-1")], ids=["another account", "another region"]
)
def test_an_aggregator_belongs_to_one_account_and_region(organization: Organization, account: str, region: str) -> None:
    """Nobody else knows it, not even those whose resources it shows."""
    client = organization.config.client(account, region)
    assert refusal(client.select_aggregate_resource_config, ConfigurationAggregatorName=NAME, Expression=QUERY) == (
        NO_SUCH
    )
    assert refusal(client.describe_configuration_aggregators, ConfigurationAggregatorNames=[NAME]) == NO_SUCH


ACCOUNTS = {"AccountIds": [ACCOUNT], "AllAwsRegions": True}

REFUSED: list[tuple[str, Json, str, str]] = [
    ("both kinds of sources",
     {"AccountAggregationSources": [ACCOUNTS],
      "OrganizationAggregationSource": {"RoleArn": ROLE_ARN, "AllAwsRegions": True}},
     "InvalidParameterValueException", "contains both the AccountAggregationSource and"),
    ("no source", {}, "InvalidParameterValueException", "is missing either the AccountAggregationSource or"),
    ("no region", {"AccountAggregationSources": [{"AccountIds": [ACCOUNT]}]},
     "InvalidParameterValueException", "does not specify any regions"),
    ("some regions and all", {"AccountAggregationSources": [{**ACCOUNTS, "AwsRegions": [REGION]}]},
     "InvalidParameterValueException", "and also specifies the use of all regions"),
    ("two lists of accounts", {"AccountAggregationSources": [ACCOUNTS, ACCOUNTS]},
     "ValidationException", "Member must have length less than or equal to 1"),
    ("more accounts than an aggregator takes",
     {"AccountAggregationSources": [{**ACCOUNTS, "AccountIds": [f"{number:012}" for number in range(10_001)]}]},
     "LimitExceededException", "10000 accounts at most"),
    ("what is no role", {"OrganizationAggregationSource": {"RoleArn": "aggregator", "AllAwsRegions": True}},
     "InvalidRoleException", "The role 'aggregator' is not valid."),
    ("filters, which are not carried out",
     {"AccountAggregationSources": [ACCOUNTS],
      "AggregatorFilters": {"ResourceType": {"Type": "INCLUDE", "Value": [INSTANCE]}}},
     "InvalidParameterValueException", "carries out no AggregatorFilters"),
    ("a name with a blank", {"ConfigurationAggregatorName": "a b", "AccountAggregationSources": [ACCOUNTS]},
     "ValidationException", "configurationAggregatorName"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "request_", "code", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refuses_an_aggregator(organization: Organization, what: str, request_: Json, code: str, message: str) -> None:
    """With AWS's code, and what is wrong."""
    put = organization.client.put_configuration_aggregator
    refused = refusal(put, **{"ConfigurationAggregatorName": NAME, **request_})
    assert (refused[0], message in refused[1]) == (code, True), what


def test_an_organization_is_needed(config: Harness) -> None:
    """An account that is in none cannot aggregate it."""
    source = {"RoleArn": ROLE_ARN, "AllAwsRegions": True}
    put = config.client(AUDIT).put_configuration_aggregator
    refused = refusal(put, ConfigurationAggregatorName=NAME, OrganizationAggregationSource=source)
    assert refused == ("NoAvailableOrganizationException", "The account is not a member of an organization.")


def test_fifty_aggregators(config: Harness) -> None:
    """The quota; one that is there may still be changed."""
    put = config.client().put_configuration_aggregator
    for number in range(50):
        put(ConfigurationAggregatorName=f"a-{number}", AccountAggregationSources=[ACCOUNTS])
    refused = refusal(put, ConfigurationAggregatorName="a-50", AccountAggregationSources=[ACCOUNTS])
    assert refused == ("LimitExceededException", "You have reached the limit of 50 aggregators.")
    put(ConfigurationAggregatorName="a-49", AccountAggregationSources=[ACCOUNTS])


LIMITS: list[tuple[str, str, Json]] = [
    ("101 rows", "select_aggregate_resource_config", {"Expression": QUERY, "Limit": 101}),
    ("4,097 characters of a query", "select_aggregate_resource_config", {"Expression": QUERY.ljust(4097)}),
    ("101 results", "get_aggregate_compliance_details_by_config_rule",
     {"ConfigRuleName": RULE_NAME, "AccountId": ACCOUNT, "AwsRegion": REGION, "Limit": 101}),
    ("an account of 11 digits", "get_aggregate_compliance_details_by_config_rule",
     {"ConfigRuleName": RULE_NAME, "AccountId": "11112222333", "AwsRegion": REGION}),
    ("results that are not applicable", "get_aggregate_compliance_details_by_config_rule",
     {"ConfigRuleName": RULE_NAME, "AccountId": ACCOUNT, "AwsRegion": REGION, "ComplianceType": "NOT_APPLICABLE"}),
    ("1,001 rules", "describe_aggregate_compliance_by_config_rules", {"Limit": 1001}),
    ("101 sources", "describe_configuration_aggregator_sources_status", {"Limit": 101}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "operation", "request_"), LIMITS, ids=[row[0] for row in LIMITS])
def test_refuses_more_than_the_limits(organization: Organization, what: str, operation: str, request_: Json) -> None:
    """As botocore's model of the service has them."""
    client = organization.config.client(AUDIT, validate=False)
    refused = refusal(getattr(client, operation), ConfigurationAggregatorName=NAME, **request_)
    assert refused[0] == "ValidationException", what


def test_throttling_and_the_journal(organization: Organization) -> None:
    """Faults and calls are those of every other operation."""
    organization.config.service.faults.inject("throttle", "SelectAggregateResourceConfig")
    select = organization.client.select_aggregate_resource_config
    refused = refusal(select, ConfigurationAggregatorName=NAME, Expression=QUERY)
    assert refused == ("ThrottlingException", "Rate exceeded")
    [call] = organization.config.service.journal.calls("SelectAggregateResourceConfig")
    assert (call.account, call.region, call.error) == (AUDIT, REGION, "throttle")


def test_a_status_that_makes_no_sense_is_refused(organization: Organization) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="status is 'LOST'; allowed: SUCCEEDED, FAILED, OUTDATED"):
        organization.aggregators.sources.hold(MEMBERS[0], REGION, "LOST")
