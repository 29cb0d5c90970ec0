import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.aws import LocalAws
from local.config_region import ConfigRegion
from local.configuration_items import Item
from local.described_instances import configuration_of, deleted_item, item_of
from local.recorder import Recorded, Recorder, RecorderThread
from local.timestamps import epoch_ms, iso
from rolecall.items import configuration_item
from tests.builders import (
    ACCOUNT,
    CAPTURED,
    FIRST_LAUNCHED,
    INSTANCE_ARN,
    INSTANCE_ID,
    LAUNCHED,
    NOW,
    PROFILE_ARN,
    REGION,
    Json,
    described_instance,
)
from tests.builders import deleted_item as built_deleted_item
from tests.builders import iso as as_text
from tests.local.config_harness import INSTANCE, MESSAGE_TYPES, Clock, rule, running_config, source


class Ec2:
    """EC2 of which a test says what there is; it answers two instances to a page, each in a reservation of its own."""

    def __init__(self) -> None:
        self.instances: dict[str, Json] = {}
        self.failures = 0
        """How many calls fail from now on."""

    def put(self, instance_id: str = INSTANCE_ID, **changes: Any) -> None:  # noqa: ANN401 - as the builder takes them
        """Let an instance be as it is described."""
        described = described_instance(**{"InstanceId": instance_id, **changes})
        self.instances[instance_id] = {"Placement": {"AvailabilityZone": "eu-west-1a"}, **described}

    def get_paginator(self, operation: str) -> "Ec2":
        """There is one operation."""
        assert operation == "describe_instances"
        return self

    def paginate(self) -> Iterator[Json]:
        """The pages."""
        if self.failures:
            self.failures -= 1
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        found = [{"Instances": [instance]} for instance in self.instances.values()]
        for start in range(0, max(len(found), 1), 2):
            yield {"Reservations": found[start : start + 2]}


class World:
    """EC2, the account's Config, and the recorder between them."""

    def __init__(self, region: ConfigRegion, clock: Clock, **settings: Any) -> None:  # noqa: ANN401 - any setting
        self.ec2 = Ec2()
        self.region = region
        self.clock = clock
        self.recorder = Recorder(self.ec2, region, clock=clock, **settings)  # type: ignore[arg-type]  # a part of EC2 does

    def record(self) -> list[tuple[str, str]]:
        """Resource id and status of what is recorded now."""
        return [(one.item["resourceId"], one.item["configurationItemStatus"]) for one in self.recorder.record_now()]

    def newest(self, instance_id: str = INSTANCE_ID) -> Item:
        """The last item of an instance."""
        item = self.region.newest(INSTANCE, instance_id)
        assert item is not None
        return item


@pytest.fixture
def world() -> Iterator[World]:
    """With a rule, and no instance."""
    with running_config() as config:
        yield World(config.region, config.clock)


def test_an_item_has_the_true_shape() -> None:
    """Every key of a real item, the nulls and empty lists of an instance that has none of it, and times as text."""
    described = described_instance(
        Placement={"AvailabilityZone": "eu-west-1a", "GroupName": "", "Tenancy": "default"},
        SecurityGroups=[{"GroupId": "sg-1", "GroupName": "web"}],
        NetworkInterfaces=[
            {
                "NetworkInterfaceId": "eni-1",
                "Groups": [{"GroupId": "sg-1", "GroupName": "web"}],
                "Association": {},
                "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.1.17"}],
                "Attachment": {"AttachTime": FIRST_LAUNCHED, "DeviceIndex": 0},
            }
        ],
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1", "AttachTime": FIRST_LAUNCHED}}],
        StateReason={"Code": "", "Message": ""},
        KernelId="None",
        HibernationOptions={},
    )
    item = item_of(
        configuration_of(described), account=ACCOUNT, region=REGION, status="OK", captured_ms=epoch_ms(CAPTURED)
    )
    assert item == {
        "relatedEvents": [],
        "relationships": [
            _relationship("eni-1", "AWS::EC2::NetworkInterface", "Contains NetworkInterface"),
            _relationship("sg-1", "AWS::EC2::SecurityGroup", "Is associated with SecurityGroup"),
            _relationship("subnet-0aa11bb22cc33dd44", "AWS::EC2::Subnet", "Is contained in Subnet"),
            _relationship("vol-1", "AWS::EC2::Volume", "Is attached to Volume"),
            _relationship("vpc-0ee55ff66aa77bb88", "AWS::EC2::VPC", "Is contained in Vpc"),
        ],
        "configuration": {
            "instanceId": INSTANCE_ID,
            "instanceType": "t3.small",
            "imageId": "ami-0123456789abcdef0",
            "launchTime": as_text(LAUNCHED),
            "state": {"code": 16, "name": "running"},
            "subnetId": "subnet-0aa11bb22cc33dd44",
            "vpcId": "vpc-0ee55ff66aa77bb88",
            "iamInstanceProfile": {"arn": PROFILE_ARN, "id": "AIPAEXAMPLEEXAMPLE123"},
            "networkInterfaces": [
                {
                    "networkInterfaceId": "eni-1",
                    "groups": [{"groupId": "sg-1", "groupName": "web"}],
                    "association": None,
                    "privateIpAddresses": [{"primary": True, "privateIpAddress": "10.0.1.17", "association": None}],
                    "attachment": {"attachTime": as_text(FIRST_LAUNCHED), "deviceIndex": 0},
                }
            ],
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"volumeId": "vol-1", "attachTime": as_text(FIRST_LAUNCHED)}}
            ],
            "securityGroups": [{"groupId": "sg-1", "groupName": "web"}],
            "metadataOptions": {
                "state": "applied",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 2,
                "httpEndpoint": "enabled",
            },
            "tags": [{"key": "Name", "value": "web-1"}, {"key": "team", "value": "shop"}],
            "placement": {
                "availabilityZone": "eu-west-1a",
                "groupName": "",
                "tenancy": "default",
                "affinity": None,
                "partitionNumber": None,
                "hostId": None,
                "spreadDomain": None,
                "hostResourceGroupArn": None,
            },
            "kernelId": None,
            "keyName": None,
            "platform": None,
            "publicIpAddress": None,
            "ramdiskId": None,
            "instanceLifecycle": None,
            "outpostArn": None,
            "spotInstanceRequestId": None,
            "sriovNetSupport": None,
            "stateReason": None,
            "capacityReservationId": None,
            "bootMode": None,
            "productCodes": [],
            "elasticGpuAssociations": [],
            "elasticInferenceAcceleratorAssociations": [],
            "licenses": [],
            "enaSupport": True,
            "cpuOptions": {"coreCount": 1, "threadsPerCore": 1},
            "capacityReservationSpecification": {
                "capacityReservationPreference": "open",
                "capacityReservationTarget": None,
            },
            "hibernationOptions": {"configured": False},
            "enclaveOptions": {"enabled": False},
            "privateDnsName": "",
            "publicDnsName": "",
        },
        "supplementaryConfiguration": {},
        "tags": {"Name": "web-1", "team": "shop"},
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": "2026-03-01T09:30:00.123Z",
        "configurationStateId": 1772357400123,
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": INSTANCE,
        "resourceId": INSTANCE_ID,
        "resourceName": None,
        "ARN": INSTANCE_ARN,
        "awsRegion": REGION,
        "availabilityZone": "eu-west-1a",
        "configurationStateMd5Hash": "",
        "resourceCreationTime": as_text(LAUNCHED),
    }


def _relationship(resource_id: str, resource_type: str, name: str) -> Json:
    return {"resourceId": resource_id, "resourceName": None, "resourceType": resource_type, "name": name}


def test_a_deleted_item_has_the_true_shape() -> None:
    """Nothing of the instance is left: the same as AWS sends."""
    gone = deleted_item(INSTANCE_ID, account=ACCOUNT, region=REGION, captured_ms=epoch_ms(CAPTURED))
    assert gone == built_deleted_item()


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        pytest.param(None, None, id="none is null"),
        pytest.param(
            {"Arn": PROFILE_ARN, "Id": "AIPAEXAMPLEEXAMPLE123"},
            {"arn": PROFILE_ARN, "id": "AIPAEXAMPLEEXAMPLE123"},
            id="as it is",
        ),
        pytest.param(
            {"Arn": PROFILE_ARN, "Id": "iip-assoc-1"},
            {"arn": PROFILE_ARN, "id": "AIPAW6L4IICTSZWNN5YA4"},
            id="moto's id of another kind becomes one of a profile",
        ),
    ],
)
def test_the_profile(profile: Json | None, expected: Json | None) -> None:
    """ARN and id, or null."""
    described = described_instance(IamInstanceProfile=profile, Placement={})
    assert configuration_of(described)["iamInstanceProfile"] == expected


def test_the_first_sight_of_an_instance_discovers_it(world: World) -> None:
    """With the event that creates it; a second look sees nothing new."""
    world.ec2.put()
    [recorded] = world.recorder.record_now()
    assert recorded.item["configurationItemStatus"] == "ResourceDiscovered"
    assert recorded.item["configurationItemCaptureTime"] == as_text(NOW)
    [event] = recorded.events
    assert json.loads(event["invokingEvent"])["configurationItemDiff"]["changeType"] == "CREATE"
    world.clock.forward(timedelta(minutes=1))
    assert world.record() == []


def test_all_pages_are_seen_in_order_of_the_ids(world: World) -> None:
    """However many instances there are."""
    for instance_id in ("i-3", "i-1", "i-5", "i-2", "i-4"):
        world.ec2.put(instance_id)
    assert world.record() == [(f"i-{number}", "ResourceDiscovered") for number in range(1, 6)]


def test_a_change_is_recorded_with_its_difference(world: World) -> None:
    """Status OK, and the properties that changed."""
    world.ec2.put(profile=None)
    world.record()
    world.ec2.put(profile=PROFILE_ARN)
    world.clock.forward(timedelta(seconds=1))
    [recorded] = world.recorder.record_now()
    assert recorded.item["configurationItemStatus"] == "OK"
    difference = json.loads(recorded.events[0]["invokingEvent"])["configurationItemDiff"]
    assert list(difference["changedProperties"]) == ["Configuration.IamInstanceProfile"]


def test_two_changes_within_a_millisecond_are_captured_one_after_the_other(world: World) -> None:
    """Their order must not depend on how fast the machine is."""
    world.ec2.put()
    world.record()
    world.ec2.put(state="stopped")
    world.record()
    assert world.newest()["configurationItemCaptureTime"] == iso(epoch_ms(NOW) + 1)


@pytest.mark.parametrize(
    ("item_before_deletion", "statuses"), [(True, ["OK", "ResourceDeleted"]), (False, ["ResourceDeleted"])]
)
def test_a_terminated_instance_is_deleted(*, item_before_deletion: bool, statuses: list[str]) -> None:
    """At once and only once, though EC2 shows it for another hour; first as terminated, if that is wanted."""
    with running_config() as config:
        world = World(config.region, config.clock, item_before_deletion=item_before_deletion)
        world.ec2.put()
        world.record()
        world.ec2.put(state="terminated", profile=None)
        assert world.record() == [(INSTANCE_ID, status) for status in statuses]
        assert world.record() == []
        assert world.newest()["configuration"] is None


def test_an_instance_that_ec2_no_longer_shows_is_deleted(world: World) -> None:
    """It may have gone between two looks."""
    world.ec2.put()
    world.record()
    world.ec2.instances.clear()
    assert world.record() == [(INSTANCE_ID, "ResourceDeleted")]


def test_an_instance_that_was_terminated_before_anyone_looked_is_never_seen(world: World) -> None:
    """There is nothing to delete."""
    world.ec2.put(state="terminated")
    assert world.record() == []


def test_a_shutting_down_instance_is_still_there(world: World) -> None:
    """Its item says OK: its profile may be gone already."""
    world.ec2.put()
    world.record()
    world.ec2.put(state="shutting-down", profile=None)
    assert world.record() == [(INSTANCE_ID, "OK")]


def test_items_can_be_forced_to_be_oversized(world: World) -> None:
    """All of one instance's, from then on."""
    world.ec2.put("i-1")
    world.ec2.put("i-2")
    world.recorder.force_oversized("i-2")
    sent = [json.loads(one.events[0]["invokingEvent"])["messageType"] for one in world.recorder.record_now()]
    assert sent == list(MESSAGE_TYPES[:2])


def test_events_can_be_lost(world: World) -> None:
    """The item is recorded, no rule hears of it, and the next change is told as ever."""
    world.ec2.put()
    [lost] = world.recorder.record_now(lose_events=True)
    assert (lost.item, lost.events) == (world.newest(), [])
    assert world.record() == []
    world.ec2.put(State={"Code": 80, "Name": "stopped"})
    [told] = world.recorder.record_now()
    assert len(told.events) == 1


def test_a_stopped_recorder_sees_nothing_until_it_is_started(world: World) -> None:
    """Then it sees what is there by then."""
    stopped = {"ConfigurationRecorderName": "default"}
    world.region.recorders.stop(stopped)
    world.ec2.put()
    assert world.record() == []
    world.region.recorders.start(stopped)
    assert world.record() == [(INSTANCE_ID, "ResourceDiscovered")]


def test_a_thread_looks_every_so_often(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """And tells of each item; it goes on after a failure, which it reports."""
    seen = list[Recorded]()
    world.ec2.failures = 1
    world.ec2.put()
    with RecorderThread(world.recorder, 0.01, seen.append):
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [one.item["resourceId"] for one in seen] == [INSTANCE_ID]
    assert "EndpointConnectionError: Could not connect" in capsys.readouterr().err


def test_what_boto3_changes_in_ec2_becomes_items_that_rolecall_reads(local_aws: LocalAws) -> None:
    """Launch, stop, attach, tag, terminate, through real clients: each step is one item, and none of it is missing."""
    region, config = "us-west-2", local_aws.client("config", region="us-west-2")
    home = local_aws.config.region(local_aws.account, region)
    home.start_recording()
    config.put_config_rule(ConfigRule=rule(Source=source(SourceIdentifier=FUNCTION_ARN_THERE)))
    ec2, iam = local_aws.client("ec2", region=region), local_aws.client("iam")
    recorder = Recorder(ec2, home)
    iam.create_instance_profile(InstanceProfileName="recorder-test")
    [launched] = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)["Instances"]
    instance_id = launched["InstanceId"]

    def steps() -> Iterator[tuple[str, str, str | None, dict[str, str]]]:
        for one in recorder.record_now():
            assert len(one.events) == 1
            item = configuration_item(one.item)
            instance = item.instance
            state, profile, tags = ("", None, {}) if instance is None else (
                instance.state.value, instance.profile_arn, dict(instance.tags)
            )  # fmt: skip
            yield item.status.value, state, profile, tags

    profile_arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/recorder-test"
    assert list(steps()) == [("ResourceDiscovered", "running", None, {})]
    ec2.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile={"Name": "recorder-test"})
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "team", "Value": "shop"}])
    assert list(steps()) == [("OK", "running", profile_arn, {"team": "shop"})]
    ec2.stop_instances(InstanceIds=[instance_id])
    assert list(steps()) == [("OK", "stopped", profile_arn, {"team": "shop"})]
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert [(status, state) for status, state, _, _ in steps()] == [("OK", "terminated"), ("ResourceDeleted", "")]
    assert list(steps()) == []


FUNCTION_ARN_THERE = f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:rolecall"
