"""What must wake somebody about findings, and what the dashboard shows of them."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import AlarmGroup
from infra.dashboard import HALF, graph
from infra.findings_function import FindingsFunction
from infra.findings_queue import FindingsQueue
from infra.metrics import MINUTES, FindingsMetrics
from infra.settings import Settings

LATE_SECONDS = 3600
"""A record that failed once is tried again after half an hour; one that is older failed twice, or waits its turn."""


class FindingsAlarms(AlarmGroup):
    """One alarm for each way in which findings can be lost or late."""

    def __init__(  # noqa: PLR0913  # what it watches, and whom it tells
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: FindingsFunction,
        queue: FindingsQueue,
        topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, topic=topic)
        period = Duration.minutes(MINUTES)
        self.every = [
            self.alarm(
                "Errors",
                function.function.metric_errors(period=period),
                "the findings function failed, and its whole batch is tried again. The function's log says why",
            ),
            self.alarm(
                "DeadLetters",
                queue.dead_letters.metric_approximate_number_of_messages_visible(period=period),
                "records wait in the dead-letter queue of the findings, each with its error: their findings are not "
                "what AWS Config says",
            ),
            self.alarm(
                "TargetDeadLetters",
                queue.target_dead_letters.metric_approximate_number_of_messages_visible(period=period),
                "EventBridge could not put records into the queue of the findings",
            ),
            self.alarm(
                "LateRecords",
                queue.queue.metric_approximate_age_of_oldest_message(period=period),
                f"records have waited for {LATE_SECONDS // 60} minutes to become findings: they fail, or more of them "
                "come than the setting findingsConcurrency allows for",
                threshold=LATE_SECONDS,
            ),
        ]


def findings_rows(
    function: FindingsFunction, queue: FindingsQueue, metrics: FindingsMetrics
) -> list[list[cloudwatch.IWidget]]:
    """Rows of a dashboard."""
    invoked = function.function
    given_up = (
        queue.dead_letters.metric_approximate_number_of_messages_visible(label="given up by the function"),
        queue.target_dead_letters.metric_approximate_number_of_messages_visible(label="refused by the queue"),
    )
    return [
        [
            graph("Findings imported by status", *metrics.imported(), stacked=True),
            graph("Records that became no finding", *metrics.others()),
        ],
        [
            graph("Records given up", *given_up),
            graph("Oldest record waiting, s", queue.queue.metric_approximate_age_of_oldest_message()),
        ],
        [
            graph(
                "Findings function",
                invoked.metric_invocations(),
                invoked.metric_errors(),
                invoked.metric_throttles(),
            ),
            graph(
                "Findings function, duration, ms", *(invoked.metric_duration(statistic=each) for each in ("p50", "p99"))
            ),
        ],
    ]


class FindingsDashboard(Construct):
    """A dashboard of the findings alone, where the rule's is in another stack; it opens with the last week."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        alarms: FindingsAlarms,
        rows: list[list[cloudwatch.IWidget]],
    ) -> None:
        super().__init__(scope, construct_id)
        title = f"Findings of rule {settings.rule_name}"
        status = cloudwatch.AlarmStatusWidget(title=title, alarms=[*alarms.every], width=2 * HALF)
        cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.days(7), widgets=[[status], *rows])
