"""`evaluations/<account>_<region>.jsonl.gz` and `.csv.gz`: every instance of the population, a row each.

The lines of JSON are the record; the CSV says the same to whoever samples with a spreadsheet.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rolecall.evidence.package_files import CsvRows, PackageFiles
from rolecall.evidence.rows import EvidenceRow
from rolecall.record import optional_timestamp, timestamp

EVALUATIONS = "evaluations/"
"""What the paths of these files begin with."""

CSV_HEADER = (
    "account", "region", "resource_id", "resource_arn", "verdict", "reason", "annotation", "ordering_timestamp",
    "recorded_at", "reperformed_compliance_type", "reperformed_reason", "agreement", "problem", "profile_arn",
    "exemption_state", "exemption_reason", "exemption_approved_by", "exemption_ticket", "exemption_granted",
    "exemption_expires", "instance_state", "instance_type", "image_id", "first_launch", "last_launch", "vpc_id",
    "subnet_id", "capture_time", "rule_name", "rule_arn", "rule_parameters", "rolecall_version",
)  # fmt: skip


@contextmanager
def writing_evaluations(
    files: PackageFiles, account: str, region: str
) -> Iterator[Callable[[EvidenceRow, bytes], None]]:
    """What takes the rows of one account and region, by the order of their ids, each with its line in the shard."""
    path = f"{EVALUATIONS}{account}_{region}"
    with files.writing(f"{path}.jsonl.gz") as lines, files.writing(f"{path}.csv.gz") as cells:
        table = CsvRows(cells, CSV_HEADER)

        def write(row: EvidenceRow, line: bytes) -> None:
            lines.write(line)
            table.write(csv_cells(row))

        yield write


def csv_cells(row: EvidenceRow) -> list[str | None]:
    """The row under `CSV_HEADER`. Reason and annotation are those that AWS Config recorded."""
    recorded, reperformed, exemption, instance = row.recorded, row.reperformed, row.exemption, row.instance
    return [
        row.account,
        row.region,
        row.resource_id,
        row.resource_arn,
        row.verdict.value,
        recorded.reason.value if recorded and recorded.reason else None,
        recorded.annotation if recorded else None,
        timestamp(recorded.ordering_timestamp) if recorded else None,
        timestamp(recorded.recorded_at) if recorded and recorded.recorded_at else None,
        reperformed.compliance_type.value if reperformed else None,
        reperformed.reason.value if reperformed else None,
        row.agreement.value,
        row.problem,
        row.profile_arn,
        *(
            (
                exemption.state.value,
                exemption.reason,
                exemption.approved_by,
                exemption.ticket,
                exemption.granted.isoformat() if exemption.granted else None,
                exemption.expires.isoformat() if exemption.expires else None,
            )
            if exemption
            else (None,) * 6
        ),
        *(
            (
                instance.state.value,
                instance.instance_type,
                instance.image_id,
                optional_timestamp(instance.first_launch),
                optional_timestamp(instance.last_launch),
                instance.vpc_id,
                instance.subnet_id,
            )
            if instance
            else (None,) * 7
        ),
        optional_timestamp(row.capture_time),
        row.rule_name,
        row.rule_arn,
        json.dumps(dict(row.parameters), separators=(",", ":"), sort_keys=True),
        row.rolecall_version,
    ]
