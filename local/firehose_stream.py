"""A Firehose stream into S3, as its definition says: batches, delimiters, compression, and the names of objects.

Only what the ledger's stream uses is understood; a definition that says anything else is refused.
Amazon Data Firehose Developer Guide, "Understand data delivery" and "Understand custom prefixes".
"""

import gzip
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

RECORD_MAX_BYTES = 1000 * 1024
"""Of one record, before it is encoded: PutRecord's own limit."""

_MEBIBYTE = 1024 * 1024
_EXPRESSION = re.compile(r"!\{([^}]*)\}")
_DATE_PARTS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_DATE_PART = re.compile("|".join(_DATE_PARTS))
_DELIMITERS = {"\\n": b"\n"}
"""As a definition writes them, and what they are."""

_UNDERSTOOD = frozenset(
    (
        "BucketARN",
        "BufferingHints",
        "CloudWatchLoggingOptions",
        "CompressionFormat",
        "ErrorOutputPrefix",
        "FileExtension",
        "Prefix",
        "ProcessingConfiguration",
        "RoleARN",
    )
)


class UnknownStream(Exception):
    """The definition says something that is not understood here."""


@dataclass(frozen=True, slots=True)
class StreamDefinition:
    """What decides the objects of a stream."""

    name: str
    bucket: str
    prefix: str
    extension: str
    delimiter: bytes
    interval: timedelta
    size_bytes: int

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "StreamDefinition":
        """Read the properties of AWS::KinesisFirehose::DeliveryStream, resolved. Raises UnknownStream."""
        target: Mapping[str, Any] = properties["ExtendedS3DestinationConfiguration"]
        if unknown := sorted(set(target) - _UNDERSTOOD):
            raise UnknownStream(f"ExtendedS3DestinationConfiguration.{unknown[0]}")
        if target.get("CompressionFormat") != "GZIP":
            raise UnknownStream(f"CompressionFormat {target.get('CompressionFormat')!r}; understood is GZIP")
        return cls(
            name=properties["DeliveryStreamName"],
            bucket=target["BucketARN"].rpartition(":")[2],
            prefix=target["Prefix"],
            extension=target["FileExtension"],
            delimiter=_delimiter(target.get("ProcessingConfiguration", {"Enabled": False})),
            interval=timedelta(seconds=target["BufferingHints"]["IntervalInSeconds"]),
            size_bytes=target["BufferingHints"]["SizeInMBs"] * _MEBIBYTE,
        )


def _delimiter(processing: Mapping[str, Any]) -> bytes:
    """What is put behind each record; nothing by default."""
    delimiter = b""
    for processor in processing.get("Processors", ()) if processing["Enabled"] else ():
        given = {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters", ())}
        if processor["Type"] != "AppendDelimiterToRecord" or set(given) != {"Delimiter"}:
            raise UnknownStream(f"processor {processor}")
        if given["Delimiter"] not in _DELIMITERS:
            raise UnknownStream(f"delimiter {given['Delimiter']!r}; understood: {', '.join(map(repr, _DELIMITERS))}")
        delimiter = _DELIMITERS[given["Delimiter"]]
    return delimiter


class FirehoseStream:
    """Gathers records and writes them as objects. `s3` is a boto3 client, `clock` tells when a record arrives (UTC)."""

    def __init__(
        self,
        definition: StreamDefinition,
        s3: Any,  # noqa: ANN401 - made by boto3
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.definition = definition
        self._s3 = s3
        self._clock = clock
        self._waiting: list[bytes] = []
        self._size = 0
        self._oldest: datetime | None = None

    def put_record(self, data: bytes) -> None:
        """Take one record; whatever is due is written first. Raises ValueError for one that is too large."""
        if len(data) > RECORD_MAX_BYTES:
            raise ValueError(f"the record has {len(data)} bytes; allowed: {RECORD_MAX_BYTES}")
        self.deliver_due()
        self._oldest = self._oldest or self._clock()
        self._waiting.append(data + self.definition.delimiter)
        self._size += len(data)
        self.deliver_due()

    def deliver_due(self) -> None:
        """Write an object if the buffer is full, or its oldest record has waited for the interval."""
        if self._oldest is None:
            return
        if self._size >= self.definition.size_bytes or self._clock() - self._oldest >= self.definition.interval:
            self.flush()

    def flush(self) -> str | None:
        """Write whatever waits, without waiting for more; its key, or None if there is nothing."""
        if self._oldest is None:
            return None
        stamp = f"{self._oldest:%Y-%m-%d-%H-%M-%S}"
        name = f"{self.definition.name}-1-{stamp}-{uuid.uuid4()}{self.definition.extension}"
        key = f"{evaluated(self.definition.prefix, self._oldest)}{name}"
        body = gzip.compress(b"".join(self._waiting))
        self._s3.put_object(Bucket=self.definition.bucket, Key=key, Body=body)
        self._waiting, self._size, self._oldest = [], 0, None
        return key


def evaluated(prefix: str, moment: datetime) -> str:
    """A prefix with its expressions of `timestamp` replaced, which mean `moment`; any other one is refused."""

    def value(expression: re.Match[str]) -> str:
        namespace, _, pattern = expression[1].partition(":")
        left = _DATE_PART.sub("", pattern)
        if namespace != "timestamp" or not pattern or any(letter.isalnum() for letter in left):
            raise UnknownStream(f"{expression[0]} in a prefix; understood is !{{timestamp:…}} of yyyy MM dd HH mm ss")
        return moment.strftime(_DATE_PART.sub(lambda part: _DATE_PARTS[part[0]], pattern))

    return _EXPRESSION.sub(value, prefix)
