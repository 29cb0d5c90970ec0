import io
import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import Damaged
from rolecall.evidence.episode_day import ScopeDay
from rolecall.evidence.episode_file import episodes_path, read_episodes, scope_of, write_episodes
from rolecall.evidence.episodes import Episode
from rolecall.model import Reason
from tests.evidence.made import ACCOUNT, PERIOD, REGION, RULE, at, record
from tests.evidence.test_episodes import History, after
from tests.strategies import anything

SCOPE = ScopeDay(ACCOUNT, REGION, RULE, PERIOD, covered=True)
PATH = f"episodes/{ACCOUNT}_{REGION}.jsonl.gz"


def written(histories: History) -> list[bytes]:
    """The lines of the file, each with its newline."""
    stream = io.BytesIO()
    write_episodes(stream, SCOPE, histories.items(), lambda _: None)
    return stream.getvalue().splitlines(keepends=True)


def read(lines: Sequence[bytes]) -> Iterator[tuple[str, Sequence[Episode]]]:
    """What they tell of."""
    return read_episodes(io.BytesIO(b"".join(lines)), PATH)


def a_history() -> History:
    """An open episode, two closed ones and an interruption, and an instance that never had one."""
    return after(
        [
            record(Reason.NO_PROFILE, at(1, 1), 1),
            record(Reason.NO_PROFILE, at(1, 1), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 1, 30), 2),
            record(Reason.NO_PROFILE, at(1, 1, 35), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 2),
            record(Reason.NO_PROFILE, at(1, 4), 2),
            record(Reason.EXEMPT, at(1, 5), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 3),
        ]
    )


def test_a_file_is_named_for_its_account_and_region() -> None:
    """And tells both again."""
    assert episodes_path(ACCOUNT, REGION) == PATH
    assert scope_of(PATH) == (ACCOUNT, REGION)


def test_a_history_reads_back_as_it_was_written() -> None:
    """Episodes, interruptions, and instances without any; written again it is the same file."""
    histories = a_history()
    assert [len(episodes) for episodes in histories.values()] == [1, 2, 0]
    again = dict(read(written(histories)))
    assert again == histories
    assert written(again) == written(histories)


def test_whoever_asks_is_given_each_episode() -> None:
    """Once, in the order of the file."""
    taken: list[Episode] = []
    write_episodes(io.BytesIO(), SCOPE, a_history().items(), taken.append)
    assert taken == [one for episodes in a_history().values() for one in episodes]


LINES = written(a_history())


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], r"its first line is not that of rolecall\.episodes/v1 of 111122223333 in eu-west-1"),
        (LINES[1:], "its first line is not"),
        ([LINES[0].replace(b"v1", b"v2"), *LINES[1:]], "its first line is not"),
        ([LINES[0].replace(b"eu-west-1", b"eu-west-2"), *LINES[1:]], "its first line is not"),
        ([*LINES, b"no json\n"], "line 6 is no JSON object"),
        ([*LINES, b"[]\n"], "line 6 is no JSON object"),
        ([*LINES, b"[" * 100_000], "line 6 is no JSON object"),
        ([*LINES, b"{}\n"], "line 6 does not say which instance it is of"),
        ([*LINES, b'{"resourceId":7}\n'], "line 6 does not say which instance it is of"),
        ([*LINES, LINES[1]], "ids ascend"),
        ([LINES[0], LINES[4], LINES[1]], "ids ascend"),
        ([LINES[0], b'{"resourceId":"i-1","rule":"r"}\n'], "line 2: flaps is None"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(lines: Sequence[bytes], says: str) -> None:
    """History that is damaged is never taken for another one."""
    with pytest.raises(Damaged, match=says) as refused:
        list(read(lines))
    assert refused.value.key == PATH


def changed(name: str, value: object) -> list[bytes]:
    """The file, with another value in its second episode."""
    episode = {**json.loads(LINES[2]), name: value}
    return [*LINES[:2], json.dumps(episode).encode() + b"\n", *LINES[3:]]


@pytest.mark.parametrize("name", ["rule", "kind", "began", "opened", "inferred", "outcome", "reason", "flaps"])
@given(value=anything.filter(lambda one: not isinstance(one, str | bool) and one is not None and one != []))
def test_an_episode_with_a_wrong_value_is_refused(name: str, value: object) -> None:
    """Whatever else stands where a text, a time or a flag belongs."""
    with pytest.raises(Damaged):
        list(read(changed(name, value)))


@pytest.mark.parametrize("name", ["ended", "outcome"])
def test_an_end_without_an_outcome_is_refused(name: str) -> None:
    """And an outcome without an end."""
    with pytest.raises(Damaged, match="line 3: outcome"):
        list(read(changed(name, None)))


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.just(()), max_size=6))
def test_any_resource_id_can_be_known(known: dict[str, tuple[()]]) -> None:
    """Sorted as texts are; half a surrogate pair, too."""
    histories: History = {identity: [] for identity in sorted(known)}
    assert dict(read(written(histories))) == histories
