"""One healthy instance in every shape that AWS gives it, and the events that carry it.

Each builder makes what AWS would send for the same running instance with an instance profile. Keywords in lower case
say what differs about the instance (`state`, `profile`, `tags`, …); `**changes` replaces keys under AWS's own names,
and `ABSENT` takes a key away:

    notification_item(profile=None, tags=exemption_tags("appliance"), configurationItemStatus="ResourceDiscovered")
    change_event(notification_item(state="stopped"), parameters={"evaluateStopped": "false"}, accountId=ABSENT)
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rolecall.items import configuration_item
from rolecall.model import ConfigurationItem

Json = dict[str, Any]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""As the value of a change: the key is not there at all."""

ACCOUNT = "111122223333"
REGION = "eu-west-1"
INSTANCE_ID = "i-0a1b2c3d4e5f60718"
INSTANCE_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE_ID}"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/app-web"
RULE_NAME = "ec2-instance-profile"
RULE_ID = "config-rule-x7k2qd"
RULE_ARN = f"arn:aws:config:{REGION}:{ACCOUNT}:config-rule/{RULE_ID}"
RESULT_TOKEN = "eyJpbnZlbnRlZCI6InRva2VuIn0="  # noqa: S105 - invented, opens nothing

LAUNCHED = datetime(2026, 2, 20, 7, 0, 5, tzinfo=UTC)
FIRST_LAUNCHED = datetime(2025, 11, 3, 16, 45, 30, tzinfo=UTC)
CAPTURED = datetime(2026, 3, 1, 9, 30, 0, 123_000, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""The day on which the tests' instances are judged, a day after they were captured."""

TAGS: Mapping[str, str] = {"Name": "web-1", "team": "shop"}
NO_ROLE = "intentional-no-role"
"""The exemption tag's default key."""

STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def iso(moment: datetime) -> str:
    """A time as Config writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def changed(base: Json, changes: Mapping[str, object]) -> Json:
    """`base` with the keys of `changes` replaced, and those whose value is `ABSENT` removed."""
    return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}


def tag_list(tags: Mapping[str, str]) -> list[Json]:
    """Tags as `configuration.tags` has them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def exemption_tags(  # noqa: PLR0913 - one argument for each tag
    reason: str | None = "licensed appliance, calls no AWS API",
    *,
    key: str = NO_ROLE,
    expires: str | None = None,
    granted: str | None = None,
    approved_by: str | None = None,
    ticket: str | None = None,
) -> dict[str, str]:
    """The exemption tag and its companions; None leaves a tag away, the main one too."""
    tags = {
        key: reason,
        f"{key}:expires": expires,
        f"{key}:granted": granted,
        f"{key}:approved-by": approved_by,
        f"{key}:ticket": ticket,
    }
    return {name: value for name, value in tags.items() if value is not None}


def configuration(
    *, state: str = "running", profile: str | None = PROFILE_ARN, tags: Mapping[str, str] = TAGS, **changes: object
) -> Json:
    """`configuration` of an item, in full, as Config records it from EC2."""
    base: Json = {
        "amiLaunchIndex": 0,
        "imageId": "ami-0123456789abcdef0",
        "instanceId": INSTANCE_ID,
        "instanceType": "t3.small",
        "kernelId": None,
        "keyName": None,
        "launchTime": iso(LAUNCHED),
        "monitoring": {"state": "disabled"},
        "placement": {"availabilityZone": f"{REGION}a", "groupName": "", "tenancy": "default", "hostId": None},
        "platform": None,
        "privateDnsName": "ip-10-0-1-17.eu-west-1.compute.internal",
        "privateIpAddress": "10.0.1.17",
        "productCodes": [],
        "publicDnsName": "",
        "publicIpAddress": None,
        "state": {"code": STATE_CODES.get(state, 0), "name": state},
        "stateTransitionReason": "",
        "subnetId": "subnet-0aa11bb22cc33dd44",
        "vpcId": "vpc-0ee55ff66aa77bb88",
        "architecture": "x86_64",
        "blockDeviceMappings": [],
        "clientToken": "",
        "ebsOptimized": True,
        "enaSupport": True,
        "hypervisor": "xen",
        "iamInstanceProfile": None if profile is None else {"arn": profile, "id": "AIPAEXAMPLEEXAMPLE123"},
        "networkInterfaces": [
            {
                "networkInterfaceId": "eni-0000000000000000b",
                "attachment": {"attachTime": iso(LAUNCHED), "deviceIndex": 1, "status": "attached"},
                "association": None,
            },
            {
                "networkInterfaceId": "eni-0000000000000000a",
                "attachment": {"attachTime": iso(FIRST_LAUNCHED), "deviceIndex": 0, "status": "attached"},
                "association": None,
            },
        ],
        "securityGroups": [{"groupName": "web", "groupId": "sg-0123456789abcdef0"}],
        "tags": tag_list(tags),
        "virtualizationType": "hvm",
        "metadataOptions": {
            "state": "applied",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
            "httpEndpoint": "enabled",
        },
    }
    return changed(base, changes)


def notification_item(
    *, state: str = "running", profile: str | None = PROFILE_ARN, tags: Mapping[str, str] = TAGS, **changes: object
) -> Json:
    """An item as an invoking event, a snapshot file and a history file carry it."""
    base: Json = {
        "relatedEvents": [],
        "relationships": [
            {
                "resourceId": "vpc-0ee55ff66aa77bb88",
                "resourceName": None,
                "resourceType": "AWS::EC2::VPC",
                "name": "Is contained in Vpc",
            }
        ],
        "configuration": configuration(state=state, profile=profile, tags=tags),
        "supplementaryConfiguration": {},
        "tags": dict(tags),
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": iso(CAPTURED),
        "configurationStateId": 1772357400123,
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": INSTANCE_ID,
        "resourceName": None,
        "ARN": INSTANCE_ARN,
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "configurationStateMd5Hash": "",
        "resourceCreationTime": iso(LAUNCHED),
    }
    return changed(base, changes)


def deleted_item(**changes: object) -> Json:
    """What Config sends once an instance is gone: its configuration is null and its tags are empty."""
    gone: Json = {
        "configuration": None,
        "tags": {},
        "relationships": [],
        "configurationItemStatus": "ResourceDeleted",
        "availabilityZone": None,
        "resourceCreationTime": None,
    }
    return notification_item(**changed(gone, changes))


def api_item(
    *, state: str = "running", profile: str | None = PROFILE_ARN, tags: Mapping[str, str] = TAGS, **changes: object
) -> Json:
    """An item as boto3's `get_resource_config_history` returns it: other keys, and the configuration is JSON text."""
    base: Json = {
        "version": "1.3",
        "accountId": ACCOUNT,
        "configurationItemCaptureTime": CAPTURED,
        "configurationItemStatus": "OK",
        "configurationStateId": "1772357400123",
        "configurationItemMD5Hash": "",
        "arn": INSTANCE_ARN,
        "resourceType": "AWS::EC2::Instance",
        "resourceId": INSTANCE_ID,
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "resourceCreationTime": LAUNCHED,
        "tags": dict(tags),
        "relatedEvents": [],
        "relationships": [],
        "configuration": json.dumps(configuration(state=state, profile=profile, tags=tags)),
        "supplementaryConfiguration": {},
    }
    return changed(base, changes)


def query_row(
    *, state: str = "running", profile: str | None = PROFILE_ARN, tags: Mapping[str, str] = TAGS, **changes: object
) -> Json:
    """A row of SelectResourceConfig, parsed: what is null is left out, and tags are a list at the top only."""
    selected = configuration(state=state, profile=profile, tags=tags)
    selected = {
        name: selected[name]
        for name in ("imageId", "instanceType", "launchTime", "subnetId", "vpcId", "networkInterfaces")
    } | {"state": {"name": state}, "metadataOptions": selected["metadataOptions"]}
    if profile is not None:
        selected["iamInstanceProfile"] = {"arn": profile}
    base: Json = {
        "resourceId": INSTANCE_ID,
        "resourceType": "AWS::EC2::Instance",
        "accountId": ACCOUNT,
        "awsRegion": REGION,
        "arn": INSTANCE_ARN,
        "configurationItemStatus": "OK",
        "configurationItemCaptureTime": iso(CAPTURED),
        "configuration": selected,
        "tags": [{"key": key, "value": value, "tag": f"{key}={value}"} for key, value in tags.items()],
    }
    return changed(base, changes)


def described_instance(
    *, state: str = "running", profile: str | None = PROFILE_ARN, tags: Mapping[str, str] = TAGS, **changes: object
) -> Json:
    """One instance as boto3's `describe_instances` returns it: other case, datetimes, what is null is left out."""
    base: Json = {
        "InstanceId": INSTANCE_ID,
        "InstanceType": "t3.small",
        "ImageId": "ami-0123456789abcdef0",
        "LaunchTime": LAUNCHED,
        "State": {"Code": STATE_CODES.get(state, 0), "Name": state},
        "SubnetId": "subnet-0aa11bb22cc33dd44",
        "VpcId": "vpc-0ee55ff66aa77bb88",
        "IamInstanceProfile": ABSENT if profile is None else {"Arn": profile, "Id": "AIPAEXAMPLEEXAMPLE123"},
        "NetworkInterfaces": [
            {"NetworkInterfaceId": "eni-0000000000000000b", "Attachment": {"AttachTime": LAUNCHED, "DeviceIndex": 1}},
            {
                "NetworkInterfaceId": "eni-0000000000000000a",
                "Attachment": {"AttachTime": FIRST_LAUNCHED, "DeviceIndex": 0},
            },
        ],
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
        },
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()] or ABSENT,
    }
    return changed(base, changes)


def instance_item(
    *,
    left_scope: bool = False,
    state: str = "running",
    profile: str | None = PROFILE_ARN,
    tags: Mapping[str, str] = TAGS,
    **changes: object,
) -> ConfigurationItem:
    """`notification_item`, read: what `rule.evaluate` takes."""
    raw = notification_item(state=state, profile=profile, tags=tags, **changes)
    return configuration_item(raw, left_scope=left_scope)


def item_summary(**changes: object) -> Json:
    """The header that an oversized notification carries instead of the item."""
    base: Json = {
        "changeType": "UPDATE",
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": iso(CAPTURED),
        "configurationStateId": 1772357400123,
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": INSTANCE_ID,
        "resourceName": None,
        "ARN": INSTANCE_ARN,
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "configurationStateMd5Hash": "",
        "resourceCreationTime": iso(LAUNCHED),
    }
    return changed(base, changes)


def invocation(
    invoking_event: object,
    *,
    parameters: Mapping[str, object] | None = None,
    left_scope: bool = False,
    **changes: object,
) -> Json:
    """The event that Config invokes the function with; a text as `invoking_event` is sent as it is."""
    base: Json = {
        "version": "1.0",
        "invokingEvent": invoking_event if isinstance(invoking_event, str) else json.dumps(invoking_event),
        "ruleParameters": json.dumps(parameters or {}),
        "resultToken": RESULT_TOKEN,
        "eventLeftScope": left_scope,
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/service-role/config-role",
        "configRuleArn": RULE_ARN,
        "configRuleName": RULE_NAME,
        "configRuleId": RULE_ID,
        "accountId": ACCOUNT,
        "evaluationMode": "DETECTIVE",
    }
    return changed(base, changes)


def change_event(
    item: Json | None = None,
    *,
    parameters: Mapping[str, object] | None = None,
    left_scope: bool = False,
    **changes: object,
) -> Json:
    """A ConfigurationItemChangeNotification for `item`."""
    invoking_event = {
        "configurationItemDiff": None,
        "configurationItem": notification_item() if item is None else item,
        "notificationCreationTime": "2026-03-01T09:30:02.456Z",
        "messageType": "ConfigurationItemChangeNotification",
        "recordVersion": "1.3",
    }
    return invocation(invoking_event, parameters=parameters, left_scope=left_scope, **changes)


def oversized_event(
    summary: Json | None = None,
    *,
    parameters: Mapping[str, object] | None = None,
    left_scope: bool = False,
    **changes: object,
) -> Json:
    """An OversizedConfigurationItemChangeNotification, without the keys that AWS documents for SNS alone."""
    invoking_event = {
        "configurationItemSummary": item_summary() if summary is None else summary,
        "messageType": "OversizedConfigurationItemChangeNotification",
    }
    return invocation(invoking_event, parameters=parameters, left_scope=left_scope, **changes)


def scheduled_event(*, parameters: Mapping[str, object] | None = None, **changes: object) -> Json:
    """A ScheduledNotification: the account that it speaks of, and no resource."""
    invoking_event = {
        "awsAccountId": ACCOUNT,
        "notificationCreationTime": "2026-03-02T12:00:00.789Z",
        "messageType": "ScheduledNotification",
        "recordVersion": "1.0",
    }
    return invocation(invoking_event, parameters=parameters, left_scope=False, **changes)


def snapshot_event(**changes: object) -> Json:
    """A ConfigurationSnapshotDeliveryCompleted: an older periodic trigger, which rolecall does not answer."""
    invoking_event = {
        "configSnapshotId": "00000000-0000-0000-0000-000000000000",
        "s3ObjectKey": f"AWSLogs/{ACCOUNT}/Config/{REGION}/2026/3/2/ConfigSnapshot/snapshot.json.gz",
        "s3Bucket": "config-bucket",
        "notificationCreationTime": "2026-03-02T12:00:00.789Z",
        "messageType": "ConfigurationSnapshotDeliveryCompleted",
        "recordVersion": "1.1",
    }
    return invocation(invoking_event, parameters=None, left_scope=False, **changes)
