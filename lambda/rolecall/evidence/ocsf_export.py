"""A package's evaluations as findings of OCSF: the same finding, by its uid, that Security Hub has for the instance."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from typing import Any, cast

from rolecall.errors import Damaged, InvalidRecord
from rolecall.evidence.packages import SealedPackage
from rolecall.evidence.rows import EvidenceRow, from_json, to_json
from rolecall.evidence.stores import Store
from rolecall.findings.lifecycle import FindingState, shown_state
from rolecall.findings.ocsf import compliance_finding
from rolecall.findings.settings import FindingSettings
from rolecall.model import INSTANCE_TYPE
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import SCHEMA, VERDICT, timestamp

_VERIFY = "rolecall evidence verify tells whether it is what was sealed"


def evidence_rows(store: Store, package: SealedPackage) -> Iterator[EvidenceRow]:
    """Every row of a package, as its manifest lists the parts. Raises StoreError, and Damaged for what is no row."""
    for file in package.manifest.files:
        if not (file.path.startswith("evaluations/") and file.path.endswith(".jsonl.gz")):
            continue
        key = f"{package.manifest.day}/{file.path}"
        try:
            with store.open(key) as stored, gzip.GzipFile(fileobj=stored, mode="rb") as lines:
                for number, line in enumerate(cast("Iterator[bytes]", lines), 1):
                    yield _row(key, number, line)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Damaged(key, f"is cut off, or damaged; {_VERIFY}") from error
        except OSError as error:
            raise Damaged(key, f"cannot be read: {error.strerror or error}") from error


def _row(key: str, number: int, line: bytes) -> EvidenceRow:
    try:
        return from_json(json.loads(line))
    except InvalidRecord as error:
        says = f"line {number} is no evaluation: its {error.field} must be {error.allowed}"
        raise Damaged(key, f"{says}; {_VERIFY}") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(key, f"line {number} is no JSON; {_VERIFY}") from error


def record_of(row: EvidenceRow) -> EvaluationRecord | None:
    """The row as an evaluation record of what AWS Config recorded; None where that is nothing, or not ours.

    Its time of evaluation is when Config recorded the result, or else the item's own. An aggregator does not know the
    rule's ARN: the record's is then the rule's name.
    """
    recorded = row.recorded
    if recorded is None or recorded.reason is None:
        return None
    told = to_json(row)
    ordering = timestamp(recorded.ordering_timestamp)
    identity = [row.account, row.region, recorded.rule_name, row.resource_id, ordering, recorded.reason.value]
    return read_record(
        {
            "schema": SCHEMA,
            "id": hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
            "kind": VERDICT,
            "account": row.account,
            "region": row.region,
            "partition": row.partition,
            "resourceType": INSTANCE_TYPE,
            "resourceId": row.resource_id,
            "resourceArn": row.resource_arn,
            "complianceType": recorded.compliance_type.value,
            "reason": recorded.reason.value,
            "annotation": recorded.annotation,
            "orderingTimestamp": ordering,
            "evaluatedAt": timestamp(recorded.recorded_at or recorded.ordering_timestamp),
            "rule": {
                "name": recorded.rule_name,
                "arn": row.rule_arn or recorded.rule_name,
                "parameters": dict(row.parameters),
                "rolecallVersion": row.rolecall_version,
            },
            "profileArn": row.profile_arn,
            "exemption": told["exemption"],
            "instance": {**told["instance"], "tags": {}} if told["instance"] else None,
        }
    )


def ocsf_finding(row: EvidenceRow, settings: FindingSettings) -> dict[str, Any] | None:
    """The row as a Compliance Finding; None where there is no verdict of ours to tell."""
    record = record_of(row)
    if record is None:
        return None
    return compliance_finding(
        record,
        settings,
        archived=shown_state(record, settings) is FindingState.ARCHIVED,
        created_at=record.ordering_timestamp,
        updated_at=record.evaluated_at,
    )
