"""An EC2 instance as DescribeInstances shows it becomes a configuration item as AWS Config records it."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from local.configuration_items import Item
from local.timestamps import epoch_ms, iso
from rolecall.items import partition_of
from rolecall.model import INSTANCE_TYPE

_NULL_WHEN_ABSENT = (
    "kernelId",
    "keyName",
    "platform",
    "publicIpAddress",
    "ramdiskId",
    "iamInstanceProfile",
    "instanceLifecycle",
    "outpostArn",
    "spotInstanceRequestId",
    "sriovNetSupport",
    "stateReason",
    "capacityReservationId",
    "bootMode",
)
"""What an item shows as null when the instance has none."""

_EMPTY_WHEN_ABSENT = (
    "productCodes",
    "blockDeviceMappings",
    "elasticGpuAssociations",
    "elasticInferenceAcceleratorAssociations",
    "networkInterfaces",
    "securityGroups",
    "tags",
    "licenses",
)

_DEFAULTS: Mapping[str, Any] = {
    "enaSupport": True,
    "cpuOptions": {"coreCount": 1, "threadsPerCore": 1},
    "capacityReservationSpecification": {"capacityReservationPreference": "open", "capacityReservationTarget": None},
    "hibernationOptions": {"configured": False},
    "metadataOptions": {
        "state": "applied",
        "httpTokens": "optional",
        "httpPutResponseHopLimit": 1,
        "httpEndpoint": "enabled",
    },
    "enclaveOptions": {"enabled": False},
    "privateDnsName": "",
    "publicDnsName": "",
}
"""What every instance has in AWS, where an emulator leaves it out."""

_PLACEMENT_NULLS = ("affinity", "partitionNumber", "hostId", "spreadDomain", "hostResourceGroupArn")

_RELATIONSHIPS = {
    "eni": ("AWS::EC2::NetworkInterface", "Contains NetworkInterface"),
    "sg": ("AWS::EC2::SecurityGroup", "Is associated with SecurityGroup"),
    "subnet": ("AWS::EC2::Subnet", "Is contained in Subnet"),
    "vol": ("AWS::EC2::Volume", "Is attached to Volume"),
    "vpc": ("AWS::EC2::VPC", "Is contained in Vpc"),
}
"""By the prefix of the related resource's id: its type, and the relationship's name."""


def configuration_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """`configuration` of an item: camelCase, times as text, absent members as AWS fills them."""
    found: dict[str, Any] = _camel(described)
    nulls = dict.fromkeys(_NULL_WHEN_ABSENT)
    empties: dict[str, list[Any]] = {name: [] for name in _EMPTY_WHEN_ABSENT}
    # moto writes None where AWS has nothing.
    present = {name: value for name, value in found.items() if value not in ({}, "None")}
    configuration = {**nulls, **empties, **_DEFAULTS, **present}
    configuration["placement"] = dict.fromkeys(_PLACEMENT_NULLS) | (found.get("placement") or {})
    if not any((configuration.get("stateReason") or {}).values()):
        configuration["stateReason"] = None
    if profile := configuration["iamInstanceProfile"]:
        configuration["iamInstanceProfile"] = {"arn": profile["arn"], "id": _profile_id(profile)}
    for interface in configuration["networkInterfaces"]:
        for one in (interface, *interface.get("privateIpAddresses", ())):
            one["association"] = one.get("association") or None
    if not configuration["securityGroups"] and configuration["networkInterfaces"]:
        configuration["securityGroups"] = configuration["networkInterfaces"][0].get("groups", [])
    return configuration


def item_of(configuration: dict[str, Any], *, account: str, region: str, status: str, captured_ms: int) -> Item:
    """The item of an instance that exists, captured at `captured_ms`."""
    instance_id = configuration["instanceId"]
    return _header(instance_id, account, region, status, captured_ms) | {
        "relationships": list(_relationships(configuration)),
        "configuration": configuration,
        "tags": {tag["key"]: tag["value"] for tag in configuration["tags"]},
        "availabilityZone": configuration["placement"].get("availabilityZone"),
        "resourceCreationTime": configuration.get("launchTime"),
    }


def deleted_item(instance_id: str, *, account: str, region: str, captured_ms: int) -> Item:
    """The item of an instance that is gone: nothing of it is left."""
    return _header(instance_id, account, region, "ResourceDeleted", captured_ms) | {
        "relationships": [],
        "configuration": None,
        "tags": {},
        "availabilityZone": None,
        "resourceCreationTime": None,
    }


def _header(instance_id: str, account: str, region: str, status: str, captured_ms: int) -> Item:
    return {
        "relatedEvents": [],
        "supplementaryConfiguration": {},
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": iso(captured_ms),
        "configurationStateId": captured_ms,
        "awsAccountId": account,
        "configurationItemStatus": status,
        "resourceType": INSTANCE_TYPE,
        "resourceId": instance_id,
        "resourceName": None,
        "ARN": f"arn:{partition_of(None, region)}:ec2:{region}:{account}:instance/{instance_id}",
        "awsRegion": region,
        "configurationStateMd5Hash": "",
    }


def _relationships(configuration: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    ids = {
        *(interface["networkInterfaceId"] for interface in configuration["networkInterfaces"]),
        *(
            group["groupId"]
            for interface in configuration["networkInterfaces"]
            for group in interface.get("groups", ())
        ),
        *(group["groupId"] for group in configuration["securityGroups"]),
        *(mapping["ebs"]["volumeId"] for mapping in configuration["blockDeviceMappings"] if "ebs" in mapping),
        *(configuration[name] for name in ("subnetId", "vpcId") if configuration.get(name)),
    }
    for resource_id in sorted(ids):
        resource_type, name = _RELATIONSHIPS[resource_id.partition("-")[0]]
        yield {"resourceId": resource_id, "resourceName": None, "resourceType": resource_type, "name": name}


def _profile_id(profile: Mapping[str, Any]) -> str:
    """The profile's id; where an emulator gives another kind of id, one of the right kind that stays the same."""
    known = str(profile.get("id") or "")
    if known.startswith("AIPA"):
        return known
    digest = hashlib.sha256(profile["arn"].encode()).digest()
    return f"AIPA{base64.b32encode(digest).decode('ascii')[:17]}"


def _camel(value: Any) -> Any:  # noqa: ANN401 - any value of a boto3 answer
    match value:
        case Mapping():
            return {name[:1].lower() + name[1:]: _camel(member) for name, member in value.items()}
        case list():
            return [_camel(member) for member in value]
        case datetime():
            return iso(epoch_ms(value.astimezone(UTC)))
        case _:
            return value
