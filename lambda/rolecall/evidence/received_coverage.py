"""`coverage.json` as whoever seals or verifies reads it: its sums, and whether they add up."""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from rolecall.errors import InvalidManifest, InvalidRecord
from rolecall.evidence.canonical import each_once, json_object
from rolecall.evidence.collection_times import CollectionTimes
from rolecall.evidence.manifest import Totals
from rolecall.evidence.received_manifest import totals
from rolecall.received_fields import read_time

COVERAGE = "coverage.json"

MAX_HEAD_BYTES = 64 * 1024 * 1024
"""Kept of it at most: an account-region takes some 600 bytes, and what is longer are lists that come after the sums."""

_FIRST_LOOK_BYTES = 64 * 1024

_NEEDED = ("day", "total", "accountRegions")
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What it says of the population."""

    day: str
    total: Totals
    account_regions: Mapping[tuple[str, str], Totals]
    collected: CollectionTimes | None
    """None if there was no account and region to collect."""

    def problems(self) -> list[str]:
        """What does not add up, in words."""
        found = [
            f"it accounts for {one.accounted_for:,} of {one.population:,} instances {where}"
            for where, one in [
                *((f"of {account} in {region}", one) for (account, region), one in self.account_regions.items()),
                ("in total", self.total),
            ]
            if one.accounted_for != one.population
        ]
        summed = _sum(self.account_regions)
        if summed != self.total:
            found.append(f"its accounts and regions come to {summed.to_json()}, its total is {self.total.to_json()}")
        return found


class CoverageReader:
    """Takes the content of the file, block by block, and keeps no more of it than its sums need.

    A short file is decoded whole. Of a long one, in which disagreements fill most of the room, decoding ends with the
    sums.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._look_at = _FIRST_LOOK_BYTES
        self._given: Mapping[str, Any] | None = None

    def take(self, block: bytes) -> None:
        """The next of it."""
        if self._given is not None or len(self._head) > MAX_HEAD_BYTES:
            return
        self._head += block
        if len(self._head) >= self._look_at:
            # Twice as much each time: in the end, nothing was decoded more than twice.
            self._look_at *= 2
            members = _first_members(bytes(self._head))
            if all(name in members for name in _NEEDED):
                self._given = members
                self._head.clear()

    def coverage(self) -> Coverage:
        """What it says, once all was taken. Raises InvalidManifest, which names the field."""
        if self._given is None and len(self._head) > MAX_HEAD_BYTES:
            allowed = f"{', '.join(_NEEDED)} among its first {MAX_HEAD_BYTES:,} bytes"
            raise InvalidManifest(COVERAGE, bytes(self._head[:64]), allowed)
        return _coverage(json_object(bytes(self._head), COVERAGE) if self._given is None else self._given)


def _first_members(head: bytes) -> dict[str, Any]:
    """The members of an object of which only the beginning is there, as far as they are complete."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    decoder = json.JSONDecoder(object_pairs_hook=each_once)
    members: dict[str, Any] = {}
    at = _after_space(text, 0)
    try:
        while text[at] in ("{" if not members else ","):
            name, at = decoder.raw_decode(text, _after_space(text, at + 1))
            at = _after_space(text, at)
            if text[at] != ":" or name in members:
                break
            value, at = decoder.raw_decode(text, _after_space(text, at + 1))
            at = _after_space(text, at)
            # Only what follows a number tells that it is complete.
            if text[at] not in ",}":
                break
            members[name] = value
    except (ValueError, IndexError, TypeError, RecursionError):
        pass  # cut off here, or no JSON: the sums tell which
    return members


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _coverage(given: Mapping[str, Any]) -> Coverage:
    entries = given.get("accountRegions")
    if not isinstance(entries, list):
        raise InvalidManifest(f"{COVERAGE}: accountRegions", entries, "a list")
    found: dict[tuple[str, str], Totals] = {}
    moments: set[datetime] = set()
    for number, entry in enumerate(entries):
        where = f"{COVERAGE}: accountRegions[{number}]"
        home, counted, collected_at = _entry(entry, where)
        if home in found:
            raise InvalidManifest(where, entry, "each account and region once")
        found[home] = counted
        moments.add(collected_at)
    total = given.get("total")
    if not isinstance(total, dict):
        raise InvalidManifest(f"{COVERAGE}: total", total, "a JSON object")
    day, in_total = str(given.get("day")), totals(total, f"{COVERAGE}: total.")
    return Coverage(day, in_total, found, CollectionTimes.of(moments))


def _entry(entry: object, where: str) -> tuple[tuple[str, str], Totals, datetime]:
    if not isinstance(entry, dict):
        raise InvalidManifest(where, entry, "a JSON object")
    if not isinstance(entry.get("covered"), bool):
        raise InvalidManifest(f"{where}.covered", entry.get("covered"), "true, false")
    home = _text(entry, "account", where), _text(entry, "region", where)
    return home, totals(entry, f"{where}."), _time(entry, "collectedAt", where)


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidManifest(f"{where}.{name}", value, "a text that is not empty")
    return value


def _time(entry: Mapping[str, Any], name: str, where: str) -> datetime:
    try:
        return read_time(entry, name, f"{where}.")
    except InvalidRecord as refused:
        raise InvalidManifest(refused.field, refused.value, refused.allowed) from None


def _sum(account_regions: Mapping[tuple[str, str], Totals]) -> Totals:
    return Totals(
        **{field.name: sum(getattr(one, field.name) for one in account_regions.values()) for field in fields(Totals)}
    )
