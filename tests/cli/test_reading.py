import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.cli import reading
from rolecall.cli.reading import Broken, ValueReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=20)


def cut(text: str, places: Sequence[int]) -> list[str]:
    """`text` in pieces, cut at `places`."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def read(text: str, size: int = 1) -> list[object]:
    """What a reader makes of `text` in pieces of `size`; a Broken as its position and its reason."""
    reader = ValueReader(text[at : at + size] for at in range(0, len(text), size))
    return [(str(value.position), value.reason) if isinstance(value, Broken) else value for value in reader]


@given(values=st.lists(JSON, max_size=5), space=SPACE, ascii_only=st.booleans(), places=st.lists(st.integers(0, 500)))
def test_an_array_gives_its_elements_wherever_it_is_cut(
    values: list[object], space: str, ascii_only: bool, places: list[int]
) -> None:
    """Chunks may end inside numbers, escapes, words and spaces: json.loads decides what is right."""
    written = (f"{space},{space}").join(json.dumps(value, ensure_ascii=ascii_only) for value in values)
    text = f"{space}[{space}{written}{space}]{space}"
    assert list(ValueReader(cut(text, places))) == json.loads(text)


@given(
    items=st.lists(JSON, max_size=5),
    others=st.dictionaries(st.text().filter(lambda name: name not in reading.LISTS), JSON, max_size=3),
    name=st.sampled_from(sorted(reading.LISTS)),
    indent=st.sampled_from([None, 0, 2]),
    places=st.lists(st.integers(0, 500)),
)
def test_a_snapshot_gives_its_items_wherever_it_is_cut_and_whatever_stands_around_them(
    items: list[object], others: dict[str, object], name: str, indent: int | None, places: list[int]
) -> None:
    """The other members of the object are read over, before and behind the list."""
    members = {**others, name: items, **{f"{other} again": value for other, value in others.items()}}
    assert list(ValueReader(cut(json.dumps(members, indent=indent), places))) == items


@given(
    values=st.lists(JSON.filter(lambda value: not isinstance(value, list)), max_size=5),
    places=st.lists(st.integers(0, 500)),
)
def test_values_in_a_row_are_values_of_their_own(values: list[object], places: list[int]) -> None:
    """JSON lines, and what several runs of a tool append to one file."""
    expected = [value for value in values if not isinstance(value, dict) or reading.LISTS.isdisjoint(value)]
    text = "\n".join(json.dumps(value) for value in expected)
    assert list(ValueReader(cut(text, places))) == expected


@given(value=JSON, end=st.integers(1, 10_000), places=st.lists(st.integers(0, 500)))
def test_a_truncated_array_keeps_what_came_before_and_says_so(value: object, end: int, places: list[int]) -> None:
    """Wherever a file ends too early, the elements before the end are kept, and the end is no silent one."""
    elements = [{"a": value}] * 3
    text = json.dumps(elements)
    *kept, last = ValueReader(cut(text[: 1 + end % (len(text) - 1)], places))
    assert isinstance(last, Broken)
    assert kept == elements[: len(kept)]


def test_a_number_may_be_cut_anywhere() -> None:
    """Its first part is a number, too, and must not be taken for all of it."""
    text = "[1.5e+10, -2E-3, 1e5, 12345, -0.25, 7]"
    for at in range(len(text)):
        assert list(ValueReader([text[:at], text[at:]])) == [1.5e10, -2e-3, 1e5, 12345, -0.25, 7]


BROKEN = [
    ("a line that is no JSON does not stop the others", '{"a":1}\nnot json\n{"b":2}\n',
     [{"a": 1}, ("line 2, column 1", "Expecting value; went on at line 3"), {"b": 2}]),
    ("a line that ends too early does not swallow the next", '{"a": 1\n{"b":2}\n{"c":3}',
     [("line 2, column 1", "Expecting ',' delimiter; went on at line 2"), {"b": 2}, {"c": 3}]),
    ("a string that ends too early does not swallow the next line", '{"a":"x\n{"b":2}\n',
     [("line 1, column 8", "Invalid control character at; went on at line 2"), {"b": 2}]),
    ("a long line that is no JSON does not hide where the next begins", "no json " * 20 + '\n{"b":2}',
     [("line 1, column 1", "Expecting value; went on at line 2"), {"b": 2}]),
    ("lines of several broken kinds are each named", 'x\n{"a":1}\n{"b" 2}\n{"c":3}\n',
     [("line 1, column 1", "Expecting value; went on at line 2"), {"a": 1},
      ("line 3, column 6", "Expecting ':' delimiter; went on at line 4"), {"c": 3}]),
    ("a snapshot that ends inside an item keeps the items before", '{"configurationItems":[{"a":1},{"b":',
     [{"a": 1}, ("line 1, column 32", "the input ends inside the value that begins here")]),
    ("a snapshot that ends between items says so", '{"configurationItems":[{"a":1}',
     [{"a": 1}, ("line 1, column 31", "the input ends in the middle of a value")]),
    ("an item that is broken ends its list, as no item can be told from another after it",
     '{"configurationItems":[{"a":1},{"b"},{"c":1}]}',
     [{"a": 1}, ("line 1, column 36", "Expecting ':' delimiter; the rest was not read")]),
    ("an item may lack the comma before it", "[1 2]",
     [1, ("line 1, column 4", "Expecting ',' delimiter; the rest was not read")]),
    ("an object that ends after a name", '{"a":1,"b"',
     [("line 1, column 11", "the input ends in the middle of a value")]),
    ("an object whose member has no name", '{"a":1, 2:3}',
     [("line 1, column 9", "Expecting property name enclosed in double quotes; the rest was not read")]),
    ("a byte that is no text breaks its own line only", '{"a":"\0"}\n{"b":1}',
     [("line 1, column 7", "bytes that are no text in the input's encoding; went on at line 2"), {"b": 1}]),
    ("a bracket too many is not passed over", '{"a":1}]',
     [{"a": 1}, ("line 1, column 8", "Expecting value; the rest was not read")]),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(("promise", "text", "expected"), BROKEN, ids=[case[0] for case in BROKEN])
def test_broken_text_is_named_with_its_place(promise: str, text: str, expected: list[object], size: int) -> None:
    """The same place, however the text is cut."""
    assert read(text, size) == expected, promise


@pytest.mark.parametrize("text", ["", " \n\t", "\n" * 1000])
def test_nothing_but_space_is_blank(text: str) -> None:
    """An empty input is told from one with an empty list."""
    reader = ValueReader([text])
    assert list(reader) == []
    assert reader.blank


def test_an_empty_list_is_not_blank() -> None:
    """Config writes snapshots of regions without resources."""
    reader = ValueReader(['{"configurationItems":[]}'])
    assert list(reader) == []
    assert not reader.blank


def test_each_value_has_the_position_at_which_it_begins() -> None:
    """Lines and columns count from 1, through chunk ends and empty lines."""
    text = '\n\n  {"a":1}\n{"configurationItems": [\n  {"b":2}, {"c":3}\n]} [4]'
    for size in (1, 3, 100):
        reader = ValueReader(text[at : at + size] for at in range(0, len(text), size))
        assert [(value, str(reader.position)) for value in reader] == [
            ({"a": 1}, "line 3, column 3"),
            ({"b": 2}, "line 5, column 3"),
            ({"c": 3}, "line 5, column 12"),
            (4, "line 6, column 5"),
        ]


def test_values_are_given_as_soon_as_they_are_there() -> None:
    """Someone who pipes a growing log in sees verdicts while it grows."""
    given_so_far = 0

    def growing() -> Iterator[str]:
        nonlocal given_so_far
        for number in range(3):
            given_so_far += 1
            yield f'{{"line":{number}}}\n'

    for number, value in enumerate(ValueReader(growing())):
        assert value == {"line": number}
        assert given_so_far == number + 1


def test_nesting_without_end_is_an_error_of_the_value() -> None:
    """A hostile line neither ends the program nor the reading."""
    nested = '{"a":' + "[" * 100_000
    assert read(nested + '\n{"b":1}', 5000) == [
        ("line 1, column 6", "a value is nested too deeply; went on at line 2"),
        {"b": 1},
    ]


def test_a_value_without_end_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that opens a string and never closes it is given up at the limit."""
    monkeypatch.setattr(reading, "MAX_VALUE_LENGTH", 1000)
    pieces = 0

    def endless() -> Iterator[str]:
        nonlocal pieces
        yield '[1, "'
        while True:
            pieces += 1
            yield "x" * 100

    kept, broken = ValueReader(endless())
    assert kept == 1
    assert isinstance(broken, Broken)
    assert broken.reason == "a value is longer than 1,000 characters; the rest was not read"
    assert pieces < 50


def test_numbers_beyond_what_python_reads_are_an_error_of_the_value() -> None:
    """Python refuses integers of thousands of digits, as reading them takes quadratic time."""
    digits = "9" * (sys.get_int_max_str_digits() + 1)
    broken, good = ValueReader([f'{{"a":{digits}}}\n{{"b":1}}'])
    assert isinstance(broken, Broken)
    assert "Exceeds the limit" in broken.reason
    assert good == {"b": 1}
