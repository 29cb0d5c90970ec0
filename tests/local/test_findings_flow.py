"""From a change in EC2 to a finding in Security Hub, by the functions, bus, queue and table of the template."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import LocalAws
from local.demonstration import KEY, Account, Scene
from local.deployment import Deployment
from local.faults import FaultKind
from local.findings_deployment import FindingsDeployment
from local.organization import Organization, read_organization
from local.recorder import Recorder
from tests.infra.organization import AUDIT, EXAMPLE, HOME
from tests.local.synthesized import packaged_assembly

RULE = "rolecall-ec2-instance-profile"
SCALE = 0.0001
"""Half an hour of visibility time-out is 180 ms."""

FIRST, SECOND, LATE = "333344445555", "444455556666", "555566667777"


class Place:
    """An account whose instances are judged, and what its Security Hub says of them."""

    def __init__(self, aws: LocalAws, deployment: Deployment, account: Account, recorder: Recorder) -> None:
        self.aws = aws
        self.deployment = deployment
        self.account = account
        self.recorder = recorder

    @property
    def findings_function(self) -> FindingsDeployment:
        """The deployed findings function."""
        assert self.deployment.findings is not None
        return self.deployment.findings

    def settle(self) -> None:
        """Let AWS Config see what changed, and both functions do their work."""
        self.recorder.record_now()
        self.deployment.wait_idle()

    def wait_for_failure(self) -> None:
        """Let the findings function fail a message."""
        deadline = time.monotonic() + 60
        while not any(batch.failed for batch in self.findings_function.source.journal):
            assert time.monotonic() < deadline, "nothing failed within a minute"
            time.sleep(0.02)

    def launch(self, *scenes: Scene) -> None:
        """Run instances, and let everybody see them."""
        for scene in scenes:
            self.account.launch(scene)
        self.settle()

    def finding(self, name: str) -> dict[str, Any] | None:
        """The only finding of an instance, in its own account and region; None without one."""
        found = [
            one
            for one in self.aws.security_hub.findings(self.account.account, self.aws.region)
            if one["Resources"][0]["Id"].endswith(self.account.ids[name])
        ]
        assert len(found) <= 1
        return dict(found[0]) if found else None

    def state(self, name: str) -> tuple[str, str, str] | None:
        """Status, record state and reason of its finding."""
        if (one := self.finding(name)) is None:
            return None
        return one["Compliance"]["Status"], one["RecordState"], one["Compliance"]["StatusReasons"][0]["ReasonCode"]

    def metrics(self, name: str) -> list[float]:
        """All values of a metric that the findings function wrote."""
        batches = self.findings_function.source.journal
        lines: list[dict[str, Any]] = [line for batch in batches for line in batch.result.json_log()]
        return [line[name][0] for line in lines if "_aws" in line and name in line]


@pytest.fixture(scope="module")
def one() -> Iterator[Place]:
    """One account, as `make demo` deploys it."""
    assembly = packaged_assembly(environment="security-hub")
    with LocalAws() as aws, Deployment(aws, assembly, time_scale=SCALE) as deployment:
        aws.security_hub.enable(aws.account, aws.region)
        (rule,) = deployment.rule_names
        yield Place(aws, deployment, Account(aws, aws.account, rule), aws.recorder)


@pytest.fixture
def account(one: Place) -> Iterator[Place]:
    """The same with empty journals, nothing going wrong afterwards and nothing given up."""
    one.aws.security_hub.journal.clear()
    one.findings_function.source.journal.clear()
    yield one
    one.aws.security_hub.faults.clear()


def test_a_finding_follows_its_instance(account: Place) -> None:
    """Failing, then repaired: one finding, archived in the end; and none of an instance that never failed."""
    account.launch(Scene("web", "", profile="app"), Scene("batch", ""))
    assert account.state("web") is None
    assert account.state("batch") == ("FAILED", "ACTIVE", "NO_PROFILE")
    failing = account.finding("batch")
    account.account.attach("batch", "role")
    account.settle()
    assert account.state("batch") == ("PASSED", "ARCHIVED", "PROFILE_ATTACHED")
    closed = account.finding("batch")
    assert failing is not None
    assert closed is not None
    assert [closed[name] for name in ("Id", "CreatedAt", "GeneratorId")] == [
        f"rolecall/{RULE}/{account.account.account}/{account.aws.region}/{account.account.ids['batch']}",
        failing["CreatedAt"],
        f"rolecall/{RULE}",
    ]
    assert closed["UpdatedAt"] > failing["UpdatedAt"]


def test_an_exempt_instance_is_a_warning_until_its_exemption_ends(account: Place) -> None:
    """By the sweep of the next night: no event of Config tells of that."""
    account.launch(Scene("exempt", "", tags={KEY: "appliance, calls no AWS API"}))
    assert account.state("exempt") == ("WARNING", "ACTIVE", "EXEMPT")
    account.account.tag("exempt", {f"{KEY}:expires": "2020-01-01"})
    account.recorder.record_now(lose_events=True)
    account.aws.config_region.run_schedule(account.account.rule)
    account.deployment.wait_idle()
    assert account.state("exempt") == ("FAILED", "ACTIVE", "EXEMPTION_EXPIRED")


def test_a_terminated_instance_leaves_no_open_finding(account: Place) -> None:
    """Nobody shall look for it."""
    account.launch(Scene("runner", ""))
    account.account.terminate("runner")
    account.settle()
    state = account.state("runner")
    assert state is not None
    assert state[:2] == ("NOT_AVAILABLE", "ARCHIVED")


def test_many_records_make_few_calls(account: Place) -> None:
    """What a batch holds of one account and region is imported together."""
    account.launch(*(Scene(f"many-{number}", "") for number in range(12)))
    batches = account.findings_function.source.journal
    assert sum(len(batch.messages) for batch in batches) == 12
    imports = account.aws.security_hub.journal.calls("BatchImportFindings")
    assert len(imports) == len(batches) < 12
    assert {account.state(f"many-{number}") for number in range(12)} == {("FAILED", "ACTIVE", "NO_PROFILE")}


def test_a_refused_import_is_tried_again_after_the_visibility_time_out(account: Place) -> None:
    """The message stays in the queue, and is answered in the end: its finding is there once."""
    account.account.launch(Scene("unlucky", ""))
    finding_id = f"rolecall/{RULE}/{account.account.account}/{account.aws.region}/{account.account.ids['unlucky']}"
    faults = account.aws.security_hub.faults
    faults.inject(FaultKind.FAIL_FINDINGS, "BatchImportFindings", times=None, resource_ids=frozenset([finding_id]))
    account.recorder.record_now()
    account.wait_for_failure()
    faults.clear()
    account.settle()
    failed = [len(batch.failed) for batch in account.findings_function.source.journal]
    assert (failed[0], failed[-1]) == (1, 0)
    assert account.findings_function.dead_letters() == []
    assert account.state("unlucky") == ("FAILED", "ACTIVE", "NO_PROFILE")


def test_what_cannot_be_read_is_given_up_at_once_with_the_reason(account: Place) -> None:
    """In the dead-letter queue of the template, whence it can be moved back."""
    account.aws.client("sqs").send_message(QueueUrl=account.findings_function.queue_url, MessageBody="no record")
    account.findings_function.wait_idle()
    [letter] = account.findings_function.dead_letters()
    assert letter["Body"] == "no record"
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes.keys() == {"ErrorCode", "ErrorMessage", "RequestID"}
    assert attributes["ErrorCode"] == "InvalidRecord"
    [batch] = account.findings_function.source.journal
    assert (batch.failed, batch.result.error) == (frozenset(), None)


def test_other_events_on_the_bus_are_nobodys_business(account: Place) -> None:
    """The rule takes rolecall's evaluations alone."""
    entry = {"EventBusName": "Rolecall-evaluations", "Source": "other", "DetailType": "Rolecall Evaluation"}
    account.aws.client("events").put_events(Entries=[{**entry, "Detail": json.dumps({"schema": "other"})}])
    account.findings_function.wait_idle()
    assert account.findings_function.source.journal == []


def test_where_security_hub_is_off_records_are_counted_and_forgotten(account: Place) -> None:
    """Neither retried nor given up; once it is on, the next record opens the finding."""
    account.aws.security_hub.disable(account.account.account, account.aws.region)
    given_up = len(account.findings_function.dead_letters())
    account.launch(Scene("early", ""), Scene("bird", ""))
    assert sum(account.metrics("SecurityHubNotEnabled")) == 2
    assert not any(batch.failed for batch in account.findings_function.source.journal)
    assert len(account.findings_function.dead_letters()) == given_up
    account.aws.security_hub.enable(account.account.account, account.aws.region)
    account.account.tag("bird", {"team": "shop"})
    account.settle()
    assert account.state("bird") == ("FAILED", "ACTIVE", "NO_PROFILE")


def members(aws: LocalAws, deployment: Deployment, organization: Organization, *accounts: str) -> dict[str, Place]:
    """Accounts with everything that the StackSet and the pack give them, and Security Hub on."""
    found = {}
    for number in accounts:
        aws.security_hub.enable(number, aws.region)
        rule = organization.join(number)
        organization.roll_out_role(number)
        found[number] = Place(aws, deployment, Account(aws, number, rule), organization.recorder(number))
    return found


@pytest.fixture(scope="module")
def organization() -> Iterator[dict[str, Place]]:
    """Three member accounts of the example organization; the last one's publisher role has not arrived."""
    assembly = packaged_assembly(**EXAMPLE, regions=HOME)
    with LocalAws(AUDIT, HOME) as aws, Deployment(aws, assembly, time_scale=SCALE) as deployment:
        found = members(aws, deployment, Organization(aws, read_organization(assembly)), FIRST, SECOND, LATE)
        iam = aws.client("iam", LATE)
        iam.delete_role_policy(RoleName="rolecall-publisher", PolicyName="publish")
        iam.delete_role(RoleName="rolecall-publisher")
        yield found


def test_findings_lie_in_the_accounts_of_their_instances(organization: dict[str, Place]) -> None:
    """By the publisher role of each, which lets in the findings function alone."""
    for place in (organization[FIRST], organization[SECOND]):
        place.launch(Scene("ledger", "", profile="app"), Scene("ftp", ""))
        assert (place.state("ledger"), place.state("ftp")) == (None, ("FAILED", "ACTIVE", "NO_PROFILE"))
    aws = organization[FIRST].aws
    imports = aws.security_hub.journal.calls("BatchImportFindings")
    assert {(call.account, call.error) for call in imports} == {(FIRST, None), (SECOND, None)}
    assumed = {call.input["RoleArn"] for call in aws.sts.journal.calls() if call.error is None}
    assert {arn for arn in assumed if arn.endswith("publisher")} == {
        f"arn:aws:iam::{account}:role/rolecall-publisher" for account in (FIRST, SECOND)
    }


def test_a_role_that_is_not_there_is_retried_then_given_up_with_the_reason(organization: dict[str, Place]) -> None:
    """Of that account alone; each attempt is counted, and the record waits in the dead-letter queue."""
    place = organization[LATE]
    place.findings_function.source.journal.clear()
    place.launch(Scene("mail", ""))
    assert place.state("mail") is None
    attempts = place.findings_function.source.journal
    assert [len(batch.failed) for batch in attempts] == [1, 1, 1, 1, 0]
    assert sum(place.metrics("RoleNotAssumed")) == 5
    [letter] = place.findings_function.dead_letters()
    assert json.loads(letter["Body"])["detail"]["account"] == LATE
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "RoleNotAssumed"
