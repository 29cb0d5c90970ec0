import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rolecall import items
from rolecall.errors import InvalidItem
from rolecall.items import configuration_item, instant, item_header
from rolecall.model import ConfigurationItem, Instance, InstanceState, ItemStatus
from tests.builders import (
    ABSENT,
    ACCOUNT,
    CAPTURED,
    FIRST_LAUNCHED,
    INSTANCE_ARN,
    INSTANCE_ID,
    LAUNCHED,
    PROFILE_ARN,
    REGION,
    Json,
    api_item,
    configuration,
    deleted_item,
    described_instance,
    item_summary,
    notification_item,
    query_row,
    tag_list,
)

HEALTHY = Instance(
    state=InstanceState.RUNNING,
    profile_arn=PROFILE_ARN,
    tags={"Name": "web-1", "team": "shop"},
    instance_type="t3.small",
    image_id="ami-0123456789abcdef0",
    first_launch=FIRST_LAUNCHED,
    last_launch=LAUNCHED,
    vpc_id="vpc-0ee55ff66aa77bb88",
    subnet_id="subnet-0aa11bb22cc33dd44",
    metadata_options={
        "state": "applied",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 2,
        "httpEndpoint": "enabled",
    },
)
ITEM = ConfigurationItem(
    resource_type="AWS::EC2::Instance",
    resource_id=INSTANCE_ID,
    status=ItemStatus.OK,
    capture_time=CAPTURED,
    account=ACCOUNT,
    region=REGION,
    partition="aws",
    arn=INSTANCE_ARN,
    instance=HEALTHY,
)

SHAPES = [notification_item, api_item, query_row]


def read_described(changes: Json) -> ConfigurationItem:
    """The tests' instance, read from what EC2 describes."""
    return items.described_instance(described_instance(**changes), ACCOUNT, REGION, CAPTURED)


@pytest.mark.parametrize(
    ("differing", "expected"),
    [
        ({}, HEALTHY),
        ({"profile": None}, replace(HEALTHY, profile_arn=None)),
        ({"state": "stopped"}, replace(HEALTHY, state=InstanceState.STOPPED)),
        (
            {"state": "shutting-down", "profile": None},
            replace(HEALTHY, state=InstanceState.SHUTTING_DOWN, profile_arn=None),
        ),
        ({"tags": {}}, replace(HEALTHY, tags={})),
        ({"tags": {"intentional-no-role": ""}}, replace(HEALTHY, tags={"intentional-no-role": ""})),
    ],
    ids=str,
)
def test_every_shape_of_an_instance_is_the_same_item(differing: Json, expected: Instance) -> None:
    """Event, history, advanced query and DescribeInstances speak of one instance in four ways."""
    item = replace(ITEM, instance=expected)
    assert [configuration_item(shape(**differing)) for shape in SHAPES] == [item] * 3
    assert read_described(differing) == item


@pytest.mark.parametrize("configured", [None, ABSENT, "not JSON", {"state": 7}])
def test_a_deleted_item_has_no_configuration(configured: object) -> None:
    """`configuration: null` is what Config sends for what is gone, and nothing of it is read."""
    gone = replace(ITEM, status=ItemStatus.RESOURCE_DELETED, instance=None)
    assert configuration_item(deleted_item(configuration=configured)) == gone
    assert configuration_item(api_item(configuration=configured, configurationItemStatus="ResourceDeleted")) == gone


@pytest.mark.parametrize("status", ["ResourceDeleted", "ResourceDeletedNotRecorded", "ResourceNotRecorded"])
def test_a_header_is_enough_for_what_needs_no_judging(status: str) -> None:
    """The summary of an oversized notification reads as the same item as the notification would."""
    summary = item_summary(configurationItemStatus=status)
    assert item_header(summary) == configuration_item(deleted_item(configurationItemStatus=status))


def test_an_item_out_of_scope_or_of_another_type_is_read_without_its_configuration() -> None:
    """What does not decide is not asked for."""
    assert configuration_item(notification_item(configuration=None), left_scope=True) == replace(
        ITEM, left_scope=True, instance=None
    )
    volume = notification_item(
        resourceType="AWS::EC2::Volume",
        resourceId="vol-0a288b5eb9fea4b30",
        ARN="arn:aws:ec2:eu-west-1:111122223333:volume/vol-0a288b5eb9fea4b30",
        configuration={"state": "in-use"},
    )
    assert configuration_item(volume) == replace(
        ITEM,
        resource_type="AWS::EC2::Volume",
        resource_id="vol-0a288b5eb9fea4b30",
        arn="arn:aws:ec2:eu-west-1:111122223333:volume/vol-0a288b5eb9fea4b30",
        instance=None,
    )


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (ABSENT, None),
        (None, None),
        ({}, None),
        ("", None),
        ({"arn": None}, None),
        ({"arn": ""}, None),
        ({"arn": "  "}, None),
        ({"id": "AIPAEXAMPLE"}, None),
        ({"arn": PROFILE_ARN, "id": "AIPAEXAMPLE"}, PROFILE_ARN),
        ({"arn": f" {PROFILE_ARN} "}, PROFILE_ARN),
        *(
            ({"arn": arn, "id": "AIPAEXAMPLE"}, arn)
            for arn in (
                "arn:aws:iam::111122223333:instance-profile/team/shop/app-web",
                "arn:aws-cn:iam::111122223333:instance-profile/app-web",
                "arn:aws-us-gov:iam::111122223333:instance-profile/team/app-web",
                "arn:aws-iso:iam::111122223333:instance-profile/app-web",
                "arn:aws-iso-b:iam::111122223333:instance-profile/app-web",
                "arn:aws-iso-e:iam::111122223333:instance-profile/app-web",
                "arn:aws-iso-f:iam::111122223333:instance-profile/app-web",
                "arn:aws-eusc:iam::111122223333:instance-profile/app-web",
            )
        ),
    ],
)
def test_a_profile_is_present_when_its_arn_is_not_blank(profile: object, expected: str | None) -> None:
    """Config has said "none" in several ways over the years, and each of them means none."""
    told = configuration(iamInstanceProfile=profile)
    for raw in (notification_item(configuration=told), api_item(configuration=json.dumps(told))):
        assert configuration_item(raw) == replace(ITEM, instance=replace(HEALTHY, profile_arn=expected))


@pytest.mark.parametrize(
    ("tags", "configured", "expected"),
    [
        ({"a": "1"}, tag_list({"b": "2"}), {"a": "1"}),
        ({}, tag_list({"b": "2"}), {}),
        ([], tag_list({"b": "2"}), {}),
        (None, tag_list({"b": "2"}), {"b": "2"}),
        (ABSENT, tag_list({"b": "2"}), {"b": "2"}),
        (ABSENT, {"b": "2"}, {"b": "2"}),
        (ABSENT, ABSENT, {}),
        (None, None, {}),
        ([{"key": "a", "value": "1", "tag": "a=1"}], ABSENT, {"a": "1"}),
        ([{"key": "a", "tag": "a="}, {"key": "b", "value": None}], ABSENT, {"a": "", "b": ""}),
        ({"a": ""}, ABSENT, {"a": ""}),
        ({"A": "1", "a": "2", " a": "3"}, ABSENT, {"A": "1", "a": "2", " a": "3"}),
    ],
)
def test_the_items_own_tags_win_even_when_there_are_none(
    tags: object, configured: object, expected: Mapping[str, str]
) -> None:
    """`configuration.tags` is asked only where the item has no tags of its own, and keys stay as they are."""
    raw = notification_item(configuration=configuration() | {"tags": configured})
    raw["tags"] = tags
    for level in (raw, raw["configuration"]):
        for name in [name for name, value in level.items() if value is ABSENT]:
            del level[name]
    assert configuration_item(raw) == replace(ITEM, instance=replace(HEALTHY, tags=expected))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"instanceType": None, "imageId": "", "vpcId": 7, "subnetId": []},
            {"instance_type": None, "image_id": None, "vpc_id": None, "subnet_id": None},
        ),
        ({"launchTime": None}, {"last_launch": None}),
        ({"launchTime": "yesterday"}, {"last_launch": None}),
        ({"launchTime": "9999-12-31T23:59:59-12:00"}, {"last_launch": None}),
        ({"networkInterfaces": None}, {"first_launch": None}),
        ({"networkInterfaces": []}, {"first_launch": None}),
        (
            {"networkInterfaces": ["eni-1", {"attachment": None}, {"attachment": {"deviceIndex": 1}}]},
            {"first_launch": None},
        ),
        ({"networkInterfaces": [{"attachment": {"deviceIndex": 0}}]}, {"first_launch": None}),
        ({"metadataOptions": None}, {"metadata_options": None}),
        ({"metadataOptions": "optional"}, {"metadata_options": None}),
        (
            {"metadataOptions": {"httpTokens": "optional", "x": None, "y": [1]}},
            {"metadata_options": {"httpTokens": "optional"}},
        ),
    ],
    ids=str,
)
def test_what_only_informs_is_left_out_where_it_cannot_be_read(changes: Json, expected: Json) -> None:
    """No verdict hangs on a launch time or a subnet."""
    raw = notification_item(configuration=configuration() | changes)
    assert configuration_item(raw) == replace(ITEM, instance=replace(HEALTHY, **expected))


def test_keys_that_nobody_knows_change_nothing() -> None:
    """AWS adds keys without notice, at every level."""
    more: Json = {"newKey": {"a": [1, None]}, "otherKey": None}
    raw = notification_item(configuration=configuration() | more) | more
    assert configuration_item(raw) == ITEM


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ARN": ABSENT}, ITEM),
        ({"ARN": None}, ITEM),
        ({"ARN": 7}, ITEM),
        (
            {"ARN": ABSENT, "awsRegion": "cn-north-1"},
            replace(
                ITEM,
                region="cn-north-1",
                partition="aws-cn",
                arn=f"arn:aws-cn:ec2:cn-north-1:{ACCOUNT}:instance/{INSTANCE_ID}",
            ),
        ),
        (
            {"ARN": f"arn:aws-us-gov:ec2:us-gov-west-1:{ACCOUNT}:instance/{INSTANCE_ID}", "awsRegion": "us-gov-west-1"},
            replace(
                ITEM,
                region="us-gov-west-1",
                partition="aws-us-gov",
                arn=f"arn:aws-us-gov:ec2:us-gov-west-1:{ACCOUNT}:instance/{INSTANCE_ID}",
            ),
        ),
        ({"awsAccountId": "0123456789012"}, replace(ITEM, account="0123456789012")),
        ({"configurationItemStatus": "ResourceDiscovered"}, replace(ITEM, status=ItemStatus.RESOURCE_DISCOVERED)),
        (
            {"resourceId": "i" * 768, "ARN": "arn:aws:ec2:::x"},
            replace(ITEM, resource_id="i" * 768, arn="arn:aws:ec2:::x"),
        ),
    ],
    ids=str,
)
def test_a_header_tells_where_the_instance_is(changes: Json, expected: ConfigurationItem) -> None:
    """Its ARN is completed where a source leaves it out."""
    assert configuration_item(notification_item(**changes)) == expected


def test_another_resource_without_an_arn_has_none() -> None:
    """Only an instance's ARN can be composed: others follow their own services' patterns."""
    assert item_header(item_summary(resourceType="AWS::EC2::Volume", ARN=None)).arn == ""


NOT_TEXTS: list[object] = [7, False, [], {"x": 1}]
NOT_TIMES: list[object] = [
    None,
    "",
    "now",
    "2026-03-01",
    "2026-03-01T09:30:00.123",
    True,
    -1,
    1772357400123,
    253_402_300_800,
    float("nan"),
    {},
]
TEXT = "a text that is not blank"
TIME = "a time as 2026-01-31T12:00:00.000Z"
STATUSES = "OK, ResourceDiscovered, ResourceNotRecorded, ResourceDeleted, ResourceDeletedNotRecorded"
STATES = "pending, running, shutting-down, terminated, stopping, stopped"
OBJECT = "an object, as the item's status is not a deletion"
PROFILE = "an object with an arn, or null"
STATE = "an object with the state's name"
TAGS = "an object of texts, or a list of objects with key and value"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "configuration item is None; allowed: a JSON object"),
        ([], "configuration item is []; allowed: a JSON object"),
        ("{}", "configuration item is '{}'; allowed: a JSON object"),
        ({}, f"resourceId is None; allowed: {TEXT}"),
        (notification_item(resourceId=7), f"resourceId is 7; allowed: {TEXT}"),
        (notification_item(resourceId=" "), f"resourceId is ' '; allowed: {TEXT}"),
        (notification_item(resourceId="i" * 769), f"resourceId is '{'i' * 119}…; allowed: 1 to 768 characters"),
        (notification_item(awsAccountId=ABSENT), f"{INSTANCE_ID}: awsAccountId is None; allowed: {TEXT}"),
        (notification_item(awsAccountId=111122223333), f"{INSTANCE_ID}: awsAccountId is 111122223333; allowed: {TEXT}"),
        (api_item(accountId=""), f"{INSTANCE_ID}: accountId is ''; allowed: {TEXT}"),
        (notification_item(awsRegion=None), f"{INSTANCE_ID}: awsRegion is None; allowed: {TEXT}"),
        (notification_item(resourceType=ABSENT), f"{INSTANCE_ID}: resourceType is None; allowed: {TEXT}"),
        (
            notification_item(configurationItemStatus=ABSENT),
            f"{INSTANCE_ID}: configurationItemStatus is None; allowed: {STATUSES}",
        ),
        (
            notification_item(configurationItemStatus="Ok"),
            f"{INSTANCE_ID}: configurationItemStatus is 'Ok'; allowed: {STATUSES}",
        ),
        (
            notification_item(configurationItemStatus=["OK"]),
            f"{INSTANCE_ID}: configurationItemStatus is ['OK']; allowed: {STATUSES}",
        ),
        *(
            (
                notification_item(configurationItemCaptureTime=time),
                f"{INSTANCE_ID}: configurationItemCaptureTime is {time!r}; allowed: {TIME}",
            )
            for time in NOT_TIMES
        ),
        (
            notification_item(configurationItemCaptureTime="0001-01-01T00:00:00+01:00"),
            f"{INSTANCE_ID}: configurationItemCaptureTime is '0001-01-01T00:00:00+01:00'; allowed: {TIME}",
        ),
        (
            api_item(configurationItemCaptureTime=datetime(2026, 3, 1, 9, 30)),  # noqa: DTZ001 - no zone is the point
            f"{INSTANCE_ID}: configurationItemCaptureTime is datetime.datetime(2026, 3, 1, 9, 30); allowed: {TIME}",
        ),
        (notification_item(configuration=None), f"{INSTANCE_ID}: configuration is None; allowed: {OBJECT}"),
        (notification_item(configuration=ABSENT), f"{INSTANCE_ID}: configuration is None; allowed: {OBJECT}"),
        (notification_item(configuration=[]), f"{INSTANCE_ID}: configuration is []; allowed: {OBJECT}"),
        (api_item(configuration="null"), f"{INSTANCE_ID}: configuration is None; allowed: {OBJECT}"),
        (api_item(configuration=""), f"{INSTANCE_ID}: configuration is ''; allowed: JSON text of an object"),
        (
            api_item(configuration="{'a'"),
            f"""{INSTANCE_ID}: configuration is "{{'a'"; allowed: JSON text of an object""",
        ),
        (
            api_item(configuration="[" * 100_000),
            f"{INSTANCE_ID}: configuration is '{'[' * 119}…; allowed: JSON text of an object",
        ),
        (
            notification_item(configuration={"foo": "bar"}),
            f"{INSTANCE_ID}: configuration.state is None; allowed: {STATE}",
        ),
        (
            notification_item(configuration=configuration() | {"state": "running"}),
            f"{INSTANCE_ID}: configuration.state is 'running'; allowed: {STATE}",
        ),
        *(
            (
                notification_item(configuration=configuration() | {"state": {"code": 16, "name": name}}),
                f"{INSTANCE_ID}: configuration.state.name is {name!r}; allowed: {STATES}",
            )
            for name in (None, "", "Running", "rebooting", 16, ["running"])
        ),
        *(
            (
                notification_item(configuration=configuration() | {"iamInstanceProfile": profile}),
                f"{INSTANCE_ID}: configuration.iamInstanceProfile is {profile!r}; allowed: {PROFILE}",
            )
            for profile in (PROFILE_ARN, [], [{"arn": "x"}], True, False, 0)
        ),
        *(
            (
                notification_item(configuration=configuration() | {"iamInstanceProfile": {"arn": arn}}),
                f"{INSTANCE_ID}: configuration.iamInstanceProfile.arn is {arn!r}; allowed: a text",
            )
            for arn in NOT_TEXTS
        ),
        (notification_item() | {"tags": "a=1"}, f"{INSTANCE_ID}: tags is 'a=1'; allowed: {TAGS}"),
        (notification_item() | {"tags": 0}, f"{INSTANCE_ID}: tags is 0; allowed: {TAGS}"),
        (notification_item() | {"tags": {"a": None}}, f"{INSTANCE_ID}: tags, key 'a' is None; allowed: {TAGS}"),
        (notification_item() | {"tags": {"a": 1}}, f"{INSTANCE_ID}: tags, key 'a' is 1; allowed: {TAGS}"),
        (query_row() | {"tags": ["a"]}, f"{INSTANCE_ID}: tags is 'a'; allowed: {TAGS}"),
        (query_row() | {"tags": [{"tag": "a=1"}]}, f"{INSTANCE_ID}: tags is {{'tag': 'a=1'}}; allowed: {TAGS}"),
        (query_row() | {"tags": [{"key": [], "value": "1"}]}, f"{INSTANCE_ID}: tags, key [] is '1'; allowed: {TAGS}"),
        (query_row() | {"tags": [{"key": "a", "value": 0}]}, f"{INSTANCE_ID}: tags, key 'a' is 0; allowed: {TAGS}"),
        (
            notification_item(configuration=configuration() | {"tags": "x"}) | {"tags": None},
            f"{INSTANCE_ID}: configuration.tags is 'x'; allowed: {TAGS}",
        ),
    ],
)
def test_an_item_that_cannot_be_judged_names_the_field(raw: object, message: str) -> None:
    """No verdict is guessed: the error says which resource, which field, its value and what is allowed."""
    with pytest.raises(InvalidItem, match=f"^{re.escape(message)}$"):
        configuration_item(raw)


def test_a_description_without_an_id_or_state_is_refused() -> None:
    """EC2's own descriptions are held to the same as Config's."""
    with pytest.raises(InvalidItem, match=f"^{re.escape(f'resourceId is None; allowed: {TEXT}')}$"):
        read_described({"InstanceId": ABSENT})
    with pytest.raises(
        InvalidItem, match=f"^{re.escape(f'{INSTANCE_ID}: configuration.state is None; allowed: {STATE}')}$"
    ):
        read_described({"State": ABSENT})


def test_an_item_nested_beyond_reading_is_refused_not_a_crash() -> None:
    """The error can be shown even where its value cannot."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    message = f"{INSTANCE_ID}: configuration is a list nested too deeply to be shown; allowed: {OBJECT}"
    with pytest.raises(InvalidItem, match=f"^{re.escape(message)}$"):
        configuration_item(notification_item(configuration=deep))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01T09:30:00.123Z", CAPTURED),
        ("2026-03-01T10:30:00.123+01:00", CAPTURED),
        ("2026-03-01T09:30:00Z", CAPTURED.replace(microsecond=0)),
        (CAPTURED, CAPTURED),
        (CAPTURED.astimezone(timezone(timedelta(hours=5, minutes=30))), CAPTURED),
        (1772357400.123, CAPTURED),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (253_402_300_799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_to_the_millisecond_and_told_in_utc(value: object, expected: datetime) -> None:
    """Texts, datetimes of boto3 and epoch seconds are one instant, on one clock."""
    moment = instant(value, "field")
    assert moment == expected
    assert moment.tzinfo is UTC
