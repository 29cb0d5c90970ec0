"""Exemption tags: what an instance without a role declares, and whether that holds.

    <key>              the reason            <key>:approved-by   who agreed, as declared
    <key>:expires      YYYY-MM-DD, the last day, through its end in UTC
    <key>:granted      YYYY-MM-DD            <key>:ticket        where it was discussed

Tag keys match exactly. Everything fails closed: what cannot be read, or looks like a tag that was meant to limit the
exemption, does not exempt.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache

from rolecall.errors import shown
from rolecall.model import Exemption, ExemptionState
from rolecall.parameters import RuleParameters

COMPANIONS = ("expires", "granted", "approved-by", "ticket")

_SAYS = {"expires": "a date as YYYY-MM-DD", "granted": "a date as YYYY-MM-DD", "approved-by": "who agreed"}

_PUNCTUATION = re.compile(r"[\W_]+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_exemption(tags: Mapping[str, str], parameters: RuleParameters, now: datetime) -> Exemption | None:
    """What `tags` declare on the day of `now` (aware), or None when the exemption tag is not there.

    A malformed exemption is malformed even when its expiry has passed as well.
    """
    key = parameters.exemption_tag_key
    if key not in tags:
        return None
    companions = {name: _said(tags.get(f"{key}:{name}", "")) for name in COMPANIONS}
    granted, expires = day_named(companions["granted"]), day_named(companions["expires"])
    today = now.astimezone(UTC).date()
    reason = _said(tags[key])
    problem = (
        _unknown_companion(tags, key)
        or _unreadable_day(tags, key)
        or _missing(key, reason, companions, parameters)
        or _contradiction(key, granted, expires, parameters.exemption_max_days, today)
    )
    return Exemption(
        state=_state(problem, expires, today),
        problem=problem,
        reason=reason,
        approved_by=companions["approved-by"] or None,
        ticket=companions["ticket"] or None,
        granted=granted,
        expires=expires,
    )


def required_companions(parameters: RuleParameters) -> tuple[str, ...]:
    """The companion tags without which an exemption is malformed."""
    limited = parameters.exemption_max_days > 0
    required = {
        "expires": parameters.exemption_expiry_required or limited,
        "granted": limited,
        "approved-by": parameters.exemption_approver_required,
    }
    return tuple(name for name, needed in required.items() if needed)


def near_misses(tags: Mapping[str, str], key: str) -> list[tuple[str, str]]:
    """Tags that look meant for the exemption but do not count: pairs of what is there and what was meant.

    Those that differ only in case, blanks or punctuation, and companions without the main tag, beside which alone
    they count. Sorted, with what was meant as the main tag first.
    """
    known = _folded_names(key)
    found = []
    for tag in tags:
        meant = known.get(_folded(tag))
        if meant is not None and not (tag == meant and key in tags):
            found.append((tag, meant))
    return sorted(found, key=lambda pair: (pair[1] != key, pair[0]))


@lru_cache(maxsize=8)
def _folded_names(key: str) -> Mapping[str, str]:
    return {_folded(name): name for name in (key, *(f"{key}:{companion}" for companion in COMPANIONS))}


@lru_cache(maxsize=1024)  # the instances of an account have the same few tag keys
def _folded(key: str) -> str:
    return _PUNCTUATION.sub("", key).casefold()


def _said(text: str) -> str:
    """`text` without blanks around it; nothing where no letter or digit is in it, such as invisible characters."""
    return text.strip() if any(character.isalnum() for character in text) else ""


def day_named(text: str) -> date | None:
    """The day that `text` names as YYYY-MM-DD and in no other way; None if it names none."""
    # `fromisoformat` alone also takes 20261231 and 2026-W53-4, which nobody reading the tag would call a date.
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _unknown_companion(tags: Mapping[str, str], key: str) -> str:
    """An expiry that is misspelled must not become an exemption without end."""
    for tag, meant in near_misses(tags, key):
        if meant != key:
            return f"tag '{tag}' must be spelled {meant}"
    looks_like_one = _companion_shape(key)
    for tag in sorted(tags):
        if tag.removeprefix(f"{key}:") not in COMPANIONS and looks_like_one.fullmatch(tag):
            return f"tag '{tag}' is unknown: only {', '.join(f':{name}' for name in COMPANIONS)} count beside {key}"
    return ""


@lru_cache(maxsize=8)
def _companion_shape(key: str) -> re.Pattern[str]:
    """The key, in any case and punctuation, then a colon and anything, or another separator and a word for a limit.

    Only with a colon is everything refused: `exempt-from-patching` has nothing to do with a key named `exempt`.
    """
    words = r"[\W_]*".join(re.findall(r"[^\W_]+", key))
    limits = "expir|grant|approv|until|valid"
    return re.compile(rf"[\W_]*{words}(?:[\W_]*:.*|[\W_]+(?:{limits}).*)", re.IGNORECASE | re.DOTALL)


def _unreadable_day(tags: Mapping[str, str], key: str) -> str:
    for name in ("expires", "granted"):
        tag = f"{key}:{name}"
        if tag in tags and day_named(tags[tag].strip()) is None:
            return f"tag {tag} must be a date as YYYY-MM-DD, not {shown(tags[tag])}"
    return ""


def _missing(key: str, reason: str, companions: Mapping[str, str], parameters: RuleParameters) -> str:
    if parameters.exemption_reason_required and not reason:
        return f"tag {key} must say why no role is needed, but is blank"
    for name in required_companions(parameters):
        if not companions[name]:
            return f"tag {key}:{name} is missing, it must say {_SAYS[name]}"
    return ""


def _contradiction(key: str, granted: date | None, expires: date | None, max_days: int, today: date) -> str:
    if granted and granted > today:
        return f"tag {key}:granted is {granted}, which is in the future (days are UTC)"
    if granted and expires and expires < granted:
        return f"tag {key}:expires is {expires}, before {key}:granted, {granted}"
    if granted and expires and 0 < max_days < (days := (expires - granted).days):
        return f"tag {key}:expires is {expires}, {days} days after {key}:granted: the limit is {max_days}"
    return ""


def _state(problem: str, expires: date | None, today: date) -> ExemptionState:
    if problem:
        return ExemptionState.MALFORMED
    return ExemptionState.EXPIRED if expires and today > expires else ExemptionState.VALID
