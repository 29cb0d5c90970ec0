import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.cutting import fitted, sendable, shortened, units
from tests.strategies import texts


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("abc", 3), ("é", 1), ("\uffff", 1), ("😀", 2), ("a\ud800", 2)]
)
def test_characters_beyond_the_basic_plane_count_twice(text: str, expected: int) -> None:
    """As the services count, whose strings are UTF-16."""
    assert units(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("plain", "plain"), ("é😀", "é😀"), ("a\ud800b\udfff", "a\ufffdb\ufffd")]
)
def test_what_utf_8_cannot_carry_is_replaced(text: str, expected: str) -> None:
    """And nothing else."""
    assert sendable(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("ééé", 2, "éé"),
        ("😀😀", 4, "😀😀"),
        ("😀😀", 3, "😀"),
        ("a😀", 2, "a"),
        ("😀", 1, ""),
        ("abc", 0, ""),
    ],
)
def test_a_text_is_shortened_but_never_inside_a_character(text: str, limit: int, expected: str) -> None:
    """At the limit and one beyond it."""
    assert shortened(text, limit) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two", 7, "one two"),
        ("one two", 6, "one…"),
        ("  one\n\ttwo ", 7, "one two"),
        ("one, two", 6, "one…"),
        ("a bbbbbbbb", 8, "a bbbbb…"),
        ("😀😀", 3, "😀…"),
        (" \n ", 5, ""),
    ],
)
def test_a_text_is_fitted_on_one_line(text: str, limit: int, expected: str) -> None:
    """Cut at a word where that leaves more than half, and marked as cut."""
    assert fitted(text, limit) == expected


@given(text=texts, limit=st.integers(1, 400))
def test_whatever_is_cut_fits_and_can_be_sent(text: str, limit: int) -> None:
    """What fits already stays as it is."""
    line, short = fitted(text, limit), shortened(sendable(text), limit)
    for cut in (line, short):
        assert units(cut) <= limit
        cut.encode()
    assert sendable(text).startswith(short)
    assert fitted(line, limit) == line
    assert not {"\n", "\r", "\t", "\x00"} & set(line)
    assert units(sendable(text)) > limit or short == sendable(text)
