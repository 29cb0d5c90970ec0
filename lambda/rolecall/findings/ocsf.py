"""A record as a Compliance Finding of the Open Cybersecurity Schema Framework: OCSF 1.8.0, class 2003, profile cloud.

The finding's uid is the Id of the same finding in Security Hub. Times are milliseconds since 1970, as the type
`timestamp_t` asks. OCSF sets no lengths, so texts are whole where the finding in Security Hub has them cut.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from rolecall.cutting import sendable
from rolecall.findings import asff, wording
from rolecall.findings.identity import ComplianceStatus, compliance_status, finding_id
from rolecall.findings.settings import FindingSettings
from rolecall.findings.severity import Severity, severity
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Exemption
from rolecall.received_record import EvaluationRecord

VERSION = "1.8.0"

_CATEGORY = 2
_CLASS = 2003


class Activity(IntEnum):
    """`activity_id`: what happened to the finding."""

    CREATE = 1
    UPDATE = 2
    CLOSE = 3


_SEVERITIES = {
    Severity.INFORMATIONAL: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}

_COMPLIANCE = {
    ComplianceStatus.PASSED: (1, "Pass"),
    ComplianceStatus.WARNING: (2, "Warning"),
    ComplianceStatus.FAILED: (3, "Fail"),
    ComplianceStatus.NOT_AVAILABLE: (0, "Unknown"),
}
"""`compliance.status_id` and its caption."""

_LIFECYCLE = {
    ComplianceStatus.PASSED: (4, "Resolved"),
    ComplianceStatus.WARNING: (3, "Suppressed"),
    ComplianceStatus.FAILED: (1, "New"),
    ComplianceStatus.NOT_AVAILABLE: (5, "Archived"),
}
"""`status_id` and its caption: an exemption is a risk that was reviewed and accepted."""


def compliance_finding(
    record: EvaluationRecord, settings: FindingSettings, *, archived: bool, created_at: datetime, updated_at: datetime
) -> dict[str, Any]:
    """The finding as an event of OCSF. The times are UTC; they and `archived` say which activity it is."""
    activity = _activity(archived=archived, created_at=created_at, updated_at=updated_at)
    label = severity(record.reason, settings.severities)
    status = compliance_status(record.reason)
    status_id, status_name = _LIFECYCLE[status]
    event = {
        "activity_id": activity.value,
        "activity_name": activity.name.capitalize(),
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Compliance Finding",
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"Compliance Finding: {activity.name.capitalize()}",
        "time": _milliseconds(record.evaluated_at),
        "severity_id": _SEVERITIES[label],
        "severity": label.value.capitalize(),
        "status_id": status_id,
        "status": status_name,
        "message": wording.title(record),
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud"],
            "product": {"name": asff.PRODUCT, "vendor_name": asff.PRODUCT, "version": record.rolecall_version},
            **({"uid": record.id} if record.id else {}),
        },
        "cloud": {
            "provider": "AWS",
            "account": {"uid": record.account},
            "region": record.region,
            "cloud_partition": record.partition,
        },
        "finding_info": {
            "uid": finding_id(record),
            "title": wording.title(record),
            "desc": wording.description(record),
            "types": list(asff.TYPES),
            "created_time": _milliseconds(created_at),
            "modified_time": _milliseconds(updated_at),
            "last_seen_time": _milliseconds(record.ordering_timestamp),
            "analytic": {
                "type_id": 1,
                "type": "Rule",
                "category": "AWS::Config::ConfigRule",
                "name": record.own_rule_name,
                **({"uid": record.rule_arn} if record.rule_arn else {}),
                "version": record.rolecall_version,
            },
        },
        "compliance": _compliance(record, status),
        "resources": [_resource(record)],
        "remediation": {
            "desc": wording.next_step(record),
            "references": [settings.remediation_url or wording.page(record.reason)],
        },
        "unmapped": _unmapped(record),
    }
    sent: dict[str, Any] = _sendable(event)
    return sent


def _activity(*, archived: bool, created_at: datetime, updated_at: datetime) -> Activity:
    if archived:
        return Activity.CLOSE
    return Activity.UPDATE if updated_at > created_at else Activity.CREATE


def _compliance(record: EvaluationRecord, status: ComplianceStatus) -> dict[str, Any]:
    status_id, status_name = _COMPLIANCE[status]
    parameters = record.raw.get("rule", {}).get("parameters")
    return {
        "status_id": status_id,
        "status": status_name,
        "status_code": record.reason.value,
        "status_details": [record.annotation],
        "control": record.own_rule_name,
        "standards": list(dict.fromkeys(f"{one.framework} {one.version}" for one in REQUIREMENTS)),
        "requirements": [str(requirement) for requirement in REQUIREMENTS],
        "control_parameters": [
            {"name": name, "value": value if isinstance(value, str) else json.dumps(value)}
            for name, value in (parameters if isinstance(parameters, Mapping) else {}).items()
        ],
    }


def _resource(record: EvaluationRecord) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "uid": record.resource_id,
        "type": record.resource_type,
        "region": record.region,
        "cloud_partition": record.partition,
        "owner": {"account": {"uid": record.account}},
    }
    if record.resource_arn:
        resource["uid_alt"] = record.resource_arn
    if instance := record.instance:
        if name := instance.tags.get("Name"):
            resource["name"] = name
        resource["tags"] = [{"name": key, "value": value} for key, value in instance.tags.items()]
        facts = {name: fact for name, fact in record.raw["instance"].items() if name != "tags"}
        resource["data"] = {"profileArn": instance.profile_arn, **facts}
        if instance.first_launch:
            resource["created_time"] = _milliseconds(instance.first_launch)
    return resource


def _unmapped(record: EvaluationRecord) -> dict[str, Any]:
    """What OCSF has no attribute for."""
    return {
        "record_kind": record.kind,
        "ordering_timestamp": _milliseconds(record.ordering_timestamp),
        "exemption": _exemption(record.exemption) if record.exemption else None,
    }


def _exemption(exemption: Exemption) -> dict[str, str | None]:
    """As declared by tags: nobody has verified it."""
    return {
        "state": exemption.state.value,
        "problem": exemption.problem or None,
        "reason": exemption.reason,
        "approved_by_as_declared": exemption.approved_by,
        "ticket": exemption.ticket,
        "granted": exemption.granted.isoformat() if exemption.granted else None,
        "expires": exemption.expires.isoformat() if exemption.expires else None,
    }


def _milliseconds(moment: datetime) -> int:
    """Whole ones: a float's seconds would be off by one here and there."""
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _sendable(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case str():
            return sendable(value)
        case dict():
            return {sendable(name): _sendable(one) for name, one in value.items()}
        case list():
            return [_sendable(one) for one in value]
        case _:
            return value
