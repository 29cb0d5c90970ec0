"""JSON values, one at a time, from text of any length.

Config writes a snapshot as one object whose `configurationItems` may fill gigabytes, so no more than one of its
elements is held at a time. They are decoded by the standard library's scanner, where they lie in the buffer. Measured
on a snapshot of 100,000 items and 700 MB: this reader 6 s in 20 MB of memory; ijson (yajl in C) 9.5 s in 12 MB;
orjson 16 s and msgspec 19 s in 3.5 to 5 GB, as they take the text whole. jq 1.6 took 27 s and 5 GB.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LISTS = frozenset(("configurationItems", "Results"))
"""The members of a top-level object whose elements are values of their own: of snapshot and history files and
GetResourceConfigHistory, and of SelectResourceConfig."""

MAX_VALUE_LENGTH = 64 * 1024 * 1024
"""Characters of one value. Config's largest items are a few hundred kB; this bounds what a broken file may cost."""

_SPACE = re.compile(r"[ \t\n\r]*")
_NEXT_LINE = re.compile(r"\n(?=[{\[])")

_TOKEN_LENGTH = 16
"""More characters than any JSON token but a string has (`\\uD83D\\uDE00`, `-Infinity`): an error this far before the
end of the buffer cannot come from a token that the end cut in two."""

_NUMBER_TAIL = 2
"""Characters that may follow a number in a buffer and still turn out to belong to it: `e+`."""

_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Position:
    """Where a value begins or breaks, counted in lines and characters from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        """As people count."""
        return f"line {self.line}, column {self.column:,}"


@dataclass(frozen=True, slots=True)
class Broken:
    """Text that is no JSON: where, why, and what became of the text that follows it."""

    position: Position
    reason: str


class _NotJson(Exception):
    """Carries what is to become a Broken. `truncated`: nothing follows."""

    def __init__(self, at: int, reason: str, *, truncated: bool = False) -> None:
        super().__init__(reason)
        self.at = at
        self.reason = reason
        self.truncated = truncated


class ValueReader:
    """The values in `chunks` of text, however these cut it: one value, several in a row, or one on each line.

    The elements of a top-level array, and of a top-level object's `LISTS`, are values of their own. Iterating yields
    each value, or a `Broken`; after that it goes on with the next line that begins with a brace or a bracket, unless
    a list broke, inside which no line can be told from another. `position` is that of the value yielded last.
    """

    def __init__(self, chunks: Iterable[str]) -> None:
        self.position = Position(1, 1)
        self.blank = True
        """Whether there is nothing but space so far."""
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0
        self._kept_from = 0
        """Where the value that is being read begins: what comes before it may be forgotten."""
        self._in_list = False
        self._offset = 0
        """Characters forgotten, which stood before `_text`."""
        self._line = 1
        self._line_start = 0
        self._counted_to = 0

    def __iter__(self) -> Iterator[Any]:
        """Yields Any because JSON may hold anything: whoever asks has to look."""
        while self._next():
            self.blank = False
            self._begin()
            try:
                yield from self._top_level_value()
            except _NotJson as problem:
                position = self._position_of(problem.at)
                resumed = not self._in_list and self._to_next_line()
                if resumed:
                    consequence = f"; went on at line {self._position_of(self._at).line}"
                else:
                    consequence = "" if problem.truncated else "; the rest was not read"
                yield Broken(position, problem.reason + consequence)
                if not resumed:
                    return

    def _top_level_value(self) -> Iterator[Any]:
        match self._text[self._at]:
            case "[":
                yield from self._elements()
            case "{":
                value = self._object_in_buffer()
                if value is None:
                    yield from self._members()
                else:
                    yield value
            case _:
                yield self._value()

    def _object_in_buffer(self) -> dict[str, Any] | None:
        """The quick way for JSON lines; None when the buffer does not hold all of it, or it holds a list."""
        try:
            value, end = _decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        if not LISTS.isdisjoint(value):
            return None
        self._at = end
        return value  # type: ignore[no-any-return]  # it began with a brace

    def _members(self) -> Iterator[Any]:
        members: dict[str, Any] = {}
        position, has_list = self.position, False
        self._at += 1
        more = self._next() != "}"
        if not more:
            self._at += 1
        while more:
            if self._next() not in ('"', ""):
                raise _NotJson(self._at, "Expecting property name enclosed in double quotes")
            name = self._value()
            self._separator(":", ":")
            if name in LISTS and self._next() == "[":
                has_list = True
                yield from self._elements()
            else:
                members[name] = self._value()
            more = self._separator(",", "}")
        if not has_list:
            self.position = position
            yield members

    def _elements(self) -> Iterator[Any]:
        self._in_list = True
        self._at += 1
        more = self._next() != "]"
        if not more:
            self._at += 1
        while more:
            self._next()
            self._begin()
            yield self._value()
            more = self._separator(",", "]")
        self._in_list = False
        self._kept_from = self._at

    def _value(self) -> Any:  # noqa: ANN401 - any JSON value
        if not self._next():
            raise _NotJson(self._at, "the input ends where a value should begin", truncated=True)
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_final(error) or not self._more():
                    raise self._not_json(error) from None
            else:
                may_go_on = isinstance(value, int | float) and len(self._text) - end <= _NUMBER_TAIL
                if not may_go_on or not self._more():
                    self._at = end
                    return value

    def _separator(self, expected: str, closing: str) -> bool:
        """Step over the next character, which must be one of the two; whether another value has to follow."""
        found = self._next()
        if not found:
            raise _NotJson(self._at, "the input ends in the middle of a value", truncated=True)
        if found not in (expected, closing):
            raise _NotJson(self._at, f"Expecting {expected!r} delimiter")
        self._at += 1
        return found != closing

    def _next(self) -> str:
        """The next character that is no space, without stepping over it; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _begin(self) -> None:
        self._count_lines(self._at)
        self._kept_from = self._at
        self.position = Position(self._line, self._offset + self._at - self._line_start + 1)

    def _more(self) -> bool:
        """Append at least as much text as is kept, so that a long value is not scanned once for every chunk."""
        kept = len(self._text) - self._kept_from
        if kept > MAX_VALUE_LENGTH:
            raise _NotJson(self._at, f"a value is longer than {MAX_VALUE_LENGTH:,} characters")
        pieces: list[str] = []
        wanted = max(kept, 1)
        while wanted > 0 and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            wanted -= len(chunk)
        if not any(pieces):
            return False
        self._count_lines(self._kept_from)
        self._text = "".join((self._text[self._kept_from :], *pieces))
        self._offset += self._kept_from
        self._at -= self._kept_from
        self._kept_from = self._counted_to = 0
        return True

    def _count_lines(self, to: int) -> None:
        # A search that finds nothing is many times as fast as a count, and most snapshots are one line.
        if self._text.find("\n", self._counted_to, to) >= 0:
            self._line += self._text.count("\n", self._counted_to, to)
            self._line_start = self._offset + self._text.rindex("\n", self._counted_to, to) + 1
        self._counted_to = to

    def _position_of(self, at: int) -> Position:
        newlines = self._text.count("\n", self._counted_to, at)
        line_start = self._text.rindex("\n", self._counted_to, at) + 1 if newlines else self._line_start - self._offset
        return Position(self._line + newlines, at - line_start + 1)

    def _is_final(self, error: Exception) -> bool:
        """Whether more text cannot mend this."""
        if not isinstance(error, json.JSONDecodeError):
            return True
        cut_in_two = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _TOKEN_LENGTH
        return not cut_in_two

    def _not_json(self, error: Exception) -> _NotJson:
        match error:
            case RecursionError():
                return _NotJson(self._at, "a value is nested too deeply")
            case json.JSONDecodeError() if error.msg.startswith("Unterminated string") or error.pos >= len(self._text):
                return _NotJson(self._at, "the input ends inside the value that begins here", truncated=True)
            case json.JSONDecodeError() if self._text[error.pos] == "\0":
                return _NotJson(error.pos, "bytes that are no text in the input's encoding")
            case json.JSONDecodeError():
                return _NotJson(error.pos, error.msg)
            case _:
                return _NotJson(self._at, str(error))

    def _to_next_line(self) -> bool:
        """Move from the value that broke to the next line that begins one."""
        self._at = self._kept_from
        while not (found := _NEXT_LINE.search(self._text, self._at)):
            # The last character may be the newline that counts.
            self._at = self._kept_from = max(self._at, len(self._text) - 1)
            if not self._more():
                return False
        self._at = self._kept_from = found.end()
        return True
