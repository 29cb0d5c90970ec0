import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.configuration_items import difference
from tests.builders import (
    ACCOUNT,
    INSTANCE_ID,
    NOW,
    REGION,
    RULE_NAME,
    Json,
    deleted_item,
    iso,
    notification_item,
    tag_list,
)
from tests.local.config_harness import (
    FUNCTION_ARN,
    INSTANCE,
    Harness,
    evaluation,
    instance_id,
    moments,
    refusal,
    running_config,
    source,
)

LATER = moments(3)


def _invoking(event: Json) -> Json:
    message: Json = json.loads(event["invokingEvent"])
    return message


def _types(config: Harness) -> list[str]:
    """The message types sent so far; forgets them."""
    sent = [_invoking(event)["messageType"] for _, event in config.invocations]
    config.invocations.clear()
    return sent


def test_a_change_invokes_the_function_with_an_event_of_the_true_shape(config: Harness) -> None:
    """All the keys of a real event, in its order, and no rule parameters where the rule has none."""
    [described] = config.client().describe_config_rules()["ConfigRules"]
    [event] = config.region.record(notification_item())
    assert config.invocations == [(FUNCTION_ARN, event)]
    token = event["resultToken"]
    assert list(event.items()) == [
        ("version", "1.0"),
        ("invokingEvent", event["invokingEvent"]),
        ("resultToken", token),
        ("eventLeftScope", False),
        (
            "executionRoleArn",
            f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        ),
        ("configRuleArn", described["ConfigRuleArn"]),
        ("configRuleName", RULE_NAME),
        ("configRuleId", described["ConfigRuleId"]),
        ("accountId", ACCOUNT),
        ("evaluationMode", "DETECTIVE"),
    ]
    assert list(_invoking(event).items()) == [
        ("configurationItemDiff", {"changedProperties": {}, "changeType": "CREATE"}),
        ("configurationItem", notification_item()),
        ("notificationCreationTime", iso(NOW)),
        ("messageType", "ConfigurationItemChangeNotification"),
        ("recordVersion", "1.3"),
    ]
    config.put(evaluation(), token=token)
    assert config.verdicts() == {INSTANCE_ID: "NON_COMPLIANT"}


def test_the_event_carries_the_rules_parameters_as_they_were_put(config: Harness) -> None:
    """The very text, blanks and all."""
    config.put_rule(InputParameters='{"evaluateStopped": "false"}')
    [event] = config.region.record(notification_item())
    assert event["ruleParameters"] == '{"evaluateStopped": "false"}'


def test_a_schedule_invokes_the_function_once_without_a_resource(config: Harness) -> None:
    """One event for the account, however many resources there are."""
    config.region.load(notification_item(resourceId=instance_id(number)) for number in range(3))
    event = config.region.run_schedule(RULE_NAME)
    assert config.invocations == [(FUNCTION_ARN, event)]
    assert event["eventLeftScope"] is False
    assert _invoking(event) == {
        "awsAccountId": ACCOUNT,
        "notificationCreationTime": iso(NOW),
        "messageType": "ScheduledNotification",
        "recordVersion": "1.0",
    }


OVERSIZED_SUMMARY = {
    "changeType": "CREATE",
    "configurationItemVersion": "1.3",
    "configurationItemCaptureTime": LATER[0],
    "configurationStateId": 1772357400123,
    "awsAccountId": ACCOUNT,
    "configurationItemStatus": "OK",
    "resourceType": INSTANCE,
    "resourceId": INSTANCE_ID,
    "resourceName": None,
    "ARN": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE_ID}",
    "awsRegion": REGION,
    "availabilityZone": f"{REGION}a",
    "configurationStateMd5Hash": "",
    "resourceCreationTime": "2026-02-20T07:00:05.000Z",
}


@pytest.mark.parametrize(
    ("item", "forced"),
    [
        pytest.param(notification_item(), True, id="when that is asked for"),
        pytest.param(
            notification_item(supplementaryConfiguration={"userData": "x" * 256 * 1024}), False, id="beyond 256 KB"
        ),
    ],
)
def test_an_oversized_item_is_only_summed_up(config: Harness, item: Json, *, forced: bool) -> None:
    """The notification has neither creation time nor record version; the whole item is in the history."""
    [event] = config.region.record(item, oversized=forced)
    assert _invoking(event) == {
        "configurationItemSummary": OVERSIZED_SUMMARY,
        "messageType": "OversizedConfigurationItemChangeNotification",
    }
    history = config.client().get_resource_config_history(resourceType=INSTANCE, resourceId=INSTANCE_ID)
    assert json.loads(history["configurationItems"][0]["configuration"]) == item["configuration"]


def test_the_limit_of_a_notification_can_be_set() -> None:
    """So that a test needs no large item."""
    with running_config(notification_limit=1000) as config:
        [event] = config.region.record(notification_item())
        assert _invoking(event)["messageType"] == "OversizedConfigurationItemChangeNotification"


SUBSCRIPTIONS = [
    ("only changes", ["ConfigurationItemChangeNotification"], (1, 0, 0)),
    ("only oversized items", ["OversizedConfigurationItemChangeNotification"], (0, 1, 0)),
    ("only the schedule", ["ScheduledNotification"], (0, 0, 1)),
]


@pytest.mark.parametrize(("types", "events"), [row[1:] for row in SUBSCRIPTIONS], ids=[row[0] for row in SUBSCRIPTIONS])
def test_a_rule_gets_what_it_subscribes_to(config: Harness, types: list[str], events: tuple[int, int, int]) -> None:
    """Nothing else: a rule without the oversized type never hears of an oversized item."""
    config.put_rule(Source=source(*types))
    config.invocations.clear()
    change = len(config.region.record(notification_item()))
    oversized = len(config.region.record(notification_item(configurationItemCaptureTime=LATER[1]), oversized=True))
    if events[2]:
        config.region.run_schedule(RULE_NAME)
    else:
        with pytest.raises(ValueError, match="does not subscribe to ScheduledNotification"):
            config.region.run_schedule(RULE_NAME)
    assert (change, oversized, len(config.invocations) - change - oversized) == events


SCOPES: list[tuple[str, Json, Json, bool]] = [
    ("its resource type", {"ComplianceResourceTypes": [INSTANCE]}, {}, True),
    ("no other type", {"ComplianceResourceTypes": ["AWS::EC2::Volume"]}, {}, False),
    ("its resource", {"ComplianceResourceTypes": [INSTANCE], "ComplianceResourceId": INSTANCE_ID}, {}, True),
    ("no other resource", {"ComplianceResourceTypes": [INSTANCE], "ComplianceResourceId": "i-1"}, {}, False),
    ("a tag", {"TagKey": "team"}, {}, True),
    ("a tag with its value", {"TagKey": "team", "TagValue": "shop"}, {}, True),
    ("not the tag with another value", {"TagKey": "team", "TagValue": "bank"}, {}, False),
    ("nothing without the tag", {"TagKey": "team"}, {"tags": {}}, False),
    ("everything, without a scope", {}, {}, True),
]


@pytest.mark.parametrize(("scope", "item", "sent"), [row[1:] for row in SCOPES], ids=[row[0] for row in SCOPES])
def test_the_scope_decides(config: Harness, scope: Json, item: Json, *, sent: bool) -> None:
    """A rule hears of what is in its scope."""
    config.put_rule(Scope=scope)
    assert bool(config.region.record(notification_item(**item))) is sent


def test_a_resource_that_leaves_the_scope_is_announced(config: Harness) -> None:
    """Once, when it loses the tag; afterwards the rule hears no more of it."""
    config.put_rule(Scope={"TagKey": "team"})
    config.region.record(notification_item())
    untagged = [notification_item(tags={}, configurationItemCaptureTime=moment) for moment in LATER[1:]]
    [event] = config.region.record(untagged[0])
    assert event["eventLeftScope"] is True
    assert config.region.record(untagged[1]) == []


def test_leaving_the_scope_can_be_announced_at_will(config: Harness) -> None:
    """The event carries the last known item."""
    config.region.record(notification_item())
    event = config.region.leave_scope(RULE_NAME, INSTANCE, INSTANCE_ID)
    assert event is not None
    assert event["eventLeftScope"] is True
    assert _invoking(event)["configurationItem"] == notification_item()
    with pytest.raises(ValueError, match="AWS::EC2::Instance i-1 has not been recorded"):
        config.region.leave_scope(RULE_NAME, INSTANCE, "i-1")


def test_events_can_be_had_without_being_sent(config: Harness) -> None:
    """With tokens that work, for whoever invokes a function in another way."""
    events = [
        config.region.event_for(RULE_NAME, notification_item(), left_scope=True),
        config.region.event_for(RULE_NAME, notification_item(), oversized=True),
        config.region.scheduled_event_for(RULE_NAME),
    ]
    assert config.invocations == []
    assert [_invoking(event)["messageType"] for event in events] == [
        "ConfigurationItemChangeNotification",
        "OversizedConfigurationItemChangeNotification",
        "ScheduledNotification",
    ]
    for event in events:
        config.put(evaluation(), token=event["resultToken"])


def test_a_reevaluation_replays_the_last_known_items(config: Harness) -> None:
    """Without a difference; not what is deleted, and not what is out of scope."""
    config.region.record(notification_item())
    stopped = notification_item(state="stopped", configurationItemCaptureTime=LATER[1])
    config.region.record(stopped)
    config.region.load([deleted_item(resourceId="i-1"), notification_item(resourceType="AWS::EC2::Volume")])
    config.invocations.clear()
    config.client().start_config_rules_evaluation(ConfigRuleNames=[RULE_NAME])
    [(_, event)] = config.invocations
    assert _invoking(event)["configurationItem"] == stopped
    assert _invoking(event)["configurationItemDiff"] is None


def test_a_reevaluation_of_a_rule_without_changes_runs_its_schedule(config: Harness) -> None:
    """One event, as at the end of its period."""
    config.put_rule(Source=source("ScheduledNotification"))
    config.invocations.clear()
    config.client().start_config_rules_evaluation(ConfigRuleNames=[RULE_NAME])
    assert _types(config) == ["ScheduledNotification"]


def test_a_rule_is_reevaluated_once_a_minute_at_the_most(config: Harness) -> None:
    """AWS documents this limit; it counts for each rule."""
    config.put_rule(ConfigRuleName="another-rule")
    start = config.client().start_config_rules_evaluation
    start(ConfigRuleNames=[RULE_NAME])
    config.clock.forward(timedelta(seconds=59))
    assert refusal(start, ConfigRuleNames=["another-rule", RULE_NAME])[0] == "LimitExceededException"
    start(ConfigRuleNames=["another-rule"])
    config.clock.forward(timedelta(seconds=1))
    start(ConfigRuleNames=[RULE_NAME])
    assert refusal(start)[0] == "InvalidParameterValueException"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_new_rule_is_evaluated_at_once(*, at_once: bool) -> None:
    """As AWS does, unless that is switched off."""
    with running_config(evaluate_new_rules=at_once) as config:
        config.region.load([notification_item()])
        config.put_rule(ConfigRuleName="new")
        assert _types(config) == ["ConfigurationItemChangeNotification"] * at_once


def _change(before: object, after: object, kind: str) -> Json:
    return {"previousValue": before, "updatedValue": after, "changeType": kind}


TAG = {"key": "a", "value": "b"}
RELATION = {"resourceId": "vpc-1", "resourceName": None, "resourceType": "AWS::EC2::VPC", "name": "Is contained in Vpc"}

DIFFERENCES: list[tuple[str, Json, Json, Any]] = [
    ("nothing but the time", {}, {}, {}),
    (
        "a changed value, and what goes with it",
        {"state": "running"},
        {"state": "stopped"},
        {
            "Configuration.State.Code": _change(16, 80, "UPDATE"),
            "Configuration.State.Name": _change("running", "stopped", "UPDATE"),
        },
    ),
    (
        "a profile that was attached",
        {"profile": None},
        {"profile": "arn:aws:iam::111122223333:instance-profile/a"},
        {
            "Configuration.IamInstanceProfile": _change(
                None, {"arn": "arn:aws:iam::111122223333:instance-profile/a", "id": "AIPAEXAMPLEEXAMPLE123"}, "CREATE"
            )
        },
    ),
    (
        "elements that went from a list, and that came",
        {"tags": {"x": "y", "z": "z"}},
        {"tags": {"z": "z", "a": "b"}},
        {
            "Configuration.Tags.0": _change({"key": "x", "value": "y"}, None, "DELETE"),
            "Configuration.Tags.1": _change(None, TAG, "CREATE"),
        },
    ),
    (
        "a relationship that ended",
        {"relationships": [RELATION]},
        {"relationships": []},
        {"Relationships.0": _change(RELATION, None, "DELETE")},
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in DIFFERENCES], ids=[row[0] for row in DIFFERENCES]
)
def test_a_difference_names(before: Json, after: Json, expected: Json) -> None:
    """The changed properties under Config's own kind of path."""
    difference_ = difference(notification_item(**before), notification_item(**after))
    assert difference_ == {"changedProperties": expected, "changeType": "UPDATE"}


def test_creation_and_deletion_have_no_properties() -> None:
    """A resource that comes back is created again."""
    created = {"changedProperties": {}, "changeType": "CREATE"}
    assert difference(None, notification_item()) == created
    assert difference(deleted_item(), notification_item()) == created
    assert difference(notification_item(), deleted_item()) is None


tags = st.dictionaries(st.text(min_size=1, max_size=3), st.text(max_size=3), max_size=4)


@given(tags, tags)
def test_a_difference_is_empty_exactly_when_nothing_changed(before: dict[str, str], after: dict[str, str]) -> None:
    """For any tags: what went and what came is all there is in it."""
    found = difference(notification_item(tags=before), notification_item(tags=after))
    assert found is not None
    changes = found["changedProperties"].values()
    gone = [change["previousValue"] for change in changes if change["changeType"] == "DELETE"]
    new = [change["updatedValue"] for change in changes if change["changeType"] == "CREATE"]
    assert gone == [tag for tag in tag_list(before) if tag not in tag_list(after)]
    assert new == [tag for tag in tag_list(after) if tag not in tag_list(before)]
