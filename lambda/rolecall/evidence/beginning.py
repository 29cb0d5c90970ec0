"""Where a chain of packages may begin: on no day after one that could have been sealed before.

Whoever hides all packages would have the next one sealed as the first one ever, and a chain that begins anew looks like
a first chain. Plans and shards lie elsewhere, and for as long as they are kept they tell.
"""

from datetime import date

from rolecall.errors import InvalidRecord, NotSealed
from rolecall.evidence.packages import SealedPackage, day_of
from rolecall.evidence.plan import plan_key
from rolecall.evidence.shards import shard_key
from rolecall.evidence.steps import stored_plan
from rolecall.evidence.stores import Store
from rolecall.received_fields import read_flag

BEGINS_CHAIN = "beginsChain"
"""Of an event, beside `day`: this day begins the chain, whatever was collected before it."""

_PLANS, _SHARDS = "plans/", "shards/"
"""Where they lie: `steps`."""


def asked_to_begin(event: object) -> bool:
    """Whether an event says so. Raises InvalidRecord; also without a day, as no schedule begins a chain."""
    if not isinstance(event, dict) or BEGINS_CHAIN not in event:
        return False
    begins = read_flag(event, BEGINS_CHAIN)
    if begins and event.get("day") is None:
        raise InvalidRecord(BEGINS_CHAIN, "true", "true beside day alone, or false")
    return begins


def refuse_beginning(working: Store, day: date, previous: SealedPackage | None, *, asked: bool) -> None:
    """Raise NotSealed if `day` would begin a chain and may not, or was `asked` to begin one and goes on with one.

    `previous` is the package of the day before. Raises InvalidRecord for an older plan that cannot be read.
    """
    if previous is not None:
        if asked:
            there = f"the package of {previous.manifest.day} is there: it goes on with that one"
            raise NotSealed(f"{day}", f"it was to begin a chain, and {there}")
        return
    if asked:
        return
    if first := first_collected_day(working, day):
        raise NotSealed(
            f"{day}",
            f"it would be number 1 of a chain, but {first} was collected before it, and no package of then can be "
            f"seen: find out where it is, or seal {first} first; only if that is impossible, ask for a chain that "
            f"begins with this day ({BEGINS_CHAIN} in the event, --begin on a laptop)",
        )


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
