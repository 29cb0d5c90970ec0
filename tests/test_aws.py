import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from local.config_region import ConfigRegion
from local.config_service import ConfigService
from local.faults import FaultKind
from local.http_server import HttpServer, Request, Response
from rolecall.aws import config_service
from rolecall.aws.clients import ATTEMPTS, RESENDS, Deadline, client
from rolecall.aws.evaluations_bus import EvaluationsBus, region_of
from rolecall.errors import EvaluationsRejected, ItemNotRecorded, OutOfTime, RecordsRejected, ServiceError
from rolecall.items import configuration_item, item_header
from rolecall.model import Evaluation, ItemStatus, Reason
from rolecall.parameters import RuleParameters
from rolecall.rule import evaluate
from tests.builders import (
    ACCOUNT,
    CAPTURED,
    INSTANCE_ARN,
    INSTANCE_ID,
    NOW,
    PROFILE_ARN,
    REGION,
    RULE_NAME,
    Json,
    iso,
    item_summary,
    notification_item,
)

BUS = "evaluations"
INSTANCE = "AWS::EC2::Instance"

SESSION = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="local", region_name=REGION)  # noqa: S106 - verified by nobody
"""One for all tests: a session reads the service models once."""


class Surroundings:
    """AWS Config over HTTP, a rule in it, and rolecall's own client of it."""

    def __init__(self, service: ConfigService) -> None:
        self.service = service
        self.region: ConfigRegion = service.region(ACCOUNT, REGION)
        self.region.start_recording()
        self.region.put_config_rule(
            {
                "ConfigRule": {
                    "ConfigRuleName": RULE_NAME,
                    "Source": {
                        "Owner": "CUSTOM_LAMBDA",
                        "SourceIdentifier": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rule",
                        "SourceDetails": [
                            {"EventSource": "aws.config", "MessageType": message}
                            for message in (
                                "ConfigurationItemChangeNotification",
                                "OversizedConfigurationItemChangeNotification",
                                "ScheduledNotification",
                            )
                        ],
                    },
                }
            }
        )
        # Time stands still: what is left is what a test has set, however busy the machine is.
        self.deadline = Deadline(clock=lambda: 0.0)
        self.config = config_service.ConfigService(client("config", self.deadline, SESSION), self.deadline)

    def token(self, item: Json | None = None) -> str:
        """A result token that Config issued for an item."""
        return str(self.region.event_for(RULE_NAME, item or notification_item())["resultToken"])

    def calls(self, operation: str) -> list[Any]:
        """What Config was asked."""
        return self.service.journal.calls(operation)

    def recorded(self) -> dict[str, str]:
        """What Config shows for the rule: annotation by resource id."""
        return {result.resource_id: str(result.annotation) for result in self.region.results(RULE_NAME)}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts: noted instead of slept."""
    pauses: list[float] = []
    for module in ("botocore.endpoint", "rolecall.aws.clients"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0))
    return pauses


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    """AWS Config as the function's environment names it."""
    service = ConfigService()
    with HttpServer(service.respond) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        yield Surroundings(service)


def evaluation(number: int = 0, **changes: Any) -> Evaluation:  # noqa: ANN401 - any key of an item
    """An evaluation of instance `number`."""
    item = notification_item(resourceId=f"i-{number:017x}", **changes)
    return evaluate(configuration_item(item), RuleParameters(), NOW)


def test_an_evaluation_arrives_whole_and_to_the_millisecond(aws: Surroundings) -> None:
    """One call; no TestMode unless asked for."""
    aws.config.put([evaluation(1)], aws.token())
    (call,) = aws.calls("PutEvaluations")
    assert call.input["Evaluations"] == [
        {
            "ComplianceResourceType": "AWS::EC2::Instance",
            "ComplianceResourceId": "i-00000000000000001",
            "ComplianceType": "COMPLIANT",
            "Annotation": "PROFILE_ATTACHED: instance profile app-web is attached.",
            "OrderingTimestamp": CAPTURED.timestamp(),
        }
    ]
    assert CAPTURED.microsecond == 123_000
    assert "TestMode" not in call.input


def test_test_mode_stores_nothing(aws: Surroundings) -> None:
    """And needs no valid token."""
    aws.config.put([evaluation(1)], "TESTMODE", test_mode=True)
    assert aws.recorded() == {}
    assert aws.calls("PutEvaluations")[0].input["TestMode"] is True


def test_a_hundred_evaluations_go_in_one_call(aws: Surroundings) -> None:
    """The most that Config takes."""
    aws.config.put([evaluation(number) for number in range(100)], aws.token())
    assert len(aws.calls("PutEvaluations")) == 1
    assert len(aws.recorded()) == 100


def test_failed_evaluations_are_sent_again_alone(aws: Surroundings, slept: list[float]) -> None:
    """Not the whole call: the others are recorded already."""
    failing = ["i-00000000000000002", "i-00000000000000003"]
    aws.service.faults.inject(FaultKind.FAIL_EVALUATIONS, "PutEvaluations", times=2, resource_ids=failing)
    aws.config.put([evaluation(number) for number in range(5)], aws.token())
    assert [len(call.input["Evaluations"]) for call in aws.calls("PutEvaluations")] == [5, 2, 2]
    assert len(aws.recorded()) == 5
    assert len(slept) == 2


def test_evaluations_that_keep_failing_are_listed(aws: Surroundings, slept: list[float]) -> None:
    """After the last resend, the error says which are unrecorded."""
    aws.service.faults.inject(
        FaultKind.FAIL_EVALUATIONS, "PutEvaluations", times=None, resource_ids=["i-00000000000000002"]
    )
    with pytest.raises(EvaluationsRejected) as rejected:
        aws.config.put([evaluation(number) for number in range(3)], aws.token())
    assert str(rejected.value) == (
        "PutEvaluations left 1 evaluation unrecorded after its retries: i-00000000000000002 (COMPLIANT)"
    )
    assert len(aws.calls("PutEvaluations")) == RESENDS + 1
    assert [pause <= longest for pause, longest in zip(slept, (1, 2, 4), strict=True)] == [True] * 3
    assert sorted(aws.recorded()) == ["i-00000000000000000", "i-00000000000000001"]


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("throttling", {"kind": FaultKind.THROTTLE}),
        ("an outage", {"kind": FaultKind.OUTAGE, "status": 503}),
        ("a lost connection", {"kind": FaultKind.DROP}),
        ("a lost answer", {"kind": FaultKind.LOSE_ANSWER}),
    ],
)
def test_what_passes_is_retried(aws: Surroundings, slept: list[float], what: str, fault: Json) -> None:
    """Four failures are survived, with growing pauses."""
    aws.service.faults.inject(operation="PutEvaluations", times=ATTEMPTS - 1, **fault)
    aws.config.put([evaluation(1)], aws.token())
    assert list(aws.recorded()) == ["i-00000000000000001"], what
    assert len(aws.calls("PutEvaluations")) == ATTEMPTS
    assert len(slept) == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("what", "fault", "message"),
    [
        (
            "throttling",
            {"kind": FaultKind.THROTTLE},
            "PutEvaluations failed: ThrottlingException: Rate exceeded",
        ),
        (
            "an outage",
            {"kind": FaultKind.OUTAGE, "status": 500},
            "PutEvaluations failed: InternalFailure: An internal error occurred.",
        ),
    ],
)
def test_what_does_not_pass_is_an_error(
    aws: Surroundings, slept: list[float], what: str, fault: Json, message: str
) -> None:
    """After the last attempt the error names the call and what AWS said."""
    aws.service.faults.inject(operation="PutEvaluations", times=None, **fault)
    with pytest.raises(ServiceError) as failed:
        aws.config.put([evaluation(1)], aws.token())
    assert (str(failed.value), len(slept)) == (message, ATTEMPTS - 1), what
    assert aws.recorded() == {}


def test_a_connection_that_stays_lost_is_an_error(aws: Surroundings, slept: list[float]) -> None:
    """Botocore's own errors are named as well as AWS's."""
    aws.service.faults.inject(FaultKind.DROP, "PutEvaluations", times=None)
    with pytest.raises(ServiceError, match="PutEvaluations failed: ConnectionClosedError: "):
        aws.config.put([evaluation(1)], aws.token())
    assert len(slept) == ATTEMPTS - 1


def test_an_answer_that_is_no_json_is_no_success(aws: Surroundings) -> None:
    """Botocore alone takes a proxy's page for an empty answer."""
    aws.service.faults.inject(FaultKind.GARBLE, "PutEvaluations")
    with pytest.raises(ServiceError, match="UnreadableAnswer: AWS answered 200 with a body that is no JSON object"):
        aws.config.put([evaluation(1)], aws.token())


def test_a_foreign_token_is_refused_once_and_never_quoted(aws: Surroundings, slept: list[float]) -> None:
    """No retry would help, and the error does not give the token away."""
    with pytest.raises(ServiceError, match="InvalidResultTokenException") as failed:
        aws.config.put([evaluation(1)], "somebody's token")
    assert (len(aws.calls("PutEvaluations")), slept) == (1, [])
    assert "somebody's token" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_token_that_aws_quotes_is_taken_out_of_the_error(aws: Surroundings) -> None:
    """A ValidationException repeats the value that it refuses."""
    token = "x" * 100_000
    with pytest.raises(ServiceError) as failed:
        aws.config.put([evaluation(number) for number in range(101)], token)
    assert token not in str(failed.value)


@pytest.mark.parametrize(
    ("what", "fault", "error"),
    [
        ("throttling", {"kind": FaultKind.THROTTLE}, "ThrottlingException"),
        ("an outage", {"kind": FaultKind.OUTAGE, "status": 502}, "InternalFailure"),
        ("a lost connection", {"kind": FaultKind.DROP}, "ConnectionClosedError"),
    ],
)
def test_no_attempt_begins_that_cannot_end_in_time(
    aws: Surroundings, slept: list[float], what: str, fault: Json, error: str
) -> None:
    """A time-out of the function would say nothing; this names the call and its last error."""
    aws.service.faults.inject(operation="PutEvaluations", times=None, **fault)
    aws.deadline.set(13.5)
    with pytest.raises(OutOfTime) as stopped:
        aws.config.put([evaluation(1)], aws.token())
    assert str(stopped.value) == (
        f"PutEvaluations was not tried again after {error}: the 13.5 s left of this invocation are too few"
    ), what
    assert slept == []


def test_what_no_retry_would_mend_is_named_even_without_time(aws: Surroundings) -> None:
    """A wrong token is a wrong token, however little time is left."""
    aws.deadline.set(0.5)
    with pytest.raises(ServiceError, match="InvalidResultTokenException"):
        aws.config.put([evaluation(1)], "somebody's token")


def recorded_at(aws: Surroundings, *moments: datetime, **changes: Any) -> None:  # noqa: ANN401 - any key of an item
    """Put items of the one instance into Config's history."""
    for state_id, moment in enumerate(moments):
        aws.region.record(
            notification_item(configurationItemCaptureTime=iso(moment), configurationStateId=state_id, **changes)
        )


def test_the_item_that_was_announced_is_fetched_not_the_newest(aws: Surroundings) -> None:
    """By the time an event arrives, the instance may have changed again."""
    recorded_at(aws, CAPTURED - timedelta(days=1), CAPTURED, profile=None)
    recorded_at(aws, CAPTURED + timedelta(milliseconds=1))
    item = aws.config.item_announced_by(item_header(item_summary()))
    assert item == configuration_item(notification_item(profile=None))
    assert evaluate(item, RuleParameters(), NOW).reason is Reason.NO_PROFILE


def test_empty_pages_of_the_history_are_followed(aws: Surroundings) -> None:
    """GetResourceConfigHistory may answer with nothing but a token."""
    recorded_at(aws, CAPTURED)
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "GetResourceConfigHistory", times=3)
    assert aws.config.item_announced_by(item_header(item_summary())).capture_time == CAPTURED
    assert len(aws.calls("GetResourceConfigHistory")) == 4


@pytest.mark.parametrize("earlier", [timedelta(milliseconds=1), timedelta(days=400)])
def test_an_item_that_is_not_in_the_history_is_an_error(aws: Surroundings, earlier: timedelta) -> None:
    """Judging another one would put a verdict under the wrong time."""
    recorded_at(aws, CAPTURED - earlier)
    with pytest.raises(ItemNotRecorded) as missing:
        aws.config.item_announced_by(item_header(item_summary()))
    assert str(missing.value) == (
        f"AWS Config's history of AWS::EC2::Instance {INSTANCE_ID} holds no item captured at 2026-03-01T09:30:00.123Z, "
        "which an oversized notification announced: nothing was reported for it"
    )


def test_a_resource_that_config_does_not_know_is_an_error(aws: Surroundings) -> None:
    """With AWS's own code."""
    with pytest.raises(ServiceError, match="GetResourceConfigHistory failed: ResourceNotDiscoveredException"):
        aws.config.item_announced_by(item_header(item_summary()))


def test_reading_the_history_stops_in_time(aws: Surroundings) -> None:
    """Empty pages without end must not end in a time-out."""
    recorded_at(aws, CAPTURED)
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "GetResourceConfigHistory", times=None)
    aws.deadline.set(5)
    with pytest.raises(OutOfTime, match="GetResourceConfigHistory was not tried again"):
        aws.config.item_announced_by(item_header(item_summary()))


def test_every_instance_is_listed_over_all_pages(aws: Surroundings) -> None:
    """250 instances are three pages of 100, an empty page among them; what each row says is all that is needed."""
    aws.region.load(notification_item(resourceId=f"i-{number:017x}") for number in range(250))
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "SelectResourceConfig", times=1)
    items = [configuration_item(row) for row in aws.config.instance_rows()]
    assert sorted(item.resource_id for item in items) == [f"i-{number:017x}" for number in range(250)]
    calls = aws.calls("SelectResourceConfig")
    assert ([call.input["Limit"] for call in calls], len(calls)) == ([100] * 4, 4)
    expected = configuration_item(notification_item(resourceId=f"i-{0:017x}"))
    assert next(item for item in items if item.resource_id == expected.resource_id) == expected


def test_instances_without_profile_and_tags_are_listed_too(aws: Surroundings) -> None:
    """Their rows lack the keys that are null."""
    aws.region.load([notification_item(profile=None, tags={})])
    (item,) = [configuration_item(row) for row in aws.config.instance_rows()]
    assert item == configuration_item(notification_item(profile=None, tags={}))


def test_a_deleted_instance_is_not_listed(aws: Surroundings) -> None:
    """Nor is anything else than an instance."""
    recorded_at(aws, CAPTURED)
    aws.region.record(
        notification_item(
            configurationItemStatus="ResourceDeleted",
            configuration=None,
            tags={},
            configurationItemCaptureTime=iso(CAPTURED + timedelta(seconds=1)),
            configurationStateId=9,
        )
    )
    aws.region.load([notification_item(resourceType="AWS::EC2::Volume", resourceId="vol-1")])
    assert list(aws.config.instance_rows()) == []


def test_a_listing_that_fails_is_an_error(aws: Surroundings, slept: list[float]) -> None:
    """Half a listing is not taken for a whole one."""
    aws.region.load(notification_item(resourceId=f"i-{number:017x}") for number in range(150))
    rows = aws.config.instance_rows()
    for _ in range(100):
        next(rows)
    aws.service.faults.inject(FaultKind.THROTTLE, "SelectResourceConfig", times=None)
    with pytest.raises(ServiceError, match="SelectResourceConfig failed: ThrottlingException"):
        next(rows)
    assert len(slept) == ATTEMPTS - 1


def test_a_listing_stops_in_time(aws: Surroundings) -> None:
    """Between pages, not in the middle of a call, and with 15 s left for the report beside the 13 s of a call."""
    aws.region.load(notification_item(resourceId=f"i-{number:017x}") for number in range(150))
    aws.deadline.set(28.5)
    rows = aws.config.instance_rows()
    assert len([next(rows) for _ in range(100)]) == 100
    aws.deadline.set(27.9)
    with pytest.raises(OutOfTime) as stopped:
        next(rows)
    assert str(stopped.value) == (
        "SelectResourceConfig was not tried again: the 27.9 s left of this invocation are too few"
    )
    assert len(aws.calls("SelectResourceConfig")) == 1


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("SelectResourceConfig", lambda config: list(config.instance_rows())),
        ("GetComplianceDetailsByConfigRule", lambda config: list(config.recorded_results(RULE_NAME))),
        ("GetResourceConfigHistory", lambda config: config.newest_item(INSTANCE, INSTANCE_ID)),
    ],
)
def test_a_sweep_neither_reads_nor_retries_in_the_time_of_its_report(
    aws: Surroundings, slept: list[float], operation: str, read: Callable[[config_service.ConfigService], object]
) -> None:
    """With 28.5 s a call is made, its retry is not; with 27.9 s nothing is begun."""
    recorded_at(aws, CAPTURED)
    aws.service.faults.inject(FaultKind.THROTTLE, operation, times=None)
    for seconds, calls, error in ((27.9, 0, ""), (28.5, 1, " after ThrottlingException")):
        aws.deadline.set(seconds)
        with pytest.raises(OutOfTime) as stopped:
            read(aws.config)
        assert str(stopped.value) == (
            f"{operation} was not tried again{error}: the {seconds} s left of this invocation are too few"
        )
        assert len(aws.calls(operation)) == calls
    assert slept == []


def test_what_was_kept_for_the_report_is_there_for_it(aws: Surroundings, slept: list[float]) -> None:
    """An attempt of PutEvaluations is repeated with 15 s left, in the middle of a listing that was begun with 28."""
    aws.region.load(notification_item(resourceId=f"i-{number:017x}") for number in range(150))
    rows = aws.config.instance_rows()
    aws.deadline.set(28.5)
    next(rows)
    aws.deadline.set(15)
    aws.service.faults.inject(FaultKind.THROTTLE, "PutEvaluations")
    aws.config.put([evaluation(1)], aws.token())
    assert (list(aws.recorded()), len(slept)) == (["i-00000000000000001"], 1)


def test_a_change_is_fetched_and_reported_in_whatever_time_is_left(aws: Surroundings) -> None:
    """Nothing else is waiting, and a retry of the invocation would not know more."""
    recorded_at(aws, CAPTURED)
    aws.deadline.set(2)
    item = aws.config.item_announced_by(item_header(item_summary()))
    aws.config.put([evaluate(item, RuleParameters(), NOW)], aws.token())
    assert list(aws.recorded()) == [INSTANCE_ID]


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]])
def test_pages_that_lead_back_are_an_error(tokens: list[str]) -> None:
    """They would be read until the time is over, and again by every retry."""
    asked: list[str | None] = []

    def answer(**request: str) -> Json:
        asked.append(request.get("NextToken"))
        return {"Results": [], "NextToken": tokens[len(asked) - 1]}

    looping = SimpleNamespace(select_resource_config=answer)
    with pytest.raises(ServiceError) as failed:
        list(config_service.ConfigService(looping, Deadline()).instance_rows())
    assert str(failed.value) == (
        f"SelectResourceConfig failed: EndlessPages: page {len(tokens)} leads back to an earlier one"
    )
    assert asked == [None, *tokens[:-1]]


def test_recorded_results_come_over_all_pages_and_to_the_millisecond(aws: Surroundings) -> None:
    """250 results are three pages of 100; what is not applicable is among them, as far as Config keeps it."""
    evaluations = [evaluation(number, profile=None if number % 2 else PROFILE_ARN) for number in range(250)]
    for start in range(0, 250, 100):
        aws.config.put(evaluations[start : start + 100], aws.token())
    gone = evaluation(7, configurationItemStatus="ResourceDeleted", configuration=None, tags={})
    aws.config.put([gone], aws.token())
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "GetComplianceDetailsByConfigRule", times=1)
    evaluations[7] = gone
    expected = [
        (one.item.resource_type, one.item.resource_id, one.compliance_type, one.annotation, CAPTURED)
        for one in evaluations
    ]
    recorded = list(aws.config.recorded_results(RULE_NAME))
    assert sorted(one[:5] for one in recorded) == sorted(expected)
    assert {one.recorded_at.tzinfo for one in recorded if one.recorded_at} == {UTC}
    assert all(one.recorded_at and one.recorded_at > CAPTURED for one in recorded)
    calls = aws.calls("GetComplianceDetailsByConfigRule")
    assert ([call.input["Limit"] for call in calls], len(calls)) == ([100] * 4, 4)


def test_the_newest_item_is_the_first_of_the_history(aws: Surroundings) -> None:
    """Whatever it says, and whatever pages come before it."""
    recorded_at(aws, CAPTURED - timedelta(days=1), CAPTURED, profile=None)
    aws.service.faults.inject(FaultKind.EMPTY_PAGE, "GetResourceConfigHistory", times=2)
    assert aws.config.newest_item(INSTANCE, INSTANCE_ID) == configuration_item(notification_item(profile=None))
    later = notification_item(
        configurationItemStatus="ResourceDeleted",
        configuration=None,
        tags={},
        configurationItemCaptureTime=iso(CAPTURED + timedelta(seconds=1)),
        configurationStateId=9,
    )
    aws.region.record(later)
    assert aws.config.newest_item(INSTANCE, INSTANCE_ID).status is ItemStatus.RESOURCE_DELETED


@pytest.mark.parametrize("answer", [{"configurationItems": []}, {}])
def test_a_history_without_items_is_an_error(answer: Json) -> None:
    """It says nothing, and surely not that the instance is gone."""
    empty = SimpleNamespace(get_resource_config_history=lambda **_: answer)
    with pytest.raises(ServiceError, match="EmptyHistory: AWS Config holds no item of this resource"):
        config_service.ConfigService(empty, Deadline()).newest_item(INSTANCE, INSTANCE_ID)


def test_no_newest_item_is_asked_for_without_time(aws: Surroundings) -> None:
    """A sweep asks for many, one after the other."""
    aws.deadline.set(10)
    with pytest.raises(OutOfTime, match="GetResourceConfigHistory was not tried again"):
        aws.config.newest_item(INSTANCE, INSTANCE_ID)
    assert aws.calls("GetResourceConfigHistory") == []


class StrictBus:
    """EventBridge's PutEvents: holds its limits, refuses what it is told to, keeps the rest."""

    def __init__(self) -> None:
        self.calls: list[list[Json]] = []
        self.accepted: list[Json] = []
        self.refusals: dict[str, int] = {}
        """How often an entry is refused, by resource id."""

    def respond(self, request: Request) -> Response:
        """Answer one PutEvents call."""
        entries = json.loads(request.read())["Entries"]
        assert request.headers["X-Amz-Target"] == "AWSEvents.PutEvents"
        if not 1 <= len(entries) <= 10 or len(json.dumps(entries)) > 300_000:
            return Response(400, json.dumps({"__type": "ValidationException", "message": "too much"}).encode())
        self.calls.append(entries)
        results = [self._result(entry) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        return Response(200, json.dumps({"FailedEntryCount": failed, "Entries": results}).encode())

    def _result(self, entry: Json) -> Json:
        resource_id = json.loads(entry["Detail"])["resourceId"]
        if self.refusals.get(resource_id, 0):
            self.refusals[resource_id] -= 1
            return {"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}
        self.accepted.append(entry)
        return {"EventId": f"event-{len(self.accepted)}"}


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StrictBus, EvaluationsBus]]:
    """A strict bus and rolecall's client of it."""
    strict = StrictBus()
    with HttpServer(strict.respond) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        deadline = Deadline()
        yield strict, EvaluationsBus(client("events", deadline, SESSION), BUS, deadline)


def record(number: int, **more: str) -> Json:
    """As much of a record as a bus looks at."""
    return {"resourceId": f"i-{number}", "resourceArn": INSTANCE_ARN, **more}


def test_a_record_becomes_an_event(bus: tuple[StrictBus, EvaluationsBus]) -> None:
    """Whoever subscribes matches source and detail type."""
    strict, publisher = bus
    publisher.publish([record(1)])
    assert strict.accepted == [
        {
            "EventBusName": BUS,
            "Source": "rolecall",
            "DetailType": "Rolecall Evaluation",
            "Resources": [INSTANCE_ARN],
            "Detail": json.dumps(record(1), separators=(",", ":")),
        }
    ]


@pytest.mark.parametrize(
    ("what", "records", "calls"),
    [
        ("none", [], []),
        ("ten fit in a call", [record(number) for number in range(10)], [10]),
        ("the eleventh needs another", [record(number) for number in range(11)], [10, 1]),
        ("large ones fill a call earlier", [record(number, tags="x" * 100_000) for number in range(5)], [2, 2, 1]),
    ],
)
def test_records_go_in_calls_within_the_limits(
    bus: tuple[StrictBus, EvaluationsBus], what: str, records: list[Json], calls: list[int]
) -> None:
    """Ten entries and 256 KB a call."""
    strict, publisher = bus
    publisher.publish(records)
    assert [len(call) for call in strict.calls] == calls, what
    assert len(strict.accepted) == len(records)


def test_refused_records_are_sent_again_alone(bus: tuple[StrictBus, EvaluationsBus], slept: list[float]) -> None:
    """A call of ten with two refused makes a second call of two."""
    strict, publisher = bus
    strict.refusals = {"i-3": 1, "i-7": 2}
    publisher.publish([record(number) for number in range(10)])
    assert [len(call) for call in strict.calls] == [10, 2, 1]
    assert len(strict.accepted) == 10
    assert len(slept) == 2


def test_records_that_stay_refused_are_listed(bus: tuple[StrictBus, EvaluationsBus], slept: list[float]) -> None:
    """With what EventBridge said."""
    strict, publisher = bus
    strict.refusals = {"i-3": 99}
    with pytest.raises(RecordsRejected) as rejected:
        publisher.publish([record(number) for number in range(10)])
    assert str(rejected.value) == (
        "event bus evaluations did not take 1 record after the retries: i-3 (InternalFailure: try again)"
    )
    assert (len(strict.calls), len(slept)) == (RESENDS + 1, RESENDS)


def test_a_refused_record_keeps_no_other_from_being_sent(
    bus: tuple[StrictBus, EvaluationsBus], slept: list[float]
) -> None:
    """Of 25, all calls are made, and all that stay refused are listed."""
    strict, publisher = bus
    strict.refusals = {"i-3": 99, "i-17": 99}
    with pytest.raises(RecordsRejected) as rejected:
        publisher.publish([record(number) for number in range(25)])
    assert [resource_id for resource_id, _ in rejected.value.failed] == ["i-3", "i-17"]
    assert (len(strict.accepted), len(slept)) == (23, 2 * RESENDS)


def test_no_call_of_many_records_begins_that_cannot_end_in_time(
    bus: tuple[StrictBus, EvaluationsBus], slept: list[float]
) -> None:
    """Records that were not sent are found again; a time-out of the function would say nothing."""
    strict, _ = bus
    deadline = Deadline(lambda: float(len(strict.calls)))  # each call takes a second
    deadline.set(15)
    publisher = EvaluationsBus(client("events", deadline, SESSION), BUS, deadline)
    with pytest.raises(OutOfTime) as stopped:
        publisher.publish([record(number) for number in range(50)])
    assert str(stopped.value) == "PutEvents was not tried again: the 12.0 s left of this invocation are too few"
    assert ([len(call) for call in strict.calls], slept) == ([10, 10, 10], [])


def test_the_record_of_a_change_is_sent_whatever_time_is_left(bus: tuple[StrictBus, EvaluationsBus]) -> None:
    """Its evaluation is put already: refusing it would put that again."""
    strict, _ = bus
    deadline = Deadline()
    deadline.set(2)
    EvaluationsBus(client("events", deadline, SESSION), BUS, deadline).publish([record(1)])
    assert len(strict.accepted) == 1


def test_clients_say_who_calls() -> None:
    """AWS sees rolecall and the SDK in the user agent."""
    made = client("config", Deadline(), SESSION)
    assert made.meta.config.user_agent.startswith("rolecall/")
    assert made.meta.config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}


def test_a_deadline_that_is_not_set_never_comes() -> None:
    """The command line has no remaining time."""
    Deadline().check("PutEvaluations", wait=10_000)


@pytest.mark.parametrize(
    ("bus", "region"),
    [
        ("evaluations", None),
        (f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/evaluations", "us-east-1"),
        (f"arn:aws-cn:events:cn-north-1:{ACCOUNT}:event-bus/evaluations", "cn-north-1"),
    ],
)
def test_a_bus_in_another_region_is_asked_there(bus: str, region: str | None) -> None:
    """PutEvents of one region does not reach the buses of another."""
    assert region_of(bus) == region
    assert client("events", Deadline(), SESSION, region=region_of(bus)).meta.region_name == (region or REGION)
