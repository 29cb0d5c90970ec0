"""What the steps of a day's package hand to each other: plan, collect each shard, seal. Each may run again at any time.

It lies in the working store (a folder, or the ledger's bucket):

    plans/<day>/plan.json     the plan; the first one that was written counts
    plans/<day>/shards.json   its shard items, as a JSON array
    shards/<day>/…            the shards
    sealing/<day>/…           the versions of rolecall that put files of its package
    sealing/beginning.json    the day that was first to begin a chain
    ledger/dt=<day>/…         evaluation records, which are only read
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

from rolecall.errors import AlreadyWritten, InvalidRecord, Missing
from rolecall.evidence.ledger import LEDGER_SUFFIX, ledger_prefix
from rolecall.evidence.packages import read_whole
from rolecall.evidence.plan import Plan, item_object, items_key, plan_key, plan_object, read_plan
from rolecall.evidence.stores import Store
from rolecall.received_fields import read_day, read_time

PACKAGES = "packages"
"""The folder, or prefix, of all packages."""

MAX_PLAN_BYTES = 64 * 1024 * 1024


def day_of_event(event: object, now: datetime) -> date:
    """The day that a step is about: `day`, or else the day before `scheduledTime`. Raises InvalidRecord.

    A day that is not over has no package yet.
    """
    if not isinstance(event, dict):
        raise InvalidRecord("event", event, "a JSON object with day, or scheduledTime")
    day = read_day(event, "day")
    if day is None:
        day = read_time(event, "scheduledTime").date() - timedelta(days=1)
    if day >= now.date():
        raise InvalidRecord("day", day.isoformat(), f"a day before {now.date()}: that one is not over")
    return day


def planned(store: Store, day: date, make: Callable[[], Plan]) -> Plan:
    """The plan of `day`: the one that is there, or the one that `make` makes; and its shard items beside it.

    Raises InvalidRecord for a plan that cannot be read, and whatever store and `make` raise.
    """
    plan = _present_plan(store, day)
    if plan is None:
        # Another run may have been quicker, and another plan may differ.
        with suppress(AlreadyWritten):
            _put_json(store, plan_key(day), plan_object(make()))
        plan = stored_plan(store, day)
    _put_json(store, items_key(day), [item_object(item) for item in plan.shards])
    return plan


def stored_plan(store: Store, day: date) -> Plan:
    """The plan that is there. Raises Missing, InvalidRecord."""
    plan = _present_plan(store, day)
    if plan is None:
        raise Missing(plan_key(day))
    return plan


def ledger_keys(store: Store, day: date) -> tuple[str, ...]:
    """The files of the ledger that a plan takes down; whatever else lies there is none of Firehose's.

    Those of the day before are among them, once more: one that arrived after that day was planned would be missing
    from every package, and the last one of a day may hold the first records of the next.
    """
    prefixes = [ledger_prefix(one) for one in (day - timedelta(days=1), day)]
    return tuple(key for prefix in prefixes for key in store.keys(prefix) if key.endswith(LEDGER_SUFFIX))


def _present_plan(store: Store, day: date) -> Plan | None:
    key = plan_key(day)
    try:
        raw = read_whole(store, key, MAX_PLAN_BYTES)
    except Missing:
        return None
    try:
        plan = read_plan(json.loads(raw))
    except (ValueError, RecursionError):
        raise InvalidRecord(key, raw[:40], "JSON text of an object") from None
    if plan.day != day:
        raise InvalidRecord(f"{key}: day", plan.day.isoformat(), day.isoformat())
    return plan


def _put_json(store: Store, key: str, document: Mapping[str, Any] | Sequence[Any]) -> None:
    raw = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    store.put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())
