"""The evidence row: one instance of the population, what AWS Config recorded of it, and the rule's verdict once more.

The verdict is what Config recorded. Re-performed is what the rule says of the same configuration item now: where the
two disagree, an auditor has to ask why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.model import ComplianceType, Exemption, InstanceState, Reason
from rolecall.received_fields import (
    read_account,
    read_exemption,
    read_member,
    read_object,
    read_optional_text,
    read_optional_time,
    read_parameters,
    read_text,
    read_time,
)
from rolecall.record import exemption_object, optional_timestamp, timestamp


class EvidenceVerdict(StrEnum):
    """The five parts that a population is the sum of."""

    COMPLIANT = "COMPLIANT"
    """It has a role."""
    EXEMPT = "EXEMPT"
    """AWS Config calls it COMPLIANT, too."""
    NON_COMPLIANT = "NON_COMPLIANT"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """Also where nothing is recorded and the rule says so: Config drops such results, an aggregator never has them."""
    UNEVALUATED = "UNEVALUATED"
    """Nothing is recorded, although the rule has a verdict."""


class Agreement(StrEnum):
    """Whether what is recorded is what the rule says of the same item."""

    AGREES = "AGREES"
    DISAGREES = "DISAGREES"
    IN_FLIGHT = "IN_FLIGHT"
    """They differ, but item or result are so young (`IN_FLIGHT_HOURS`) that the change may still be under way."""
    UNEVALUATED = "UNEVALUATED"
    """There are no two verdicts to compare."""


IN_FLIGHT_HOURS = 6
"""An aggregator may lag behind its accounts for hours, and a function's retries last for six."""


@dataclass(frozen=True, slots=True)
class RecordedVerdict:
    """A result of the rule, as AWS Config keeps it."""

    compliance_type: ComplianceType
    reason: Reason | None
    """None where the annotation does not begin with a reason of ours and of that compliance type."""
    annotation: str
    ordering_timestamp: datetime
    rule_name: str
    """As AWS Config knows it: in a conformance pack with a suffix."""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReperformedVerdict:
    """What the rule says of the item in the inventory."""

    reason: Reason
    annotation: str

    @property
    def compliance_type(self) -> ComplianceType:
        """Follows from the reason alone."""
        return self.reason.compliance_type


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What readers want to know of an instance; None where the item does not say."""

    state: InstanceState
    instance_type: str | None = None
    image_id: str | None = None
    first_launch: datetime | None = None
    """When the network interface at device index 0 was attached."""
    last_launch: datetime | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One instance of the population."""

    account: str
    region: str
    partition: str
    resource_id: str
    resource_arn: str
    verdict: EvidenceVerdict
    recorded: RecordedVerdict | None
    reperformed: ReperformedVerdict | None
    """None where the item cannot be judged; `problem` then says why."""
    agreement: Agreement
    rule_name: str
    """As AWS Config knows it; the rule's own name where Config shows no such rule."""
    rule_arn: str | None
    """None where only an aggregator was asked: it does not know."""
    parameters: Mapping[str, str]
    rolecall_version: str
    problem: str = ""
    profile_arn: str | None = None
    exemption: Exemption | None = None
    instance: InstanceFacts | None = None
    """None where the item cannot be judged, or says that the instance is gone."""
    capture_time: datetime | None = None
    """Of the item; None only where that is what cannot be read."""


def to_json(row: EvidenceRow) -> dict[str, Any]:
    """The row as a JSON object. Times are UTC to the millisecond; days are YYYY-MM-DD."""
    return {
        "account": row.account,
        "region": row.region,
        "partition": row.partition,
        "resourceId": row.resource_id,
        "resourceArn": row.resource_arn,
        "verdict": row.verdict.value,
        "recorded": _recorded_object(row.recorded) if row.recorded else None,
        "reperformed": _reperformed_object(row.reperformed) if row.reperformed else None,
        "problem": row.problem or None,
        "agreement": row.agreement.value,
        "profileArn": row.profile_arn,
        "exemption": exemption_object(row.exemption) if row.exemption else None,
        "instance": _instance_object(row.instance) if row.instance else None,
        "captureTime": optional_timestamp(row.capture_time),
        "rule": {
            "name": row.rule_name,
            "arn": row.rule_arn,
            "parameters": dict(row.parameters),
            "rolecallVersion": row.rolecall_version,
        },
    }


def from_json(raw: object) -> EvidenceRow:
    """Read what `to_json` made. Raises InvalidRecord, which names the field."""
    if not isinstance(raw, dict):
        raise InvalidRecord("evidence row", raw, "a JSON object")
    rule = read_object(raw, "rule")
    return EvidenceRow(
        account=read_account(raw),
        region=read_text(raw, "region"),
        partition=read_text(raw, "partition"),
        resource_id=read_text(raw, "resourceId"),
        resource_arn=read_optional_text(raw, "resourceArn") or "",
        verdict=read_member(EvidenceVerdict, raw, "verdict"),
        recorded=_recorded(raw),
        reperformed=_reperformed(raw),
        agreement=read_member(Agreement, raw, "agreement"),
        rule_name=read_text(rule, "name", "rule."),
        rule_arn=read_optional_text(rule, "arn", "rule."),
        parameters=read_parameters(rule, "rule."),
        rolecall_version=read_text(rule, "rolecallVersion", "rule."),
        problem=read_optional_text(raw, "problem") or "",
        profile_arn=read_optional_text(raw, "profileArn"),
        exemption=read_exemption(raw),
        instance=_instance(raw),
        capture_time=read_optional_time(raw, "captureTime"),
    )


def _recorded_object(recorded: RecordedVerdict) -> dict[str, Any]:
    return {
        "complianceType": recorded.compliance_type.value,
        "reason": recorded.reason.value if recorded.reason else None,
        "annotation": recorded.annotation,
        "orderingTimestamp": timestamp(recorded.ordering_timestamp),
        "ruleName": recorded.rule_name,
        "recordedAt": optional_timestamp(recorded.recorded_at),
    }


def _reperformed_object(reperformed: ReperformedVerdict) -> dict[str, Any]:
    return {
        "complianceType": reperformed.compliance_type.value,
        "reason": reperformed.reason.value,
        "annotation": reperformed.annotation,
    }


def _instance_object(instance: InstanceFacts) -> dict[str, Any]:
    return {
        "state": instance.state.value,
        "type": instance.instance_type,
        "imageId": instance.image_id,
        "firstLaunch": optional_timestamp(instance.first_launch),
        "lastLaunch": optional_timestamp(instance.last_launch),
        "vpcId": instance.vpc_id,
        "subnetId": instance.subnet_id,
    }


def _recorded(raw: Mapping[str, Any]) -> RecordedVerdict | None:
    if raw.get("recorded") is None:
        return None
    given, within = read_object(raw, "recorded"), "recorded."
    return RecordedVerdict(
        compliance_type=read_member(ComplianceType, given, "complianceType", within),
        reason=None if given.get("reason") is None else read_member(Reason, given, "reason", within),
        annotation=read_optional_text(given, "annotation", within) or "",
        ordering_timestamp=read_time(given, "orderingTimestamp", within),
        rule_name=read_text(given, "ruleName", within),
        recorded_at=read_optional_time(given, "recordedAt", within),
    )


def _reperformed(raw: Mapping[str, Any]) -> ReperformedVerdict | None:
    if raw.get("reperformed") is None:
        return None
    given, within = read_object(raw, "reperformed"), "reperformed."
    reason = read_member(Reason, given, "reason", within)
    if read_member(ComplianceType, given, "complianceType", within) is not reason.compliance_type:
        raise InvalidRecord(f"{within}complianceType", given["complianceType"], f"{reason.compliance_type}")
    return ReperformedVerdict(reason, read_text(given, "annotation", within))


def _instance(raw: Mapping[str, Any]) -> InstanceFacts | None:
    if raw.get("instance") is None:
        return None
    given, within = read_object(raw, "instance"), "instance."
    return InstanceFacts(
        state=read_member(InstanceState, given, "state", within),
        instance_type=read_optional_text(given, "type", within),
        image_id=read_optional_text(given, "imageId", within),
        first_launch=read_optional_time(given, "firstLaunch", within),
        last_launch=read_optional_time(given, "lastLaunch", within),
        vpc_id=read_optional_text(given, "vpcId", within),
        subnet_id=read_optional_text(given, "subnetId", within),
    )
