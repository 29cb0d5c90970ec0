"""Verdicts of a past day, from the items that AWS Config wrote down: what the rule would have said, had it been there.

They are re-performed: nobody recorded them on that day, and each says so. Of every instance the newest item that was
captured by the end of the day counts, wherever it was read, also in a later snapshot. Items are kept on disk, each
once however many snapshots repeat it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from rolecall.errors import InvalidItem
from rolecall.evidence.manifest import Period
from rolecall.evidence.scratch import scratch_database
from rolecall.items import configuration_item, item_header
from rolecall.model import INSTANCE_TYPE, Evaluation, Reason
from rolecall.parameters import RuleParameters
from rolecall.record import timestamp
from rolecall.rule import evaluate

BASIS = "re-performed"
"""How such a verdict came about, in every format."""

_GONE = (Reason.DELETED, Reason.NOT_RECORDED)

_ITEM_MEMBERS = (
    "ARN",
    "accountId",
    "arn",
    "awsAccountId",
    "awsRegion",
    "configuration",
    "configurationItemCaptureTime",
    "configurationItemStatus",
    "resourceId",
    "resourceType",
    "tags",
)
_CONFIGURATION_MEMBERS = (
    "iamInstanceProfile",
    "imageId",
    "instanceType",
    "launchTime",
    "metadataOptions",
    "networkInterfaces",
    "state",
    "subnetId",
    "tags",
    "vpcId",
)

_TABLES = """
CREATE TABLE sources (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE items (
    account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, captured TEXT NOT NULL,
    item TEXT NOT NULL, source INTEGER NOT NULL,
    PRIMARY KEY (account, region, id, captured)
);
"""

_NEWEST = """
SELECT item, name, MAX(captured) FROM items JOIN sources ON number = source
WHERE captured <= ? GROUP BY account, region, id ORDER BY account, region, id
"""
"""Of columns beside MAX(), SQLite gives those of the row that has it: its documentation, "Bare columns"."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict on one instance at the end of a day, and the file that its item was read from."""

    day: date
    evaluation: Evaluation
    source: str


class ItemHistory:
    """Filled from files in any order, then asked for days; `close` ends it."""

    def __init__(self) -> None:
        self._database = scratch_database(_TABLES)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, raw: object, source: str) -> bool:
        """Note an item; False for one of something else than an instance. Raises InvalidItem."""
        if not isinstance(raw, dict):
            raise InvalidItem("configuration item", raw, "a JSON object")
        if raw.get("resourceType") not in (INSTANCE_TYPE, None):
            return False
        header = item_header(raw)
        self._database.execute("INSERT OR IGNORE INTO sources (name) VALUES (?)", (source,))
        self._database.execute(
            "INSERT OR REPLACE INTO items SELECT ?, ?, ?, ?, ?, number FROM sources WHERE name = ?",
            (
                header.account,
                header.region,
                _encodable(header.resource_id),
                timestamp(header.capture_time),
                json.dumps(_kept(raw)),
                source,
            ),
        )
        return True

    def at_the_end_of(self, day: date, parameters: RuleParameters) -> Iterator[Replayed | InvalidItem]:
        """Every instance that there was, sorted by account, region and id; or why its item cannot be judged.

        Those that were gone by then are left out.
        """
        last_moment = Period.of_day(day).end - timedelta(milliseconds=1)
        for text, source, _ in self._database.execute(_NEWEST, (timestamp(last_moment),)):
            try:
                evaluation = evaluate(configuration_item(json.loads(text)), parameters, last_moment)
            except InvalidItem as unjudged:
                yield unjudged
                continue
            if evaluation.reason not in _GONE:
                yield Replayed(day, evaluation, source)


def _kept(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `items` reads of an item: a tenth of it, and it is kept for every change."""
    kept = {name: raw[name] for name in _ITEM_MEMBERS if name in raw}
    configuration = kept.get("configuration")
    if isinstance(configuration, dict):
        kept["configuration"] = {name: configuration[name] for name in _CONFIGURATION_MEMBERS if name in configuration}
    return kept


def _encodable(resource_id: str) -> str:
    if not resource_id.isascii():
        raise InvalidItem("resourceId", resource_id, "ASCII characters")
    return resource_id
