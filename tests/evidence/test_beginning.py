import hashlib
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from rolecall.errors import Damaged, InvalidRecord, NotSealed
from rolecall.evidence.beginning import asked_to_begin, claim_beginning, first_collected_day, package_to_follow
from rolecall.evidence.plan import Deployed, plan_account
from rolecall.evidence.shards import shard_key
from rolecall.evidence.steps import planned
from rolecall.evidence.stores import FolderStore, Store
from rolecall.parameters import RuleParameters
from tests.builders import ACCOUNT, REGION, RULE_NAME
from tests.evidence.chains import build
from tests.evidence.living_organization import HOME
from tests.evidence.local_organization import LocalOrganization

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
OTHER = "us-east-1"
BOTH = (REGION, OTHER)


def working(folder: Path, *days: tuple[date, tuple[str, ...]]) -> Store:
    """Days that were planned for two regions, and of which these were collected."""
    store = FolderStore(folder)
    for day, collected in days:
        deployed = Deployed(day, REGION, RULE_NAME, RuleParameters().to_strings(), "0.1.0")
        plan = plan_account(deployed, ACCOUNT, BOTH)
        planned(store, day, partial(lambda made: made, plan))
        for region in collected:
            store.put_once(shard_key(day, ACCOUNT, region), b"", sha256=hashlib.sha256(b"").hexdigest())
    return store


@pytest.mark.parametrize(
    ("days", "first"),
    [
        ((), None),
        (((FIRST, BOTH),), FIRST),
        (((SECOND, BOTH), (FIRST, BOTH)), FIRST),
        (((FIRST, ()), (SECOND, BOTH)), SECOND),
        (((FIRST, (REGION,)), (SECOND, BOTH)), SECOND),
        (((FIRST, (REGION,)),), None),
        (((THIRD, BOTH),), None),
    ],
    ids=["nothing", "one day", "two days", "planned alone", "collected in part", "nothing whole", "no earlier one"],
)
def test_a_day_whose_plan_and_shards_are_all_there_may_have_been_sealed(
    tmp_path: Path, days: tuple[tuple[date, tuple[str, ...]], ...], first: date | None
) -> None:
    """The earliest one is found; what was never collected to its end never was."""
    assert first_collected_day(working(tmp_path, *days), THIRD) == first


def test_what_is_no_plan_is_passed_over(tmp_path: Path) -> None:
    """Of a day whose plan has expired before its other files, too."""
    store = working(tmp_path, (FIRST, BOTH), (SECOND, BOTH))
    (tmp_path / "plans" / f"{FIRST}" / "plan.json").unlink()
    (tmp_path / "plans" / "notes.txt").write_bytes(b"")
    assert first_collected_day(store, THIRD) == SECOND


def test_a_plan_that_cannot_be_read_decides_nothing(tmp_path: Path) -> None:
    """It is named: whether its day was collected, nobody can tell."""
    store = working(tmp_path, (FIRST, BOTH))
    (tmp_path / "plans" / f"{FIRST}" / "plan.json").write_bytes(b"{}")
    with pytest.raises(InvalidRecord):
        first_collected_day(store, THIRD)


WAY_ON = "only if that is impossible, ask for a chain that begins with this day"


@pytest.mark.parametrize(
    ("days", "refused"),
    [
        ((), None),
        (((SECOND, BOTH),), None),
        (((SECOND, BOTH), (THIRD, BOTH)), None),
        (((FIRST, (REGION,)), (SECOND, BOTH)), None),
        (
            ((FIRST, BOTH), (SECOND, BOTH)),
            f"{FIRST} was collected before it, and no package of then can be seen: .*{WAY_ON}",
        ),
    ],
)
def test_no_chain_begins_where_packages_may_have_vanished(
    tmp_path: Path, days: tuple[tuple[date, tuple[str, ...]], ...], refused: str | None
) -> None:
    """On the second day: unless somebody asks for it by name."""
    store, packages = working(tmp_path / "working", *days), FolderStore(tmp_path / "packages")
    if refused is None:
        assert package_to_follow(store, packages, SECOND, asked=False) is None
    else:
        with pytest.raises(NotSealed, match=refused):
            package_to_follow(store, packages, SECOND, asked=False)
    assert package_to_follow(store, packages, SECOND, asked=True) is None


def test_a_day_goes_on_from_the_package_before_it(tmp_path: Path) -> None:
    """Unless somebody asks for a new chain, whatever lies in the packages."""
    store, packages = working(tmp_path / "working"), FolderStore(tmp_path / "packages")
    first, second = build(packages, 2)
    assert package_to_follow(store, packages, second.manifest.day, asked=False) == first
    for day in (second.manifest.day, second.manifest.day + timedelta(days=9)):
        assert package_to_follow(store, packages, day, asked=True) is None


def test_no_chain_begins_before_a_day_that_is_sealed(tmp_path: Path) -> None:
    """A typing error in the day would make a gap of a chain that is whole, and locks would keep it."""
    store, packages = working(tmp_path / "working"), FolderStore(tmp_path / "packages")
    first, second = build(packages, 2)
    for day, later in ((first.manifest.day, second), (first.manifest.day - timedelta(days=3), first)):
        with pytest.raises(NotSealed, match=f"{later.manifest.day} is sealed, and no chain needs to begin before it"):
            package_to_follow(store, packages, day, asked=True)


@pytest.mark.parametrize(
    ("claims", "day", "asked", "refused"),
    [
        ((), SECOND, False, None),
        ((SECOND,), SECOND, False, None),
        ((THIRD,), SECOND, False, f"it would be number 1 of a chain, which {THIRD} has begun: .*{WAY_ON}"),
        ((FIRST,), SECOND, False, f"it would be number 1 of a chain, which {FIRST} has begun: .*{WAY_ON}"),
        ((FIRST,), SECOND, True, None),
    ],
)
def test_of_two_days_one_begins_the_chain(
    tmp_path: Path, claims: tuple[date, ...], day: date, *, asked: bool, refused: str | None
) -> None:
    """Whoever says so first; another one may only by name."""
    store = FolderStore(tmp_path)
    for one in claims:
        claim_beginning(store, one, asked=False)
    if refused is None:
        claim_beginning(store, day, asked=asked)
        return
    with pytest.raises(NotSealed, match=refused):
        claim_beginning(store, day, asked=asked)


def test_a_chain_that_was_asked_for_is_begun_too(tmp_path: Path) -> None:
    """Nobody begins another one beside it without asking."""
    store = FolderStore(tmp_path)
    claim_beginning(store, SECOND, asked=True)
    with pytest.raises(NotSealed, match=f"which {SECOND} has begun"):
        claim_beginning(store, THIRD, asked=False)


@pytest.mark.parametrize("raw", [b"", b"[]", b"[" * 100_000, b'{"day":1}', b'{"day":"soon"}'])
def test_a_claim_that_cannot_be_read_decides_nothing(tmp_path: Path, raw: bytes) -> None:
    """It is named, whatever somebody put there."""
    store = FolderStore(tmp_path)
    key = "sealing/beginning.json"
    store.put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())
    with pytest.raises((InvalidRecord, Damaged)):
        claim_beginning(store, SECOND, asked=False)
    claim_beginning(store, SECOND, asked=True)


@pytest.mark.parametrize(
    ("event", "asked"),
    [
        (None, False),
        ({"day": "2026-03-01"}, False),
        ({"scheduledTime": "2026-03-02T00:00:00Z", "beginsChain": False}, False),
        ({"day": "2026-03-01", "beginsChain": True}, True),
        ({"day": "2026-03-01", "beginsChain": True, "shards": {}}, True),
    ],
)
def test_an_event_may_ask_for_a_beginning(event: object, *, asked: bool) -> None:
    """For the day that it names."""
    assert asked_to_begin(event) is asked


@pytest.mark.parametrize(
    "event",
    [
        {"day": "2026-03-01", "beginsChain": "true"},
        {"day": "2026-03-01", "beginsChain": None},
        {"day": "2026-03-01", "beginsChain": 1},
        {"scheduledTime": "2026-03-02T00:00:00Z", "beginsChain": True},
    ],
)
def test_no_schedule_begins_a_chain(event: object) -> None:
    """Nor does anything that only looks like true."""
    with pytest.raises(InvalidRecord, match="beginsChain is "):
        asked_to_begin(event)


def test_the_functions_hand_on_what_an_event_asks_for() -> None:
    """With all packages hidden, the next day is not sealed; asked for by name, it begins a chain."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    organization = LocalOrganization(yesterday - timedelta(days=1))
    try:
        organization.run(yesterday - timedelta(days=1))
        elsewhere = {"LocationConstraint": HOME}
        organization.aws.client("s3").create_bucket(Bucket="elsewhere", CreateBucketConfiguration=elsewhere)
        organization.environment |= {"ROLECALL_PACKAGES_BUCKET": "elsewhere", "ROLECALL_LOCK_MODE": ""}
        with organization.functions() as functions:
            plan = functions["plan"]({"day": f"{yesterday}"})
            for item in organization.items(plan):
                functions["collect"](item)
            with pytest.raises(NotSealed, match="it would be number 1 of a chain"):
                functions["seal"](plan)
            asked = functions["plan"]({"day": f"{yesterday}", "beginsChain": True})
            assert asked == plan | {"beginsChain": True}
            assert functions["seal"](asked)["sequence"] == 1
    finally:
        organization.close()
