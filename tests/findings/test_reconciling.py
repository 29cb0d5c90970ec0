from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import ServiceError
from rolecall.findings.identity import compliance_status, generator_id
from rolecall.findings.lifecycle import FindingRow, FindingState, Import, decide
from rolecall.findings.reconciling import Difference, Discrepancy, Unjudged, agrees, differences, gone, restating
from rolecall.findings.shown import Place, Shown, ShownFindings
from rolecall.model import ComplianceType, Reason
from rolecall.recorded_results import Known, RecordedResult
from rolecall.rule import evaluate
from tests.builders import ACCOUNT, CAPTURED, INSTANCE_ID, NOW, REGION, RULE_NAME, Json
from tests.findings.shown_findings import PARAMETERS, SETTINGS, SHAPES, evaluated, is_open, record_of, result, shown

HOME = Place(ACCOUNT, REGION)
GENERATOR = generator_id(RULE_NAME)
LATER = CAPTURED + timedelta(minutes=1)
SETTLED = LATER + timedelta(hours=1)
"""Everything is old enough, unless a test says otherwise."""


def compare(
    results: Iterable[RecordedResult], findings: Iterable[Json], *, settled: datetime = SETTLED, unproven: str = ""
) -> list[Discrepancy | Unjudged]:
    """All that is wrong at home."""
    held = ShownFindings(GENERATOR, findings)
    return list(differences(HOME, results, held, settled_before=settled, unproven=unproven))


def _known(reason: Reason, ordering: datetime = CAPTURED) -> Known:
    return Known(reason, ordering, reason.compliance_type is not ComplianceType.NOT_APPLICABLE)


def _shown(reason: Reason, observed: datetime = CAPTURED) -> Shown:
    return Shown(compliance_status(reason), reason, observed)


FAILING, EXEMPT, ATTACHED, EXPIRED = (
    Reason.NO_PROFILE,
    Reason.EXEMPT,
    Reason.PROFILE_ATTACHED,
    Reason.EXEMPTION_EXPIRED,
)

TABLE: list[tuple[str, Reason | None, Reason | None, Difference | None]] = [
    ("failing, with its finding", FAILING, FAILING, None),
    ("exempt, with its finding", EXEMPT, EXEMPT, None),
    ("failing, without a finding", FAILING, None, Difference.MISSING),
    ("exempt, without a finding", EXEMPT, None, Difference.MISSING),
    ("another reason for failing", EXPIRED, FAILING, Difference.STALE),
    ("exempt, but shown as failing", EXEMPT, FAILING, Difference.STALE),
    ("failing, but shown as exempt", FAILING, EXEMPT, Difference.STALE),
    ("failing, but shown as passed", FAILING, ATTACHED, Difference.STALE),
    ("a profile, but shown as failing", ATTACHED, FAILING, Difference.ORPHANED),
    ("a profile, but shown as exempt", ATTACHED, EXEMPT, Difference.ORPHANED),
    ("a profile, and no finding", ATTACHED, None, None),
    ("a profile, and a finding that a setting keeps", ATTACHED, ATTACHED, None),
    ("terminated, but shown as failing", Reason.TERMINATING, FAILING, Difference.ORPHANED),
    ("terminated, but kept as passed", Reason.TERMINATING, ATTACHED, Difference.ORPHANED),
    ("terminated, and no finding", Reason.TERMINATING, None, None),
    ("no result, but a finding", None, FAILING, Difference.ORPHANED),
    ("no result, but a finding that says exempt", None, EXEMPT, Difference.ORPHANED),
    ("neither", None, None, None),
]


@pytest.mark.parametrize(("what", "recorded", "there", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_one_resource(what: str, recorded: Reason | None, there: Reason | None, expected: Difference | None) -> None:
    """What Config recorded of an instance beside what Security Hub shows."""
    found = compare([result(recorded, INSTANCE_ID)] if recorded else [], [shown(there, INSTANCE_ID)] if there else [])
    known = _known(recorded) if recorded else None
    wanted = [Discrepancy(expected, HOME, INSTANCE_ID, known, _shown(there) if there else None)] if expected else []
    assert found == wanted, what


def test_a_finding_of_another_place_is_none_of_this_one() -> None:
    """It stays for whoever compares that place."""
    elsewhere = shown(FAILING, INSTANCE_ID, awsRegion="us-east-1")
    held = ShownFindings(GENERATOR, [elsewhere])
    found = list(differences(HOME, [result(FAILING, INSTANCE_ID)], held, settled_before=SETTLED))
    assert [one.difference for one in found if isinstance(one, Discrepancy)] == [Difference.MISSING]
    assert held.places() == [Place(ACCOUNT, "us-east-1")]


def test_a_result_of_another_resource_type_has_no_finding() -> None:
    """The rule was once put with another scope."""
    other = result(FAILING, INSTANCE_ID)._replace(resource_type="AWS::EC2::Volume")
    assert compare([other], []) == []


def test_a_result_that_is_none_of_rolecalls_is_named() -> None:
    """Its reason is unknown, so nothing can be said of the finding, which stays as it is."""
    foreign = result(FAILING, "i-1")._replace(annotation="checked by hand")
    assert compare([foreign], [shown(FAILING, "i-1")]) == [
        Unjudged(
            HOME,
            "i-1",
            ("its result in AWS Config does not begin with a reason of rolecall's; the rule's next sweep replaces it"),
        )
    ]


NEWER = "its finding is newer than the result that AWS Config shows"
ALONE = "its finding may be newer than the results that AWS Config shows"

IN_FLIGHT: list[tuple[str, Reason | None, datetime, datetime, str | None]] = [
    ("a finding that was just made, of a result that is not there yet", None, LATER, CAPTURED, ALONE),
    ("the same once it has settled", None, LATER, LATER, None),
    ("a finding that is newer than the result", FAILING, LATER, CAPTURED, NEWER),
    ("the same once it has settled", FAILING, LATER, LATER, None),
    ("a finding that is older than the result", FAILING, CAPTURED, CAPTURED - timedelta(days=1), None),
    ("a finding that is newer than a closing result", ATTACHED, LATER, CAPTURED, NEWER),
]


@pytest.mark.parametrize(("what", "recorded", "observed", "settled", "why"), IN_FLIGHT)
def test_what_may_be_on_its_way_is_not_judged(
    what: str, recorded: Reason | None, observed: datetime, settled: datetime, why: str | None
) -> None:
    """Inventories lag behind: a finding that is newer than what was read proves the reading old, not the finding."""
    results = [result(recorded, "i-1")] if recorded else []
    [found] = compare(results, [shown(EXEMPT, "i-1", observed)], settled=settled)
    assert (found == Unjudged(HOME, "i-1", why)) if why else isinstance(found, Discrepancy), what


def test_nothing_is_orphaned_unless_the_listing_is_complete() -> None:
    """What has a result is judged; the rest is counted, and named with the reason."""
    results = [result(FAILING, "i-1"), result(FAILING, "i-2"), result(ATTACHED, "i-3")]
    there = [shown(EXEMPT, "i-1"), shown(FAILING, "i-3"), *(shown(FAILING, f"i-{number}") for number in (4, 5))]
    found = compare(results, there, unproven="its source FAILED")
    assert [(one.difference, one.resource_id) for one in found if isinstance(one, Discrepancy)] == [
        (Difference.STALE, "i-1"),
        (Difference.MISSING, "i-2"),
        (Difference.ORPHANED, "i-3"),
    ]
    assert found[3:] == [
        Unjudged(
            HOME,
            None,
            ("2 active findings have no result, which may be because the results are not complete: its source FAILED"),
        )
    ]


def test_a_listing_that_breaks_off_proves_nothing() -> None:
    """Its error goes on; what was not compared until then is still held, unjudged."""

    def broken() -> Iterator[RecordedResult]:
        yield result(FAILING, "i-1")
        raise ServiceError("GetComplianceDetailsByConfigRule", "ThrottlingException", "Rate exceeded")

    held = ShownFindings(GENERATOR, [shown(FAILING, "i-2"), shown(FAILING, "i-3")])
    compared = differences(HOME, broken(), held, settled_before=SETTLED)
    assert isinstance(next(compared), Discrepancy)
    with pytest.raises(ServiceError):
        list(compared)
    assert len(held) == 2


AGREEMENT: list[tuple[str, Reason | None, Reason, bool]] = [
    ("the same reason", FAILING, FAILING, True),
    ("another reason", FAILING, EXPIRED, False),
    ("it passes by now", FAILING, ATTACHED, False),
    ("not applicable for whatever reason", Reason.TERMINATING, Reason.DELETED, True),
    ("it fails by now", Reason.TERMINATING, FAILING, False),
    ("without a result, what needs no finding", None, ATTACHED, True),
    ("without a result, a deleted instance", None, Reason.DELETED, True),
    ("without a result, what fails", None, FAILING, False),
    ("without a result, what is exempt", None, EXEMPT, False),
]


@pytest.mark.parametrize(("what", "recorded", "judged", "expected"), AGREEMENT, ids=[row[0] for row in AGREEMENT])
def test_only_what_config_recorded_is_told(what: str, recorded: Reason | None, judged: Reason, expected: bool) -> None:
    """Where a resource, judged again, comes to something else, the next sweep has to mend that first."""
    known = _known(recorded) if recorded else None
    discrepancy = Discrepancy(Difference.ORPHANED, HOME, INSTANCE_ID, known, None)
    assert agrees(discrepancy, evaluated(judged, INSTANCE_ID)) is expected, what


def test_a_deleted_instance_is_told_as_of_its_finding() -> None:
    """So that whatever became known later prevails."""
    orphan = Discrepancy(Difference.ORPHANED, HOME, INSTANCE_ID, None, _shown(FAILING, LATER))
    item = gone(orphan)
    assert item is not None
    made = evaluate(item, PARAMETERS, NOW)
    assert (made.reason, made.ordering_timestamp) == (Reason.DELETED, LATER)
    assert item.arn == f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE_ID}"


@pytest.mark.parametrize(
    "discrepancy",
    [
        Discrepancy(Difference.MISSING, HOME, INSTANCE_ID, _known(FAILING), None),
        Discrepancy(Difference.ORPHANED, HOME, INSTANCE_ID, _known(ATTACHED), _shown(FAILING)),
    ],
)
def test_what_has_a_result_is_not_gone(discrepancy: Discrepancy) -> None:
    """A missing row proves nothing against what Config recorded."""
    assert gone(discrepancy) is None


reasons = st.sampled_from([*SHAPES, Reason.DELETED])
orderings = st.integers(0, 3).map(lambda number: CAPTURED + timedelta(milliseconds=number))
pasts = st.dictionaries(
    st.sampled_from([f"i-{number}" for number in range(5)]),
    st.tuples(
        st.none() | st.tuples(reasons, orderings),
        st.none() | st.tuples(reasons.filter(is_open), orderings),
    ),
)
"""By instance: what Config recorded, and what its active finding was made from."""


@given(pasts)
def test_what_is_mended_differs_no_more(past: dict[str, tuple[tuple[Reason, datetime] | None, ...]]) -> None:
    """For any results and findings: the records make the findings function show what Config recorded, and no other.

    The rows are those that the function wrote when it imported what is shown.
    """
    recorded = {name: one for name, (one, _) in past.items() if one}
    rows = {name: _row(name, *one) for name, (_, one) in past.items() if one}
    findings = {name: shown(*_args(name, one)) for name, (_, one) in past.items() if one}
    results = [result(reason, name, ordering) for name, (reason, ordering) in recorded.items()]

    found = compare(results, findings.values())
    assert {one.resource_id for one in found if isinstance(one, Discrepancy)} == {
        name
        for name, (one, other) in past.items()
        if _expected(one[0] if one else None) != (other[0] if other else None)
    }
    for one in found:
        assert isinstance(one, Discrepancy)
        now_is = one.recorded.reason if one.recorded and one.recorded.reason else Reason.DELETED
        judged = evaluated(now_is, one.resource_id, now=NOW + timedelta(hours=1))
        assert agrees(one, judged)
        decision = decide(record_of(restating(one, judged)), rows.get(one.resource_id), SETTINGS, NOW)
        assert isinstance(decision, Import)
        findings[one.resource_id] = decision.finding
    active = [one for one in findings.values() if one["RecordState"] == "ACTIVE"]
    assert compare(results, active) == []


def _expected(recorded: Reason | None) -> Reason | None:
    return recorded if recorded and is_open(recorded) else None


def _args(name: str, made_from: tuple[Reason, datetime]) -> tuple[Reason, str, datetime]:
    return made_from[0], name, made_from[1]


def _row(name: str, reason: Reason, observed: datetime) -> FindingRow:
    record = record_of(restating(Discrepancy(Difference.STALE, HOME, name, _known(reason, observed), None),
                                 evaluated(reason, name)))  # fmt: skip
    decision = decide(record, None, SETTINGS, NOW)
    assert isinstance(decision, Import)
    assert decision.row.state is FindingState.ACTIVE
    return decision.row
