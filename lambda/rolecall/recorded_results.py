"""What AWS Config has recorded for a rule, in little room."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rolecall.model import ComplianceType, Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERDICTS: Sequence[tuple[bool, Reason | None]] = (
    (True, None),
    (False, None),
    *((reason.compliance_type is not ComplianceType.NOT_APPLICABLE, reason) for reason in Reason),
)
"""Whether a result is applicable, and its reason."""
_NUMBERS: Mapping[tuple[bool, Reason | None], int] = {verdict: number for number, verdict in enumerate(_VERDICTS)}
_LISTED = -1
"""Stands for a result once its resource is listed."""


class RecordedResult(NamedTuple):
    """One recorded result of a rule, as Config keeps it."""

    resource_type: str
    resource_id: str
    compliance_type: str
    annotation: str
    """Empty where there is none."""
    ordering_timestamp: datetime
    recorded_at: datetime | None = None
    """When Config took it; None where nobody asked."""


class Known(NamedTuple):
    """What a sweep needs of a recorded result."""

    reason: Reason | None
    """None where type and annotation are not what rolecall puts together: such a result differs from any verdict,
    unless both are NOT_APPLICABLE."""
    ordering_timestamp: datetime
    applicable: bool
    """False for NOT_APPLICABLE, of which nobody is shown why."""

    def agrees_with(self, reason: Reason) -> bool:
        """Whether a verdict of that reason would change nothing."""
        if not self.applicable:
            return reason.compliance_type is ComplianceType.NOT_APPLICABLE
        return self.reason is reason


class RecordedResults:
    """The recorded results of one rule, at most 200 bytes each: an account can have 100,000 instances and more."""

    def __init__(self, results: Iterable[RecordedResult]) -> None:
        # A number holds time and reason: two objects each would take more room than all the rest.
        self._packed: dict[str, dict[str, int]] = {}
        for one in results:
            milliseconds = (one.ordering_timestamp - _EPOCH) // _MILLISECOND
            applicable = one.compliance_type != ComplianceType.NOT_APPLICABLE
            number = _NUMBERS[applicable, recorded_reason(one.compliance_type, one.annotation)]
            of_type = self._packed.setdefault(one.resource_type, {})
            of_type[one.resource_id] = milliseconds * len(_VERDICTS) + number

    def note_listed(self, resource_type: str, resource_id: str) -> bool:
        """Note that a resource is listed. False if that is known: rows move while their pages are read."""
        of_type = self._packed.setdefault(resource_type, {})
        first = of_type.get(resource_id) != _LISTED
        of_type[resource_id] = _LISTED
        return first

    def known(self, resource_type: str, resource_id: str) -> Known | None:
        """What is recorded of a resource; None if nothing is, and once it is listed."""
        packed = self._packed.get(resource_type, {}).get(resource_id, _LISTED)
        return None if packed == _LISTED else self._unpacked(packed)

    def unlisted(self) -> Iterator[tuple[str, str, Known]]:
        """Type, id and what is recorded, of each resource that was not listed and is not known as NOT_APPLICABLE."""
        for resource_type, of_type in self._packed.items():
            for resource_id, packed in of_type.items():
                if packed == _LISTED:
                    continue
                known = self._unpacked(packed)
                if known.applicable:
                    yield resource_type, resource_id, known

    def _unpacked(self, packed: int) -> Known:
        milliseconds, number = divmod(packed, len(_VERDICTS))
        applicable, reason = _VERDICTS[number]
        return Known(reason, _EPOCH + milliseconds * _MILLISECOND, applicable)


def recorded_reason(compliance_type: str, annotation: str) -> Reason | None:
    """The reason with which an annotation begins; None unless it is one of ours and of that compliance type."""
    code, colon, _ = annotation.partition(":")
    if not colon or code not in Reason.__members__:
        return None
    reason = Reason(code)
    return reason if reason.compliance_type == compliance_type else None
