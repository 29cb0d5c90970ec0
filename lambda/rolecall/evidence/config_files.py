"""The files that AWS Config delivers to a bucket, known by their keys, and which of them a past day needs.

    AWSLogs/<account>/Config/<region>/<year>/<month>/<day>/ConfigSnapshot/<account>_Config_<region>_ConfigSnapshot_…
    AWSLogs/<account>/Config/<region>/<year>/<month>/<day>/ConfigHistory/<account>_Config_<region>_ConfigHistory_<type>_…

Months and days have no leading zeros. A snapshot holds the newest item of everything that is recorded; a history file
the items of one resource type since the last one, and there is none where nothing changed: AWS Config Developer Guide.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from rolecall.errors import counted
from rolecall.model import INSTANCE_TYPE

_KEY = re.compile(
    r"(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?(?P<account>[0-9]{12})/Config/(?P<region>[a-z0-9-]+)/"
    r"(?P<year>[0-9]{4})/(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<kind>ConfigHistory|ConfigSnapshot)/(?P<name>[^/]+)$"
)

_ONE_DAY = timedelta(days=1)

Place = tuple[str, str]
"""Account and region."""


class FileKind(StrEnum):
    """What a file holds."""

    HISTORY = "ConfigHistory"
    SNAPSHOT = "ConfigSnapshot"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file. `day` is that of its delivery, in UTC."""

    path: str
    account: str
    region: str
    day: date
    kind: FileKind
    resource_type: str = ""
    """Of a history file; empty where its name does not say."""

    @property
    def place(self) -> Place:
        """Whose it is."""
        return self.account, self.region

    @property
    def may_hold_instances(self) -> bool:
        """Whether it is worth reading."""
        return self.resource_type in ("", INSTANCE_TYPE)


def config_file(path: str) -> ConfigFile | None:
    """What a path says, whatever comes before AWSLogs; None if it is no key of AWS Config's history or snapshots."""
    match = _KEY.search(path.replace("\\", "/"))
    if match is None:
        return None
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    kind = FileKind(match["kind"])
    resource_type = re.search(r"_ConfigHistory_([A-Za-z0-9]+(?:::|%3A%3A)[A-Za-z0-9:%]+)_", match["name"])
    named = resource_type[1].replace("%3A", ":") if kind is FileKind.HISTORY and resource_type else ""
    return ConfigFile(path, match["account"], match["region"], day, kind, named)


def needed_files(files: Iterable[ConfigFile], first: date, last: date) -> list[ConfigFile]:
    """Those that say what there was at the end of each day from `first` to `last`.

    For each account and region: from its newest snapshot that was delivered before the end of `first`, or from the
    beginning if there is none, to the day after `last`, as what happens late on a day is delivered on the next.
    """
    kept: list[ConfigFile] = []
    for mine in _by_place(files).values():
        snapshots = [one.day for one in mine if one.kind is FileKind.SNAPSHOT and one.day <= first]
        begin = max(snapshots, default=date.min)
        kept += [one for one in mine if begin <= one.day <= last + _ONE_DAY and one.may_hold_instances]
    return kept


@dataclass(frozen=True, slots=True)
class PlaceCoverage:
    """What the files can say of one account and region on one day."""

    account: str
    region: str
    snapshot: date | None
    """The newest one that was delivered by the end of the day."""
    files: int
    """Up to the day after; those that could not be read are not counted."""
    unreadable: int = 0
    """Of those since the snapshot, and up to the day after."""

    @property
    def missing(self) -> str:
        """What cannot be known; empty if a snapshot vouches for all that did not change."""
        if self.unreadable:
            lost = "it holds" if self.unreadable == 1 else "they hold"
            return f"{counted(self.unreadable, 'file')} could not be read: what only {lost} is missing"
        if not self.files:
            return "no file covers it"
        if self.snapshot is None:
            return "no snapshot from before the end of the day: instances that have not changed since may be missing"
        return ""


def coverage(
    files: Iterable[ConfigFile], expected: Iterable[Place], day: date, unreadable: Collection[str] = ()
) -> list[PlaceCoverage]:
    """Of every account and region that any file is of, or that is expected; sorted.

    `unreadable`: the paths of files that could not be read, or not to their end.
    """
    found: Mapping[Place, Sequence[ConfigFile]] = _by_place(files)
    covered = []
    for place in sorted({*found, *expected}):
        until = [one for one in found.get(place, ()) if one.day <= day + _ONE_DAY]
        read = [one for one in until if one.path not in unreadable]
        snapshots = [one.day for one in read if one.kind is FileKind.SNAPSHOT and one.day <= day]
        newest = max(snapshots, default=None)
        lost = sum(one.path in unreadable and one.day >= (newest or date.min) for one in until)
        covered.append(PlaceCoverage(*place, newest, len(read), lost))
    return covered


def _by_place(files: Iterable[ConfigFile]) -> dict[Place, list[ConfigFile]]:
    found: dict[Place, list[ConfigFile]] = {}
    for one in files:
        found.setdefault(one.place, []).append(one)
    return found
