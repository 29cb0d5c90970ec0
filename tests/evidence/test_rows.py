import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from rolecall.errors import InvalidRecord
from rolecall.evidence.rows import (
    Agreement,
    EvidenceRow,
    EvidenceVerdict,
    InstanceFacts,
    RecordedVerdict,
    ReperformedVerdict,
    from_json,
    to_json,
)
from rolecall.model import ComplianceType, Exemption, ExemptionState, InstanceState, Reason
from tests.builders import CAPTURED, RULE_NAME, changed
from tests.evidence.shard_builders import PARAMETERS, evidence_row

EXEMPTION = Exemption(
    ExemptionState.VALID, "", "licensed appliance", "j.doe", "SEC-1", date(2026, 1, 1), date(2026, 12, 31)
)

ROWS = {
    "an instance with a role": evidence_row(),
    "an exempt one": evidence_row(
        verdict=EvidenceVerdict.EXEMPT,
        recorded=RecordedVerdict(ComplianceType.COMPLIANT, Reason.EXEMPT, "EXEMPT: appliance", CAPTURED, RULE_NAME),
        reperformed=ReperformedVerdict(Reason.EXEMPT, "EXEMPT: appliance"),
        profile_arn=None,
        exemption=EXEMPTION,
    ),
    "one that nothing is recorded of": evidence_row(
        verdict=EvidenceVerdict.UNEVALUATED, recorded=None, agreement=Agreement.UNEVALUATED
    ),
    "one whose annotation is not ours": evidence_row(
        recorded=RecordedVerdict(ComplianceType.COMPLIANT, None, "", CAPTURED, RULE_NAME, CAPTURED),
        agreement=Agreement.DISAGREES,
    ),
    "one that cannot be judged": evidence_row(
        reperformed=None, problem="tags is 3", instance=None, profile_arn=None, capture_time=None, rule_arn=None
    ),
    "one of which little is known": evidence_row(instance=InstanceFacts(InstanceState.STOPPED), resource_arn=""),
    "one whose tag holds half a character": evidence_row(exemption=replace(EXEMPTION, reason="\ud83d")),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_is_read_as_it_was_written(row: EvidenceRow) -> None:
    """Through JSON text, nothing is lost and nothing is added."""
    assert from_json(json.loads(json.dumps(to_json(row)))) == row


def test_a_row_in_json_has_these_fields() -> None:
    """Consumers read these names: they stay."""
    assert to_json(ROWS["an exempt one"]) == {
        "account": "111122223333",
        "region": "eu-west-1",
        "partition": "aws",
        "resourceId": "i-0a1b2c3d4e5f60718",
        "resourceArn": "arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718",
        "verdict": "EXEMPT",
        "recorded": {
            "complianceType": "COMPLIANT",
            "reason": "EXEMPT",
            "annotation": "EXEMPT: appliance",
            "orderingTimestamp": "2026-03-01T09:30:00.123Z",
            "ruleName": "ec2-instance-profile",
            "recordedAt": None,
        },
        "reperformed": {"complianceType": "COMPLIANT", "reason": "EXEMPT", "annotation": "EXEMPT: appliance"},
        "problem": None,
        "agreement": "AGREES",
        "profileArn": None,
        "exemption": {
            "state": "valid",
            "problem": None,
            "reason": "licensed appliance",
            "approvedBy": "j.doe",
            "ticket": "SEC-1",
            "granted": "2026-01-01",
            "expires": "2026-12-31",
        },
        "instance": {
            "state": "running",
            "type": "t3.small",
            "imageId": "ami-0123456789abcdef0",
            "firstLaunch": "2025-11-03T16:45:30.000Z",
            "lastLaunch": "2026-02-20T07:00:05.000Z",
            "vpcId": "vpc-0ee55ff66aa77bb88",
            "subnetId": "subnet-0aa11bb22cc33dd44",
        },
        "captureTime": "2026-03-01T09:30:00.123Z",
        "rule": {
            "name": "ec2-instance-profile",
            "arn": "arn:aws:config:eu-west-1:111122223333:config-rule/config-rule-x7k2qd",
            "parameters": PARAMETERS,
            "rolecallVersion": "0.1.0",
        },
    }


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"account": "1"}, "account is '1'; allowed: 12 digits"),
        ({"verdict": "FINE"}, "verdict is 'FINE'; allowed: COMPLIANT, EXEMPT,"),
        ({"agreement": None}, "agreement is None; allowed: a text"),
        ({"captureTime": "soon"}, "captureTime is 'soon'; allowed: a time"),
        ({"recorded": []}, "recorded is []; allowed: a JSON object"),
        ({"recorded": {}}, "recorded.complianceType is None; allowed: a text"),
        (
            {"reperformed": {"complianceType": "COMPLIANT", "reason": "NO_PROFILE", "annotation": "x"}},
            "reperformed.complianceType is 'COMPLIANT'; allowed: NON_COMPLIANT",
        ),
        ({"instance": {"state": "asleep"}}, "instance.state is 'asleep'; allowed: pending,"),
        ({"rule": None}, "rule is None; allowed: a JSON object"),
    ],
)
def test_a_field_that_cannot_be_is_named(change: dict[str, Any], error: str) -> None:
    """One error with the field, its value and what is allowed."""
    with pytest.raises(InvalidRecord) as refused:
        from_json(changed(to_json(evidence_row()), change))
    assert str(refused.value).startswith(error)


@pytest.mark.parametrize("raw", [None, [], "row", 3])
def test_what_is_no_object_is_no_row(raw: object) -> None:
    """Whatever a line of a file may hold."""
    with pytest.raises(InvalidRecord, match="evidence row is"):
        from_json(raw)
