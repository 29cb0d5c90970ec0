"""What must wake somebody about evidence: a day without a package is a hole that nobody can fill later."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import AlarmGroup
from infra.evidence_ledger import BUFFER_SECONDS, Ledger
from infra.evidence_workflow import Workflow
from infra.metrics import MINUTES, NAMESPACE
from infra.settings import Settings

SEALED_METRIC = "PackagesSealed"
"""Written by the seal function, one for each package, with the rule's name as `service`."""

SEALED_WITHIN_HOURS = 26
"""A package a day, and two hours for a run to take longer than the one before."""

LATE_SECONDS = 3600
"""Age of the oldest record that Firehose has not delivered; it gives up after 24 hours."""

FAILURES = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")


class EvidenceAlarms(AlarmGroup):
    """One alarm for each way in which evidence can be missing."""

    def __init__(  # noqa: PLR0913  # what it watches, and whom it tells
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        ledger: Ledger,
        workflow: Workflow,
        topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, topic=topic)
        period = Duration.minutes(MINUTES)
        self.every = [
            *(
                self.alarm(
                    failure,
                    _of_executions(failure, workflow),
                    "a run of the evidence state machine did not end well, and its day has no package. Run the day "
                    "again once the cause is mended: docs/evidence.md",
                )
                for failure in FAILURES
            ),
            self.alarm(
                "NoPackageSealed",
                cloudwatch.Metric(
                    namespace=NAMESPACE,
                    metric_name=SEALED_METRIC,
                    dimensions_map={"service": settings.rule_name},
                    statistic="Sum",
                    period=Duration.hours(1),
                ),
                f"no evidence package was sealed in {SEALED_WITHIN_HOURS} hours",
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                periods=SEALED_WITHIN_HOURS,
                # A schedule that does not start anything reports nothing: that is what this alarm is about.
                missing=cloudwatch.TreatMissingData.BREACHING,
            ),
            self.alarm(
                "LedgerDeadLetters",
                ledger.dead_letters.metric_approximate_number_of_messages_visible(period=period),
                "EventBridge could not hand verdicts to Firehose: the ledger lacks them",
            ),
            self.alarm(
                "LedgerLate",
                cloudwatch.Metric(
                    namespace="AWS/Firehose",
                    metric_name="DeliveryToS3.DataFreshness",
                    dimensions_map={"DeliveryStreamName": ledger.stream_name},
                    statistic="Maximum",
                    period=Duration.seconds(BUFFER_SECONDS),
                ),
                f"verdicts have waited for {LATE_SECONDS // 60} minutes to be written into the ledger; Firehose gives "
                "up after 24 hours",
                threshold=LATE_SECONDS,
            ),
        ]


def _of_executions(metric: str, workflow: Workflow) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/States",
        metric_name=metric,
        dimensions_map={"StateMachineArn": workflow.machine.attr_arn},
        statistic="Sum",
        period=Duration.minutes(MINUTES),
    )
