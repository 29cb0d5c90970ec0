"""What an operator looks at: alarms, verdicts, failures, latency, and the function behind them."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.function import RuleFunction
from infra.metrics import RuleMetrics
from infra.organization_settings import OrganizationSettings
from infra.settings import Settings

HALF = 12
"""Columns, of 24."""


class RuleDashboard(Construct):
    """One dashboard for one rule; it opens with the last week. `further` rows follow its own."""

    def __init__(  # noqa: PLR0913  # what it shows
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: RuleFunction,
        metrics: RuleMetrics,
        alarms: Sequence[cloudwatch.IAlarm],
        further: Sequence[Sequence[cloudwatch.IWidget]] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        invoked = function.function
        given_up = function.dead_letters.metric_approximate_number_of_messages_visible(label="dead letters")
        status = cloudwatch.AlarmStatusWidget(title=f"Rule {settings.rule_name}", alarms=[*alarms], width=2 * HALF)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            default_interval=Duration.days(7),
            widgets=[
                [status],
                [
                    graph("Evaluations by reason", *metrics.evaluations(), stacked=True),
                    graph("Failures, completed runs", metrics.failures(), metrics.completed_scheduled_runs()),
                ],
                [
                    graph("From capture to evaluation, ms", *map(metrics.put_latency, ("p50", "p99"))),
                    graph("Events given up", given_up, invoked.metric("DeadLetterErrors", statistic="Sum")),
                ],
                [
                    graph("Invocations", *_invocations(invoked)),
                    graph("Duration, ms", *(invoked.metric_duration(statistic=each) for each in ("p50", "p99"))),
                ],
                [
                    graph("What sweeps saw and repaired", *metrics.sweeps()),
                    *_of_an_organization(settings, metrics),
                ],
                [
                    graph("Oldest event waiting, ms", invoked.metric("AsyncEventAge", statistic="Maximum")),
                    graph("Concurrent executions", invoked.metric("ConcurrentExecutions", statistic="Maximum")),
                ],
                *([*row] for row in further),
            ],
        )


def _of_an_organization(settings: Settings, metrics: RuleMetrics) -> list[cloudwatch.IWidget]:
    if not isinstance(settings, OrganizationSettings):
        return []
    return [graph("Roles of other accounts that were not assumed", metrics.roles_not_assumed())]


def _invocations(function: lambda_.IFunction) -> list[cloudwatch.Metric]:
    return [function.metric_invocations(), function.metric_errors(), function.metric_throttles()]


def graph(title: str, *metrics: cloudwatch.IMetric, stacked: bool = False) -> cloudwatch.GraphWidget:
    """A graph that begins at zero, half as wide as the dashboard."""
    axis = cloudwatch.YAxisProps(min=0)
    return cloudwatch.GraphWidget(title=title, left=[*metrics], width=HALF, stacked=stacked, left_y_axis=axis)
