import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from local.faults import FaultKind
from local.http_server import HttpServer, Request, Response
from local.security_hub import SecurityHubService
from local.security_hub_region import Behaviour
from rolecall.aws import security_hub
from rolecall.aws.clients import ATTEMPTS, RESENDS, Deadline, client, own_session
from rolecall.aws.security_hub import FINDING_MAX_BYTES, SecurityHub, TokenBucket
from rolecall.errors import FindingRejected, HubNotEnabled, OutOfTime, RolecallError, ServiceError
from tests.builders import ACCOUNT, REGION, Json
from tests.local.security_hub_harness import PRODUCT_ARN, finding

SESSION = own_session()


class Surroundings:
    """A strict Security Hub, and rolecall's own client of it."""

    def __init__(self, service: SecurityHubService) -> None:
        self.service = service
        self.deadline = Deadline()
        self.hub = made_hub(self.deadline)

    def calls(self) -> list[list[str]]:
        """The ids of each import that Security Hub got."""
        return [call.input["Findings"] for call in self.service.journal.calls("BatchImportFindings")]

    def stored(self) -> set[str]:
        """The ids of what is there."""
        return {one["Id"] for one in self.service.findings(ACCOUNT, REGION)}


def made_hub(deadline: Deadline) -> SecurityHub:
    """Of the environment's endpoint."""
    return SecurityHub(client("securityhub", deadline, SESSION, region=REGION), deadline, ACCOUNT, REGION)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    """One whose hub is enabled."""
    service = SecurityHubService()
    service.enable(ACCOUNT, REGION)
    with HttpServer(service.respond) as server:
        as_client_of(server, monkeypatch)
        yield Surroundings(service)


def as_client_of(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients find it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts: noted instead of slept."""
    pauses: list[float] = []
    for module in ("botocore.endpoint", "rolecall.aws.clients"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0))
    return pauses


def findings(count: int) -> list[Json]:
    """So many, with ids of their numbers."""
    return [finding(Id=str(number)) for number in range(count)]


def reasons(failures: dict[str, Any]) -> dict[str, str]:
    """The names of errors, by finding id."""
    return {finding_id: type(error).__name__ for finding_id, error in failures.items()}


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_findings_go_in_the_least_calls(aws: Surroundings, count: int, sizes: list[int]) -> None:
    """100 each, in order."""
    assert aws.hub.import_findings(findings(count)) == {}
    assert [len(call) for call in aws.calls()] == sizes
    assert len(aws.stored()) == count


def heavy(size: int, number: int = 0) -> Json:
    """A finding of exactly `size` bytes, as it is sent."""
    made = finding(Id=f"{number:03d}", Resources=[{"Type": "Other", "Id": "x", "Details": {"Other": {"k": ""}}}])
    other = made["Resources"][0]["Details"]["Other"]
    other["k"] = "x" * (size - 2 - len(json.dumps(made)))
    return made


def test_a_call_keeps_to_6_megabytes(aws: Surroundings) -> None:
    """Fewer findings go where they are large."""
    assert aws.hub.import_findings([heavy(200_000, number) for number in range(40)]) == {}
    assert [len(call) for call in aws.calls()] == [29, 11]


def test_a_finding_of_more_than_240_kilobytes_is_not_sent(aws: Surroundings) -> None:
    """It fails alone, for good; one of exactly so much is sent."""
    failures = aws.hub.import_findings([heavy(FINDING_MAX_BYTES, 1), heavy(FINDING_MAX_BYTES + 1, 2)])
    [(finding_id, error)] = failures.items()
    assert isinstance(error, FindingRejected)
    assert (finding_id, error.is_permanent, aws.stored()) == ("002", True, {"001"})


def test_what_fails_is_sent_again_alone(aws: Surroundings, slept: list[float]) -> None:
    """Until it is taken."""
    aws.service.faults.inject("fail-findings", resource_ids=["1"], times=RESENDS)
    assert aws.hub.import_findings(findings(3)) == {}
    assert aws.calls() == [["0", "1", "2"], *[["1"]] * RESENDS]
    assert (aws.stored(), len(slept)) == ({"0", "1", "2"}, RESENDS)


def test_what_keeps_failing_is_told_with_its_reason(aws: Surroundings, slept: list[float]) -> None:
    """After so many resends; the rest is there."""
    aws.service.faults.inject("fail-findings", resource_ids=["1"], times=None, code="InternalError")
    failures = aws.hub.import_findings(findings(3))
    error = failures.pop("1")
    assert isinstance(error, FindingRejected)
    assert (failures, error.code, error.message, error.is_permanent) == (
        {},
        "InternalError",
        "The finding was not imported.",
        False,
    )
    assert (aws.stored(), len(slept)) == ({"0", "2"}, RESENDS)


def test_what_is_malformed_is_not_sent_again(aws: Surroundings) -> None:
    """No resend mends it."""
    failures = aws.hub.import_findings([finding(Id="0", Title="x" * 257), finding(Id="1")])
    error = failures["0"]
    assert isinstance(error, FindingRejected)
    assert (len(failures), error.is_permanent, aws.calls(), aws.stored()) == (1, True, [["0", "1"]], {"1"})


def test_a_call_that_is_refused_whole_is_halved_until_the_culprit_stands_alone(aws: Surroundings) -> None:
    """The other 99 are imported."""
    aws.service.behaviour.refuses_whole_calls = True
    batch = findings(100)
    batch[37]["Title"] = "x" * 257
    failures = aws.hub.import_findings(batch)
    assert (reasons(failures), len(aws.stored())) == ({"37": "FindingRejected"}, 99)
    assert isinstance(error := failures["37"], FindingRejected)
    assert error.is_permanent
    assert len(aws.calls()) <= 15


def test_a_hub_that_is_not_enabled_is_told_apart(aws: Surroundings) -> None:
    """By one call, whatever there is to send."""
    aws.service.disable(ACCOUNT, REGION)
    failures = aws.hub.import_findings(findings(250))
    assert set(reasons(failures).values()) == {"HubNotEnabled"}
    assert (len(failures), len(aws.calls())) == (250, 1)
    [error] = {str(error) for error in failures.values()}
    assert error.startswith(f"Security Hub is not enabled for account {ACCOUNT} in {REGION}: ")
    with pytest.raises(HubNotEnabled):
        next(aws.hub.findings({}))


def test_a_finding_may_say_that_the_hub_is_not_enabled(aws: Surroundings, slept: list[float]) -> None:
    """The same, and no resend."""
    aws.service.faults.inject("fail-findings", resource_ids=["0"], code="InvalidAccess")
    assert reasons(aws.hub.import_findings(findings(2))) == {"0": "HubNotEnabled"}
    assert (len(aws.calls()), slept) == (1, [])


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.OUTAGE, FaultKind.DROP, FaultKind.LOSE_ANSWER])
def test_what_passes_is_retried(aws: Surroundings, slept: list[float], kind: FaultKind) -> None:
    """Four failures of a call are survived."""
    aws.service.faults.inject(kind, times=ATTEMPTS - 1)
    assert aws.hub.import_findings(findings(1)) == {}
    assert (aws.stored(), len(slept)) == ({"0"}, ATTEMPTS - 1)


def test_a_lost_answer_may_count_as_a_failure(aws: Surroundings, slept: list[float]) -> None:
    """Where Security Hub takes the second sending for an older one: the caller learns that it is not sure."""
    aws.service.behaviour.ignored_counts_as_success = False
    aws.service.faults.inject(FaultKind.LOSE_ANSWER)
    assert reasons(aws.hub.import_findings(findings(1))) == {"0": "FindingRejected"}
    assert len(slept) == 1 + RESENDS


def test_an_outage_ends_the_work_with_the_same_answer_for_all(aws: Surroundings, slept: list[float]) -> None:
    """What was imported before it is not among them."""
    original = aws.hub._send  # noqa: SLF001 - to begin the outage between two calls

    def then_an_outage(findings: list[Mapping[str, Any]]) -> dict[str, RolecallError]:
        answer = original(findings)
        aws.service.faults.inject(FaultKind.OUTAGE, times=None)
        return answer

    aws.hub._send = then_an_outage  # type: ignore[method-assign]  # noqa: SLF001 - as above
    failures = aws.hub.import_findings(findings(300))
    assert (len(aws.stored()), len(failures), set(reasons(failures).values())) == (100, 200, {"ServiceError"})
    assert len(slept) == ATTEMPTS - 1


def test_other_accounts_findings_are_an_error(aws: Surroundings) -> None:
    """Of ours: each call has to be made as its own account."""
    failures = aws.hub.import_findings([finding(AwsAccountId="444455556666")])
    [error] = failures.values()
    assert isinstance(error, ServiceError)
    assert error.code == "AccessDeniedException"


def test_a_proxys_answer_is_no_success(aws: Surroundings) -> None:
    """Botocore alone would read it as an answer without failures."""
    aws.service.faults.inject(FaultKind.GARBLE)
    [error] = aws.hub.import_findings(findings(1)).values()
    assert isinstance(error, ServiceError)
    assert error.code == "UnreadableAnswer"


@pytest.mark.parametrize(
    "answer",
    [
        b'{"FailedCount":1,"SuccessCount":0,"FailedFindings":[]}',
        b'{"FailedCount":0,"SuccessCount":1,"FailedFindings":[{"Id":"0","ErrorCode":"X","ErrorMessage":"x"}]}',
        b'{"FailedCount":1,"SuccessCount":0,"FailedFindings":[{"Id":"9","ErrorCode":"X","ErrorMessage":"x"}]}',
    ],
)
def test_an_answer_that_contradicts_itself_is_no_success(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A failure that is counted and not named, or named and not ours."""

    def respond(request: Request) -> Response:
        request.read()
        return Response(200, answer, {"Content-Type": "application/json"})

    with HttpServer(respond) as server:
        as_client_of(server, monkeypatch)
        failures = made_hub(Deadline()).import_findings(findings(1))
    assert reasons(failures) == {"0": "ServiceError"}


def test_no_call_is_begun_that_could_not_end_in_time(aws: Surroundings) -> None:
    """Something is left for the rows of what was imported."""
    aws.deadline.set(25)
    assert reasons(aws.hub.import_findings(findings(2))) == {"0": "OutOfTime", "1": "OutOfTime"}
    assert aws.calls() == []


def test_a_resend_needs_time_too(aws: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was left out is without an answer."""

    def no_time(operation: str, _resend: int, _deadline: Deadline) -> None:
        raise OutOfTime(operation, 3)

    monkeypatch.setattr(security_hub, "pause", no_time)
    aws.service.faults.inject("fail-findings", resource_ids=["1"], times=None)
    assert reasons(aws.hub.import_findings(findings(3))) == {"1": "OutOfTime"}
    assert aws.stored() == {"0", "2"}


class Clock:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Now."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def test_calls_keep_within_the_rate_limit() -> None:
    """30 at once, then 10 a second; what was not used is saved, up to 30."""
    clock = Clock()
    bucket = TokenBucket(10, 30, clock, clock.sleep)
    for _ in range(30):
        bucket.take("BatchImportFindings", Deadline())
    assert clock.slept == []
    for _ in range(20):
        bucket.take("BatchImportFindings", Deadline())
    assert clock.slept == pytest.approx([0.1] * 20)
    clock.now += 1000
    for _ in range(31):
        bucket.take("BatchImportFindings", Deadline())
    assert clock.slept[20:] == pytest.approx([0.1])


def test_waiting_for_ones_turn_needs_time_too() -> None:
    """And takes no turn when there is none."""
    clock = Clock()
    bucket, deadline = TokenBucket(1, 1, clock, clock.sleep), Deadline(clock)
    deadline.set(13.5)
    bucket.take("GetFindings", deadline)
    with pytest.raises(OutOfTime):
        bucket.take("GetFindings", deadline)
    assert clock.slept == []


def test_a_busy_account_is_never_throttled(aws: Surroundings) -> None:
    """32 calls at once would be two too many: the last ones wait."""
    aws.hub.import_findings(findings(3_200))
    assert [call.error for call in aws.service.journal.calls()] == [None] * 32
    assert len(aws.stored()) == 3_200


def test_every_page_of_a_listing_is_read(aws: Surroundings) -> None:
    """Those without findings too; filters are Security Hub's."""
    aws.hub.import_findings([*findings(150), finding(Id="archived", RecordState="ARCHIVED")])
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "GetFindings", times=2)
    active = {"RecordState": [{"Value": "ACTIVE", "Comparison": "EQUALS"}]}
    assert [one["Id"] for one in aws.hub.findings(active)] == [str(number) for number in range(150)]
    assert len(aws.service.journal.calls("GetFindings")) == 4


def test_a_listing_that_leads_in_circles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error, as an endless one would look like a complete one to nobody."""

    def respond(request: Request) -> Response:
        request.read()
        return Response(200, b'{"Findings":[],"NextToken":"again"}', {"Content-Type": "application/json"})

    with HttpServer(respond) as server:
        as_client_of(server, monkeypatch)
        with pytest.raises(ServiceError, match="EndlessPages"):
            list(made_hub(Deadline()).findings({}))


def test_a_product_is_named_as_security_hub_names_it() -> None:
    """The strict one compares, and the findings of the tests are its own."""
    region = SecurityHubService(behaviour=Behaviour()).region(ACCOUNT, REGION)
    assert region.product_arn == PRODUCT_ARN
