import json

import pytest

from rolecall.errors import InvalidEvent, InvalidItem, InvalidParameter, RolecallError
from rolecall.events import (
    ChangeNotification,
    Invocation,
    OversizedNotification,
    RuleIdentity,
    ScheduledNotification,
    parse_invocation,
)
from rolecall.items import configuration_item, instant, item_header
from rolecall.parameters import RuleParameters
from tests.builders import (
    ABSENT,
    ACCOUNT,
    RESULT_TOKEN,
    RULE_ARN,
    RULE_NAME,
    Json,
    change_event,
    deleted_item,
    invocation,
    item_summary,
    notification_item,
    oversized_event,
    scheduled_event,
    snapshot_event,
)

RULE = RuleIdentity(RULE_NAME, RULE_ARN, ACCOUNT)


def test_a_change_event_is_read_whole() -> None:
    """A change gives the rule, its parameters, the item and the notification's time."""
    item = notification_item()
    event = change_event(item, parameters={"evaluateStopped": "false"})
    assert parse_invocation(event) == Invocation(
        rule=RULE,
        parameters=RuleParameters(evaluate_stopped=False),
        message_type="ConfigurationItemChangeNotification",
        notification=ChangeNotification(configuration_item(item)),
        notified_at=instant("2026-03-01T09:30:02.456Z", ""),
        result_token=RESULT_TOKEN,
    )


def test_an_oversized_event_as_aws_documents_it_has_no_notification_time() -> None:
    """The summary is read as an item's header, and nothing more is required."""
    assert parse_invocation(oversized_event()) == Invocation(
        rule=RULE,
        parameters=RuleParameters(),
        message_type="OversizedConfigurationItemChangeNotification",
        notification=OversizedNotification(item_header(item_summary())),
        notified_at=None,
        result_token=RESULT_TOKEN,
    )


def test_a_scheduled_event_names_no_resource() -> None:
    """A schedule carries nothing but its time."""
    assert parse_invocation(scheduled_event()) == Invocation(
        rule=RULE,
        parameters=RuleParameters(),
        message_type="ScheduledNotification",
        notification=ScheduledNotification(),
        notified_at=instant("2026-03-02T12:00:00.789Z", ""),
        result_token=RESULT_TOKEN,
    )


@pytest.mark.parametrize(
    ("what", "event"),
    [
        ("no rule parameters", change_event(ruleParameters=ABSENT)),
        ("empty rule parameters", change_event(ruleParameters="")),
        ("the text null for rule parameters", change_event(ruleParameters="null")),
        ("null rule parameters", change_event(ruleParameters=None)),
        ("no evaluation mode", change_event(evaluationMode=ABSENT)),
        ("no eventLeftScope", change_event(eventLeftScope=ABSENT)),
        ("no executionRoleArn", change_event(executionRoleArn=ABSENT)),
        ("an unknown key", change_event(debug=True)),
        (
            "AWS's documented change event, with nothing but item and message type",
            invocation(
                {"configurationItem": notification_item(), "messageType": "ConfigurationItemChangeNotification"}
            ),
        ),
    ],
)
def test_what_real_events_leave_out_or_add_is_tolerated(what: str, event: Json) -> None:
    """Each of them was seen in a real or documented event."""
    read = parse_invocation(event)
    assert (read.notification, read.parameters) == (
        ChangeNotification(configuration_item(notification_item())),
        RuleParameters(),
    ), what


def test_a_resource_that_left_the_scope_needs_no_configuration() -> None:
    """`eventLeftScope` decides before the configuration is looked at."""
    item = notification_item(configuration="not even JSON")
    read = parse_invocation(change_event(item, left_scope=True))
    assert read.notification == ChangeNotification(configuration_item(item, left_scope=True))


def test_a_deleted_item_has_no_configuration() -> None:
    """Config sends null for it."""
    read = parse_invocation(change_event(deleted_item()))
    assert read.notification == ChangeNotification(configuration_item(deleted_item()))


ALLOWED_MESSAGES = (
    "ConfigurationItemChangeNotification, OversizedConfigurationItemChangeNotification, ScheduledNotification"
)


@pytest.mark.parametrize(
    ("what", "event", "error", "message"),
    [
        (
            "no object",
            [{"resultToken": RESULT_TOKEN}],
            InvalidEvent,
            "event is 'a list, not shown'; allowed: the JSON object that AWS Config sends",
        ),
        (
            "an event that is JSON text once more",
            json.dumps(change_event()),
            InvalidEvent,
            "event is 'a str, not shown'; allowed: the JSON object that AWS Config sends",
        ),
        (
            "a snapshot delivery",
            snapshot_event(),
            InvalidEvent,
            f"invokingEvent.messageType is 'ConfigurationSnapshotDeliveryCompleted'; allowed: {ALLOWED_MESSAGES}",
        ),
        (
            "no message type",
            invocation({}),
            InvalidEvent,
            f"invokingEvent.messageType is None; allowed: {ALLOWED_MESSAGES}",
        ),
        (
            "an item of another account",
            change_event(accountId="444455556666"),
            InvalidEvent,
            "invokingEvent's awsAccountId is '111122223333'; allowed: 444455556666, the event's own accountId",
        ),
        (
            "an oversized item of another account",
            oversized_event(accountId="444455556666"),
            InvalidEvent,
            "invokingEvent's awsAccountId is '111122223333'; allowed: 444455556666, the event's own accountId",
        ),
        (
            "a schedule of another account",
            scheduled_event(accountId="444455556666"),
            InvalidEvent,
            "invokingEvent's awsAccountId is '111122223333'; allowed: 444455556666, the event's own accountId",
        ),
        (
            "proactive mode",
            change_event(evaluationMode="PROACTIVE"),
            InvalidEvent,
            "evaluationMode is 'PROACTIVE'; allowed: DETECTIVE: rolecall judges what exists, not what is proposed",
        ),
        (
            "an invoking event that is no JSON",
            invocation("{"),
            InvalidEvent,
            "invokingEvent is '{'; allowed: JSON text of an object",
        ),
        (
            "an invoking event that is a list",
            invocation("[]"),
            InvalidEvent,
            "invokingEvent is '[]'; allowed: JSON text of an object",
        ),
        (
            "no invoking event",
            change_event(invokingEvent=ABSENT),
            InvalidEvent,
            "invokingEvent is None; allowed: JSON text of an object",
        ),
        (
            "no configuration item",
            invocation({"messageType": "ConfigurationItemChangeNotification"}),
            InvalidEvent,
            "invokingEvent.configurationItem is None; allowed: a JSON object",
        ),
        (
            "no summary",
            invocation({"messageType": "OversizedConfigurationItemChangeNotification"}),
            InvalidEvent,
            "invokingEvent.configurationItemSummary is None; allowed: a JSON object",
        ),
        (
            "a scope that is a text",
            change_event(eventLeftScope="false"),
            InvalidEvent,
            "eventLeftScope is 'false'; allowed: true or false",
        ),
        (
            "no rule name",
            change_event(configRuleName=ABSENT),
            InvalidEvent,
            "configRuleName is None; allowed: a text that is not empty",
        ),
        (
            "no result token",
            change_event(resultToken=None),
            InvalidEvent,
            "resultToken is 'a NoneType, not shown'; allowed: a text that is not empty",
        ),
        (
            "an unreadable notification time",
            invocation({"messageType": "ScheduledNotification", "notificationCreationTime": "today"}),
            InvalidItem,
            "notificationCreationTime is 'today'; allowed: a time as 2026-01-31T12:00:00.000Z",
        ),
        (
            "an unknown rule parameter",
            scheduled_event(parameters={"exemptionTag": "x"}),
            InvalidParameter,
            (
                "rule parameter exemptionTag is 'x'; allowed: the parameters exemptionTagKey, exemptionReasonRequired, "
                "exemptionExpiryRequired, exemptionMaxDays, exemptionApproverRequired, allowedInstanceProfileArns, "
                "evaluateStopped"
            ),
        ),
    ],
)
def test_an_event_that_cannot_be_answered_is_refused(
    what: str, event: object, error: type[RolecallError], message: str
) -> None:
    """The error names the field, its value and what is allowed."""
    with pytest.raises(error) as refused:
        parse_invocation(event)
    assert str(refused.value) == message, what


def test_the_result_token_is_in_no_representation() -> None:
    """Whoever prints or logs an invocation does not give the token away."""
    assert RESULT_TOKEN not in repr(parse_invocation(change_event()))


@pytest.mark.parametrize("wrong", [{"token": RESULT_TOKEN}, [RESULT_TOKEN], ""])
def test_a_refused_result_token_is_not_shown(wrong: object) -> None:
    """Not even a malformed token stands in an error message."""
    with pytest.raises(InvalidEvent) as refused:
        parse_invocation(change_event(resultToken=wrong))
    assert RESULT_TOKEN not in str(refused.value)
    assert RESULT_TOKEN not in repr(refused.value.value)


def test_only_the_literal_testmode_token_asks_for_test_mode() -> None:
    """The convention of the rdk command line."""
    assert parse_invocation(change_event(resultToken="TESTMODE")).test_mode
    assert not parse_invocation(change_event()).test_mode
