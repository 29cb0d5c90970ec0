"""The evaluation record as its consumers read it: the JSON object of `record`, checked and typed again.

Whatever arrives from a queue, a bus or a file may be anything, so every field that a consumer relies on is looked at:
`schemas/evaluation-v1.schema.json` says the same in the language of schemas.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from rolecall.errors import InvalidItem, InvalidRecord
from rolecall.exemption import read_day
from rolecall.items import instant
from rolecall.model import ComplianceType, Exemption, ExemptionState, Instance, InstanceState, Reason
from rolecall.record import REFRESH, SCHEMA, VERDICT

MemberT = TypeVar("MemberT", bound=StrEnum)

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
    kind = _text(raw, "kind")
    if kind not in (VERDICT, REFRESH):
        raise InvalidRecord("kind", kind, f"{VERDICT}, {REFRESH}")
    reason = _member(Reason, raw, "reason")
    compliance_type = _member(ComplianceType, raw, "complianceType")
    if compliance_type is not reason.compliance_type:
        raise InvalidRecord("complianceType", compliance_type.value, f"{reason.compliance_type}, as the reason says")
    rule = _object(raw, "rule")
    return EvaluationRecord(
        raw=raw,
        id=_text(raw, "id"),
        kind=kind,
        account=_account(raw),
        region=_text(raw, "region"),
        partition=_text(raw, "partition"),
        resource_type=_text(raw, "resourceType"),
        resource_id=_text(raw, "resourceId"),
        resource_arn=_optional_text(raw, "resourceArn") or "",
        compliance_type=compliance_type,
        reason=reason,
        annotation=_text(raw, "annotation"),
        ordering_timestamp=_time(raw, "orderingTimestamp"),
        evaluated_at=_time(raw, "evaluatedAt"),
        rule_name=_text(rule, "name", "rule."),
        rule_arn=_text(rule, "arn", "rule."),
        rolecall_version=_text(rule, "rolecallVersion", "rule."),
        exemption=_exemption(raw),
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


def _account(raw: Mapping[str, Any]) -> str:
    account = _text(raw, "account")
    # Role ARNs and queries are made of it.
    if len(account) != 12 or not (account.isascii() and account.isdigit()):  # noqa: PLR2004 - of any account id
        raise InvalidRecord("account", account, "12 digits")
    return account


def _exemption(raw: Mapping[str, Any]) -> Exemption | None:
    if raw.get("exemption") is None:
        return None
    given, within = _object(raw, "exemption"), "exemption."
    return Exemption(
        state=_member(ExemptionState, given, "state", within),
        problem=_optional_text(given, "problem", within) or "",
        reason=_optional_text(given, "reason", within) or "",
        approved_by=_optional_text(given, "approvedBy", within),
        ticket=_optional_text(given, "ticket", within),
        granted=_day(given, "granted", within),
        expires=_day(given, "expires", within),
    )


def _instance(raw: Mapping[str, Any]) -> Instance | None:
    if raw.get("instance") is None:
        return None
    given, within = _object(raw, "instance"), "instance."
    return Instance(
        state=_member(InstanceState, given, "state", within),
        profile_arn=_optional_text(raw, "profileArn"),
        tags={key: value for key, value in _object(given, "tags", within).items() if isinstance(value, str)},
        instance_type=_optional_text(given, "type", within),
        image_id=_optional_text(given, "imageId", within),
        first_launch=_time(given, "firstLaunch", within) if given.get("firstLaunch") is not None else None,
        last_launch=_time(given, "lastLaunch", within) if given.get("lastLaunch") is not None else None,
        vpc_id=_optional_text(given, "vpcId", within),
        subnet_id=_optional_text(given, "subnetId", within),
        metadata_options=None if given.get("metadataOptions") is None else _object(given, "metadataOptions", within),
    )


def _object(raw: Mapping[str, Any], name: str, within: str = "") -> Mapping[str, Any]:
    value = raw.get(name)
    if not isinstance(value, dict):
        raise InvalidRecord(f"{within}{name}", value, "a JSON object")
    return value


def _text(raw: Mapping[str, Any], name: str, within: str = "") -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRecord(f"{within}{name}", value, "a text that is not empty")
    return value


def _optional_text(raw: Mapping[str, Any], name: str, within: str = "") -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRecord(f"{within}{name}", value, "a text, or null")
    return value


def _member(kind: type[MemberT], raw: Mapping[str, Any], name: str, within: str = "") -> MemberT:
    value = _text(raw, name, within)
    try:
        return kind(value)
    except ValueError:
        raise InvalidRecord(f"{within}{name}", value, ", ".join(kind)) from None


def _time(raw: Mapping[str, Any], name: str, within: str = "") -> datetime:
    try:
        return instant(_text(raw, name, within), name)
    except InvalidItem as refused:
        raise InvalidRecord(f"{within}{name}", refused.value, refused.allowed) from None


def _day(raw: Mapping[str, Any], name: str, within: str) -> date | None:
    value = _optional_text(raw, name, within)
    if value is None:
        return None
    day = read_day(value)
    if day is None:
        raise InvalidRecord(f"{within}{name}", value, "a day as 2026-01-31, or null")
    return day
