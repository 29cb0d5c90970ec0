"""From the bus into the ledger as the template says; the bus, its queue and the bucket are moto's."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.cloud_assembly import AssemblyError
from local.firehose_relay import LedgerRelay
from local.firehose_stream import RECORD_MAX_BYTES, FirehoseStream, StreamDefinition, UnknownStream, evaluated
from tests.infra.synthesis import assembly
from tests.ledger_files import STREAM, FolderBucket

BUS = "ledger-test"
START = datetime(2026, 11, 24, 23, 58, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


@pytest.fixture(scope="module")
def assembled() -> Path:
    """One account with evidence, and a bus of its own."""
    return assembly(evidence=True, eventBus=BUS)


@pytest.fixture(scope="module")
def relay(local_aws: LocalAws, assembled: Path) -> LedgerRelay:
    """The relay, on a bus and over a bucket that are there."""
    local_aws.client("events").create_event_bus(Name=BUS)
    relay = LedgerRelay(local_aws, assembled, clock=Clock())
    place = {"LocationConstraint": local_aws.region}
    local_aws.client("s3").create_bucket(Bucket=relay.stream.definition.bucket, CreateBucketConfiguration=place)
    return relay


def publish(local_aws: LocalAws, *details: dict[str, Any], **changes: str) -> None:
    """Put events as aws/evaluations_bus.py does."""
    entries = [
        {"Source": "rolecall", "DetailType": "Rolecall Evaluation", "EventBusName": BUS, "Detail": json.dumps(detail)}
        | changes
        for detail in details
    ]
    assert local_aws.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def ledger(local_aws: LocalAws, bucket: str) -> dict[str, list[dict[str, Any]]]:
    """The records of each object by its key."""
    s3 = local_aws.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
    bodies = {key: gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}
    assert all(body.endswith(b"\n") for body in bodies.values())
    return {key: [json.loads(line) for line in body.splitlines()] for key, body in bodies.items()}


def test_verdicts_alone_reach_the_ledger(local_aws: LocalAws, relay: LedgerRelay) -> None:
    """By the rule's own pattern: no refresh, nothing of anybody else; the record itself, each on a line."""
    publish(local_aws, {"kind": "verdict", "id": "1"}, {"kind": "refresh", "id": "2"}, {"kind": "verdict", "id": "3"})
    publish(local_aws, {"kind": "verdict", "id": "4"}, Source="somebody")
    publish(local_aws, {"kind": "verdict", "id": "5"}, DetailType="Another")
    assert relay.deliver() == 2
    ((key, records),) = ledger(local_aws, relay.stream.definition.bucket).items()
    assert key.startswith("ledger/dt=2026-11-24/")
    assert key.endswith(".jsonl.gz")
    assert sorted(records, key=lambda one: one["id"]) == [
        {"kind": "verdict", "id": "1"},
        {"kind": "verdict", "id": "3"},
    ]


def test_the_tests_ledger_is_that_of_the_template(relay: LedgerRelay) -> None:
    """What other tests take for granted: prefix, extension, delimiter and buffer."""
    found = relay.stream.definition
    assert replace(found, name=STREAM.name, bucket=STREAM.bucket) == STREAM


def files(folder: Path) -> list[tuple[str, int]]:
    """Day and number of records of each object, in order."""
    found = sorted((folder / STREAM.bucket).glob("ledger/dt=*/*"))
    return [(file.parent.name, gzip.decompress(file.read_bytes()).count(b"\n")) for file in found]


def test_an_object_is_written_when_its_oldest_record_has_waited(tmp_path: Path) -> None:
    """And it belongs to the day on which that record arrived, although others came after midnight."""
    clock = Clock()
    stream = FirehoseStream(STREAM, FolderBucket(tmp_path), clock)
    stream.put_record(b"{}")
    clock.now += timedelta(minutes=4, seconds=59)
    stream.put_record(b"{}")
    assert files(tmp_path / "none") == []
    assert not (tmp_path / STREAM.bucket).exists()
    clock.now += timedelta(seconds=1)
    stream.deliver_due()
    assert files(tmp_path) == [("dt=2026-11-24", 2)]
    stream.put_record(b"{}")
    assert stream.flush() is not None
    assert stream.flush() is None
    assert files(tmp_path) == [("dt=2026-11-24", 2), ("dt=2026-11-25", 1)]


def test_an_object_is_written_when_the_buffer_is_full(tmp_path: Path) -> None:
    """Without waiting for the interval."""
    stream = FirehoseStream(STREAM, FolderBucket(tmp_path), Clock())
    for _ in range(STREAM.size_bytes // RECORD_MAX_BYTES + 1):
        stream.put_record(b"x" * RECORD_MAX_BYTES)
    assert files(tmp_path) == [("dt=2026-11-24", 66)]


def test_a_record_has_a_limit(tmp_path: Path) -> None:
    """1,000 KiB, as PutRecord's."""
    stream = FirehoseStream(STREAM, FolderBucket(tmp_path), Clock())
    with pytest.raises(ValueError, match="the record has 1024001 bytes; allowed: 1024000"):
        stream.put_record(b"x" * (RECORD_MAX_BYTES + 1))


def test_a_prefix_is_evaluated() -> None:
    """Dates by parts; another namespace or another letter is refused, as it would stand in keys as it is."""
    assert evaluated("a/!{timestamp:yyyy}/!{timestamp:MM-dd}/!{timestamp:HH}/", START) == "a/2026/11-24/23/"
    for unknown in ("!{firehose:random-string}/", "!{timestamp:EEE}/", "!{timestamp:}/"):
        with pytest.raises(UnknownStream):
            evaluated(unknown, START)


def stream_properties(**changes: object) -> dict[str, Any]:
    """Those of the template, resolved, with `changes` to its destination."""
    target: dict[str, Any] = {
        "BucketARN": "arn:aws:s3:::bucket",
        "RoleARN": "arn:aws:iam::111122223333:role/r",
        "Prefix": "p/",
        "FileExtension": ".gz",
        "CompressionFormat": "GZIP",
        "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 1},
    }
    return {"DeliveryStreamName": "s", "ExtendedS3DestinationConfiguration": target | changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"DynamicPartitioningConfiguration": {"Enabled": True}},
        {"CompressionFormat": "ZIP"},
        {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": []}]}},
        {
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "AppendDelimiterToRecord",
                        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": ";"}],
                    }
                ],
            }
        },
    ],
)
def test_a_stream_that_is_not_understood_is_refused(changes: dict[str, object]) -> None:
    """Partitioning, other compressions, other processors, other delimiters."""
    with pytest.raises(UnknownStream):
        StreamDefinition.of(stream_properties(**changes))


def test_without_a_processor_nothing_separates_records() -> None:
    """As Firehose itself does; that is why the template has one."""
    assert StreamDefinition.of(stream_properties()).delimiter == b""


def test_an_assembly_without_a_ledger_is_an_error(local_aws: LocalAws) -> None:
    """And not a relay that relays nothing."""
    with pytest.raises(AssemblyError, match="there are 0 rules whose target is a Firehose stream"):
        LedgerRelay(local_aws, assembly())
