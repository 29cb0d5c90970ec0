"""Checks a call's input against botocore's own service model, in the words of AWS's services.

Nothing is copied by hand: required members, lengths, ranges, patterns, enums and list sizes all come from the model,
which the client checks only in part. As AWS does, members that the model does not know are ignored.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from botocore.model import OperationModel, Shape

from local.service_errors import ServiceError

_SHOWN_LENGTH = 120

Problems = list[str]
_Check = Callable[[Any, str, Problems], None]


class InputConstraints:
    """The constraints on the input of one operation, compiled once."""

    def __init__(self, operation: OperationModel) -> None:
        self._check = _structure(operation.input_shape) if operation.input_shape else _no_input

    def check(self, document: object) -> None:
        """Raise ServiceError: SerializationException for a wrong JSON type, ValidationException for all else."""
        problems: Problems = []
        self._check(document, "", problems)
        if problems:
            count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
            raise ServiceError("ValidationException", f"{count}: {'; '.join(problems)}")


class ShapeConstraints:
    """The constraints on one shape of a service model, for inputs of which each part is refused by itself."""

    def __init__(self, shape: Shape) -> None:
        self._check = _compiled(shape)

    def problems(self, value: object) -> Problems:
        """What is wrong with `value`; empty if nothing is. Raises ServiceError for a wrong JSON type."""
        problems: Problems = []
        self._check(value, "", problems)
        return problems


def _no_input(_value: object, _path: str, _problems: Problems) -> None:
    """Whatever is sent to an operation without input is ignored."""


def _compiled(shape: Shape) -> _Check:
    compile_shape = _COMPILERS.get(shape.type_name)
    if compile_shape is None:
        raise TypeError(f"{shape.name} is a {shape.type_name}, which no operation here has taken so far")
    return compile_shape(shape)


def _structure(shape: Any) -> _Check:  # noqa: ANN401 - botocore's shapes differ by type only at run time
    members = [
        (name, name[:1].lower() + name[1:], name in shape.required_members, _compiled(member))
        for name, member in shape.members.items()
    ]

    def check(value: Any, path: str, problems: Problems) -> None:  # noqa: ANN401 - any JSON value
        _expect(dict, value, "a structure")
        for name, shown, required, check_member in members:
            member = value.get(name)
            where = f"{path}.{shown}" if path else shown
            if member is not None:
                check_member(member, where, problems)
            elif required:
                problems.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")

    return check


def _list(shape: Any) -> _Check:  # noqa: ANN401 - as above
    check_member = _compiled(shape.member)
    check_size = _size(shape, "length")

    def check(value: Any, path: str, problems: Problems) -> None:  # noqa: ANN401 - any JSON value
        _expect(list, value, "a list")
        check_size(len(value), value, path, problems)
        for number, member in enumerate(value, start=1):
            where = f"{path}.{number}.member"
            if member is None:
                problems.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
            else:
                check_member(member, where, problems)

    return check


def _map(shape: Any) -> _Check:  # noqa: ANN401 - as above
    check_key, check_value = _compiled(shape.key), _compiled(shape.value)
    check_size = _size(shape, "length")

    def check(value: Any, path: str, problems: Problems) -> None:  # noqa: ANN401 - any JSON value
        _expect(dict, value, "a map")
        check_size(len(value), value, path, problems)
        for key, member in value.items():
            check_key(key, f"{path}.key", problems)
            check_value(member, f"{path}.{key}.member", problems)

    return check


def _string(shape: Any) -> _Check:  # noqa: ANN401 - as above
    check_size = _size(shape, "length")
    pattern = re.compile(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    values = frozenset(shape.enum)
    refusal = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"

    def check(value: Any, path: str, problems: Problems) -> None:  # noqa: ANN401 - any JSON value
        _expect(str, value, "a String")
        check_size(len(value), value, path, problems)
        if values and value not in values:
            problems.append(_problem(value, path, refusal))
        if pattern is not None and not pattern.fullmatch(value):
            problems.append(_problem(value, path, f"Member must satisfy regular expression pattern: {pattern.pattern}"))

    return check


def _number(shape: Shape) -> _Check:
    check_size = _size(shape, "value")

    def check(value: Any, path: str, problems: Problems) -> None:  # noqa: ANN401 - any JSON value
        _expect(int, value, "an Integer")
        check_size(value, value, path, problems)

    return check


def _typed(kind: type | tuple[type, ...], name: str) -> _Check:
    def check(value: object, _path: str, _problems: Problems) -> None:
        _expect(kind, value, name)

    return check


def _size(shape: Shape, measure: str) -> Callable[[int, object, str, Problems], None]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")

    def check(size: int, value: object, path: str, problems: Problems) -> None:
        if least is not None and size < least:
            problems.append(_problem(value, path, f"Member must have {measure} greater than or equal to {least}"))
        if most is not None and size > most:
            problems.append(_problem(value, path, f"Member must have {measure} less than or equal to {most}"))

    return check


def _problem(value: object, path: str, constraint: str) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    shown = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _expect(kind: type | tuple[type, ...], value: object, name: str) -> None:
    # In Python a bool is an int; in JSON it is not.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ServiceError("SerializationException", f"{_json_type(value)} can not be converted to {name}")


def _json_type(value: object) -> str:
    match value:
        case bool():
            return f"{str(value).upper()}_VALUE"
        case str():
            return "STRING_VALUE"
        case int() | float():
            return "NUMBER_VALUE"
        case list():
            return "START_ARRAY"
        case _:
            return "START_OBJECT"


_COMPILERS: dict[str, Callable[[Any], _Check]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _number,
    "long": _number,
    "double": lambda _shape: _typed((int, float), "a Double"),
    "boolean": lambda _shape: _typed(bool, "a Boolean"),
    "timestamp": lambda _shape: _typed((int, float), "a timestamp"),
}
