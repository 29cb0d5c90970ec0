from datetime import UTC, datetime, timedelta

import pytest

from rolecall.evidence.comparing import Comparison, RuleDefinition
from rolecall.evidence.manifest import Period
from rolecall.evidence.rows import Agreement, RecordedVerdict
from rolecall.model import ExemptionState, Reason
from rolecall.parameters import RuleParameters
from tests.builders import ACCOUNT, CAPTURED, INSTANCE_ID, REGION, RULE_ARN, RULE_NAME, exemption_tags, query_row

DAY = CAPTURED.date()
MIDNIGHT = Period.of_day(DAY).end
RULE = RuleDefinition(RULE_NAME, RULE_ARN, RuleParameters())


def recorded(reason: Reason, recorded_at: datetime | None) -> RecordedVerdict:
    """Of an item that is as old as the instance."""
    return RecordedVerdict(reason.compliance_type, reason, f"{reason}: told", CAPTURED, RULE_NAME, recorded_at)


def hours(number: float) -> datetime:
    """After the midnight on which the exemption is over; before it, below 0."""
    return MIDNIGHT + timedelta(hours=number)


@pytest.mark.parametrize("collected_at", [hours(6), hours(12), hours(23), datetime(2026, 4, 1, tzinfo=UTC)])
@pytest.mark.parametrize(
    ("reason", "recorded_at", "reperformed", "agreement"),
    [
        pytest.param("EXEMPTION_EXPIRED", hours(0.5), "EXEMPTION_EXPIRED", "AGREES", id="over, and recorded after it"),
        pytest.param("EXEMPT", hours(-10), "EXEMPT", "AGREES", id="recorded while it was in force"),
        pytest.param("EXEMPT", None, "EXEMPT", "AGREES", id="nobody knows when it was recorded"),
        pytest.param("EXEMPTION_EXPIRED", hours(-10), "EXEMPT", "DISAGREES", id="recorded as over before it was"),
        pytest.param("EXEMPTION_EXPIRED", None, "EXEMPT", "DISAGREES", id="over, and nobody knows since when"),
        pytest.param(
            "EXEMPT", hours(0.5), "EXEMPTION_EXPIRED", "DISAGREES", id="recorded as in force when it was over"
        ),
    ],
)
def test_an_exemption_that_is_over_at_midnight_is_looked_at_when_it_was_recorded(
    reason: str, recorded_at: datetime | None, reperformed: str, agreement: str, collected_at: datetime
) -> None:
    """Whenever it is collected: at the day's end, or later where Config recorded its result later."""
    judged_at = MIDNIGHT - timedelta(milliseconds=1)
    comparison = Comparison(ACCOUNT, REGION, {RULE_NAME: RULE}, RULE, "0.1.0", judged_at, collected_at)
    listed = query_row(profile=None, tags=exemption_tags(expires=str(DAY)))
    row = comparison.row(INSTANCE_ID, listed, recorded(Reason(reason), recorded_at))
    assert row.reperformed is not None
    assert row.exemption is not None
    # Under six hours after it was recorded, a difference may still be on its way.
    young = agreement == "DISAGREES" and recorded_at == hours(0.5) and collected_at == hours(6)
    assert (row.reperformed.reason, row.agreement, row.exemption.state) == (
        Reason(reperformed),
        Agreement.IN_FLIGHT if young else Agreement(agreement),
        ExemptionState.VALID if reperformed == "EXEMPT" else ExemptionState.EXPIRED,
    )
