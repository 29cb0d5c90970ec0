"""The shapes in which AWS Config shows one configuration item. They are kept in that of the notification."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from local.timestamps import epoch_ms, wire

Item = dict[str, Any]
"""A configuration item as an invoking event carries it."""

Key = tuple[str, str]
"""Resource type and resource id."""

DELETED = frozenset(("ResourceDeleted", "ResourceDeletedNotRecorded"))

_REQUIRED = (
    "resourceType",
    "resourceId",
    "awsAccountId",
    "awsRegion",
    "configurationItemStatus",
    "configurationItemCaptureTime",
)

_SUMMARY = (
    "configurationItemVersion",
    "configurationItemCaptureTime",
    "configurationStateId",
    "awsAccountId",
    "configurationItemStatus",
    "resourceType",
    "resourceId",
    "resourceName",
    "ARN",
    "awsRegion",
    "availabilityZone",
    "configurationStateMd5Hash",
    "resourceCreationTime",
)


def check(item: Item) -> None:
    """Raise ValueError for what is no configuration item at all. What AWS itself delivers in odd shapes may pass."""
    for name in _REQUIRED:
        if not isinstance(item.get(name), str) or not item[name]:
            raise ValueError(f"{name} of a configuration item is {item.get(name)!r}; allowed: a text")


def key_of(item: Item) -> Key:
    """What tells a resource from all others in its account and region."""
    return item["resourceType"], item["resourceId"]


def capture_ms(item: Item) -> int:
    """When the item was captured, in milliseconds since 1970."""
    return epoch_ms(item["configurationItemCaptureTime"])


def is_deleted(item: Item) -> bool:
    """Whether the item says that its resource is gone."""
    return item["configurationItemStatus"] in DELETED


def api_item(item: Item) -> dict[str, Any]:
    """The item as GetResourceConfigHistory answers it, on the wire. Null members are left out."""
    created = item.get("resourceCreationTime")
    configuration = item.get("configuration")
    answer = {
        "version": item.get("configurationItemVersion"),
        "accountId": item["awsAccountId"],
        "configurationItemCaptureTime": wire(capture_ms(item)),
        "configurationItemStatus": item["configurationItemStatus"],
        "configurationStateId": str(item.get("configurationStateId", "")),
        "configurationItemMD5Hash": item.get("configurationStateMd5Hash"),
        "arn": item.get("ARN"),
        "resourceType": item["resourceType"],
        "resourceId": item["resourceId"],
        "resourceName": item.get("resourceName"),
        "awsRegion": item["awsRegion"],
        "availabilityZone": item.get("availabilityZone"),
        "resourceCreationTime": wire(epoch_ms(created)) if created else None,
        "tags": item.get("tags") or {},
        "relatedEvents": item.get("relatedEvents") or [],
        "relationships": [_api_relationship(one) for one in item.get("relationships") or ()],
        "configuration": None if configuration is None else json.dumps(configuration, separators=(",", ":")),
        "supplementaryConfiguration": {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in (item.get("supplementaryConfiguration") or {}).items()
        },
    }
    return {name: value for name, value in answer.items() if value is not None}


def _api_relationship(relationship: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {("relationshipName" if name == "name" else name): value for name, value in relationship.items()}
    return {name: value for name, value in renamed.items() if value is not None}


def query_document(item: Item) -> dict[str, Any]:
    """The item as advanced queries see it: tags are a list, and `configuration` has none of its own."""
    configuration = item.get("configuration")
    if isinstance(configuration, dict) and "tags" in configuration:
        configuration = {name: value for name, value in configuration.items() if name != "tags"}
    tags = item.get("tags") or {}
    return {
        "version": item.get("configurationItemVersion"),
        "accountId": item["awsAccountId"],
        "configurationItemCaptureTime": item["configurationItemCaptureTime"],
        "configurationItemStatus": item["configurationItemStatus"],
        "configurationStateId": str(item.get("configurationStateId", "")),
        "arn": item.get("ARN"),
        "resourceType": item["resourceType"],
        "resourceId": item["resourceId"],
        "resourceName": item.get("resourceName"),
        "awsRegion": item["awsRegion"],
        "availabilityZone": item.get("availabilityZone"),
        "resourceCreationTime": item.get("resourceCreationTime"),
        "tags": [{"key": key, "value": value, "tag": f"{key}={value}"} for key, value in tags.items()],
        "relationships": [
            {name: value for name, value in one.items() if name != "name"} for one in item.get("relationships") or ()
        ],
        "configuration": configuration,
        "supplementaryConfiguration": item.get("supplementaryConfiguration"),
    }


def summary(item: Item, change_type: str) -> dict[str, Any]:
    """The item as an oversized notification sums it up."""
    return {"changeType": change_type} | {name: item.get(name) for name in _SUMMARY}


def change_type(previous: Item | None, item: Item) -> str:
    """CREATE, UPDATE or DELETE."""
    if is_deleted(item):
        return "DELETE"
    return "CREATE" if previous is None or is_deleted(previous) else "UPDATE"


def difference(previous: Item | None, item: Item) -> dict[str, Any] | None:
    """`configurationItemDiff`; null on deletion, as in AWS's own events."""
    kind = change_type(previous, item)
    if kind == "DELETE":
        return None
    changes: dict[str, Any] = {}
    if kind == "UPDATE" and previous is not None:
        for name in ("configuration", "relationships"):
            changes.update(_changes(_capital(name), previous.get(name), item.get(name)))
    return {"changedProperties": changes, "changeType": kind}


def _changes(path: str, before: object, after: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _changes(f"{path}.{_capital(name)}", before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list):
        gone = [_change(element, None) for element in before if element not in after]
        new = [_change(None, element) for element in after if element not in before]
        for number, change in enumerate([*gone, *new]):
            yield f"{path}.{number}", change
    else:
        yield path, _change(before, after)


def _change(before: object, after: object) -> dict[str, Any]:
    kind = "CREATE" if before is None else "DELETE" if after is None else "UPDATE"
    return {"previousValue": before, "updatedValue": after, "changeType": kind}


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
