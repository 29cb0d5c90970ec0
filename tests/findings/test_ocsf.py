import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rolecall import __version__
from rolecall.findings import asff, ocsf
from rolecall.findings.settings import DEFAULTS, FindingSettings
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord
from tests.builders import ACCOUNT, INSTANCE_ARN, INSTANCE_ID, REGION, RULE_ARN, RULE_NAME, Json
from tests.findings.records import raw_record, record
from tests.strategies import moments, texts

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "evidence" / "ocsf_1.8.0_compliance_finding.schema.json"
"""OCSF's own schema, where it lies beside the checkout: these tests do not need it, and use it if it is there."""

MILLISECONDS = {"type": "integer", "minimum": 1_500_000_000_000}
"""Of a time in this century: seconds would be less."""
TEXT = {"type": "string", "minLength": 1}
OWN_SCHEMA: Json = {
    "type": "object",
    "required": [
        *("activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id"),
        *("metadata", "finding_info", "compliance", "cloud"),
    ],
    "properties": {
        "activity_id": {"enum": [1, 2, 3]},
        "category_uid": {"const": 2},
        "class_uid": {"const": 2003},
        "type_uid": {"enum": [200301, 200302, 200303]},
        "time": MILLISECONDS,
        "severity_id": {"enum": [1, 2, 3, 4, 5]},
        "status_id": {"enum": [1, 3, 4, 5]},
        "metadata": {
            "required": ["product", "version"],
            "properties": {"version": {"const": "1.8.0"}, "profiles": {"const": ["cloud"]}},
        },
        "cloud": {"required": ["provider"], "properties": {"provider": {"const": "AWS"}}},
        "finding_info": {
            "required": ["uid"],
            "properties": {
                "uid": TEXT,
                "analytic": {"required": ["type_id"]},
                **dict.fromkeys(("created_time", "modified_time", "last_seen_time"), MILLISECONDS),
            },
        },
        "compliance": {
            "properties": {
                "status_id": {"enum": [0, 1, 2, 3]},
                "control_parameters": {"items": {"required": ["name"], "properties": {"value": {"type": "string"}}}},
            }
        },
        "resources": {"minItems": 1, "items": {"required": ["uid"], "properties": {"created_time": MILLISECONDS}}},
        "remediation": {"required": ["desc"]},
        "unmapped": {"type": "object"},
    },
    "patternProperties": {"^(message|severity|status|.*_name)$": TEXT},
    "additionalProperties": False,
}
"""What OCSF 1.8.0 requires of class 2003 with profile cloud, and what rolecall promises beyond."""

SCHEMAS = {"own": OWN_SCHEMA, **({"OCSF's": json.loads(BESIDE.read_text())} if BESIDE.exists() else {})}

CREATED = datetime(2026, 3, 2, 12, 0, 5, 250_000, tzinfo=UTC)


def finding_of(
    one: EvaluationRecord,
    settings: FindingSettings = DEFAULTS,
    *,
    archived: bool = False,
    updated_at: datetime = CREATED,
) -> dict[str, Any]:
    """The finding of a record; as if it were new, unless told otherwise."""
    return ocsf.compliance_finding(one, settings, archived=archived, created_at=CREATED, updated_at=updated_at)


def test_a_finding_holds_what_the_one_in_security_hub_does() -> None:
    """The whole finding of an exempt instance: accepted, so suppressed, and a warning."""
    raw = raw_record(Reason.EXEMPT)
    in_security_hub = asff.finding(
        record(Reason.EXEMPT), DEFAULTS, archived=False, created_at=CREATED, updated_at=CREATED
    )
    assert finding_of(record(Reason.EXEMPT)) == {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "type_uid": 200301,
        "type_name": "Compliance Finding: Create",
        "time": 1772452800000,
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 3,
        "status": "Suppressed",
        "message": f"EC2 instance {INSTANCE_ID} intentionally has no IAM instance profile",
        "metadata": {
            "version": "1.8.0",
            "profiles": ["cloud"],
            "product": {"name": "Rolecall", "vendor_name": "Rolecall", "version": __version__},
            "uid": raw["id"],
        },
        "cloud": {
            "provider": "AWS",
            "account": {"uid": ACCOUNT},
            "region": REGION,
            "cloud_partition": "aws",
        },
        "finding_info": {
            "uid": in_security_hub["Id"],
            "title": in_security_hub["Title"],
            "desc": in_security_hub["Description"],
            "types": in_security_hub["FindingProviderFields"]["Types"],
            "created_time": 1772452805250,
            "modified_time": 1772452805250,
            "last_seen_time": 1772357400123,
            "analytic": {
                "type_id": 1,
                "type": "Rule",
                "category": "AWS::Config::ConfigRule",
                "name": RULE_NAME,
                "uid": RULE_ARN,
                "version": __version__,
            },
        },
        "compliance": {
            "status_id": 2,
            "status": "Warning",
            "status_code": "EXEMPT",
            "status_details": ["EXEMPT: no role is intended through 2026-12-31: licensed appliance, calls no AWS API"],
            "control": RULE_NAME,
            "standards": [
                "CIS AWS Foundations Benchmark v1.4.0",
                "CIS AWS Foundations Benchmark v3.0.0",
                "CIS AWS Foundations Benchmark v4.0.1",
                "CIS AWS Foundations Benchmark v5.0.0",
                "CIS AWS Foundations Benchmark v6.0.0",
                "CIS AWS Foundations Benchmark v7.0.0",
                "NIST SP 800-53 r5",
                "NIST SP 800-171 r2",
                "PCI DSS v4.0",
                "ISO/IEC 27001 2022",
                "CMMC 2.0",
                "CIS Controls v8.1",
            ],
            "requirements": [str(requirement) for requirement in REQUIREMENTS],
            "control_parameters": [{"name": name, "value": value} for name, value in raw["rule"]["parameters"].items()],
        },
        "resources": [
            {
                "uid": INSTANCE_ID,
                "uid_alt": INSTANCE_ARN,
                "type": "AWS::EC2::Instance",
                "region": REGION,
                "cloud_partition": "aws",
                "owner": {"account": {"uid": ACCOUNT}},
                "tags": [{"name": name, "value": value} for name, value in raw["instance"]["tags"].items()],
                "created_time": 1762188330000,
                "data": {
                    "profileArn": None,
                    "state": "running",
                    "type": "t3.small",
                    "imageId": "ami-0123456789abcdef0",
                    "firstLaunch": "2025-11-03T16:45:30.000Z",
                    "lastLaunch": "2026-02-20T07:00:05.000Z",
                    "vpcId": "vpc-0ee55ff66aa77bb88",
                    "subnetId": "subnet-0aa11bb22cc33dd44",
                    "metadataOptions": raw["instance"]["metadataOptions"],
                },
            }
        ],
        "remediation": {
            "desc": in_security_hub["Remediation"]["Recommendation"]["Text"],
            "references": ["https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"],
        },
        "unmapped": {
            "record_kind": "verdict",
            "ordering_timestamp": 1772357400123,
            "exemption": {
                "state": "valid",
                "problem": None,
                "reason": "licensed appliance, calls no AWS API",
                "approved_by_as_declared": "platform security",
                "ticket": "SEC-1",
                "granted": "2026-01-01",
                "expires": "2026-12-31",
            },
        },
    }


NOT_AVAILABLE = (("Unknown", 0), ("Archived", 5), ("Informational", 1))
VERDICTS = [
    (Reason.LEFT_SCOPE, *NOT_AVAILABLE),
    (Reason.DELETED, *NOT_AVAILABLE),
    (Reason.NOT_RECORDED, *NOT_AVAILABLE),
    (Reason.OTHER_RESOURCE, *NOT_AVAILABLE),
    (Reason.TERMINATING, *NOT_AVAILABLE),
    (Reason.STOPPED, *NOT_AVAILABLE),
    (Reason.PROFILE_NOT_ALLOWED, ("Fail", 3), ("New", 1), ("High", 4)),
    (Reason.PROFILE_ATTACHED, ("Pass", 1), ("Resolved", 4), ("Informational", 1)),
    (Reason.EXEMPT, ("Warning", 2), ("Suppressed", 3), ("Informational", 1)),
    (Reason.EXEMPTION_EXPIRED, ("Fail", 3), ("New", 1), ("Medium", 3)),
    (Reason.EXEMPTION_INVALID, ("Fail", 3), ("New", 1), ("Medium", 3)),
    (Reason.NO_PROFILE, ("Fail", 3), ("New", 1), ("Medium", 3)),
]


@pytest.mark.parametrize(("reason", "compliance", "lifecycle", "severity"), VERDICTS)
def test_each_reason_has_its_statuses_and_severity(
    reason: Reason, compliance: tuple[str, int], lifecycle: tuple[str, int], severity: tuple[str, int]
) -> None:
    """Each with the caption and the id that OCSF gives it."""
    finding = finding_of(record(reason))
    assert (finding["compliance"]["status"], finding["compliance"]["status_id"]) == compliance
    assert (finding["status"], finding["status_id"]) == lifecycle
    assert (finding["severity"], finding["severity_id"]) == severity


@pytest.mark.parametrize(("label", "number"), [(label, number) for number, label in enumerate(Severity, 1)])
def test_every_severity_has_its_number(label: Severity, number: int) -> None:
    """From Informational 1 to Critical 5; the settings choose it here too."""
    chosen = FindingSettings({**DEFAULT_SEVERITIES, Reason.NO_PROFILE: label}, remediation_url="https://wiki/roles")
    finding = finding_of(record(), chosen)
    assert (finding["severity"], finding["severity_id"]) == (label.capitalize(), number)
    assert finding["remediation"]["references"] == ["https://wiki/roles"]


@pytest.mark.parametrize(
    ("archived", "later", "activity", "name"),
    [(False, 0, 1, "Create"), (False, 1, 2, "Update"), (True, 0, 3, "Close"), (True, 1, 3, "Close")],
)
def test_the_activity_is_what_happens_to_the_finding(*, archived: bool, later: int, activity: int, name: str) -> None:
    """And the type is made of class and activity."""
    finding = finding_of(record(), archived=archived, updated_at=CREATED + timedelta(milliseconds=later))
    assert (finding["activity_id"], finding["activity_name"]) == (activity, name)
    assert (finding["type_uid"], finding["type_name"]) == (200300 + activity, f"Compliance Finding: {name}")
    assert finding["finding_info"]["modified_time"] == finding["finding_info"]["created_time"] + later


def test_what_is_not_known_is_left_out() -> None:
    """A deleted resource has no instance, an offline evaluation no record and no rule in AWS."""
    finding = finding_of(replace(record(Reason.DELETED, resourceArn=None), id="", rule_arn=""))
    assert finding["resources"] == [
        {
            "uid": INSTANCE_ID,
            "type": "AWS::EC2::Instance",
            "region": REGION,
            "cloud_partition": "aws",
            "owner": {"account": {"uid": ACCOUNT}},
        }
    ]
    assert "uid" not in finding["metadata"]
    assert "uid" not in finding["finding_info"]["analytic"]
    assert finding["unmapped"]["exemption"] is None


@pytest.mark.parametrize("parameters", [None, {}, "text", ["list"]])
def test_parameters_that_are_none_are_shown_as_none(parameters: object) -> None:
    """A record's parameters are not part of what is checked when it is read."""
    one = record(rule={**raw_record()["rule"], "parameters": parameters})
    assert finding_of(one)["compliance"]["control_parameters"] == []


@given(moment=moments)
def test_times_are_milliseconds_since_1970(moment: datetime) -> None:
    """To the millisecond, whatever the moment."""
    finding = ocsf.compliance_finding(record(), DEFAULTS, archived=False, created_at=moment, updated_at=moment)
    milliseconds = finding["finding_info"]["created_time"]
    assert datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds) <= moment
    assert moment - datetime.fromtimestamp(0, UTC) < timedelta(milliseconds=milliseconds + 1)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("archived", [False, True])
def test_a_finding_is_valid_against_the_schemas_at_hand(reason: Reason, *, archived: bool, schema: Json) -> None:
    """Every reason, open and closed; no schema allows an attribute that it does not know."""
    validator = Draft202012Validator(schema)
    finding = json.loads(json.dumps(finding_of(record(reason), archived=archived)))
    assert [error.message for error in validator.iter_errors(finding)] == []
    assert [error.validator for error in validator.iter_errors({**finding, "time": "today"})] == ["type"]
    assert len(list(validator.iter_errors({**finding, "unknown": 1}))) == 1


@given(
    reason=st.sampled_from(Reason),
    fields=st.fixed_dictionaries({}, optional={name: texts.filter(bool) for name in ("region", "resourceId", "id")}),
    tags=st.dictionaries(texts, texts, max_size=5),
)
def test_a_finding_can_be_sent_whatever_its_record_holds(reason: Reason, fields: Json, tags: dict[str, str]) -> None:
    """And its uid is the Id of the finding in Security Hub."""
    instance = raw_record(reason)["instance"]
    tagged: Json = {"instance": {**instance, "tags": tags}} if instance else {}
    one = record(reason, **fields, **tagged)
    finding = finding_of(one)
    json.dumps(finding, ensure_ascii=False).encode()
    in_security_hub = asff.finding(one, DEFAULTS, archived=False, created_at=CREATED, updated_at=CREATED)
    assert finding["finding_info"]["uid"] == in_security_hub["Id"]
