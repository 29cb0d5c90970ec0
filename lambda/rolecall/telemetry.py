"""Structured logs and embedded metrics, for whoever gets paged.

Logs carry the rule, account, region, resource, verdict and message type of each invocation and its request id, never
an event or a result token. An invocation in test mode is logged only: what stores nothing must not satisfy an alarm,
nor set one off. Metrics have no account or resource dimension: each combination is billed as a metric of
its own, and an organization's would cost more than the rule.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from rolecall.errors import InvalidItem, ResultNotConfirmed, RolecallError, RoleNotAssumed
from rolecall.events import ChangeNotification, Invocation, OversizedNotification
from rolecall.model import ComplianceType, Evaluation, Reason


class PowertoolsTelemetry:
    """Implements `responding.Telemetry`; service and namespace come from POWERTOOLS_* environment variables."""

    def __init__(self) -> None:
        self._log = Logger(utc=True, use_rfc3339=True, log_uncaught_exceptions=False)
        self._metrics = Metrics()
        self._test_mode = False

    def started(self, event: object, request_id: str) -> None:
        """A new invocation begins: nothing of the one before may stand in its logs.

        The rule is named before anything is checked, so that a refusal says whose it is.
        """
        asked = event if isinstance(event, Mapping) else {}
        self._test_mode = False
        self._log.clear_state()
        self._log.append_keys(
            correlation_id=request_id, rule_name=asked.get("configRuleName"), account=asked.get("accountId")
        )

    def invoked(self, invocation: Invocation) -> None:
        """From here on every line says what Config asked about."""
        self._test_mode = invocation.test_mode
        self._log.append_keys(message_type=invocation.message_type, region=_region_of(invocation.rule.arn))
        match invocation.notification:
            case ChangeNotification(item) | OversizedNotification(item):
                self._log.append_keys(region=item.region, resource_id=item.resource_id)

    def evaluated(self, evaluation: Evaluation) -> None:
        """One line and two metrics for each change."""
        verdict = {"compliance_type": evaluation.compliance_type.value, "reason": evaluation.reason.value}
        self._log.info("evaluated", extra=verdict)
        if self._test_mode:
            return
        self._count(evaluation.compliance_type, evaluation.reason, 1)
        self._metrics.add_metric("PutLatency", MetricUnit.Milliseconds, _milliseconds_since(evaluation))
        self._metrics.flush_metrics()

    def problem(self, error: RolecallError) -> None:
        """One line: rolecall's errors name the field or the call, and never hold a token."""
        told = {"error": type(error).__name__}
        match error:
            case InvalidItem(resource=resource_id) | ResultNotConfirmed(resource_id=resource_id) if resource_id:
                told["resource_id"] = resource_id
        self._log.error(str(error), extra=told)

    def swept(
        self, repaired: Mapping[tuple[ComplianceType, Reason], int], *, seen: int, differences: int, completed: bool
    ) -> None:
        """One line, one metric for each reason, three of the run; CompletedScheduledRuns is what an alarm waits for."""
        total = sum(repaired.values())
        told = {"seen": seen, "differences": differences, "repaired": total, "completed": completed}
        self._log.info("scheduled run ended", extra=told)
        if self._test_mode:
            return
        for (compliance_type, reason), count in repaired.items():
            self._count(compliance_type, reason, count)
        self._metrics.add_metric("SweepSeen", MetricUnit.Count, seen)
        self._metrics.add_metric("SweepDifferences", MetricUnit.Count, differences)
        self._metrics.add_metric("SweepRepaired", MetricUnit.Count, total)
        if completed:
            self._metrics.add_metric("CompletedScheduledRuns", MetricUnit.Count, 1)
        self._metrics.flush_metrics()

    def failed(self, error: RolecallError) -> None:
        """The invocation ends with `error`, which Lambda will retry."""
        self.problem(error)
        if self._test_mode:
            return
        self._metrics.add_metric("Failures", MetricUnit.Count, 1)
        if isinstance(error, RoleNotAssumed):
            self._metrics.add_metric("RoleNotAssumed", MetricUnit.Count, 1)
        self._metrics.flush_metrics()

    def _count(self, compliance_type: ComplianceType, reason: Reason, count: int) -> None:
        self._metrics.add_dimension("ComplianceType", compliance_type.value)
        self._metrics.add_dimension("Reason", reason.value)
        self._metrics.add_metric("Evaluations", MetricUnit.Count, count)
        self._metrics.flush_metrics()


def _region_of(rule_arn: str) -> str | None:
    """The region of a rule's ARN; an event can hold any text there, which must not keep it from being answered."""
    parts = rule_arn.split(":")
    return parts[3] if len(parts) > 3 else None  # noqa: PLR2004 - arn:partition:service:region


def _milliseconds_since(evaluation: Evaluation) -> float:
    return (datetime.now(UTC) - evaluation.item.capture_time).total_seconds() * 1000
