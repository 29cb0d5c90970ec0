from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import combinations

import pytest

from rolecall.aws import security_hub
from rolecall.errors import InvalidRecord
from rolecall.findings.claims import Message
from rolecall.findings.importing import ROUNDS
from rolecall.findings.lifecycle import FindingState
from rolecall.model import Reason
from rolecall.record import REFRESH
from tests.builders import ACCOUNT, NOW, REGION, Json
from tests.findings.surroundings import Attempt, Crash, Trouble, Turns, World, body_of, message, raw_record

OTHER, OTHER_REGION = "444455556666", "eu-central-1"
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
PROFILE_ATTACHED, NO_PROFILE, EXEMPT = Reason.PROFILE_ATTACHED, Reason.NO_PROFILE, Reason.EXEMPT


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security_hub, "pause", lambda *_: None)


@pytest.fixture
def world() -> World:
    """Security Hub is enabled in three places, and nothing has happened yet."""
    made = World()
    for place in ((ACCOUNT, REGION), (ACCOUNT, OTHER_REGION), (OTHER, REGION)):
        made.hub.enable(*place)
    return made


def shown(world: World, account: str = ACCOUNT, region: str = REGION) -> list[tuple[str, str]]:
    """Status and state of each finding there."""
    return [(one["Compliance"]["Status"], one["RecordState"]) for one in world.findings(account, region)]


def test_a_batch_is_sent_with_the_least_calls(world: World) -> None:
    """One for each 100 findings of an account and region, whatever order the messages come in."""
    places = [(ACCOUNT, REGION), (OTHER, REGION), (ACCOUNT, OTHER_REGION)]
    records = [
        raw_record(instance=f"i-{number:017x}", account=account, region=region)
        for number in range(150)
        for account, region in places
    ]
    assert world.import_batch(*(message(raw, number) for number, raw in enumerate(records))) == {}
    assert sorted((*place, len(ids)) for place, ids in world.sent) == sorted(
        (*place, size) for place in places for size in (50, 100)
    )
    assert [len(world.findings(*place)) for place in places] == [150, 150, 150]


def test_each_account_and_region_gets_its_own(world: World) -> None:
    """With its own status; a closing verdict of what was never open is no news."""
    told = [
        (NO_PROFILE, ACCOUNT, REGION, "i-1"),
        (EXEMPT, OTHER, REGION, "i-2"),
        (PROFILE_ATTACHED, ACCOUNT, OTHER_REGION, "i-3"),
    ]
    records = [raw_record(reason, account=one, region=region, instance=name) for reason, one, region, name in told]
    world.import_batch(*(message(raw, number) for number, raw in enumerate(records)))
    assert [shown(world, account, region) for _, account, region, _ in told] == [
        [("FAILED", "ACTIVE")],
        [("WARNING", "ACTIVE")],
        [],
    ]
    assert sorted(row.state for row in world.rows.values()) == ["ACTIVE", "ACTIVE", "NONE"]


def test_of_several_records_of_a_finding_the_newest_is_sent(world: World) -> None:
    """Once, whatever order they come in; all of their messages are done."""
    records = [raw_record(EXEMPT, at=LATER), raw_record(NO_PROFILE, at=NOW), raw_record(PROFILE_ATTACHED, at=EARLIER)]
    assert world.import_batch(*(message(raw, number) for number, raw in enumerate(records))) == {}
    assert (shown(world), world.seen.imported_ids, world.seen.superseded_count) == (
        [("WARNING", "ACTIVE")],
        list(world.rows),
        2,
    )


def test_what_is_older_changes_nothing(world: World) -> None:
    """A finding never goes backwards."""
    world.import_batch(message(raw_record(EXEMPT, at=LATER)))
    before = world.findings()
    assert world.import_batch(message(raw_record(NO_PROFILE, at=NOW))) == {}
    assert (world.findings(), world.seen.superseded_count) == (before, 1)


def test_a_late_failure_opens_nothing_after_the_instance_was_closed(world: World) -> None:
    """The closing verdict leaves a tombstone."""
    world.import_batch(message(raw_record(Reason.DELETED, at=LATER)))
    world.import_batch(message(raw_record(NO_PROFILE, at=NOW)))
    assert (shown(world), [row.state for row in world.rows.values()]) == ([], [FindingState.NONE])


UNREADABLE: list[tuple[str, str]] = [
    ("no JSON", "hello"),
    ("no event", "[]"),
    ("an event without a detail", "{}"),
    ("a detail that is no record", body_of({"schema": "another"})),
    ("a record of no account", body_of(raw_record(account="*"))),
]


@pytest.mark.parametrize(("what", "body"), UNREADABLE, ids=[case[0] for case in UNREADABLE])
def test_what_cannot_be_read_is_given_up_at_once(world: World, what: str, body: str) -> None:
    """No retry mends it; the others of its batch never notice."""
    unreadable = Message("bad", body, 1)
    assert world.import_batch(unreadable, message(raw_record(), 1)) == {}
    [(letter, error)] = world.dead
    assert (letter, type(error)) == (unreadable, InvalidRecord), what
    assert (shown(world), world.seen.given_up_ids) == ([("FAILED", "ACTIVE")], [("bad", "InvalidRecord")])


def test_a_finding_that_is_refused_is_given_up_alone(world: World) -> None:
    """With Security Hub's reason."""
    first, second = (raw_record(instance=name) for name in ("i-1", "i-2"))
    world.hub.faults.inject("fail-findings", resource_ids=[_id("i-1")], code="InvalidInput")
    assert world.import_batch(message(first, 1), message(second, 2)) == {}
    assert [(letter.id, str(error)) for letter, error in world.dead] == [
        ("m1", f"BatchImportFindings did not take finding {_id('i-1')}: InvalidInput: The finding was not imported.")
    ]
    assert list(world.rows) == [_id("i-2")]


def _id(instance: str) -> str:
    return f"rolecall/ec2-instance-profile/{ACCOUNT}/{REGION}/{instance}"


def test_a_finding_that_is_left_out_is_received_again_alone(world: World) -> None:
    """The rest of its call is done."""
    records = [message(raw_record(instance=f"i-{number}"), number) for number in (1, 2)]
    left = world.import_batch(*records, troubles=[Trouble.NONE, Trouble.LEFT_OUT])
    assert {key: type(error).__name__ for key, error in left.items()} == {"m1": "FindingRejected"}
    assert (world.dead, list(world.rows)) == ([], [_id("i-2")])


def test_the_last_receive_ends_in_the_dead_letter_queue(world: World) -> None:
    """With the reason, rather than where SQS would put it without one."""
    world.without_role.add(OTHER)
    raw = raw_record(account=OTHER)
    assert list(world.import_batch(message(raw, receives=4))) == ["m0"]
    assert world.import_batch(message(raw, receives=5)) == {}
    assert [(letter.id, type(error).__name__) for letter, error in world.dead] == [("m0", "RoleNotAssumed")]
    assert (world.seen.retried_ids, world.seen.given_up_ids) == ([("m0", "RoleNotAssumed")], [("m0", "RoleNotAssumed")])


def test_what_cannot_be_dead_lettered_is_received_again(world: World) -> None:
    """SQS then moves it at its last receive; nothing is lost."""
    left = world.import_batch(message("no record"), troubles=[Trouble.ERROR])
    assert {key: type(error).__name__ for key, error in left.items()} == {"m0": "ServiceError"}
    assert world.seen.given_up_ids == []


def test_one_accounts_trouble_is_no_others(world: World) -> None:
    """Its messages stay, theirs are done."""
    world.without_role.add(OTHER)
    left = world.import_batch(message(raw_record(account=OTHER), 1), message(raw_record(), 2))
    assert (list(left), shown(world)) == (["m1"], [("FAILED", "ACTIVE")])


def test_without_a_hub_nobody_waits(world: World) -> None:
    """Told once for an account and region, with the number of messages; no row says that somebody saw it."""
    world.hub.disable(ACCOUNT, REGION)
    records = [message(raw_record(instance=f"i-{number}"), number) for number in range(3)]
    assert world.import_batch(*records, message(raw_record(account=OTHER), 3)) == {}
    assert (world.seen.not_enabled_places, len(world.rows), world.dead) == ([(ACCOUNT, REGION, 3)], 1, [])


def test_a_finding_may_be_refused_for_want_of_a_hub(world: World) -> None:
    """AWS tells it of single findings too: the same."""
    world.hub.faults.inject("fail-findings", resource_ids=[_id("i-1")], code="InvalidAccess")
    assert world.import_batch(message(raw_record(instance="i-1"))) == {}
    assert (world.seen.not_enabled_places, world.rows) == ([(ACCOUNT, REGION, 1)], {})


IMPORTED_THEN: list[tuple[str, list[Trouble]]] = [
    ("killed before the row was written", [Trouble.NONE, Trouble.CRASH_AFTER]),
    ("the answer of the import was lost", [Trouble.NONE, Trouble.LOST_ANSWER]),
    ("the row could not be written", [Trouble.NONE, Trouble.NONE, Trouble.ERROR]),
]


@pytest.mark.parametrize(("what", "troubles"), IMPORTED_THEN, ids=[case[0] for case in IMPORTED_THEN])
@pytest.mark.parametrize(
    ("newer", "expected"),
    [(EXEMPT, ("WARNING", "ACTIVE")), (PROFILE_ATTACHED, ("PASSED", "ARCHIVED"))],
    ids=["then it was exempt", "then it was closed"],
)
def test_an_import_without_a_row_is_put_right_by_the_retry(
    world: World, what: str, troubles: list[Trouble], newer: Reason, expected: tuple[str, str]
) -> None:
    """Even when a newer record has come meanwhile, which found no row and believed that nobody knew of the instance."""
    old = raw_record(NO_PROFILE, at=NOW)
    with suppress(Crash):
        assert list(world.import_batch(message(old), troubles=troubles)) == ["m0"]
    assert (world.rows, shown(world)) == ({}, [("FAILED", "ACTIVE")]), what
    world.import_batch(message(raw_record(newer, at=LATER), 1))
    assert world.import_batch(message(old, receives=2)) == {}
    assert shown(world) == [expected]
    [row] = world.rows.values()
    assert (row.state, row.ordering_timestamp) == (expected[1], LATER)


@pytest.mark.parametrize("retry_first", [False, True])
def test_a_retry_and_the_newer_record_may_share_a_batch(world: World, *, retry_first: bool) -> None:
    """The newer one then closes what the older may have opened, whichever comes first."""
    old = raw_record(NO_PROFILE, at=NOW)
    with pytest.raises(Crash):
        world.import_batch(message(old), troubles=[Trouble.NONE, Trouble.CRASH_AFTER])
    batch = [message(raw_record(PROFILE_ATTACHED, at=LATER), 1), message(old, receives=2)]
    assert world.import_batch(*(reversed(batch) if retry_first else batch)) == {}
    assert shown(world) == [("PASSED", "ARCHIVED")]


def test_a_message_that_was_moved_back_counts_as_a_retry(world: World) -> None:
    """Its receives begin at 1 again."""
    old = raw_record(NO_PROFILE, at=NOW)
    assert world.import_batch(message(old, receives=5), troubles=[Trouble.NONE, Trouble.LOST_ANSWER]) == {}
    world.import_batch(message(raw_record(PROFILE_ATTACHED, at=LATER), 1))
    assert shown(world) == [("FAILED", "ACTIVE")]
    assert world.import_batch(message(old, 2, moved_back=True)) == {}
    assert shown(world) == [("PASSED", "ARCHIVED")]


CALLS = 4
ORDERS = [tuple(int(step in second) for step in range(2 * CALLS)) for second in combinations(range(2 * CALLS), CALLS)]
"""Every order in which two invocations of so many calls can move; what they do beyond, the first does first."""


@pytest.mark.parametrize(
    ("tick", "skew"),
    [(timedelta(milliseconds=1), timedelta()), (timedelta(), timedelta(milliseconds=40))],
    ids=["one clock", "two clocks, one ahead, and all in one millisecond"],
)
@pytest.mark.parametrize("reasons", [(NO_PROFILE, EXEMPT), (NO_PROFILE, PROFILE_ATTACHED), (EXEMPT, NO_PROFILE)])
@pytest.mark.parametrize("before", [None, PROFILE_ATTACHED])
def test_two_invocations_at_once_end_with_the_newest(
    before: Reason | None, reasons: tuple[Reason, Reason], tick: timedelta, skew: timedelta
) -> None:
    """In every order of their calls, with an older record and a newer one, on top of anything."""
    for order in ORDERS:
        world = World()
        world.tick = tick
        world.hub.enable(ACCOUNT, REGION)
        if before:
            world.import_batch(message(raw_record(before, at=EARLIER), 9))
        older, newer = (message(raw_record(one, at=at)) for one, at in zip(reasons, (NOW, LATER), strict=True))
        run_both(Attempt(world, skew=skew), older, Attempt(world), newer, order)
        expected = {NO_PROFILE: ("FAILED", "ACTIVE"), EXEMPT: ("WARNING", "ACTIVE")}.get(reasons[1])
        if expected:
            assert shown(world) == [expected], order
        else:
            assert shown(world) in ([], [("PASSED", "ARCHIVED")]), order


def run_both(first: Attempt, older: Message, second: Attempt, newer: Message, order: tuple[int, ...]) -> None:
    """Two invocations, step by step."""
    picks = iter(order)

    def job(attempt: Attempt, told: Message) -> Callable[[Callable[[], None]], None]:
        def run(turn: Callable[[], None]) -> None:
            attempt.turn = turn
            assert attempt.run([told]) == {}

        return run

    Turns(lambda alive: next(picks, 0) % alive).run([job(first, older), job(second, newer)])


def test_a_lost_answer_of_a_write_costs_no_second_import(world: World) -> None:
    """The row that is there is ours."""
    attempt = Attempt(world)
    written = attempt.write

    def twice(row: object) -> bool:
        written(row)  # type: ignore[arg-type]  # a row
        return written(row)  # type: ignore[arg-type]  # as botocore sends it again

    attempt.write = twice  # type: ignore[method-assign]  # see above
    assert attempt.run([message(raw_record())]) == {}
    assert len(world.rows) == 1
    assert len(world.sent) == 1


def test_a_row_that_others_keep_writing_is_left_to_a_later_attempt(world: World) -> None:
    """After a number of rounds; the message says so."""
    attempt = Attempt(world)
    asked: list[object] = []

    def refused(row: object) -> bool:
        asked.append(row)
        return False

    attempt.write = refused  # type: ignore[method-assign]  # somebody else is always quicker
    left = attempt.run([message(raw_record())])
    assert {key: type(error).__name__ for key, error in left.items()} == {"m0": "RowContested"}
    assert len(asked) == ROUNDS


def test_a_row_that_cannot_be_read_holds_up_nothing_else(world: World) -> None:
    """Its message is given up, for no retry mends a row."""
    world.import_batch(message(raw_record(instance="i-1", at=NOW)))
    [(key, row)] = world.rows.items()
    world.rows[key] = type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"record": "{}"})
    old = message(raw_record(instance="i-1", at=EARLIER), 1, receives=2)
    assert world.import_batch(old, message(raw_record(instance="i-2"), 2)) == {}
    assert [(letter.id, type(error)) for letter, error in world.dead] == [("m1", InvalidRecord)]
    assert len(world.findings()) == 2


@pytest.mark.parametrize("trouble", [Trouble.ERROR, Trouble.OUT_OF_TIME])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_every_call_may_fail_and_the_next_attempt_succeeds(world: World, call: int, trouble: Trouble) -> None:
    """Nothing is lost, nothing is double."""
    left = world.import_batch(message(raw_record()), troubles=[*[Trouble.NONE] * call, trouble])
    assert list(left) == ["m0"]
    assert world.import_batch(message(raw_record(), receives=2)) == {}
    assert (shown(world), len(world.rows)) == ([("FAILED", "ACTIVE")], 1)


def test_what_a_refresh_closes_is_archived_even_without_a_row(world: World) -> None:
    """It comes from somebody who has seen the finding."""
    world.import_batch(message(raw_record(PROFILE_ATTACHED, kind=REFRESH)))
    assert shown(world) == [("PASSED", "ARCHIVED")]


def test_a_finding_keeps_its_birth_through_its_whole_life(world: World) -> None:
    """Opened, exempt, closed, opened again: CreatedAt stays, UpdatedAt grows."""
    told: list[Json] = []
    for number, reason in enumerate((NO_PROFILE, EXEMPT, PROFILE_ATTACHED, NO_PROFILE)):
        world.import_batch(message(raw_record(reason, at=NOW + timedelta(minutes=number)), number))
        told += world.findings()
    assert len({one["CreatedAt"] for one in told}) == 1
    assert [one["UpdatedAt"] for one in told] == sorted({one["UpdatedAt"] for one in told})
    assert shown(world) == [("FAILED", "ACTIVE")]
