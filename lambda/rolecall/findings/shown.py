"""What Security Hub shows: the active findings of one rule, in little room."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from rolecall.errors import InvalidItem
from rolecall.findings.identity import ComplianceStatus
from rolecall.items import instant
from rolecall.model import Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Place(NamedTuple):
    """One account in one region."""

    account: str
    region: str

    def __str__(self) -> str:
        """As people are told."""
        return f"{self.account} in {self.region}" if self.region else self.account


class Shown(NamedTuple):
    """What matters of one active finding."""

    status: ComplianceStatus | None
    """`Compliance.Status`; None for what rolecall never sends."""
    reason: Reason | None
    """The first of its status reasons; None where that is none of ours."""
    observed_at: datetime
    """The ordering timestamp of the record that it was made from: its LastObservedAt."""


_VERDICTS = [(status, reason) for status in (None, *ComplianceStatus) for reason in (None, *Reason)]
_NUMBERS = {verdict: number for number, verdict in enumerate(_VERDICTS)}


class ShownFindings:
    """Active findings by place and resource id, at most 250 bytes each: an organization can have 100,000 and more.

    `foreign` holds the ids of those that have the rule's GeneratorId, but were not made by rolecall.
    """

    NAMED = 20
    """So many foreign ids are kept."""

    def __init__(self, generator_id: str, findings: Iterable[Mapping[str, Any]]) -> None:
        """`findings`: as GetFindings answers them."""
        self.foreign: list[str] = []
        self.foreign_count = 0
        self._generator_id = generator_id
        # A number holds time, status and reason: three objects each would take more room than all the rest.
        self._packed: dict[Place, dict[str, int]] = {}
        self._rule_arns: dict[Place, str] = {}
        for finding in findings:
            self._add(finding)

    def __len__(self) -> int:
        """Findings that were not taken yet."""
        return sum(map(len, self._packed.values()))

    def places(self) -> list[Place]:
        """Where there are findings that were not taken yet."""
        return sorted(place for place, there in self._packed.items() if there)

    def rule_arn(self, place: Place) -> str | None:
        """The rule's ARN as a finding of that place tells it."""
        return self._rule_arns.get(place)

    def take(self, place: Place, resource_id: str) -> Shown | None:
        """The finding of a resource; it is not here any more then."""
        packed = self._packed.get(place, {}).pop(resource_id, None)
        return None if packed is None else _unpacked(packed)

    def take_all(self, place: Place) -> Iterator[tuple[str, Shown]]:
        """Resource id and finding of all that are left in a place; none of them is here any more then."""
        left = self._packed.pop(place, {})
        while left:
            resource_id, packed = left.popitem()
            yield resource_id, _unpacked(packed)

    def _add(self, finding: Mapping[str, Any]) -> None:
        place = Place(str(finding.get("AwsAccountId")), _region(finding))
        identity = str(finding.get("Id"))
        # A finding's id ends with that of its resource: `identity.finding_id`.
        prefix = f"{self._generator_id}/{place.account}/{place.region}/"
        try:
            observed_at = instant(finding.get("LastObservedAt") or finding.get("UpdatedAt"), "LastObservedAt")
        except InvalidItem:
            observed_at = None
        if observed_at is None or not identity.startswith(prefix):
            self.foreign_count += 1
            if len(self.foreign) < self.NAMED:
                self.foreign.append(identity)
            return
        if rule_arn := (finding.get("ProductFields") or {}).get("rolecall/RuleArn"):
            self._rule_arns[place] = rule_arn
        milliseconds = (observed_at - _EPOCH) // _MILLISECOND
        there = self._packed.setdefault(place, {})
        there[identity.removeprefix(prefix)] = (
            milliseconds * len(_VERDICTS) + _NUMBERS[_status(finding), _reason(finding)]
        )


def _region(finding: Mapping[str, Any]) -> str:
    """Where the finding was imported; the product's ARN says it even where an aggregation region shows a copy."""
    parts = str(finding.get("ProductArn")).split(":")
    return parts[3] if len(parts) > 3 else ""  # noqa: PLR2004 - arn, partition, service, region


def _status(finding: Mapping[str, Any]) -> ComplianceStatus | None:
    status = str((finding.get("Compliance") or {}).get("Status"))
    return ComplianceStatus(status) if status in ComplianceStatus.__members__ else None


def _reason(finding: Mapping[str, Any]) -> Reason | None:
    reasons = (finding.get("Compliance") or {}).get("StatusReasons") or [{}]
    code = str(reasons[0].get("ReasonCode"))
    return Reason(code) if code in Reason.__members__ else None


def _unpacked(packed: int) -> Shown:
    milliseconds, number = divmod(packed, len(_VERDICTS))
    return Shown(*_VERDICTS[number], _EPOCH + milliseconds * _MILLISECOND)
