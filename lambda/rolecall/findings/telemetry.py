"""Structured logs and embedded metrics of the findings function.

Logs name record, account, region and finding; a message's body is never among them. Metrics have no account or
resource dimension, as those of the rule.
"""

from collections import Counter

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from rolecall.errors import HubNotEnabled, RolecallError, RoleNotAssumed
from rolecall.findings.claims import Claim, Message
from rolecall.findings.lifecycle import FindingRow
from rolecall.received_record import EvaluationRecord


class FindingsTelemetry:
    """Implements `importing.Telemetry`; service and namespace come from POWERTOOLS_* environment variables.

    Metrics are counted in memory and told once for each invocation.
    """

    def __init__(self) -> None:
        self._log = Logger(utc=True, use_rfc3339=True, log_uncaught_exceptions=False)
        self._metrics = Metrics()
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._not_enabled: set[tuple[str, str]] = set()

    def started(self, request_id: str) -> None:
        """A new invocation begins: nothing of the one before may stand in its logs."""
        self._log.clear_state()
        self._log.append_keys(correlation_id=request_id)
        self._counts.clear()
        self._statuses.clear()
        self._not_enabled.clear()

    def imported(self, record: EvaluationRecord, row: FindingRow) -> None:
        """One line for each finding."""
        told = {"status": row.status.value, "state": row.state.value, "reason": record.reason.value}
        self._log.info("imported", extra=told | _named(record) | {"finding_id": row.finding_id})
        self._statuses[row.status.value] += 1

    def superseded(self, messages: int) -> None:
        """Counted only."""
        self._counts["FindingsSuperseded"] += messages

    def not_enabled(self, error: HubNotEnabled, messages: int) -> None:
        """One line for an account and region in each invocation: there may be thousands of messages."""
        self._counts["SecurityHubNotEnabled"] += messages
        if (place := (error.account, error.region)) not in self._not_enabled:
            self._not_enabled.add(place)
            self._log.warning(str(error), extra={"account": error.account, "region": error.region})

    def retried(self, message: Message, claim: Claim | None, error: RolecallError) -> None:
        """One line for each message, which says what keeps it from being imported."""
        self._failed("FindingsRetried", message, claim, error)

    def gave_up(self, message: Message, claim: Claim | None, error: RolecallError) -> None:
        """One line for each message: it is in the dead-letter queue now."""
        self._failed("FindingsGivenUp", message, claim, error)

    def ended(self) -> None:
        """Tell the metrics of this invocation."""
        for status, count in self._statuses.items():
            self._metrics.add_dimension("Status", status)
            self._metrics.add_metric("FindingsImported", MetricUnit.Count, count)
            self._metrics.flush_metrics()
        for name, count in self._counts.items():
            self._metrics.add_metric(name, MetricUnit.Count, count)
        if self._counts:
            self._metrics.flush_metrics()

    def _failed(self, metric: str, message: Message, claim: Claim | None, error: RolecallError) -> None:
        told: dict[str, object] = {"message_id": message.id, "receives": message.receives}
        if claim:
            told |= _named(claim.record) | {"finding_id": claim.finding_id}
        given_up = metric == "FindingsGivenUp"
        self._log.error(str(error), extra=told | {"error": type(error).__name__, "given_up": given_up})
        self._counts[metric] += 1
        if isinstance(error, RoleNotAssumed):
            self._counts["RoleNotAssumed"] += 1


def _named(record: EvaluationRecord) -> dict[str, object]:
    return {
        "record_id": record.id,
        "account": record.account,
        "region": record.region,
        "resource_id": record.resource_id,
    }
