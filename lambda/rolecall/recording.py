"""What a configuration recorder records, as the Config API describes it, and whether it fails."""

from collections.abc import Mapping, Sequence
from typing import Any

from rolecall.model import INSTANCE_TYPE

CONTINUOUS = "CONTINUOUS"

_FAILURE = "FAILURE"
"""As the API answers: in capitals, unlike the Failure of its model (RecorderStatus, DeliveryStatus)."""


def records_instances(recorder: Mapping[str, Any]) -> bool:
    """Whether EC2 instances are recorded: all types are, or these types, or all but others."""
    group = recorder.get("recordingGroup", {})
    if group.get("allSupported") or INSTANCE_TYPE in group.get("resourceTypes", ()):
        return True
    excluded = group.get("exclusionByResourceTypes", {}).get("resourceTypes", ())
    excludes = group.get("recordingStrategy", {}).get("useOnly") == "EXCLUSION_BY_RESOURCE_TYPES"
    return bool(excludes and INSTANCE_TYPE not in excluded)


def instance_frequency(recorder: Mapping[str, Any]) -> str:
    """How often EC2 instances are recorded: CONTINUOUS, which is also what no mode at all means, or DAILY."""
    mode = recorder.get("recordingMode", {})
    for override in mode.get("recordingModeOverrides", ()):
        if INSTANCE_TYPE in override["resourceTypes"]:
            return str(override["recordingFrequency"])
    return str(mode.get("recordingFrequency", CONTINUOUS))


def failed(last_status: str | None) -> bool:
    """Whether the latest recording event of a recorder failed, or the latest delivery of a channel: `lastStatus`.

    A recorder's other values (Config API, ConfigurationRecorderStatus) are no failure: Success; Pending, before there
    was any event; NotApplicable, and none at all. The last error is no sign: it stays when a later event succeeds.
    """
    return last_status is not None and last_status.upper() == _FAILURE


def recording_instances(recorder: Mapping[str, Any]) -> dict[str, Any]:
    """The same recorder, changed so that it records EC2 instances too, and continuously: for PutConfigurationRecorder.

    All else stays as it is: that call replaces the whole recorder.
    """
    changed = {name: recorder[name] for name in ("name", "roleARN", "recordingMode") if name in recorder}
    changed["recordingGroup"] = _group(recorder)
    if instance_frequency(recorder) != CONTINUOUS:
        mode = changed["recordingMode"]
        changed["recordingMode"] = {**mode, "recordingModeOverrides": _overrides(mode)}
    return changed


def _group(recorder: Mapping[str, Any]) -> dict[str, Any]:
    group: dict[str, Any] = dict(recorder.get("recordingGroup", {}))
    if records_instances(recorder):
        return group
    excluded = group.pop("exclusionByResourceTypes", {}).get("resourceTypes", ())
    if group.get("recordingStrategy", {}).get("useOnly") != "EXCLUSION_BY_RESOURCE_TYPES":
        return group | {"resourceTypes": [*group.get("resourceTypes", ()), INSTANCE_TYPE]}
    others = _without_instances(excluded)
    if others:
        return group | {"exclusionByResourceTypes": {"resourceTypes": others}}
    return group | {"allSupported": True, "recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}


def _overrides(mode: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A type may be overridden once, so it leaves the override that it is in."""
    kept = [
        {**override, "resourceTypes": _without_instances(override["resourceTypes"])}
        for override in mode.get("recordingModeOverrides", ())
        if _without_instances(override["resourceTypes"])
    ]
    if mode["recordingFrequency"] == CONTINUOUS:
        return kept
    return [*kept, {"resourceTypes": [INSTANCE_TYPE], "recordingFrequency": CONTINUOUS}]


def _without_instances(types: Sequence[str]) -> list[str]:
    return [name for name in types if name != INSTANCE_TYPE]
