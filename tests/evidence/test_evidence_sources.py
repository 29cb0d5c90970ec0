from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from local.aws import LocalAws
from local.faults import FaultKind
from rolecall.aws.clients import Deadline
from rolecall.aws.evidence_environment import EvidenceEnvironment
from rolecall.aws.evidence_sources import (
    REPORT_POLLS,
    AccountEvidence,
    AccountServices,
    CredentialReports,
    Recorders,
    organization_accounts,
)
from rolecall.aws.object_store import LockMode, Retention
from rolecall.errors import InvalidParameter, InvalidSetting, OutOfTime, ServiceError
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import OrganizationAccount, ShardItem
from rolecall.evidence.shard_header import Recorder
from rolecall.parameters import RuleParameters, parse_parameters
from tests.builders import ACCOUNT, REGION
from tests.local.members import add_member

MADE = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
RULE = "rolecall"
ITEM = ShardItem(MADE.date(), ACCOUNT, REGION)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """An account whose Config records."""
    with LocalAws() as running:
        yield running


def recorded(aws: LocalAws, account: str, **recorder: object) -> Recorder | None:
    """What is said of an account's recorder once it is put; it is started if it says so."""
    config = aws.client("config", account)
    started = recorder.pop("started", True)
    config.put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": f"arn:aws:iam::{account}:role/config", **recorder}
    )
    if started:
        aws.config.region(account, aws.region).recorders.start({"ConfigurationRecorderName": "default"})
    found = Recorders(config).recorder()
    return found and Recorder(found.recording, found.records_instances, found.frequency)


def test_a_recorder_is_what_config_says(aws: LocalAws) -> None:
    """All types, some without ours, none at all, and one that was never started."""
    some = {"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]}
    daily = {"recordingFrequency": "DAILY"}
    assert Recorders(aws.client("config", "100000000000")).recorder() is None
    assert recorded(aws, "100000000001") == Recorder(True, True, "CONTINUOUS")  # noqa: FBT003 - as its fields are called
    assert recorded(aws, "100000000002", recordingGroup=some) == Recorder(True, False, "CONTINUOUS")  # noqa: FBT003 - as above
    assert recorded(aws, "100000000003", recordingMode=daily) == Recorder(True, True, "DAILY")  # noqa: FBT003 - as above
    assert recorded(aws, "100000000004", started=False) == Recorder(False, True, "CONTINUOUS")  # noqa: FBT003 - as above


def test_a_recorder_that_fails_says_why(aws: LocalAws) -> None:
    """It is on all the same; the error goes when its recording events succeed again."""
    account = "100000000005"
    recorded(aws, account)
    local = aws.config.region(account, aws.region).recorders
    local.fail("InsufficientDeliveryPolicy", "the bucket refuses")
    told = Recorders(aws.client("config", account)).recorder()
    assert told is not None
    assert (told.recording, told.last_status, told.last_error) == (
        True,
        "FAILURE",
        "InsufficientDeliveryPolicy: the bucket refuses",
    )
    local.start({"ConfigurationRecorderName": "default"})
    told = Recorders(aws.client("config", account)).recorder()
    assert told is not None
    assert (told.last_status, told.last_error) == ("SUCCESS", None)


class ReportingIam:
    """IAM that makes a report in steps; each call answers the next of what it was given."""

    def __init__(self, states: Sequence[str | None], reports: Sequence[str | None] = (None,)) -> None:
        self.states = list(states)
        self.reports = list(reports)

    def generate_credential_report(self) -> Mapping[str, Any]:
        """The next state, and the last one over and over."""
        return {"State": self.states.pop(0) if len(self.states) > 1 else self.states[0]}

    def get_credential_report(self) -> Mapping[str, Any]:
        """The report, or the error that comes before it."""
        code = self.reports.pop(0)
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetCredentialReport")
        return {"Content": b"user\n", "GeneratedTime": MADE}


def fetched(iam: ReportingIam, deadline: Deadline | None = None) -> tuple[tuple[bytes, datetime] | None, int]:
    """The report, and how often somebody waited for it."""
    waits: list[float] = []
    reports = CredentialReports(iam, deadline or Deadline(), waits.append)
    return reports.credential_report(), len(waits)


@pytest.mark.parametrize(
    ("iam", "waits"),
    [
        (ReportingIam(["COMPLETE"]), 0),
        (ReportingIam(["STARTED", "INPROGRESS", "COMPLETE"]), 2),
        (ReportingIam(["COMPLETE"], ["ReportExpired", "ReportNotPresent", None]), 2),
        (ReportingIam(["COMPLETE"], ["ReportInProgress", None]), 1),
    ],
)
def test_a_credential_report_is_waited_for(iam: ReportingIam, waits: int) -> None:
    """Until it is there, whatever happens to an older one meanwhile."""
    assert fetched(iam) == ((b"user\n", MADE), waits)


def test_the_wait_ends() -> None:
    """After a minute, or when the invocation's time is nearly over; other errors are not waited for."""
    iam = ReportingIam(["INPROGRESS"])
    waits: list[float] = []
    with pytest.raises(ServiceError, match="is not ready after 60 seconds"):
        CredentialReports(iam, Deadline(), waits.append).credential_report()
    assert len(waits) == REPORT_POLLS
    short = Deadline(lambda: 0)
    short.set(10)
    with pytest.raises(OutOfTime):
        fetched(iam, short)
    with pytest.raises(ServiceError, match="AccessDenied"):
        fetched(ReportingIam(["COMPLETE"], ["AccessDenied"]))


@pytest.mark.parametrize(
    ("codes", "asked", "raised"),
    [
        ([None], 1, None),
        (["UnrecognizedClientException", None], 2, None),
        (["AccessDenied", None], 2, None),
        (["AccessDenied", "AccessDenied"], 2, "AccessDenied"),
        (["ReportExpired", None], 1, "ReportExpired"),
    ],
)
def test_a_session_that_is_refused_is_asked_for_anew(codes: list[str | None], asked: int, raised: str | None) -> None:
    """Once: its role may have been made anew. What else goes wrong is for the caller."""
    sessions: list[int] = []

    class Answering(CredentialReports):
        def __init__(self) -> None:
            sessions.append(1)

        def credential_report(self) -> tuple[bytes, datetime]:
            code = codes[len(sessions) - 1]
            if code:
                raise ServiceError("GetCredentialReport", code, "no")
            return b"user\n", MADE

    account = AccountServices(lambda: Recorders(None), Answering)
    if raised:
        with pytest.raises(ServiceError) as refused:
            account.credential_report()
        assert refused.value.code == raised
    else:
        assert account.credential_report() == (b"user\n", MADE)
    assert len(sessions) == asked


def test_every_page_of_an_organization_is_read() -> None:
    """An empty page with a token is not the end."""
    client = boto3.client(
        "organizations",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 - opens nothing
    )
    made = {"Id": ACCOUNT, "Name": "shop", "Status": "ACTIVE"}
    other = {"Id": "444455556666", "State": "SUSPENDED"}
    with Stubber(client) as stub:
        stub.add_response("list_accounts", {"Accounts": [], "NextToken": "1"}, {})
        stub.add_response("list_accounts", {"Accounts": [made], "NextToken": "2"}, {"NextToken": "1"})
        stub.add_response("list_accounts", {"Accounts": [other]}, {"NextToken": "2"})
        assert organization_accounts(client, Deadline()) == [
            OrganizationAccount(ACCOUNT, "shop", "ACTIVE"),
            OrganizationAccount("444455556666", "", "SUSPENDED"),
        ]


def test_one_accounts_rules_are_found_whatever_their_suffix(aws: LocalAws) -> None:
    """With ARN and parameters of their own; other rules are not ours; empty pages are no end."""
    name = f"{RULE}-conformance-pack-x1"
    for other in (name, f"{RULE}-of-others"):
        add_member(aws, aws.account, "arn:aws:lambda:eu-west-1:111122223333:function:f", other)
    config = aws.client("config")
    [rule] = config.describe_config_rules(ConfigRuleNames=[name])["ConfigRules"]
    config.put_config_rule(ConfigRule={**rule, "InputParameters": '{"exemptionMaxDays":"90"}'})
    own = RuleDefinition(RULE, None, RuleParameters())
    evidence = AccountEvidence(own, lambda _: config, lambda: CredentialReports(None, Deadline()), Deadline())
    aws.config.faults.inject(FaultKind.EMPTY_PAGE, "DescribeConfigRules", times=2)
    parameters = parse_parameters({"exemptionMaxDays": "90"})
    assert evidence.rules(ITEM) == {name: RuleDefinition(name, rule["ConfigRuleArn"], parameters)}
    config.put_config_rule(ConfigRule={**rule, "InputParameters": '{"unknown":"90"}'})
    with pytest.raises(InvalidParameter, match="unknown"):
        evidence.rules(ITEM)


ENVIRONMENT = {
    "AWS_REGION": REGION,
    "POWERTOOLS_SERVICE_NAME": RULE,
    "ROLECALL_RULE_PARAMETERS": '{"exemptionMaxDays":"90"}',
    "ROLECALL_PACKAGES_BUCKET": "packages",
    "ROLECALL_LOCK_MODE": "COMPLIANCE",
    "ROLECALL_LOCK_DAYS": "365",
}


def test_the_environment_says_what_is_deployed() -> None:
    """Rule, parameters, home region and lock."""
    environment = EvidenceEnvironment(ENVIRONMENT)
    assert environment.rule == RuleDefinition(RULE, None, parse_parameters({"exemptionMaxDays": "90"}))
    assert environment.home_region == REGION
    assert environment.retention == Retention(LockMode.COMPLIANCE, 365)
    assert EvidenceEnvironment({**ENVIRONMENT, "ROLECALL_LOCK_MODE": ""}).retention is None
    assert environment.older_keys == ()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ROLECALL_LOCK_MODE", "governance", "GOVERNANCE, COMPLIANCE"),
        ("ROLECALL_LOCK_DAYS", "-1", "a whole number above 0"),
        ("ROLECALL_LOCK_DAYS", "0", "a whole number above 0"),
    ],
)
def test_a_lock_that_makes_no_sense_is_refused(name: str, value: str, allowed: str) -> None:
    """Rather than a package that is not locked."""
    environment = EvidenceEnvironment({**ENVIRONMENT, name: value})
    with pytest.raises(InvalidSetting) as refused:
        _ = environment.retention
    assert str(refused.value) == f"{name} is {value!r}; allowed: {allowed}"
