"""What may arrive: anything, things shaped like configuration items, and instances with exemption tags."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from rolecall.model import InstanceState, ItemStatus
from rolecall.parameters import ProfilePattern, RuleParameters
from tests.builders import NO_ROLE, PROFILE_ARN, TAGS, Json, api_item, notification_item, query_row

# Lone surrogates too: JSON can carry them, UTF-8 cannot; and texts longer than an annotation, as tags may hold.
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["", " ", "OK", "running", "null", "{}", "word " * 60, "x" * 300, "\U0001f600" * 200, "a\nb\u2028c\x00d\x85"]
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, as Python reads it."""

_days = st.dates(date(2026, 2, 1), date(2026, 4, 30)).map(date.isoformat)
_companions = st.sampled_from(["expires", "granted", "approved-by", "ticket", "Expires", " granted", "until"])
tag_keys = st.just(NO_ROLE) | _companions.map(lambda name: f"{NO_ROLE}:{name}") | st.just("Intentional_No_Role") | texts
tag_values = _days | st.sampled_from(["", " ", "licensed appliance", "soon", "2026-02-30"]) | texts
tags = st.dictionaries(tag_keys, tag_values, max_size=5)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
"""Around the days that tags name, so that an exemption may be running, over or not yet granted."""

profiles = st.sampled_from(
    [
        *[None] * 4,
        PROFILE_ARN,
        "arn:aws-cn:iam::111122223333:instance-profile/team/db-1",
        "arn:aws:iam::444455556666:instance-profile/app-x",
    ]
)
states = st.sampled_from([*["running"] * 6, *(state.value for state in InstanceState)])
statuses = st.sampled_from([*[ItemStatus.OK.value] * 5, *(status.value for status in ItemStatus)])
patterns = st.lists(
    st.sampled_from(
        [
            ProfilePattern(PROFILE_ARN),
            ProfilePattern("arn:aws:iam::*:instance-profile/app-?"),
            ProfilePattern("arn:*:iam::111122223333:instance-profile/*/db-*"),
        ]
    ),
    max_size=2,
).map(tuple)

parameters = st.builds(
    RuleParameters,
    exemption_tag_key=st.sampled_from([NO_ROLE, NO_ROLE, "Name", "k" * 116]),
    exemption_reason_required=st.booleans(),
    exemption_expiry_required=st.booleans(),
    exemption_max_days=st.sampled_from([0, 1, 30, 36_500]),
    exemption_approver_required=st.booleans(),
    allowed_instance_profile_arns=patterns,
    evaluate_stopped=st.booleans(),
)
usual_key = parameters.map(lambda drawn: replace(drawn, exemption_tag_key=NO_ROLE))
"""Parameters under which `exempted` tags are read."""


@st.composite
def instances(draw: st.DrawFn, shapes: Any = (notification_item, api_item, query_row)) -> Json:  # noqa: ANN401 - builders
    """A well-formed item of an instance, of one of the three shapes."""
    shape = draw(st.sampled_from(shapes))
    raw: Json = shape(state=draw(states), profile=draw(profiles), tags=draw(tags))
    raw["configurationItemStatus"] = draw(statuses)
    return raw


@st.composite
def damaged_items(draw: st.DrawFn) -> Json:
    """An item in which some values, at any of the levels that rolecall reads, are something else or gone."""
    raw = draw(instances((notification_item, query_row)))
    levels: list[Json] = [raw, raw["configuration"]]
    levels += [raw["configuration"][name] for name in ("state", "iamInstanceProfile") if raw["configuration"].get(name)]
    for _ in range(draw(st.integers(1, 3))):
        level = draw(st.sampled_from(levels))
        name = draw(st.sampled_from([*sorted(level), "tags", "arn", "configuration"]))
        if draw(st.booleans()):
            level[name] = draw(anything)
        else:
            level.pop(name, None)
    return raw


@st.composite
def exempted(draw: st.DrawFn, now: datetime, *, days_left: tuple[int, int] = (-40, 40)) -> dict[str, str]:
    """Tags of an exemption that is often, but not always, in order; its last day is `days_left` days after `now`."""
    expires = now.date() + timedelta(draw(st.integers(*days_left)))
    granted = min(expires, now.date()) - timedelta(draw(st.integers(-1, 60)))
    declared = {
        NO_ROLE: draw(st.sampled_from(["licensed appliance"] * 5 + [" "])),
        f"{NO_ROLE}:expires": expires.isoformat(),
        f"{NO_ROLE}:granted": granted.isoformat(),
        f"{NO_ROLE}:approved-by": draw(st.sampled_from(["Kim Doe"] * 5 + [""])),
    }
    left_out = draw(st.sampled_from([*[None] * 5, *declared]))
    return {key: value for key, value in {**TAGS, **declared}.items() if key != left_out}


def shuffled(random: Random, value: object) -> object:
    """The same JSON value with the keys of every object in another order."""
    match value:
        case dict():
            names = list(value)
            random.shuffle(names)
            return {name: shuffled(random, value[name]) for name in names}
        case list():
            return [shuffled(random, one) for one in value]
        case _:
            return value


def with_more_keys(value: object) -> object:
    """The same JSON value with unknown keys in every object whose keys have a meaning: not in a set of tags."""
    match value:
        case dict():
            known = {name: one if name == "tags" else with_more_keys(one) for name, one in value.items()}
            return {**known, "xUnknown": {"a": [1, None]}}
        case list():
            return [with_more_keys(one) for one in value]
        case _:
            return value
