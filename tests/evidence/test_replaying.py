import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.errors import InvalidItem
from rolecall.evidence.replaying import ItemHistory, Replayed
from rolecall.items import configuration_item
from rolecall.model import Reason
from rolecall.parameters import RuleParameters
from tests.builders import CAPTURED, Json, api_item, deleted_item, exemption_tags, iso, notification_item, query_row

DAY = date(2026, 3, 31)
MIDNIGHT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def history() -> Iterator[ItemHistory]:
    """An empty one."""
    made = ItemHistory()
    yield made
    made.close()


def at(moment: datetime, resource_id: str = "i-1", **changes: Any) -> Json:  # noqa: ANN401 - of an item
    """An item that was captured then."""
    return notification_item(resourceId=resource_id, configurationItemCaptureTime=iso(moment), **changes)


def verdicts(history: ItemHistory, day: date = DAY) -> dict[str, str]:
    """Reason by instance, or what is wrong with its item."""
    found = {}
    for one in history.at_the_end_of(day, RuleParameters()):
        if isinstance(one, Replayed):
            found[one.evaluation.item.resource_id] = one.evaluation.reason.value
        else:
            found[one.resource] = one.field
    return found


def test_the_newest_item_of_the_day_counts(history: ItemHistory) -> None:
    """To the millisecond, from whichever file; what came later is not looked at."""
    history.add(at(MIDNIGHT - timedelta(milliseconds=1), profile=None), "c")
    history.add(at(MIDNIGHT), "d")
    history.add(at(MIDNIGHT - timedelta(days=9)), "a")
    [found] = history.at_the_end_of(DAY, RuleParameters())
    assert isinstance(found, Replayed)
    assert (found.evaluation.reason, found.source, found.day) == (Reason.NO_PROFILE, "c", DAY)
    assert verdicts(history, DAY + timedelta(days=1)) == {"i-1": "PROFILE_ATTACHED"}
    assert verdicts(history, DAY - timedelta(days=30)) == {}


def test_an_instance_that_was_gone_is_not_there(history: ItemHistory) -> None:
    """And was there until then."""
    history.add(at(MIDNIGHT - timedelta(days=3)), "a")
    history.add(deleted_item(resourceId="i-1", configurationItemCaptureTime=iso(MIDNIGHT - timedelta(hours=1))), "b")
    assert verdicts(history) == {}
    assert verdicts(history, DAY - timedelta(days=1)) == {"i-1": "PROFILE_ATTACHED"}


def test_exemptions_are_held_against_the_day(history: ItemHistory) -> None:
    """Through its end, as the rule does."""
    history.add(at(MIDNIGHT - timedelta(days=9), profile=None, tags=exemption_tags(expires=str(DAY))), "a")
    assert verdicts(history) == {"i-1": "EXEMPT"}
    assert verdicts(history, DAY + timedelta(days=1)) == {"i-1": "EXEMPTION_EXPIRED"}


@pytest.mark.parametrize(
    "raw", [notification_item(), api_item(configurationItemCaptureTime=iso(CAPTURED)), query_row()]
)
def test_a_verdict_is_that_of_the_whole_item(history: ItemHistory, raw: Json) -> None:
    """Whatever the shape: nothing that is looked at gets lost between file and verdict."""
    raw = json.loads(json.dumps(raw, default=iso))
    history.add(raw, "a")
    [found] = history.at_the_end_of(CAPTURED.date(), RuleParameters())
    assert isinstance(found, Replayed)
    assert found.evaluation.item == configuration_item(raw)


def test_what_cannot_be_judged_is_told(history: ItemHistory) -> None:
    """It stops nobody else."""
    history.add(at(MIDNIGHT - timedelta(days=1), configuration=None), "a")
    history.add(at(MIDNIGHT - timedelta(days=1), "i-2"), "a")
    assert verdicts(history) == {"i-1": "configuration", "i-2": "PROFILE_ATTACHED"}


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"resourceType": "AWS::EC2::Instance"}])
def test_what_is_no_item_is_refused(history: ItemHistory, raw: object) -> None:
    """A file may hold anything."""
    with pytest.raises(InvalidItem):
        history.add(raw, "a")


def test_other_resources_are_not_kept(history: ItemHistory) -> None:
    """A snapshot is full of them."""
    assert not history.add(at(MIDNIGHT, resourceType="AWS::EC2::Volume"), "a")
    assert verdicts(history, DAY + timedelta(days=9)) == {}


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 95), st.sampled_from(["role", "none", "gone"])),
    max_size=30,
    unique_by=lambda step: step[:2],
)


@given(STEPS, st.integers(0, 4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_day_is_what_a_slow_search_finds(
    steps: list[tuple[int, int, str]], day: int, shuffled: random.Random
) -> None:
    """Whatever the order of files, and however often they repeat an item."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    items = []
    for number, hour, what in steps:
        moment = start + timedelta(hours=hour)
        gone = deleted_item(resourceId=f"i-{number}", configurationItemCaptureTime=iso(moment))
        profile = {} if what == "role" else {"profile": None}
        items.append(gone if what == "gone" else at(moment, f"i-{number}", **profile))
    repeated = items + items[::2]
    shuffled.shuffle(repeated)
    history = ItemHistory()
    try:
        for item in repeated:
            history.add(item, "a")
        found = verdicts(history, start.date() + timedelta(days=day))
    finally:
        history.close()
    expected = {}
    for number in range(4):
        before = [(hour, what) for other, hour, what in steps if other == number and hour < (day + 1) * 24]
        if before and max(before)[1] != "gone":
            expected[f"i-{number}"] = {"role": "PROFILE_ATTACHED", "none": "NO_PROFILE"}[max(before)[1]]
    assert found == expected
