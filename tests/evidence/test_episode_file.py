import io
import json
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import Damaged
from rolecall.evidence.episode_day import InstanceDay, ScopeDay
from rolecall.evidence.episode_file import episodes_path, read_episodes, scope_of, write_episodes
from rolecall.evidence.episodes import NOTHING, History, Version
from rolecall.model import Reason
from tests.evidence.made import ACCOUNT, DAY, PERIOD, REGION, RULE, at, instance_id, record
from tests.evidence.test_episodes import Known, after
from tests.strategies import anything

SCOPE = ScopeDay(ACCOUNT, REGION, RULE, PERIOD, covered=True)
PATH = f"episodes/{ACCOUNT}_{REGION}.jsonl.gz"


def written(known: Known, take: Callable[[InstanceDay], None] = lambda _: None) -> list[bytes]:
    """The lines of the file, each with its newline."""
    stream = io.BytesIO()
    write_episodes(stream, SCOPE, (InstanceDay(identity, None, history) for identity, history in known.items()), take)
    return stream.getvalue().splitlines(keepends=True)


def read(lines: Sequence[bytes]) -> Iterator[tuple[str, History]]:
    """What they tell of."""
    return read_episodes(io.BytesIO(b"".join(lines)), PATH)


def some_known() -> Known:
    """An open episode, two closed ones, an instance that never had one, and one that is missing."""
    known = after(
        [
            record(Reason.NO_PROFILE, at(1, 1), 1),
            record(Reason.NO_PROFILE, at(1, 1), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 2),
            record(Reason.NO_PROFILE, at(1, 4), 2),
            record(Reason.EXEMPT, at(1, 5), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 3),
        ]
    )
    missing = History(Version(at(1, 1), at(1, 2)), exempt=True, missing_since=DAY)
    return known | {instance_id(4): missing, instance_id(5): NOTHING}


def test_a_file_is_named_for_its_account_and_region() -> None:
    """And tells both again."""
    assert episodes_path(ACCOUNT, REGION) == PATH
    assert scope_of(PATH) == (ACCOUNT, REGION)


def test_what_is_known_reads_back_as_it_was_written() -> None:
    """Episodes, and instances without any; of whom nothing is known, nothing is written."""
    known = some_known()
    again = dict(read(written(known)))
    assert again == {identity: history for identity, history in known.items() if history != NOTHING}
    assert [len(history.episodes) for history in again.values()] == [1, 2, 0, 0]
    assert written(again) == written(known)


def test_whoever_asks_is_given_each_instance() -> None:
    """Once, in the order of the file; also of whom nothing is known."""
    taken: list[InstanceDay] = []
    written(some_known(), taken.append)
    assert {one.resource_id: one.history for one in taken} == some_known()


LINES = written(some_known())


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], r"its first line is not that of rolecall\.episodes/v1 of 111122223333 in eu-west-1"),
        (LINES[1:], "its first line is not"),
        ([LINES[0].replace(b"v1", b"v2"), *LINES[1:]], "its first line is not"),
        ([LINES[0].replace(b"eu-west-1", b"eu-west-2"), *LINES[1:]], "its first line is not"),
        ([*LINES, b"no json\n"], "line 9 is no JSON object"),
        ([*LINES, b"[]\n"], "line 9 is no JSON object"),
        ([*LINES, b"[" * 100_000], "line 9 is no JSON object"),
        ([*LINES, b"{}\n"], "line 9 does not say which instance it is of"),
        ([*LINES, b'{"resourceId":7}\n'], "line 9 does not say which instance it is of"),
        ([*LINES, LINES[1]], "ids ascend"),
        ([LINES[0], LINES[6], LINES[1]], "ids ascend"),
        ([LINES[0], LINES[2]], "line 2: newest is None"),
        ([*LINES[:3], LINES[1]], "line 4: rule is None"),
        ([LINES[0], LINES[7].replace(b"2026-03-02", b"soon")], "line 2: missingSince is 'soon'"),
        ([LINES[0], LINES[1].replace(b"evaluatedAt", b"x")], r"line 2: newest\.evaluatedAt is None"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(lines: Sequence[bytes], says: str) -> None:
    """History that is damaged is never taken for another one."""
    with pytest.raises(Damaged, match=says) as refused:
        list(read(lines))
    assert refused.value.key == PATH


def changed(name: str, value: object) -> list[bytes]:
    """The file, with another value in its second episode."""
    episode = {**json.loads(LINES[4]), name: value}
    return [*LINES[:4], json.dumps(episode).encode() + b"\n", *LINES[5:]]


@pytest.mark.parametrize("name", ["rule", "kind", "began", "opened", "inferred", "outcome", "reason"])
@given(value=anything.filter(lambda one: not isinstance(one, str | bool) and one is not None and one != []))
def test_an_episode_with_a_wrong_value_is_refused(name: str, value: object) -> None:
    """Whatever else stands where a text, a time or a flag belongs."""
    with pytest.raises(Damaged):
        list(read(changed(name, value)))


@pytest.mark.parametrize("name", ["ended", "outcome"])
def test_an_end_without_an_outcome_is_refused(name: str) -> None:
    """And an outcome without an end."""
    with pytest.raises(Damaged, match="line 5: outcome"):
        list(read(changed(name, None)))


@given(st.sets(st.text(min_size=1, max_size=8), max_size=6))
def test_any_resource_id_can_be_known(identities: set[str]) -> None:
    """Sorted as texts are; half a surrogate pair, too."""
    known = {identity: History(Version(at(1), at(1))) for identity in sorted(identities)}
    assert dict(read(written(known))) == known
