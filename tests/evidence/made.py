"""Evidence as it would be collected: one healthy instance with a role, and what differs about it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from rolecall.evidence.manifest import Period
from rolecall.evidence.rows import (
    Agreement,
    EvidenceRow,
    EvidenceVerdict,
    InstanceFacts,
    RecordedVerdict,
    ReperformedVerdict,
)
from rolecall.model import Exemption, ExemptionState, Instance, InstanceState, Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import VERDICT

ACCOUNT = "111122223333"
REGION = "eu-west-1"
RULE = "ec2-instance-profile"
DAY = date(2026, 3, 2)
PERIOD = Period.of_day(DAY)
LAUNCHED = datetime(2026, 2, 20, 7, 0, 5, tzinfo=UTC)
CAPTURED = datetime(2026, 3, 1, 9, 30, 0, 123_000, tzinfo=UTC)

VERDICTS = {
    "LEFT_SCOPE": EvidenceVerdict.NOT_APPLICABLE,
    "DELETED": EvidenceVerdict.NOT_APPLICABLE,
    "TERMINATING": EvidenceVerdict.NOT_APPLICABLE,
    "STOPPED": EvidenceVerdict.NOT_APPLICABLE,
    "PROFILE_ATTACHED": EvidenceVerdict.COMPLIANT,
    "EXEMPT": EvidenceVerdict.EXEMPT,
    "PROFILE_NOT_ALLOWED": EvidenceVerdict.NON_COMPLIANT,
    "EXEMPTION_EXPIRED": EvidenceVerdict.NON_COMPLIANT,
    "EXEMPTION_INVALID": EvidenceVerdict.NON_COMPLIANT,
    "NO_PROFILE": EvidenceVerdict.NON_COMPLIANT,
}


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A moment of March 2026."""
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour, minutes=minute)


def instance_id(number: int) -> str:
    """An id as EC2 gives it."""
    return f"i-{number:017x}"


def exemption(**changes: Any) -> Exemption:  # noqa: ANN401 - whatever the field holds
    """A valid exemption that says everything."""
    declared = {
        "state": ExemptionState.VALID,
        "problem": "",
        "reason": "licensed appliance, calls no AWS API",
        "approved_by": "Kim Doe",
        "ticket": "SEC-7",
        "granted": date(2026, 2, 1),
        "expires": date(2026, 3, 31),
    }
    return Exemption(**{**declared, **changes})


def evidence_row(reason: Reason = Reason.PROFILE_ATTACHED, number: int = 1, **changes: Any) -> EvidenceRow:  # noqa: ANN401 - as above
    """A row on which Config and the rule agree that `reason` holds."""
    account, region = changes.get("account", ACCOUNT), changes.get("region", REGION)
    identity = instance_id(number)
    exempting = reason in (Reason.EXEMPT, Reason.EXEMPTION_EXPIRED, Reason.EXEMPTION_INVALID)
    has_profile = reason in (Reason.PROFILE_ATTACHED, Reason.PROFILE_NOT_ALLOWED)
    base = {
        "account": account,
        "region": region,
        "partition": "aws",
        "resource_id": identity,
        "resource_arn": f"arn:aws:ec2:{region}:{account}:instance/{identity}",
        "verdict": VERDICTS[reason.value],
        "recorded": recorded(reason, changes.get("capture_time") or CAPTURED),
        "reperformed": ReperformedVerdict(reason, f"{reason.value}: told"),
        "agreement": Agreement.AGREES,
        "rule_name": f"{RULE}-conformance-pack-abc123",
        "rule_arn": f"arn:aws:config:{region}:{account}:config-rule/config-rule-x7k2qd",
        "parameters": {"exemptionTagKey": "intentional-no-role"},
        "rolecall_version": "0.1.0",
        "profile_arn": f"arn:aws:iam::{account}:instance-profile/app-web" if has_profile else None,
        "exemption": exemption() if exempting else None,
        "instance": InstanceFacts(
            state=InstanceState.RUNNING, instance_type="t3.small", image_id="ami-1", first_launch=LAUNCHED,
            last_launch=LAUNCHED, vpc_id="vpc-1", subnet_id="subnet-1",
        ),
        "capture_time": CAPTURED,
    }  # fmt: skip
    return EvidenceRow(**{**base, **changes})


def recorded(reason: Reason, when: datetime = CAPTURED) -> RecordedVerdict:
    """What Config recorded."""
    return RecordedVerdict(
        compliance_type=reason.compliance_type,
        reason=reason,
        annotation=f"{reason.value}: told",
        ordering_timestamp=when,
        rule_name=f"{RULE}-conformance-pack-abc123",
    )


def record(reason: Reason, when: datetime, number: int = 1, **changes: Any) -> EvaluationRecord:  # noqa: ANN401 - as above
    """An evaluation record of the instance, made a second after its item was captured."""
    identity = instance_id(number)
    account, region = changes.get("account", ACCOUNT), changes.get("region", REGION)
    base = {
        "raw": {},
        "id": f"{account}/{region}/{identity}/{when.isoformat()}/{reason.value}",
        "kind": VERDICT,
        "account": account,
        "region": region,
        "partition": "aws",
        "resource_type": "AWS::EC2::Instance",
        "resource_id": identity,
        "resource_arn": f"arn:aws:ec2:{region}:{account}:instance/{identity}",
        "compliance_type": reason.compliance_type,
        "reason": reason,
        "annotation": f"{reason.value}: told",
        "ordering_timestamp": when,
        "evaluated_at": when + timedelta(seconds=1),
        "rule_name": f"{RULE}-conformance-pack-abc123",
        "rule_arn": f"arn:aws:config:{region}:{account}:config-rule/config-rule-x7k2qd",
        "rolecall_version": "0.1.0",
        "exemption": exemption() if reason is Reason.EXEMPT else None,
        "instance": Instance(state=InstanceState.RUNNING, profile_arn=None, tags={}, first_launch=LAUNCHED),
    }
    return EvaluationRecord(**{**base, **changes})
