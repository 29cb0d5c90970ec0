"""AWS Config's advanced queries, as far as rolecall sends them.

    SELECT path, … | *  [WHERE condition]       no FROM, no functions, no GROUP BY, no ORDER BY
    condition           path = literal, path IN (literal, …), path LIKE 'text%', AND, OR, NOT, parentheses

Everything else is refused with the reason, never guessed at. Paths lead through lists: a condition holds when it
holds for one of their elements, and a selection keeps their structure. Null values are left out of the answers.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.service_errors import ServiceError

PROPERTIES = frozenset(
    (
        "accountId",
        "arn",
        "availabilityZone",
        "awsRegion",
        "configuration",
        "configurationItemCaptureTime",
        "configurationItemStatus",
        "configurationStateId",
        "relationships",
        "resourceCreationTime",
        "resourceId",
        "resourceName",
        "resourceType",
        "supplementaryConfiguration",
        "tags",
        "version",
    )
)
"""What a path may begin with: the properties that AWS's resource schema gives every resource type."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w:-]*(?:\.[\w:-]+)*)|(?P<sign>[=(),*]))"
)
_KEYWORDS = frozenset(("SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "GROUP", "ORDER", "BY"))
_LIKE_MIN_LENGTH = 3
"""Fewer characters besides wildcards are not supported by AWS either."""

_END = ("end", "")

Document = Mapping[str, Any]
Condition = Callable[[Document], bool]
Literal = str | int | float | bool


@dataclass(frozen=True)
class Query:
    """A query that was understood."""

    paths: tuple[str, ...]
    """As written; `*` alone selects everything."""
    selection: Mapping[str, Any]
    """The paths as a tree; a leaf is None and selects all that is below it."""
    matches: Condition

    def row(self, document: Document) -> dict[str, Any]:
        """What the query selects of a document."""
        if self.paths == ("*",):
            everything: dict[str, Any] = _without_nulls(dict(document))
            return everything
        selected: dict[str, Any] = _selected(document, self.selection)
        return selected


def parse(expression: str) -> Query:
    """Understand a query. Raises ServiceError (InvalidExpressionException) with the reason."""
    try:
        return _Parser(expression).query()
    except RecursionError:
        raise _invalid("it is nested too deeply") from None


class _Parser:
    """Recursive descent over the tokens; a token is a pair of kind and text."""

    def __init__(self, expression: str) -> None:
        # The end comes twice: it may be taken, and then be looked at.
        self._tokens = [*_tokens(expression), _END, _END]
        self._next = 0

    def query(self) -> Query:
        if not self._keyword("SELECT"):
            raise self._refused("a query begins with SELECT")
        paths = self._paths()
        condition: Condition = _always
        if self._keyword("WHERE"):
            condition = self._either()
        if self._kind() != "end":
            raise self._refused("here the query must end, or go on with WHERE, AND or OR")
        return Query(paths, _selection(paths), condition)

    def _paths(self) -> tuple[str, ...]:
        if self._sign("*"):
            return ("*",)
        paths = [self._path()]
        while self._sign(","):
            paths.append(self._path())
        return tuple(paths)

    def _path(self) -> str:
        kind, text = self._take()
        if kind != "word" or text.upper() in _KEYWORDS:
            raise self._refused("a property is expected here", back=1)
        if self._peek() == ("sign", "("):
            raise self._refused("functions are not executed by the local AWS Config")
        if text.split(".")[0] not in PROPERTIES:
            raise self._refused(
                f"there is no property {text.split('.')[0]}; allowed: {', '.join(sorted(PROPERTIES))}", back=1
            )
        return text

    def _either(self) -> Condition:
        conditions = [self._both()]
        while self._keyword("OR"):
            conditions.append(self._both())
        return conditions[0] if len(conditions) == 1 else lambda document: any(one(document) for one in conditions)

    def _both(self) -> Condition:
        conditions = [self._term()]
        while self._keyword("AND"):
            conditions.append(self._term())
        return conditions[0] if len(conditions) == 1 else lambda document: all(one(document) for one in conditions)

    def _term(self) -> Condition:
        if self._keyword("NOT"):
            refused = self._term()
            return lambda document: not refused(document)
        if self._sign("("):
            condition = self._either()
            self._expect_sign(")")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        path = self._path().split(".")
        if self._sign("="):
            return _any_value(path, _equal_to(self._literal()))
        if self._keyword("IN"):
            self._expect_sign("(")
            tests = [_equal_to(self._literal())]
            while self._sign(","):
                tests.append(_equal_to(self._literal()))
            self._expect_sign(")")
            return _any_value(path, lambda value: any(test(value) for test in tests))
        if self._keyword("LIKE"):
            return _any_value(path, self._pattern())
        raise self._refused("the local AWS Config compares with =, IN and LIKE")

    def _pattern(self) -> Callable[[Any], bool]:
        pattern = self._literal()
        if not isinstance(pattern, str) or len(re.sub("[%_]", "", pattern)) < _LIKE_MIN_LENGTH:
            raise self._refused(
                f"LIKE takes a text of at least {_LIKE_MIN_LENGTH} characters besides wildcards", back=1
            )
        wildcards = {"%": ".*", "_": "."}
        regex = re.compile(
            "".join(wildcards.get(character) or re.escape(character) for character in pattern), re.DOTALL
        )
        return lambda value: isinstance(value, str) and regex.fullmatch(value) is not None

    def _literal(self) -> Literal:
        kind, text = self._take()
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text) if "." in text else int(text)
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise self._refused("a text in single quotes, a number, true or false is expected here", back=1)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next]

    def _kind(self) -> str:
        return self._peek()[0]

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._next += 1
        return token

    def _keyword(self, keyword: str) -> bool:
        found = self._kind() == "word" and self._peek()[1].upper() == keyword
        self._next += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        self._next += found
        return found

    def _expect_sign(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._refused(f"{sign} is expected here")

    def _refused(self, reason: str, back: int = 0) -> ServiceError:
        text = self._tokens[max(self._next - back, 0)][1]
        return _invalid(f"{reason}, at {text!r}" if text else f"{reason}, at the end of the query")


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    end = 0
    text = expression.rstrip().removesuffix(";").rstrip()
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise _invalid(f"the local AWS Config does not understand {text[end : end + 20].strip()!r}")
        yield match.lastgroup or "", match[match.lastgroup or 0]
        end = match.end()


def _invalid(reason: str) -> ServiceError:
    return ServiceError("InvalidExpressionException", f"The syntax of the query is incorrect: {reason}")


def _always(_document: Document) -> bool:
    return True


def _equal_to(literal: Literal) -> Callable[[Any], bool]:
    # In Python True is 1; in a query it is not.
    return lambda value: value == literal and isinstance(value, bool) == isinstance(literal, bool)


def _any_value(path: list[str], test: Callable[[Any], bool]) -> Condition:
    return lambda document: any(test(value) for value in _values(document, path))


def _values(node: object, path: list[str]) -> Iterator[object]:
    if isinstance(node, list):
        for element in node:
            yield from _values(element, path)
    elif not path:
        yield node
    elif isinstance(node, Mapping):
        yield from _values(node.get(path[0]), path[1:])


def _selection(paths: tuple[str, ...]) -> dict[str, Any]:
    selection: dict[str, Any] = {}
    for path in paths:
        _select(selection, path.split("."))
    return selection


def _select(selection: dict[str, Any], path: list[str]) -> None:
    first, rest = path[0], path[1:]
    if not rest:
        selection[first] = None
    elif (below := selection.setdefault(first, {})) is not None:
        _select(below, rest)


def _selected(node: Any, selection: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, list):
        return [_selected(element, selection) for element in node]
    if not isinstance(node, Mapping):
        return {}
    found = {}
    for name, below in selection.items():
        value = node.get(name)
        if value is None:
            continue
        if below is None:
            found[name] = _without_nulls(value) if isinstance(value, dict | list) else value
        elif inner := _selected(value, below):
            found[name] = inner
    return found


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case dict():
            return {name: _without_nulls(member) for name, member in value.items() if member is not None}
        case list():
            return [_without_nulls(member) for member in value]
        case _:
            return value
