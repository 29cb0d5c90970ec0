"""What a template says about queues, tables, buses and event sources, as the services' own APIs take it."""

import json

import pytest

from local import resource_definitions
from local.cloud_assembly import AssemblyError, Place, Stack
from local.findings_deployment import findings_stack
from local.resource_definitions import BusRule, EventSourceMapping, Queue
from tests.builders import Json
from tests.infra.synthesis import assembly

PLACE = Place("111122223333", "eu-west-1")
FUNCTION = "Rolecall-FindingsFunction"
QUEUES = "arn:aws:sqs:eu-west-1:111122223333"


@pytest.fixture(scope="module")
def stack() -> Stack:
    """One account's, with findings."""
    found = findings_stack(assembly(securityHub=True), PLACE)
    assert found is not None
    return found


def test_an_assembly_without_findings_has_no_such_stack() -> None:
    """The setting securityHub is off by default."""
    assert findings_stack(assembly(), PLACE) is None


def test_dead_letter_queues_come_first(stack: Stack) -> None:
    """SQS refuses a queue whose dead-letter queue is not there."""
    found = {queue.name: queue for queue in resource_definitions.queues(stack)}
    assert list(found)[-1] == "Rolecall-FindingsQueue"
    redrive = {"deadLetterTargetArn": f"{QUEUES}:Rolecall-FindingsDeadLetters", "maxReceiveCount": 6}
    attributes = dict(found["Rolecall-FindingsQueue"].attributes)
    assert json.loads(attributes.pop("RedrivePolicy")) == redrive
    assert attributes == {
        "MessageRetentionPeriod": "1209600",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "1810",
    }
    assert found["Rolecall-FindingsTargetDeadLetters"] == Queue(
        "Rolecall-FindingsTargetDeadLetters", {"MessageRetentionPeriod": "1209600", "SqsManagedSseEnabled": "true"}
    )


def test_the_table_with_its_time_to_live(stack: Stack) -> None:
    """As CreateTable and UpdateTimeToLive take it."""
    assert list(resource_definitions.tables(stack)) == [
        (
            {
                "TableName": "Rolecall-FindingsTable",
                "AttributeDefinitions": [{"AttributeName": "finding_id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "finding_id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
            {"AttributeName": "expires_at", "Enabled": True},
        )
    ]


def test_the_rule_of_the_bus(stack: Stack) -> None:
    """As PutRule and PutTargets take it."""
    [rule] = resource_definitions.bus_rules(stack)
    assert rule == BusRule(
        rule.name,
        "Rolecall-evaluations",
        '{"source": ["rolecall"], "detail-type": ["Rolecall Evaluation"]}',
        (
            {
                "Arn": f"{QUEUES}:Rolecall-FindingsQueue",
                "DeadLetterConfig": {"Arn": f"{QUEUES}:Rolecall-FindingsTargetDeadLetters"},
                "Id": "FindingsQueue",
            },
        ),
    )


def test_the_event_source(stack: Stack) -> None:
    """Batches, window, partial answers and concurrency."""
    assert resource_definitions.event_source(stack, FUNCTION) == EventSourceMapping(
        f"{QUEUES}:Rolecall-FindingsQueue",
        batch_size=1000,
        window_seconds=10,
        reports_failures=True,
        maximum_concurrency=2,
    )


def mapped(**properties: object) -> Json:
    """A resource that feeds a function from a queue."""
    source = {"EventSourceArn": f"{QUEUES}:plain", "FunctionName": "plain", **properties}
    return {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source}


def test_what_an_event_source_leaves_out_is_lambdas_default() -> None:
    """Ten messages, no window, all or nothing."""
    stack = Stack("Plain", PLACE, {"Source": mapped()})
    assert resource_definitions.event_source(stack, "plain") == EventSourceMapping(f"{QUEUES}:plain", 10, 0)


@pytest.mark.parametrize(("sources", "number"), [({}, 0), ({"One": mapped(), "Other": mapped()}, 2)])
def test_a_function_is_fed_by_one_queue(sources: dict[str, Json], number: int) -> None:
    """Anything else cannot be run here, and says so."""
    with pytest.raises(AssemblyError, match=f"Plain: {number} event source mappings feed plain; allowed: one"):
        resource_definitions.event_source(Stack("Plain", PLACE, sources), "plain")
