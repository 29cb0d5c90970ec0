import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import LocalAws
from local.deployment import Deployment
from local.execution_environment import InvocationResult
from local.faults import FaultKind
from local.journal import Call
from tests.builders import CAPTURED, INSTANCE_ID, notification_item, snapshot_event
from tests.local.synthesized import rule_assembly

RULE = "rolecall-ec2-instance-profile"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[LocalAws, Deployment]]:
    """The rule's function, as synthesized, in a local AWS; a retry after a minute comes after 60 ms."""
    with LocalAws() as aws, Deployment(aws, rule_assembly(), time_scale=0.001) as deployment:
        yield aws, deployment


@pytest.fixture
def aws(running: tuple[LocalAws, Deployment]) -> Iterator[LocalAws]:
    """The local AWS, with nothing recorded in its journal and nothing going wrong."""
    local_aws, _ = running
    local_aws.config.journal.clear()
    yield local_aws
    local_aws.config.faults.clear()


@pytest.fixture
def deployment(running: tuple[LocalAws, Deployment]) -> Deployment:
    """The function and its queue of events."""
    return running[1]


def invoke(deployment: Deployment, event: dict[str, Any]) -> InvocationResult:
    """The function's answer to an event; an error fails the test."""
    result = deployment.runtime.invoke(event)
    assert result.error is None, result
    return result


def operations(aws: LocalAws) -> list[str]:
    """The calls of AWS Config that the journal holds."""
    return [call.operation for call in aws.config.journal.calls()]


def test_one_change_is_one_call(aws: LocalAws, deployment: Deployment) -> None:
    """A change event leads to one PutEvaluations call, with the item's own time to the millisecond, and no other."""
    event = aws.config_region.event_for(RULE, notification_item(profile=None))
    result = invoke(deployment, event)
    [call] = aws.config.journal.calls()
    [evaluation] = call.input["Evaluations"]
    annotation = evaluation.pop("Annotation")
    assert (call.operation, call.error, result.payload) == ("PutEvaluations", None, None)
    assert annotation.startswith("NO_PROFILE: ")
    assert evaluation == {
        "ComplianceResourceType": "AWS::EC2::Instance",
        "ComplianceResourceId": INSTANCE_ID,
        "ComplianceType": "NON_COMPLIANT",
        "OrderingTimestamp": pytest.approx(CAPTURED.timestamp(), abs=0.0001),
    }
    kept = {result.resource_id: result.compliance_type for result in aws.config_region.results(RULE)}
    assert kept[INSTANCE_ID] == "NON_COMPLIANT"


def test_what_is_logged(aws: LocalAws, deployment: Deployment) -> None:
    """Every line is JSON; the verdict's line and its metrics are there, the result token and the event are not."""
    event = aws.config_region.event_for(RULE, notification_item())
    result = invoke(deployment, event)
    lines = result.json_log()
    assert len(lines) == len(result.log)
    [verdict] = [line for line in lines if line.get("message") == "evaluated"]
    expected = {
        "level": "INFO",
        "service": RULE,
        "rule_name": RULE,
        "account": aws.account,
        "region": aws.region,
        "resource_id": INSTANCE_ID,
        "compliance_type": "COMPLIANT",
        "reason": "PROFILE_ATTACHED",
        "message_type": "ConfigurationItemChangeNotification",
        "correlation_id": result.request_id,
    }
    assert {name: verdict.get(name) for name in expected} == expected
    metrics = {name for line in lines if "_aws" in line for name in line if name in {"Evaluations", "PutLatency"}}
    assert metrics == {"Evaluations", "PutLatency"}
    assert event["resultToken"] not in "".join(result.log)
    assert "configurationItemCaptureTime" not in "".join(result.log)


def test_an_oversized_item_is_fetched(aws: LocalAws, deployment: Deployment) -> None:
    """An oversized notification costs one more call, for the item that it announces."""
    item = notification_item(resourceId="i-0000000000000000a", tags={})
    aws.config_region.load([item])
    invoke(deployment, aws.config_region.event_for(RULE, item, oversized=True))
    assert operations(aws) == ["GetResourceConfigHistory", "PutEvaluations"]


def test_a_throttled_call_is_repeated(aws: LocalAws, deployment: Deployment) -> None:
    """Throttling costs time, not the verdict."""
    aws.config.faults.inject(FaultKind.THROTTLE, "PutEvaluations", times=2)
    invoke(deployment, aws.config_region.event_for(RULE, notification_item(profile=None)))
    calls: list[Call] = aws.config.journal.calls("PutEvaluations")
    assert [call.error is None for call in calls] == [False, False, True]


def test_an_event_that_cannot_be_answered_is_dead_lettered(aws: LocalAws, deployment: Deployment) -> None:
    """Config ignores what a function returns: a wrong event is an error, retried twice, and kept in the queue."""
    event = snapshot_event()
    deployment.invocations.invoke(deployment.function.arn, event)
    deployment.invocations.wait_idle()
    entry = deployment.invocations.dead_letters[-1]
    assert [attempt.error and attempt.error.error_type for attempt in entry.attempts] == ["InvalidEvent"] * 3
    assert entry.gave_up_because is not None
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=str(deployment.function.dead_letter_arn).rpartition(":")[2])["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert json.loads(message["Body"]) == event
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {
        "RequestID": entry.request_id,
        "ErrorCode": "200",
        "ErrorMessage": entry.gave_up_because.message,
    }
    assert operations(aws) == []


def test_from_a_launch_to_a_verdict(aws: LocalAws, deployment: Deployment) -> None:
    """An instance launched in EC2 is recorded, its change invokes the function, and Config shows the verdict."""
    launched = aws.client("ec2").run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)
    instance_id = launched["Instances"][0]["InstanceId"]
    aws.recorder.record_now()
    deployment.invocations.wait_idle()
    details = aws.client("config").get_compliance_details_by_config_rule(ConfigRuleName=RULE)["EvaluationResults"]
    by_id = {
        one["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]: one["ComplianceType"]
        for one in details
    }
    assert by_id[instance_id] == "NON_COMPLIANT"
