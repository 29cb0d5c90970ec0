"""Findings as Security Hub shows them, made by rolecall's own code from instances of every verdict."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from rolecall.events import Invocation, RuleIdentity, ScheduledNotification
from rolecall.findings.asff import finding
from rolecall.findings.identity import compliance_status
from rolecall.findings.settings import read_settings
from rolecall.items import configuration_item
from rolecall.model import Evaluation, Reason, Source
from rolecall.parameters import RuleParameters
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import REFRESH, evaluation_record
from rolecall.recorded_results import RecordedResult
from rolecall.rule import evaluate
from tests.builders import (
    CAPTURED,
    NOW,
    RULE_ARN,
    RULE_NAME,
    Json,
    deleted_item,
    exemption_tags,
    iso,
    notification_item,
)

SETTINGS = read_settings({})
PARAMETERS = RuleParameters(exemption_max_days=90)

SHAPES: Mapping[Reason, Json] = MappingProxyType(
    {
        Reason.PROFILE_ATTACHED: {},
        Reason.NO_PROFILE: {"profile": None},
        Reason.EXEMPT: {
            "profile": None,
            "tags": exemption_tags("appliance", granted="2026-02-01", expires="2026-04-01"),
        },
        Reason.EXEMPTION_EXPIRED: {
            "profile": None,
            "tags": exemption_tags("appliance", granted="2026-02-01", expires="2026-02-20"),
        },
        Reason.EXEMPTION_INVALID: {"profile": None, "tags": exemption_tags("appliance")},
        Reason.TERMINATING: {"state": "terminated", "profile": None},
    }
)
"""What differs about an instance of that verdict."""


def evaluated(
    reason: Reason,
    resource_id: str,
    captured: datetime = CAPTURED,
    *,
    now: datetime = NOW,
    **changes: Any,  # noqa: ANN401 - any key of an item
) -> Evaluation:
    """The evaluation of an instance, which comes to that reason."""
    identity = {"resourceId": resource_id, "configurationItemCaptureTime": iso(captured), **changes}
    item = deleted_item(**identity) if reason is Reason.DELETED else notification_item(**SHAPES[reason], **identity)
    made = evaluate(configuration_item(item), PARAMETERS, now)
    assert made.reason is reason
    return made


def record_of(evaluation: Evaluation, *, kind: str = REFRESH, rule_name: str = RULE_NAME) -> EvaluationRecord:
    """Its record."""
    rule = RuleIdentity(rule_name, RULE_ARN, evaluation.item.account)
    invocation = Invocation(rule, PARAMETERS, "ScheduledNotification", ScheduledNotification(), NOW, "")
    return read_record(evaluation_record(evaluation, invocation, Source.SWEEP, kind=kind))


def finding_of(evaluation: Evaluation, updated_at: datetime = NOW) -> Json:
    """The finding that is imported for it, active."""
    record = record_of(evaluation)
    return finding(record, SETTINGS, archived=False, created_at=updated_at, updated_at=updated_at)


def shown(reason: Reason, resource_id: str, observed: datetime = CAPTURED, **changes: Any) -> Json:  # noqa: ANN401 - any key of an item
    """The active finding of an instance."""
    return finding_of(evaluated(reason, resource_id, observed, **changes))


def result(reason: Reason, resource_id: str, ordering: datetime = CAPTURED) -> RecordedResult:
    """What Config recorded of an instance."""
    made = evaluated(reason, resource_id)
    return RecordedResult(made.item.resource_type, resource_id, made.compliance_type.value, made.annotation, ordering)


def is_open(reason: Reason) -> bool:
    """Whether there should be an active finding."""
    return compliance_status(reason).is_open
