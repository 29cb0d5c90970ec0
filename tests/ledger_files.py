"""Files of the ledger as Firehose writes them: with the delimiter, compression and prefix of the template."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.firehose_stream import FirehoseStream, StreamDefinition

STREAM = StreamDefinition(
    name="ledger",
    bucket="bucket",
    prefix="ledger/dt=!{timestamp:yyyy-MM-dd}/",
    extension=".jsonl.gz",
    delimiter=b"\n",
    interval=timedelta(seconds=300),
    size_bytes=64 * 1024 * 1024,
)
"""That of the template; tests/local/test_firehose_relay.py holds the two together."""


class FolderBucket:
    """PutObject of a boto3 client, into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - boto3's names
        """Write a file."""
        file = self.folder / Bucket / Key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(Body)


def written_ledger(folder: Path, records: Iterable[tuple[datetime, dict[str, Any]]]) -> Path:
    """Have records, each with its arrival, written below a folder; where they then are."""
    now = datetime.min.replace(tzinfo=UTC)
    stream = FirehoseStream(STREAM, FolderBucket(folder), lambda: now)
    for arrival, record in sorted(records, key=lambda one: one[0]):
        now = arrival
        stream.put_record(json.dumps(record, separators=(",", ":")).encode())
    stream.flush()
    return folder / STREAM.bucket / "ledger"
