"""Whom evidence is asked of: AWS Organizations, an aggregator, AWS Config and IAM in the accounts themselves."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from rolecall.aws.aggregator import Aggregator
from rolecall.aws.clients import Deadline, calling
from rolecall.aws.config_service import ConfigService
from rolecall.aws.member_sessions import REFUSED
from rolecall.aws.paging import pages
from rolecall.errors import ServiceError
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import OrganizationAccount, ShardItem, Source, is_named
from rolecall.evidence.shard_header import Recorder
from rolecall.parameters import parse_parameters
from rolecall.recorded_results import RecordedResult
from rolecall.recording import instance_frequency, records_instances

REPORT_POLLS = 30
REPORT_SECONDS = 2
"""A credential report takes some seconds; of an account with thousands of users, up to a minute."""

AnswerT = TypeVar("AnswerT")

_NOT_READY = frozenset(("ReportNotPresent", "ReportExpired", "ReportInProgress"))
"""Codes of GetCredentialReport, where the report of a moment ago is gone: IAM API, GetCredentialReport."""


def organization_accounts(client: Any, deadline: Deadline) -> list[OrganizationAccount]:  # noqa: ANN401 - made by boto3
    """Every account of the organization, with its status. Raises ServiceError, OutOfTime."""
    return [
        OrganizationAccount(one["Id"], one.get("Name", ""), one.get("Status") or one.get("State") or "UNKNOWN")
        for answer in pages("ListAccounts", client.list_accounts, {}, deadline)
        for one in answer.get("Accounts", ())
    ]


def aggregated_sources(aggregator: Aggregator) -> list[Source]:
    """The accounts and regions of an aggregator; its organization as a whole is none. Raises as it does."""
    return [Source(one.account, one.region, one.status, one.error) for one in aggregator.sources() if one.region]


class Recorders:
    """The configuration recorder of one account and region."""

    def __init__(self, config_client: Any) -> None:  # noqa: ANN401 - made by boto3
        self._client = config_client

    def recorder(self) -> Recorder | None:
        """Of several, one that records instances; None if there is none. Raises ServiceError."""
        with calling("DescribeConfigurationRecorders"):
            recorders = self._client.describe_configuration_recorders()["ConfigurationRecorders"]
        if not recorders:
            return None
        chosen = next((one for one in recorders if records_instances(one)), recorders[0])
        with calling("DescribeConfigurationRecorderStatus"):
            statuses = self._client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
        status: Mapping[str, Any] = next((one for one in statuses if one["name"] == chosen["name"]), {})
        error = ": ".join(part for part in (status.get("lastErrorCode"), status.get("lastErrorMessage")) if part)
        return Recorder(
            recording=bool(status.get("recording")),
            records_instances=records_instances(chosen),
            frequency=instance_frequency(chosen),
            last_status=status.get("lastStatus"),
            last_error=error or None,
            last_status_change=status.get("lastStatusChangeTime"),
        )


class CredentialReports:
    """The IAM credential report of one account."""

    def __init__(
        self,
        iam_client: Any,  # noqa: ANN401 - made by boto3
        deadline: Deadline,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = iam_client
        self._deadline = deadline
        self._sleep = sleep

    def credential_report(self) -> tuple[bytes, datetime]:
        """The report, and when it was made: IAM makes a new one if the last is older than four hours.

        Raises ServiceError, also where it is not ready after a minute, and OutOfTime.
        """
        for _ in range(REPORT_POLLS):
            with calling("GenerateCredentialReport"):
                state = self._client.generate_credential_report().get("State")
            if state == "COMPLETE":
                report = self._made()
                if report:
                    return report
            self._deadline.check("GenerateCredentialReport", REPORT_SECONDS)
            self._sleep(REPORT_SECONDS)
        seconds = REPORT_POLLS * REPORT_SECONDS
        raise ServiceError("GenerateCredentialReport", "NotReady", f"the report is not ready after {seconds} seconds")

    def _made(self) -> tuple[bytes, datetime] | None:
        try:
            with calling("GetCredentialReport"):
                answer = self._client.get_credential_report()
        except ServiceError as error:
            if error.code in _NOT_READY:
                return None
            raise
        return answer["Content"], answer["GeneratedTime"]


@dataclass(frozen=True, slots=True)
class AccountServices:
    """One account, as `collecting.Account` asks for it."""

    recorders: Callable[[], Recorders]
    reports: Callable[[], CredentialReports]

    def recorder(self) -> Recorder | None:
        """The recorder of the region. Raises RoleNotAssumed, ServiceError."""
        return _once_more_if_refused(lambda: self.recorders().recorder())

    def credential_report(self) -> tuple[bytes, datetime]:
        """The credential report of the account. Raises RoleNotAssumed, ServiceError, OutOfTime."""
        return _once_more_if_refused(lambda: self.reports().credential_report())


def _once_more_if_refused(ask: Callable[[], AnswerT]) -> AnswerT:
    """`MemberServices` gives a session up that is refused. A new one may be welcome, if the role was made anew since.

    Without it, the session of a role that is gone would stand in a shard as the reason, and a shard stays as it is.
    """
    try:
        return ask()
    except ServiceError as error:
        if error.code not in REFUSED:
            raise
        return ask()


class OrganizationEvidence:
    """`collecting.Evidence` from an aggregator; what it does not know, a role in each account is asked for."""

    def __init__(
        self,
        aggregator: Aggregator,
        own_rule: RuleDefinition,
        recorders_of: Callable[[str, str], Recorders],
        reports_of: Callable[[str], CredentialReports],
    ) -> None:
        """`own_rule`: under the rule's own name, with the parameters as deployed, which an aggregator does not know."""
        self.own_rule_name = own_rule.name
        self._aggregator = aggregator
        self._own_rule = own_rule
        self._recorders_of = recorders_of
        self._reports_of = reports_of

    def rules(self, item: ShardItem) -> Mapping[str, RuleDefinition]:
        """Those that the plan found, as deployed."""
        return {name: RuleDefinition(name, None, self._own_rule.parameters) for name in item.rule_names}

    def deployed(self) -> RuleDefinition:
        """As the settings have it."""
        return self._own_rule

    def inventory(self, item: ShardItem) -> Iterator[object]:
        """The aggregator's rows of that account and region."""
        return self._aggregator.instance_rows(item.account, item.region)

    def results(self, item: ShardItem, rule_name: str) -> Iterator[RecordedResult]:
        """COMPLIANT and NON_COMPLIANT ones: an aggregator has no others."""
        return self._aggregator.results(rule_name, item.account, item.region)

    def account(self, item: ShardItem) -> AccountServices:
        """By its collector role."""
        return AccountServices(
            lambda: self._recorders_of(item.account, item.region), lambda: self._reports_of(item.account)
        )


class AccountEvidence:
    """`collecting.Evidence` from AWS Config in the one account that there is, region by region."""

    def __init__(
        self,
        own_rule: RuleDefinition,
        config_client_of: Callable[[str], Any],
        reports: Callable[[], CredentialReports],
        deadline: Deadline,
    ) -> None:
        """`config_client_of` gives the client of a region."""
        self.own_rule_name = own_rule.name
        self._own_rule = own_rule
        self._config_client_of = config_client_of
        self._reports = reports
        self._deadline = deadline

    def rules(self, item: ShardItem) -> Mapping[str, RuleDefinition]:
        """Ours, as AWS Config has them: name, ARN and parameters. Raises ServiceError, InvalidParameter."""
        call = self._config_client_of(item.region).describe_config_rules
        found: Sequence[Mapping[str, Any]] = [
            rule
            for answer in pages("DescribeConfigRules", call, {}, self._deadline)
            for rule in answer.get("ConfigRules", ())
            if is_named(self.own_rule_name, rule["ConfigRuleName"])
        ]
        return {
            one["ConfigRuleName"]: RuleDefinition(
                one["ConfigRuleName"], one.get("ConfigRuleArn"), parse_parameters(one.get("InputParameters"))
            )
            for one in sorted(found, key=lambda one: str(one["ConfigRuleName"]))
        }

    def deployed(self) -> RuleDefinition:
        """As the settings have it; a rule that is found goes before."""
        return self._own_rule

    def inventory(self, item: ShardItem) -> Iterator[object]:
        """The rows of AWS Config's own inventory."""
        return self._service(item).instance_rows()

    def results(self, item: ShardItem, rule_name: str) -> Iterator[RecordedResult]:
        """All that AWS Config keeps, NOT_APPLICABLE ones too."""
        return self._service(item).recorded_results(rule_name)

    def account(self, item: ShardItem) -> AccountServices:
        """With our own credentials."""
        return AccountServices(lambda: Recorders(self._config_client_of(item.region)), self._reports)

    def _service(self, item: ShardItem) -> ConfigService:
        return ConfigService(self._config_client_of(item.region), self._deadline)
