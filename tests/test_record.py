import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rolecall import __version__
from rolecall.events import parse_invocation
from rolecall.model import Reason, Source
from rolecall.record import evaluation_record
from rolecall.rule import evaluate
from tests.builders import (
    ACCOUNT,
    INSTANCE_ARN,
    INSTANCE_ID,
    NOW,
    PROFILE_ARN,
    REGION,
    RESULT_TOKEN,
    RULE_ARN,
    RULE_NAME,
    Json,
    change_event,
    deleted_item,
    exemption_tags,
    instance_item,
    notification_item,
    oversized_event,
)

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "evaluation-v1.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def record_of(event: Json, *, now: datetime = NOW) -> dict[str, Any]:
    """The record that a change event leads to."""
    invocation = parse_invocation(event)
    return evaluation_record(
        evaluate(invocation.notification.item, invocation.parameters, now),  # type: ignore[union-attr]  # a change
        invocation,
        Source.CHANGE,
    )


def test_a_record_holds_the_verdict_and_all_that_decided_it() -> None:
    """The whole record of an exempt instance."""
    tags = exemption_tags("appliance", expires="2026-12-31", granted="2026-01-01", approved_by="ops", ticket="SEC-1")
    record = record_of(change_event(notification_item(profile=None, tags=tags), parameters={"exemptionMaxDays": "365"}))
    assert record == {
        "schema": "rolecall.evaluation/v1",
        "id": record["id"],
        "kind": "verdict",
        "source": "change",
        "account": ACCOUNT,
        "region": REGION,
        "partition": "aws",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": INSTANCE_ID,
        "resourceArn": INSTANCE_ARN,
        "complianceType": "COMPLIANT",
        "reason": "EXEMPT",
        "annotation": "EXEMPT: no role is intended through 2026-12-31: appliance",
        "orderingTimestamp": "2026-03-01T09:30:00.123Z",
        "evaluatedAt": "2026-03-02T12:00:00.000Z",
        "notifiedAt": "2026-03-01T09:30:02.456Z",
        "rule": {
            "name": RULE_NAME,
            "arn": RULE_ARN,
            "parameters": {
                "exemptionTagKey": "intentional-no-role",
                "exemptionReasonRequired": "true",
                "exemptionExpiryRequired": "false",
                "exemptionMaxDays": "365",
                "exemptionApproverRequired": "false",
                "allowedInstanceProfileArns": "",
                "evaluateStopped": "true",
            },
            "rolecallVersion": __version__,
        },
        "profileArn": None,
        "exemption": {
            "state": "valid",
            "problem": None,
            "reason": "appliance",
            "approvedBy": "ops",
            "ticket": "SEC-1",
            "granted": "2026-01-01",
            "expires": "2026-12-31",
        },
        "instance": {
            "state": "running",
            "type": "t3.small",
            "imageId": "ami-0123456789abcdef0",
            "firstLaunch": "2025-11-03T16:45:30.000Z",
            "lastLaunch": "2026-02-20T07:00:05.000Z",
            "vpcId": "vpc-0ee55ff66aa77bb88",
            "subnetId": "subnet-0aa11bb22cc33dd44",
            "metadataOptions": {
                "state": "applied",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 2,
                "httpEndpoint": "enabled",
            },
            "tags": tags,
        },
    }


RECORDED = [
    ("with a profile", change_event()),
    ("without one", change_event(notification_item(profile=None))),
    ("malformed exemption", change_event(notification_item(profile=None, tags=exemption_tags("")))),
    ("deleted", change_event(deleted_item())),
    ("left the scope", change_event(left_scope=True)),
    ("another resource", change_event(notification_item(resourceType="AWS::S3::Bucket", ARN=None))),
    ("not much known of it", change_event(notification_item(configuration={"state": {"name": "running"}}))),
]


@pytest.mark.parametrize(("what", "event"), RECORDED)
def test_every_record_keeps_the_schema(what: str, event: Json) -> None:
    """`schemas/evaluation-v1.schema.json` describes what is sent, and nothing else is sent."""
    record = json.loads(json.dumps(record_of(event)))
    assert [error.message for error in VALIDATOR.iter_errors(record)] == [], what
    assert RESULT_TOKEN not in json.dumps(record)


def test_the_schema_itself_is_one_and_names_every_reason() -> None:
    """A reason that is added must be added to the contract."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["reason"]["enum"] == [reason.value for reason in Reason]
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"])


@pytest.mark.parametrize(
    "broken",
    [{"complianceType": "INSUFFICIENT_DATA"}, {"annotation": ""}, {"id": "1"}, {"extra": 1}, {"evaluatedAt": "today"}],
)
def test_the_schema_refuses_what_is_no_record(broken: Json) -> None:
    """Or it would prove nothing."""
    assert list(VALIDATOR.iter_errors({**record_of(change_event()), **broken}))


def test_a_retry_has_the_same_id_and_another_notification_another() -> None:
    """Consumers drop duplicates by id; a replay of the same item is news of its own."""
    event = change_event()
    again = record_of(event, now=NOW + timedelta(minutes=3))
    other_notification = {**event, "invokingEvent": event["invokingEvent"].replace("09:30:02.456", "10:00:00.000")}
    assert again["id"] == record_of(event)["id"]
    assert record_of(other_notification)["id"] != record_of(event)["id"]
    assert record_of({**event, "configRuleArn": RULE_ARN + "2"})["id"] != record_of(event)["id"]


def test_an_oversized_event_without_a_notification_time_gives_a_record() -> None:
    """AWS documents such events; the record says null."""
    invocation = parse_invocation(oversized_event())
    record = evaluation_record(evaluate(instance_item(), invocation.parameters, NOW), invocation, Source.OVERSIZED)
    assert (record["notifiedAt"], record["source"]) == (None, "oversized")
    assert list(VALIDATOR.iter_errors(record)) == []


def test_the_profile_is_a_fact_of_the_record() -> None:
    """Whatever the verdict, consumers see which profile was attached."""
    assert record_of(change_event())["profileArn"] == PROFILE_ARN
