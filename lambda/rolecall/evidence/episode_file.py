"""`episodes/<account>_<region>.jsonl.gz`: carried from one package to the next, each account and region by itself.

    {"schema": …}                              whose it is, and of which day
    {"resourceId": "i-…"}                      an instance that ever had a verdict, and no episode
    {"resourceId": "i-…", "rule": "…", …}      an episode; of one instance, they follow one another

Sorted by resource id. An instance that is gone is forgotten with its last episode.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, BinaryIO

from rolecall.errors import Damaged, InvalidRecord
from rolecall.evidence.episode_day import ScopeDay
from rolecall.evidence.episodes import WINDOW_DAYS, Episode, EpisodeKey, Kind, Outcome
from rolecall.evidence.package_files import json_line
from rolecall.model import Reason
from rolecall.received_fields import read_flag, read_member, read_optional_time, read_text, read_time
from rolecall.record import timestamp

SCHEMA = "rolecall.episodes/v1"
EPISODES = "episodes/"
"""What the paths of these files begin with."""

_SUFFIX = ".jsonl.gz"

LINE_MAX_BYTES = 16 * 1024 * 1024
"""Of one line: an episode is some 400 bytes, and each of its interruptions within the window 70 more."""


def episodes_path(account: str, region: str) -> str:
    """Where the episodes of an account and region are, in a package."""
    return f"{EPISODES}{account}_{region}{_SUFFIX}"


def scope_of(path: str) -> tuple[str, str]:
    """Account and region, from what `episodes_path` made."""
    account, _, region = path.removeprefix(EPISODES).removesuffix(_SUFFIX).partition("_")
    return account, region


def write_episodes(
    stream: BinaryIO,
    scope: ScopeDay,
    histories: Iterable[tuple[str, Sequence[Episode]]],
    take: Callable[[Episode], None],
) -> None:
    """Write the content of a file; `take` is given each episode, too."""
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
    for resource_id, episodes in histories:
        if not episodes:
            stream.write(json_line({"resourceId": resource_id}))
        for episode in episodes:
            stream.write(json_line(_episode_object(episode)))
            take(episode)


def read_episodes(stream: BinaryIO, path: str) -> Iterator[tuple[str, Sequence[Episode]]]:
    """Every known instance with its episodes, from the content of the file at `path`. Raises Damaged."""
    account, region = scope_of(path)
    lines = _objects(stream, path)
    _, header = next(lines, (0, {}))
    named = tuple(header.get(name) for name in ("schema", "account", "region"))
    if named != (SCHEMA, account, region):
        raise Damaged(path, f"its first line is not that of {SCHEMA} of {account} in {region}")
    before = ""
    for resource_id, own in groupby(((_resource_id(one, path, at), at, one) for at, one in lines), key=itemgetter(0)):
        if resource_id <= before:
            raise Damaged(path, f"{resource_id} comes after {before}: ids ascend")
        before = resource_id
        yield resource_id, [_episode(one, path, at, account, region) for _, at, one in own if len(one) > 1]


def _objects(stream: BinaryIO, path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines with their numbers."""
    for number, line in enumerate(iter(lambda: stream.readline(LINE_MAX_BYTES), b""), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Damaged(path, f"line {number} is no JSON object of at most {LINE_MAX_BYTES:,} bytes")
        yield number, value


def _resource_id(raw: Mapping[str, Any], path: str, number: int) -> str:
    resource_id = raw.get("resourceId")
    if not isinstance(resource_id, str) or not resource_id:
        raise Damaged(path, f"line {number} does not say which instance it is of")
    return resource_id


def _episode_object(episode: Episode) -> dict[str, Any]:
    return {
        "resourceId": episode.key.resource_id,
        "rule": episode.key.rule,
        "kind": episode.kind.value,
        "began": timestamp(episode.began),
        "opened": timestamp(episode.opened),
        "knownSince": timestamp(episode.known_since),
        "confirmed": timestamp(episode.confirmed),
        "reason": episode.reason.value if episode.reason else None,
        "ended": timestamp(episode.ended) if episode.ended else None,
        "outcome": episode.outcome.value if episode.outcome else None,
        "inferred": episode.inferred,
        "flaps": [{"from": timestamp(since), "to": timestamp(until)} for since, until in episode.flaps],
    }


def _episode(raw: Mapping[str, Any], path: str, number: int, account: str, region: str) -> Episode:
    try:
        return _read_episode(raw, account, region)
    except InvalidRecord as error:
        raise Damaged(path, f"line {number}: {error}") from error


def _read_episode(raw: Mapping[str, Any], account: str, region: str) -> Episode:
    ended = read_optional_time(raw, "ended")
    outcome = None if raw.get("outcome") is None else read_member(Outcome, raw, "outcome")
    if (ended is None) is not (outcome is None):
        raise InvalidRecord("outcome", raw.get("outcome"), "what ended the episode, if it ended")
    flaps = raw.get("flaps")
    if not isinstance(flaps, list) or not all(isinstance(flap, dict) for flap in flaps):
        raise InvalidRecord("flaps", flaps, "a list of objects")
    return Episode(
        key=EpisodeKey(account, region, read_text(raw, "rule"), read_text(raw, "resourceId")),
        kind=read_member(Kind, raw, "kind"),
        began=read_time(raw, "began"),
        opened=read_time(raw, "opened"),
        known_since=read_time(raw, "knownSince"),
        confirmed=read_time(raw, "confirmed"),
        reason=None if raw.get("reason") is None else read_member(Reason, raw, "reason"),
        ended=ended,
        outcome=outcome,
        inferred=read_flag(raw, "inferred"),
        flaps=tuple((read_time(flap, "from", "flaps."), read_time(flap, "to", "flaps.")) for flap in flaps),
    )
