"""The evaluation record: one evaluation as the JSON object that consumers read from the evaluations bus.

`schemas/evaluation-v1.schema.json` is its contract. Its id is the same for every retry, so that a consumer can drop
duplicates: delivery is at least once.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

from rolecall import __version__
from rolecall.events import Invocation
from rolecall.model import Evaluation, Exemption, Instance, Source

SCHEMA = "rolecall.evaluation/v1"
VERDICT = "verdict"
"""The `kind` of a record that tells a verdict."""
REFRESH = "refresh"
"""The `kind` of one that repeats a verdict that has not changed."""


def evaluation_record(
    evaluation: Evaluation, invocation: Invocation, source: Source, *, kind: str = VERDICT
) -> dict[str, Any]:
    """The record of `evaluation`, made in answer to `invocation`. Times are UTC to the millisecond."""
    item = evaluation.item
    return {
        "schema": SCHEMA,
        "id": _record_id(evaluation, invocation, kind),
        "kind": kind,
        "source": source.value,
        "account": item.account,
        "region": item.region,
        "partition": item.partition,
        "resourceType": item.resource_type,
        "resourceId": item.resource_id,
        "resourceArn": item.arn,
        "complianceType": evaluation.compliance_type.value,
        "reason": evaluation.reason.value,
        "annotation": evaluation.annotation,
        "orderingTimestamp": timestamp(evaluation.ordering_timestamp),
        "evaluatedAt": timestamp(evaluation.evaluated_at),
        "notifiedAt": optional_timestamp(invocation.notified_at),
        "rule": {
            "name": invocation.rule.name,
            "arn": invocation.rule.arn,
            "parameters": invocation.parameters.to_strings(),
            "rolecallVersion": __version__,
        },
        "profileArn": item.instance.profile_arn if item.instance else None,
        "exemption": exemption_object(evaluation.exemption) if evaluation.exemption else None,
        "instance": _instance(item.instance) if item.instance else None,
    }


def timestamp(moment: datetime) -> str:
    """`moment` (in UTC) as `2026-01-31T12:00:00.000Z`."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def optional_timestamp(moment: datetime | None) -> str | None:
    """The same; None stays None."""
    return timestamp(moment) if moment else None


def _record_id(evaluation: Evaluation, invocation: Invocation, kind: str) -> str:
    identity = [
        evaluation.item.account,
        evaluation.item.region,
        invocation.rule.arn,
        evaluation.item.resource_id,
        timestamp(evaluation.ordering_timestamp),
        evaluation.reason.value,
        kind,
        optional_timestamp(invocation.notified_at),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def exemption_object(exemption: Exemption) -> dict[str, Any]:
    """An exemption as records, and evidence rows, have it."""
    return {
        "state": exemption.state.value,
        "problem": exemption.problem or None,
        "reason": exemption.reason,
        "approvedBy": exemption.approved_by,
        "ticket": exemption.ticket,
        "granted": exemption.granted.isoformat() if exemption.granted else None,
        "expires": exemption.expires.isoformat() if exemption.expires else None,
    }


def _instance(instance: Instance) -> dict[str, Any]:
    return {
        "state": instance.state.value,
        "type": instance.instance_type,
        "imageId": instance.image_id,
        "firstLaunch": optional_timestamp(instance.first_launch),
        "lastLaunch": optional_timestamp(instance.last_launch),
        "vpcId": instance.vpc_id,
        "subnetId": instance.subnet_id,
        "metadataOptions": dict(instance.metadata_options) if instance.metadata_options is not None else None,
        "tags": dict(instance.tags),
    }
