"""The function in the audit account, and what it reports into the accounts of an organization."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from local.aws import LocalAws
from local.deployment import Deployment
from local.execution_environment import InvocationResult
from local.faults import FaultKind
from local.invocations import AsynchronousInvocation, Outcome
from rolecall.cli import app
from tests.builders import INSTANCE_ID, Json
from tests.local.members import ORGANIZATION, REPORTER, add_member, add_reporter_role, item_of
from tests.local.synthesized import rule_assembly

AUDIT, FIRST, SECOND = "111122223333", "444455556666", "777788889999"
RULE = "rolecall-ec2-instance-profile-conformance-pack-x1y2z3w4v"


class Organization:
    """An audit account with the function, and members whose rule invokes it."""

    def __init__(self, aws: LocalAws, deployment: Deployment) -> None:
        self.aws = aws
        self.deployment = deployment

    @property
    def execution_role(self) -> str:
        """The one role that reporter roles let in."""
        return str(self.deployment.function.role_arn)

    def add(self, account: str, *, role: bool = True) -> None:
        """A member, perhaps one that is so new that its role is not there yet."""
        self.aws.sts.organizations[account] = ORGANIZATION
        add_member(self.aws, account, self.deployment.function.arn, RULE)
        if role:
            add_reporter_role(self.aws, account, self.execution_role)

    def change(self, account: str, **changes: object) -> AsynchronousInvocation:
        """A change in the account; what became of the event."""
        event = self.aws.config.region(account, self.aws.region).event_for(RULE, item_of(account, **changes))
        self.deployment.invocations.invoke(self.deployment.function.arn, event)
        self.deployment.invocations.wait_idle()
        return self.deployment.invocations.journal[-1]

    def results(self, account: str) -> dict[str, str]:
        """What the account's Config shows: compliance type by resource."""
        region = self.aws.config.region(account, self.aws.region)
        return {result.resource_id: result.compliance_type for result in region.results(RULE)}

    def assumed(self) -> list[tuple[str, str | None]]:
        """The accounts whose role was asked for, and the error if there was one."""
        return [(call.input["RoleArn"].split(":")[4], call.error) for call in self.aws.sts.journal.calls()]


@pytest.fixture(scope="module")
def running() -> Iterator[Organization]:
    """The function as synthesized, told of reporter roles; a retry after a minute comes after 60 ms."""
    told = {"ROLECALL_REPORTER_ROLE": REPORTER}
    with LocalAws(AUDIT) as aws, Deployment(aws, rule_assembly(), environment=told, time_scale=0.001) as deployment:
        aws.sts.organizations[AUDIT] = ORGANIZATION
        organization = Organization(aws, deployment)
        organization.add(FIRST)
        organization.add(SECOND)
        yield organization


@pytest.fixture
def organization(running: Organization) -> Iterator[Organization]:
    """The same with empty journals, and nothing going wrong."""
    running.aws.config.journal.clear()
    running.aws.sts.journal.clear()
    yield running
    running.aws.config.faults.clear()
    running.aws.sts.faults.clear()


def metrics(results: list[InvocationResult], name: str) -> list[tuple[float, list[str]]]:
    """Values of one metric, each with the names of its dimensions."""
    lines: list[dict[str, Any]] = [line for result in results for line in result.json_log() if name in line]
    return [(line[name][0], line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) for line in lines]


def test_every_account_gets_its_own_results_and_none_of_anothers(organization: Organization) -> None:
    """One warm environment answers for all; the role of each is assumed once."""
    for account in (FIRST, SECOND, FIRST, SECOND):
        entry = organization.change(account, resourceId=f"i-{account}")
        assert entry.outcome is Outcome.SUCCEEDED
    assert [organization.results(account) for account in (FIRST, SECOND)] == [
        {f"i-{FIRST}": "NON_COMPLIANT"},
        {f"i-{SECOND}": "NON_COMPLIANT"},
    ]
    puts = organization.aws.config.journal.calls("PutEvaluations")
    assert [(call.account, call.error) for call in puts] == [(one, None) for one in (FIRST, SECOND, FIRST, SECOND)]
    assert sorted(organization.assumed()) == [(FIRST, None), (SECOND, None)]


def test_our_own_account_needs_no_role(organization: Organization) -> None:
    """The audit account's instances are judged as well."""
    own_rule = organization.deployment.rule_names[0]
    event = organization.aws.config_region.event_for(own_rule, item_of(AUDIT))
    assert organization.deployment.runtime.invoke(event).error is None
    assert [result.resource_id for result in organization.aws.config_region.results(own_rule)] == [INSTANCE_ID]
    assert organization.assumed() == []


def test_a_sweep_reads_and_reports_in_the_member_account(organization: Organization) -> None:
    """The listings are the member's as well."""
    region = organization.aws.config.region(FIRST, organization.aws.region)
    region.load([item_of(FIRST, resourceId="i-0000000000000000b")])
    organization.deployment.runtime.invoke(region.scheduled_event_for(RULE))
    assert organization.results(FIRST)["i-0000000000000000b"] == "NON_COMPLIANT"
    assert {call.account for call in organization.aws.config.journal.calls()} == {FIRST}


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("an item of another account", {"accountId": SECOND}),
        ("no account id", {"accountId": "44445555666"}),
    ],
)
def test_an_event_that_mixes_accounts_is_refused(organization: Organization, what: str, changes: Json) -> None:
    """No role is assumed for it, and nothing is put anywhere."""
    event = organization.aws.config.region(FIRST, organization.aws.region).event_for(RULE, item_of(FIRST))
    before = organization.results(FIRST), organization.results(SECOND)
    result = organization.deployment.runtime.invoke({**event, **changes})
    assert result.error is not None
    assert result.error.error_type == "InvalidEvent", what
    assert (organization.assumed(), organization.aws.config.journal.calls()) == ([], [])
    assert (organization.results(FIRST), organization.results(SECOND)) == before


def test_a_throttled_sts_costs_time_not_the_verdict(organization: Organization) -> None:
    """In a new account, where there is no session yet."""
    account = "121212121212"
    organization.add(account)
    organization.aws.sts.faults.inject(FaultKind.THROTTLE, "AssumeRole", times=2)
    assert len(organization.change(account).attempts) == 1
    assert organization.assumed() == [(account, "throttle"), (account, "throttle"), (account, None)]
    assert organization.results(account) == {INSTANCE_ID: "NON_COMPLIANT"}


def test_a_role_that_is_not_there_is_retried_then_dead_lettered_then_redriven(organization: Organization) -> None:
    """Nothing is lost while StackSets roll out: each attempt is counted, the queue keeps the event, redrive ends it."""
    account = "131313131313"
    organization.add(account, role=False)
    entry = organization.change(account)
    errors = [attempt.error for attempt in entry.attempts]
    assert [error and error.error_type for error in errors] == ["RoleNotAssumed"] * 3
    assert entry.outcome is Outcome.DEAD_LETTERED
    assert metrics(entry.attempts, "RoleNotAssumed") == [(1.0, ["service"])] * 3
    assert organization.results(account) == {}

    sqs = organization.aws.client("sqs")
    name = str(organization.deployment.function.dead_letter_arn).rpartition(":")[2]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    redrive = ["redrive", "--queue", url, "--function", organization.deployment.function.name, "--format", "json"]
    shown = CliRunner().invoke(app, [*redrive, "--dry-run"], env=organization.aws.environment())
    [row] = json.loads(shown.stdout)
    assert row.pop("age_seconds") < 60
    assert row.pop("message_id")
    error = row.pop("error")
    assert error.startswith(f"role {REPORTER} of account {account} cannot be assumed, so nothing can be read or ")
    assert organization.execution_role in error
    assert row == {
        "outcome": "replay",
        "request_id": entry.request_id,
        "message_type": "ConfigurationItemChangeNotification",
        "rule": RULE,
        "account": account,
        "region": organization.aws.region,
        "resource": INSTANCE_ID,
        "kept_because": None,
    }

    add_reporter_role(organization.aws, account, organization.execution_role)
    done = CliRunner().invoke(app, redrive, env=organization.aws.environment())
    organization.deployment.invocations.wait_idle()
    assert (done.exit_code, organization.results(account)) == (0, {INSTANCE_ID: "NON_COMPLIANT"})
    again = CliRunner().invoke(app, redrive, env=organization.aws.environment())
    assert (again.exit_code, json.loads(again.stdout)) == (0, [])


def test_a_session_is_given_up_with_its_role(organization: Organization) -> None:
    """A role deleted and made again costs one attempt of each environment; Lambda's retry succeeds."""
    account = "141414141414"
    organization.add(account)
    assert organization.change(account).outcome is Outcome.SUCCEEDED
    organization.aws.config.credentials.forget_sessions_of(f"arn:aws:iam::{account}:role/{REPORTER}")
    entry = organization.change(account)
    assert entry.outcome is Outcome.SUCCEEDED
    assert [attempt.error and attempt.error.error_type for attempt in entry.attempts] == ["ServiceError", None]


def test_nothing_secret_is_logged(organization: Organization) -> None:
    """Neither the token nor the keys that STS handed out, nor the function's own."""
    account = "151515151515"
    organization.add(account)
    entry = organization.change(account)
    log = "".join(line for attempt in entry.attempts for line in attempt.log)
    assert str(entry.event["resultToken"]) not in log
    assert not [key for key in organization.aws.config.credentials._registered if key in log]  # noqa: SLF001 - the keys that exist
