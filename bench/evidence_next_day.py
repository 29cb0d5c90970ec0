"""The day after an organization's first package: the same instances, a history, and a ledger that tells of some.

Every tenth instance has a record of that day: its role was attached. Of those that were non-compliant, an episode ends.
"""

import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bench.evidence_organization import DAY
from bench.records import RECORD
from rolecall.evidence.ledger import ledger_prefix
from rolecall.evidence.package_files import json_line
from rolecall.evidence.plan import Plan
from rolecall.evidence.rows import EvidenceRow
from rolecall.evidence.shards import ShardReader, shard_key, write_shard
from rolecall.evidence.steps import ledger_keys, planned, stored_plan
from rolecall.evidence.stores import FolderStore
from rolecall.model import Reason

NEXT_DAY = DAY + timedelta(days=1)

TOLD_ONE_IN = 10

_NOON = f"{NEXT_DAY}T12:00:00.000Z"
_TEMPLATE = RECORD | {
    "complianceType": Reason.PROFILE_ATTACHED.compliance_type.value,
    "reason": Reason.PROFILE_ATTACHED.value,
    "annotation": f"{Reason.PROFILE_ATTACHED.value}: as it was put",
    "orderingTimestamp": _NOON,
    "evaluatedAt": _NOON,
}


def add_next_day(folder: Path) -> None:
    """Write plan, shards and ledger of the next day beside those of the first, in a working store."""
    store = FolderStore(folder)
    plan = stored_plan(store, DAY)
    ledger = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=ledger, mtime=0) as lines:
        for item in plan.shards:
            with store.open(shard_key(DAY, item.account, item.region)) as stream:
                content = _moved_on(ShardReader(stream, item.region), lines)
            _put(store, shard_key(NEXT_DAY, item.account, item.region), content)
    _put(store, f"{ledger_prefix(NEXT_DAY)}records.jsonl.gz", ledger.getvalue())
    planned(store, NEXT_DAY, lambda: _next(plan, store))


def _moved_on(shard: ShardReader, lines: gzip.GzipFile) -> bytes:
    """The shard, collected a day later; what is told of its instances goes to `lines`."""

    def rows() -> Iterator[EvidenceRow]:
        for number, row in enumerate(shard.rows()):
            if number % TOLD_ONE_IN == 0:
                lines.write(json_line(_record(row)))
            yield row

    output = io.BytesIO()
    later = shard.header.collected_at + timedelta(days=1)
    write_shard(output, replace(shard.header, day=NEXT_DAY, collected_at=later), rows())
    return output.getvalue()


def _record(row: EvidenceRow) -> dict[str, object]:
    return _TEMPLATE | {
        "id": hashlib.sha256(row.resource_id.encode()).hexdigest(),
        "account": row.account,
        "region": row.region,
        "resourceId": row.resource_id,
        "resourceArn": row.resource_arn,
    }


def _next(plan: Plan, store: FolderStore) -> Plan:
    shards = tuple(replace(item, day=NEXT_DAY) for item in plan.shards)
    return replace(plan, day=NEXT_DAY, shards=shards, ledger_keys=ledger_keys(store, NEXT_DAY))


def _put(store: FolderStore, key: str, content: bytes) -> None:
    store.put_once(key, content, sha256=hashlib.sha256(content).hexdigest())
