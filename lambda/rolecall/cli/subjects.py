"""What can be judged: every JSON value that may hold configuration items becomes these items.

    an invocation event        {"invokingEvent": "…", "ruleParameters": "…", …}, as the function gets it
    an invoking event          {"messageType": "…", "configurationItem": {…}}, also inside an SNS or EventBridge message
    configuration items        of every shape that `items.configuration_item` reads
    lists of these             what the Config API and `aws configservice` return

The reading is the function's own. What it would have to ask AWS for cannot be judged here, and that is an error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.cli.reading import LISTS
from rolecall.errors import InvalidEvent, InvalidInput, InvalidItem, RolecallError
from rolecall.events import (
    TEST_TOKEN,
    ChangeNotification,
    Notification,
    OversizedNotification,
    RuleIdentity,
    parse_invocation,
    read_notification,
)
from rolecall.items import configuration_item
from rolecall.model import ConfigurationItem
from rolecall.parameters import RuleParameters

ForRule = Callable[[RuleParameters | None], RuleParameters]
"""The parameters to judge with, given those of the event's own rule."""

_ENVELOPES = ("Message", "detail", "configurationItem", "ConfigurationItem")
"""Members that hold the value proper: of an SNS notification (as JSON text), of an EventBridge event, of an invoking
event whose message type is lost, and of GetAggregateResourceConfig."""

_ITEM_MEMBERS = frozenset(("resourceId", "resourceType", "configurationItemStatus", "configuration"))

_WHOLE = "the value"
"""What is said to be wrong when no field of it is."""

_SHORT = 20
"""Characters of a text that may be shown: too few for a result token."""

_EC2_MEMBERS = ("Reservations", "Instances", "InstanceId")
"""Of what `aws ec2 describe-instances` prints, which holds neither region nor account of each instance."""

_ASK_EC2 = "; for EC2's own answer use --live --source ec2"

_READABLE = (
    "an invocation event, an invoking event, a configuration item, or a list of these as Config and its API write it"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """One item, and the rule parameters to hold it against."""

    item: ConfigurationItem
    parameters: RuleParameters
    source: str
    """The file, or the region and service, that it comes from."""
    rule: RuleIdentity | None = None
    """The rule that an invocation event asks for; None where there is no such event."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that should have been judged and was not, in words that say what, where and why."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know that keeps nothing from being judged."""

    message: str


Found = Subject | Problem | Note


def said(error: RolecallError) -> str:
    """The error in the words of JSON, which has null and no None."""
    if isinstance(error, InvalidInput) and error.value is None:
        null = "null" if error.field == _WHOLE else "null or missing"
        return str(error).replace(" is None; allowed: ", f" is {null}; allowed: ", 1)
    return str(error)


def subjects(value: object, source: str, for_rule: ForRule) -> Iterator[Subject | RolecallError]:
    """Every item that `value` holds, in its order, or the error that kept it from being read."""
    try:
        elements = _elements(value)
    except RolecallError as error:
        yield error
        return
    for element in [value] if elements is None else elements:
        try:
            yield _subject(_unwrapped(element), source, for_rule)
        except RolecallError as error:
            yield error


def _elements(value: object) -> list[Any] | None:
    if not isinstance(value, Mapping):
        return None
    for name in LISTS & value.keys():
        if not isinstance(value[name], list):
            raise InvalidInput(name, value[name], "a list")
        return value[name]  # type: ignore[no-any-return]  # it is a list
    return None


def _subject(value: object, source: str, for_rule: ForRule) -> Subject:
    if not isinstance(value, Mapping):
        raise InvalidInput(_WHOLE, value, _READABLE)
    if "invokingEvent" in value:
        # The result token is a secret that nobody needs to keep in a saved event.
        invocation = parse_invocation({"resultToken": TEST_TOKEN, **value})
        parameters = for_rule(invocation.parameters)
        return Subject(_item(invocation.notification), parameters, source, invocation.rule)
    if "messageType" in value:
        return Subject(_item(read_notification(value)), for_rule(None), source)
    if "baseConfigurationItems" in value:
        raise InvalidInput(
            "baseConfigurationItems", "given", "items with their tags; BatchGetResourceConfig leaves the tags out"
        )
    if _ITEM_MEMBERS.isdisjoint(value):
        ec2 = any(name in value for name in _EC2_MEMBERS)
        raise InvalidInput(_WHOLE, _brief(value), f"{_READABLE}{_ASK_EC2 if ec2 else ''}")
    return Subject(configuration_item(value), for_rule(None), source)


def _brief(value: Mapping[str, Any]) -> object:
    """An object as it may be shown: whole if it is short and holds no secret, else the names of its members."""
    secret = any("token" in name.lower() for name in value)
    return f"an object with the members {', '.join(value)}" if secret or len(str(value)) > _SHORT else value


def _unwrapped(value: object) -> object:
    """The value proper: out of JSON text (as SelectResourceConfig gives its rows) and out of its envelopes."""
    while True:
        if isinstance(value, str):
            value = _decoded(value)
        if not isinstance(value, Mapping) or "messageType" in value or not _ITEM_MEMBERS.isdisjoint(value):
            return value
        envelope = next((name for name in _ENVELOPES if name in value), None)
        if envelope is None:
            return value
        value = value[envelope]


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # Not shown: it may be an event, with its result token.
        short = text if len(text) <= _SHORT else f"a text of {len(text):,} characters"
        raise InvalidInput(_WHOLE, short, "JSON of a configuration item") from None


def _item(notification: Notification) -> ConfigurationItem:
    match notification:
        case ChangeNotification(item):
            return item
        case OversizedNotification(summary) if summary.needs_judging:
            raise InvalidItem(
                "configurationItem",
                None,
                "the item itself: an oversized notification holds only its header, and what is left out decides. "
                "Get it with `aws configservice get-resource-config-history`",
                summary.resource_id,
            )
        case OversizedNotification(summary):
            return summary
        case _:
            raise InvalidEvent(
                "invokingEvent.messageType",
                "ScheduledNotification",
                "an event that holds an item; to judge what a scheduled run would, use --live or a snapshot file",
            )
