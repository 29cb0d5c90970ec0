import io
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.http_server import HttpServer
from local.moto_process import MotoProcess
from tests.builders import ACCOUNT, REGION
from tests.local.roles import create_role, trust_of

OTHER_ACCOUNT = "444455556666"
ROOT = Path(__file__).resolve().parents[2]


def _with_credentials(local_aws: LocalAws, service: str, credentials: dict[str, Any]) -> Any:  # noqa: ANN401 - boto3 makes it
    session = boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken"), region_name=REGION
    )
    return session.client(service, endpoint_url=local_aws.endpoint_url)  # type: ignore[call-overload]  # any service


SERVICES = [
    ("ec2", "describe_instances", "Reservations"),
    ("iam", "list_roles", "Roles"),
    ("s3", "list_buckets", "Buckets"),
    ("kms", "list_keys", "Keys"),
    ("sqs", "list_queues", "ResponseMetadata"),
    ("dynamodb", "list_tables", "TableNames"),
    ("events", "list_event_buses", "EventBuses"),
    ("firehose", "list_delivery_streams", "DeliveryStreamNames"),
    ("sts", "get_caller_identity", "Account"),
    ("config", "describe_config_rules", "ConfigRules"),
]


@pytest.mark.parametrize(("service", "operation", "member"), SERVICES)
def test_every_service_answers_at_one_endpoint(local_aws: LocalAws, service: str, operation: str, member: str) -> None:
    """Each real client gets its own kind of answer."""
    assert member in getattr(local_aws.client(service), operation)()


@pytest.mark.parametrize(("service", "operation"), [row[:2] for row in SERVICES])
def test_unknown_credentials_are_refused_by_every_service(local_aws: LocalAws, service: str, operation: str) -> None:
    """In the form that its client reads, so that a wrong key is noticed at once."""
    client = local_aws.client(service, account="AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"] == {
        "Code": "UnrecognizedClientException",
        "Message": "The security token included in the request is invalid.",
    } | ({"Type": None} if "Type" in refused.value.response["Error"] else {})


@pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
def test_a_twelve_digit_key_is_the_account_for_moto_and_for_config(local_aws: LocalAws, account: str) -> None:
    """Both agree on whose request it is."""
    local_aws.config.region(account, REGION).start_recording()
    assert local_aws.client("sts", account).get_caller_identity()["Account"] == account
    [recorder] = local_aws.client("config", account).describe_configuration_recorders()["ConfigurationRecorders"]
    assert recorder["roleARN"].split(":")[4] == account


def test_accounts_do_not_see_each_others_instances(local_aws: LocalAws) -> None:
    """What one launches, the other does not list."""
    image = "ami-0123456789abcdef0"
    region = "ca-central-1"
    [launched] = local_aws.client("ec2", OTHER_ACCOUNT, region).run_instances(ImageId=image, MinCount=1, MaxCount=1)[
        "Instances"
    ]
    assert launched["NetworkInterfaces"][0]["OwnerId"] == OTHER_ACCOUNT
    assert local_aws.client("ec2", ACCOUNT, region).describe_instances()["Reservations"] == []


def test_an_assumed_role_acts_in_its_own_account(local_aws: LocalAws) -> None:
    """For moto and for Config alike, and only together with the session token."""
    role = create_role(local_aws, OTHER_ACCOUNT, "router-test", trust_of(ACCOUNT))
    credentials = local_aws.client("sts").assume_role(RoleArn=role, RoleSessionName="router-test")["Credentials"]
    sts, config = (_with_credentials(local_aws, service, credentials) for service in ("sts", "config"))
    assert sts.get_caller_identity()["Account"] == OTHER_ACCOUNT
    config.describe_config_rules()
    assert local_aws.config.journal.calls("DescribeConfigRules")[-1].account == OTHER_ACCOUNT
    without_token = _with_credentials(local_aws, "config", {**credentials, "SessionToken": None})
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        without_token.describe_config_rules()
    for client in (sts, config, without_token):
        client.close()


def test_an_access_key_of_iam_belongs_to_the_account_that_made_it(local_aws: LocalAws) -> None:
    """From its creation on."""
    iam = local_aws.client("iam", OTHER_ACCOUNT)
    iam.create_user(UserName="router-test")
    key = iam.create_access_key(UserName="router-test")["AccessKey"]
    sts = _with_credentials(local_aws, "sts", key)
    assert sts.get_caller_identity()["Account"] == OTHER_ACCOUNT
    sts.close()


def test_large_bodies_pass_both_ways(local_aws: LocalAws) -> None:
    """In one piece, in several parts, by a presigned URL; their headers come along."""
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="router-test", CreateBucketConfiguration={"LocationConstraint": REGION})
    body = os.urandom(9 * 1024 * 1024)  # more than one part of an upload
    s3.put_object(Bucket="router-test", Key="whole", Body=body, Metadata={"under_score": "kept"})
    s3.upload_fileobj(io.BytesIO(body), "router-test", "parts")
    for key in ("whole", "parts"):
        assert s3.get_object(Bucket="router-test", Key=key)["Body"].read() == body
    head = s3.head_object(Bucket="router-test", Key="whole")
    assert (head["ContentLength"], head["Metadata"]) == (len(body), {"under_score": "kept"})
    url = s3.generate_presigned_url("get_object", {"Bucket": "router-test", "Key": "whole"})
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        assert answer.read() == body


def test_a_queue_url_leads_back_to_the_endpoint(local_aws: LocalAws) -> None:
    """A message goes in and comes out."""
    sqs = local_aws.client("sqs")
    url = sqs.create_queue(QueueName="router-test")["QueueUrl"]
    assert url == f"{local_aws.endpoint_url}/{ACCOUNT}/router-test"
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert [one["Body"] for one in sqs.receive_message(QueueUrl=url)["Messages"]] == ["hello"]


def test_the_environment_is_all_that_a_client_needs(local_aws: LocalAws) -> None:
    """A process that knows nothing else finds the services in the right account and region."""
    program = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], "
        "boto3.client('config').meta.region_name, 'Buckets' in boto3.client('s3').list_buckets())"
    )
    environment = {**os.environ, **local_aws.environment(OTHER_ACCOUNT)}
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [OTHER_ACCOUNT, REGION, "True"]


def test_faults_of_config_leave_the_other_services_alone(local_aws: LocalAws) -> None:
    """An outage of Config is one of Config."""
    local_aws.config.faults.inject("outage", times=None)
    try:
        local_aws.client("sqs").list_queues()
        with pytest.raises(ClientError, match="InternalFailure"):
            local_aws.client("config").describe_config_rules()
    finally:
        local_aws.config.faults.clear()


def test_moto_ends_with_whoever_started_it() -> None:
    """When it is closed, and when its parent is killed: its input ends either way."""
    with MotoProcess() as moto:
        process = moto._process  # noqa: SLF001 - that it has ended can be seen nowhere else
        assert moto.port > 0
    assert process.returncode == 0


def test_a_port_that_is_taken_is_an_error_that_leaves_nothing_behind() -> None:
    """No moto stays behind, waiting for a router that never came."""
    with HttpServer(lambda _request: None) as taken:
        before = _children()
        with pytest.raises(OSError, match="Address already in use"):
            LocalAws(port=taken.port)
        assert _children() == before


def _children() -> set[str]:
    tasks = Path("/proc/self/task")
    return (
        {child for task in tasks.glob("*/children") for child in task.read_text().split()} if tasks.is_dir() else set()
    )
