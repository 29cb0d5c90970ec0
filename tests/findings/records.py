"""Evaluation records as consumers read them, one for each reason, made the way that the function makes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rolecall.events import parse_invocation
from rolecall.model import Reason, Source
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import VERDICT, evaluation_record
from rolecall.rule import evaluate
from tests.builders import (
    NOW,
    RULE_NAME,
    Json,
    change_event,
    changed,
    deleted_item,
    exemption_tags,
    notification_item,
)

EVENTS: Mapping[Reason, Json] = {
    Reason.LEFT_SCOPE: change_event(left_scope=True),
    Reason.DELETED: change_event(deleted_item()),
    Reason.NOT_RECORDED: change_event(notification_item(configurationItemStatus="ResourceNotRecorded")),
    Reason.OTHER_RESOURCE: change_event(
        notification_item(resourceType="AWS::S3::Bucket", resourceId="a-bucket", ARN="arn:aws:s3:::a-bucket")
    ),
    Reason.TERMINATING: change_event(notification_item(state="shutting-down", profile=None)),
    Reason.STOPPED: change_event(notification_item(state="stopped"), parameters={"evaluateStopped": "false"}),
    Reason.PROFILE_NOT_ALLOWED: change_event(
        parameters={"allowedInstanceProfileArns": "arn:aws:iam::*:instance-profile/db-*"}
    ),
    Reason.PROFILE_ATTACHED: change_event(),
    Reason.EXEMPT: change_event(
        notification_item(
            profile=None,
            tags=exemption_tags(
                expires="2026-12-31", granted="2026-01-01", approved_by="platform security", ticket="SEC-1"
            ),
        )
    ),
    Reason.EXEMPTION_EXPIRED: change_event(notification_item(profile=None, tags=exemption_tags(expires="2026-02-28"))),
    Reason.EXEMPTION_INVALID: change_event(notification_item(profile=None, tags=exemption_tags(""))),
    Reason.NO_PROFILE: change_event(notification_item(profile=None)),
}
"""The event that leads to each reason."""


def raw_record(
    reason: Reason = Reason.NO_PROFILE,
    *,
    now: datetime = NOW,
    kind: str = VERDICT,
    rule_name: str = RULE_NAME,
    **changes: object,
) -> dict[str, Any]:
    """The record of the event for `reason`; `changes` replaces its keys, and `ABSENT` takes one away."""
    invocation = parse_invocation({**EVENTS[reason], "configRuleName": rule_name})
    evaluation = evaluate(invocation.notification.item, invocation.parameters, now)  # type: ignore[union-attr]  # a change
    assert evaluation.reason is reason
    return changed(evaluation_record(evaluation, invocation, Source.CHANGE, kind=kind), changes)


def record(
    reason: Reason = Reason.NO_PROFILE,
    *,
    now: datetime = NOW,
    kind: str = VERDICT,
    rule_name: str = RULE_NAME,
    **changes: object,
) -> EvaluationRecord:
    """The same, read."""
    return read_record(raw_record(reason, now=now, kind=kind, rule_name=rule_name, **changes))
