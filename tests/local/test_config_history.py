import json
from datetime import datetime, timedelta

import pytest

from tests.builders import (
    ACCOUNT,
    CAPTURED,
    INSTANCE_ARN,
    INSTANCE_ID,
    LAUNCHED,
    REGION,
    TAGS,
    Json,
    configuration,
    deleted_item,
    notification_item,
)
from tests.local.config_harness import INSTANCE, Harness, answer_of, moments, refusal

HOURS = [CAPTURED + number * timedelta(hours=1) for number in range(12)]
MILLISECOND = timedelta(milliseconds=1)


def _history(config: Harness, **request: object) -> Json:
    get = config.client().get_resource_config_history
    return answer_of(get, **{"resourceType": INSTANCE, "resourceId": INSTANCE_ID, **request})


@pytest.fixture
def recorded(config: Harness) -> Harness:
    """Twelve items of one instance, an hour apart."""
    config.region.load(notification_item(configurationItemCaptureTime=moment) for moment in moments(len(HOURS)))
    return config


def test_an_item_has_the_shape_of_the_api(config: Harness) -> None:
    """Other keys than in a notification, the configuration as JSON text, and timestamps with their milliseconds."""
    config.region.record(notification_item())
    [item] = _history(config)["configurationItems"]
    assert json.loads(item.pop("configuration")) == configuration()
    assert item == {
        "version": "1.3",
        "accountId": ACCOUNT,
        "configurationItemCaptureTime": CAPTURED,
        "configurationItemStatus": "OK",
        "configurationStateId": "1772357400123",
        "configurationItemMD5Hash": "",
        "arn": INSTANCE_ARN,
        "resourceType": INSTANCE,
        "resourceId": INSTANCE_ID,
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "resourceCreationTime": LAUNCHED,
        "tags": dict(TAGS),
        "relatedEvents": [],
        "relationships": [
            {
                "resourceId": "vpc-0ee55ff66aa77bb88",
                "resourceType": "AWS::EC2::VPC",
                "relationshipName": "Is contained in Vpc",
            }
        ],
        "supplementaryConfiguration": {},
    }


def test_a_deleted_item_has_no_configuration(config: Harness) -> None:
    """What the notification shows as null is not there."""
    config.region.record(deleted_item())
    [item] = _history(config)["configurationItems"]
    assert item["configurationItemStatus"] == "ResourceDeleted"
    assert {"configuration", "availabilityZone", "resourceCreationTime", "resourceName"} & item.keys() == set()


NEWEST_FIRST = HOURS[::-1]

PAGES = [
    ("newest first, ten to a page", {}, [NEWEST_FIRST[:10], NEWEST_FIRST[10:]]),
    ("pages of the size asked for", {"limit": 5}, [NEWEST_FIRST[:5], NEWEST_FIRST[5:10], NEWEST_FIRST[10:]]),
    ("a limit of 0 is the default", {"limit": 0}, [NEWEST_FIRST[:10], NEWEST_FIRST[10:]]),
    ("oldest first", {"chronologicalOrder": "Forward", "limit": 100}, [HOURS]),
    ("up to and with a time", {"laterTime": HOURS[2]}, [NEWEST_FIRST[-3:]]),
    ("not what is a millisecond later", {"laterTime": HOURS[2] - MILLISECOND}, [NEWEST_FIRST[-2:]]),
    ("from a time on", {"earlierTime": HOURS[10]}, [NEWEST_FIRST[:2]]),
    ("between two times", {"earlierTime": HOURS[1], "laterTime": HOURS[2]}, [[HOURS[2], HOURS[1]]]),
    ("nothing in a time without items", {"laterTime": CAPTURED - MILLISECOND}, [[]]),
]


@pytest.mark.parametrize(("request_", "expected"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_pages(recorded: Harness, request_: Json, expected: list[list[datetime]]) -> None:
    """The pages of a resource's history, followed to the last token."""
    page = _history(recorded, **request_)
    pages = [page]
    while "nextToken" in page:
        page = _history(recorded, **request_, nextToken=page["nextToken"])
        pages.append(page)
    assert [[one["configurationItemCaptureTime"] for one in page["configurationItems"]] for page in pages] == expected


def test_an_empty_page_leads_on(recorded: Harness) -> None:
    """GetResourceConfigHistory answers so in reality: no item, but a token."""
    recorded.service.faults.inject("empty-page", "GetResourceConfigHistory")
    empty = _history(recorded, limit=1)
    assert empty["configurationItems"] == []
    [item] = _history(recorded, limit=1, nextToken=empty["nextToken"])["configurationItems"]
    assert item["configurationItemCaptureTime"] == HOURS[-1]


REFUSED = [
    (
        "a resource that was never recorded",
        {"resourceId": "i-00000000000000000"},
        "ResourceNotDiscoveredException",
        "Resource i-00000000000000000 of resourceType:AWS::EC2::Instance is unknown or has not been discovered",
    ),
    (
        "a range that ends before it begins",
        {"earlierTime": HOURS[2], "laterTime": HOURS[1]},
        "InvalidTimeRangeException",
        "The specified time range is invalid. The earlier time is not chronologically before the later time.",
    ),
    (
        "a limit of 101",
        {"limit": 101},
        "ValidationException",
        (
            "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: "
            "Member must have value less than or equal to 100"
        ),
    ),
    ("an invented token", {"nextToken": "bm90OmE="}, "InvalidNextTokenException", "The nextToken provided is invalid"),
]


@pytest.mark.parametrize(("request_", "code", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(recorded: Harness, request_: Json, code: str, message: str) -> None:
    """AWS refuses this, in these words."""
    get = recorded.client().get_resource_config_history
    assert refusal(get, **{"resourceType": INSTANCE, "resourceId": INSTANCE_ID, **request_}) == (code, message)


def test_refuses_a_resource_type_that_does_not_exist(recorded: Harness) -> None:
    """The types are those of the service model."""
    get = recorded.client().get_resource_config_history
    code, message = refusal(get, resourceType="AWS::EC2::Server", resourceId=INSTANCE_ID)
    assert code == "ValidationException"
    assert message.startswith(
        "1 validation error detected: Value 'AWS::EC2::Server' at 'resourceType' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )


def test_there_is_no_history_without_a_recorder(config: Harness) -> None:
    """Another region of the same account has none."""
    get = config.client(region="eu-central-1").get_resource_config_history
    code, _ = refusal(get, resourceType=INSTANCE, resourceId=INSTANCE_ID)
    assert code == "NoAvailableConfigurationRecorderException"


def test_an_item_that_is_not_the_newest_is_not_recorded(recorded: Harness) -> None:
    """A recorder never goes back in time; a test that would is told so."""
    with pytest.raises(ValueError, match="allowed: later than that of the newest item"):
        recorded.region.record(notification_item(configurationItemCaptureTime=moments(1)[0]))
    with pytest.raises(ValueError, match="configurationItemStatus of a configuration item is None"):
        recorded.region.record(notification_item(configurationItemStatus=None))
    with pytest.raises(ValueError, match=f"the item is of 444455556666 in {REGION}, not of {ACCOUNT}"):
        recorded.region.record(notification_item(awsAccountId="444455556666"))
