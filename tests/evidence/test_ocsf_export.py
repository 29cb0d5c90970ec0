from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from rolecall.evidence.ocsf_export import ocsf_finding, record_of
from rolecall.evidence.rows import Agreement, EvidenceVerdict
from rolecall.findings.settings import DEFAULTS
from rolecall.model import Reason
from tests.builders import Json
from tests.evidence.made import VERDICTS, evidence_row, instance_id, recorded
from tests.findings.test_ocsf import SCHEMAS


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("reason", VERDICTS)
def test_every_recorded_verdict_is_a_valid_finding(reason: str, schema: Json) -> None:
    """By the schema, whatever the reason; with an item that cannot be judged, and without the rule's ARN."""
    for row in (
        evidence_row(Reason(reason)),
        evidence_row(Reason(reason), instance=None, exemption=None, profile_arn=None, capture_time=None, rule_arn=None),
    ):
        finding = ocsf_finding(row, DEFAULTS)
        assert [error.message for error in Draft202012Validator(schema).iter_errors(finding)] == []


def test_the_record_is_what_config_recorded() -> None:
    """Not what the rule says of the item now."""
    record = record_of(evidence_row(Reason.NO_PROFILE, 5, recorded=recorded(Reason.PROFILE_ATTACHED)))
    assert record
    assert (record.reason, record.own_rule_name, record.resource_id) == (
        Reason.PROFILE_ATTACHED,
        "ec2-instance-profile",
        instance_id(5),
    )


def test_without_a_verdict_of_ours_there_is_no_finding() -> None:
    """Nothing recorded, or recorded with an annotation that is not rolecall's."""
    unevaluated = evidence_row(recorded=None, verdict=EvidenceVerdict.UNEVALUATED, agreement=Agreement.UNEVALUATED)
    foreign = evidence_row(recorded=replace(recorded(Reason.PROFILE_ATTACHED), reason=None, annotation="fine"))
    assert [ocsf_finding(row, DEFAULTS) for row in (unevaluated, foreign)] == [None, None]
