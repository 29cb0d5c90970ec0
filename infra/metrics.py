"""The metrics that the function writes itself, as log lines in CloudWatch's embedded metric format.

Named here once, for alarms and dashboard; those of Lambda and SQS come with their constructs.
"""

from collections.abc import Iterator

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from rolecall.findings.identity import ComplianceStatus
from rolecall.model import Reason

NAMESPACE = "Rolecall"
"""The function's POWERTOOLS_METRICS_NAMESPACE."""

FINDINGS_METRICS = ("FindingsSuperseded", "FindingsRetried", "FindingsGivenUp", "SecurityHubNotEnabled")
"""Of the findings function: records that became no finding, by what became of them."""

MINUTES = 5
"""Length of a period, unless a metric says otherwise."""


class _Metrics:
    def __init__(self, rule_name: str) -> None:
        self._rule_name = rule_name

    def _metric(
        self,
        name: str,
        *,
        statistic: str = "Sum",
        label: str | None = None,
        minutes: int = MINUTES,
        dimensions: dict[str, str] | None = None,
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._rule_name, **(dimensions or {})},
            statistic=statistic,
            label=label,
            period=Duration.minutes(minutes),
        )


class RuleMetrics(_Metrics):
    """The metrics of the rule with this name, which is their dimension `service`."""

    def evaluations(self) -> Iterator[cloudwatch.Metric]:
        """Evaluations put, one metric for each reason code; the reason decides the compliance type."""
        for reason in Reason:
            dimensions = {"ComplianceType": reason.compliance_type.value, "Reason": reason.value}
            yield self._metric("Evaluations", dimensions=dimensions, label=reason.value)

    def failures(self) -> cloudwatch.Metric:
        """Invocations that ended in an error."""
        return self._metric("Failures")

    def put_latency(self, statistic: str) -> cloudwatch.Metric:
        """Milliseconds from the capture of a change to its evaluation."""
        return self._metric("PutLatency", statistic=statistic, label=statistic)

    def completed_scheduled_runs(self) -> cloudwatch.Metric:
        """Scheduled runs that reported all they found, by the hour."""
        return self._metric("CompletedScheduledRuns", minutes=60)

    def sweeps(self) -> Iterator[cloudwatch.Metric]:
        """What scheduled runs saw, what of it differed from what was recorded, and what of that they put."""
        yield from map(self._metric, ("SweepSeen", "SweepDifferences", "SweepRepaired"))

    def roles_not_assumed(self) -> cloudwatch.Metric:
        """Invocations for an account whose role is not there, or does not let itself be assumed."""
        return self._metric("RoleNotAssumed")


class FindingsMetrics(_Metrics):
    """The metrics of the findings of the rule with this name; the same dimension."""

    def imported(self) -> Iterator[cloudwatch.Metric]:
        """Findings that Security Hub accepted, one metric for each compliance status."""
        for status in ComplianceStatus:
            yield self._metric("FindingsImported", dimensions={"Status": status.value}, label=status.value)

    def others(self) -> Iterator[cloudwatch.Metric]:
        """Records that became no finding, yet or at all."""
        yield from map(self._metric, FINDINGS_METRICS)
