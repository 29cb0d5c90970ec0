import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidRecord
from rolecall.evidence.episode_book import EpisodeBook
from rolecall.evidence.episode_file import book_document, read_book
from rolecall.evidence.known_instances import KnownInstances, number_of
from rolecall.evidence.manifest import Period
from rolecall.evidence.package_files import json_texts
from rolecall.model import Reason
from tests.evidence.made import PERIOD, at, record
from tests.strategies import anything


def written(book: EpisodeBook, period: Period = PERIOD) -> bytes:
    """The file of a book."""
    return "".join(json_texts(book_document(book, period))).encode()


def a_book() -> EpisodeBook:
    """With an open episode, a closed one, and an instance that never had one."""
    book = EpisodeBook(PERIOD)
    book.take_records(
        [
            record(Reason.NO_PROFILE, at(1, 1), 1),
            record(Reason.NO_PROFILE, at(1, 1), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 1, 30), 2),
            record(Reason.NO_PROFILE, at(1, 1, 35), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 2),
            record(Reason.PROFILE_ATTACHED, at(1, 2), 3),
        ]
    )
    return book


def test_a_book_reads_back_as_it_was_written() -> None:
    """Episodes and known instances; written again it is the same file."""
    raw = written(a_book())
    again = read_book(raw, PERIOD)
    assert list(again.episodes()) == list(a_book().episodes())
    assert [[*known] for known in again.known().values()] == [sorted(number_of(f"i-{n:017x}") for n in (1, 2, 3))]
    assert written(again) == raw


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema": "other"}, "schema"),
        ({"episodes": {}}, "episodes"),
        ({"episodes": [3]}, "episode"),
        ({"known": []}, "known"),
        ({"known": {"nowhere": ""}}, "known"),
        ({"known": {"111122223333_eu-west-1": "AAA="}}, "known"),
        ({"known": {"111122223333_eu-west-1": "?"}}, "known"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_field(changes: dict[str, Any], field: str) -> None:
    """History that is damaged is never taken for another one."""
    with pytest.raises(InvalidRecord) as refused:
        read_book(json.dumps({**json.loads(written(a_book())), **changes}).encode(), PERIOD)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "name", ["account", "region", "kind", "began", "opened", "inferred", "outcome", "reason", "flaps"]
)
@given(value=anything.filter(lambda one: not isinstance(one, str | bool) and one is not None and one != []))
def test_an_episode_with_a_wrong_value_is_refused(name: str, value: object) -> None:
    """Whatever else stands where a text, a time or a flag belongs."""
    document = json.loads(written(a_book()))
    document["episodes"][1][name] = value
    with pytest.raises(InvalidRecord):
        read_book(json.dumps(document).encode(), PERIOD)


def test_an_end_without_an_outcome_is_refused() -> None:
    """And an outcome without an end."""
    for name in ("ended", "outcome"):
        document = json.loads(written(a_book()))
        document["episodes"][1][name] = None
        with pytest.raises(InvalidRecord, match="outcome"):
            read_book(json.dumps(document).encode(), PERIOD)


@given(st.sets(st.text(max_size=8)), st.text(max_size=8))
def test_known_instances_are_those_that_were_named(ids: set[str], other: str) -> None:
    """After a detour over their text, too, which does not depend on this machine's byte order."""
    known = KnownInstances(number_of(one) for one in ids)
    for one in (known, KnownInstances.from_text(known.to_text())):
        assert all(identity in one for identity in ids)
        assert (other in one) is (other in ids)
        assert len(one) == len(ids)


def test_the_text_is_big_endian() -> None:
    """Two numbers, 1 and 258."""
    assert KnownInstances([258, 1]).to_text() == "AAAAAAAAAAEAAAAAAAABAg=="
