import csv
import gzip
import io
import json
from contextlib import closing
from pathlib import Path

from rolecall.evidence.evaluations import CSV_HEADER, csv_cells, writing_evaluations
from rolecall.evidence.exemptions import CSV_HEADER as EXEMPTION_HEADER
from rolecall.evidence.exemptions import ExemptionRows
from rolecall.evidence.package_files import PackageFiles, json_line
from rolecall.evidence.rows import EvidenceVerdict, from_json, to_json
from rolecall.evidence.stores import FolderStore
from rolecall.model import ExemptionState, Reason
from tests.evidence.made import ACCOUNT, DAY, REGION, evidence_row, exemption, instance_id


def test_both_files_tell_of_every_instance(tmp_path: Path) -> None:
    """The lines read back as the rows that they were made of, and the table has a line for each."""
    rows = [
        evidence_row(Reason.PROFILE_ATTACHED, 1),
        evidence_row(Reason.EXEMPT, 2, exemption=exemption(reason="a,\nb", approved_by=None)),
        evidence_row(Reason.NO_PROFILE, 3, instance=None, capture_time=None, recorded=None, reperformed=None,
                     verdict=EvidenceVerdict.UNEVALUATED, problem="configuration is None"),
    ]  # fmt: skip
    with closing(PackageFiles()) as files:
        with writing_evaluations(files, ACCOUNT, REGION) as write:
            for row in rows:
                write(row, json_line(to_json(row)))
        files.stored_in(FolderStore(tmp_path), DAY)
    base = tmp_path / "2026-03-02/evaluations" / f"{ACCOUNT}_{REGION}"
    lines = gzip.decompress(Path(f"{base}.jsonl.gz").read_bytes()).splitlines()
    assert [from_json(json.loads(line)) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(gzip.decompress(Path(f"{base}.csv.gz").read_bytes()).decode(), newline="")))
    assert [(one["resource_id"], one["verdict"], one["exemption_reason"], one["problem"]) for one in table] == [
        (instance_id(1), "COMPLIANT", "", ""),
        (instance_id(2), "EXEMPT", "a,\nb", ""),
        (instance_id(3), "UNEVALUATED", "", "configuration is None"),
    ]


def test_a_table_row_in_full() -> None:
    """Every column, in the order of the header."""
    row = evidence_row(Reason.EXEMPT, 7)
    assert dict(zip(CSV_HEADER, csv_cells(row), strict=True)) == {
        "account": ACCOUNT,
        "region": REGION,
        "resource_id": instance_id(7),
        "resource_arn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id(7)}",
        "verdict": "EXEMPT",
        "reason": "EXEMPT",
        "annotation": "EXEMPT: told",
        "ordering_timestamp": "2026-03-01T09:30:00.123Z",
        "recorded_at": None,
        "reperformed_compliance_type": "COMPLIANT",
        "reperformed_reason": "EXEMPT",
        "agreement": "AGREES",
        "problem": "",
        "profile_arn": None,
        "exemption_state": "valid",
        "exemption_reason": "licensed appliance, calls no AWS API",
        "exemption_approved_by": "Kim Doe",
        "exemption_ticket": "SEC-7",
        "exemption_granted": "2026-02-01",
        "exemption_expires": "2026-03-31",
        "instance_state": "running",
        "instance_type": "t3.small",
        "image_id": "ami-1",
        "first_launch": "2026-02-20T07:00:05.000Z",
        "last_launch": "2026-02-20T07:00:05.000Z",
        "vpc_id": "vpc-1",
        "subnet_id": "subnet-1",
        "capture_time": "2026-03-01T09:30:00.123Z",
        "rule_name": "ec2-instance-profile-conformance-pack-abc123",
        "rule_arn": f"arn:aws:config:{REGION}:{ACCOUNT}:config-rule/config-rule-x7k2qd",
        "rule_parameters": '{"exemptionTagKey":"intentional-no-role"}',
        "rolecall_version": "0.1.0",
    }


def test_exemptions_are_told_with_what_is_left_of_them() -> None:
    """Valid, over, malformed, without dates; an instance without one is not told of."""
    stream = io.BytesIO()
    table = ExemptionRows(stream, DAY)
    for row in (
        evidence_row(Reason.PROFILE_ATTACHED, 1),
        evidence_row(Reason.EXEMPT, 2),
        evidence_row(Reason.EXEMPTION_EXPIRED, 3, exemption=exemption(state=ExemptionState.EXPIRED, expires=DAY)),
        evidence_row(
            Reason.EXEMPTION_INVALID,
            4,
            exemption=exemption(state=ExemptionState.MALFORMED, problem="-say when", granted=None, expires=None),
        ),
    ):
        table.take_row(row)
    told = list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))
    reason, rest = "licensed appliance, calls no AWS API", ["Kim Doe", "SEC-7"]
    assert told == [
        list(EXEMPTION_HEADER),
        [ACCOUNT, REGION, instance_id(2), reason, *rest, "2026-02-01", "2026-03-31", "29", "29", "valid", "", "EXEMPT"],
        [ACCOUNT, REGION, instance_id(3), reason, *rest, "2026-02-01", "2026-03-02", "0", "29", "expired", "",
         "NON_COMPLIANT"],
        [ACCOUNT, REGION, instance_id(4), reason, *rest, "", "", "", "", "malformed", "'-say when", "NON_COMPLIANT"],
    ]  # fmt: skip
    assert set(EXEMPTION_HEADER) >= {
        "account", "region", "resource_id", "reason", "approved_by", "ticket", "granted", "expires", "state",
    }  # fmt: skip
