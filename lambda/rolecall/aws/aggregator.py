"""A configuration aggregator: what AWS Config recorded in all accounts and regions that it collects from.

Its copy lags behind by minutes. It has neither results that are NOT_APPLICABLE nor the parameters of a rule, and of a
place that it does not collect from, does not record or has no such rule, it shows nothing rather than an error.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from rolecall.aws.clients import Deadline
from rolecall.aws.config_service import INSTANCES_QUERY, ROWS_PER_PAGE, decoded_row, recorded_result
from rolecall.aws.paging import pages
from rolecall.received_record import PACK_SUFFIX

if TYPE_CHECKING:
    from rolecall.recorded_results import RecordedResult

SOURCES_PER_PAGE = 100
"""The most that DescribeConfigurationAggregatorSourcesStatus gives at once."""

RULES_PER_PAGE = 1000
"""The most that DescribeAggregateComplianceByConfigRules gives at once."""

SUCCEEDED = "SUCCEEDED"
"""The status of a source that the aggregator may read. It says nothing of whether anything is recorded there."""


class SourceStatus(NamedTuple):
    """One account and region from which an aggregator collects. The organization itself has no region."""

    account: str
    """Or the organization's id."""
    region: str
    status: str
    """SUCCEEDED, FAILED or OUTDATED."""
    error: str
    """Code and message, empty where there is none."""


class AggregatedRule(NamedTuple):
    """A rule of one account and region."""

    account: str
    region: str
    name: str
    """As AWS Config knows it: in a conformance pack with a suffix."""


class Aggregator:
    """One aggregator, with a client of AWS Config in its own account and region.

    Every method follows all pages, and raises ServiceError and OutOfTime.
    """

    def __init__(self, config_client: Any, name: str, deadline: Deadline) -> None:  # noqa: ANN401 - made by boto3
        self._client = config_client
        self._name = name
        self._deadline = deadline

    def sources(self) -> Iterator[SourceStatus]:
        """Every account and region, and how collecting from it went last."""
        call = self._client.describe_configuration_aggregator_sources_status
        operation = "DescribeConfigurationAggregatorSourcesStatus"
        for answer in pages(operation, call, self._request(Limit=SOURCES_PER_PAGE), self._deadline):
            for source in answer.get("AggregatedSourceStatusList", ()):
                told = (source.get("LastErrorCode"), source.get("LastErrorMessage"))
                yield SourceStatus(
                    source["SourceId"],
                    source.get("AwsRegion", ""),
                    source["LastUpdateStatus"],
                    ": ".join(part for part in told if part),
                )

    def instance_rows(self, account: str | None = None, region: str | None = None) -> Iterator[object]:
        """Every recorded instance as a decoded row, from one query; a row that is no JSON comes as its text.

        Of all accounts and regions, unless one is named: 12 digits, and the name of a region.
        """
        wanted = {"accountId": account, "awsRegion": region}
        only = "".join(f" AND {name} = '{value}'" for name, value in wanted.items() if value is not None)
        request = self._request(Expression=f"{INSTANCES_QUERY}{only}", Limit=ROWS_PER_PAGE)
        call = self._client.select_aggregate_resource_config
        for answer in pages("SelectAggregateResourceConfig", call, request, self._deadline):
            yield from map(decoded_row, answer.get("Results", ()))

    def rules(self, rule_name: str) -> Iterator[AggregatedRule]:
        """Where there is a rule of that name, or one that a conformance pack made of it, with at least one result."""
        # Filters match exactly, and the suffix differs from account to account.
        call = self._client.describe_aggregate_compliance_by_config_rules
        operation = "DescribeAggregateComplianceByConfigRules"
        for answer in pages(operation, call, self._request(Limit=RULES_PER_PAGE), self._deadline):
            for rule in answer.get("AggregateComplianceByConfigRules", ()):
                name = rule["ConfigRuleName"]
                if name == rule_name or name.startswith(f"{rule_name}{PACK_SUFFIX}"):
                    yield AggregatedRule(rule["AccountId"], rule["AwsRegion"], name)

    def results(self, rule_name: str, account: str, region: str) -> "Iterator[RecordedResult]":
        """Every COMPLIANT or NON_COMPLIANT result of a rule, by its full name, in one account and region."""
        request = self._request(ConfigRuleName=rule_name, AccountId=account, AwsRegion=region, Limit=ROWS_PER_PAGE)
        call = self._client.get_aggregate_compliance_details_by_config_rule
        for answer in pages("GetAggregateComplianceDetailsByConfigRule", call, request, self._deadline):
            yield from map(recorded_result, answer.get("AggregateEvaluationResults", ()))

    def _request(self, **members: object) -> dict[str, Any]:
        return {"ConfigurationAggregatorName": self._name, **members}
