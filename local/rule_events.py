"""The events with which AWS Config invokes a rule's function, in their true shape."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.config_rules import CHANGE, OVERSIZED, SCHEDULED, Rule
from local.configuration_items import Item, summary
from local.timestamps import Clock, iso

Event = dict[str, Any]
"""What Config invokes a rule's function with."""

NOTIFICATION_LIMIT = 256 * 1024
"""Bytes. A larger notification is sent as an oversized one."""


@dataclass(frozen=True)
class Change:
    """What a change notification tells beside the item itself."""

    change_type: str
    """CREATE, UPDATE or DELETE."""
    diff: dict[str, Any] | None = None
    """`configurationItemDiff`: null when a last known item is only replayed."""
    left_scope: bool = False
    oversized: bool = False
    """Send the oversized notification whatever the item's size."""


@dataclass(frozen=True)
class RuleEvents:
    """Makes the events for the rules of one account and region."""

    account: str
    clock: Clock
    issue_token: Callable[[str, int], str]
    """A token for the rule with this ARN, invoked at this time."""
    role_arn: Callable[[], str]
    """The recorder's role."""
    notification_limit: int = NOTIFICATION_LIMIT

    def change(self, rule: Rule, item: Item, change: Change) -> Event | None:
        """The event for an item, or None if the rule does not subscribe to its kind of message."""
        text = _json(
            {
                "configurationItemDiff": change.diff,
                "configurationItem": item,
                "notificationCreationTime": iso(self.clock()),
                "messageType": CHANGE,
                "recordVersion": "1.3",
            }
        )
        message_type = CHANGE
        if change.oversized or len(text) > self.notification_limit:
            # As AWS documents it for functions: neither creation time nor record version.
            message_type = OVERSIZED
            text = _json({"configurationItemSummary": summary(item, change.change_type), "messageType": OVERSIZED})
        if message_type not in rule.message_types:
            return None
        return self._event(rule, text, left_scope=change.left_scope)

    def scheduled(self, rule: Rule) -> Event:
        """The event at the end of a rule's period."""
        text = _json(
            {
                "awsAccountId": self.account,
                "notificationCreationTime": iso(self.clock()),
                "messageType": SCHEDULED,
                "recordVersion": "1.0",
            }
        )
        return self._event(rule, text, left_scope=False)

    def _event(self, rule: Rule, invoking_event: str, *, left_scope: bool) -> Event:
        parameters = {} if rule.parameters is None else {"ruleParameters": rule.parameters}
        return {
            "version": "1.0",
            "invokingEvent": invoking_event,
            **parameters,
            "resultToken": self.issue_token(rule.arn, self.clock()),
            "eventLeftScope": left_scope,
            "executionRoleArn": self.role_arn(),
            "configRuleArn": rule.arn,
            "configRuleName": rule.name,
            "configRuleId": rule.rule_id,
            "accountId": self.account,
            "evaluationMode": "DETECTIVE",
        }


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
