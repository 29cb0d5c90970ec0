import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rolecall.cli.parameter_options import ParameterChoice
from rolecall.cli.subjects import Subject, subjects
from rolecall.errors import RolecallError
from rolecall.events import RuleIdentity
from rolecall.model import ConfigurationItem
from rolecall.parameters import PARAMETERS, RuleParameters
from tests import builders
from tests.builders import ABSENT

NO_OPTIONS: Mapping[str, None] = {spec.attribute: None for spec in PARAMETERS.values()}


def found(value: object, text: str | None = None, **options: str) -> list[Subject | str]:
    """What `value` holds, judged with these options; an error as its message."""
    choice = ParameterChoice(text, {**NO_OPTIONS, **options})
    return [str(one) if isinstance(one, RolecallError) else one for one in subjects(value, "file", choice)]


def subject(item: ConfigurationItem | None = None, **parameters: Any) -> Subject:  # noqa: ANN401 - any field's value
    """What a readable value should give."""
    return Subject(item or builders.instance_item(), RuleParameters(**parameters), "file")


def asked(item: ConfigurationItem | None = None, **parameters: Any) -> Subject:  # noqa: ANN401 - any field's value
    """The same where an invocation event names the rule that asks."""
    return replace(subject(item, **parameters), rule=RULE)


RULE = RuleIdentity(builders.RULE_NAME, builders.RULE_ARN, builders.ACCOUNT)
INVOKING = json.loads(builders.change_event()["invokingEvent"])
ITEM = builders.notification_item()

READ = [
    ("an invocation event", builders.change_event(), [asked()]),
    ("an invocation event whose secret was taken out", builders.change_event(resultToken=ABSENT), [asked()]),
    ("an event out of scope", builders.change_event(left_scope=True),
     [asked(builders.instance_item(left_scope=True))]),
    ("an event with its rule's parameters", builders.change_event(parameters={"evaluateStopped": "false"}),
     [asked(evaluate_stopped=False)]),
    ("an invoking event", INVOKING, [subject()]),
    ("an SNS notification", {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(INVOKING)}, [subject()]),
    ("an SNS notification whose message is an object", {"Type": "Notification", "Message": INVOKING}, [subject()]),
    ("an EventBridge event", {"detail-type": "Config Configuration Item Change", "detail": INVOKING}, [subject()]),
    ("an item as it is notified", ITEM, [subject()]),
    ("an item as the API returns it", json.loads(json.dumps(builders.api_item(), default=builders.iso)), [subject()]),
    ("an answer of GetAggregateResourceConfig", {"ConfigurationItem": ITEM}, [subject()]),
    ("a row of a query", builders.query_row(), [subject()]),
    ("a row of a query as text", json.dumps(builders.query_row()), [subject()]),
    ("a page of history", {"configurationItems": [ITEM, ITEM], "nextToken": "t"}, [subject(), subject()]),
    ("a page of a query", {"Results": [json.dumps(builders.query_row())], "QueryInfo": {}}, [subject()]),
    ("an empty page", {"Results": []}, []),
    ("an oversized event of what is gone",
     builders.oversized_event(builders.item_summary(configurationItemStatus="ResourceDeleted")),
     [asked(builders.instance_item(configurationItemStatus="ResourceDeleted"))]),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "value", "expected"), READ, ids=[case[0] for case in READ])
def test_every_shape_gives_its_items(promise: str, value: object, expected: list[Subject]) -> None:
    """With the parameters that its own event says."""
    assert found(value) == expected, promise


READABLE = (
    "an invocation event, an invoking event, a configuration item, or a list of these as Config and its API write it"
)

ASK_EC2 = "; for EC2's own answer use --live --source ec2"

REFUSED = [
    ("an oversized event does not hold what decides", builders.oversized_event(),
     f"{builders.INSTANCE_ID}: configurationItem is None; allowed: the item itself: an oversized notification holds"),
    ("a scheduled event holds nothing", builders.scheduled_event(),
     "invokingEvent.messageType is 'ScheduledNotification'; allowed: an event that holds an item; to judge what a"),
    ("a message of another type", builders.snapshot_event(),
     "invokingEvent.messageType is 'ConfigurationSnapshotDeliveryCompleted'; allowed: ConfigurationItemChangeNotif"),
    ("items without tags cannot be judged", {"baseConfigurationItems": []},
     "baseConfigurationItems is 'given'; allowed: items with their tags; BatchGetResourceConfig leaves the tags out"),
    ("an object of another kind", {"Reservations": [], "other": 1},
     f"the value is 'an object with the members Reservations, other'; allowed: {READABLE}{ASK_EC2}"),
    ("an instance as EC2 describes it", {"InstanceId": "i-1", "Tags": [1, 2, 3]},
     f"the value is 'an object with the members InstanceId, Tags'; allowed: {READABLE}{ASK_EC2}"),
    ("an object without members", {}, f"the value is {{}}; allowed: {READABLE}"),
    ("a short object", {"a": 1}, f"the value is {{'a': 1}}; allowed: {READABLE}"),
    ("a short object with a secret", {"Token": 1},
     f"the value is 'an object with the members Token'; allowed: {READABLE}"),
    ("a short text", "hello", "the value is 'hello'; allowed: JSON of a configuration item"),
    ("a number", 7, f"the value is 7; allowed: {READABLE}"),
    ("a list in a list", {"Results": [[7]]}, f"the value is [7]; allowed: {READABLE}"),
    ("a text that is no JSON, which may hold a result token", '{"resultToken": "s3cret"',
     "the value is 'a text of 24 characters'; allowed: JSON of a configuration item"),
    ("a list that is none", {"configurationItems": {}}, "configurationItems is {}; allowed: a list"),
    ("an item without a status", builders.notification_item(configurationItemStatus=ABSENT),
     f"{builders.INSTANCE_ID}: configurationItemStatus is None; allowed: OK, ResourceDiscovered, ResourceNotRecorded,"),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "value", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_cannot_be_judged_is_a_clear_error(promise: str, value: object, message: str) -> None:
    """It names the field, its value and what is allowed."""
    [error] = found(value)
    assert isinstance(error, str), promise
    assert error.startswith(message), promise


def test_one_bad_element_does_not_stop_the_others() -> None:
    """A page with a broken row gives the others, in order."""
    bad = builders.notification_item(configuration=None)
    first, error, last = found({"configurationItems": [ITEM, bad, ITEM]})
    assert (first, last) == (subject(), subject())
    assert error == (
        f"{builders.INSTANCE_ID}: configuration is None; allowed: an object, as the item's status is not a deletion"
    )


def test_an_envelope_in_an_envelope_without_end_is_no_endless_loop() -> None:
    """JSON that nests a thousand messages is read, or refused, without a crash."""
    value: object = ITEM
    for _ in range(5000):
        value = {"Message": value}
    assert found(value) == [subject()]


PRECEDENCE = [
    ("an event's own parameters count", None, {}, {"evaluate_stopped": False, "exemption_max_days": 30}),
    ("an option replaces one of them", None, {"evaluate_stopped": "true"}, {"exemption_max_days": 30}),
    ("--parameters replaces those it names", '{"exemptionMaxDays": 5}', {},
     {"evaluate_stopped": False, "exemption_max_days": 5}),
    ("an option replaces what --parameters says", '{"exemptionMaxDays": 5}', {"exemption_max_days": "7"},
     {"evaluate_stopped": False, "exemption_max_days": 7}),
    ("an empty option means the default", None, {"exemption_max_days": ""}, {"evaluate_stopped": False}),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "text", "options", "expected"), PRECEDENCE, ids=[case[0] for case in PRECEDENCE])
def test_options_go_before_the_parameters_of_an_event(
    promise: str, text: str | None, options: dict[str, str], expected: dict[str, Any]
) -> None:
    """Parameter by parameter."""
    event = builders.change_event(parameters={"evaluateStopped": "false", "exemptionMaxDays": "30"})
    assert found(event, text, **options) == [asked(**expected)], promise


def test_items_without_an_event_are_judged_with_the_options_alone() -> None:
    """A snapshot knows no rule."""
    assert found(ITEM, '{"IamInstanceProfileArnList": ""}', exemption_tag_key="no-role") == [
        subject(exemption_tag_key="no-role")
    ]
