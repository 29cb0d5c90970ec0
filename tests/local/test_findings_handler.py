"""The findings function's handler in this process: moto's tables, queues and roles, and the strict Security Hub."""

import importlib.util
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.aws import LocalAws
from local.faults import FaultKind
from rolecall.aws import member_sessions
from rolecall.findings.identity import compliance_status
from rolecall.model import Reason
from tests.builders import NOW, REGION, Json
from tests.findings.surroundings import REASONS, body_of, raw_record
from tests.local.members import ORGANIZATION, reporter_trust
from tests.local.roles import create_role

AUDIT, FIRST, SECOND, ROLELESS = "111122223333", "444455556666", "777788889999", "131313131313"
OTHER_REGION = "eu-central-1"
EXECUTION_ROLE = f"arn:aws:iam::{AUDIT}:role/rolecall-findings"
PUBLISHER = "rolecall-publisher"
TABLE, LETTERS = "rolecall-findings", "rolecall-findings-dead-letters"
HANDLER = Path(__file__).parents[2] / "lambda" / "rolecall" / "handlers" / "findings.py"


class Function:
    """A new environment of the function, and what it answers."""

    def __init__(self, aws: LocalAws, module: ModuleType) -> None:
        self.aws = aws
        self.module = module
        self.seconds = 300.0

    def receive(self, *raw: object, receives: int = 1) -> list[str]:
        """One batch of records; the numbers of those that have to be received again."""
        return self.receive_bodies([body_of(one) for one in raw], receives)

    def receive_bodies(self, bodies: Sequence[str], receives: int = 1, attributes: Json | None = None) -> list[str]:
        """One batch of messages as Lambda hands them over."""
        records = [
            {
                "messageId": str(number),
                "receiptHandle": "receipt",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "messageAttributes": attributes or {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{AUDIT}:rolecall-findings",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
        context = SimpleNamespace(
            aws_request_id="request-1",
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{AUDIT}:function:rolecall-findings",
            get_remaining_time_in_millis=lambda: int(self.seconds * 1000),
        )
        answer = self.module.handler({"Records": records}, context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def dead(self) -> list[tuple[str, dict[str, str]]]:
        """Body and attributes of each dead letter, taken out of the queue."""
        return taken_letters(self.aws)

    def shown(self, account: str, region: str = REGION) -> dict[str, tuple[str, str]]:
        """Status and state by instance."""
        return {
            one["Resources"][0]["Id"].rpartition("/")[2]: (one["Compliance"]["Status"], one["RecordState"])
            for one in self.aws.security_hub.findings(account, region)
        }

    @property
    def assumed(self) -> list[str]:
        """The accounts whose role was assumed."""
        return [call.input["RoleArn"].split(":")[4] for call in self.aws.sts.journal.calls() if call.error is None]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalAws]:
    """An organization of three accounts with the role, and one without."""
    with LocalAws(AUDIT) as aws:
        aws.sts.organizations = dict.fromkeys((AUDIT, FIRST, SECOND, ROLELESS), ORGANIZATION)
        for account in (FIRST, SECOND):
            create_role(aws, account, PUBLISHER, reporter_trust(EXECUTION_ROLE))
        aws.client("dynamodb").create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "finding_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "finding_id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws.client("sqs").create_queue(QueueName=LETTERS)
        yield aws


@pytest.fixture
def environment(running: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What the function is told; nothing is stored, and nothing goes wrong."""
    hub = running.security_hub
    for account in (AUDIT, FIRST, SECOND, ROLELESS):
        for region in (REGION, OTHER_REGION):
            hub.enable(account, region)
            hub.disable(account, region)
            hub.enable(account, region)
    dynamodb = running.client("dynamodb")
    for item in dynamodb.scan(TableName=TABLE)["Items"]:
        dynamodb.delete_item(TableName=TABLE, Key={"finding_id": item["finding_id"]})
    taken_letters(running)
    for journal in (hub.journal, running.sts.journal):
        journal.clear()
    told = {
        "ROLECALL_FINDINGS_TABLE": TABLE,
        "ROLECALL_PUBLISHER_ROLE": PUBLISHER,
        "ROLECALL_DEAD_LETTERS": _letters(running),
        "POWERTOOLS_SERVICE_NAME": "findings-handler",
        "POWERTOOLS_METRICS_NAMESPACE": "Rolecall",
    }
    for name, value in (running.role_environment(EXECUTION_ROLE) | told).items():
        monkeypatch.setenv(name, value)
    for module in ("botocore.endpoint", "rolecall.aws.clients"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0.0))
    yield monkeypatch
    hub.faults.clear()
    hub.behaviour.limits_rates = True
    running.sts.faults.clear()


def _letters(aws: LocalAws) -> str:
    return str(aws.client("sqs").get_queue_url(QueueName=LETTERS)["QueueUrl"])


def taken_letters(aws: LocalAws) -> list[tuple[str, dict[str, str]]]:
    """Body and attributes of every message in the dead-letter queue, which is empty then."""
    sqs, found = aws.client("sqs"), []
    url = _letters(aws)
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for one in messages:
            attributes = {name: value["StringValue"] for name, value in one["MessageAttributes"].items()}
            found.append((one["Body"], attributes))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found


def loaded() -> ModuleType:
    """The handler's module, as a new environment imports it."""
    spec = importlib.util.spec_from_file_location("findings_handler", HANDLER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def function(running: LocalAws, environment: pytest.MonkeyPatch) -> Function:
    """A function in the audit account of the organization."""
    del environment  # it is set
    return Function(running, loaded())


def record_of(account: str, region: str = REGION, instance: str = "i-1", **more: Any) -> Json:  # noqa: ANN401 - as raw_record
    """A record of an account."""
    return raw_record(account=account, region=region, instance=instance, **more)


def test_every_account_and_region_gets_its_own_findings(function: Function) -> None:
    """With the credentials of its own role, assumed once for all regions and batches; our own needs none."""
    places = [(account, region) for account in (AUDIT, FIRST, SECOND) for region in (REGION, OTHER_REGION)]
    for number in range(2):
        assert function.receive(*(record_of(*place, instance=f"i-{number}") for place in places)) == []
    for place in places:
        assert function.shown(*place) == {"i-0": ("FAILED", "ACTIVE"), "i-1": ("FAILED", "ACTIVE")}
    calls = function.aws.security_hub.journal.calls()
    assert sorted({(call.account, call.region, call.error) for call in calls}) == [
        (*one, None) for one in sorted(places)
    ]
    assert (sorted(function.assumed), len(calls)) == ([FIRST, SECOND], 12)
    assert {call.input["RoleSessionName"] for call in function.aws.sts.journal.calls()} == {"rolecall-findings"}


def test_an_account_without_the_role_is_left_then_given_up(function: Function) -> None:
    """The others of its batch are done; the letter holds the message as it came, and the reason."""
    assert function.receive(record_of(ROLELESS), record_of(FIRST)) == ["0"]
    assert (function.dead(), function.shown(FIRST)) == ([], {"i-1": ("FAILED", "ACTIVE")})
    assert function.receive(record_of(ROLELESS), receives=5) == []
    [(body, attributes)] = function.dead()
    assert body == body_of(record_of(ROLELESS))
    assert attributes.pop("ErrorMessage").startswith(f"role {PUBLISHER} of account {ROLELESS} cannot be assumed")
    assert attributes == {"ErrorCode": "RoleNotAssumed", "RequestID": "request-1"}


@pytest.mark.parametrize(
    ("what", "changes", "named"),
    [
        ("a region that is none", {"region": "eu-west-1.example.com/"}, "region is"),
        ("an account that is none", {"account": "44445555666"}, "account is"),
    ],
)
def test_what_a_record_says_never_gets_into_an_address(
    function: Function, what: str, changes: Json, named: str
) -> None:
    """It is given up, and nobody is asked."""
    assert function.receive(record_of(FIRST) | changes) == []
    [(_, attributes)] = function.dead()
    assert (attributes["ErrorCode"], named in attributes["ErrorMessage"]) == ("InvalidRecord", True), what
    assert function.aws.security_hub.journal.calls() == []


def test_one_account_alone_answers_for_no_other(running: LocalAws, environment: pytest.MonkeyPatch) -> None:
    """Its own findings need no role; another account's record is given up."""
    environment.setenv("ROLECALL_PUBLISHER_ROLE", "")
    function = Function(running, loaded())
    assert function.receive(record_of(AUDIT), record_of(AUDIT, OTHER_REGION), record_of(FIRST)) == []
    assert function.shown(AUDIT) == function.shown(AUDIT, OTHER_REGION) == {"i-1": ("FAILED", "ACTIVE")}
    [(_, attributes)] = function.dead()
    assert attributes["ErrorMessage"].startswith(f"account is '{FIRST}'; allowed: {AUDIT}, our own")
    assert (function.assumed, function.shown(FIRST)) == ([], {})


def test_a_role_that_was_made_again_costs_one_attempt(function: Function) -> None:
    """The session that is refused is forgotten, with every client that holds it."""
    assert function.receive(record_of(FIRST), record_of(FIRST, OTHER_REGION)) == []
    function.aws.config.credentials.forget_sessions_of(f"arn:aws:iam::{FIRST}:role/{PUBLISHER}")
    later = NOW + timedelta(hours=1)
    batch = [record_of(FIRST, place, reason=Reason.EXEMPT, at=later) for place in (REGION, OTHER_REGION)]
    left = function.receive(*batch)
    # Places are served in the order of their regions: the first one learns that the session is worth nothing.
    assert left == ["1"]
    assert function.receive(batch[1], receives=2) == []
    assert function.shown(FIRST) == function.shown(FIRST, OTHER_REGION) == {"i-1": ("WARNING", "ACTIVE")}
    assert function.assumed == [FIRST, FIRST]


def test_few_clients_are_kept_and_many_sessions(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with accounts and regions; a client that made room costs no AssumeRole."""
    monkeypatch.setattr(member_sessions, "CLIENTS_KEPT", 2)
    places = [(account, region) for account in (FIRST, SECOND) for region in (REGION, OTHER_REGION)]
    for number in range(2):
        assert function.receive(*(record_of(*place, instance=f"i-{number}") for place in places)) == []
    assert [len(function.shown(*place)) for place in places] == [2, 2, 2, 2]
    assert (sorted(function.assumed), len(function.module._members._services)) == ([FIRST, SECOND], 2)  # noqa: SLF001 - as said


def test_a_batch_that_runs_out_of_time_is_left(function: Function) -> None:
    """Nothing is begun that could not be written down."""
    function.seconds = 20
    assert function.receive(record_of(FIRST), record_of(SECOND)) == ["0", "1"]
    assert (function.shown(FIRST), function.aws.security_hub.journal.calls()) == ({}, [])


def test_a_hub_that_is_not_enabled_holds_nobody_up(function: Function) -> None:
    """Neither retried nor dead-lettered."""
    function.aws.security_hub.disable(FIRST, REGION)
    assert function.receive(*(record_of(FIRST, instance=f"i-{number}") for number in range(3))) == []
    assert function.dead() == []


def test_nothing_secret_and_no_body_is_logged(function: Function, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither keys of accounts nor what a record holds beyond its names."""
    handler = function.module._telemetry._log.handlers[0]  # noqa: SLF001 - loggers outlive a test
    handler.stream = sys.stdout
    function.receive(record_of(FIRST), record_of(ROLELESS))
    function.receive_bodies(['{"secret": "xyzzy"}'])
    log = capfd.readouterr().out
    keys = function.aws.config.credentials._registered  # noqa: SLF001 - the keys that exist
    assert [key for key in keys if key in log] == []
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["message"] for line in lines if line.get("level") == "INFO"} == {"imported"}
    dimensions = {
        name for line in lines if "_aws" in line for name in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]
    }
    assert dimensions == {"service", "Status"}
    assert "subnet-0aa11bb22cc33dd44" not in log


@pytest.mark.parametrize("value", ["0", "-1", "five", ""])
def test_a_setting_that_makes_no_sense_keeps_the_function_from_starting(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    """The error names it."""
    environment.setenv("ROLECALL_MAX_RECEIVES", value)
    with pytest.raises(Exception, match="ROLECALL_MAX_RECEIVES"):
        loaded()


KINDS = (FaultKind.THROTTLE, FaultKind.OUTAGE, FaultKind.DROP, FaultKind.LOSE_ANSWER, FaultKind.GARBLE)
INSTANCES = [(FIRST, REGION, "i-1"), (FIRST, REGION, "i-2"), (FIRST, OTHER_REGION, "i-3"), (AUDIT, REGION, "i-4")]

RUNS = itertools.count()
"""Tells the instances of one example from those of another: table and Security Hub outlive an example."""

happenings = st.lists(st.tuples(st.sampled_from(INSTANCES), st.sampled_from(REASONS)), min_size=1, max_size=12)
faults = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 6)), max_size=3)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(told=happenings, order=st.randoms(use_true_random=False), faults=faults, size=st.integers(1, 4))
def test_random_lives_over_http(
    function: Function,
    told: list[tuple[tuple[str, str, str], Reason]],
    order: Random,
    faults: list[tuple[FaultKind, int]],
    size: int,
) -> None:
    """With DynamoDB, STS, SQS and Security Hub answering, and calls failing: at rest, each shows the newest record."""
    function.aws.security_hub.behaviour.limits_rates = False
    function.aws.security_hub.faults.clear()
    run = next(RUNS)
    records = [
        record_of(account, region, f"{instance}-{run}", reason=reason, at=NOW + timedelta(minutes=number))
        for number, ((account, region, instance), reason) in enumerate(told)
    ]
    waiting = [(body_of(one), 0) for one in [*records, *records[:2]]]
    order.shuffle(waiting)
    for kind, times in faults:
        function.aws.security_hub.faults.inject(kind, times=times)
    for _ in range(40):
        batch, waiting = waiting[:size], waiting[size:]
        receives = 1 + max((count for _, count in batch), default=0)
        left = function.receive_bodies([body for body, _ in batch], min(receives, 4)) if batch else []
        waiting += [(batch[int(number)][0], receives) for number in left]
    assert (waiting, function.dead()) == ([], [])
    for account, region, instance in INSTANCES:
        reasons = [reason for place, reason in told if place == (account, region, instance)]
        shown = function.shown(account, region).get(f"{instance}-{run}")
        if not any(compliance_status(reason).is_open for reason in reasons):
            assert shown is None
        elif compliance_status(reasons[-1]).is_open:
            assert shown == (compliance_status(reasons[-1]).value, "ACTIVE")
        else:
            assert shown is None or shown[1] == "ARCHIVED"
