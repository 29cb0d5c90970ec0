from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.evidence.day_verdicts import DayVerdicts
from rolecall.evidence.episode_day import ScopeDay
from rolecall.evidence.episodes import NOTHING, Episode, EpisodeKey, History, Kind, Outcome, Version
from rolecall.evidence.manifest import Period
from rolecall.evidence.remediation_times import spell_of
from rolecall.evidence.rows import EvidenceRow
from rolecall.model import ExemptionState, Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import REFRESH
from tests.evidence.made import (
    ACCOUNT,
    LAUNCHED,
    REGION,
    RULE,
    at,
    evidence_row,
    exemption,
    instance_id,
    record,
    recorded,
)

NO, YES, EXEMPT, LAPSED, GONE = (
    Reason.NO_PROFILE,
    Reason.PROFILE_ATTACHED,
    Reason.EXEMPT,
    Reason.EXEMPTION_EXPIRED,
    Reason.TERMINATING,
)
OUTCOMES = {YES: Outcome.REMEDIATED, EXEMPT: Outcome.EXEMPTED, GONE: Outcome.GONE}

histories = st.lists(
    st.tuples(
        st.sampled_from([NO, NO, YES, EXEMPT, LAPSED, GONE]),
        st.integers(0, 3),
        st.integers(0, 3 * 24 * 60 - 1) | st.integers(24 * 60 - 20, 24 * 60 + 20),
    ),
    max_size=14,
    unique_by=lambda told: told[1:],
).map(lambda told: [record(reason, at(1, minute=minute), number) for reason, number, minute in told])
"""Records of up to four instances on the first three days of March, often around the first midnight."""


Known = dict[str, History]
"""Every known instance, sorted."""


def after(
    records: Sequence[EvaluationRecord],
    *,
    day: int = 3,
    before: Known | None = None,
    rows: Sequence[EvidenceRow] | None = None,
) -> Known:
    """What is known at the end of a day of March, from `before`; `rows`: the inventory, None if there is none."""
    period = Period.of_day(at(day).date())
    scope = ScopeDay(ACCOUNT, REGION, RULE, period, covered=rows is not None)
    with closing(DayVerdicts(RULE, period)) as verdicts:
        verdicts.add(records)
        instances = scope.instances((before or {}).items(), verdicts.of(ACCOUNT, REGION), rows or ())
        return {one.resource_id: one.history for one in instances if one.history != NOTHING}


def of(known: Known) -> list[Episode]:
    """All episodes."""
    return [one for history in known.values() for one in history.episodes]


def told(records: Sequence[EvaluationRecord], *, day: int = 3) -> list[Episode]:
    """The episodes that these records tell of, all on one day."""
    return of(after(records, day=day))


def episode(kind: Kind, opened: datetime, ended: datetime | None = None, outcome: Outcome | None = None) -> Episode:
    """An episode of the one instance that `record` speaks of."""
    return Episode(
        key=EpisodeKey(ACCOUNT, REGION, RULE, instance_id(1)),
        kind=kind,
        began=LAUNCHED if kind is Kind.LAUNCHED_WITHOUT_ROLE else opened,
        opened=opened,
        known_since=opened + timedelta(seconds=1),
        reason=LAPSED if kind is Kind.EXEMPTION_LAPSED else NO,
        ended=ended,
        outcome=outcome,
    )


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param(
            [(NO, 1), (YES, 2)],
            [episode(Kind.LAUNCHED_WITHOUT_ROLE, at(1, 1), at(1, 2), Outcome.REMEDIATED)],
            id="launched without a role, and given one",
        ),
        pytest.param(
            [(YES, 1), (NO, 2), (EXEMPT, 3)],
            [episode(Kind.DRIFT, at(1, 2), at(1, 3), Outcome.EXEMPTED)],
            id="lost its role, then exempted",
        ),
        pytest.param(
            [(EXEMPT, 1), (LAPSED, 2), (GONE, 3)],
            [episode(Kind.EXEMPTION_LAPSED, at(1, 2), at(1, 3), Outcome.GONE)],
            id="exemption over, then terminated: gone is not remedied",
        ),
        pytest.param(
            [(NO, 1), (GONE, 2), (NO, 3)],
            [
                episode(Kind.LAUNCHED_WITHOUT_ROLE, at(1, 1), at(1, 2), Outcome.GONE),
                episode(Kind.DRIFT, at(1, 3)),
            ],
            id="a second episode is never a launch",
        ),
        pytest.param([(YES, 1), (EXEMPT, 2), (GONE, 3)], [], id="never NON_COMPLIANT"),
    ],
)
def test_what_opens_and_what_closes_an_episode(history: list[tuple[Reason, int]], expected: list[Episode]) -> None:
    """The first verdict decides the kind, the first other verdict afterwards the outcome."""
    assert told([record(reason, at(1, hour)) for reason, hour in history]) == expected


def obvious(records: Sequence[EvaluationRecord]) -> list[tuple[str, Kind, datetime, datetime | None, Outcome | None]]:
    """The same by walking through each instance's verdicts in order, once each."""
    found: list[tuple[str, Kind, datetime, datetime | None, Outcome | None]] = []
    for identity in sorted({one.resource_id for one in records}):
        own = sorted((one for one in records if one.resource_id == identity), key=lambda one: one.ordering_timestamp)
        for position, one in enumerate(own):
            before = own[position - 1] if position else None
            if one.reason not in (NO, LAPSED) or (before and before.reason in (NO, LAPSED)):
                continue
            end = next((later for later in own[position:] if later.reason not in (NO, LAPSED)), None)
            ended, outcome = (end.ordering_timestamp, OUTCOMES[end.reason]) if end else (None, None)
            lapsed = one.reason is LAPSED and before and before.reason is EXEMPT
            kind = Kind.EXEMPTION_LAPSED if lapsed else Kind.DRIFT
            opened = one.ordering_timestamp
            if not before:
                kind = Kind.LAUNCHED_WITHOUT_ROLE
            latest = found[-1] if found and found[-1][0] == identity else None
            if latest and latest[3] and opened - latest[3] < timedelta(minutes=10):
                _, kind, opened, _, _ = found.pop()
            found.append((identity, kind, opened, ended, outcome))
    return found


def shown(episodes: Sequence[Episode]) -> list[tuple[str, Kind, datetime, datetime | None, Outcome | None]]:
    """What `obvious` finds of an episode."""
    return [(one.key.resource_id, one.kind, one.opened, one.ended, one.outcome) for one in episodes]


@given(histories, st.randoms())
def test_the_order_of_delivery_and_duplicates_do_not_matter(records: list[EvaluationRecord], random: Random) -> None:
    """Any order, any record twice: the episodes are those of the verdicts in order of their ordering timestamps."""
    delivered = records + [random.choice(records) for _ in records]
    random.shuffle(delivered)
    assert shown(told(delivered)) == obvious(records)
    assert told(delivered) == told(records)


@given(histories, st.randoms())
def test_three_days_are_as_good_as_one(records: list[EvaluationRecord], random: Random) -> None:
    """Carried from day to day, with records of earlier days delivered again, the book comes to the same."""
    book: Known = {}
    earlier: list[EvaluationRecord] = []
    for day in (1, 2, 3):
        today = [one for one in records if one.ordering_timestamp.day == day]
        again = [random.choice(earlier) for _ in range(3) if earlier]
        book = after([*again, *today], day=day, before=book)
        earlier += today
    assert of(book) == told(records)


def test_a_verdict_that_is_older_than_what_counted_changes_nothing() -> None:
    """NON_COMPLIANT at 1 and 5, known; that it was COMPLIANT at 3 comes a day late, after the package of its day."""
    known = after([record(NO, at(1, 1)), record(NO, at(1, 5))], day=1)
    assert after([record(YES, at(1, 3))], day=2, before=known) == after([], day=2, before=known)
    assert shown(told([record(NO, at(1, 1)), record(YES, at(1, 3)), record(NO, at(1, 5))])) == [
        (instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1, 1), at(1, 3), Outcome.REMEDIATED),
        (instance_id(1), Kind.DRIFT, at(1, 5), None, None),
    ]


def test_a_moment_without_non_compliant_interrupts_nothing() -> None:
    """A role is replaced at 1:00 and found wanting at 1:09; at 1:19 it is ten minutes, and another episode."""
    records = [record(NO, at(1, 0)), record(YES, at(1, 1)), record(NO, at(1, 1, 9))]
    assert shown(told(records)) == [(instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1, 0), None, None)]
    more = [*records, record(YES, at(1, 1, 10)), record(NO, at(1, 1, 20)), record(YES, at(1, 4))]
    assert shown(told(more)) == [
        (instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1, 0), at(1, 1, 10), Outcome.REMEDIATED),
        (instance_id(1), Kind.DRIFT, at(1, 1, 20), at(1, 4), Outcome.REMEDIATED),
    ]
    again = after([records[1]], day=2, before=after(records, day=1))
    assert shown(of(again)) == shown(told(records))


def test_whatever_was_said_within_such_a_moment_says_nothing_later() -> None:
    """Exempt twice, then NON_COMPLIANT again at once: delivered again a day later, the second one divides nothing."""
    records = [
        record(reason, at(1, 0, minute)) for reason, minute in ((NO, 0), (EXEMPT, 12), (EXEMPT, 19), (NO, 20), (NO, 50))
    ]
    again = after([records[2]], day=2, before=after(records, day=1))
    assert shown(of(again)) == [(instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1), None, None)]


def test_a_retry_that_was_evaluated_later_is_the_same_record() -> None:
    """Its id is the same, its evaluation's time is not: the earliest counts."""
    first = record(NO, at(1, 1))
    retried = record(NO, at(1, 1), evaluated_at=at(1, 4))
    assert told([retried, first]) == told([first, retried]) == told([first])


def test_the_delay_before_the_first_verdict_is_known() -> None:
    """Installed today, rolecall judges an item of last month: nobody could have seen it end before today."""
    (known,) = told([record(NO, at(1, 1), evaluated_at=at(3, 12))])
    assert (known.began, known.opened, known.known_since) == (LAUNCHED, at(1, 1), at(3, 12))


judged_again = st.lists(
    st.tuples(
        st.sampled_from([NO, YES, EXEMPT, LAPSED, GONE]),
        st.integers(1, 2),
        st.integers(0, 5).map(lambda hours: at(1, 10 * hours)),
        st.sampled_from([timedelta(0), timedelta(milliseconds=1), timedelta(hours=1)]),
        st.integers(1, 3 * 24 * 60 - 1).map(lambda minutes: at(1, minute=minutes)),
    ).filter(lambda told: told[4] > told[2]),
    max_size=12,
).map(lambda told: [record(why, item + later, which, evaluated_at=made) for why, which, item, later, made in told])
"""Records of two instances on few items, each judged at any time after its capture, also several times."""


@given(judged_again)
def test_what_was_read_before_changes_nothing_whatever_it_is(records: list[EvaluationRecord]) -> None:
    """Each day with the records that came on it, and each day with all that ever came: the same."""
    once: Known = {}
    again: Known = {}
    for day in (1, 2, 3):
        today = [one for one in records if max(one.version).day == day]
        earlier = [one for one in records if max(one.version).day < day]
        once, again = after(today, day=day, before=once), after([*today, *earlier], day=day, before=again)
        assert once == again


@given(judged_again)
def test_episodes_of_an_instance_follow_one_another(records: list[EvaluationRecord]) -> None:
    """Each begins before it ends, and the next one opens no earlier than that; only the last may be open."""
    for history in after(records).values():
        for one, following in pairwise(history.episodes):
            assert one.ended is not None
            assert one.ended <= following.opened
        assert all(one.began <= (one.ended or one.began) for one in history.episodes)


LATER = timedelta(milliseconds=1)
"""By which a sweep orders a changed verdict on the same item."""

UNTIL_THE_TENTH = exemption(state=ExemptionState.EXPIRED, expires=at(10).date())


@pytest.mark.parametrize("later", [LATER, timedelta(0)], ids=["by a sweep", "evaluated again"])
@pytest.mark.parametrize(
    ("history", "changed", "expected"),
    [
        pytest.param(
            [record(NO, at(1, 1)), record(EXEMPT, at(1, 12))],
            record(LAPSED, at(1, 12), evaluated_at=at(11, 6), exemption=UNTIL_THE_TENTH),
            [
                (Kind.LAUNCHED_WITHOUT_ROLE, LAUNCHED, at(1, 12), Outcome.EXEMPTED),
                (Kind.EXEMPTION_LAPSED, at(11), None, None),
            ],
            id="an exemption is over: since the day after its last",
        ),
        pytest.param(
            [record(NO, at(1, 1)), record(YES, at(1, 12))],
            record(Reason.PROFILE_NOT_ALLOWED, at(1, 12), evaluated_at=at(11, 6)),
            [
                (Kind.LAUNCHED_WITHOUT_ROLE, LAUNCHED, at(1, 12), Outcome.REMEDIATED),
                (Kind.DRIFT, at(11, 6), None, None),
            ],
            id="the rule became stricter: since it said so, not for ten days",
        ),
        pytest.param(
            [record(YES, at(1, 12))],
            record(Reason.PROFILE_NOT_ALLOWED, at(1, 12), evaluated_at=at(11, 6)),
            [(Kind.DRIFT, at(11, 6), None, None)],
            id="the same, of an instance that never had an episode",
        ),
        pytest.param(
            [record(Reason.PROFILE_NOT_ALLOWED, at(1, 1))],
            record(YES, at(1, 1), evaluated_at=at(11, 6)),
            [(Kind.LAUNCHED_WITHOUT_ROLE, LAUNCHED, at(11, 6), Outcome.REMEDIATED)],
            id="the rule became laxer: it lasted until then",
        ),
    ],
)
def test_a_verdict_that_changes_without_its_item_holds_since_it_was_made(
    history: Sequence[EvaluationRecord],
    changed: EvaluationRecord,
    expected: Sequence[tuple[Kind, datetime, datetime | None, Outcome | None]],
    later: timedelta,
) -> None:
    """The item is of long before: its ordering timestamp says nothing of when the verdict came to hold."""
    changed = replace(changed, ordering_timestamp=changed.ordering_timestamp + later)
    known = after([changed], day=11, before=after(history, day=1))
    assert [(one.kind, one.began, one.ended, one.outcome) for one in of(known)] == expected
    # Told again, and on the day after, with all that came before it.
    assert after([*history, changed], day=12, before=known) == after([], day=12, before=known)


def test_two_verdicts_on_one_item_are_told_again_on_the_next_day() -> None:
    """Parameters changed on the day of the deployment: the later verdict stays the later one."""
    records = [record(YES, at(1, 1)), record(NO, at(1, 1), evaluated_at=at(1, 15))]
    row = evidence_row(NO, recorded=replace(recorded(NO, at(1, 1)), recorded_at=at(1, 15, 1)))
    known = after(records, day=1, rows=[row])
    assert [(one.kind, one.opened, one.is_open) for one in of(known)] == [(Kind.DRIFT, at(1, 15), True)]
    assert of(after(records, day=2, before=known, rows=[row])) == of(known)


def test_a_role_that_is_taken_away_is_drift_whatever_old_tags_say() -> None:
    """It had a role, not an exemption, when the tags of one expired."""
    known = after([record(YES, at(1, 1))], day=1)
    taken = record(LAPSED, at(12, 5), evaluated_at=at(12, 6), exemption=UNTIL_THE_TENTH)
    assert [(one.kind, one.began) for one in of(after([taken], day=12, before=known))] == [(Kind.DRIFT, at(12, 5))]


def test_an_exemption_that_is_malformed_now_is_over() -> None:
    """Somebody edited its tags: another item, and it was exempt before, on an earlier day."""
    known = after([record(EXEMPT, at(1, 1))], day=1)
    malformed = record(Reason.EXEMPTION_INVALID, at(2, 5))
    (found,) = of(after([malformed], day=2, before=known))
    assert (found.kind, found.began) == (Kind.EXEMPTION_LAPSED, at(2, 5))


def test_what_a_record_and_a_row_say_of_one_moment_was_told_by_the_record() -> None:
    """It is inferred by nobody, and was known at once."""
    told_by = record(NO, at(1, 1))
    row = evidence_row(NO, recorded=replace(recorded(NO, at(1, 1)), recorded_at=told_by.evaluated_at))
    (found,) = of(after([told_by], day=1, rows=[row]))
    assert (found.inferred, found.known_since) == (False, told_by.evaluated_at)


def test_an_exemption_that_was_over_before_rolecall_came_is_no_launch_without_a_role() -> None:
    """Nobody ever saw it exempt, and its tags say that it was."""
    lapsed = record(LAPSED, at(1, 2), evaluated_at=at(11, 6), exemption=UNTIL_THE_TENTH)
    (known,) = told([lapsed], day=12)
    assert (known.kind, known.began, known.known_since) == (Kind.EXEMPTION_LAPSED, at(11), at(11, 6))
    assert spell_of(known, at(12), at(12)).left == pytest.approx(24)


def test_an_episode_is_never_shorter_than_nothing() -> None:
    """A role that was attached on the exemption's last day is told late, after the verdict of the night."""
    lapsed = record(LAPSED, at(1, 2), evaluated_at=at(11, 6), exemption=UNTIL_THE_TENTH)
    (known,) = told([record(EXEMPT, at(1, 1)), lapsed, record(YES, at(10, 12))], day=12)
    assert (known.began, known.ended, known.outcome) == (at(11), at(11), Outcome.REMEDIATED)


def test_a_launch_that_is_not_known_begins_with_the_verdict() -> None:
    """An item without network interfaces does not say when it was launched."""
    (known,) = told([record(NO, at(1, 1), instance=None)])
    assert (known.kind, known.began) == (Kind.LAUNCHED_WITHOUT_ROLE, at(1, 1))


def test_a_refresh_is_no_verdict() -> None:
    """It only says again what was said."""
    assert told([record(NO, at(1, 1), kind=REFRESH)]) == []


def test_one_rule_in_two_packs_is_one_and_another_rule_is_none() -> None:
    """A pack's suffix differs from deployment to deployment; what another rule says is nothing to this one."""
    records = [
        record(NO, at(1, 1)),
        record(YES, at(1, 2), rule_name=f"{RULE}-conformance-pack-other"),
        record(NO, at(1, 3), rule_name="another"),
        record(NO, at(1, 3), 2, rule_name="another"),
    ]
    assert [(one.key.rule, one.ended) for one in told(records)] == [(RULE, at(1, 2))]
    assert list(after(records)) == [instance_id(1)]


def test_a_rule_that_got_another_name_ends_its_episodes() -> None:
    """The instance is still without a role, and that is another rule's episode; it was known, so it is drift."""
    old = episode(Kind.LAUNCHED_WITHOUT_ROLE, at(1, 1))
    old = replace(old, key=old.key._replace(rule="its-name-before"))
    before = {instance_id(1): History(Version(at(1, 1), at(1, 1)), episodes=(old,))}
    found = of(after([], day=2, before=before, rows=[evidence_row(NO, capture_time=at(2, 3))]))
    assert [(one.key.rule, one.kind, one.ended, one.outcome, one.inferred) for one in found] == [
        ("its-name-before", Kind.LAUNCHED_WITHOUT_ROLE, at(3), Outcome.GONE, True),
        (RULE, Kind.DRIFT, None, None, True),
    ]


def test_a_record_of_the_next_day_waits_for_it() -> None:
    """The last file of a day may hold the first records of the next; there they are read once more."""
    records = [record(NO, at(1, 23, 59)), record(YES, at(2, 0, 1))]
    assert shown(told(records, day=1)) == [(instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1, 23, 59), None, None)]
    assert of(after(records, day=2, before=after(records, day=1))) == told(records)


def test_what_closed_before_the_window_is_forgotten_and_what_is_open_never() -> None:
    """90 days, to the moment."""
    records = [record(NO, at(1, 1), 1), record(YES, at(1, 2), 1), record(NO, at(1, 1), 2)]
    book = after(records, day=1)
    for day, remaining in ((89, [1, 2]), (90, [1, 2]), (91, [2])):
        later = after([], day=day, before=book)
        assert [one.key.resource_id for one in of(later)] == [instance_id(number) for number in remaining]


def test_the_inventory_closes_what_no_record_closed() -> None:
    """Compliant by its row, exempt, not applicable, or not in the inventory at all; each is marked as inferred."""
    book = after([record(NO, at(1, 1), number) for number in (1, 2, 3, 4, 5)], day=1)
    rows = [
        evidence_row(YES, 1, capture_time=at(2, 3)),
        evidence_row(EXEMPT, 2, capture_time=at(2, 4)),
        evidence_row(GONE, 3, capture_time=at(2, 5)),
        evidence_row(NO, 5, capture_time=at(1, 1)),
    ]
    found = of(after([], day=2, before=book, rows=rows))
    assert [(one.ended, one.outcome, one.inferred) for one in found] == [
        (at(2, 3), Outcome.REMEDIATED, True),
        (at(2, 4), Outcome.EXEMPTED, True),
        (at(2, 5), Outcome.GONE, True),
        (at(3), Outcome.MISSING, False),
        (None, None, False),
    ]


def test_the_inventory_closes_what_was_judged_anew_on_the_same_item() -> None:
    """The record of it was lost; when Config recorded the result is known."""
    book = after([record(Reason.PROFILE_NOT_ALLOWED, at(1, 1))], day=1)
    row = evidence_row(YES, recorded=replace(recorded(YES, at(1, 1)), recorded_at=at(2, 6)))
    (found,) = of(after([], day=2, before=book, rows=[row]))
    assert (found.ended, found.outcome, found.inferred) == (at(2, 6), Outcome.REMEDIATED, True)


def test_a_young_episode_is_not_closed_by_an_inventory_that_lags() -> None:
    """Told of at 23:00, missing from the inventory of the same night: it is still there."""
    (found,) = of(after([record(NO, at(1, 23))], day=1, rows=[]))
    assert found.is_open


MISSED = after([record(NO, at(1, 1))], day=1, rows=[])
"""Non-compliant, and not in the inventory of the first day."""


@pytest.mark.parametrize(
    ("records", "rows", "expected"),
    [
        pytest.param([], [evidence_row(NO, capture_time=at(1, 1))], (None, None), id="with the same old result"),
        pytest.param(
            [record(YES, at(2, 10))],
            [evidence_row(YES, capture_time=at(2, 10))],
            (at(2, 10), Outcome.REMEDIATED),
            id="with a role, and a record of it",
        ),
        pytest.param(
            [], [evidence_row(YES, capture_time=at(2, 10))], (at(2, 10), Outcome.REMEDIATED), id="with a role"
        ),
        pytest.param(
            [record(NO, at(2, 10))],
            [evidence_row(NO, capture_time=at(2, 10))],
            (None, None),
            id="with another item, as its tags were changed",
        ),
        pytest.param(
            [record(YES, at(2, 1)), record(GONE, at(2, 5))],
            [],
            (at(2, 1), Outcome.REMEDIATED),
            id="in records alone: it was terminated before the inventory of the day before was read",
        ),
        pytest.param([], [], (at(2), Outcome.MISSING), id="not at all"),
    ],
)
def test_what_comes_back_was_never_gone(
    records: Sequence[EvaluationRecord],
    rows: Sequence[EvidenceRow],
    expected: tuple[datetime | None, Outcome | None],
) -> None:
    """Missing from one inventory, an instance is told of again: its episode goes on, with its age."""
    (missed,) = of(MISSED)
    assert (missed.ended, missed.outcome) == (at(2), Outcome.MISSING)
    (found,) = of(after(records, day=2, before=MISSED, rows=rows))
    assert (found.opened, found.kind) == (at(1, 1), Kind.LAUNCHED_WITHOUT_ROLE)
    assert (found.ended, found.outcome) == expected


def test_what_was_missing_for_some_days_is_still_known() -> None:
    """It had a role, and loses it when it is back: no launch. After seven days it may as well be another instance."""
    known = after([record(YES, at(1, 1))], day=1, rows=[evidence_row(YES, capture_time=at(1, 1))])
    for day in range(2, 10):
        known = after([], day=day, before=known, rows=[])
        back = of(after([record(NO, at(day + 1, 5))], day=day + 1, before=known))
        assert [one.kind for one in back] == [Kind.DRIFT if day < 9 else Kind.LAUNCHED_WITHOUT_ROLE]
    assert known == {}


def test_the_inventory_opens_what_no_record_told_of() -> None:
    """The kind depends on whether there was a verdict before: on an earlier day, or by a record of today."""
    book = after([record(YES, at(1, 1), 1)], day=1, rows=[evidence_row(YES, 1), evidence_row(YES, 3)])
    rows = [evidence_row(NO, number, capture_time=at(2, 3)) for number in (1, 2, 3, 4)]
    found = of(after([record(YES, at(2, 1), 4)], day=2, before=book, rows=rows))
    assert [(one.kind, one.began, one.known_since) for one in found] == [
        (Kind.DRIFT, at(2, 3), at(3)),
        (Kind.LAUNCHED_WITHOUT_ROLE, LAUNCHED, at(3)),
        (Kind.DRIFT, at(2, 3), at(3)),
        (Kind.DRIFT, at(2, 3), at(3)),
    ]
    assert all(one.is_open and one.inferred for one in found)


def test_the_inventory_says_nothing_of_the_next_day() -> None:
    """It is read after midnight: a result of 00:30 belongs to the day that has just begun."""
    book = after([record(NO, at(1, 1))], day=1, rows=[evidence_row(YES, 1, capture_time=at(2, 0, 30))])
    assert [one.is_open for one in of(book)] == [True]


def test_an_older_row_does_not_close_a_newer_episode() -> None:
    """The inventory lags: it still shows the compliant item that came before."""
    book = after([record(NO, at(1, 12))], day=1, rows=[evidence_row(YES, 1, capture_time=at(1, 2))])
    assert [one.is_open for one in of(book)] == [True]


def test_an_account_whose_rows_are_missing_keeps_its_episodes_and_what_it_knows() -> None:
    """Not covered today: nothing is gone there, and a later NON_COMPLIANT is drift."""
    book = after(
        [record(NO, at(1, 1), 1), record(YES, at(1, 1), 2)], day=1, rows=[evidence_row(NO), evidence_row(YES, 2)]
    )
    uncovered = after([], day=2, before=book)
    found = of(after([record(NO, at(3, 1), 2)], day=3, before=uncovered))
    assert [(one.key.resource_id, one.kind, one.is_open) for one in found] == [
        (instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, True),
        (instance_id(2), Kind.DRIFT, True),
    ]
