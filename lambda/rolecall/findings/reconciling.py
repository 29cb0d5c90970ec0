"""Security Hub's active findings held against what AWS Config recorded.

    missing     a result that fails or is exempt, and no active finding
    stale       a finding whose status or reason is not that of the result
    orphaned    a finding, and no result that fails or is exempt

Whatever the listings cannot prove is not judged, but named: a result that is none of rolecall's, a finding that is
newer than what was read of AWS Config may be, and every finding without a result where the results are not known to be
all.

An active finding that says PASSED agrees with an attached profile: a setting keeps such findings active.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rolecall.findings.identity import compliance_status
from rolecall.findings.shown import Place, Shown, ShownFindings
from rolecall.items import partition_of
from rolecall.model import (
    INSTANCE_TYPE,
    ComplianceType,
    ConfigurationItem,
    Evaluation,
    ItemStatus,
    Reason,
)
from rolecall.recorded_results import Known, RecordedResult, recorded_reason

ACCOUNT_LAG = timedelta(minutes=15)
"""How far an account's own results may be behind a finding: a sweep publishes a verdict before it puts it."""

AGGREGATOR_LAG = timedelta(hours=6)
"""The same of a configuration aggregator's copy. AWS documents no figure: this is far beyond what is usual."""


class Difference(StrEnum):
    """What is wrong with a resource's finding."""

    MISSING = "missing"
    STALE = "stale"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One finding that is not as it should be."""

    difference: Difference
    place: Place
    resource_id: str
    recorded: Known | None
    """What AWS Config recorded; None where it shows no result."""
    shown: Shown | None
    """What Security Hub shows; None where the finding is missing."""


@dataclass(frozen=True, slots=True)
class Unjudged:
    """What could not be compared, and why."""

    place: Place
    resource_id: str | None
    """None where all of a place is meant."""
    why: str


def differences(
    place: Place,
    results: Iterable[RecordedResult],
    findings: ShownFindings,
    *,
    settled_before: datetime,
    unproven: str = "",
) -> Iterator[Discrepancy | Unjudged]:
    """Compare a place, whose findings are taken out of `findings`.

    A finding observed after `settled_before` may be newer than the results. `unproven` says why the results may not be
    all; it is empty where they are. An error that reading them raises leaves the other findings of the place in
    `findings`, unjudged.
    """
    for result in results:
        if result.resource_type == INSTANCE_TYPE:
            found = _compared(place, result, findings.take(place, result.resource_id), settled_before)
            if found:
                yield found
    if unproven:
        yield from unproven_place(place, findings, unproven)
        return
    for resource_id, shown in findings.take_all(place):
        if shown.observed_at > settled_before:
            yield Unjudged(place, resource_id, "its finding may be newer than the results that AWS Config shows")
        else:
            yield Discrepancy(Difference.ORPHANED, place, resource_id, None, shown)


def unproven_place(place: Place, findings: ShownFindings, why: str) -> Iterator[Unjudged]:
    """Say of all that is left in a place that it cannot be judged."""
    count = sum(1 for _ in findings.take_all(place))
    if count:
        noun = "active finding has" if count == 1 else "active findings have"
        why = f"{count:,} {noun} no result, which may be because the results are not complete: {why}"
        yield Unjudged(place, None, why)


def _compared(
    place: Place, result: RecordedResult, shown: Shown | None, settled_before: datetime
) -> Discrepancy | Unjudged | None:
    reason = recorded_reason(result.compliance_type, result.annotation)
    applicable = result.compliance_type != ComplianceType.NOT_APPLICABLE
    recorded = Known(reason, result.ordering_timestamp, applicable)
    if applicable and reason is None:
        why = "its result in AWS Config does not begin with a reason of rolecall's; the rule's next sweep replaces it"
        return Unjudged(place, result.resource_id, why)
    difference = _difference(reason if applicable else None, shown)
    if difference is None:
        return None
    if shown and settled_before < shown.observed_at > recorded.ordering_timestamp:
        return Unjudged(place, result.resource_id, "its finding is newer than the result that AWS Config shows")
    return Discrepancy(difference, place, result.resource_id, recorded, shown)


def _difference(reason: Reason | None, shown: Shown | None) -> Difference | None:
    """`reason`: None for a result that is not applicable, for whatever reason."""
    if reason is None:
        return Difference.ORPHANED if shown else None
    status = compliance_status(reason)
    if shown is None:
        return Difference.MISSING if status.is_open else None
    if (shown.status, shown.reason) == (status, reason):
        return None
    return Difference.STALE if status.is_open else Difference.ORPHANED


def agrees(discrepancy: Discrepancy, evaluation: Evaluation) -> bool:
    """Whether a resource, judged again, is what AWS Config recorded; without a result, whether it needs no finding."""
    if discrepancy.recorded is None:
        return not compliance_status(evaluation.reason).is_open
    return discrepancy.recorded.agrees_with(evaluation.reason)


def restating(discrepancy: Discrepancy, evaluation: Evaluation) -> Evaluation:
    """The evaluation that mends a discrepancy with which it agrees.

    Its ordering timestamp is that of the recorded result (of the item, without one), but never below that of the record
    that the finding was made from: it replaces what is shown, and never what a later change brings.
    """
    recorded, shown = discrepancy.recorded, discrepancy.shown
    ordering = recorded.ordering_timestamp if recorded else evaluation.ordering_timestamp
    if shown:
        ordering = max(ordering, shown.observed_at)
    return replace(evaluation, ordering_timestamp=ordering)


def gone(discrepancy: Discrepancy) -> ConfigurationItem | None:
    """The item that says of an orphan that its instance is deleted; None for what is no orphan without a result.

    To be judged only where the instance is in no complete listing. Its capture time is that of the record which the
    finding was made from, so any later one prevails.
    """
    shown, place = discrepancy.shown, discrepancy.place
    if discrepancy.recorded or shown is None:
        return None
    partition = partition_of(None, place.region)
    return ConfigurationItem(
        resource_type=INSTANCE_TYPE,
        resource_id=discrepancy.resource_id,
        status=ItemStatus.RESOURCE_DELETED,
        capture_time=shown.observed_at,
        account=place.account,
        region=place.region,
        partition=partition,
        arn=f"arn:{partition}:ec2:{place.region}:{place.account}:instance/{discrepancy.resource_id}",
        instance=None,
    )
