import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local.aws import DEFAULT_ACCOUNT, LocalAws
from local.http_server import HttpServer, Response
from rolecall.cli import app
from tests.builders import NO_ROLE

HERE, ELSEWHERE = "eu-west-1", "us-east-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """An account with instances in two regions, of which one is recorded by AWS Config."""
    with LocalAws(region=HERE) as running:
        launch(running, HERE, {NO_ROLE: "appliance, calls no AWS API"}, count=130)
        launch(running, HERE, {"Name": "web"})
        launch(running, ELSEWHERE, {NO_ROLE: ""})
        running.recorder.record_now()
        yield running


def launch(aws: LocalAws, region: str, tags: dict[str, str], count: int = 1) -> None:
    """Instances without a profile."""
    aws.client("ec2", region=region).run_instances(
        ImageId="ami-0123456789abcdef0",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )


def evaluate(aws: LocalAws, *arguments: str, **changes: str) -> Result:
    """`rolecall evaluate --live` with the account's credentials, as JSON lines."""
    env = aws.environment() | {"AWS_EC2_METADATA_DISABLED": "true"} | changes
    return CliRunner().invoke(app, ["evaluate", "--live", "-f", "jsonl", *arguments], env=env)


def reasons(result: Result) -> dict[tuple[str, str, str], int]:
    """How many instances each source, region and reason has."""
    counted: dict[tuple[str, str, str], int] = {}
    for line in result.stdout.splitlines():
        row: dict[str, Any] = json.loads(line)
        key = row["source"], row["region"], row["reason"]
        counted[key] = counted.get(key, 0) + 1
        assert row["account"] == "111122223333"
    return counted


def test_config_is_asked_for_what_it_recorded_through_all_pages(aws: LocalAws) -> None:
    """By default, in the profile's region; a page holds 100."""
    result = evaluate(aws)
    assert reasons(result) == {
        (f"config:{HERE}", HERE, "EXEMPT"): 130,
        (f"config:{HERE}", HERE, "NO_PROFILE"): 1,
    }
    assert result.stderr == (
        "NON_COMPLIANT     1  NO_PROFILE 1\nCOMPLIANT       130  EXEMPT 130\n131 configuration items judged.\n"
    )
    assert result.exit_code == 1


def test_ec2_is_asked_in_every_region_that_is_named_once(aws: LocalAws) -> None:
    """In the order given; a region given twice is judged once."""
    result = evaluate(aws, "--source", "ec2", "--region", ELSEWHERE, "--region", HERE, "--region", ELSEWHERE)
    assert next(iter(reasons(result).items())) == ((f"ec2:{ELSEWHERE}", ELSEWHERE, "EXEMPTION_INVALID"), 1)
    assert reasons(result) == {
        (f"ec2:{ELSEWHERE}", ELSEWHERE, "EXEMPTION_INVALID"): 1,
        (f"ec2:{HERE}", HERE, "EXEMPT"): 130,
        (f"ec2:{HERE}", HERE, "NO_PROFILE"): 1,
    }
    assert result.exit_code == 1


def test_all_regions_are_those_enabled_for_the_account(aws: LocalAws) -> None:
    """Also without a region in the environment."""
    result = evaluate(aws, "--source", "ec2", "--all-regions", AWS_REGION="", AWS_DEFAULT_REGION="")
    assert {region for _, region, _ in reasons(result)} == {HERE, ELSEWHERE}
    assert "132 configuration items judged." in result.stderr
    assert result.exit_code == 1


def test_a_region_that_config_does_not_record_is_named_and_the_others_are_judged(aws: LocalAws) -> None:
    """Config's silence must not pass for an account without instances."""
    result = evaluate(aws, "--region", ELSEWHERE, "--region", HERE)
    assert result.stderr.startswith(
        f"error: {ELSEWHERE}: no configuration recorder records AWS::EC2::Instance, so AWS Config cannot say which "
        "instances there are; --source ec2 asks EC2 itself\n"
    )
    assert len(result.stdout.splitlines()) == 131
    assert result.exit_code == 2


def test_a_stopped_recorder_is_named(aws: LocalAws) -> None:
    """What it recorded before may be long out of date."""
    recorder = aws.client("config")
    [described] = recorder.describe_configuration_recorders()["ConfigurationRecorders"]
    recorder.stop_configuration_recorder(ConfigurationRecorderName=described["name"])
    try:
        result = evaluate(aws)
    finally:
        recorder.start_configuration_recorder(ConfigurationRecorderName=described["name"])
    assert result.stderr.startswith(f"error: {HERE}: the configuration recorder is stopped, so AWS Config cannot say")
    assert result.exit_code == 2


def test_parameters_apply_to_a_live_account(aws: LocalAws) -> None:
    """As they do to files."""
    result = evaluate(aws, "--exemption-expiry-required", "true")
    assert reasons(result)[f"config:{HERE}", HERE, "EXEMPTION_INVALID"] == 130


def test_passing_faults_are_retried_and_lasting_ones_are_named(aws: LocalAws) -> None:
    """A throttled call is repeated; what a proxy answers instead of AWS is no empty account."""
    aws.config.faults.inject("throttle", "SelectResourceConfig")
    assert sum(reasons(evaluate(aws)).values()) == 131
    aws.config.faults.inject("garble", "SelectResourceConfig")
    result = evaluate(aws)
    assert result.stderr.startswith(f"error: {HERE}: SelectResourceConfig failed: UnreadableAnswer: ")
    assert (result.exit_code, result.stdout) == (2, "")


def described(*instances: str) -> bytes:
    """An answer of DescribeInstances."""
    listed = "".join(f"<item>{instance}</item>" for instance in instances)
    return (
        f"<DescribeInstancesResponse><reservationSet><item><ownerId>{DEFAULT_ACCOUNT}</ownerId>"
        f"<instancesSet>{listed}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    ).encode()


RUNNING = "<instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>"
DENIED = (
    b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You may not.</Message></Error></Errors>"
    b"</Response>"
)

EC2_ANSWERS = [
    ("a region where access is denied", 403, DENIED, "DescribeInstances failed: UnauthorizedOp", 0),
    ("an error page of a proxy", 404, b"<html>\n<body>Not\nhere</body></html>",
     "DescribeInstances failed: HTTP 404, no answer of AWS\n", 0),
    ("a page of a proxy", 200, b"<html><body>Log in</body></html>",
     "DescribeInstances failed: UnreadableAnswer: AWS answered 200 with a body that is no DescribeInstancesR", 0),
    ("an instance in a state that EC2 does not document", 200,
     described(RUNNING.replace("running", "dreaming"), RUNNING),
     "i-1: configuration.state.name is 'dreaming'; allowed: pending, running,", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("promise", "status", "body", "message", "judged"), EC2_ANSWERS, ids=[case[0] for case in EC2_ANSWERS]
)
def test_what_ec2_does_not_answer_is_named_and_the_rest_is_judged(
    promise: str, status: int, body: bytes, message: str, judged: int
) -> None:
    """With the region and the reason; it never passes for a region without instances."""
    environment = {"AWS_ACCESS_KEY_ID": DEFAULT_ACCOUNT, "AWS_SECRET_ACCESS_KEY": "invented", "AWS_REGION": HERE}
    with HttpServer(lambda _: Response(status, body, {"Content-Type": "text/xml"})) as server:
        arguments = ["evaluate", "--live", "--source", "ec2", "--region", HERE, "-f", "jsonl"]
        result = CliRunner().invoke(app, arguments, env=environment | {"AWS_ENDPOINT_URL": server.url})
    assert result.stderr.startswith(f"error: {HERE}: {message}"), promise
    assert (result.exit_code, len(result.stdout.splitlines())) == (2, judged), promise


UNUSABLE = [
    ("no such region name", ("--region", "nowhere at all"), {}, "region is 'nowhere at all'; allowed: as eu-west-1"),
    ("no region of this earth", ("--region", "mars-1"), {}, "region is 'mars-1'; allowed: as eu-west-1"),
    ("an availability zone", ("--region", "eu-west-1a"), {}, "region is 'eu-west-1a'; allowed: as eu-west-1"),
    ("an endpoint that is no URL", (), {"AWS_ENDPOINT_URL": "nonsense"},
     f"error: {HERE}: CreateClient failed: InvalidSetting: Invalid endpoint: nonsense"),
    ("no such profile", ("--profile", "audit"), {}, "The config profile (audit) could not be found"),
    ("no credentials", (), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Finding AWS credentials failed"),
    ("no region", (), {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "--region: name one, or --all-regions"),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "arguments", "changes", "message"), UNUSABLE, ids=[case[0] for case in UNUSABLE])
def test_an_account_that_cannot_be_asked_is_a_clear_error(
    aws: LocalAws, promise: str, arguments: tuple[str, ...], changes: dict[str, str], message: str
) -> None:
    """One message, no traceback, and nothing that looks like a result."""
    result = evaluate(aws, *arguments, **changes)
    assert message in " ".join(result.stderr.replace("│", " ").split()), promise
    assert (result.exit_code, result.stdout) == (2, ""), promise
    assert os.environ.get("AWS_ENDPOINT_URL") is None, "a test left its account behind"
