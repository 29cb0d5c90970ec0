from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.evidence.day_verdicts import DayVerdicts
from rolecall.evidence.episode_day import ScopeDay
from rolecall.evidence.episodes import Episode, EpisodeKey, Kind, Outcome
from rolecall.evidence.manifest import Period
from rolecall.evidence.remediation_times import spell_of
from rolecall.evidence.rows import EvidenceRow
from rolecall.model import ExemptionState, Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import REFRESH
from tests.evidence.made import ACCOUNT, LAUNCHED, REGION, RULE, at, evidence_row, exemption, instance_id, record

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


History = dict[str, Sequence[Episode]]
"""Every known instance with its episodes, sorted."""


def after(
    records: Sequence[EvaluationRecord],
    *,
    day: int = 3,
    before: History | None = None,
    rows: Sequence[EvidenceRow] | None = None,
) -> History:
    """What is known at the end of a day of March, from `before`; `rows`: the inventory, None if there is none."""
    period = Period.of_day(at(day).date())
    scope = ScopeDay(ACCOUNT, REGION, RULE, period, covered=rows is not None)
    with closing(DayVerdicts(RULE, period)) as verdicts:
        verdicts.add(records)
        return dict(scope.histories((before or {}).items(), verdicts.of(ACCOUNT, REGION), rows or ()))


def of(history: History) -> list[Episode]:
    """All episodes."""
    return [one for episodes in history.values() for one in episodes]


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
        confirmed=opened,
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
            kind = Kind.EXEMPTION_LAPSED if one.reason is LAPSED else Kind.DRIFT
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
    book: History = {}
    earlier: list[EvaluationRecord] = []
    for day in (1, 2, 3):
        today = [one for one in records if one.ordering_timestamp.day == day]
        again = [random.choice(earlier) for _ in range(3) if earlier]
        book = after([*again, *today], day=day, before=book)
        earlier += today
    assert of(book) == told(records)


def test_a_closing_verdict_that_comes_late_divides_the_episode() -> None:
    """NON_COMPLIANT at 1 and 5, known; a day later comes that it was COMPLIANT at 3."""
    book = after([record(NO, at(1, 1)), record(NO, at(1, 5))], day=1)
    late = after([record(YES, at(1, 3))], day=2, before=book)
    assert shown(of(late)) == [
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


def test_an_exemption_that_ends_by_time_alone_begins_an_episode_when_it_ends() -> None:
    """No item is captured at midnight: the verdict orders by an item of long before, and lasts since its last day."""
    until = exemption(state=ExemptionState.EXPIRED, expires=at(2).date())
    lapsed = record(LAPSED, at(1, 2), evaluated_at=at(3, 6), exemption=until)
    (known,) = told([record(EXEMPT, at(1, 1)), lapsed])
    last_moment = at(3) - timedelta(milliseconds=1)
    assert (known.kind, known.began, known.opened) == (Kind.EXEMPTION_LAPSED, last_moment, at(1, 2))
    assert spell_of(known, at(4)).left == pytest.approx(24, abs=1e-6)


def test_an_episode_is_never_shorter_than_nothing() -> None:
    """A role that was attached on the exemption's last day is told late, after the verdict of the night."""
    until = exemption(state=ExemptionState.EXPIRED, expires=at(2).date())
    lapsed = record(LAPSED, at(1, 2), evaluated_at=at(3, 6), exemption=until)
    (known,) = told([record(EXEMPT, at(1, 1)), lapsed, record(YES, at(2, 12))])
    assert (known.began, known.ended, known.outcome) == (at(2, 12), at(2, 12), Outcome.REMEDIATED)


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
    found = of(after([], day=2, before={instance_id(1): [old]}, rows=[evidence_row(NO, capture_time=at(2, 3))]))
    assert [(one.key.rule, one.kind, one.ended, one.outcome, one.inferred) for one in found] == [
        ("its-name-before", Kind.LAUNCHED_WITHOUT_ROLE, at(3), Outcome.GONE, True),
        (RULE, Kind.DRIFT, None, None, True),
    ]


def test_a_record_of_the_next_day_waits_for_it() -> None:
    """The last file of a day may hold the first records of the next; there they are read once more."""
    records = [record(NO, at(1, 23, 59)), record(YES, at(2, 0, 1))]
    assert shown(told(records, day=1)) == [(instance_id(1), Kind.LAUNCHED_WITHOUT_ROLE, at(1, 23, 59), None, None)]
    assert of(after(records, day=2, before=after(records, day=1))) == told(records)


def test_interruptions_are_forgotten_with_the_window() -> None:
    """What is open may be interrupted for years, every few minutes."""
    records = [record(NO, at(1, 1)), record(YES, at(1, 2)), record(NO, at(1, 2, 5))]
    book = after(records, day=1)
    for day, remaining in ((89, 1), (90, 1), (91, 0)):
        (one,) = of(after([], day=day, before=book))
        assert (len(one.flaps), one.is_open) == (remaining, True)


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
        (at(3), Outcome.GONE, True),
        (None, None, False),
    ]


def test_a_young_episode_is_not_closed_by_an_inventory_that_lags() -> None:
    """Told of at 23:00, missing from the inventory of the same night: it is still there."""
    (found,) = of(after([record(NO, at(1, 23))], day=1, rows=[]))
    assert found.is_open


def test_what_comes_back_was_never_gone() -> None:
    """Missing from one inventory and in the next with the same old result: the episode goes on."""
    book = after([record(NO, at(1, 1))], day=1, rows=[])
    assert [one.outcome for one in of(book)] == [Outcome.GONE]
    again = after([], day=2, before=book, rows=[evidence_row(NO, 1, capture_time=at(1, 1))])
    assert [(one.is_open, one.opened) for one in of(again)] == [(True, at(1, 1))]


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
