"""The findings table: one DynamoDB item for each finding, of what Security Hub accepted last.

Items carry the names of `FindingRow`'s fields; times are ISO 8601 texts, except `expires_at`, which DynamoDB's
time to live wants in epoch seconds. What is None is not there.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rolecall.aws.clients import Deadline, calling, pause
from rolecall.errors import ServiceError
from rolecall.findings.identity import ComplianceStatus
from rolecall.findings.lifecycle import FindingRow, FindingState

KEYS_PER_CALL = 100
"""Of one BatchGetItem: the DynamoDB API's `KeysAndAttributes`."""

RETURNS = 8
"""How often keys that BatchGetItem left unread, because there were too many or it was too busy, are asked for again."""

LONGEST_PAUSE = 3
"""Of those between, as a power of 2 s."""

GIVING_UP_SECONDS = 5
"""What writing keeps of the invocation's time: messages may have to be given up after it."""

_TIMES = ("ordering_timestamp", "evaluated_at", "created_at", "updated_at")


class FindingsTable:
    """Every method raises ServiceError and OutOfTime."""

    def __init__(self, dynamodb: Any, table: str, deadline: Deadline) -> None:  # noqa: ANN401 - made by boto3
        self._client = dynamodb
        self._table = table
        self._deadline = deadline

    def rows(self, finding_ids: Collection[str]) -> dict[str, FindingRow | ServiceError]:
        """The rows that are there, by finding id, as they are now and not as they were a moment ago.

        A row that cannot be read is an error of its own: it must not keep others from theirs.
        """
        waiting = sorted(set(finding_ids))
        found: dict[str, FindingRow | ServiceError] = {}
        while waiting:
            keys, waiting = waiting[:KEYS_PER_CALL], waiting[KEYS_PER_CALL:]
            for item in self._read([{"finding_id": {"S": finding_id}} for finding_id in keys]):
                found[item["finding_id"]["S"]] = _row(item)
        return found

    def write(self, row: FindingRow) -> bool:
        """Put a row on top of the revision before it; False if that is not what is there, and then nothing is put."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(finding_id)"}
        if row.revision > 1:
            condition = {
                "ConditionExpression": "revision = :read",
                "ExpressionAttributeValues": {":read": {"N": str(row.revision - 1)}},
            }
        try:
            with self._deadline.keeping(GIVING_UP_SECONDS), calling("PutItem"):
                self._deadline.check("PutItem")
                self._client.put_item(TableName=self._table, Item=_item(row), **condition)
        except ServiceError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _read(self, keys: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for resend in range(RETURNS + 1):
            self._deadline.check("BatchGetItem")
            with calling("BatchGetItem"):
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            yield from answer.get("Responses", {}).get(self._table, ())
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return
            keys = left["Keys"]
            if resend < RETURNS:
                pause("BatchGetItem", min(resend, LONGEST_PAUSE), self._deadline)
        raise ServiceError("BatchGetItem", "UnprocessedKeys", f"{len(keys)} keys were left unread {RETURNS + 1} times")


def _item(row: FindingRow) -> dict[str, Any]:
    times = {name: getattr(row, name) for name in _TIMES}
    item = {
        "finding_id": {"S": row.finding_id},
        "state": {"S": row.state.value},
        "status": {"S": row.status.value},
        "record": {"S": row.record},
        "revision": {"N": str(row.revision)},
        **{name: {"S": moment.isoformat()} for name, moment in times.items() if moment},
    }
    if row.expires_at:
        item["expires_at"] = {"N": str(int(row.expires_at.timestamp()))}
    return item


def _row(item: Mapping[str, Any]) -> FindingRow | ServiceError:
    try:
        return FindingRow(
            finding_id=item["finding_id"]["S"],
            state=FindingState(item["state"]["S"]),
            status=ComplianceStatus(item["status"]["S"]),
            ordering_timestamp=datetime.fromisoformat(item["ordering_timestamp"]["S"]),
            evaluated_at=datetime.fromisoformat(item["evaluated_at"]["S"]),
            created_at=_moment(item.get("created_at")),
            updated_at=_moment(item.get("updated_at")),
            record=item["record"]["S"],
            revision=int(item["revision"]["N"]),
            expires_at=datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC) if "expires_at" in item else None,
        )
    except (KeyError, ValueError) as error:
        named = item["finding_id"]["S"]
        return ServiceError("BatchGetItem", "UnreadableRow", f"the row of {named} is none of ours: {error!r}")


def _moment(attribute: Mapping[str, str] | None) -> datetime | None:
    return datetime.fromisoformat(attribute["S"]) if attribute else None
