"""What a dead letter says: whether it can be replayed, and what an operator needs to know of it."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

INVALID_TOKEN = "InvalidResultTokenException"  # noqa: S105 - the error, not a token

_TELLTALE = 20
"""So many characters of a result token tell it from any other text; they are opaque, and some 2,000."""


class Letter(Protocol):
    """What `aws.dead_letters.DeadLetter` says; it is named here without importing it, as boto3 loads slowly."""

    @property
    def message_id(self) -> str:
        """SQS's name of the message."""

    @property
    def event(self) -> str:
        """The event, with its result token."""

    @property
    def sent_at(self) -> datetime:
        """When it was given up."""

    @property
    def request_id(self) -> str | None:
        """Lambda's number of the invocation that failed."""

    @property
    def error(self) -> str:
        """What the function said."""


def readable(letter: Letter) -> tuple[Mapping[str, Any], str | None]:
    """The event, and why it cannot be replayed."""
    try:
        event = json.loads(letter.event)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, Mapping):
        return {}, "what is no JSON object cannot be an event of AWS Config; delete it"
    if INVALID_TOKEN in letter.error:
        return event, (
            "AWS Config does not take the result token any more, and a replay would fail in the same way; the next "
            "sweep of the rule repairs this. Purge the queue after that"
        )
    return event, None


def row_of(letter: Letter, event: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator needs to know of an event; whatever of it is unreadable is None, and nothing is secret."""
    invoking_event = _object(event.get("invokingEvent"))
    item = invoking_event.get("configurationItem") or invoking_event.get("configurationItemSummary")
    header = item if isinstance(item, Mapping) else {}
    arn = _text(event.get("configRuleArn")) or ""
    return {
        "message_id": letter.message_id,
        "request_id": letter.request_id,
        "message_type": _text(invoking_event.get("messageType")),
        "rule": _text(event.get("configRuleName")),
        "account": _text(event.get("accountId")),
        "region": _text(header.get("awsRegion")) or (arn.split(":")[3] if arn.count(":") > 3 else None),  # noqa: PLR2004 - partition, service, region
        "resource": _text(header.get("resourceId")),
        "error": _without_token(letter.error, event.get("resultToken")),
        "age_seconds": int((datetime.now(UTC) - letter.sent_at).total_seconds()),
    }


def _without_token(error: str, token: object) -> str:
    """The function's own errors never hold it; what others said may, and Lambda may have cut that in its midst."""
    if not isinstance(token, str) or not token:
        return error
    return re.sub(re.escape(token[:_TELLTALE]) + r"\S*", "[result token]", error)


def _object(text: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    try:
        decoded = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        decoded = None
    return decoded if isinstance(decoded, Mapping) else {}


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) and value else None
