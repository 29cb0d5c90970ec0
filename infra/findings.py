"""From evaluation records to Security Hub findings: queue and function together, and how they are watched."""

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.findings_alarms import FindingsAlarms, findings_rows
from infra.findings_function import VISIBILITY_SECONDS, FindingsFunction, Publishing
from infra.findings_queue import FindingsQueue
from infra.metrics import FindingsMetrics
from infra.settings import Settings


class Findings(Construct):
    """Takes the evaluation records on `bus` (a name, of this account and region) and keeps findings by them.

    `code` holds the deployment package. Without `publishing`, all records are of the function's own account.
    """

    def __init__(  # noqa: PLR0913  # where records come from, what runs, for whom
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        code: lambda_.Code,
        bus: str,
        publishing: Publishing | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self.queue = FindingsQueue(self, "Queue", bus=bus, visibility=Duration.seconds(VISIBILITY_SECONDS))
        self.function = FindingsFunction(
            self, "Function", settings=settings, code=code, queue=self.queue, publishing=publishing
        )

    def watch(self, topic: sns.ITopic | None) -> tuple[FindingsAlarms, list[list[cloudwatch.IWidget]]]:
        """Alarms that notify `topic`, outputs of the stack, and rows for a dashboard."""
        alarms = FindingsAlarms(
            self, "Alarms", settings=self._settings, function=self.function, queue=self.queue, topic=topic
        )
        for name, value, description in (
            ("FindingsFunctionName", self.function.function.function_name, "The findings function"),
            ("FindingsLogGroupName", self.function.log_group.log_group_name, "The findings function's log group"),
            ("FindingsTableName", self.function.table.table_name, "What was sent to Security Hub"),
            ("FindingsQueueUrl", self.queue.queue.queue_url, "Records on their way to Security Hub"),
            ("FindingsDeadLetterQueueUrl", self.queue.dead_letters.queue_url, "Records without a finding"),
        ):
            CfnOutput(Stack.of(self), name, value=value, description=description)
        return alarms, findings_rows(self.function, self.queue, FindingsMetrics(self._settings.rule_name))
