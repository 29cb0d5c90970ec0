"""What `rolecall doctor` reads of an account and its organization. Every call only reads; no other code uses this.

Answers are returned as AWS gave them, all pages together; `rolecall.cli.checks` says what they mean.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config

from rolecall import __version__
from rolecall.aws.clients import ATTEMPTS, CONNECT_SECONDS, HTTP_CLIENT_ERROR, READ_SECONDS, calling
from rolecall.aws.live import LiveAccount, making_client, told_from_strangers
from rolecall.errors import ServiceError
from rolecall.model import INSTANCE_TYPE

Answer = Mapping[str, Any]

READS = {
    "GetCallerIdentity": "sts",
    "DescribeOrganization": "organizations",
    "ListAccounts": "organizations",
    "ListAWSServiceAccessForOrganization": "organizations",
    "ListDelegatedAdministrators": "organizations",
    "ListDelegatedServicesForAccount": "organizations",
    "DescribeOrganizationsAccess": "cloudformation",
    "DescribeStackSet": "cloudformation",
    "ListStackInstances": "cloudformation",
    "ListStackSets": "cloudformation",
    "DescribeComplianceByConfigRule": "config",
    "DescribeConfigRules": "config",
    "DescribeConfigurationAggregators": "config",
    "DescribeConfigurationAggregatorSourcesStatus": "config",
    "DescribeConfigurationRecorders": "config",
    "DescribeConfigurationRecorderStatus": "config",
    "DescribeDeliveryChannels": "config",
    "DescribeDeliveryChannelStatus": "config",
    "GetDiscoveredResourceCounts": "config",
    "GetMetricStatistics": "cloudwatch",
    "GetAccountSettings": "lambda",
    "DescribeHub": "securityhub",
    "DescribeOrganizationConformancePackStatuses": "config",
    "GetOrganizationConformancePackDetailedStatus": "config",
}
"""Every operation that is called and its service, as boto3 and IAM name it; EC2's DescribeRegions comes to it."""

_HUB_IS_OFF = frozenset(["InvalidAccessException", "ResourceNotFoundException"])
_PERIOD_SECONDS = 3600


class Preflight(LiveAccount):
    """An account, read through one session from several threads. Every method raises ServiceError."""

    def __init__(self, profile: str | None) -> None:
        """`profile`: of the AWS configuration file; None means what the environment says."""
        super().__init__(profile)
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = Lock()

    def close(self) -> None:
        """Close the connections."""
        for made in self._clients.values():
            made.close()

    def identity(self, region: str) -> tuple[str, str]:
        """The account's id and its partition."""
        caller = self._call("GetCallerIdentity", region)
        return str(caller["Account"]), str(caller["Arn"]).split(":")[1]

    def organization(self, region: str) -> Answer | None:
        """The organization, or None if the account is in none."""
        try:
            answer: Answer = self._call("DescribeOrganization", region)["Organization"]
        except ServiceError as error:
            if error.code == "AWSOrganizationsNotInUseException":
                return None
            raise
        return answer

    def delegated_services(self, region: str, account: str) -> list[str]:
        """The service principals that `account` is a delegated administrator for."""
        try:
            found = self._all("ListDelegatedServicesForAccount", "DelegatedServices", region, AccountId=account)
        except ServiceError as error:
            if error.code == "AccountNotRegisteredException":
                return []
            raise
        return [service["ServicePrincipal"] for service in found]

    def delegated_administrators(self, region: str, principal: str) -> list[Answer]:
        """The accounts that administer the service of `principal`."""
        return self._all("ListDelegatedAdministrators", "DelegatedAdministrators", region, ServicePrincipal=principal)

    def trusted_services(self, region: str) -> list[str]:
        """The service principals with trusted access."""
        found = self._all("ListAWSServiceAccessForOrganization", "EnabledServicePrincipals", region)
        return [service["ServicePrincipal"] for service in found]

    def accounts(self, region: str) -> list[Answer]:
        """Every account of the organization."""
        return self._all("ListAccounts", "Accounts", region)

    def stack_sets_access(self, region: str, call_as: str) -> str:
        """Whether StackSets may act in the organization: ENABLED, DISABLED, DISABLED_PERMANENTLY."""
        return str(self._call("DescribeOrganizationsAccess", region, CallAs=call_as).get("Status", "no status"))

    def stack_set_names(self, region: str, call_as: str) -> list[str]:
        """The active StackSets."""
        found = self._all("ListStackSets", "Summaries", region, Status="ACTIVE", CallAs=call_as)
        return [stack_set["StackSetName"] for stack_set in found]

    def stack_set(self, region: str, call_as: str, name: str) -> Answer:
        """One StackSet."""
        answer: Answer = self._call("DescribeStackSet", region, StackSetName=name, CallAs=call_as)["StackSet"]
        return answer

    def stack_instances(self, region: str, call_as: str, name: str) -> list[Answer]:
        """Its instances."""
        return self._all("ListStackInstances", "Summaries", region, StackSetName=name, CallAs=call_as)

    def recorders(self, region: str) -> tuple[Sequence[Answer], Sequence[Answer]]:
        """The configuration recorders and their statuses."""
        recorders = self._call("DescribeConfigurationRecorders", region).get("ConfigurationRecorders", ())
        statuses = self._call("DescribeConfigurationRecorderStatus", region).get("ConfigurationRecordersStatus", ())
        return recorders, statuses

    def delivery_channels(self, region: str) -> tuple[Sequence[Answer], Sequence[Answer]]:
        """The delivery channels and their statuses."""
        channels = self._call("DescribeDeliveryChannels", region).get("DeliveryChannels", ())
        statuses = self._call("DescribeDeliveryChannelStatus", region).get("DeliveryChannelsStatus", ())
        return channels, statuses

    def rules(self, region: str) -> list[Answer]:
        """Every Config rule."""
        return self._all("DescribeConfigRules", "ConfigRules", region)

    def compliance_of(self, region: str, rule: str) -> str:
        """COMPLIANT, NON_COMPLIANT, or INSUFFICIENT_DATA where there is no result."""
        found = self._all("DescribeComplianceByConfigRule", "ComplianceByConfigRules", region, ConfigRuleNames=[rule])
        return str(found[0].get("Compliance", {}).get("ComplianceType", "INSUFFICIENT_DATA")) if found else "no answer"

    def recorded_instances(self, region: str) -> int:
        """How many EC2 instances Config has recorded."""
        counts = self._call("GetDiscoveredResourceCounts", region, resourceTypes=[INSTANCE_TYPE])
        return sum(count["count"] for count in counts.get("resourceCounts", ()))

    def completed_runs(self, region: str, rule: str, hours: int) -> Sequence[Answer]:
        """The hours of the last `hours` with a completed scheduled run of the function, as its own metric says."""
        now = datetime.now(UTC)
        answer = self._call(
            "GetMetricStatistics",
            region,
            Namespace="Rolecall",
            MetricName="CompletedScheduledRuns",
            Dimensions=[{"Name": "service", "Value": rule}],
            StartTime=now - timedelta(hours=hours),
            EndTime=now,
            Period=_PERIOD_SECONDS,
            Statistics=["Sum"],
        )
        points: Sequence[Answer] = answer.get("Datapoints", ())
        return points

    def concurrency(self, region: str) -> Answer:
        """Lambda's limits for the account."""
        limits: Answer = self._call("GetAccountSettings", region)["AccountLimit"]
        return limits

    def packs(self, region: str) -> list[Answer]:
        """The organization's conformance packs and how they are."""
        operation = "DescribeOrganizationConformancePackStatuses"
        return self._all(operation, "OrganizationConformancePackStatuses", region)

    def pack_accounts(self, region: str, pack: str) -> list[Answer]:
        """How a conformance pack is in each account."""
        return self._all(
            "GetOrganizationConformancePackDetailedStatus",
            "OrganizationConformancePackDetailedStatuses",
            region,
            OrganizationConformancePackName=pack,
        )

    def aggregators(self, region: str) -> list[Answer]:
        """The configuration aggregators."""
        return self._all("DescribeConfigurationAggregators", "ConfigurationAggregators", region)

    def failed_sources(self, region: str, aggregator: str) -> list[Answer]:
        """The accounts and regions that an aggregator could not read."""
        return self._all(
            "DescribeConfigurationAggregatorSourcesStatus",
            "AggregatedSourceStatusList",
            region,
            ConfigurationAggregatorName=aggregator,
            UpdateStatus=["FAILED"],
        )

    def hub(self, region: str) -> Answer | None:
        """Security Hub, or None where it is off."""
        try:
            return self._call("DescribeHub", region)
        except ServiceError as error:
            if error.code in _HUB_IS_OFF:
                return None
            raise

    def _all(self, operation: str, key: str, region: str, **request: object) -> list[Answer]:
        """What all pages hold under `key`; a page may be empty and still name a next one."""
        found: list[Answer] = []
        while True:
            answer = self._call(operation, region, **request)
            found += answer.get(key, ())
            token = answer.get("NextToken")
            if not token:
                return found
            if token == request.get("NextToken"):
                raise ServiceError(operation, "EndlessPages", "AWS answered with the token of the page it had given")
            request["NextToken"] = token

    def _call(self, operation: str, region: str, **request: object) -> Answer:
        with calling(operation):
            client = self._client(READS[operation], region)
            answer: Answer = getattr(client, xform_name(operation))(**request)
        return answer

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - made by boto3
        with self._making:  # a session makes clients for one thread at a time; the clients serve all
            made = self._clients.get((service, region))
            if made is None:
                config = Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                    user_agent=f"rolecall/{__version__} boto3/{boto3.__version__}",
                )
                with making_client():
                    made = self._session(region).client(service, config=config)  # type: ignore[call-overload]  # any service
                made.meta.events.register(f"before-parse.{made.meta.service_model.service_id.hyphenize()}", _refuse)
                self._clients[service, region] = told_from_strangers(made)
        return made


def _refuse(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's own
    # A proxy's page would pass for an empty answer, or stop botocore's parser with an error that is none of its own.
    name, body = operation_model.name, response_dict["body"].lstrip()
    json_protocol = "json" in operation_model.service_model.resolved_protocol
    answered = body.startswith(b"{") if json_protocol else f"<{name}Response".encode() in body[:1000]
    if response_dict["status_code"] < HTTP_CLIENT_ERROR and not answered:
        raise ServiceError(name, "UnreadableAnswer", f"AWS answered 200 with a body that is no {name}Response")
