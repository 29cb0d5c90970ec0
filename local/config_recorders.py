"""The configuration recorder of one account and region: at most one, and nothing is recorded without it."""

from dataclasses import dataclass, replace
from typing import Any

from local.service_errors import ServiceError
from local.timestamps import Clock, wire

Answer = dict[str, Any]


@dataclass(frozen=True)
class _Status:
    recording: bool = False
    started_ms: int | None = None
    stopped_ms: int | None = None
    failure: tuple[str, str] | None = None
    """Code and message of the latest error."""

    def described(self, recorder: dict[str, Any]) -> Answer:
        times = {
            "lastStartTime": self.started_ms,
            "lastStopTime": self.stopped_ms,
            "lastStatusChangeTime": max(self.started_ms or 0, self.stopped_ms or 0) or None,
        }
        status = {
            "arn": recorder["arn"],
            "name": recorder["name"],
            "recording": self.recording,
            # In capitals, as AWS Config answers, whatever its model says.
            "lastStatus": "FAILURE" if self.failure else "SUCCESS" if self.recording else "PENDING",
        }
        if self.failure:
            status["lastErrorCode"], status["lastErrorMessage"] = self.failure
        return status | {name: wire(moment) for name, moment in times.items() if moment is not None}


class ConfigurationRecorders:
    """Safe to use from many threads: every change is made in one step."""

    def __init__(self, arn_prefix: str, clock: Clock) -> None:
        self._arn_prefix = arn_prefix
        self._clock = clock
        self._recorder: dict[str, Any] | None = None
        self._status = _Status()

    @property
    def role_arn(self) -> str:
        """The role that Config acts as. Raises ServiceError without a recorder."""
        return str(self.required()["roleARN"])

    def required(self) -> dict[str, Any]:
        """The recorder. Raises ServiceError (NoAvailableConfigurationRecorderException) without one."""
        if self._recorder is None:
            raise ServiceError(
                "NoAvailableConfigurationRecorderException",
                "There are no configuration recorders available to provide the role needed to describe your resources. "
                "Create a configuration recorder.",
            )
        return self._recorder

    @property
    def exists(self) -> bool:
        """Whether there is a recorder, recording or not."""
        return self._recorder is not None

    def records(self, resource_type: str) -> bool:
        """Whether a change of such a resource is recorded now."""
        if self._recorder is None or not self._status.recording:
            return False
        group = self._recorder["recordingGroup"]
        excluded = (group.get("exclusionByResourceTypes") or {}).get("resourceTypes") or []
        if excluded:
            return resource_type not in excluded
        return bool(group.get("allSupported")) or resource_type in (group.get("resourceTypes") or [])

    def put(self, request: Answer) -> Answer:
        """PutConfigurationRecorder."""
        given = request["ConfigurationRecorder"]
        name = given.get("name") or "default"
        role = given.get("roleARN") or ""
        if not role.startswith("arn:"):
            raise ServiceError("InvalidRoleException", f"The role '{role}' is not valid: an ARN is required.")
        if self._recorder is not None and self._recorder["name"] != name:
            raise ServiceError(
                "MaxNumberOfConfigurationRecordersExceededException",
                f"Failed to put configuration recorder '{name}' because the maximum number of configuration "
                "recorders: 1 is reached.",
            )
        group = given.get("recordingGroup") or {"allSupported": True, "includeGlobalResourceTypes": False}
        chosen = [
            bool(group.get("allSupported")),
            bool(group.get("resourceTypes")),
            bool((group.get("exclusionByResourceTypes") or {}).get("resourceTypes")),
        ]
        if sum(chosen) != 1:
            raise ServiceError("InvalidRecordingGroupException", "The recording group provided is not valid")
        self._recorder = {
            "recordingMode": {"recordingFrequency": "CONTINUOUS", "recordingModeOverrides": []},
            **given,
            "name": name,
            "arn": f"{self._arn_prefix}{name}",
            "recordingGroup": group,
        }
        return {}

    def describe(self, request: Answer) -> Answer:
        """DescribeConfigurationRecorders."""
        return {"ConfigurationRecorders": self._named(request.get("ConfigurationRecorderNames"))}

    def describe_status(self, request: Answer) -> Answer:
        """DescribeConfigurationRecorderStatus."""
        recorders = self._named(request.get("ConfigurationRecorderNames"))
        return {"ConfigurationRecordersStatus": [self._status.described(one) for one in recorders]}

    def start(self, request: Answer) -> Answer:
        """StartConfigurationRecorder. The local AWS Config delivers no files: no delivery channel is asked for."""
        self._named([request["ConfigurationRecorderName"]])
        self._status = replace(self._status, recording=True, started_ms=self._clock(), failure=None)
        return {}

    def stop(self, request: Answer) -> Answer:
        """StopConfigurationRecorder."""
        self._named([request["ConfigurationRecorderName"]])
        self._status = replace(self._status, recording=False, stopped_ms=self._clock())
        return {}

    def fail(self, code: str, message: str) -> None:
        """Say of the latest recording event that it failed, until the recorder is started again; go on recording."""
        self._status = replace(self._status, failure=(code, message))

    def _named(self, names: list[str] | None) -> list[dict[str, Any]]:
        known = [] if self._recorder is None else [self._recorder]
        for name in names or ():
            if name not in [one["name"] for one in known]:
                raise ServiceError(
                    "NoSuchConfigurationRecorderException",
                    f"Cannot find configuration recorder with the specified name '{name}'.",
                )
        return known
