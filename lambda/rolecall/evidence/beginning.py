"""Where a chain of packages may begin: on no day after one that could have been sealed before, unless it is asked for.

Whoever hides all packages would have the next one sealed as the first one ever, and a chain that begins anew looks like
a first chain. Plans and shards lie elsewhere, and for as long as they are kept they tell.
"""

import json
from collections.abc import Iterable
from datetime import date
from hashlib import sha256

from rolecall.errors import AlreadyWritten, InvalidRecord, NotSealed
from rolecall.evidence.manifest import SIGNATURE
from rolecall.evidence.packages import (
    BEGINS_CHAIN,
    ONLY_IF_IMPOSSIBLE,
    SealedPackage,
    by_day,
    day_of,
    package_before,
    read_whole,
)
from rolecall.evidence.plan import plan_key
from rolecall.evidence.shards import shard_key
from rolecall.evidence.steps import stored_plan
from rolecall.evidence.stores import Store
from rolecall.received_fields import read_day, read_flag

_PLANS, _SHARDS = "plans/", "shards/"
"""Where they lie: `steps`."""

_CLAIM = "sealing/beginning.json"
_MAX_CLAIM_BYTES = 4096


def asked_to_begin(event: object) -> bool:
    """Whether an event says so. Raises InvalidRecord; also without a day, as no schedule begins a chain."""
    if not isinstance(event, dict) or BEGINS_CHAIN not in event:
        return False
    begins = read_flag(event, BEGINS_CHAIN)
    if begins and event.get("day") is None:
        raise InvalidRecord(BEGINS_CHAIN, "true", "true beside day alone, or false")
    return begins


def package_to_follow(working: Store, packages: Store, day: date, *, asked: bool) -> SealedPackage | None:
    """The package that `day` goes on from; None if it begins a chain: it was `asked` to, or it is the first one ever.

    Whoever asks is not held up by what lies before the day: it may be what nobody can go on from. Raises NotSealed if
    the day may neither go on nor begin, as one before a day that is sealed may not; InvalidRecord for an older plan
    that cannot be read; and what the stores raise.
    """
    if asked:
        if later := next((other for name, other, keys in by_day(packages) if _is_later(other, day, name, keys)), None):
            raise NotSealed(f"{day}", f"{later} is sealed, and no chain needs to begin before it")
        return None
    previous = package_before(packages, day)
    if previous is None and (first := first_collected_day(working, day)):
        raise NotSealed(
            f"{day}",
            f"it would be number 1 of a chain, but {first} was collected before it, and no package of then can be "
            f"seen: find out where it is, or seal {first} first; {ONLY_IF_IMPOSSIBLE}",
        )
    return previous


def _is_later(other: date | None, day: date, name: str, keys: Iterable[str]) -> bool:
    return other is not None and other > day and f"{name}/{SIGNATURE}" in keys


def claim_beginning(working: Store, day: date, *, asked: bool) -> None:
    """Say that `day` is about to begin a chain: of two days that see no package at the same time, one may.

    Raises NotSealed if another day said so before, unless this one was `asked` to; InvalidRecord if what was said
    cannot be read.
    """
    raw = json.dumps({"day": day.isoformat()}).encode() + b"\n"
    try:
        working.put_once(_CLAIM, raw, sha256=sha256(raw).hexdigest())
    except AlreadyWritten:
        if asked:
            return
        claimed = _claimed(working)
        raise NotSealed(
            f"{day}",
            f"it would be number 1 of a chain, which {claimed} has begun: none can be put before the first, and those "
            f"after it come once it is sealed; {ONLY_IF_IMPOSSIBLE}",
        ) from None


def _claimed(working: Store) -> date | None:
    raw = read_whole(working, _CLAIM, _MAX_CLAIM_BYTES)
    try:
        claim = json.loads(raw)
    except (ValueError, RecursionError):
        claim = None
    if not isinstance(claim, dict):
        raise InvalidRecord(_CLAIM, raw[:40], "a JSON object with day")
    return read_day(claim, "day")


def first_collected_day(working: Store, before: date) -> date | None:
    """The earliest day whose plan and shards are all there, so that it may have been sealed; None if none is.

    A day that was never collected to its end was never sealed either. Raises InvalidRecord for a plan that cannot be
    read.
    """
    for key in working.keys(_PLANS):
        day = day_of(key.removeprefix(_PLANS).partition("/")[0])
        if day is None or key != plan_key(day):
            continue
        if day >= before:
            break
        if _is_collected(working, day):
            return day
    return None


def _is_collected(working: Store, day: date) -> bool:
    wanted = {shard_key(day, item.account, item.region) for item in stored_plan(working, day).shards}
    return wanted <= set(working.keys(f"{_SHARDS}{day}/"))
