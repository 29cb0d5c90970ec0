import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.errors import AwsError, InvalidItem, InvalidShard, RoleNotAssumed, ServiceError
from rolecall.evidence.collecting import Collected, Collector
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import ShardItem
from rolecall.evidence.rows import Agreement, EvidenceRow, EvidenceVerdict
from rolecall.evidence.shard_header import KeyCounts, Recorder, ShardHeader, WhyNot
from rolecall.evidence.shards import ShardReader
from rolecall.evidence.stores import FolderStore
from rolecall.parameters import RuleParameters, parse_parameters
from rolecall.recorded_results import RecordedResult
from tests.builders import (
    ABSENT,
    ACCOUNT,
    CAPTURED,
    INSTANCE_ID,
    REGION,
    RULE_ARN,
    RULE_NAME,
    exemption_tags,
    iso,
    query_row,
)
from tests.evidence.evidence_fakes import (
    RECORDING,
    FakeEvidence,
    Fuse,
    Killed,
    KillingStore,
    credential_report,
    recorded_result,
)

DAY = CAPTURED.date()
NIGHT = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
"""When the shard of the day is collected."""
ITEM = ShardItem(DAY, ACCOUNT, REGION)
ROLE = "PROFILE_ATTACHED: it has one"
NONE = "NO_PROFILE: attach one"
EXEMPT = "EXEMPT: appliance"
YOUNG = NIGHT - timedelta(hours=5, minutes=59)
OLD = NIGHT - timedelta(hours=6)


def collected(
    folder: Path, evidence: FakeEvidence, item: ShardItem = ITEM
) -> tuple[ShardHeader, list[EvidenceRow], int]:
    """The shard that comes of it: header, rows, and results without an instance."""
    store = FolderStore(folder)
    made = Collector(evidence, store, lambda: NIGHT).collect(item)
    with store.open(made.key) as stream:
        reader = ShardReader(stream, made.key)
        rows = list(reader.rows())
    assert reader.footer is not None
    assert made.footer == reader.footer
    return reader.header, rows, reader.footer.unlisted


def result(said: str, ordering: datetime = CAPTURED, **changes: Any) -> list[RecordedResult]:  # noqa: ANN401 - fields
    """What is recorded of the instance."""
    return [recorded_result(INSTANCE_ID, said, ordering, **changes)]


BARE = query_row(profile=None)
STOPPED = query_row(profile=None, state="stopped")
LENIENT = RuleDefinition(RULE_NAME, RULE_ARN, parse_parameters({"evaluateStopped": "false"}))


@pytest.mark.parametrize(
    ("row", "recorded", "rule", "verdict", "agreement"),
    [
        pytest.param(query_row(), result(ROLE), None, "COMPLIANT", "AGREES", id="it has a role"),
        pytest.param(BARE, result(NONE), None, "NON_COMPLIANT", "AGREES", id="it has none"),
        pytest.param(
            query_row(profile=None, tags=exemption_tags()), result(EXEMPT), None, "EXEMPT", "AGREES", id="it is exempt"
        ),
        pytest.param(BARE, result(ROLE), None, "COMPLIANT", "DISAGREES", id="what is recorded is the verdict"),
        pytest.param(BARE, result(EXEMPT), None, "EXEMPT", "DISAGREES", id="COMPLIANT for another reason"),
        pytest.param(
            query_row(), result(ROLE, annotation="fine"), None, "COMPLIANT", "DISAGREES", id="an annotation not ours"
        ),
        pytest.param(BARE, result(ROLE, YOUNG), None, "COMPLIANT", "IN_FLIGHT", id="the result is young"),
        pytest.param(BARE, result(ROLE, OLD), None, "COMPLIANT", "DISAGREES", id="it is six hours old"),
        pytest.param(
            BARE, result(ROLE, OLD, recorded_at=YOUNG), None, "COMPLIANT", "IN_FLIGHT", id="it was recorded lately"
        ),
        pytest.param(
            query_row(profile=None, configurationItemCaptureTime=iso(YOUNG)),
            result(ROLE),
            None,
            "COMPLIANT",
            "IN_FLIGHT",
            id="the item is young",
        ),
        pytest.param(
            query_row(configurationItemCaptureTime=iso(YOUNG)),
            result(ROLE),
            None,
            "COMPLIANT",
            "AGREES",
            id="but agrees",
        ),
        pytest.param(BARE, [], None, "UNEVALUATED", "UNEVALUATED", id="nothing is recorded"),
        pytest.param(
            query_row(configurationItemCaptureTime=iso(YOUNG)), [], None, "UNEVALUATED", "IN_FLIGHT", id="nothing yet"
        ),
        pytest.param(STOPPED, [], LENIENT, "NOT_APPLICABLE", "AGREES", id="nothing, and that is right"),
        pytest.param(
            STOPPED,
            result("STOPPED: it is not judged"),
            LENIENT,
            "NOT_APPLICABLE",
            "AGREES",
            id="not applicable, and recorded as such",
        ),
        pytest.param(STOPPED, result(NONE), LENIENT, "NON_COMPLIANT", "DISAGREES", id="by the rule's own parameters"),
        pytest.param(
            query_row(configurationItemStatus="Odd"), result(ROLE), None, "COMPLIANT", "UNEVALUATED", id="unreadable"
        ),
        pytest.param(query_row(configuration=ABSENT), [], None, "UNEVALUATED", "UNEVALUATED", id="unreadable, unknown"),
        pytest.param(
            query_row(),
            [*result(NONE, OLD - timedelta(days=1)), *result(ROLE)],
            None,
            "COMPLIANT",
            "AGREES",
            id="newest",
        ),
        pytest.param(
            query_row(),
            [recorded_result("vol-1", NONE, CAPTURED, resource_type="AWS::EC2::Volume")],
            None,
            "UNEVALUATED",
            "UNEVALUATED",
            id="a result of something else",
        ),
    ],
)
def test_an_instance_is_what_is_recorded_of_it(  # noqa: PLR0913, PLR0917 - columns
    tmp_path: Path,
    row: object,
    recorded: list[RecordedResult],
    rule: RuleDefinition | None,
    verdict: str,
    agreement: str,
) -> None:
    """Its verdict is Config's, and its agreement is with the rule performed once more."""
    evidence = FakeEvidence([row], recorded)
    if rule:
        evidence.rule = rule
    _, [made], _ = collected(tmp_path, evidence)
    assert (made.verdict, made.agreement) == (EvidenceVerdict(verdict), Agreement(agreement))
    assert (made.reperformed is None) is bool(made.problem)


def test_an_exemption_holds_until_its_last_day_is_over(tmp_path: Path) -> None:
    """It is judged as of the day, though collected in the night after it."""
    row = query_row(profile=None, tags=exemption_tags(expires=str(DAY)))
    _, [made], _ = collected(tmp_path, FakeEvidence([row], result(EXEMPT)))
    assert made.agreement is Agreement.AGREES
    assert made.exemption is not None
    assert made.exemption.expires == DAY


def test_what_is_recorded_of_nobody_is_counted(tmp_path: Path) -> None:
    """An instance may be gone from the inventory before its result is; NOT_APPLICABLE ones linger by design."""
    results = [
        recorded_result("i-gone", NONE, CAPTURED),
        recorded_result("i-gone", ROLE, CAPTURED),
        recorded_result("i-deleted", "DELETED: it is gone", CAPTURED),
        *result(ROLE),
    ]
    assert collected(tmp_path, FakeEvidence([query_row()], results))[2] == 1


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_listings_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seen: list[tuple[int, int]], shuffled: random.Random
) -> None:
    """Whatever comes twice counts once, the newest; rows come out sorted, and the same rows give the same bytes."""
    seen = list(dict.fromkeys(seen))
    rows = [
        query_row(resourceId=f"i-{number}", configurationItemCaptureTime=iso(CAPTURED + timedelta(minutes=age)))
        for number, age in seen
    ]
    results = [recorded_result(f"i-{number}", ROLE, CAPTURED + timedelta(minutes=age)) for number, age in seen]

    def shard(rows: Sequence[object], results: Sequence[RecordedResult]) -> bytes:
        folder = tmp_path_factory.mktemp("shard")
        _, made, unlisted = collected(folder, FakeEvidence(rows, results))
        newest = {number: max(age for other, age in seen if other == number) for number, _ in seen}
        assert [row.resource_id for row in made] == sorted(f"i-{number}" for number in newest)
        assert {row.capture_time for row in made} == {CAPTURED + timedelta(minutes=age) for age in newest.values()}
        assert unlisted == 0
        return (folder / f"shards/{DAY}/{ACCOUNT}_{REGION}.jsonl.gz").read_bytes()

    first = shard(rows, results)
    shuffled.shuffle(rows)
    shuffled.shuffle(results)
    assert shard(rows, results) == first


DENIED = ServiceError("DescribeConfigurationRecorders", "AccessDeniedException", "no")
NO_ROLE = RoleNotAssumed(ACCOUNT, "rolecall-collector", "no")


FAILING = replace(RECORDING, last_status="FAILURE", last_error="InsufficientDeliveryPolicy:\n the bucket refuses")


@pytest.mark.parametrize(
    ("recorder", "why_not", "detail"),
    [
        pytest.param(RECORDING, None, "", id="it says no status"),
        pytest.param(replace(RECORDING, last_status="SUCCESS"), None, "", id="it works"),
        pytest.param(replace(RECORDING, frequency="DAILY"), None, "", id="it works daily"),
        pytest.param(replace(RECORDING, last_status="PENDING"), None, "", id="nothing has changed yet"),
        pytest.param(replace(RECORDING, last_status="NotApplicable"), None, "", id="it delivers nothing"),
        pytest.param(replace(FAILING, last_status="SUCCESS"), None, "", id="it has failed before"),
        pytest.param(FAILING, WhyNot.RECORDER_FAILING, "InsufficientDeliveryPolicy: the bucket refuses", id="it fails"),
        pytest.param(
            replace(FAILING, last_status="Failure", last_error=None),
            WhyNot.RECORDER_FAILING,
            "",
            id="it fails, as the model spells it, and nobody says why",
        ),
        pytest.param(
            replace(FAILING, last_error="x" * 600), WhyNot.RECORDER_FAILING, "x" * 500, id="it fails at length"
        ),
        pytest.param(
            replace(FAILING, records_instances=False),
            WhyNot.INSTANCES_NOT_RECORDED,
            "",
            id="it fails, but at something else",
        ),
        pytest.param(replace(FAILING, recording=False), WhyNot.RECORDER_STOPPED, "", id="it is off"),
        pytest.param(None, WhyNot.NO_RECORDER, "", id="there is none"),
        pytest.param(NO_ROLE, WhyNot.RECORDER_UNKNOWN, str(NO_ROLE), id="nobody is let in"),
        pytest.param(DENIED, WhyNot.RECORDER_UNKNOWN, str(DENIED), id="nobody may look"),
    ],
)
def test_what_the_recorder_does_decides_coverage(
    tmp_path: Path, recorder: Recorder | AwsError | None, why_not: WhyNot | None, detail: str
) -> None:
    """Where nobody knows whether it runs, nothing is covered; the rows are there whatever the header says."""
    header, rows, _ = collected(tmp_path, FakeEvidence([query_row()], result(ROLE), found_recorder=recorder))
    denied = isinstance(recorder, AwsError)
    assert (header.covered, header.why_not, header.detail) == (why_not is None, why_not, detail)
    assert header.recorder == (None if denied else recorder)
    assert header.recorder_problem == (str(recorder) if denied else "")
    assert [row.verdict for row in rows] == [EvidenceVerdict.COMPLIANT]


@pytest.mark.parametrize(
    ("recorder", "why_not"),
    [(DENIED, WhyNot.RECORDER_UNKNOWN), (FAILING, WhyNot.RECORDER_FAILING), (None, WhyNot.NO_RECORDER)],
)
def test_without_a_recorder_nobody_asks_for_the_rule(
    tmp_path: Path, recorder: Recorder | AwsError | None, why_not: WhyNot
) -> None:
    """That the rule is missing, too, shows in its name."""
    header, _, _ = collected(tmp_path, FakeEvidence([query_row()], rule=None, found_recorder=recorder))
    assert (header.why_not, header.rule_name) == (why_not, None)


def test_instances_without_a_rule_are_not_covered(tmp_path: Path) -> None:
    """They are in the population, judged by the deployed parameters, and unevaluated."""
    header, [row], _ = collected(tmp_path, FakeEvidence([query_row()], rule=None))
    assert (header.why_not, header.detail) == (WhyNot.RULE_MISSING, "1 instance")
    assert (header.rule_name, header.rule_arn, row.rule_name, row.rule_arn) == (None, None, RULE_NAME, None)
    assert row.verdict is EvidenceVerdict.UNEVALUATED


def test_an_empty_region_needs_no_rule_that_anybody_can_see(tmp_path: Path) -> None:
    """An aggregator shows no rule without results."""
    assert collected(tmp_path, FakeEvidence(rule=None))[0].covered


@pytest.mark.parametrize("recorder", [None, DENIED, FAILING])
def test_what_the_plan_knows_goes_before(tmp_path: Path, recorder: Recorder | AwsError | None) -> None:
    """A source that failed is why, whatever the recorder does."""
    item = ShardItem(DAY, ACCOUNT, REGION, why_not=WhyNot.SOURCE_FAILED, detail="not authorized")
    header, _, _ = collected(tmp_path, FakeEvidence(found_recorder=recorder), item)
    assert (header.why_not, header.detail) == (WhyNot.SOURCE_FAILED, "not authorized")


KEYS = ShardItem(DAY, ACCOUNT, REGION, credential_report=True)


def test_access_keys_are_counted_and_nothing_else_is_kept(tmp_path: Path) -> None:
    """The root user's apart; of the report, no name is in the shard."""
    report = credential_report(
        "<root_account>,arn,true,2019-01-01T00:00:00+00:00,false,N/A,false",
        "alice-secret,arn,true,2020-01-01T00:00:00+00:00,true,2026-01-01T00:00:00+00:00,false",
        "bob,arn,false,2018-01-01T00:00:00+00:00,not_supported,N/A,true",
    )
    header, _, _ = collected(tmp_path, FakeEvidence(report=(report, NIGHT)), KEYS)
    assert header.keys == KeyCounts(NIGHT, 2, 1, 2, 1, datetime(2019, 1, 1, tzinfo=UTC))
    assert "alice" not in FolderStoreText(tmp_path).whole


class FolderStoreText:
    """All that a folder's compressed files say."""

    def __init__(self, folder: Path) -> None:
        import gzip  # noqa: PLC0415 - here alone

        self.whole = "".join(gzip.decompress(path.read_bytes()).decode() for path in folder.rglob("*.gz"))


@pytest.mark.parametrize(
    ("report", "problem"),
    [(NO_ROLE, str(NO_ROLE)), ((b"user,arn", NIGHT), "credential report is ['user', 'arn']; allowed: a header with")],
)
def test_keys_that_cannot_be_counted_are_said_so(
    tmp_path: Path, report: tuple[bytes, datetime] | AwsError, problem: str
) -> None:
    """They are no zero, and keep nobody from the rest of the evidence."""
    header, _, _ = collected(tmp_path, FakeEvidence(report=report), KEYS)
    assert header.keys is None
    assert header.keys_problem.startswith(problem)


THROTTLED = ServiceError("GetComplianceDetailsByConfigRule", "ThrottlingException", "Rate exceeded")


@pytest.mark.parametrize(
    ("evidence", "error"),
    [
        (FakeEvidence([query_row()], result(ROLE), failing=THROTTLED), ServiceError),
        (FakeEvidence([query_row()], found_recorder=THROTTLED), ServiceError),
        (FakeEvidence(["no JSON"]), InvalidItem),
        (FakeEvidence([query_row(resourceId=ABSENT)]), InvalidItem),
        (FakeEvidence([query_row(accountId="999999999999")]), InvalidItem),
        (FakeEvidence([query_row(awsRegion="us-east-1")]), InvalidItem),
    ],
)
def test_a_shard_is_whole_or_not_there(tmp_path: Path, evidence: FakeEvidence, error: type[Exception]) -> None:
    """A listing that fails, or a row of which nobody can say whose it is, fails the shard."""
    with pytest.raises(error):
        collected(tmp_path, evidence)
    assert not list(FolderStore(tmp_path).keys())


def collect(folder: Path, evidence: FakeEvidence) -> Collected:
    """Collect into a folder."""
    return Collector(evidence, FolderStore(folder), lambda: NIGHT).collect(ITEM)


def test_a_shard_is_collected_once(tmp_path: Path) -> None:
    """What is there counts: another run asks AWS for nothing and answers the same."""
    first = collect(tmp_path, FakeEvidence([query_row()], result(ROLE)))
    fuse = Fuse(0)
    assert collect(tmp_path, FakeEvidence([BARE], result(NONE), step=fuse.step)) == first
    assert fuse.steps == 0


def test_of_two_runs_at_once_the_first_to_write_counts(tmp_path: Path) -> None:
    """The other one finds it, and answers with what is there."""

    class Slow(FakeEvidence):
        def recorder(self) -> Recorder | None:
            self.other = collect(tmp_path, FakeEvidence([BARE], result(NONE)))
            return RECORDING

    slow = Slow([query_row()], result(ROLE))
    assert collect(tmp_path, slow) == slow.other


def test_a_damaged_shard_is_no_shard(tmp_path: Path) -> None:
    """Nobody writes over it, and nobody takes it for one."""
    made = collect(tmp_path, FakeEvidence())
    path = tmp_path / made.key
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidShard, match="cut off"):
        collect(tmp_path, FakeEvidence())


def test_a_shard_that_is_given_up_says_why(tmp_path: Path) -> None:
    """So that one account cannot keep a whole organization from its evidence; a shard that is there stays."""
    collector = Collector(FakeEvidence([query_row()], result(ROLE)), FolderStore(tmp_path), lambda: NIGHT)
    given_up = collector.give_up(ITEM, "ServiceError:\n  throttled")
    assert (given_up.header.why_not, given_up.header.detail) == (WhyNot.NOT_COLLECTED, "ServiceError: throttled")
    assert given_up.footer.rows == 0
    assert collector.collect(ITEM) == given_up


def test_collecting_may_be_killed_anywhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """At every call and every write; run again, the shard has the bytes that it would have had."""

    def evidence(fuse: Fuse) -> FakeEvidence:
        return FakeEvidence([query_row(), BARE], result(ROLE), step=fuse.step)

    def shard(folder: Path, fuse: Fuse) -> bytes:
        store = KillingStore(FolderStore(folder), fuse)
        made = Collector(evidence(fuse), store, lambda: NIGHT).collect(ITEM)
        return (folder / made.key).read_bytes()

    whole = Fuse()
    reference = shard(tmp_path_factory.mktemp("reference"), whole)
    assert whole.steps >= 8
    for at in range(whole.steps):
        folder = tmp_path_factory.mktemp("killed")
        with pytest.raises(Killed):
            shard(folder, Fuse(at))
        assert shard(folder, Fuse()) == reference


def test_a_summary_is_small_json(tmp_path: Path) -> None:
    """What the state machine gets to see."""
    assert collect(tmp_path, FakeEvidence([BARE], result(ROLE))).to_json() == {
        "key": f"shards/2026-03-01/{ACCOUNT}_{REGION}.jsonl.gz",
        "account": ACCOUNT,
        "region": REGION,
        "covered": True,
        "whyNot": None,
        "rows": 1,
        "verdicts": {"COMPLIANT": 1, "EXEMPT": 0, "NON_COMPLIANT": 0, "NOT_APPLICABLE": 0, "UNEVALUATED": 0},
        "disagreements": 1,
    }


def test_parameters_are_those_of_the_rule(tmp_path: Path) -> None:
    """As AWS Config has them there; a region without a rule shows those that are deployed."""
    header, [row], _ = collected(tmp_path, FakeEvidence([STOPPED], rule=LENIENT))
    assert header.parameters == row.parameters == LENIENT.parameters.to_strings()
    assert header.parameters != RuleParameters().to_strings()
