import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from rolecall.errors import InvalidItem, InvalidParameter, ResultNotConfirmed, RoleNotAssumed, ServiceError
from rolecall.events import TEST_TOKEN, parse_invocation
from rolecall.model import INSTANCE_TYPE, ComplianceType, Reason
from rolecall.parameters import RuleParameters
from rolecall.rule import evaluate
from rolecall.telemetry import PowertoolsTelemetry
from tests.builders import (
    ACCOUNT,
    INSTANCE_ID,
    NOW,
    REGION,
    RESULT_TOKEN,
    RULE_NAME,
    change_event,
    instance_item,
    scheduled_event,
)

NAMESPACE = "Rolecall"
SERVICE = "ec2-instance-profile"
ALLOWED_DIMENSIONS = {"service", "ComplianceType", "Reason"}


@pytest.fixture(autouse=True)
def _function_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", SERVICE)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)


def made_telemetry() -> PowertoolsTelemetry:
    """Telemetry as the function makes it; loggers outlive a test, so this one is pointed at the test's own stdout."""
    telemetry = PowertoolsTelemetry()
    (handler,) = logging.getLogger(SERVICE).handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream = sys.stdout  # setStream would flush the one of the test before, which is closed
    return telemetry


def emitted(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Log lines, and metrics as {name, value, unit, dimensions}; every line must be JSON."""
    logs: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    for line in capsys.readouterr().out.splitlines():
        read = json.loads(line)
        if "_aws" not in read:
            logs.append(read)
            continue
        (directive,) = read["_aws"]["CloudWatchMetrics"]
        (dimensions,) = directive["Dimensions"]
        assert directive["Namespace"] == NAMESPACE
        assert set(dimensions) <= ALLOWED_DIMENSIONS
        metrics.extend(
            {
                "name": metric["Name"],
                "unit": metric["Unit"],
                "value": read[metric["Name"]],
                "dimensions": {name: read[name] for name in dimensions},
            }
            for metric in directive["Metrics"]
        )
    return logs, metrics


def without_place_and_time(log: dict[str, Any]) -> dict[str, Any]:
    """A log line without what differs from run to run; both must be there."""
    assert log["timestamp"].endswith("+00:00")
    assert log["location"]
    return {key: value for key, value in log.items() if key not in {"timestamp", "location"}}


def test_a_change_is_one_line_and_two_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    """The line holds who, where, what and why; the metrics hold no account and no resource."""
    telemetry = made_telemetry()
    event = change_event()
    telemetry.started(event, "request-1")
    telemetry.invoked(parse_invocation(event))
    telemetry.evaluated(evaluate(instance_item(), RuleParameters(), NOW))
    logs, metrics = emitted(capsys)
    assert [without_place_and_time(log) for log in logs] == [
        {
            "level": "INFO",
            "message": "evaluated",
            "service": SERVICE,
            "correlation_id": "request-1",
            "rule_name": RULE_NAME,
            "account": ACCOUNT,
            "message_type": "ConfigurationItemChangeNotification",
            "region": REGION,
            "resource_id": INSTANCE_ID,
            "compliance_type": "COMPLIANT",
            "reason": "PROFILE_ATTACHED",
        }
    ]
    verdict = {"service": SERVICE, "ComplianceType": "COMPLIANT", "Reason": "PROFILE_ATTACHED"}
    latency = metrics.pop()
    assert metrics == [{"name": "Evaluations", "unit": "Count", "value": [1.0], "dimensions": verdict}]
    assert (latency["name"], latency["unit"], latency["dimensions"]) == (
        "PutLatency",
        "Milliseconds",
        {"service": SERVICE},
    )


def test_put_latency_counts_from_the_capture_of_the_item(capsys: pytest.CaptureFixture[str]) -> None:
    """In milliseconds: what an owner waits between a change and its verdict."""
    telemetry = made_telemetry()
    captured = datetime.now(UTC)
    telemetry.evaluated(
        evaluate(instance_item(configurationItemCaptureTime=captured.isoformat()), RuleParameters(), NOW)
    )
    _, metrics = emitted(capsys)
    (latency,) = [metric["value"][0] for metric in metrics if metric["name"] == "PutLatency"]
    assert 0 <= latency < 10_000


def test_an_invocation_leaves_nothing_in_the_logs_of_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    """An environment serves one event after another; a refused one must not carry the last one's instance."""
    telemetry = made_telemetry()
    telemetry.started(change_event(), "request-1")
    telemetry.invoked(parse_invocation(change_event()))
    telemetry.started(scheduled_event(configRuleName="other"), "request-2")
    telemetry.failed(InvalidParameter("rule parameter x", "y", "z"))
    logs, metrics = emitted(capsys)
    assert [without_place_and_time(log) for log in logs] == [
        {
            "level": "ERROR",
            "message": "rule parameter x is 'y'; allowed: z",
            "service": SERVICE,
            "correlation_id": "request-2",
            "rule_name": "other",
            "account": ACCOUNT,
            "error": "InvalidParameter",
        }
    ]
    assert metrics == [{"name": "Failures", "unit": "Count", "value": [1.0], "dimensions": {"service": SERVICE}}]


def test_a_role_that_is_not_there_has_a_metric_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside Failures, so that an alarm can point at the StackSet; the account is in the log alone."""
    telemetry = made_telemetry()
    telemetry.started(change_event(), "request-1")
    telemetry.failed(RoleNotAssumed("444455556666", "rolecall-reporter", "User: x is not authorized"))
    ((log,), metrics) = emitted(capsys)
    assert log["message"].startswith("role rolecall-reporter of account 444455556666 cannot be assumed, so nothing ")
    assert log["error"] == "RoleNotAssumed"
    assert metrics == [
        {"name": name, "unit": "Count", "value": [1.0], "dimensions": {"service": SERVICE}}
        for name in ("Failures", "RoleNotAssumed")
    ]


@pytest.mark.parametrize("event", [None, [], "text"])
def test_an_event_that_is_no_object_can_be_logged(capsys: pytest.CaptureFixture[str], event: object) -> None:
    """Its refusal is logged like any other."""
    telemetry = made_telemetry()
    telemetry.started(event, "request-1")
    telemetry.problem(InvalidParameter("rule parameter x", "y", "z"))
    ((log,), _) = emitted(capsys)
    assert log["correlation_id"] == "request-1"


@pytest.mark.parametrize(("completed", "completions"), [(True, 1), (False, 0)])
def test_a_sweep_is_counted_by_verdict_and_only_a_complete_one_as_completed(
    capsys: pytest.CaptureFixture[str], completed: bool, completions: int
) -> None:
    """The alarm waits for CompletedScheduledRuns: a run that left something out must not silence it."""
    telemetry = made_telemetry()
    repaired = {(ComplianceType.COMPLIANT, Reason.EXEMPT): 3, (ComplianceType.NON_COMPLIANT, Reason.NO_PROFILE): 2}
    telemetry.swept(repaired, seen=1000, differences=7, completed=completed)
    logs, metrics = emitted(capsys)
    told = {"seen": 1000, "differences": 7, "repaired": 5, "completed": completed}
    assert [{name: log[name] for name in told} for log in logs] == [told]
    assert [
        (metric["value"], metric["dimensions"]["Reason"]) for metric in metrics if metric["name"] == "Evaluations"
    ] == [([3.0], "EXEMPT"), ([2.0], "NO_PROFILE")]
    assert [
        (metric["name"], metric["value"], metric["dimensions"]) for metric in metrics if metric["name"] != "Evaluations"
    ] == [
        ("SweepSeen", [1000.0], {"service": SERVICE}),
        ("SweepDifferences", [7.0], {"service": SERVICE}),
        ("SweepRepaired", [5.0], {"service": SERVICE}),
        *[("CompletedScheduledRuns", [1.0], {"service": SERVICE})] * completions,
    ]


def test_a_sweeps_lines_name_its_region_and_a_problem_its_resource(capsys: pytest.CaptureFixture[str]) -> None:
    """The region is that of the rule's ARN, and no resource stays in the lines of another."""
    telemetry = made_telemetry()
    event = scheduled_event()
    telemetry.started(event, "request-1")
    telemetry.invoked(parse_invocation(event))
    telemetry.problem(InvalidItem("configuration.state.name", "asleep", "running", "i-1"))
    telemetry.problem(ResultNotConfirmed(INSTANCE_TYPE, "i-2", ServiceError("GetResourceConfigHistory", "x", "y")))
    telemetry.problem(InvalidItem("configuration item", "{", "a JSON object"))
    telemetry.swept({}, seen=3, differences=0, completed=False)
    logs, _ = emitted(capsys)
    told = {
        "service": SERVICE,
        "correlation_id": "request-1",
        "rule_name": RULE_NAME,
        "account": ACCOUNT,
        "message_type": "ScheduledNotification",
        "region": REGION,
    }
    error = {**told, "level": "ERROR"}
    assert [without_place_and_time(log) for log in logs] == [
        {
            **error,
            "message": "i-1: configuration.state.name is 'asleep'; allowed: running",
            "error": "InvalidItem",
            "resource_id": "i-1",
        },
        {
            **error,
            "message": "the recorded result of AWS::EC2::Instance i-2 could not be confirmed by its newest item, "
            "so it stays as it is: GetResourceConfigHistory failed: x: y",
            "error": "ResultNotConfirmed",
            "resource_id": "i-2",
        },
        {**error, "message": "configuration item is '{'; allowed: a JSON object", "error": "InvalidItem"},
        {
            **told,
            "level": "INFO",
            "message": "scheduled run ended",
            "seen": 3,
            "differences": 0,
            "repaired": 0,
            "completed": False,
        },
    ]


@pytest.mark.parametrize(
    ("arn", "region"), [("arn:aws-cn:config:cn-north-1:111122223333:config-rule/x", "cn-north-1"), ("a rule", None)]
)
def test_a_rule_whose_arn_is_none_has_no_region(
    capsys: pytest.CaptureFixture[str], arn: str, region: str | None
) -> None:
    """Logging it must not keep the event from being answered."""
    telemetry = made_telemetry()
    telemetry.invoked(parse_invocation(scheduled_event(configRuleArn=arn)))
    telemetry.swept({}, seen=0, differences=0, completed=True)
    ((log,), _) = emitted(capsys)
    assert log.get("region") == region


def test_test_mode_is_logged_and_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that stored nothing must not silence the alarm that waits for one; the next one is measured again."""
    telemetry = made_telemetry()
    sweep = {(ComplianceType.COMPLIANT, Reason.EXEMPT): 3}
    measured = ["Evaluations", "PutLatency", "Evaluations", "SweepSeen", "SweepDifferences", "SweepRepaired"]
    for token, names in ((TEST_TOKEN, []), (RESULT_TOKEN, [*measured, "CompletedScheduledRuns", "Failures"])):
        telemetry.started(change_event(resultToken=token), "request-1")
        telemetry.invoked(parse_invocation(change_event(resultToken=token)))
        telemetry.evaluated(evaluate(instance_item(), RuleParameters(), NOW))
        telemetry.started(scheduled_event(resultToken=token), "request-2")
        telemetry.invoked(parse_invocation(scheduled_event(resultToken=token)))
        telemetry.swept(sweep, seen=3, differences=3, completed=True)
        telemetry.failed(InvalidParameter("rule parameter x", "y", "z"))
        logs, metrics = emitted(capsys)
        told = ["evaluated", "scheduled run ended", "rule parameter x is 'y'; allowed: z"]
        assert [log["message"] for log in logs] == told
        assert [metric["name"] for metric in metrics] == names


def test_a_refused_event_after_one_in_test_mode_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """It was never read, so nobody asked for test mode."""
    telemetry = made_telemetry()
    telemetry.started(change_event(resultToken=TEST_TOKEN), "request-1")
    telemetry.invoked(parse_invocation(change_event(resultToken=TEST_TOKEN)))
    telemetry.started({}, "request-2")
    telemetry.failed(InvalidParameter("rule parameter x", "y", "z"))
    _, metrics = emitted(capsys)
    assert [metric["name"] for metric in metrics] == ["Failures"]


def test_neither_token_nor_event_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Result tokens are bearer secrets."""
    telemetry = made_telemetry()
    event = change_event()
    telemetry.started(event, "request-1")
    telemetry.invoked(parse_invocation(event))
    telemetry.evaluated(evaluate(instance_item(), RuleParameters(), NOW))
    out = capsys.readouterr().out
    assert RESULT_TOKEN not in out
    assert "invokingEvent" not in out
