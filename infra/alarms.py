"""What must wake somebody: AWS Config itself does not say when a custom rule fails or falls silent."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.function import RuleFunction
from infra.metrics import MINUTES, RuleMetrics
from infra.settings import Settings

SCHEDULE_GRACE_HOURS = 2
"""How much later than due a scheduled run may end."""

THROTTLED_PERIODS = 3
"""Lambda itself retries what it throttled; only throttling that lasts delays verdicts."""


class AlarmGroup(Construct):
    """Alarms that notify `topic`, if there is one; `every` holds them."""

    every: Sequence[cloudwatch.Alarm] = ()

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, topic: sns.ITopic | None) -> None:
        super().__init__(scope, construct_id)
        self._rule_name = settings.rule_name
        self._topic = topic

    def alarm(  # noqa: PLR0913  # each is a property of a CloudWatch alarm
        self,
        construct_id: str,
        metric: cloudwatch.Metric,
        description: str,
        *,
        threshold: int = 1,
        comparison: cloudwatch.ComparisonOperator = (cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD),
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """By default: `threshold` or more in each of `periods`, where no data means that nothing happened."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"AWS Config rule {self._rule_name}: {description}.",
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            datapoints_to_alarm=periods,
            treat_missing_data=missing,
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm


class Alarms(AlarmGroup):
    """One alarm for each way in which verdicts can be lost or late."""

    def __init__(  # noqa: PLR0913  # what it watches, and whom it tells
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: RuleFunction,
        metrics: RuleMetrics,
        topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, topic=topic)
        period = Duration.minutes(MINUTES)
        hours = settings.schedule_hours + SCHEDULE_GRACE_HOURS
        self.every = [
            self.alarm(
                "FunctionErrors",
                function.function.metric_errors(period=period),
                "the function failed; Lambda tries the same event twice more. The function's log says why",
            ),
            self.alarm(
                "DeadLetters",
                function.dead_letters.metric_approximate_number_of_messages_visible(period=period),
                "events wait in the dead-letter queue, given up after all retries: their instances keep an old verdict "
                "or have none",
            ),
            self.alarm(
                "LostEvents",
                function.function.metric("DeadLetterErrors", period=period, statistic="Sum"),
                "events were given up and did not even reach the dead-letter queue",
            ),
            self.alarm(
                "Throttles",
                function.function.metric_throttles(period=period),
                f"invocations have been throttled for {THROTTLED_PERIODS * MINUTES} minutes, and verdicts are late: "
                "more concurrent executions are needed than the account or the setting reservedConcurrency allows",
                periods=THROTTLED_PERIODS,
            ),
            self.alarm(
                "NoCompletedScheduledRun",
                metrics.completed_scheduled_runs(),
                f"no scheduled run was completed in {hours} hours: exemptions do not expire, and instances whose "
                "events were lost are not judged",
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                periods=hours,
                # A rule that is not invoked reports nothing: that is what this alarm is about.
                missing=cloudwatch.TreatMissingData.BREACHING,
            ),
        ]
