"""Member accounts of an organization in a local AWS: each with its reporter role, its recorder and its rule."""

from typing import Any

from local.aws import LocalAws
from local.config_region import ConfigRegion
from tests.builders import Json, notification_item
from tests.local.roles import create_role, trust_of

ORGANIZATION = "o-a1b2c3d4e5"
REPORTER = "rolecall-reporter"
MESSAGE_TYPES = (
    "ConfigurationItemChangeNotification",
    "OversizedConfigurationItemChangeNotification",
    "ScheduledNotification",
)


def reporter_trust(execution_role_arn: str, organization: str = ORGANIZATION) -> Json:
    """Lets in one role, and only as long as its account is in the organization."""
    return trust_of(
        execution_role_arn.split(":")[4],
        ArnEquals={"aws:PrincipalArn": execution_role_arn},
        StringEquals={"aws:PrincipalOrgID": organization},
    )


def add_reporter_role(aws: LocalAws, account: str, execution_role_arn: str) -> str:
    """Make the role in a member account; its ARN."""
    return create_role(aws, account, REPORTER, reporter_trust(execution_role_arn))


def add_member(aws: LocalAws, account: str, function_arn: str, rule_name: str) -> ConfigRegion:
    """Record the account's instances, and have them judged by the function of another account."""
    region = aws.config.region(account, aws.region)
    region.start_recording()
    details = [{"EventSource": "aws.config", "MessageType": message_type} for message_type in MESSAGE_TYPES]
    source = {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": function_arn, "SourceDetails": details}
    region.put_config_rule({"ConfigRule": {"ConfigRuleName": rule_name, "Source": source}})
    return region


def item_of(account: str, **changes: Any) -> Json:  # noqa: ANN401 - any key of an item
    """An instance of a member account, without a profile."""
    return notification_item(profile=None, awsAccountId=account, **changes)
