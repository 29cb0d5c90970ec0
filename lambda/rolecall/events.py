"""The event with which AWS Config invokes the function: JSON that holds JSON in strings.

Config's own example events leave out what real ones have, and the other way round, so only what an answer needs is
required. Source of the shapes: AWS Config Developer Guide, "Example events for AWS Config rules".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rolecall.errors import InvalidEvent
from rolecall.items import configuration_item, instant, item_header
from rolecall.model import ConfigurationItem
from rolecall.parameters import RuleParameters, parse_parameters

CHANGE = "ConfigurationItemChangeNotification"
OVERSIZED = "OversizedConfigurationItemChangeNotification"
SCHEDULED = "ScheduledNotification"

TEST_TOKEN = "TESTMODE"  # noqa: S105 - the opposite of a secret: the rdk convention for "store nothing"


@dataclass(frozen=True, slots=True)
class ChangeNotification:
    """One configuration item, whole."""

    item: ConfigurationItem


@dataclass(frozen=True, slots=True)
class OversizedNotification:
    """An item too large to be sent: only its header is known, and `summary.instance` is None."""

    summary: ConfigurationItem


@dataclass(frozen=True, slots=True)
class ScheduledNotification:
    """The period is over: the rule has to list the resources itself."""


Notification = ChangeNotification | OversizedNotification | ScheduledNotification


@dataclass(frozen=True, slots=True)
class RuleIdentity:
    """Which rule asks, and in which account. In a conformance pack the name carries a suffix."""

    name: str
    arn: str
    account: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event, read. The result token is a bearer secret: it is in no representation of this object."""

    rule: RuleIdentity
    parameters: RuleParameters
    message_type: str
    notification: Notification
    notified_at: datetime | None
    """When Config made the notification; AWS's documented oversized event does not say."""
    result_token: str = field(repr=False)

    @property
    def test_mode(self) -> bool:
        """Whether PutEvaluations shall store nothing."""
        return self.result_token == TEST_TOKEN


def parse_invocation(event: object) -> Invocation:
    """Read a Lambda event. Raises InvalidEvent, InvalidParameter or InvalidItem, each naming the field."""
    if not isinstance(event, Mapping):
        # Whatever it is, it may hold a result token.
        raise InvalidEvent("event", f"a {type(event).__name__}, not shown", "the JSON object that AWS Config sends")
    mode = event.get("evaluationMode")
    if mode not in (None, "DETECTIVE"):
        raise InvalidEvent("evaluationMode", mode, "DETECTIVE: rolecall judges what exists, not what is proposed")
    invoking_event = _json_object(event, "invokingEvent")
    notified_at = invoking_event.get("notificationCreationTime")
    rule = RuleIdentity(
        _required(event, "configRuleName"), _required(event, "configRuleArn"), _required(event, "accountId")
    )
    notification = read_notification(invoking_event, left_scope=_left_scope(event))
    _check_account(notification, invoking_event, rule.account)
    return Invocation(
        rule=rule,
        parameters=parse_parameters(event.get("ruleParameters")),
        message_type=str(invoking_event.get("messageType")),
        notification=notification,
        notified_at=None if notified_at is None else instant(notified_at, "notificationCreationTime"),
        result_token=_result_token(event),
    )


def read_notification(invoking_event: Mapping[str, Any], *, left_scope: bool = False) -> Notification:
    """Read what `invokingEvent` decodes to. Raises InvalidEvent or InvalidItem."""
    message_type = invoking_event.get("messageType")
    if message_type == CHANGE:
        return ChangeNotification(
            configuration_item(_object(invoking_event, "configurationItem"), left_scope=left_scope)
        )
    if message_type == OVERSIZED:
        return OversizedNotification(
            item_header(_object(invoking_event, "configurationItemSummary"), left_scope=left_scope)
        )
    if message_type == SCHEDULED:
        return ScheduledNotification()
    raise InvalidEvent("invokingEvent.messageType", message_type, f"{CHANGE}, {OVERSIZED}, {SCHEDULED}")


def _check_account(notification: Notification, invoking_event: Mapping[str, Any], account: str) -> None:
    """What an event tells must be of the account whose rule asks: the result is put there, with its credentials."""
    match notification:
        case ChangeNotification(item) | OversizedNotification(item):
            told = item.account
        case ScheduledNotification():
            told = invoking_event.get("awsAccountId", account)
    if told != account:
        raise InvalidEvent("invokingEvent's awsAccountId", told, f"{account}, the event's own accountId")


def _left_scope(event: Mapping[str, Any]) -> bool:
    left_scope = event.get("eventLeftScope", False)
    if not isinstance(left_scope, bool):
        raise InvalidEvent("eventLeftScope", left_scope, "true or false")
    return left_scope


def _result_token(event: Mapping[str, Any]) -> str:
    token = event.get("resultToken")
    if not isinstance(token, str) or not token:
        raise InvalidEvent("resultToken", f"a {type(token).__name__}, not shown", "a text that is not empty")
    return token


def _required(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEvent(name, value, "a text that is not empty")
    return value


def _json_object(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    text = event.get(name)
    try:
        decoded = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, Mapping):
        raise InvalidEvent(name, text, "JSON text of an object")
    return decoded


def _object(invoking_event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = invoking_event.get(name)
    if not isinstance(value, Mapping):
        raise InvalidEvent(f"invokingEvent.{name}", value, "a JSON object")
    return value
