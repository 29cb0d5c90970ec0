"""The instances of one account and region beside what is recorded of them, however many there are.

Listings come in no order, and a row may come twice while its pages are read. Both are sorted on disk, by SQLite in a
database without a name that is gone once it is closed: memory stays the same for a hundred instances and a million.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from rolecall.errors import InvalidItem
from rolecall.evidence.rows import RecordedVerdict
from rolecall.evidence.scratch import scratch_database
from rolecall.model import INSTANCE_TYPE, ComplianceType
from rolecall.received_fields import read_member
from rolecall.record import timestamp
from rolecall.recorded_results import RecordedResult, recorded_reason

_TABLES = """
CREATE TABLE listed (id TEXT NOT NULL, captured TEXT NOT NULL, row TEXT NOT NULL);
CREATE TABLE recorded (id TEXT NOT NULL, ordering TEXT NOT NULL, applicable INTEGER NOT NULL, result TEXT NOT NULL);
"""

_NEWEST_LISTED = "SELECT id, row FROM listed ORDER BY id, captured, rowid"
_NEWEST_RECORDED = "SELECT id, result FROM recorded ORDER BY id, ordering, rowid"
_UNLISTED = "SELECT COUNT(DISTINCT id) FROM recorded WHERE applicable AND id NOT IN (SELECT id FROM listed)"


class Listed(NamedTuple):
    """An instance of the inventory, and the newest result that is recorded of it."""

    resource_id: str
    row: Mapping[str, Any]
    recorded: RecordedVerdict | None


class Population:
    """Filled first, then read; `close` ends it."""

    def __init__(self) -> None:
        self._database = scratch_database(_TABLES)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add_listed(self, rows: Iterable[object]) -> None:
        """Add the rows of an inventory. Raises InvalidItem for one that does not say which instance it is of."""
        self._database.executemany("INSERT INTO listed VALUES (?, ?, ?)", map(_listed, rows))

    def add_recorded(self, rule_name: str, results: Iterable[RecordedResult]) -> None:
        """Add the recorded results of a rule. Raises InvalidRecord for a compliance type that is none of ours."""
        instances = (one for one in results if one.resource_type == INSTANCE_TYPE)
        self._database.executemany(
            "INSERT INTO recorded VALUES (?, ?, ?, ?)", (_recorded(rule_name, one) for one in instances)
        )

    @property
    def size(self) -> int:
        """How many instances there are."""
        return int(self._database.execute("SELECT COUNT(DISTINCT id) FROM listed").fetchone()[0])

    @property
    def unlisted(self) -> int:
        """Results that are not NOT_APPLICABLE, of instances that are not listed."""
        return int(self._database.execute(_UNLISTED).fetchone()[0])

    def instances(self) -> Iterator[Listed]:
        """All that are listed, by the order of their ids; of several rows or results of one, the newest."""
        listing, results = self._database.execute(_NEWEST_LISTED), self._database.execute(_NEWEST_RECORDED)
        newest = _last_of_each(results)
        recorded_id, result = next(newest, ("", ""))
        for resource_id, row in _last_of_each(listing):
            while recorded_id and recorded_id < resource_id:
                recorded_id, result = next(newest, ("", ""))
            found = _verdict(result) if recorded_id == resource_id else None
            yield Listed(resource_id, json.loads(row), found)


def _last_of_each(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for _, group in groupby(rows, key=itemgetter(0)):
        *_, last = group
        yield last


def _listed(row: object) -> tuple[str, str, str]:
    resource_id = row.get("resourceId") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(resource_id, str) or not resource_id.isascii() or not resource_id:
        # Whose it is nobody can say, so the population would be wrong without a trace.
        raise InvalidItem("a row of the inventory", row, "a JSON object whose resourceId is a text")
    captured = row.get("configurationItemCaptureTime")
    return resource_id, captured if isinstance(captured, str) else "", json.dumps(row)


def _recorded(rule_name: str, one: RecordedResult) -> tuple[str, str, bool, str]:
    compliance_type = read_member(ComplianceType, {"ComplianceType": one.compliance_type}, "ComplianceType")
    ordering = timestamp(one.ordering_timestamp.astimezone(UTC))
    recorded_at = timestamp(one.recorded_at.astimezone(UTC)) if one.recorded_at else None
    result = json.dumps([compliance_type, one.annotation, ordering, rule_name, recorded_at])
    return one.resource_id, ordering, compliance_type is not ComplianceType.NOT_APPLICABLE, result


def _verdict(result: str) -> RecordedVerdict:
    compliance_type, annotation, ordering, rule_name, recorded_at = json.loads(result)
    return RecordedVerdict(
        compliance_type=ComplianceType(compliance_type),
        reason=recorded_reason(compliance_type, annotation),
        annotation=annotation,
        ordering_timestamp=datetime.fromisoformat(ordering),
        rule_name=rule_name,
        recorded_at=datetime.fromisoformat(recorded_at) if recorded_at else None,
    )
