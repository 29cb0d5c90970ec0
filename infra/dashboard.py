"""What an operator looks at: alarms, verdicts, failures, latency, and the function behind them."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import Alarms
from infra.function import RuleFunction
from infra.metrics import RuleMetrics
from infra.organization_settings import OrganizationSettings
from infra.settings import Settings

_HALF = 12
"""Columns, of 24."""


class RuleDashboard(Construct):
    """One dashboard for one rule; it opens with the last week."""

    def __init__(  # noqa: PLR0913  # what it shows
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: RuleFunction,
        metrics: RuleMetrics,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id)
        invoked = function.function
        given_up = function.dead_letters.metric_approximate_number_of_messages_visible(label="dead letters")
        status = cloudwatch.AlarmStatusWidget(title=f"Rule {settings.rule_name}", alarms=alarms.every, width=2 * _HALF)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            default_interval=Duration.days(7),
            widgets=[
                [status],
                [
                    _graph("Evaluations by reason", *metrics.evaluations(), stacked=True),
                    _graph("Failures, completed runs", metrics.failures(), metrics.completed_scheduled_runs()),
                ],
                [
                    _graph("From capture to evaluation, ms", *map(metrics.put_latency, ("p50", "p99"))),
                    _graph("Events given up", given_up, invoked.metric("DeadLetterErrors", statistic="Sum")),
                ],
                [
                    _graph("Invocations", *_invocations(invoked)),
                    _graph("Duration, ms", *(invoked.metric_duration(statistic=each) for each in ("p50", "p99"))),
                ],
                [
                    _graph("What sweeps saw and repaired", *metrics.sweeps()),
                    *_of_an_organization(settings, metrics),
                ],
                [
                    _graph("Oldest event waiting, ms", invoked.metric("AsyncEventAge", statistic="Maximum")),
                    _graph("Concurrent executions", invoked.metric("ConcurrentExecutions", statistic="Maximum")),
                ],
            ],
        )


def _of_an_organization(settings: Settings, metrics: RuleMetrics) -> list[cloudwatch.IWidget]:
    if not isinstance(settings, OrganizationSettings):
        return []
    return [_graph("Roles of other accounts that were not assumed", metrics.roles_not_assumed())]


def _invocations(function: lambda_.IFunction) -> list[cloudwatch.Metric]:
    return [function.metric_invocations(), function.metric_errors(), function.metric_throttles()]


def _graph(title: str, *metrics: cloudwatch.IMetric, stacked: bool = False) -> cloudwatch.GraphWidget:
    axis = cloudwatch.YAxisProps(min=0)
    return cloudwatch.GraphWidget(title=title, left=[*metrics], width=_HALF, stacked=stacked, left_y_axis=axis)
