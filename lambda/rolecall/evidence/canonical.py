"""JSON whose bytes follow from its value (RFC 8785), and reading it from somebody who may have made it to harm.

Only numbers that every reader of JSON takes for the same: integers below 2^53, and no NaN.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import rfc8785

from rolecall.errors import InvalidManifest, NotCanonical


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    """`value` in its only canonical form. Raises ValueError for what JSON cannot say in the same way everywhere."""
    return rfc8785.dumps(value)


def canonical_object(raw: bytes, name: str) -> Mapping[str, Any]:
    """The object that `raw` is the canonical form of; a space, a key twice, another order: nothing is let through.

    Raises NotCanonical, with `name` as the field, whatever the bytes are.
    """
    try:
        value = json_object(raw, name)
    except InvalidManifest:
        raise NotCanonical(name, raw[:64], "is no JSON object: it was changed or cut off") from None
    try:
        same = canonical_bytes(value) == raw
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise NotCanonical(name, raw[:64], "is JSON in another form than the one that is sealed: it was changed")
    return value


def json_object(raw: bytes, name: str) -> Mapping[str, Any]:
    """The JSON object in `raw`, in UTF-8 and no key twice. Raises InvalidManifest, with `name` as the field."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=each_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        # Of a long text or a long number, the message is enough.
        raise InvalidManifest(name, raw[:64], f"a JSON object in UTF-8 ({type(error).__name__}: {error})") from None
    if not isinstance(value, dict):
        raise InvalidManifest(name, value, "a JSON object")
    return value


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with these members, for `json`. Raises ValueError for a key that stands there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
