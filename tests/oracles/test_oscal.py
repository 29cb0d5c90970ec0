"""The assessment results as compliance-trestle reads them, and by NIST's own schema where that is at hand."""

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from trestle.common.err import TrestleError
from trestle.oscal.assessment_results import Model

from rolecall.evidence.coverage import Coverage
from rolecall.evidence.oscal import OSCAL, AssessmentResults, printable
from rolecall.evidence.package_files import json_texts
from rolecall.evidence.plan import Gap
from rolecall.evidence.rows import EvidenceRow
from rolecall.evidence.shard_header import WhyNot
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Exemption, ExemptionState, Reason
from tests.evidence.local_organization import LocalOrganization
from tests.evidence.made import ACCOUNT, DAY, PERIOD, REGION, evidence_row, exemption, instance_id
from tests.evidence.sample_days import Organization, header
from tests.evidence.week import DAYS, Week
from tests.strategies import texts

# Something that trestle loads leaves a finder of the kind that Python 3.12 dropped.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

NIST_SCHEMA = Path(__file__).parents[3] / "shared" / "data" / "evidence" / "oscal_ar_schema_1.2.1.json"
"""Where it lies beside the checkout: these tests do not need it, and validate by it when it is there."""


def _nist() -> list[Draft7Validator]:
    if not NIST_SCHEMA.exists():
        return []
    # Python's regular expressions know no Unicode categories.
    text = NIST_SCHEMA.read_text().replace(r"\\p{L}", r"[^\\W\\d_]").replace(r"\\p{N}", r"\\d")
    return [Draft7Validator(json.loads(text))]


VALIDATORS = _nist()


def validated(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """The document's assessment results, after everybody who can has looked at them."""
    for validator in VALIDATORS:
        assert [error.message for error in validator.iter_errors(document)] == []
    Model.model_validate(document)
    return document["assessment-results"]


def results_of(rows: Sequence[EvidenceRow], gaps: Sequence[Gap] = (), why_not: WhyNot | None = None) -> Any:  # noqa: ANN401 - as above
    """The assessment results of one account and region."""
    coverage, results = Coverage(), AssessmentResults(PERIOD)
    for row in rows:
        coverage.take_row(row)
        results.take_row(row)
    coverage.close_scope(header(ACCOUNT, REGION, DAY, why_not=why_not, detail="\n"), 0)
    results.close_scope(coverage.scopes[-1])
    document = json.loads("".join(json_texts(results.document(coverage, gaps))))
    coverage.close()
    results.close()
    return validated(document)


exemptions = st.builds(
    Exemption,
    state=st.just(ExemptionState.VALID),
    problem=st.just(""),
    reason=texts,
    approved_by=st.none() | texts,
    ticket=st.none() | texts,
    granted=st.none() | st.dates(),
    expires=st.none() | st.dates(),
)


@settings(max_examples=25)  # each is validated twice, and that is slow
@given(st.lists(exemptions, max_size=4))
def test_whatever_a_tag_says_the_document_is_valid(declared: list[Exemption]) -> None:
    """Line breaks, blanks, half a surrogate pair, the last day of all days."""
    rows = [evidence_row(Reason.EXEMPT, number, exemption=one) for number, one in enumerate(declared)]
    (result,) = results_of(rows)["results"]
    assert len(result.get("risks", [])) == len(declared)


def test_seven_days_of_an_organization_are_valid(tmp_path: Path) -> None:
    """Each of its packages; the subjects are the non-compliant and the exempt instances, and no other."""
    organization = Organization(tmp_path, date(2026, 3, 1))
    for number in range(7):
        totals = organization.package(number).totals
        results = validated(json.loads(organization.read(date(2026, 3, 1 + number), "assessment-results.oscal.json")))
        (result,) = results["results"]
        assert len(result["observations"]) == 6
        subjects = [one for observation in result["observations"] for one in observation.get("subjects", [])]
        verdicts = Counter(prop["value"] for one in subjects for prop in one["props"] if prop["name"] == "verdict")
        assert verdicts == {"NON_COMPLIANT": totals.non_compliant, "EXEMPT": totals.exempt}
        known = {one["uuid"] for one in result["local-definitions"]["inventory-items"]}
        assert {one["subject-uuid"] for one in subjects} == known


def test_a_validator_refuses_what_is_no_assessment_result() -> None:
    """Without its version, that is: the validators do look."""
    document = {"assessment-results": results_of([])}
    del document["assessment-results"]["metadata"]["oscal-version"]
    with pytest.raises((AssertionError, ValueError, TrestleError)):
        validated(document)


def test_an_exemption_is_an_approved_deviation() -> None:
    """With its approver, its deadline, and the day on which it was granted."""
    results = results_of([evidence_row(Reason.EXEMPT, 1)])
    (risk,) = results["results"][0]["risks"]
    (kim,) = [party for party in results["metadata"]["parties"] if party["type"] == "person"]
    (entry,) = risk["risk-log"]["entries"]
    assert (risk["status"], risk["deadline"], risk["statement"]) == (
        "deviation-approved",
        "2026-03-31T23:59:59.000Z",
        "licensed appliance, calls no AWS API",
    )
    assert kim["name"] == "Kim Doe"
    assert entry["logged-by"] == [{"party-uuid": kim["uuid"], "role-id": "exemption-approver"}]
    assert (entry["start"], entry["status-change"]) == ("2026-02-01T00:00:00.000Z", "deviation-approved")
    assert {prop["name"]: prop["value"] for prop in risk["props"]} == {
        "ticket": "SEC-7",
        "granted": "2026-02-01",
        "expires": "2026-03-31",
    }


def test_without_an_approver_nobody_is_said_to_have_approved() -> None:
    """The deviation is requested, and has no log."""
    (risk,) = results_of([evidence_row(Reason.EXEMPT, 1, exemption=exemption(approved_by=None))])["results"][0]["risks"]
    assert (risk["status"], "risk-log" in risk) == ("deviation-requested", False)


GAP = Gap("999900001111", WhyNot.ACCOUNT_NOT_ACTIVE, "SUSPENDED")


@pytest.mark.parametrize(
    ("reasons", "gaps", "why_not", "expected"),
    [
        pytest.param([Reason.PROFILE_ATTACHED, Reason.EXEMPT], [], None, ("satisfied", "pass"), id="all well"),
        pytest.param(
            [Reason.PROFILE_ATTACHED, Reason.NO_PROFILE], [], None, ("not-satisfied", "fail"), id="one without"
        ),
        pytest.param([Reason.PROFILE_ATTACHED], [GAP], None, ("not-satisfied", "other"), id="an account out of sight"),
        pytest.param([], [], WhyNot.NO_RECORDER, ("not-satisfied", "other"), id="a region out of sight"),
        *(
            pytest.param(
                [Reason.PROFILE_ATTACHED], [], why_not, ("not-satisfied", "other"), id=f"nothing but {why_not}"
            )
            for why_not in WhyNot
        ),
    ],
)
def test_a_requirement_is_satisfied_when_everything_was_seen_and_nothing_is_wrong(
    reasons: list[Reason], gaps: list[Gap], why_not: WhyNot | None, expected: tuple[str, str]
) -> None:
    """One finding for each requirement of each framework."""
    rows = [evidence_row(reason, number) for number, reason in enumerate(reasons)]
    findings = results_of(rows, gaps, why_not)["results"][0]["findings"]
    assert [one["title"] for one in findings] == [str(requirement) for requirement in REQUIREMENTS]
    assert {(one["target"]["status"]["state"], one["target"]["status"]["reason"]) for one in findings} == {expected}
    targets = {one["title"]: one["target"]["target-id"] for one in findings}
    assert targets["NIST SP 800-53 r5/CM-6(a)"] == "cm-6_smt.a"
    assert targets["CIS AWS Foundations Benchmark v5.0.0/1.17"] == "cis-aws-foundations-benchmark_v5.0.0_1.17"
    assert len(set(targets.values())) == len(REQUIREMENTS)


def test_completeness_is_attested_with_what_is_missing() -> None:
    """In words: the sum, and every account and region that is not in it."""
    results = results_of([evidence_row(Reason.NO_PROFILE)], [GAP], WhyNot.RECORDER_STOPPED)
    parts = {part["name"]: part["prose"] for part in results["results"][0]["attestations"][0]["parts"]}
    assert parts["completeness"] == (
        "The population is 1 instance: 0 compliant, 0 exempt, 1 non-compliant, 0 not applicable, 0 not evaluated. "
        f"Not covered: 999900001111: ACCOUNT_NOT_ACTIVE; {ACCOUNT} in {REGION}: RECORDER_STOPPED."
    )


def test_an_observation_says_in_words_what_it_is_the_sum_of() -> None:
    """No name of a field stands in prose."""
    rows = [evidence_row(reason, number) for number, reason in enumerate([Reason.NO_PROFILE, Reason.EXEMPT])]
    (observation,) = results_of(rows)["results"][0]["observations"]
    assert observation["description"] == (
        f"2 EC2 instances of account {ACCOUNT} in {REGION}, by what AWS Config recorded: 0 compliant, 1 exempt, "
        "1 non-compliant, 0 not applicable, 0 not evaluated."
    )


def test_every_fragment_leads_to_a_resource_of_the_document() -> None:
    """By its UUID, as OSCAL has it: there is no other document that the assessment plan could be in."""
    document = results_of([evidence_row()])
    resources = {resource["uuid"]: resource["title"] for resource in document["back-matter"]["resources"]}
    fragment = document["import-ap"]["href"]
    assert (fragment[0], resources[fragment[1:]]) == ("#", "Assessment plan")
    assert re.findall(r'"#[^"]*"', json.dumps(document)) == [f'"{fragment}"']


def test_the_same_instance_has_the_same_id_on_every_day() -> None:
    """Version 5 UUIDs of what they stand for: two documents can be compared."""
    one, other = (results_of([evidence_row(reason, 1)]) for reason in (Reason.EXEMPT, Reason.NO_PROFILE))
    (item,), (again,) = (each["results"][0]["local-definitions"]["inventory-items"] for each in (one, other))
    assert item == again
    assert item["uuid"][14] == "5"
    assert instance_id(1) in item["description"]


@given(texts)
def test_a_printable_text_is_one_line_that_is_not_empty(text: str) -> None:
    """As OSCAL's strings must be."""
    line = printable(text)
    assert line
    assert line == " ".join(line.split())
    line.encode()


def test_what_an_organization_leaves_behind_in_seven_days() -> None:
    """Every package's assessment results; each document is one of its own."""
    week = Week(LocalOrganization)
    try:
        week.live()
        read = [validated(week.document(day, OSCAL)) for day in week.days]
    finally:
        week.organization.close()
    assert len({document["uuid"] for document in read}) == DAYS
