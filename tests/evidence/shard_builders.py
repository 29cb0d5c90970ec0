"""A healthy evidence row, and the header and the file of the shard that holds it; keywords say what differs."""

import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from rolecall.evidence.rows import (
    Agreement,
    EvidenceRow,
    EvidenceVerdict,
    InstanceFacts,
    RecordedVerdict,
    ReperformedVerdict,
)
from rolecall.evidence.shard_header import ShardHeader
from rolecall.evidence.shards import write_shard
from rolecall.model import ComplianceType, InstanceState, Reason
from rolecall.parameters import RuleParameters
from tests.builders import (
    ACCOUNT,
    CAPTURED,
    FIRST_LAUNCHED,
    INSTANCE_ARN,
    INSTANCE_ID,
    LAUNCHED,
    PROFILE_ARN,
    REGION,
    RULE_ARN,
    RULE_NAME,
)

DAY = date(2026, 3, 1)
"""The day on which the tests' instance was captured."""
COLLECTED = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)

ANNOTATION = "PROFILE_ATTACHED: the instance carries app-web"
PARAMETERS = RuleParameters().to_strings()


def evidence_row(**changes: Any) -> EvidenceRow:  # noqa: ANN401 - any field of a row
    """An instance with a role, recorded and re-performed alike."""
    row = EvidenceRow(
        account=ACCOUNT,
        region=REGION,
        partition="aws",
        resource_id=INSTANCE_ID,
        resource_arn=INSTANCE_ARN,
        verdict=EvidenceVerdict.COMPLIANT,
        recorded=RecordedVerdict(
            ComplianceType.COMPLIANT, Reason.PROFILE_ATTACHED, ANNOTATION, CAPTURED, RULE_NAME, CAPTURED
        ),
        reperformed=ReperformedVerdict(Reason.PROFILE_ATTACHED, ANNOTATION),
        agreement=Agreement.AGREES,
        rule_name=RULE_NAME,
        rule_arn=RULE_ARN,
        parameters=PARAMETERS,
        rolecall_version="0.1.0",
        profile_arn=PROFILE_ARN,
        instance=InstanceFacts(
            InstanceState.RUNNING,
            "t3.small",
            "ami-0123456789abcdef0",
            FIRST_LAUNCHED,
            LAUNCHED,
            "vpc-0ee55ff66aa77bb88",
            "subnet-0aa11bb22cc33dd44",
        ),
        capture_time=CAPTURED,
    )
    return replace(row, **changes)


def shard_header(**changes: Any) -> ShardHeader:  # noqa: ANN401 - any field of a header
    """Of a covered account and region."""
    header = ShardHeader(
        account=ACCOUNT,
        region=REGION,
        partition="aws",
        day=DAY,
        collected_at=COLLECTED,
        own_rule_name=RULE_NAME,
        rule_name=RULE_NAME,
        rule_arn=RULE_ARN,
        parameters=PARAMETERS,
        rolecall_version="0.1.0",
    )
    return replace(header, **changes)


def shard_bytes(header: ShardHeader | None = None, rows: Iterable[EvidenceRow] = (), unlisted: int = 0) -> bytes:
    """The file of a shard."""
    written = io.BytesIO()
    write_shard(written, header or shard_header(), rows, unlisted)
    return written.getvalue()
