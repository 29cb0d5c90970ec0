"""The recorder: what anyone changes in EC2 becomes configuration items, as AWS Config records them."""

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_ec2 import EC2Client

from local.closing import Closing
from local.config_region import ConfigRegion
from local.configuration_items import Item, capture_ms, is_deleted
from local.described_instances import configuration_of, deleted_item, item_of
from local.rule_events import Event
from local.timestamps import Clock, now_ms
from rolecall.model import INSTANCE_TYPE, InstanceState


@dataclass(frozen=True)
class Recorded:
    """One item that was recorded, and the events that rules got for it."""

    item: Item
    events: list[Event]


class Recorder:
    """Records the instances of one account and region, whenever it is told to or every so often.

    `item_before_deletion`: whether a terminated instance is first shown as such, with status OK, before the item that
    says it is deleted. AWS documents neither; rolecall must stand both.
    """

    def __init__(
        self, ec2: EC2Client, region: ConfigRegion, *, item_before_deletion: bool = True, clock: Clock = now_ms
    ) -> None:
        self._ec2 = ec2
        self._region = region
        self._item_before_deletion = item_before_deletion
        self._clock = clock
        self._lock = threading.Lock()
        self._oversized: set[str] = set()

    def force_oversized(self, instance_id: str) -> None:
        """From now on this instance's items are too large for a notification, as one with very many tags is."""
        self._oversized.add(instance_id)

    def record_now(self, *, lose_events: bool = False) -> list[Recorded]:
        """Look at all instances and record what changed since the last time; returns that, in order of instance id.

        A recorder that is not recording sees nothing. With `lose_events` no rule hears of it.
        """
        with self._lock:
            if not self._region.recorders.records(INSTANCE_TYPE):
                return []
            return [self._recorded(item, lose_events=lose_events) for item in self._changed_items()]

    def _recorded(self, item: Item, *, lose_events: bool) -> Recorded:
        if lose_events:
            self._region.load([item])
            return Recorded(item, [])
        events = self._region.record(item, oversized=item["resourceId"] in self._oversized)
        return Recorded(item, events)

    def _changed_items(self) -> Iterator[Item]:
        existing = {instance["InstanceId"]: configuration_of(instance) for instance in self._described()}
        known = {item["resourceId"] for item in self._region.current() if item["resourceType"] == INSTANCE_TYPE}
        for instance_id in sorted(existing | dict.fromkeys(known)):
            yield from self._items(instance_id, existing.get(instance_id))

    def _items(self, instance_id: str, configuration: dict[str, Any] | None) -> Iterator[Item]:
        previous = self._region.newest(INSTANCE_TYPE, instance_id)
        gone = previous is None or is_deleted(previous)
        terminated = configuration is None or configuration["state"]["name"] == InstanceState.TERMINATED
        if terminated and gone:
            return  # EC2 shows a terminated instance for another hour
        if configuration is not None and (self._item_before_deletion or not terminated):
            changed = previous is None or gone or previous["configuration"] != configuration
            if changed:
                status = "ResourceDiscovered" if gone else "OK"
                captured_ms = self._capture_ms(instance_id)
                place = {"account": self._region.account, "region": self._region.region}
                yield item_of(configuration, **place, status=status, captured_ms=captured_ms)
        if terminated:
            yield deleted_item(
                instance_id,
                account=self._region.account,
                region=self._region.region,
                captured_ms=self._capture_ms(instance_id),
            )

    def _capture_ms(self, instance_id: str) -> int:
        """Now, but later than the instance's newest item even on a fast machine."""
        previous = self._region.newest(INSTANCE_TYPE, instance_id)
        return self._clock() if previous is None else max(self._clock(), capture_ms(previous) + 1)

    def _described(self) -> Iterator[Any]:
        for page in self._ec2.get_paginator("describe_instances").paginate():
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]


class RecorderThread(Closing):
    """Lets a recorder look every `interval` seconds. A context manager: leaving it stops it.

    `on_recorded` is called for each item that was recorded.
    """

    def __init__(
        self, recorder: Recorder, interval: float, on_recorded: Callable[[Recorded], None] = lambda _recorded: None
    ) -> None:
        self._on_recorded = on_recorded
        self._recorder = recorder
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local-recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the look that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                for recorded in self._recorder.record_now():
                    self._on_recorded(recorded)
            except (BotoCoreError, ClientError):
                # Said aloud, and tried again: the next look sees whatever this one missed.
                traceback.print_exc(file=sys.stderr)
