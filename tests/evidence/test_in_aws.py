"""Packages in a bucket, signed by a KMS key: against moto, and where moto does not hold what AWS does, beyond it.

moto accepts a wrong checksum, so that ministack is asked; what neither does, two writers at once, `WrongAnswers` says.
moto's GetPublicKey leaves KeySpec out; with MessageType DIGEST it would sign another text than KMS does.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError

from local.aws import LocalAws
from rolecall.aws import clients
from rolecall.aws.object_store import LockMode, ObjectStore, Retention
from rolecall.aws.signing_key import SigningKey
from rolecall.errors import AlreadyWritten, InvalidKey, Missing, ServiceError, WrongChecksum
from rolecall.evidence.findings import Outcome
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.packages import package_before
from rolecall.evidence.sealing import seal
from rolecall.evidence.verifying import verify
from tests.evidence.chains import A_DAY, FIRST_DAY, RULE, measured
from tests.infra.ministack import Ministack

BUCKET = "example-packages"
NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


@pytest.fixture(scope="module", name="aws")
def _aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.client("s3").create_bucket(
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
            ObjectLockEnabledForBucket=True,
        )
        yield aws


@pytest.fixture(scope="module", name="s3")
def _s3(aws: LocalAws) -> Any:  # noqa: ANN401 - made by boto3
    return aws.client("s3")


@pytest.fixture(scope="module", name="kms")
def _kms(aws: LocalAws) -> Any:  # noqa: ANN401 - made by boto3
    return aws.client("kms")


@pytest.fixture(scope="module", name="key")
def _key(kms: Any) -> SigningKey:  # noqa: ANN401 - made by boto3
    created = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms.create_alias(AliasName="alias/evidence", TargetKeyId=created["KeyMetadata"]["KeyId"])
    return SigningKey(kms, "alias/evidence")


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def test_a_chain_in_a_bucket_signed_by_kms_verifies_offline(s3: Any, key: SigningKey) -> None:  # noqa: ANN401 - made by boto3
    """Sealed through S3 and KMS, verified with nothing but the exported public key; sealed again, nothing changes."""
    store = ObjectStore(s3, BUCKET, "chain/packages", Retention(LockMode.GOVERNANCE, 400), clock=lambda: NOW)
    sealed = []
    for number in range(2):
        content = replace(A_DAY, day=FIRST_DAY + timedelta(days=number))
        for path, stored in content.files().items():
            store.put_once(f"{content.day}/{path}", io.BytesIO(stored), sha256=sha256(stored))
        sealed.append(
            [
                seal(store, content.day, measured(content.files()), rule=RULE, signer=key,
                     previous=package_before(store, content.day))
                for _ in range(2)
            ]
        )  # fmt: skip
    assert [first == again for first, again in sealed] == [True, True]
    exported = PublicKey.from_pem(PublicKey.from_der(key.public_key_der).pem().encode())
    report = verify(store, [exported], until=FIRST_DAY + timedelta(days=1))
    assert (report.outcome, list(report.all_findings())) == (Outcome.OK, [])


def test_a_changed_object_in_a_bucket_is_tampering(s3: Any, key: SigningKey) -> None:  # noqa: ANN401 - made by boto3
    """As in a folder."""
    store = ObjectStore(s3, BUCKET, "changed")
    for path, stored in A_DAY.files().items():
        store.put_once(f"{FIRST_DAY}/{path}", stored, sha256=sha256(stored))
    seal(store, FIRST_DAY, measured(A_DAY.files()), rule=RULE, previous=None, signer=key)
    s3.put_object(Bucket=BUCKET, Key=f"changed/{FIRST_DAY}/kpis.json", Body=b"{}")
    s3.put_object(Bucket=BUCKET, Key=f"changed/{FIRST_DAY}/added.json", Body=b"{}")
    s3.delete_object(Bucket=BUCKET, Key=f"changed/{FIRST_DAY}/report.html")
    report = verify(store, [PublicKey.from_der(key.public_key_der)], until=FIRST_DAY)
    assert [(one.outcome, one.path) for one in report.all_findings()] == [
        (Outcome.TAMPERED, "added.json"),
        (Outcome.TAMPERED, "kpis.json"),
        (Outcome.INCOMPLETE, "report.html"),
    ]


# --- the store --------------------------------------------------------------------------------------------------------


def test_an_object_is_written_once(s3: Any) -> None:  # noqa: ANN401 - made by boto3
    """The same content again is fine, other content is refused, and what is there stays."""
    store = ObjectStore(s3, BUCKET, "once")
    store.put_once("a/b", b"content", sha256=sha256(b"content"))
    store.put_once("a/b", io.BytesIO(b"content"), sha256=sha256(b"content"))
    with pytest.raises(AlreadyWritten, match="a/b: was written before with other content"):
        store.put_once("a/b", b"other", sha256=sha256(b"other"))
    with store.open("a/b") as stream:
        assert stream.read() == b"content"


def test_an_object_is_locked_as_long_as_it_is_to_be_kept(s3: Any) -> None:  # noqa: ANN401 - made by boto3
    """From when it is written; without a retention there is no lock."""
    ObjectStore(s3, BUCKET, "locked", Retention(LockMode.GOVERNANCE, 30), clock=lambda: NOW).put_once(
        "a", b"", sha256=sha256(b"")
    )
    head = s3.head_object(Bucket=BUCKET, Key="locked/a")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", NOW + timedelta(days=30))
    ObjectStore(s3, BUCKET, "unlocked").put_once("a", b"", sha256=sha256(b""))
    assert "ObjectLockMode" not in s3.head_object(Bucket=BUCKET, Key="unlocked/a")


def test_all_pages_of_a_listing_are_read(aws: LocalAws) -> None:
    """S3 gives 1,000 keys at once, here two; those of other prefixes, though they begin alike, are no keys here."""
    s3 = aws.client("s3")
    for key in ("many/0", "many/1", "many/1/a", "many/10", "many/2", "many-others/0"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 2})
    store = ObjectStore(s3, BUCKET, "many/")
    assert list(store.keys()) == ["0", "1", "1/a", "10", "2"]
    assert list(store.keys("1")) == ["1", "1/a", "10"]


def test_an_object_that_is_not_there_is_missing(s3: Any) -> None:  # noqa: ANN401 - made by boto3
    """And so is one whose key leads out of the store."""
    store = ObjectStore(s3, BUCKET, "none")
    for key in ("nothing", "../once/a/b", "/a"):
        with pytest.raises(Missing):
            store.open(key)


def test_a_bucket_that_is_not_there_is_a_service_error(s3: Any) -> None:  # noqa: ANN401 - made by boto3
    """Never an empty chain."""
    store = ObjectStore(s3, "no-such-bucket")
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        list(store.keys())
    assert verify(store, [], until=FIRST_DAY).outcome is Outcome.CANNOT_VERIFY


def test_bytes_that_change_on_their_way_are_refused(tmp_path: Path) -> None:
    """By the server, which computes the SHA-256 again: ministack does, as AWS documents it; moto does not."""
    with Ministack(tmp_path, {}) as ministack:
        s3 = boto3.client(
            "s3",
            endpoint_url=ministack.url,
            region_name="eu-west-1",
            aws_access_key_id="111122223333",
            aws_secret_access_key="local",  # noqa: S106 - signatures are not verified
        )
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        store = ObjectStore(s3, BUCKET)
        store.put_once("right", b"content", sha256=sha256(b"content"))
        with pytest.raises(WrongChecksum, match="as S3 computes it"):
            store.put_once("wrong", b"content", sha256=sha256(b"other"))
        assert list(store.keys()) == ["right"]


class WrongAnswers:
    """An S3 client that answers PutObject with these errors, one after the other, then with success."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.puts: list[bytes] = []

    def put_object(self, **request: Any) -> None:  # noqa: ANN401 - as boto3 takes them
        """Keep what was sent."""
        body = request["Body"]
        self.puts.append(body if isinstance(body, bytes) else body.read())
        if self.codes:
            raise ClientError({"Error": {"Code": self.codes.pop(0), "Message": "no"}}, "PutObject")


def test_bytes_that_s3_finds_changed_are_a_wrong_checksum() -> None:
    """S3 computes the SHA-256 of what arrived; BadDigest is its answer to another one."""
    with pytest.raises(WrongChecksum, match="as S3 computes it"):
        ObjectStore(WrongAnswers("BadDigest"), BUCKET).put_once("a", b"x", sha256=sha256(b"y"))


def test_a_write_at_the_same_time_is_tried_again_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers 409 while somebody else writes the same key; a stream is sent from where it was."""
    monkeypatch.setattr("random.uniform", lambda *_: 0)
    client = WrongAnswers("ConditionalRequestConflict", "ConditionalRequestConflict")
    stream = io.BytesIO(b"0123")
    stream.seek(2)
    ObjectStore(client, BUCKET).put_once("a", stream, sha256=sha256(b"23"))
    assert client.puts == [b"23"] * 3
    with pytest.raises(ServiceError, match="ConditionalRequestConflict"):
        ObjectStore(WrongAnswers(*["ConditionalRequestConflict"] * 4), BUCKET).put_once("a", b"", sha256=sha256(b""))


class BreakingBody:
    """A body whose connection breaks after some bytes."""

    def __init__(self, content: bytes, error: Exception | None, after: int) -> None:
        self._stream = io.BytesIO(content)
        self._error = error
        self._left = after

    def read(self, size: int) -> bytes:
        """What comes, until it breaks."""
        if self._error and not self._left:
            raise self._error
        block = self._stream.read(min(size, self._left) if self._error else size)
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Nothing to give back."""


class BreakingBucket:
    """An S3 client with one object; the first connections break."""

    CONTENT = bytes(range(256)) * 40

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[dict[str, str]] = []

    def get_object(self, **request: str) -> dict[str, Any]:
        """From where it was asked for."""
        conditions = {name: value for name, value in request.items() if name in ("Range", "IfMatch")}
        self.asked.append(conditions)
        start = int(conditions.get("Range", "bytes=0-")[6:-1])
        error = self.errors.pop(0) if self.errors else None
        content = self.CONTENT[start:]
        return {"ETag": '"e"', "ContentLength": len(content), "Body": BreakingBody(content, error, 1000)}


def test_a_broken_connection_is_taken_up_where_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same object: its entity tag is a condition."""
    monkeypatch.setattr("random.uniform", lambda *_: 0)
    client = BreakingBucket(
        ReadTimeoutError(endpoint_url="https://s3"), IncompleteReadError(actual_bytes=1, expected_bytes=2)
    )
    with ObjectStore(client, BUCKET).open("a") as stream:
        read = b"".join(iter(lambda: stream.read(700), b""))
    assert read == BreakingBucket.CONTENT
    assert client.asked == [
        {},
        {"Range": "bytes=1000-", "IfMatch": '"e"'},
        {"Range": "bytes=2000-", "IfMatch": '"e"'},
    ]


def test_a_connection_that_breaks_at_once_every_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After as many attempts as for anything else."""
    monkeypatch.setattr("random.uniform", lambda *_: 0)
    client = BreakingBucket(*[ReadTimeoutError(endpoint_url="https://s3")] * 9)
    monkeypatch.setattr(BreakingBody, "read", lambda self, _: (_ for _ in ()).throw(self._error))
    with ObjectStore(client, BUCKET).open("a") as stream, pytest.raises(ServiceError, match="ReadTimeoutError"):
        stream.read(1)
    assert len(client.asked) == 1 + clients.RESENDS


# --- the key ----------------------------------------------------------------------------------------------------------


def test_kms_signs_what_its_public_key_verifies(key: SigningKey) -> None:
    """RAW: the same signature holds for KMS, and for a library that has the public key alone."""
    public = PublicKey.from_der(key.public_key_der)
    signature = key.sign(b"a text")
    assert key.fingerprint == public.fingerprint
    assert public.verifies(b"a text", signature)
    assert key.verifies(b"a text", signature)
    assert not key.verifies(b"another text", signature)
    assert not public.verifies(b"another text", signature)


@pytest.mark.parametrize(("spec", "usage"), [("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P384", "SIGN_VERIFY")])
def test_a_key_of_another_kind_signs_no_package(kms: Any, spec: str, usage: str) -> None:  # noqa: ANN401 - made by boto3
    """Said before anything is sealed with it."""
    created = kms.create_key(KeySpec=spec, KeyUsage=usage)
    with pytest.raises(InvalidKey, match=r" is a key of spec .*; allowed: a key of spec ECC_NIST_P256 for SIGN_VERIFY"):
        SigningKey(kms, created["KeyMetadata"]["KeyId"])


def test_a_key_that_is_not_there_is_a_service_error(kms: Any) -> None:  # noqa: ANN401 - made by boto3
    """With what KMS says."""
    with pytest.raises(ServiceError, match="GetPublicKey failed: NotFoundException"):
        SigningKey(kms, "alias/none")
