"""Structured logs and embedded metrics of the evidence functions, for whoever gets paged.

Metrics have no account dimension: each combination is billed as a metric of its own. The figures are those of
`kpis.json`, where their definitions stand.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from rolecall.errors import RolecallError
from rolecall.evidence.collecting import Collected
from rolecall.evidence.plan import Plan

SEALED_METRIC = "PackagesSealed"
"""What an alarm waits for, once a day."""

FIGURES: Mapping[str, tuple[str, MetricUnit]] = {
    "population": ("Instances", MetricUnit.Count),
    "compliant": ("InstancesWithRole", MetricUnit.Count),
    "exempt": ("InstancesExempt", MetricUnit.Count),
    "nonCompliant": ("InstancesNonCompliant", MetricUnit.Count),
    "notApplicable": ("InstancesNotApplicable", MetricUnit.Count),
    "unevaluated": ("InstancesUnevaluated", MetricUnit.Count),
    "ofAll": ("ShareWithRole", MetricUnit.Percent),
    "ofNotExempt": ("ShareWithRoleOfNotExempt", MetricUnit.Percent),
    "openEpisodes": ("OpenEpisodes", MetricUnit.Count),
    "activeKeys": ("ActiveAccessKeys", MetricUnit.Count),
    "rootActiveKeys": ("ActiveRootAccessKeys", MetricUnit.Count),
}
"""Figures of a day by their names in the trend of `kpis.json`, and the metrics that they become."""


class EvidenceTelemetry:
    """Service and namespace come from POWERTOOLS_* environment variables."""

    def __init__(self) -> None:
        self._log = Logger(utc=True, use_rfc3339=True, log_uncaught_exceptions=False)
        self._metrics = Metrics()

    def started(self, event: object, request_id: str) -> None:
        """A new invocation begins: nothing of the one before may stand in its logs."""
        asked = event if isinstance(event, Mapping) else {}
        self._log.clear_state()
        self._log.append_keys(
            correlation_id=request_id,
            **{name: asked[name] for name in ("day", "scheduledTime", "account", "region") if name in asked},
        )

    def planned(self, plan: Plan) -> None:
        """One line."""
        told = {"planned_day": plan.day.isoformat(), "shards": len(plan.shards), "gaps": len(plan.gaps)}
        self._log.info("planned", extra=told)

    def collected(self, collected: Collected) -> None:
        """One line for each shard."""
        self._log.info("collected", extra={"shard": collected.to_json()})

    def sealed(self, answer: Mapping[str, Any], figures: Mapping[str, Any], day: date, today: date) -> None:
        """One line; and the figures of the day before `today` as metrics. A figure that is not known is none.

        An alarm waits for PackagesSealed: an older day that is run again must not keep it silent, and its figures are
        not today's.
        """
        self._log.info("sealed", extra={"package": answer})
        if day != today - timedelta(days=1):
            return
        self._metrics.add_metric(SEALED_METRIC, MetricUnit.Count, 1)
        for name, (metric, unit) in FIGURES.items():
            value = figures.get(name)
            if isinstance(value, int | float):
                self._metrics.add_metric(metric, unit, value * 100 if unit is MetricUnit.Percent else value)
        self._metrics.flush_metrics()

    def failed(self, error: RolecallError) -> None:
        """The step ends with `error`; the state machine tries it again."""
        self._log.error(str(error), extra={"error": type(error).__name__})
