"""The AWS Config rule, and its permission to invoke the function."""

from aws_cdk import Aws, Stack
from aws_cdk import aws_config as config
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.settings import Settings
from rolecall.model import INSTANCE_TYPE

LOGICAL_ID = "Rule"
"""Pinned: a rule under another logical id is another rule, and the compliance history of the first is lost."""

CHANGE_MESSAGES = ("ConfigurationItemChangeNotification", "OversizedConfigurationItemChangeNotification")
"""Both are needed: an item above 256 KB is announced only by the second, and would else never be judged."""

SCHEDULE_MESSAGE = "ScheduledNotification"

CONFIG_PRINCIPAL = "config.amazonaws.com"
"""By which Config invokes functions."""


class ConfigRule(Construct):
    """Config invokes `function` for every change of an EC2 instance, and once in every period of the schedule."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, function: lambda_.IFunction) -> None:
        super().__init__(scope, construct_id)
        permission = own_account_permission(self, function)
        self.rule = config.CfnConfigRule(
            self,
            "Resource",
            config_rule_name=settings.rule_name,
            description="Every EC2 instance carries an IAM instance profile, or a documented reason not to.",
            scope=config.CfnConfigRule.ScopeProperty(compliance_resource_types=[INSTANCE_TYPE]),
            input_parameters=settings.rule_parameters.changed() or None,
            source=config.CfnConfigRule.SourceProperty(
                owner="CUSTOM_LAMBDA",
                source_identifier=function.function_arn,
                source_details=_source_details(settings),
            ),
        )
        self.rule.override_logical_id(LOGICAL_ID)
        # Config refuses a rule whose function it may not invoke.
        self.rule.node.add_dependency(permission)


def own_account_permission(scope: Construct, function: lambda_.IFunction) -> lambda_.CfnPermission:
    """Config may invoke `function` for rules of its own account and region; they depend on this."""
    # Written out, as the construct for rules pins neither ids nor the permission's source ARN.
    return lambda_.CfnPermission(
        scope,
        "InvokePermission",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal=CONFIG_PRINCIPAL,
        source_account=Aws.ACCOUNT_ID,
        # Any rule of this account and region: the rule's own id does not exist yet when Config checks this.
        source_arn=Stack.of(scope).format_arn(service="config", resource="config-rule", resource_name="*"),
    )


def _source_details(settings: Settings) -> list[config.CfnConfigRule.SourceDetailProperty]:
    changes = [
        config.CfnConfigRule.SourceDetailProperty(event_source="aws.config", message_type=message)
        for message in CHANGE_MESSAGES
    ]
    schedule = config.CfnConfigRule.SourceDetailProperty(
        event_source="aws.config",
        message_type=SCHEDULE_MESSAGE,
        maximum_execution_frequency=settings.schedule_frequency,
    )
    return [*changes, schedule]
