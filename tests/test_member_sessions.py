import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.loaders
import pytest

from local.aws import LocalAws
from local.faults import FaultKind
from local.journal import Call
from rolecall.aws import member_sessions
from rolecall.aws.clients import ATTEMPTS, Deadline, client, own_session
from rolecall.aws.member_sessions import EXPIRY_SLACK, SESSION_SECONDS, MemberAccounts
from rolecall.errors import InvalidEvent, OutOfTime, RoleNotAssumed, ServiceError
from rolecall.items import configuration_item
from rolecall.parameters import RuleParameters
from rolecall.rule import evaluate
from tests.builders import NOW, REGION, Json
from tests.local.members import ORGANIZATION, REPORTER, add_member, add_reporter_role, item_of, reporter_trust
from tests.local.roles import create_role, trust_of

AUDIT, FIRST, SECOND, THIRD = "111122223333", "444455556666", "777788889999", "121212121212"
EXECUTION_ROLE = f"arn:aws:iam::{AUDIT}:role/rolecall-rule"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{AUDIT}:function:rolecall"
RULE = "rolecall-conformance-pack-x1y2z3"
TOO_LATE = timedelta(seconds=SESSION_SECONDS) - EXPIRY_SLACK


NOT_ASSUMED: list[tuple[str, str, Json | None]] = [
    ("the role is not there", "131313131313", None),
    ("it trusts another account", "141414141414", trust_of(FIRST)),
    ("it trusts another role", "151515151515", reporter_trust(f"arn:aws:iam::{AUDIT}:role/rolecall-findings")),
    ("it trusts another organization", "161616161616", reporter_trust(EXECUTION_ROLE, "o-zzzzzzzzzz")),
]


class Clock:
    """The function's wall clock, ahead of the real one by what `forward` adds."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """Now."""
        return datetime.now(UTC) + self.ahead


class Organization:
    """Three members with a reporter role and a rule, and what the function in the audit account makes of them."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.clock = Clock()
        self.deadline = Deadline(clock=lambda: 0.0)
        session = own_session()
        self.accounts = MemberAccounts(
            REPORTER, session, client("config", self.deadline, session), self.deadline, self.clock
        )
        self.accounts.belong_to(FUNCTION_ARN)

    def token(self, account: str) -> str:
        """A result token of the account's rule."""
        return str(self.aws.config.region(account, REGION).event_for(RULE, item_of(account))["resultToken"])

    def put(self, account: str, token: str | None = None) -> None:
        """Report one instance of the account, with its own token unless told otherwise."""
        evaluation = evaluate(configuration_item(item_of(account)), RuleParameters(), NOW)
        self.accounts.config_of(account).put([evaluation], token or self.token(account))

    def results(self, account: str) -> int:
        """How many results the account's Config holds."""
        return len(self.aws.config.region(account, REGION).results(RULE))

    @property
    def assumed(self) -> list[str]:
        """The accounts whose role was assumed."""
        return [call.input["RoleArn"].split(":")[4] for call in self.assume_role_calls if call.error is None]

    @property
    def assume_role_calls(self) -> list[Call]:
        """What STS was asked."""
        return self.aws.sts.journal.calls()


@pytest.fixture(scope="module")
def running() -> Iterator[LocalAws]:
    """An organization of four accounts, and some whose role is missing or wrong."""
    with LocalAws(AUDIT) as aws:
        aws.sts.organizations = dict.fromkeys((AUDIT, FIRST, SECOND, THIRD), ORGANIZATION)
        for account in (FIRST, SECOND, THIRD):
            add_reporter_role(aws, account, EXECUTION_ROLE)
        for _, account, trust in NOT_ASSUMED:
            if trust is not None:
                create_role(aws, account, REPORTER, trust)
        yield aws


@pytest.fixture
def organization(running: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    """A new environment of the function; results and journals are empty."""
    for name, value in running.role_environment(EXECUTION_ROLE).items():
        monkeypatch.setenv(name, value)
    for account in (AUDIT, FIRST, SECOND, THIRD):
        region = add_member(running, account, FUNCTION_ARN, RULE)
        region.delete_config_rule({"ConfigRuleName": RULE})
        add_member(running, account, FUNCTION_ARN, RULE)
    for journal in (running.sts.journal, running.config.journal):
        journal.clear()
    yield Organization(running)
    running.sts.faults.clear()
    running.config.faults.clear()
    running.config.credentials.clock = lambda: int(datetime.now(UTC).timestamp() * 1000)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts: noted instead of slept."""
    pauses: list[float] = []
    for module in ("botocore.endpoint", "rolecall.aws.clients"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0))
    return pauses


def test_each_account_gets_its_own_result(organization: Organization) -> None:
    """Put with the credentials of its own reporter role; ours need none."""
    for account in (FIRST, SECOND, AUDIT):
        organization.put(account)
    calls = organization.aws.config.journal.calls("PutEvaluations")
    assert [(call.account, call.error) for call in calls] == [(FIRST, None), (SECOND, None), (AUDIT, None)]
    assert [organization.results(account) for account in (FIRST, SECOND, AUDIT, THIRD)] == [1, 1, 1, 0]
    assert [call.input for call in organization.assume_role_calls] == [
        {
            "RoleArn": f"arn:aws:iam::{account}:role/rolecall-reporter",
            "RoleSessionName": "rolecall-rule",
            "DurationSeconds": "3600",
        }
        for account in (FIRST, SECOND)
    ]


def test_the_session_of_another_account_is_refused_and_reports_nothing(organization: Organization) -> None:
    """A token opens its own account only: a mix-up would be an error, never a result in a wrong place."""
    with pytest.raises(ServiceError, match="InvalidResultTokenException"):
        organization.put(SECOND, token=organization.token(FIRST))
    [call] = organization.aws.config.journal.calls("PutEvaluations")
    assert (call.account, organization.results(FIRST), organization.results(SECOND)) == (SECOND, 0, 0)


def test_a_client_keeps_to_its_account_whoever_is_asked_for_next(organization: Organization) -> None:
    """Also while others are assumed."""
    of_first = organization.accounts.config_of(FIRST)
    organization.accounts.config_of(SECOND)
    evaluation = evaluate(configuration_item(item_of(FIRST)), RuleParameters(), NOW)
    of_first.put([evaluation], organization.token(FIRST))
    assert (organization.results(FIRST), organization.results(SECOND)) == (1, 0)


def test_a_role_is_assumed_once_for_many_events(organization: Organization) -> None:
    """Whichever accounts they alternate between."""
    for account in (FIRST, SECOND) * 3:
        organization.put(account)
    assert organization.assumed == [FIRST, SECOND]


def test_a_session_is_renewed_before_an_invocation_could_outlive_it(organization: Organization) -> None:
    """A sweep takes up to 15 minutes; a session with less than 16 left is not begun with."""
    organization.put(FIRST)
    organization.clock.ahead = TOO_LATE - timedelta(seconds=30)
    organization.put(FIRST)
    assert organization.assumed == [FIRST]
    organization.clock.ahead = TOO_LATE
    organization.put(FIRST)
    assert organization.assumed == [FIRST, FIRST]


def test_a_session_that_aws_refuses_is_given_up(organization: Organization) -> None:
    """The role was deleted and made again: the attempt fails, Lambda's retry has a new session."""
    organization.put(FIRST)
    organization.aws.config.credentials.forget_sessions_of(f"arn:aws:iam::{FIRST}:role/{REPORTER}")
    with pytest.raises(ServiceError, match="UnrecognizedClientException"):
        organization.put(FIRST)
    organization.put(FIRST)
    assert organization.assumed == [FIRST, FIRST]


def test_a_session_that_expired_is_given_up(organization: Organization) -> None:
    """Should our clock be wrong."""
    organization.put(FIRST)
    later = datetime.now(UTC) + timedelta(seconds=SESSION_SECONDS + 1)
    organization.aws.config.credentials.clock = lambda: int(later.timestamp() * 1000)
    with pytest.raises(ServiceError, match="ExpiredTokenException"):
        organization.put(FIRST)
    organization.aws.config.credentials.clock = lambda: int(datetime.now(UTC).timestamp() * 1000)
    organization.put(FIRST)
    assert organization.assumed == [FIRST, FIRST]


def test_other_refusals_keep_the_session(organization: Organization) -> None:
    """A wrong token says nothing about the credentials."""
    for _ in range(2):
        with pytest.raises(ServiceError, match="InvalidResultTokenException"):
            organization.put(FIRST, token="a wrong token")  # noqa: S106 - it opens nothing
    assert organization.assumed == [FIRST]


def test_the_account_used_longest_ago_makes_room(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the organization."""
    monkeypatch.setattr(member_sessions, "ACCOUNTS_KEPT", 2)
    for account in (FIRST, SECOND, FIRST, THIRD, FIRST, SECOND):
        organization.put(account)
    assert organization.assumed == [FIRST, SECOND, THIRD, SECOND]


@pytest.mark.parametrize(("what", "account"), [case[:2] for case in NOT_ASSUMED])
def test_a_role_that_does_not_let_us_in_is_named(organization: Organization, what: str, account: str) -> None:
    """With its account and what STS said; STS does not tell these apart."""
    with pytest.raises(RoleNotAssumed) as denied:
        organization.accounts.config_of(account)
    assert str(denied.value) == (
        f"role rolecall-reporter of account {account} cannot be assumed, so nothing can be read or reported there: the "
        "role is not there (yet), does not trust this function's role, or this one may not assume it. STS says: "
        f"User: {EXECUTION_ROLE} is not authorized to perform: sts:AssumeRole on resource: "
        f"arn:aws:iam::{account}:role/rolecall-reporter"
    ), what


def test_a_role_that_comes_later_is_assumed_then(organization: Organization) -> None:
    """A refusal is not remembered: a new account's role takes a while to be there."""
    account = "171717171717"
    with pytest.raises(RoleNotAssumed):
        organization.accounts.config_of(account)
    add_reporter_role(organization.aws, account, EXECUTION_ROLE)
    organization.accounts.config_of(account)
    assert organization.assumed == [account]


PASSING: list[tuple[str, dict[str, Any]]] = [
    ("throttling", {"kind": FaultKind.THROTTLE}),
    ("an outage", {"kind": FaultKind.OUTAGE, "status": 503}),
    ("a lost connection", {"kind": FaultKind.DROP}),
]


@pytest.mark.parametrize(("what", "fault"), PASSING, ids=[case[0] for case in PASSING])
def test_what_passes_in_sts_is_retried(
    organization: Organization, slept: list[float], what: str, fault: dict[str, Any]
) -> None:
    """As everywhere: four failures are survived, with growing pauses."""
    organization.aws.sts.faults.inject(times=ATTEMPTS - 1, **fault)
    organization.put(FIRST)
    assert (len(organization.assume_role_calls), len(slept)) == (ATTEMPTS, ATTEMPTS - 1), what


def test_throttling_that_does_not_pass_is_no_missing_role(organization: Organization, slept: list[float]) -> None:
    """It is an error of its own, so that its metric does not point at the StackSet."""
    organization.aws.sts.faults.inject(FaultKind.THROTTLE, times=None)
    with pytest.raises(ServiceError, match="AssumeRole failed: Throttling: Rate exceeded"):
        organization.put(FIRST)
    assert len(slept) == ATTEMPTS - 1


def test_sts_is_not_asked_again_without_time(organization: Organization, slept: list[float]) -> None:
    """The error names the call, a time-out would not."""
    organization.aws.sts.faults.inject(FaultKind.THROTTLE, times=None)
    organization.deadline.set(13.5)
    with pytest.raises(OutOfTime, match="AssumeRole was not tried again after Throttling"):
        organization.put(FIRST)
    assert slept == []


def test_a_proxys_answer_is_no_session(organization: Organization) -> None:
    """Botocore alone would read it as an answer without credentials."""
    organization.aws.sts.faults.inject(FaultKind.GARBLE)
    with pytest.raises(ServiceError, match="AssumeRole failed: UnreadableAnswer"):
        organization.put(FIRST)


@pytest.mark.parametrize("account", ["", "44445555666", "4444555566667", "٤٤٤٤٥٥٥٥٦٦٦٦", "444455556666\n", "*"])
def test_what_is_no_account_id_never_gets_into_an_arn(organization: Organization, account: str) -> None:
    """The one thing that an event contributes."""
    with pytest.raises(InvalidEvent, match="allowed: 12 digits"):
        organization.accounts.config_of(account)
    assert organization.assume_role_calls == []


def test_the_partition_is_our_own(organization: Organization) -> None:
    """And so is the account; an alias behind the function's name changes nothing."""
    organization.accounts.belong_to(f"arn:aws-cn:lambda:cn-north-1:{AUDIT}:function:rolecall:live")
    with pytest.raises(RoleNotAssumed):
        organization.accounts.config_of(FIRST)
    [call] = organization.assume_role_calls
    assert call.input["RoleArn"] == f"arn:aws-cn:iam::{FIRST}:role/rolecall-reporter"
    organization.accounts.config_of(AUDIT)
    assert len(organization.assume_role_calls) == 1


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-west-1", "https://sts.eu-west-1.amazonaws.com"),
        ("us-east-1", "https://sts.us-east-1.amazonaws.com"),
        ("me-south-1", "https://sts.me-south-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_sts_is_asked_in_our_own_region(monkeypatch: pytest.MonkeyPatch, region: str, endpoint: str) -> None:
    """The global endpoint is far away, and its sessions are worth nothing in regions that must be enabled."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert client("sts", Deadline(), own_session()).meta.endpoint_url == endpoint


def test_a_further_account_reads_no_model_and_opens_no_connection(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cost many times what the client itself does."""
    organization.put(FIRST)
    read: list[str] = []
    connected: list[object] = []
    load_file, connect = botocore.loaders.JSONFileLoader.load_file, socket.socket.connect

    def reading(loader: Any, file_path: str) -> Any:  # noqa: ANN401 - botocore's own
        read.append(file_path)
        return load_file(loader, file_path)

    def connecting(opened: socket.socket, address: Any) -> None:  # noqa: ANN401 - whatever its address family takes
        if threading.current_thread() is threading.main_thread():  # the others are the local AWS, which asks moto
            connected.append(address)
        connect(opened, address)

    monkeypatch.setattr(botocore.loaders.JSONFileLoader, "load_file", reading)
    monkeypatch.setattr(socket.socket, "connect", connecting)
    organization.put(SECOND)
    organization.put(THIRD)
    assert (organization.assumed, read, connected) == ([FIRST, SECOND, THIRD], [], [])


def test_no_credentials_and_no_token_are_logged(organization: Organization, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG, which the setting logLevel allows: botocore would log whole requests and answers."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore.probe").debug("botocore's own lines are held back")
    token = organization.token(FIRST)
    organization.put(FIRST, token)
    secrets = [token, *organization.aws.config.credentials._registered]  # noqa: SLF001 - the keys that were handed out
    assert [secret for secret in secrets if secret in caplog.text] == []
    assert "held back" not in caplog.text


def test_one_account_alone_loads_none_of_this() -> None:
    """Its cold start does not pay for organizations."""
    program = (
        "import sys, rolecall.handlers.rule as rule\n"
        "print('rolecall.aws.member_sessions' in sys.modules, rule._members)\n"
    )
    lambda_folder = str(Path(__file__).parents[1] / "lambda")
    printed = [
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "PYTHONPATH": lambda_folder,
                "AWS_DEFAULT_REGION": REGION,
                "POWERTOOLS_SERVICE_NAME": "r",
            }
            | {"POWERTOOLS_METRICS_NAMESPACE": "Rolecall"}
            | changes,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for changes in ({}, {"ROLECALL_REPORTER_ROLE": "rolecall-reporter"})
    ]
    assert printed[0] == ["False", "None"]
    assert printed[1][0] == "True"
