"""Amazon S3: a store whose objects are written once, checked by S3 while they are written, and kept under a lock."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, BinaryIO, cast

from rolecall.aws.clients import RESENDS, Deadline, calling, pause
from rolecall.errors import Missing, ServiceError, WrongChecksum
from rolecall.evidence.stores import refuse_bad_key, refuse_other_content

_THERE_ALREADY = "PreconditionFailed"
_BEING_WRITTEN = "ConditionalRequestConflict"
_BAD_DIGEST = "BadDigest"
_NOT_THERE = ("NoSuchKey", "404")


class LockMode(StrEnum):
    """Of S3 Object Lock: who may shorten the time that an object is kept."""

    GOVERNANCE = "GOVERNANCE"
    """Whoever has s3:BypassGovernanceRetention."""
    COMPLIANCE = "COMPLIANCE"
    """Nobody."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an object cannot be deleted, from when it is written."""

    mode: LockMode
    days: int


class ObjectStore:
    """A `stores.Store` in a bucket, below a prefix.

    Reading needs s3:GetObject and s3:ListBucket, writing s3:PutObject and s3:GetObject, and with a retention
    s3:PutObjectRetention. Everything raises ServiceError, too, and OutOfTime before another attempt.
    """

    at_once = 10
    """As many connections as botocore keeps by default (`Config.max_pool_connections`)."""

    def __init__(  # noqa: PLR0913 - one argument for each setting
        self,
        s3_client: Any,  # noqa: ANN401 - made by boto3
        bucket: str,
        prefix: str = "",
        retention: Retention | None = None,
        *,
        deadline: Deadline | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`prefix` is a folder's name, with or without the slash at its end; empty is the whole bucket."""
        self._client = s3_client
        self._bucket = bucket
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        self._retention = retention
        self._deadline = deadline or Deadline()
        self._clock = clock

    def open(self, key: str) -> BinaryIO:
        """The object's bytes, as they come. Raises Missing."""
        return cast(
            "BinaryIO", io.BufferedReader(_ObjectStream(self._get, key, self._deadline), io.DEFAULT_BUFFER_SIZE)
        )

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every key, page by page, in the order in which S3 lists them: that of their characters."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        )
        while True:
            with calling("ListObjectsV2"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                yield found["Key"][len(self._prefix) :]

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """Write an object of at most 5 GB, which is what S3 takes at once.

        S3 computes the SHA-256 of what arrives and refuses other bytes; a stream must be able to seek, as it is sent
        again when the connection breaks.
        """
        refuse_bad_key(key)
        start = 0 if isinstance(content, bytes) else content.tell()
        for resend in range(RESENDS + 1):
            try:
                self._put(key, content, sha256)
            except ServiceError as error:
                if error.code == _THERE_ALREADY:
                    refuse_other_content(self, key, sha256)
                    return
                if error.code == _BAD_DIGEST:
                    raise WrongChecksum(key, sha256, "another one, as S3 computes it") from error
                if error.code != _BEING_WRITTEN or resend == RESENDS:
                    raise
            else:
                return
            # Somebody else is writing the same object: soon it is there, or it is not.
            pause("PutObject", resend, self._deadline)
            if not isinstance(content, bytes):
                content.seek(start)

    def _put(self, key: str, content: BinaryIO | bytes, sha256: str) -> None:
        lock: dict[str, object] = {}
        if self._retention:
            until = self._clock() + timedelta(days=self._retention.days)
            lock = {"ObjectLockMode": self._retention.mode.value, "ObjectLockRetainUntilDate": until}
        with calling("PutObject"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=content,
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                **lock,
            )

    def _get(self, key: str, **conditions: str) -> Any:  # noqa: ANN401 - botocore's answer
        refuse_bad_key(key)
        try:
            with calling("GetObject"):
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **conditions)
        except ServiceError as error:
            if error.code in _NOT_THERE:
                raise Missing(key) from error
            raise


class _ObjectStream(io.RawIOBase):
    """An object that is being read; a connection that breaks is taken up again where it broke, on the same bytes."""

    def __init__(self, get: Callable[..., Any], key: str, deadline: Deadline) -> None:
        super().__init__()
        self._get = get
        self._key = key
        self._deadline = deadline
        self._position = 0
        answer = get(key)
        self._entity_tag: str = answer["ETag"]
        self._size: int = answer["ContentLength"]
        self._body = answer["Body"]

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be written into
        """Read what comes, at most as much as fits."""
        if self._position == self._size:
            return 0
        for resend in range(RESENDS + 1):
            try:
                if resend:
                    self._resume()
                with calling("GetObject"):
                    block: bytes = self._body.read(len(buffer))
            except ServiceError:
                if resend == RESENDS:
                    raise
            else:
                buffer[: len(block)] = block
                self._position += len(block)
                return len(block)
            pause("GetObject", resend, self._deadline)
        raise AssertionError("the last attempt returns or raises")

    def _resume(self) -> None:
        self._body.close()
        # Another object may have taken its place: then S3 answers 412, and nothing is pieced together.
        self._body = self._get(self._key, Range=f"bytes={self._position}-", IfMatch=self._entity_tag)["Body"]

    def close(self) -> None:
        """Give the connection back, read to its end or not."""
        if not self.closed:
            self._body.close()
        super().close()
