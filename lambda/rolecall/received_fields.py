"""Fields of a JSON object that was written elsewhere: each is looked at before anybody relies on it.

`within` goes before the field's name in an error, as in `rule.name`. Everything raises InvalidRecord.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from rolecall.errors import InvalidItem, InvalidRecord
from rolecall.exemption import day_named
from rolecall.items import REGION_NAME, instant
from rolecall.model import Exemption, ExemptionState

MemberT = TypeVar("MemberT", bound=StrEnum)


def read_object(raw: Mapping[str, Any], name: str, within: str = "") -> Mapping[str, Any]:
    """A JSON object."""
    value = raw.get(name)
    if not isinstance(value, dict):
        raise InvalidRecord(f"{within}{name}", value, "a JSON object")
    return value


def read_text(raw: Mapping[str, Any], name: str, within: str = "") -> str:
    """A text that is not empty."""
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRecord(f"{within}{name}", value, "a text that is not empty")
    return value


def read_optional_text(raw: Mapping[str, Any], name: str, within: str = "") -> str | None:
    """A text, even an empty one, or None for null and for no such field."""
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRecord(f"{within}{name}", value, "a text, or null")
    return value


def read_count(raw: Mapping[str, Any], name: str, within: str = "") -> int:
    """A whole number that is not negative."""
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRecord(f"{within}{name}", value, "a whole number that is not negative")
    return value


def read_flag(raw: Mapping[str, Any], name: str, within: str = "") -> bool:
    """True or false."""
    value = raw.get(name)
    if not isinstance(value, bool):
        raise InvalidRecord(f"{within}{name}", value, "true or false")
    return value


def read_account(raw: Mapping[str, Any]) -> str:
    """An account id; role ARNs, queries and names of files are made of it."""
    account = read_text(raw, "account")
    if len(account) != 12 or not (account.isascii() and account.isdigit()):  # noqa: PLR2004 - of any account id
        raise InvalidRecord("account", account, "12 digits")
    return account


def read_region(raw: Mapping[str, Any]) -> str:
    """The name of a region; queries, endpoints and names of files are made of it."""
    region = read_text(raw, "region")
    if not REGION_NAME.fullmatch(region):
        raise InvalidRecord("region", region, "the name of a region, as eu-west-1")
    return region


def read_parameters(raw: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """The rule's parameters: each a text, which may be empty."""
    given = read_object(raw, "parameters", within)
    return {name: read_optional_text(given, name, f"{within}parameters.") or "" for name in given}


def read_member(kind: type[MemberT], raw: Mapping[str, Any], name: str, within: str = "") -> MemberT:
    """One of the values of `kind`."""
    value = read_text(raw, name, within)
    try:
        return kind(value)
    except ValueError:
        raise InvalidRecord(f"{within}{name}", value, ", ".join(kind)) from None


def read_time(raw: Mapping[str, Any], name: str, within: str = "") -> datetime:
    """A point in time, in UTC."""
    try:
        return instant(read_text(raw, name, within), name)
    except InvalidItem as refused:
        raise InvalidRecord(f"{within}{name}", refused.value, refused.allowed) from None


def read_optional_time(raw: Mapping[str, Any], name: str, within: str = "") -> datetime | None:
    """The same, or None for null and for no such field."""
    return None if raw.get(name) is None else read_time(raw, name, within)


def read_day(raw: Mapping[str, Any], name: str, within: str = "") -> date | None:
    """A day, or None for null and for no such field."""
    value = read_optional_text(raw, name, within)
    if value is None:
        return None
    day = day_named(value)
    if day is None:
        raise InvalidRecord(f"{within}{name}", value, "a day as 2026-01-31, or null")
    return day


def read_exemption(raw: Mapping[str, Any]) -> Exemption | None:
    """`exemption` as evaluation records and evidence rows have it, or None for null and for no such field."""
    if raw.get("exemption") is None:
        return None
    given, within = read_object(raw, "exemption"), "exemption."
    return Exemption(
        state=read_member(ExemptionState, given, "state", within),
        problem=read_optional_text(given, "problem", within) or "",
        reason=read_optional_text(given, "reason", within) or "",
        approved_by=read_optional_text(given, "approvedBy", within),
        ticket=read_optional_text(given, "ticket", within),
        granted=read_day(given, "granted", within),
        expires=read_day(given, "expires", within),
    )
