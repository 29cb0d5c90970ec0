"""`episodes/<account>_<region>.jsonl.gz`: carried from one package to the next, each account and region by itself.

    {"schema": …}                              whose it is, and of which day
    {"resourceId": "i-…", "newest": {…}, …}    an instance that had a verdict, with the version of the newest one
    {"resourceId": "i-…", "rule": "…", …}      its episodes, if it has any

Sorted by resource id.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any, BinaryIO

from rolecall.errors import Damaged, InvalidRecord
from rolecall.evidence.episode_day import InstanceDay, ScopeDay
from rolecall.evidence.episodes import NOTHING, WINDOW_DAYS, Episode, EpisodeKey, History, Kind, Outcome, Version
from rolecall.evidence.package_files import json_line
from rolecall.model import Reason
from rolecall.received_fields import (
    read_day,
    read_flag,
    read_member,
    read_object,
    read_optional_time,
    read_text,
    read_time,
)
from rolecall.record import optional_timestamp, timestamp

SCHEMA = "rolecall.episodes/v1"
EPISODES = "episodes/"
"""What the paths of these files begin with."""

_SUFFIX = ".jsonl.gz"

LINE_MAX_BYTES = 64 * 1024
"""Of one line: some 400 bytes."""

_Line = tuple[int, Mapping[str, Any]]


def episodes_path(account: str, region: str) -> str:
    """Where the episodes of an account and region are, in a package."""
    return f"{EPISODES}{account}_{region}{_SUFFIX}"


def scope_of(path: str) -> tuple[str, str]:
    """Account and region, from what `episodes_path` made."""
    account, _, region = path.removeprefix(EPISODES).removesuffix(_SUFFIX).partition("_")
    return account, region


def write_episodes(
    stream: BinaryIO, scope: ScopeDay, instances: Iterable[InstanceDay], take: Callable[[InstanceDay], None]
) -> None:
    """Write the content of a file; `take` is given each instance, known or not."""
    stream.write(
        json_line(
            {
                "schema": SCHEMA,
                "account": scope.account,
                "region": scope.region,
                "day": scope.period.start.date().isoformat(),
                "windowDays": WINDOW_DAYS,
            }
        )
    )
    for instance in instances:
        take(instance)
        history = instance.history
        if history.newest or history.episodes:
            stream.write(json_line(_instance_object(instance.resource_id, history)))
        stream.writelines(json_line(_episode_object(episode)) for episode in history.episodes)


def read_episodes(stream: BinaryIO, path: str) -> Iterator[tuple[str, History]]:
    """Every known instance with its history, from the content of the file at `path`. Raises Damaged."""
    account, region = scope_of(path)
    lines = _objects(stream, path)
    _, header = next(lines, (0, {}))
    named = tuple(header.get(name) for name in ("schema", "account", "region"))
    if named != (SCHEMA, account, region):
        raise Damaged(path, f"its first line is not that of {SCHEMA} of {account} in {region}")
    before = ""
    for resource_id, own in groupby(((_resource_id(line, path), line) for line in lines), key=itemgetter(0)):
        if resource_id <= before:
            raise Damaged(path, f"{resource_id} comes after {before}: ids ascend")
        before = resource_id
        yield resource_id, _history((line for _, line in own), path, account, region)


def _objects(stream: BinaryIO, path: str) -> Iterator[_Line]:
    """The lines with their numbers."""
    for number, line in enumerate(iter(lambda: stream.readline(LINE_MAX_BYTES), b""), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Damaged(path, f"line {number} is no JSON object of at most {LINE_MAX_BYTES:,} bytes")
        yield number, value


def _resource_id(line: _Line, path: str) -> str:
    number, raw = line
    resource_id = raw.get("resourceId")
    if not isinstance(resource_id, str) or not resource_id:
        raise Damaged(path, f"line {number} does not say which instance it is of")
    return resource_id


def _history(lines: Iterable[_Line], path: str, account: str, region: str) -> History:
    """Of one instance: its own line, then its episodes."""
    history, episodes = NOTHING, []
    for position, (number, raw) in enumerate(lines):
        try:
            if position == 0:
                history = History(_newest(raw), read_flag(raw, "exempt"), (), read_day(raw, "missingSince"))
            else:
                episodes.append(_episode(raw, account, region))
        except InvalidRecord as error:
            raise Damaged(path, f"line {number}: {error}") from error
    return replace(history, episodes=tuple(episodes))


def _instance_object(resource_id: str, history: History) -> dict[str, Any]:
    newest = history.newest
    return {
        "resourceId": resource_id,
        "newest": newest
        and {"orderingTimestamp": timestamp(newest.ordering_timestamp), "evaluatedAt": timestamp(newest.evaluated_at)},
        "exempt": history.exempt,
        "missingSince": history.missing_since and history.missing_since.isoformat(),
    }


def _newest(raw: Mapping[str, Any]) -> Version | None:
    if "newest" in raw and raw["newest"] is None:
        return None
    given, within = read_object(raw, "newest"), "newest."
    return Version(read_time(given, "orderingTimestamp", within), read_time(given, "evaluatedAt", within))


def _episode_object(episode: Episode) -> dict[str, Any]:
    return {
        "resourceId": episode.key.resource_id,
        "rule": episode.key.rule,
        "kind": episode.kind.value,
        "began": timestamp(episode.began),
        "opened": timestamp(episode.opened),
        "knownSince": timestamp(episode.known_since),
        "reason": episode.reason.value if episode.reason else None,
        "ended": optional_timestamp(episode.ended),
        "outcome": episode.outcome.value if episode.outcome else None,
        "inferred": episode.inferred,
    }


def _episode(raw: Mapping[str, Any], account: str, region: str) -> Episode:
    ended = read_optional_time(raw, "ended")
    outcome = None if raw.get("outcome") is None else read_member(Outcome, raw, "outcome")
    if (ended is None) is not (outcome is None):
        raise InvalidRecord("outcome", raw.get("outcome"), "what ended the episode, if it ended")
    return Episode(
        key=EpisodeKey(account, region, read_text(raw, "rule"), read_text(raw, "resourceId")),
        kind=read_member(Kind, raw, "kind"),
        began=read_time(raw, "began"),
        opened=read_time(raw, "opened"),
        known_since=read_time(raw, "knownSince"),
        reason=None if raw.get("reason") is None else read_member(Reason, raw, "reason"),
        ended=ended,
        outcome=outcome,
        inferred=read_flag(raw, "inferred"),
    )
