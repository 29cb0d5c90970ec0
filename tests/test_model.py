import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest

from rolecall import items, parameters
from rolecall.items import partition_of
from rolecall.model import (
    ANNOTATION_MAX_LENGTH,
    EVALUATIONS_PER_CALL,
    INSTANCE_TYPE,
    ComplianceType,
    InstanceState,
    ItemStatus,
    Reason,
    needs_judging,
)
from rolecall.rule import evaluate
from tests.builders import NOW, described_instance, instance_item

PARTITIONS = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]


SESSION = botocore.session.get_session()


def shape(service: str, name: str) -> Any:  # noqa: ANN401 - botocore's stubs know only the base class of shapes
    """One shape of AWS's own model of `service`."""
    return SESSION.get_service_model(service).shape_for(name)


def test_limits_are_those_of_the_config_api() -> None:
    """Whatever rolecall cuts, counts or refuses, it does at the number in AWS's own service model."""
    evaluation = shape("config", "Evaluation").members
    assert {
        "annotation": evaluation["Annotation"].metadata,
        "resource id": evaluation["ComplianceResourceId"].metadata,
        "evaluations": shape("config", "PutEvaluationsRequest").members["Evaluations"].metadata,
        "parameters": shape("config", "ConfigRule").members["InputParameters"].metadata,
    } == {
        "annotation": {"min": 1, "max": ANNOTATION_MAX_LENGTH},
        "resource id": {"min": 1, "max": items.RESOURCE_ID_MAX_LENGTH},
        "evaluations": {"min": 0, "max": EVALUATIONS_PER_CALL},
        "parameters": {"min": 1, "max": parameters.MAX_JSON_LENGTH},
    }


def test_item_statuses_are_those_of_the_config_api() -> None:
    """A status that AWS adds must fail here before an item with it fails in production."""
    assert [status.value for status in ItemStatus] == shape("config", "ConfigurationItemStatus").enum


def test_compliance_types_are_those_that_put_evaluations_takes() -> None:
    """The model lists one more than PutEvaluations accepts."""
    assert [*ComplianceType, "INSUFFICIENT_DATA"] == shape("config", "ComplianceType").enum


def test_instance_states_are_those_of_the_ec2_api() -> None:
    """Every state that an instance can be in is known, and no other."""
    assert [state.value for state in InstanceState] == shape("ec2", "InstanceStateName").enum


def test_the_instance_type_is_one_that_config_records() -> None:
    """The one resource type that rolecall judges is spelled as AWS spells it."""
    assert INSTANCE_TYPE in shape("config", "ResourceType").enum


@pytest.mark.parametrize(
    ("region", "partition"),
    [(region, one["id"]) for one in PARTITIONS for region in one["regions"] if not region.endswith("-global")],
)
def test_every_region_lies_in_its_partition(region: str, partition: str) -> None:
    """Without an ARN, the region says the partition, for every region that botocore knows."""
    assert partition_of(None, region) == partition


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-nowhere-9", "aws"),
        ("us-nowhere-9", "aws"),
        ("cn-nowhere-9", "aws-cn"),
        ("us-gov-nowhere-9", "aws-us-gov"),
        ("us-iso-nowhere-9", "aws-iso"),
        ("us-isob-nowhere-9", "aws-iso-b"),
        ("eu-isoe-nowhere-9", "aws-iso-e"),
        ("us-isof-nowhere-9", "aws-iso-f"),
        ("eusc-de-nowhere-9", "aws-eusc"),
    ],
)
def test_a_region_to_come_lies_in_its_partition(region: str, partition: str) -> None:
    """A region that nobody has announced yet is placed by its prefix, as botocore's own expressions place it."""
    assert partition_of(None, region) == partition
    assert [one["id"] for one in PARTITIONS if re.match(one["regionRegex"], region)] == [partition]


@pytest.mark.parametrize("partition", [*(one["id"] for one in PARTITIONS), "aws-to-come"])
def test_an_arn_names_its_partition(partition: str) -> None:
    """The ARN is believed before the region: it cannot be mistaken, whatever partitions come."""
    assert partition_of(f"arn:{partition}:ec2:eu-west-1:111122223333:instance/i-1", "eu-west-1") == partition


def test_every_reason_has_its_compliance_type() -> None:
    """The right column of the verdict table; nothing is COMPLIANT but a profile or a valid exemption."""
    assert {reason.value: reason.compliance_type.value for reason in Reason} == {
        "LEFT_SCOPE": "NOT_APPLICABLE",
        "DELETED": "NOT_APPLICABLE",
        "NOT_RECORDED": "NOT_APPLICABLE",
        "OTHER_RESOURCE": "NOT_APPLICABLE",
        "TERMINATING": "NOT_APPLICABLE",
        "STOPPED": "NOT_APPLICABLE",
        "PROFILE_NOT_ALLOWED": "NON_COMPLIANT",
        "PROFILE_ATTACHED": "COMPLIANT",
        "EXEMPT": "COMPLIANT",
        "EXEMPTION_EXPIRED": "NON_COMPLIANT",
        "EXEMPTION_INVALID": "NON_COMPLIANT",
        "NO_PROFILE": "NON_COMPLIANT",
    }


@pytest.mark.parametrize(
    ("resource_type", "status", "left_scope"),
    list(product([INSTANCE_TYPE, "AWS::EC2::Volume"], ItemStatus, [False, True])),
)
def test_an_item_needs_judging_exactly_when_its_header_does_not_decide(
    resource_type: str, status: ItemStatus, *, left_scope: bool
) -> None:
    """The question that saves a call for an oversized item agrees with the rule's rows 1 to 4."""
    item = instance_item(resourceType=resource_type, configurationItemStatus=status.value, left_scope=left_scope)
    by_header = {Reason.LEFT_SCOPE, Reason.DELETED, Reason.NOT_RECORDED, Reason.OTHER_RESOURCE}
    decided = evaluate(item, parameters.RuleParameters(), NOW).reason in by_header
    assert needs_judging(resource_type, status, left_scope=left_scope) is not decided
    assert item.needs_judging is not decided
    assert (item.instance is None) is decided


def test_described_instances_are_built_from_what_the_ec2_api_describes() -> None:
    """The tests' own description of an instance has only keys that DescribeInstances returns."""
    known = shape("ec2", "Instance").members
    described = described_instance()
    interface = known["NetworkInterfaces"].member.members
    assert set(described) <= set(known)
    assert set(described["IamInstanceProfile"]) <= set(known["IamInstanceProfile"].members)
    assert set(described["MetadataOptions"]) <= set(known["MetadataOptions"].members)
    assert set(described["State"]) <= set(known["State"].members)
    for one in described["NetworkInterfaces"]:
        assert set(one) <= set(interface)
        assert set(one["Attachment"]) <= set(interface["Attachment"].members)
