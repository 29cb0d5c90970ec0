"""Amazon EventBridge: evaluation records for whoever subscribes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rolecall.aws.clients import RESENDS, Deadline, calling, pause
from rolecall.errors import RecordsRejected

ENTRIES_PER_CALL = 10
"""Of one PutEvents call: the EventBridge API's `PutEventsRequestEntryList`."""

ENTRIES_MAX_BYTES = 256 * 1024
"""Of all entries of one PutEvents call: Amazon EventBridge User Guide, "Calculating PutEvents event entry size"."""


class EvaluationsBus:
    """The EventBridge bus that takes evaluation records."""

    SOURCE = "rolecall"
    DETAIL_TYPE = "Rolecall Evaluation"

    def __init__(self, events_client: Any, bus: str, deadline: Deadline) -> None:  # noqa: ANN401 - made by boto3
        self._client = events_client
        self._bus = bus
        self._deadline = deadline

    def publish(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Send every record. Raises RecordsRejected with all that are left after the retries, ServiceError, OutOfTime.

        One record alone is sent whatever time is left, as a change's evaluation was before it.
        """
        left: list[tuple[str, str]] = []
        for entries in _calls([self._entry(record) for record in records]):
            if len(records) > 1:
                self._deadline.check("PutEvents")
            left += self._send(entries)
        if left:
            raise RecordsRejected(self._bus, left)

    def _entry(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "EventBusName": self._bus,
            "Source": self.SOURCE,
            "DetailType": self.DETAIL_TYPE,
            "Resources": [record["resourceArn"]] if record["resourceArn"] else [],
            "Detail": json.dumps(record, separators=(",", ":")),
        }

    def _send(self, entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Resource id and error of each record that the bus does not take."""
        failed: list[tuple[dict[str, Any], str]] = []
        for resend in range(RESENDS + 1):
            with calling("PutEvents"):
                answer = self._client.put_events(Entries=entries)
            if not answer.get("FailedEntryCount"):
                return []
            failed = [
                (entry, f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}")
                for entry, result in zip(entries, answer["Entries"], strict=True)
                if result.get("ErrorCode")
            ]
            entries = [entry for entry, _ in failed]
            if resend < RESENDS:
                pause("PutEvents", resend, self._deadline)
        return [(json.loads(entry["Detail"])["resourceId"], why) for entry, why in failed]


def region_of(bus: str) -> str | None:
    """The region of a bus that is named by its ARN: PutEvents has to be sent there. None means our own."""
    return bus.split(":")[3] if bus.startswith("arn:") else None


def _calls(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut entries into calls that keep both limits of PutEvents."""
    call: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        entry_size = sum(len(str(value).encode()) for value in entry.values())
        if call and (len(call) == ENTRIES_PER_CALL or size + entry_size > ENTRIES_MAX_BYTES):
            yield call
            call, size = [], 0
        call.append(entry)
        size += entry_size
    if call:
        yield call
