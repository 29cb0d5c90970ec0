import json
import logging
import sys
from typing import Any

import pytest

from rolecall.errors import HubNotEnabled, RoleNotAssumed, ServiceError
from rolecall.findings.claims import claims
from rolecall.findings.lifecycle import Import, decide
from rolecall.findings.settings import DEFAULTS
from rolecall.findings.telemetry import FindingsTelemetry
from rolecall.model import Reason
from rolecall.received_record import read_record
from tests.builders import ACCOUNT, INSTANCE_ID, NOW, REGION, RULE_NAME
from tests.findings.surroundings import message, raw_record

NAMESPACE, SERVICE = "Rolecall", "findings-telemetry"
FINDING_ID = f"rolecall/{RULE_NAME}/{ACCOUNT}/{REGION}/{INSTANCE_ID}"
NAMED = {"record_id": raw_record()["id"], "account": ACCOUNT, "region": REGION, "resource_id": INSTANCE_ID}


@pytest.fixture(autouse=True)
def _function_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", SERVICE)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)


def made_telemetry() -> FindingsTelemetry:
    """As the function makes it; loggers outlive a test, so this one is pointed at the test's own stdout."""
    telemetry = FindingsTelemetry()
    (handler,) = logging.getLogger(SERVICE).handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream = sys.stdout  # setStream would flush the one of the test before, which is closed
    telemetry.started("request-1")
    return telemetry


def emitted(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Log lines, and metrics as value by name and dimensions."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = {}
    for line in (line for line in lines if "_aws" in line):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        (dimensions,) = directive["Dimensions"]
        for metric in directive["Metrics"]:
            named = " ".join(line[name] for name in sorted(dimensions) if name != "service")
            metrics[f"{metric['Name']} {named}".strip()] = line[metric["Name"]]
    return [line for line in lines if "_aws" not in line], metrics


def test_an_import_is_one_line_and_a_metric_for_each_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line says which record and which finding; metrics are told at the end, with no account among them."""
    telemetry = made_telemetry()
    for reason in (Reason.NO_PROFILE, Reason.EXEMPT, Reason.NO_PROFILE):
        record = read_record(raw_record(reason))
        decision = decide(record, None, DEFAULTS, NOW)
        assert isinstance(decision, Import)
        telemetry.imported(record, decision.row)
    telemetry.superseded(3)
    telemetry.ended()
    logs, metrics = emitted(capsys)
    assert {name: logs[0][name] for name in (*NAMED, "finding_id", "status", "state", "reason", "correlation_id")} == {
        **NAMED,
        "finding_id": FINDING_ID,
        "status": "FAILED",
        "state": "ACTIVE",
        "reason": "NO_PROFILE",
        "correlation_id": "request-1",
    }
    assert (len(logs), metrics) == (
        3,
        {"FindingsImported FAILED": [2.0], "FindingsImported WARNING": [1.0], "FindingsSuperseded": [3.0]},
    )


def test_what_is_left_and_what_is_given_up_is_told_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And counted; a missing role has a metric of its own."""
    telemetry = made_telemetry()
    [claim], _ = claims([message(raw_record(), receives=2)])
    telemetry.retried(claim.messages[0], claim, RoleNotAssumed(ACCOUNT, "rolecall-publisher", "not authorized"))
    telemetry.gave_up(message(None, 7), None, ServiceError("BatchImportFindings", "X", "y"))
    telemetry.ended()
    logs, metrics = emitted(capsys)
    shown = [
        {name: log.get(name) for name in (*NAMED, "message_id", "receives", "finding_id", "error", "given_up")}
        for log in logs
    ]
    assert shown == [
        NAMED
        | {
            "message_id": "m0",
            "receives": 2,
            "finding_id": FINDING_ID,
            "error": "RoleNotAssumed",
            "given_up": False,
        },
        dict.fromkeys((*NAMED, "finding_id"))
        | {"message_id": "m7", "receives": 1, "error": "ServiceError", "given_up": True},
    ]
    assert metrics == {"FindingsRetried": [1.0], "FindingsGivenUp": [1.0], "RoleNotAssumed": [1.0]}


def test_a_missing_hub_is_told_once_for_each_place_and_invocation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However many messages speak of it; the metric counts them all."""
    telemetry = made_telemetry()
    for region in (REGION, REGION, "eu-central-1"):
        telemetry.not_enabled(HubNotEnabled(ACCOUNT, region, "not subscribed"), 5)
    telemetry.ended()
    logs, metrics = emitted(capsys)
    assert [(log["level"], log["region"]) for log in logs] == [("WARNING", REGION), ("WARNING", "eu-central-1")]
    assert metrics == {"SecurityHubNotEnabled": [15.0]}
    telemetry.started("request-2")
    telemetry.not_enabled(HubNotEnabled(ACCOUNT, REGION, "not subscribed"), 1)
    telemetry.ended()
    logs, metrics = emitted(capsys)
    assert (len(logs), metrics) == (1, {"SecurityHubNotEnabled": [1.0]})


def test_nothing_to_tell_is_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty one would be a warning of Powertools'."""
    telemetry = made_telemetry()
    telemetry.ended()
    assert emitted(capsys) == ([], {})
