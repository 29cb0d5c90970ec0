"""The evaluation record as its consumers read it: the JSON object of `record`, checked and typed again.

Whatever arrives from a queue, a bus or a file may be anything, so every field that a consumer relies on is looked at:
`schemas/evaluation-v1.schema.json` says the same in the language of schemas.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.model import ComplianceType, Exemption, Instance, InstanceState, Reason
from rolecall.received_fields import (
    read_account,
    read_exemption,
    read_member,
    read_object,
    read_optional_text,
    read_optional_time,
    read_text,
    read_time,
)
from rolecall.record import REFRESH, SCHEMA, VERDICT

PACK_SUFFIX = "-conformance-pack-"
"""What a conformance pack puts between a rule's own name and an id that differs from account to account."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One record. `raw` is the whole object as it was received, for whoever passes it on."""

    raw: Mapping[str, Any]
    id: str
    kind: str
    """`record.VERDICT` or `record.REFRESH`."""
    account: str
    region: str
    partition: str
    resource_type: str
    resource_id: str
    resource_arn: str
    compliance_type: ComplianceType
    reason: Reason
    annotation: str
    ordering_timestamp: datetime
    evaluated_at: datetime
    rule_name: str
    """As AWS Config knows it: in a conformance pack with a suffix."""
    rule_arn: str
    rolecall_version: str
    exemption: Exemption | None
    instance: Instance | None
    """None when the resource is gone, left the scope or is no instance."""

    @property
    def own_rule_name(self) -> str:
        """The rule's own name, the same in every account."""
        return self.rule_name.partition(PACK_SUFFIX)[0]

    @property
    def version(self) -> tuple[datetime, datetime]:
        """Of two records of one resource, the one with the larger version is the newer."""
        return self.ordering_timestamp, self.evaluated_at


def read_record(received: object) -> EvaluationRecord:
    """Read a record, or the JSON text of one. Raises InvalidRecord, which names the field."""
    raw = _decoded(received)
    if raw.get("schema") != SCHEMA:
        raise InvalidRecord("schema", raw.get("schema"), SCHEMA)
    kind = read_text(raw, "kind")
    if kind not in (VERDICT, REFRESH):
        raise InvalidRecord("kind", kind, f"{VERDICT}, {REFRESH}")
    reason = read_member(Reason, raw, "reason")
    compliance_type = read_member(ComplianceType, raw, "complianceType")
    if compliance_type is not reason.compliance_type:
        raise InvalidRecord("complianceType", compliance_type.value, f"{reason.compliance_type}, as the reason says")
    rule = read_object(raw, "rule")
    return EvaluationRecord(
        raw=raw,
        id=read_text(raw, "id"),
        kind=kind,
        account=read_account(raw),
        region=read_text(raw, "region"),
        partition=read_text(raw, "partition"),
        resource_type=read_text(raw, "resourceType"),
        resource_id=read_text(raw, "resourceId"),
        resource_arn=read_optional_text(raw, "resourceArn") or "",
        compliance_type=compliance_type,
        reason=reason,
        annotation=read_text(raw, "annotation"),
        ordering_timestamp=read_time(raw, "orderingTimestamp"),
        evaluated_at=read_time(raw, "evaluatedAt"),
        rule_name=read_text(rule, "name", "rule."),
        rule_arn=read_text(rule, "arn", "rule."),
        rolecall_version=read_text(rule, "rolecallVersion", "rule."),
        exemption=read_exemption(raw),
        instance=_instance(raw),
    )


def _decoded(received: object) -> Mapping[str, Any]:
    decoded = received
    if isinstance(received, str | bytes):
        try:
            decoded = json.loads(received)
        except (ValueError, RecursionError):
            raise InvalidRecord("evaluation record", received, "JSON text of an object") from None
    if not isinstance(decoded, dict):
        raise InvalidRecord("evaluation record", decoded, "a JSON object")
    return decoded


def _instance(raw: Mapping[str, Any]) -> Instance | None:
    if raw.get("instance") is None:
        return None
    given, within = read_object(raw, "instance"), "instance."
    return Instance(
        state=read_member(InstanceState, given, "state", within),
        profile_arn=read_optional_text(raw, "profileArn"),
        tags={key: value for key, value in read_object(given, "tags", within).items() if isinstance(value, str)},
        instance_type=read_optional_text(given, "type", within),
        image_id=read_optional_text(given, "imageId", within),
        first_launch=read_optional_time(given, "firstLaunch", within),
        last_launch=read_optional_time(given, "lastLaunch", within),
        vpc_id=read_optional_text(given, "vpcId", within),
        subnet_id=read_optional_text(given, "subnetId", within),
        metadata_options=None
        if given.get("metadataOptions") is None
        else read_object(given, "metadataOptions", within),
    )
