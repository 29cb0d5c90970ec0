import tracemalloc
from datetime import timedelta
from typing import Any

import pytest

from rolecall.findings.identity import ComplianceStatus, generator_id
from rolecall.findings.shown import Place, Shown, ShownFindings
from rolecall.model import Reason
from tests.builders import ACCOUNT, CAPTURED, INSTANCE_ID, REGION, RULE_NAME, Json, changed
from tests.findings.shown_findings import shown

HOME = Place(ACCOUNT, REGION)
OTHER = Place("444455556666", "us-east-1")
GENERATOR = generator_id(RULE_NAME)


def _elsewhere(place: Place) -> Json:
    return {"awsAccountId": place.account, "awsRegion": place.region}


def test_a_finding_is_read_back() -> None:
    """Where it is, whose it is, what it says, and of when."""
    findings = ShownFindings(
        GENERATOR, [shown(Reason.EXEMPT, "i-1"), shown(Reason.NO_PROFILE, "i-1", **_elsewhere(OTHER))]
    )
    assert (findings.places(), len(findings)) == ([HOME, OTHER], 2)
    assert findings.take(HOME, "i-1") == Shown(ComplianceStatus.WARNING, Reason.EXEMPT, CAPTURED)
    assert findings.take(HOME, "i-1") is None
    assert list(findings.take_all(OTHER)) == [("i-1", Shown(ComplianceStatus.FAILED, Reason.NO_PROFILE, CAPTURED))]
    assert (findings.places(), len(findings), findings.foreign) == ([], 0, [])


def test_a_copy_in_the_aggregation_region_is_of_where_it_was_imported() -> None:
    """The region of the product's ARN counts, not where the copy is shown."""
    copy = shown(Reason.NO_PROFILE, "i-1", **_elsewhere(OTHER)) | {"Region": REGION}
    assert ShownFindings(GENERATOR, [copy]).places() == [OTHER]


ODD: list[tuple[str, Json, Shown]] = [
    ("no status reasons", {"Compliance": {"Status": "FAILED"}}, Shown(ComplianceStatus.FAILED, None, CAPTURED)),
    ("a reason that is none of ours",
     {"Compliance": {"Status": "FAILED", "StatusReasons": [{"ReasonCode": "CONFIG_EVALUATIONS_EMPTY"}]}},
     Shown(ComplianceStatus.FAILED, None, CAPTURED)),
    ("a status that is none", {"Compliance": {"Status": "SOMETHING"}}, Shown(None, None, CAPTURED)),
    ("no compliance at all", {"Compliance": None}, Shown(None, None, CAPTURED)),
]  # fmt: skip


@pytest.mark.parametrize(("what", "changes", "expected"), ODD, ids=[row[0] for row in ODD])
def test_what_is_not_said_is_none(what: str, changes: Json, expected: Shown) -> None:
    """Such a finding differs from any result, so it is stated again."""
    findings = ShownFindings(GENERATOR, [changed(shown(Reason.NO_PROFILE, INSTANCE_ID), changes)])
    assert findings.take(HOME, INSTANCE_ID) == expected, what


FOREIGN: list[tuple[str, Any]] = [
    ("another rule's id", {"Id": f"rolecall/other/{ACCOUNT}/{REGION}/{INSTANCE_ID}"}),
    ("another account's id", {"AwsAccountId": "444455556666"}),
    ("no product", {"ProductArn": None}),
    ("no time", {"LastObservedAt": None, "UpdatedAt": "yesterday"}),
]


@pytest.mark.parametrize(("what", "changes"), FOREIGN, ids=[row[0] for row in FOREIGN])
def test_what_rolecall_did_not_make_is_left_alone(what: str, changes: Json) -> None:
    """It is counted and named: nobody may archive somebody else's finding."""
    finding = changed(shown(Reason.NO_PROFILE, INSTANCE_ID), changes)
    findings = ShownFindings(GENERATOR, [finding] * 30)
    assert (findings.places(), findings.foreign_count) == ([], 30), what
    assert findings.foreign == [finding["Id"]] * ShownFindings.NAMED


def test_a_hundred_thousand_findings_fit() -> None:
    """At most 250 bytes each, however large they are in Security Hub."""
    template = shown(Reason.NO_PROFILE, INSTANCE_ID)
    prefix = template["Id"].removesuffix(INSTANCE_ID)

    def listed(count: int) -> Any:  # noqa: ANN401 - an iterator of findings
        return ({**template, "Id": f"{prefix}i-{number:017x}"} for number in range(count))

    ShownFindings(GENERATOR, listed(10))
    tracemalloc.start()
    try:
        findings = ShownFindings(GENERATOR, listed(100_000))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(findings) == 100_000
    assert used < 250 * 100_000


def test_time_is_kept_to_the_millisecond() -> None:
    """Ordering timestamps have no more."""
    observed = CAPTURED + timedelta(milliseconds=1)
    findings = ShownFindings(GENERATOR, [shown(Reason.NO_PROFILE, INSTANCE_ID, observed)])
    assert findings.take(HOME, INSTANCE_ID) == Shown(ComplianceStatus.FAILED, Reason.NO_PROFILE, observed)
