"""Every shape of a configuration item becomes one `ConfigurationItem`; nothing else in rolecall knows the shapes.

    notification   in an invoking event, and in the snapshot and history files that Config delivers to S3
    API            GetResourceConfigHistory: `configuration` is a JSON string, and some keys differ
    query row      SelectResourceConfig: null keys are left out, tags are a list
    description    EC2's DescribeInstances, through `described_instance`

What decides a verdict (status, state, profile, tags) must have the type that AWS documents, or InvalidItem is raised.
What only informs is left out when it is of another type: a verdict must not hang on it.

A scheduled run and a snapshot read 100,000 items and more, so objects are asked for as `dict`, which is what JSON and
boto3 give: asking for any Mapping takes several times as long.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from rolecall.errors import InvalidItem, shown
from rolecall.model import INSTANCE_TYPE, ConfigurationItem, Instance, InstanceState, ItemStatus, needs_judging

_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""Region prefixes outside the `aws` partition: botocore's `partitions.json`."""

REGION_NAME = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}")
"""What every region's name looks like. Endpoints, queries and names of files are made of it."""

RESOURCE_ID_MAX_LENGTH = 768
"""PutEvaluations, `Evaluation.ComplianceResourceId`."""

_END_OF_TIME = 253_402_300_800
"""Epoch seconds of the year 10000, where datetime ends."""

_TAG_SOURCES = ("tags", "configuration.tags")


def configuration_item(raw: object, *, left_scope: bool = False) -> ConfigurationItem:
    """Read an item of the notification, API or query-row shape.

    `configuration` is not touched when the verdict does not depend on it. Raises InvalidItem.
    """
    if not isinstance(raw, dict):
        raise InvalidItem("configuration item", raw, "a JSON object")
    return _item(raw, left_scope=left_scope, whole=True)


def item_header(raw: Mapping[str, Any], *, left_scope: bool = False) -> ConfigurationItem:
    """Everything of an item but its configuration: also what the summary in an oversized notification holds."""
    return _item(raw, left_scope=left_scope, whole=False)


def _item(raw: Mapping[str, Any], *, left_scope: bool, whole: bool) -> ConfigurationItem:
    resource_id = _text(raw, "resourceId")
    if len(resource_id) > RESOURCE_ID_MAX_LENGTH:
        raise InvalidItem("resourceId", resource_id, f"1 to {RESOURCE_ID_MAX_LENGTH} characters")
    account = _text(raw, "awsAccountId", "accountId", resource=resource_id)
    region = _text(raw, "awsRegion", resource=resource_id)
    resource_type = _text(raw, "resourceType", resource=resource_id)
    arn = raw.get("ARN") or raw.get("arn")
    partition = partition_of(arn, region)
    if not isinstance(arn, str):
        arn = f"arn:{partition}:ec2:{region}:{account}:instance/{resource_id}" if resource_type == INSTANCE_TYPE else ""
    status = _status(raw.get("configurationItemStatus"), resource_id)
    capture_time = instant(raw.get("configurationItemCaptureTime"), "configurationItemCaptureTime", resource_id)
    judged = whole and needs_judging(resource_type, status, left_scope=left_scope)
    return ConfigurationItem(
        resource_type=resource_type,
        resource_id=resource_id,
        status=status,
        capture_time=capture_time,
        account=account,
        region=region,
        partition=partition,
        arn=arn,
        instance=_instance(raw, resource_id) if judged else None,
        left_scope=left_scope,
    )


def described_instance(described: Mapping[str, Any], account: str, region: str, seen: datetime) -> ConfigurationItem:
    """Read one instance as boto3's `describe_instances` gives it, seen at `seen`. Raises InvalidItem."""
    configuration = _as_configuration(described)
    instance_id = configuration.get("instanceId")
    return configuration_item(
        {
            "resourceType": INSTANCE_TYPE,
            "resourceId": instance_id,
            "awsAccountId": account,
            "awsRegion": region,
            "configurationItemStatus": ItemStatus.OK.value,
            "configurationItemCaptureTime": seen,
            "configuration": configuration,
        }
    )


def partition_of(arn: object, region: str) -> str:
    """The partition that an ARN names or, without one, that a region lies in."""
    if isinstance(arn, str) and (named := re.match(r"arn:([^:]+):", arn)):
        return named[1]
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def instant(value: object, field: str, resource: str = "") -> datetime:
    """A point in time in UTC, from an ISO 8601 text with a zone, an aware datetime or epoch seconds."""
    moment: datetime | None = None
    match value:
        case datetime():
            moment = value
        case str():
            moment = _iso(value)
        case bool():
            pass
        case int() | float() if 0 <= value < _END_OF_TIME:
            moment = datetime.fromtimestamp(value, UTC)
    try:
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except OverflowError:  # within a day of the years 1 and 10000, where datetime ends
        pass
    raise InvalidItem(field, value, "a time as 2026-01-31T12:00:00.000Z", resource)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _text(raw: Mapping[str, Any], *names: str, resource: str = "") -> str:
    """The value of the first of `names` that is there."""
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if value is not None:
            raise InvalidItem(name, value, "a text that is not blank", resource)
    raise InvalidItem(names[0], None, "a text that is not blank", resource)


def _status(value: object, resource: str) -> ItemStatus:
    try:
        return ItemStatus(value)  # type: ignore[arg-type]  # whatever it is, only a known status passes
    except ValueError:
        raise InvalidItem("configurationItemStatus", value, ", ".join(ItemStatus), resource) from None


def _instance(raw: Mapping[str, Any], resource: str) -> Instance:
    configuration = raw.get("configuration")
    if isinstance(configuration, str):
        try:
            configuration = json.loads(configuration)
        except (ValueError, RecursionError):
            raise InvalidItem("configuration", configuration, "JSON text of an object", resource) from None
    if not isinstance(configuration, dict):
        raise InvalidItem("configuration", configuration, "an object, as the item's status is not a deletion", resource)
    primary = _primary_attachment(configuration)
    return Instance(
        state=_state(configuration, resource),
        profile_arn=_profile_arn(configuration, resource),
        tags=_tags(raw, configuration, resource),
        instance_type=_string(configuration.get("instanceType")),
        image_id=_string(configuration.get("imageId")),
        first_launch=_informative_instant(primary.get("attachTime")),
        last_launch=_informative_instant(configuration.get("launchTime")),
        vpc_id=_string(configuration.get("vpcId")),
        subnet_id=_string(configuration.get("subnetId")),
        metadata_options=_metadata_options(configuration.get("metadataOptions")),
    )


def _state(configuration: Mapping[str, Any], resource: str) -> InstanceState:
    state = configuration.get("state")
    if not isinstance(state, dict):
        raise InvalidItem("configuration.state", state, "an object with the state's name", resource)
    name = state.get("name")
    try:
        return InstanceState(name)  # type: ignore[arg-type]  # whatever it is, only a known state passes
    except ValueError:
        raise InvalidItem("configuration.state.name", name, ", ".join(InstanceState), resource) from None


def _profile_arn(configuration: Mapping[str, Any], resource: str) -> str | None:
    """None for every way of saying none: key absent, null, {}, blank text, and an ARN that is null or blank."""
    profile = configuration.get("iamInstanceProfile")
    if profile is None or profile == "":
        return None
    if not isinstance(profile, dict):
        raise InvalidItem("configuration.iamInstanceProfile", profile, "an object with an arn, or null", resource)
    arn = profile.get("arn")
    if arn is not None and not isinstance(arn, str):
        raise InvalidItem("configuration.iamInstanceProfile.arn", arn, "a text", resource)
    return arn.strip() or None if arn else None


def _tags(raw: Mapping[str, Any], configuration: Mapping[str, Any], resource: str) -> Mapping[str, str]:
    """The item's own tags; `configuration.tags` only where the item has none of its own, not even an empty set."""
    for field, tags in zip(_TAG_SOURCES, (raw.get("tags"), configuration.get("tags")), strict=True):
        if isinstance(tags, dict):
            return _checked_tags(tags.items(), field, resource)
        if isinstance(tags, list):
            return _checked_tags([_key_and_value(tag, field, resource) for tag in tags], field, resource)
        if tags is not None:
            _refuse_tags(field, tags, resource)
    return {}


def _key_and_value(tag: object, field: str, resource: str) -> tuple[object, object]:
    if not isinstance(tag, dict) or "key" not in tag:
        _refuse_tags(field, tag, resource)
    # Query rows leave null keys out, so an empty value may be absent.
    value = tag.get("value")
    return tag["key"], "" if value is None else value


def _checked_tags(pairs: Iterable[tuple[object, object]], field: str, resource: str) -> dict[str, str]:
    tags = {}
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str):
            _refuse_tags(f"{field}, key {shown(key)}", value, resource)
        tags[key] = value
    return tags


def _refuse_tags(field: str, value: object, resource: str) -> NoReturn:
    raise InvalidItem(field, value, "an object of texts, or a list of objects with key and value", resource)


def _primary_attachment(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    interfaces = configuration.get("networkInterfaces")
    for interface in interfaces if isinstance(interfaces, list) else ():
        attachment = interface.get("attachment") if isinstance(interface, dict) else None
        if isinstance(attachment, dict) and attachment.get("deviceIndex") == 0:
            return attachment
    return {}


def _metadata_options(value: object) -> Mapping[str, str | int] | None:
    if not isinstance(value, dict):
        return None
    return {name: option for name, option in value.items() if isinstance(name, str) and isinstance(option, str | int)}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _informative_instant(value: object) -> datetime | None:
    try:
        return instant(value, "")
    except InvalidItem:
        return None


def _as_configuration(described: Any) -> Any:  # noqa: ANN401 - any JSON value
    """boto3's PascalCase in Config's camelCase, all the way down."""
    match described:
        case dict():
            return {name[:1].lower() + name[1:]: _as_configuration(value) for name, value in described.items()}
        case list():
            return [_as_configuration(value) for value in described]
        case _:
            return described
