"""Made-up EC2 instances in every shape that AWS shows them in. Every second one has an instance profile.

An item is about 6 kB of JSON, as recorded items of instances with one network interface and two volumes are.
"""

import functools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, Shape, StructureShape

from local.configuration_items import query_document
from local.query import parse
from rolecall.aws.config_service import INSTANCES_QUERY
from rolecall.model import Reason

ACCOUNT = "111122223333"
REGION = "eu-west-1"
RULE_NAME = "rolecall-ec2-instance-profile"
RULE_ARN = f"arn:aws:config:{REGION}:{ACCOUNT}:config-rule/config-rule-bench1"

_STALE_ONE_IN = 1000
"""Of how many instances one has a recorded result that its newest item contradicts."""

_FIRST_ID = 0x0A1B2C3D00000000

_FIRST_CAPTURE = datetime(2026, 1, 31, 12, tzinfo=UTC)


def instance_id(number: int) -> str:
    """The id of the instance with that number, from 0."""
    return f"i-{_FIRST_ID + number:017x}"


def number_of(identifier: str) -> int:
    """The number of the instance with that id."""
    return int(identifier.removeprefix("i-"), 16) - _FIRST_ID


def has_profile(number: int) -> bool:
    """Whether it has an instance profile."""
    return number % 2 == 0


def verdict(number: int) -> str:
    """The ComplianceType that it must get."""
    return "COMPLIANT" if has_profile(number) else "NON_COMPLIANT"


def is_stale(number: int) -> bool:
    """Whether its recorded result is no longer right: a change was missed, and a sweep has to find it."""
    return number % _STALE_ONE_IN == _STALE_ONE_IN - 1


def configuration_item(number: int) -> dict[str, Any]:
    """As a notification and a snapshot file hold it."""
    key = f"{number:08x}"
    identifier = instance_id(number)
    return {
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": _time(number),
        "configurationStateId": 1769860800000 + number,
        "configurationStateMd5Hash": "",
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": identifier,
        "resourceName": None,
        "ARN": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{identifier}",
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "resourceCreationTime": "2026-01-30T09:15:02.000Z",
        "relatedEvents": [],
        "tags": _tags(number),
        "relationships": [
            _relationship("Is attached to", "AWS::EC2::NetworkInterface", f"eni-0b{key}{key[:7]}"),
            _relationship("Is associated with", "AWS::EC2::SecurityGroup", "sg-0c1d2e3f4a5b6c7d8"),
            _relationship("Is contained in", "AWS::EC2::Subnet", "subnet-0d1e2f3a4b5c6d7e8"),
            _relationship("Is attached to", "AWS::EC2::Volume", f"vol-0e{key}{key[:7]}"),
            _relationship("Is attached to", "AWS::EC2::Volume", f"vol-0f{key}{key[:7]}"),
            _relationship("Is contained in", "AWS::EC2::VPC", "vpc-0a9b8c7d6e5f4a3b2"),
        ],
        "configuration": _configuration(number, key),
        "supplementaryConfiguration": {},
        "resourceTransitionStatus": None,
    }


def change_event(number: int) -> dict[str, Any]:
    """What Config invokes a function with when that instance has changed."""
    return _event(
        {
            "configurationItemDiff": {"changedProperties": {}, "changeType": "CREATE"},
            "configurationItem": configuration_item(number),
            "notificationCreationTime": _time(number + 1),
            "messageType": "ConfigurationItemChangeNotification",
            "recordVersion": "1.3",
        },
        token=instance_id(number),
    )


def scheduled_event() -> dict[str, Any]:
    """What Config invokes a function with when the period is over."""
    return _event(
        {
            "awsAccountId": ACCOUNT,
            "notificationCreationTime": "2026-02-01T00:00:00.000Z",
            "messageType": "ScheduledNotification",
            "recordVersion": "1.0",
        },
        token="scheduled",  # noqa: S106 - nothing is behind this token
    )


def query_rows(count: int) -> list[str]:
    """What SelectResourceConfig answers to rolecall's query, one JSON text for each instance."""
    query = parse(INSTANCES_QUERY)
    return [json.dumps(query.row(query_document(configuration_item(number)))) for number in range(count)]


def every(_number: int) -> bool:
    """Where all of them are meant: `is_stale` means few."""
    return True


def compliance_result(number: int, *, differs: bool) -> dict[str, Any]:
    """A recorded result as GetComplianceDetailsByConfigRule answers it; if it `differs`, from what is right."""
    recorded = Reason.PROFILE_ATTACHED if has_profile(number) != differs else Reason.NO_PROFILE
    qualifier = {
        "ConfigRuleName": RULE_NAME,
        "ResourceType": "AWS::EC2::Instance",
        "ResourceId": instance_id(number),
        "EvaluationMode": "DETECTIVE",
    }
    return {
        "EvaluationResultIdentifier": {"EvaluationResultQualifier": qualifier, "OrderingTimestamp": 1769860800.123},
        "ComplianceType": recorded.compliance_type.value,
        "ResultRecordedTime": 1769860801.456,
        "ConfigRuleInvokedTime": 1769860801.123,
        "Annotation": f"{recorded.value}: as it was put",
    }


def description(number: int) -> str:
    """An item of the reservation set in the XML of EC2's DescribeInstances, with all that its configuration holds."""
    reservation = {
        "reservationId": f"r-0a{number:015x}",
        "ownerId": ACCOUNT,
        "instances": [configuration_item(number)["configuration"]],
    }
    return _element("item", _xml(_reservation_shape(), reservation))


@functools.cache
def _reservation_shape() -> Shape:
    model = botocore.session.get_session().get_service_model("ec2")
    shape: Shape = model.shape_for("Reservation")
    return shape


def _xml(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any value of the model
    """A value of Config's shape in that of the EC2 protocol: Config writes EC2's member names with a small letter."""
    if isinstance(shape, StructureShape):
        members = ((name, member, value.get(name[:1].lower() + name[1:])) for name, member in shape.members.items())
        return "".join(
            _element(member.serialization.get("name", name), _xml(member, of))
            for name, member, of in members
            if of is not None
        )
    if isinstance(shape, ListShape):
        return "".join(_element("item", _xml(shape.member, one)) for one in value)
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _event(invoking_event: dict[str, Any], token: str) -> dict[str, Any]:
    return {
        "version": "1.0",
        "invokingEvent": json.dumps(invoking_event),
        "ruleParameters": "{}",
        "resultToken": token,
        "eventLeftScope": False,
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/config-role",
        "configRuleArn": RULE_ARN,
        "configRuleName": RULE_NAME,
        "configRuleId": RULE_ARN.rpartition("/")[2],
        "accountId": ACCOUNT,
        "evaluationMode": "DETECTIVE",
    }


def _time(number: int) -> str:
    moment = _FIRST_CAPTURE + timedelta(milliseconds=number)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _profile_arn() -> str:
    return f"arn:aws:iam::{ACCOUNT}:instance-profile/app/web-server"


def _tags(number: int) -> dict[str, str]:
    return {
        "Name": f"web-{number:06d}",
        "Environment": "production",
        "CostCenter": "4711",
        "Owner": "platform-team",
        "aws:autoscaling:groupName": "web-servers",
    }


def _relationship(name: str, resource_type: str, resource_id: str) -> dict[str, Any]:
    return {"resourceType": resource_type, "resourceId": resource_id, "resourceName": None, "name": name}


def _configuration(number: int, key: str) -> dict[str, Any]:
    address = _address(number)
    dns = f"ip-{address.replace('.', '-')}.{REGION}.compute.internal"
    groups = [{"groupName": "web-servers", "groupId": "sg-0c1d2e3f4a5b6c7d8"}]
    profile = {"arn": _profile_arn(), "id": "AIPAEXAMPLEEXAMPLE123"} if has_profile(number) else None
    return {
        "amiLaunchIndex": 0,
        "imageId": "ami-0abcdef1234567890",
        "instanceId": instance_id(number),
        "instanceType": "m7g.large",
        "kernelId": None,
        "keyName": None,
        "launchTime": "2026-01-30T09:15:02.000Z",
        "monitoring": {"state": "disabled"},
        "placement": {
            "availabilityZone": f"{REGION}a",
            "affinity": None,
            "groupName": "",
            "partitionNumber": None,
            "hostId": None,
            "tenancy": "default",
            "spreadDomain": None,
            "hostResourceGroupArn": None,
            "groupId": None,
        },
        "platform": None,
        "privateDnsName": dns,
        "privateIpAddress": address,
        "productCodes": [],
        "publicDnsName": "",
        "publicIpAddress": None,
        "ramdiskId": None,
        "state": {"code": 16, "name": "running"},
        "stateTransitionReason": "",
        "subnetId": "subnet-0d1e2f3a4b5c6d7e8",
        "vpcId": "vpc-0a9b8c7d6e5f4a3b2",
        "architecture": "arm64",
        "blockDeviceMappings": [
            {
                "deviceName": device,
                "ebs": {
                    "attachTime": "2026-01-30T09:15:03.000Z",
                    "deleteOnTermination": True,
                    "status": "attached",
                    "volumeId": f"vol-0{letter}{key}{key[:7]}",
                    "associatedResource": None,
                    "volumeOwnerId": None,
                },
            }
            for device, letter in (("/dev/xvda", "e"), ("/dev/sdf", "f"))
        ],
        "clientToken": f"fleet-0a1b2c3d-4e5f-6a7b-8c9d-0000{key}",
        "ebsOptimized": True,
        "enaSupport": True,
        "hypervisor": "xen",
        "iamInstanceProfile": profile,
        "instanceLifecycle": None,
        "elasticGpuAssociations": [],
        "elasticInferenceAcceleratorAssociations": [],
        "networkInterfaces": [
            {
                "association": None,
                "attachment": {
                    "attachTime": "2026-01-30T09:15:02.000Z",
                    "attachmentId": f"eni-attach-0b{key}{key[:7]}",
                    "deleteOnTermination": True,
                    "deviceIndex": 0,
                    "status": "attached",
                    "networkCardIndex": 0,
                    "enaSrdSpecification": None,
                },
                "description": "",
                "groups": groups,
                "ipv6Addresses": [],
                "macAddress": f"02:{key[:2]}:{key[2:4]}:{key[4:6]}:{key[6:]}:01",
                "networkInterfaceId": f"eni-0b{key}{key[:7]}",
                "ownerId": ACCOUNT,
                "privateDnsName": dns,
                "privateIpAddress": address,
                "privateIpAddresses": [
                    {"association": None, "primary": True, "privateDnsName": dns, "privateIpAddress": address}
                ],
                "sourceDestCheck": True,
                "status": "in-use",
                "subnetId": "subnet-0d1e2f3a4b5c6d7e8",
                "vpcId": "vpc-0a9b8c7d6e5f4a3b2",
                "interfaceType": "interface",
                "ipv4Prefixes": [],
                "ipv6Prefixes": [],
                "connectionTrackingConfiguration": None,
                "operator": None,
            }
        ],
        "outpostArn": None,
        "rootDeviceName": "/dev/xvda",
        "rootDeviceType": "ebs",
        "securityGroups": groups,
        "sourceDestCheck": True,
        "spotInstanceRequestId": None,
        "sriovNetSupport": None,
        "stateReason": None,
        "tags": [{"key": name, "value": value} for name, value in _tags(number).items()],
        "virtualizationType": "hvm",
        "cpuOptions": {"coreCount": 2, "threadsPerCore": 1, "amdSevSnp": None},
        "capacityReservationId": None,
        "capacityReservationSpecification": {
            "capacityReservationPreference": "open",
            "capacityReservationTarget": None,
        },
        "hibernationOptions": {"configured": False},
        "licenses": [],
        "metadataOptions": {
            "state": "applied",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
            "httpEndpoint": "enabled",
            "httpProtocolIpv6": "disabled",
            "instanceMetadataTags": "disabled",
        },
        "enclaveOptions": {"enabled": False},
        "bootMode": "uefi",
        "platformDetails": "Linux/UNIX",
        "usageOperation": "RunInstances",
        "usageOperationUpdateTime": "2026-01-30T09:15:02.000Z",
        "privateDnsNameOptions": {
            "hostnameType": "ip-name",
            "enableResourceNameDnsARecord": False,
            "enableResourceNameDnsAAAARecord": False,
        },
        "ipv6Address": None,
        "tpmSupport": None,
        "maintenanceOptions": {"autoRecovery": "default", "rebootMigration": None},
        "currentInstanceBootMode": "uefi",
        "networkPerformanceOptions": None,
        "operator": {"managed": False, "principal": None},
    }
