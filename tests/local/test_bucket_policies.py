import http.client
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from local.aws import LocalAws
from tests.builders import ACCOUNT, REGION, Json

BUCKET = "policy-test"
WRITER = f"arn:aws:iam::{ACCOUNT}:role/policy-test-writer"
OBJECTS = f"arn:aws:s3:::{BUCKET}/kept/*"


def deny(*actions: str, **conditions: Json) -> Json:
    """A statement against everybody of whom the conditions hold."""
    everybody = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": [OBJECTS]}
    return {**everybody, "Action": list(actions), **({"Condition": conditions} if conditions else {})}


POLICY: Json = {
    "Statement": [
        {**deny("s3:*", Bool={"aws:SecureTransport": "false"}), "Resource": f"arn:aws:s3:::{BUCKET}/*"},
        {**deny("s3:*", NumericLessThan={"s3:TlsVersion": 1.2}), "Resource": f"arn:aws:s3:::{BUCKET}/*"},
        deny("s3:PutObject", ArnNotEquals={"aws:PrincipalArn": WRITER}),
        deny("s3:PutObject", Null={"s3:if-none-match": "true"}),
        deny("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"),
    ]
}


@pytest.fixture(scope="module")
def bucket(local_aws: LocalAws) -> str:
    """A bucket with a policy, whose writer has written one object below `kept/`."""
    s3 = local_aws.client("s3")
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    local_aws.bucket_policies.put(BUCKET, POLICY)
    local_aws.client("s3", role_arn=WRITER).put_object(Bucket=BUCKET, Key="kept/a b", Body=b"1", IfNoneMatch="*")
    return BUCKET


KEPT: Json = {"Bucket": BUCKET, "Key": "kept/a b"}
DELETED = {"Objects": [{"Key": "kept/a b"}]}
LARGE = bytes(6 * 1024 * 1024)
IN_PARTS = TransferConfig(multipart_threshold=5 * 1024 * 1024)

DENIED: dict[str, tuple[Callable[[Any], object], str]] = {
    "somebody else writes": (lambda s3: s3.put_object(Bucket=BUCKET, Key="kept/b", IfNoneMatch="*"), "s3:PutObject"),
    "somebody else copies": (
        lambda s3: s3.copy_object(Bucket=BUCKET, Key="kept/c", CopySource={"Bucket": BUCKET, "Key": "free"}),
        "s3:PutObject",
    ),
    "somebody hides": (lambda s3: s3.delete_object(**KEPT), "s3:DeleteObject"),
    "somebody deletes": (lambda s3: s3.delete_object(**KEPT, VersionId="x"), "s3:DeleteObjectVersion"),
    "somebody shortens a lock": (
        lambda s3: s3.put_object_retention(**KEPT, Retention={}, BypassGovernanceRetention=True),
        "s3:BypassGovernanceRetention",
    ),
}


@pytest.mark.parametrize(("call", "action"), DENIED.values(), ids=DENIED)
def test_what_a_policy_denies_is_refused(
    local_aws: LocalAws, bucket: str, call: Callable[[Any], object], action: str
) -> None:
    """In the words of S3; an administrator is no exception."""
    s3 = local_aws.client("s3")
    with pytest.raises(ClientError) as refused:
        call(s3)
    error, status = refused.value.response["Error"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert (error["Code"], status) == ("AccessDenied", 403)
    start = f"User: arn:aws:iam::{ACCOUNT}:user/administrator is not authorized to perform: {action} on resource: "
    assert error["Message"].startswith(f'{start}"arn:aws:s3:::{bucket}/kept/')
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="kept/")["Contents"]] == ["kept/a b"]


def test_whom_a_policy_spares_is_bound_by_the_rest_of_it(local_aws: LocalAws, bucket: str) -> None:
    """The writer writes new objects only, and deletes none."""
    s3 = local_aws.client("s3", role_arn=WRITER)
    with pytest.raises(ClientError, match=r"PutObject .* with an explicit deny in a resource-based policy"):
        s3.put_object(**KEPT, Body=b"2")
    with pytest.raises(ClientError, match=r"DeleteObject .* with an explicit deny in a resource-based policy"):
        s3.delete_object(**KEPT)
    assert s3.get_object(**KEPT)["Body"].read() == b"1"
    assert local_aws.client("s3").head_object(Bucket=bucket, Key="kept/a b")["ContentLength"] == 1


def test_what_no_statement_is_about_is_left_alone(local_aws: LocalAws, bucket: str) -> None:
    """Other objects, the bucket itself, and reading by a presigned URL."""
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=bucket, Key="free", Body=b"2")
    s3.delete_object(Bucket=bucket, Key="free")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url = urlsplit(s3.generate_presigned_url("get_object", Params=KEPT))
    connection = http.client.HTTPConnection(url.netloc)
    connection.request("GET", f"{url.path}?{url.query}")
    assert connection.getresponse().read() == b"1"
    connection.close()


def test_nobody_at_all_is_somebody_else(local_aws: LocalAws, bucket: str) -> None:
    """A request without a signature has no principal's ARN, so it is not equal to the writer's."""
    connection = http.client.HTTPConnection(urlsplit(local_aws.endpoint_url).netloc)
    connection.request("PUT", f"/{bucket}/kept/d", body=b"3", headers={"If-None-Match": "*"})
    answer = connection.getresponse()
    assert (answer.status, b"User: anonymous is not authorized" in answer.read()) == (403, True)
    connection.close()


NOT_UNDERSTOOD: dict[str, Callable[[Any], object]] = {
    "many at once": lambda s3: s3.delete_objects(Bucket=BUCKET, Delete=DELETED),
    "in parts": lambda s3: s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, "kept/e", Config=IN_PARTS),
    "tags": lambda s3: s3.put_object_tagging(**KEPT, Tagging={"TagSet": []}),
}


@pytest.mark.parametrize("call", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
@pytest.mark.usefixtures("bucket")
def test_no_other_way_to_write_goes_past_a_policy(local_aws: LocalAws, call: Callable[[Any], object]) -> None:
    """What is not understood here is refused, and said."""
    with pytest.raises(Exception, match="NotImplemented"):
        call(local_aws.client("s3"))
