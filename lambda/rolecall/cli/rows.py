"""An evaluation as one flat row: the fields that every machine-readable format has, under the same names."""

from datetime import date

from rolecall.model import Evaluation
from rolecall.record import timestamp

FIELDS = (
    "account",
    "region",
    "resource_type",
    "resource_id",
    "arn",
    "compliance_type",
    "reason",
    "annotation",
    "profile_arn",
    "exemption_state",
    "exemption_reason",
    "exemption_approved_by",
    "exemption_ticket",
    "exemption_granted",
    "exemption_expires",
    "exemption_problem",
    "instance_state",
    "capture_time",
    "evaluated_at",
    "source",
)
"""New fields may be added at the end; these keep their names, meaning and order."""


def row(evaluation: Evaluation, source: str) -> dict[str, str | None]:
    """All of `FIELDS`, None where an item has no such fact. Times are UTC, to the millisecond; days are YYYY-MM-DD."""
    item, instance, exemption = evaluation.item, evaluation.item.instance, evaluation.exemption
    values = (
        item.account,
        item.region,
        item.resource_type,
        item.resource_id,
        item.arn or None,
        evaluation.compliance_type.value,
        evaluation.reason.value,
        evaluation.annotation,
        instance.profile_arn if instance else None,
        exemption.state.value if exemption else None,
        exemption.reason if exemption else None,
        exemption.approved_by if exemption else None,
        exemption.ticket if exemption else None,
        _day(exemption.granted) if exemption else None,
        _day(exemption.expires) if exemption else None,
        (exemption.problem or None) if exemption else None,
        instance.state.value if instance else None,
        timestamp(item.capture_time),
        timestamp(evaluation.evaluated_at),
        source,
    )
    return dict(zip(FIELDS, values, strict=True))


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
