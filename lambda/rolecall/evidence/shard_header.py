"""The header of a shard: whose it is, whether the control covered it, and what is not about a single instance."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.received_fields import (
    read_account,
    read_count,
    read_day,
    read_flag,
    read_member,
    read_object,
    read_optional_text,
    read_optional_time,
    read_parameters,
    read_text,
    read_time,
)
from rolecall.record import optional_timestamp, timestamp

SCHEMA = "rolecall.shard/v1"


class WhyNot(StrEnum):
    """Why an account and region, or a whole account, is not covered."""

    ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE"
    """It is suspended, or being closed: AWS Organizations."""
    NO_SOURCE = "NO_SOURCE"
    """The aggregator does not collect it."""
    SOURCE_FAILED = "SOURCE_FAILED"
    """The aggregator could not read it."""
    SOURCE_OUTDATED = "SOURCE_OUTDATED"
    """The aggregator read it, but not lately."""
    RECORDER_UNKNOWN = "RECORDER_UNKNOWN"
    """Nobody may look at the recorder, so nobody knows whether it runs."""
    NO_RECORDER = "NO_RECORDER"
    RECORDER_STOPPED = "RECORDER_STOPPED"
    INSTANCES_NOT_RECORDED = "INSTANCES_NOT_RECORDED"
    """There is a recorder, but not for EC2 instances."""
    RECORDER_FAILING = "RECORDER_FAILING"
    """It is on and for EC2 instances, but the latest of its recording events failed."""
    RULE_MISSING = "RULE_MISSING"
    """There are instances, but AWS Config shows no rule of ours."""
    NOT_COLLECTED = "NOT_COLLECTED"
    """It could not be collected, after every retry."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """What AWS Config says of the configuration recorder at the time of collecting."""

    recording: bool
    records_instances: bool
    frequency: str
    """CONTINUOUS or DAILY."""
    last_status: str | None = None
    """Of the latest recording event, as AWS Config spells it; `recording.failed` reads it."""
    last_error: str | None = None
    last_status_change: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """Active long-term access keys of an account, counted in its IAM credential report; the report is not kept."""

    generated_at: datetime
    users: int
    """Rows of the report but the root user's."""
    users_with_active_keys: int
    active_keys: int
    """Of IAM users: each has two at most."""
    root_active_keys: int
    oldest_rotation: datetime | None = None
    """When the key that has been active the longest was made; of the root user's and all others'."""


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """Whose shard it is, and what is not about a single instance."""

    account: str
    region: str
    partition: str
    day: date
    collected_at: datetime
    own_rule_name: str
    """The rule's own name, the same in every account."""
    rule_name: str | None
    """As AWS Config knows it; None where it shows no such rule."""
    rule_arn: str | None
    parameters: Mapping[str, str]
    rolecall_version: str
    why_not: WhyNot | None = None
    """None: it is covered."""
    detail: str = ""
    """What is known beyond `why_not`."""
    recorder: Recorder | None = None
    recorder_problem: str = ""
    """Why nobody may look at it; `recorder` is None."""
    keys: KeyCounts | None = None
    """Of the whole account: in one shard of it alone."""
    keys_problem: str = ""
    """Why `keys` is None, in the shard that should have it."""

    @property
    def covered(self) -> bool:
        """Whether the control is known to have run there."""
        return self.why_not is None


def header_object(header: ShardHeader) -> dict[str, Any]:
    """The header as a JSON object."""
    return {
        "kind": "shard",
        "schema": SCHEMA,
        "account": header.account,
        "region": header.region,
        "partition": header.partition,
        "day": header.day.isoformat(),
        "collectedAt": timestamp(header.collected_at),
        "covered": header.covered,
        "whyNot": header.why_not.value if header.why_not else None,
        "detail": header.detail or None,
        "rule": {
            "ownName": header.own_rule_name,
            "name": header.rule_name,
            "arn": header.rule_arn,
            "parameters": dict(header.parameters),
            "rolecallVersion": header.rolecall_version,
        },
        "recorder": recorder_object(header.recorder) if header.recorder else None,
        "recorderProblem": header.recorder_problem or None,
        "keys": _keys_object(header.keys) if header.keys else None,
        "keysProblem": header.keys_problem or None,
    }


def read_header(raw: object) -> ShardHeader:
    """Read what `header_object` made. Raises InvalidRecord, which names the field."""
    if not isinstance(raw, dict):
        raise InvalidRecord("shard header", raw, "a JSON object")
    if raw.get("schema") != SCHEMA:
        raise InvalidRecord("schema", raw.get("schema"), SCHEMA)
    day = read_day(raw, "day")
    if day is None:
        raise InvalidRecord("day", None, "a day as 2026-01-31")
    rule = read_object(raw, "rule")
    why_not = None if raw.get("whyNot") is None else read_member(WhyNot, raw, "whyNot")
    if read_flag(raw, "covered") is not (why_not is None):
        raise InvalidRecord("covered", raw["covered"], "true, unless whyNot says why not")
    return ShardHeader(
        account=read_account(raw),
        region=read_text(raw, "region"),
        partition=read_text(raw, "partition"),
        day=day,
        collected_at=read_time(raw, "collectedAt"),
        own_rule_name=read_text(rule, "ownName", "rule."),
        rule_name=read_optional_text(rule, "name", "rule."),
        rule_arn=read_optional_text(rule, "arn", "rule."),
        parameters=read_parameters(rule, "rule."),
        rolecall_version=read_text(rule, "rolecallVersion", "rule."),
        why_not=why_not,
        detail=read_optional_text(raw, "detail") or "",
        recorder=_recorder(raw),
        recorder_problem=read_optional_text(raw, "recorderProblem") or "",
        keys=_keys(raw),
        keys_problem=read_optional_text(raw, "keysProblem") or "",
    )


def recorder_object(recorder: Recorder) -> dict[str, Any]:
    """A recorder as a JSON object."""
    return {
        "recording": recorder.recording,
        "recordsInstances": recorder.records_instances,
        "frequency": recorder.frequency,
        "lastStatus": recorder.last_status,
        "lastError": recorder.last_error,
        "lastStatusChange": optional_timestamp(recorder.last_status_change),
    }


def _recorder(raw: Mapping[str, Any]) -> Recorder | None:
    if raw.get("recorder") is None:
        return None
    given, within = read_object(raw, "recorder"), "recorder."
    return Recorder(
        recording=read_flag(given, "recording", within),
        records_instances=read_flag(given, "recordsInstances", within),
        frequency=read_text(given, "frequency", within),
        last_status=read_optional_text(given, "lastStatus", within),
        last_error=read_optional_text(given, "lastError", within),
        last_status_change=read_optional_time(given, "lastStatusChange", within),
    )


def _keys_object(keys: KeyCounts) -> dict[str, Any]:
    return {
        "generatedAt": timestamp(keys.generated_at),
        "users": keys.users,
        "usersWithActiveKeys": keys.users_with_active_keys,
        "activeKeys": keys.active_keys,
        "rootActiveKeys": keys.root_active_keys,
        "oldestRotation": optional_timestamp(keys.oldest_rotation),
    }


def _keys(raw: Mapping[str, Any]) -> KeyCounts | None:
    if raw.get("keys") is None:
        return None
    given, within = read_object(raw, "keys"), "keys."
    return KeyCounts(
        generated_at=read_time(given, "generatedAt", within),
        users=read_count(given, "users", within),
        users_with_active_keys=read_count(given, "usersWithActiveKeys", within),
        active_keys=read_count(given, "activeKeys", within),
        root_active_keys=read_count(given, "rootActiveKeys", within),
        oldest_rotation=read_optional_time(given, "oldestRotation", within),
    )
