import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rolecall.errors import IncompleteRun, OutOfTime, RolecallError, ServiceError
from rolecall.events import TEST_TOKEN
from rolecall.items import configuration_item
from rolecall.model import INSTANCE_TYPE, ComplianceType, Reason
from rolecall.parameters import RuleParameters
from rolecall.recorded_results import Known, RecordedResult, RecordedResults, recorded_reason
from rolecall.responding import Responder
from rolecall.rule import evaluate
from rolecall.sweep import REFRESH_DAYS, refresh_is_due
from tests.builders import (
    CAPTURED,
    INSTANCE_ID,
    NOW,
    PROFILE_ARN,
    Json,
    api_item,
    deleted_item,
    exemption_tags,
    iso,
    notification_item,
    query_row,
    scheduled_event,
)
from tests.fakes import FakeBus, FakeConfig, FakeTelemetry, Run

MILLISECOND = timedelta(milliseconds=1)
LATER = CAPTURED + timedelta(hours=2)
NO_TELLING = next(NOW + timedelta(day) for day in range(2) if not refresh_is_due(INSTANCE_ID, NOW + timedelta(day)))
"""A day on which the tests' instance is not refreshed."""

OVER = exemption_tags(expires=f"{NOW - timedelta(days=1):%Y-%m-%d}")
RUNNING_ON = exemption_tags(expires="2026-12-31")

THROTTLED = ServiceError("SelectResourceConfig", "ThrottlingException", "Rate exceeded")
TIME_IS_OVER = OutOfTime("GetResourceConfigHistory", 5.0)


class Account:
    """The rule in an account, and what became of its sweeps."""

    def __init__(self, rows: Sequence[object] = (), *, now: datetime = NO_TELLING) -> None:
        self.config = FakeConfig(rows)
        self.bus = FakeBus()
        self.telemetry = FakeTelemetry()
        self.now = now
        self.responder = Responder(lambda _: self.config, self.bus, self.telemetry, lambda: self.now)

    def sweep(self, **changes: Any) -> Run:  # noqa: ANN401 - any key of the event
        """Answer a ScheduledNotification; an error goes on to the caller."""
        try:
            self.responder.respond(scheduled_event(**changes))
        finally:
            self.last = self.telemetry.runs[-1]
        return self.last

    def sweep_in_vain(self) -> RolecallError:
        """The error in which a sweep ends."""
        with pytest.raises(RolecallError) as failed:
            self.sweep()
        assert not self.last.completed
        return failed.value

    def put(self) -> list[tuple[str, Reason, datetime]]:
        """Id, reason and ordering timestamp of everything put, in its order."""
        return [
            (one.item.resource_id, one.reason, one.ordering_timestamp)
            for evaluations, _, _ in self.config.calls
            for one in evaluations
        ]

    def published(self) -> list[tuple[str, str, str]]:
        """Id, kind and reason of every record."""
        return [(record["resourceId"], record["kind"], record["reason"]) for record in self.bus.records]


def numbered(number: int) -> str:
    """The id of an instance."""
    return f"i-{number:017x}"


def row(number: int, **changes: Any) -> Json:  # noqa: ANN401 - any key of a row
    """A row of an advanced query for instance `number`."""
    return query_row(resourceId=numbered(number), **changes)


def result(
    annotation: str = "NO_PROFILE: attach one",
    compliance_type: str = "NON_COMPLIANT",
    ordering: datetime = CAPTURED,
    resource_id: str = INSTANCE_ID,
) -> RecordedResult:
    """A recorded result of the tests' instance."""
    return RecordedResult(INSTANCE_TYPE, resource_id, compliance_type, annotation, ordering)


def recorded_as_judged(rows: Sequence[Json]) -> dict[str, RecordedResult]:
    """The results that a full evaluation of `rows` leaves."""
    config = FakeConfig()
    for one in rows:
        config.record(evaluate(configuration_item(one), RuleParameters(), NOW))
    return config.recorded


NO_PROFILE = query_row(profile=None)
PROFILE = query_row()
EXPIRED = query_row(profile=None, tags=OVER)

Expected = tuple[Reason, datetime] | None

COMPARISONS: list[tuple[str, RecordedResult | None, Json | None, Json | None, Expected]] = [
    ("without a result: from its row, at the row's time", None, NO_PROFILE, None, (Reason.NO_PROFILE, CAPTURED)),
    ("without a result, and not applicable: nothing", None, query_row(state="terminated"), None, None),
    ("type and code as recorded, other words: nothing", result("NO_PROFILE: old advice"), NO_PROFILE, None, None),
    (
        "another code of the same type: a millisecond later",
        result("NO_PROFILE: attach one"),
        EXPIRED,
        None,
        (Reason.EXEMPTION_EXPIRED, CAPTURED + MILLISECOND),
    ),
    (
        "an exemption that expired: a millisecond later",
        result("EXEMPT: no role is intended", "COMPLIANT"),
        EXPIRED,
        None,
        (Reason.EXEMPTION_EXPIRED, CAPTURED + MILLISECOND),
    ),
    (
        "a newer item: at its own time",
        result(),
        PROFILE,
        api_item(configurationItemCaptureTime=LATER),
        (Reason.PROFILE_ATTACHED, LATER),
    ),
    (
        "recorded at a later time, as other rules put it: a millisecond after that",
        result(ordering=NOW),
        PROFILE,
        None,
        (Reason.PROFILE_ATTACHED, NOW + MILLISECOND),
    ),
    ("a row older than the result: its newest item decides", result(), PROFILE, api_item(profile=None), None),
    (
        "an annotation of somebody else: differs",
        result("no profile here"),
        NO_PROFILE,
        None,
        (Reason.NO_PROFILE, CAPTURED + MILLISECOND),
    ),
    (
        "a code without a colon: differs",
        result("NO_PROFILE"),
        NO_PROFILE,
        None,
        (Reason.NO_PROFILE, CAPTURED + MILLISECOND),
    ),
    ("no annotation: differs", result(""), NO_PROFILE, None, (Reason.NO_PROFILE, CAPTURED + MILLISECOND)),
    (
        "a code under another type: differs",
        result(compliance_type="COMPLIANT"),
        NO_PROFILE,
        None,
        (Reason.NO_PROFILE, CAPTURED + MILLISECOND),
    ),
    (
        "listed as terminated, and recorded: not applicable",
        result(),
        query_row(state="terminated"),
        None,
        (Reason.TERMINATING, CAPTURED + MILLISECOND),
    ),
    (
        "not listed, and deleted: not applicable, at the deletion's time",
        result(),
        None,
        deleted_item(configurationItemCaptureTime=iso(LATER)),
        (Reason.DELETED, LATER),
    ),
    (
        "not listed, and not recorded any more: not applicable",
        result(),
        None,
        deleted_item(configurationItemStatus="ResourceNotRecorded"),
        (Reason.NOT_RECORDED, CAPTURED + MILLISECOND),
    ),
    ("not listed, but as recorded: nothing", result(), None, api_item(profile=None), None),
    (
        "recorded as not applicable, and it is not: a millisecond later",
        result("STOPPED: it does not run", "NOT_APPLICABLE", ordering=NOW),
        NO_PROFILE,
        None,
        (Reason.NO_PROFILE, NOW + MILLISECOND),
    ),
    (
        "recorded as not applicable by somebody else: likewise",
        result("", "NOT_APPLICABLE"),
        PROFILE,
        api_item(configurationItemCaptureTime=LATER),
        (Reason.PROFILE_ATTACHED, LATER),
    ),
    (
        "recorded as not applicable, and still so for another reason: nothing",
        result("STOPPED: it does not run", "NOT_APPLICABLE"),
        query_row(state="terminated"),
        None,
        None,
    ),
    (
        "recorded as not applicable, and the row lags behind: its newest item decides",
        result("DELETED: it is gone", "NOT_APPLICABLE", ordering=LATER),
        PROFILE,
        deleted_item(configurationItemCaptureTime=iso(LATER)),
        None,
    ),
    (
        "not listed, but there, and different: its verdict",
        result(),
        None,
        api_item(),
        (Reason.PROFILE_ATTACHED, CAPTURED + MILLISECOND),
    ),
]


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize(("known", "listed", "newest", "expected"), [one[1:] for one in COMPARISONS])
def test_what_is_put_and_when(
    known: RecordedResult | None, listed: Json | None, newest: Json | None, expected: Expected, *, keeps: bool
) -> None:
    """Each difference is published and put once, and then there is none, whether or not Config keeps NOT_APPLICABLE."""
    account = Account([listed] if listed else [])
    account.config.keeps_not_applicable = keeps
    if known:
        account.config.recorded[INSTANCE_ID] = known
    if newest:
        account.config.newest[INSTANCE_ID] = newest
    run = account.sweep()
    assert account.put() == ([(INSTANCE_ID, *expected)] if expected else [])
    assert account.published() == ([(INSTANCE_ID, "verdict", expected[0].value)] if expected else [])
    differences = int(expected is not None)
    assert (run.seen, run.differences, sum(run.repaired.values()), run.completed) == (1, differences, differences, True)
    calls = len(account.config.calls)
    assert account.sweep().differences == 0
    assert len(account.config.calls) == calls


def test_only_what_may_differ_is_asked_for() -> None:
    """One call for the newest item of each nominated resource; none for those without a result or with an equal one."""
    account = Account([row(1, profile=None), row(2, profile=None), row(3)])
    account.config.recorded = recorded_as_judged([row(2, profile=None), row(3, profile=None), row(4)])
    account.config.newest[numbered(4)] = deleted_item(resourceId=numbered(4))
    account.sweep()
    assert account.config.confirmed == [numbered(3), numbered(4)]


def test_what_is_recorded_as_not_applicable_and_not_listed_is_left_alone() -> None:
    """Most instances that ever were are gone: each would cost a call, every day."""
    account = Account([row(1)])
    account.config.recorded = {
        **recorded_as_judged([row(1)]),
        **{numbered(n): result("DELETED: …", "NOT_APPLICABLE", resource_id=numbered(n)) for n in range(2, 9)},
    }
    assert account.sweep() == Run({}, 1, 0, completed=True)
    assert (account.config.confirmed, account.config.calls) == ([], [])


def test_an_instance_that_a_new_parameter_excludes_and_then_includes_is_judged_again_once() -> None:
    """A Config that keeps NOT_APPLICABLE would ignore a verdict at the item's own time, and each sweep repeat it."""
    account = Account([query_row(state="stopped", profile=None)])
    account.config.keeps_not_applicable = True
    account.config.recorded[INSTANCE_ID] = result()
    account.sweep(ruleParameters='{"evaluateStopped": "false"}')
    account.sweep(ruleParameters='{"evaluateStopped": "true"}')
    assert account.put() == [
        (INSTANCE_ID, Reason.STOPPED, CAPTURED + MILLISECOND),
        (INSTANCE_ID, Reason.NO_PROFILE, CAPTURED + 2 * MILLISECOND),
    ]
    assert account.config.results == {INSTANCE_ID: Reason.NO_PROFILE}
    assert account.sweep(ruleParameters='{"evaluateStopped": "true"}').differences == 0


def test_a_sweep_without_differences_puts_and_publishes_nothing() -> None:
    """However many instances there are."""
    rows = [row(number, profile=None if number % 3 else PROFILE_ARN) for number in range(250)]
    account = Account(rows)
    account.config.recorded = recorded_as_judged(rows)
    run = account.sweep()
    assert (account.config.calls, account.config.confirmed) == ([], [])
    assert {record["kind"] for record in account.bus.records} <= {"refresh"}
    assert run == Run({}, 250, 0, completed=True)


def test_an_empty_account_completes() -> None:
    """An empty PutEvaluations call is refused by Config."""
    account = Account()
    assert account.sweep() == Run({}, 0, 0, completed=True)
    assert (account.config.calls, account.bus.records) == ([], [])


def test_the_first_sweep_puts_every_instance_in_calls_of_a_hundred() -> None:
    """250 rows make three calls; each evaluation has its own row's capture time, and none is looked up again."""
    rows = [row(n, configurationItemCaptureTime=iso(CAPTURED + n * MILLISECOND)) for n in range(250)]
    account = Account(rows)
    run = account.sweep()
    assert [len(evaluations) for evaluations, _, _ in account.config.calls] == [100, 100, 50]
    assert [when for _, _, when in account.put()] == [CAPTURED + n * MILLISECOND for n in range(250)]
    assert account.config.confirmed == []
    assert run == Run({(ComplianceType.COMPLIANT, Reason.PROFILE_ATTACHED): 250}, 250, 250, completed=True)


def test_rows_are_consumed_as_they_come() -> None:
    """The first hundred are put before the next is asked for: rows are not kept."""
    account = Account()
    put_before: list[int] = []

    class Rows(Sequence[object]):
        def __len__(self) -> int:
            return 300

        def __getitem__(self, number: object) -> Json:  # type: ignore[override]  # only iterated over
            if not isinstance(number, int) or number >= len(self):
                raise IndexError
            put_before.append(len(account.config.calls))
            return row(number)

    account.config.rows = Rows()
    account.sweep()
    assert put_before == [0] * 100 + [1] * 100 + [2] * 100


def test_a_difference_is_published_before_it_is_put() -> None:
    """Then a retry finds again whatever was not put."""
    account = Account([row(1)])
    order: list[str] = []
    account.bus.before = account.config.before = order.append
    account.sweep()
    assert order.index("PutEvents") < order.index("PutEvaluations")


@pytest.mark.parametrize("operation", ["PutEvents", "PutEvaluations"])
def test_what_was_not_put_is_found_again(operation: str) -> None:
    """The retry publishes a duplicate, with the same id, and puts."""
    account = Account([row(1, profile=None)])
    account.config.recorded = recorded_as_judged([row(1)])
    failures = [ServiceError(operation, "InternalFailure", "An internal error occurred.")]

    def fail_once(called: str) -> None:
        if called == operation and failures:
            raise failures.pop()

    account.bus.before = account.config.before = fail_once
    assert isinstance(account.sweep_in_vain(), ServiceError)
    assert account.config.results == {numbered(1): Reason.PROFILE_ATTACHED}
    account.sweep()
    assert account.config.results == {numbered(1): Reason.NO_PROFILE}
    assert len({record["id"] for record in account.bus.records}) == 1


def test_a_record_that_is_refused_keeps_its_verdict_from_being_put_and_no_other() -> None:
    """Put but never published, it would be no difference any more, and nobody would hear of it."""
    account = Account([row(number) for number in range(300)])
    account.bus.refuses = {numbered(150)}
    failed = account.sweep_in_vain()
    assert "did not take 1 record" in str(failed)
    assert [len(evaluations) for evaluations, _, _ in account.config.calls] == [100, 99, 100]
    assert (account.last.differences, sum(account.last.repaired.values())) == (300, 299)
    account.bus.refuses = set()
    account.sweep()
    assert account.put()[-1][0] == numbered(150)


def test_an_evaluation_that_is_rejected_stops_no_other_and_is_not_counted_as_repaired() -> None:
    """The run names it."""
    account = Account([row(number) for number in range(150)])
    account.config.rejects = {numbered(5)}
    failed = account.sweep_in_vain()
    assert str(failed).endswith(f"after its retries: {numbered(5)} (COMPLIANT)")
    assert len(account.config.recorded) == 149
    assert (account.last.differences, sum(account.last.repaired.values())) == (150, 149)


def test_rows_that_cannot_be_judged_do_not_stop_the_others_and_keep_their_result() -> None:
    """The rest is put, then the run fails and names them; each has its own line in the log."""
    rows: list[object] = [row(number) for number in range(150)]
    rows[3] = row(3, configuration={"state": {"name": "asleep"}})
    rows[120] = "{"
    account = Account(rows)
    account.config.recorded = recorded_as_judged([row(3)])
    failed = account.sweep_in_vain()
    assert isinstance(failed, IncompleteRun)
    assert str(failed) == (
        "2 problems in this run, everything else was reported: "
        "i-00000000000000003: configuration.state.name is 'asleep'; allowed: pending, running, shutting-down, "
        "terminated, stopping, stopped; configuration item is '{'; allowed: a JSON object"
    )
    assert account.telemetry.problems == list(failed.problems)
    assert account.config.confirmed == []
    assert len(account.config.recorded) == 149
    assert account.last == Run({(ComplianceType.COMPLIANT, Reason.PROFILE_ATTACHED): 148}, 150, 148, completed=False)


def test_nothing_but_unjudgeable_rows_puts_nothing() -> None:
    """The error names the first twenty."""
    account = Account([{} for _ in range(100)] + [row(1)])
    failed = account.sweep_in_vain()
    assert isinstance(failed, IncompleteRun)
    assert (failed.total, len(failed.problems)) == (100, IncompleteRun.NAMED)
    assert str(failed).endswith("; and 80 more")
    assert list(account.config.recorded) == [numbered(1)]


@pytest.mark.parametrize(
    ("newest", "problem"),
    [
        (
            None,
            (
                f"the recorded result of AWS::EC2::Instance {numbered(1)} could not be confirmed by its newest item, "
                "so it stays as it is: GetResourceConfigHistory failed: ResourceNotDiscoveredException: "
                f"Resource {numbered(1)} of resourceType:AWS::EC2::Instance is unknown or has not been discovered"
            ),
        ),
        (
            api_item(resourceId=numbered(1), configuration="{"),
            f"{numbered(1)}: configuration is '{{'; allowed: JSON text of an object",
        ),
    ],
)
def test_a_result_that_cannot_be_confirmed_stays(newest: Json | None, problem: str) -> None:
    """A resource that nobody knows is not a deleted one. The others are put all the same."""
    account = Account([row(2, profile=None)])
    account.config.recorded = recorded_as_judged([row(1), row(2)])
    if newest:
        account.config.newest[numbered(1)] = newest
    failed = account.sweep_in_vain()
    assert str(failed) == f"1 problem in this run, everything else was reported: {problem}"
    assert account.config.results == {numbered(1): Reason.PROFILE_ATTACHED, numbered(2): Reason.NO_PROFILE}


def test_a_listing_that_breaks_off_erases_nothing_and_loses_nothing_that_was_found() -> None:
    """What was not listed keeps its result; what was found is put before the run fails."""
    account = Account([row(number, profile=None) for number in range(50)])
    account.config.recorded = recorded_as_judged([row(number) for number in range(100)])
    account.config.listing_error = THROTTLED
    assert account.sweep_in_vain() is THROTTLED
    assert account.config.results == {
        numbered(number): Reason.NO_PROFILE if number < 50 else Reason.PROFILE_ATTACHED for number in range(100)
    }
    assert account.last == Run({(ComplianceType.NON_COMPLIANT, Reason.NO_PROFILE): 50}, 50, 50, completed=False)


def test_without_all_recorded_results_nothing_is_put() -> None:
    """What is recorded would be taken for new."""
    account = Account([row(number, profile=None) for number in range(10)])
    account.config.recorded = recorded_as_judged([row(number) for number in range(10)])
    pages = iter([None, None, THROTTLED])

    def break_off(operation: str) -> None:
        error = next(pages) if operation == "GetComplianceDetailsByConfigRule" else None
        if error:
            raise error

    account.config.before = break_off
    assert account.sweep_in_vain() is THROTTLED
    assert (account.config.calls, account.bus.records) == ([], [])


def test_runs_that_are_all_cut_short_converge() -> None:
    """Each puts what it found until its time was over, so each leaves less to the next."""
    rows = [row(number, profile=None) for number in range(40)]
    account = Account(rows)
    account.config.recorded = recorded_as_judged([row(number) for number in range(60)])
    account.config.newest = {numbered(number): deleted_item(resourceId=numbered(number)) for number in range(40, 60)}

    def allow(calls: int) -> Callable[[str], None]:
        left = iter(range(calls))

        def spend(operation: str) -> None:
            # As in the client: no new page and no new item is begun, but what was found can still be reported.
            if operation.startswith("Put"):
                return
            if next(left, None) is None:
                raise TIME_IS_OVER

        return spend

    runs = 0
    done = [0]
    while True:
        account.config.before = allow(65)
        runs += 1
        try:
            account.sweep()
        except OutOfTime:
            done.append(sum(reason is not Reason.PROFILE_ATTACHED for _, reason, _ in account.put()))
            assert done[-1] > done[-2]
        else:
            break
    assert runs > 2
    assert account.config.results == {numbered(number): Reason.NO_PROFILE for number in range(40)}


def test_a_row_that_comes_twice_counts_once() -> None:
    """Rows move from page to page while they are read."""
    account = Account([row(1), row(2), row(1), row(2, profile=None)])
    account.config.recorded = recorded_as_judged([row(2)])
    assert account.sweep().seen == 2
    assert account.put() == [(numbered(1), Reason.PROFILE_ATTACHED, CAPTURED)]


def test_a_result_for_another_type_of_resource_is_removed() -> None:
    """Another function may have put it under this rule; an instance of the same id is another resource."""
    account = Account([row(1)])
    account.config.recorded = {
        **recorded_as_judged([row(1)]),
        "volume": RecordedResult("AWS::EC2::Volume", numbered(1), "COMPLIANT", "", CAPTURED),
    }
    account.config.newest[numbered(1)] = notification_item(resourceType="AWS::EC2::Volume", resourceId=numbered(1))
    account.sweep()
    assert account.put() == [(numbered(1), Reason.OTHER_RESOURCE, CAPTURED + MILLISECOND)]


def test_test_mode_stores_and_publishes_nothing() -> None:
    """It says what would be put."""
    account = Account([row(1), row(2, profile=None)])
    account.config.recorded = recorded_as_judged([row(2, profile=None)])
    account.now = next(NOW + timedelta(day) for day in range(30) if refresh_is_due(numbered(2), NOW + timedelta(day)))
    account.sweep(resultToken=TEST_TOKEN)
    assert [test_mode for _, _, test_mode in account.config.calls] == [True]
    assert (account.bus.records, list(account.config.recorded)) == ([], [numbered(2)])


VALIDATOR = Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "schemas" / "evaluation-v1.schema.json").read_text())
)


def test_unchanged_findings_are_told_again_once_in_thirty_days() -> None:
    """NON_COMPLIANT and exempt instances; never those with a role; at the recorded time, and without a put."""
    rows = [row(1, profile=None), row(2, profile=None, tags=RUNNING_ON), row(3)]
    account = Account(rows)
    recorded = recorded_as_judged(rows)
    later = recorded[numbered(1)]._replace(ordering_timestamp=LATER)
    account.config.recorded = {**recorded, numbered(1): later}
    for day in range(REFRESH_DAYS):
        account.now = NOW + timedelta(days=day)
        account.sweep()
    assert sorted(account.published()) == [
        (numbered(1), "refresh", "NO_PROFILE"),
        (numbered(2), "refresh", "EXEMPT"),
    ]
    assert account.config.calls == []
    times = {record["resourceId"]: record["orderingTimestamp"] for record in account.bus.records}
    assert times == {numbered(1): iso(LATER), numbered(2): iso(CAPTURED)}
    assert [error.message for record in account.bus.records for error in VALIDATOR.iter_errors(record)] == []


def test_a_refresh_has_an_id_of_its_own() -> None:
    """A consumer that drops known ids must not take it for the verdict."""
    account = Account([row(1, profile=None)])
    account.now = next(NOW + timedelta(day) for day in range(30) if refresh_is_due(numbered(1), NOW + timedelta(day)))
    account.sweep()
    account.sweep()
    assert account.published() == [(numbered(1), kind, "NO_PROFILE") for kind in ("verdict", "refresh")]
    assert len({record["id"] for record in account.bus.records}) == 2


def test_a_refresh_that_is_refused_is_a_problem_and_stops_nothing() -> None:
    """It is told again in thirty days."""
    account = Account([row(1, profile=None), row(2)])
    account.config.recorded = recorded_as_judged([row(1, profile=None)])
    account.now = next(NOW + timedelta(day) for day in range(30) if refresh_is_due(numbered(1), NOW + timedelta(day)))
    account.bus.refuses = {numbered(1)}
    assert "did not take 1 record" in str(account.sweep_in_vain())
    assert account.put() == [(numbered(2), Reason.PROFILE_ATTACHED, CAPTURED)]


def test_refreshes_spread_evenly_over_the_days() -> None:
    """No day brings more than twice its share, and every instance has exactly one day in thirty."""
    days = [NOW + timedelta(days=day, hours=day % 12) for day in range(REFRESH_DAYS)]
    due = Counter(
        day for number in range(6000) for day in range(REFRESH_DAYS) if refresh_is_due(numbered(number), days[day])
    )
    assert sum(due.values()) == 6000
    assert max(due.values()) < 400


@pytest.mark.parametrize("reason", Reason)
def test_every_annotation_leads_back_to_its_reason(reason: Reason) -> None:
    """Config keeps nothing else of it."""
    assert recorded_reason(reason.compliance_type.value, f"{reason.value}: whatever: follows") is reason
    assert recorded_reason(reason.compliance_type.value, f"{reason.value.lower()}: whatever") is None
    assert recorded_reason(reason.compliance_type.value, f" {reason.value}: whatever") is None


def test_what_is_recorded_is_kept_to_the_millisecond() -> None:
    """One result of each reason, and one that is not ours."""
    moments = [CAPTURED + number * MILLISECOND for number in range(len(Reason))]
    results = [
        result(f"{reason.value}: …", reason.compliance_type.value, when, reason.value)
        for reason, when in zip(Reason, moments, strict=True)
    ]
    others = [result("what?", resource_id="other"), result("", "NOT_APPLICABLE", resource_id="nothing")]
    kept = RecordedResults([*results, *others])
    assert [kept.known(INSTANCE_TYPE, reason.value) for reason in Reason] == [
        Known(reason, when, reason.compliance_type is not ComplianceType.NOT_APPLICABLE)
        for reason, when in zip(Reason, moments, strict=True)
    ]
    assert kept.known(INSTANCE_TYPE, "other") == Known(None, CAPTURED, applicable=True)
    assert kept.known(INSTANCE_TYPE, "nothing") == Known(None, CAPTURED, applicable=False)
    assert kept.known(INSTANCE_TYPE, "i-1") is kept.known("AWS::EC2::Volume", "other") is None


@pytest.mark.parametrize("count", [20_000, 87_400])
def test_a_recorded_result_takes_at_most_200_bytes(count: int) -> None:
    """At the worst moment, too: 87,400 are just too many for a dict, which then grows to twice its size."""

    def results() -> Iterator[RecordedResult]:
        for number in range(count):
            when = CAPTURED + number * MILLISECOND
            yield RecordedResult(INSTANCE_TYPE, numbered(number), "NON_COMPLIANT", "NO_PROFILE: attach one", when)

    tracemalloc.start()
    try:
        kept = RecordedResults(results())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept.known(INSTANCE_TYPE, numbered(count - 1)) is not None
    assert peak / count <= 200
