import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import InvalidRecord, InvalidShard, Missing, NotSealed
from rolecall.evidence.collecting import Collector
from rolecall.evidence.findings import Outcome
from rolecall.evidence.keys import LocalKey, PublicKey
from rolecall.evidence.packages import SealedPackage
from rolecall.evidence.packaging import sealed
from rolecall.evidence.plan import Deployed, Plan, items_key, plan_account, plan_key, read_item
from rolecall.evidence.shards import shard_key
from rolecall.evidence.steps import day_of_event, ledger_keys, planned
from rolecall.evidence.stores import FolderStore, Store
from rolecall.evidence.verifying import verify
from rolecall.parameters import RuleParameters
from tests.builders import ACCOUNT, REGION, RULE_NAME, exemption_tags, iso, query_row
from tests.evidence.evidence_fakes import FakeEvidence, Fuse, Killed, KillingStore, recorded_result

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


class SteadyKey(LocalKey):
    """Signs the same text in the same way: the second manifest holds the first one's signature."""

    def sign(self, text: bytes) -> bytes:
        """The first signature of `text` that was made."""
        return _SIGNATURES.setdefault(text, super().sign(text))


_SIGNATURES: dict[bytes, bytes] = {}
KEY = SteadyKey.generate()
CAPTURED = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)
OTHER = "us-east-1"


def row(name: str, **changes: Any) -> object:  # noqa: ANN401 - of an item
    """An instance of an inventory that has not changed for days."""
    return query_row(resourceId=name, configurationItemCaptureTime=iso(CAPTURED), **changes)


INVENTORY = [row("i-web"), row("i-bare", profile=None), row("i-exempt", profile=None, tags=exemption_tags())]
RECORDED = [
    recorded_result("i-web", "PROFILE_ATTACHED: x", CAPTURED),
    recorded_result("i-bare", "NO_PROFILE: x", CAPTURED),
    recorded_result("i-exempt", "EXEMPT: x", CAPTURED),
]


class Days:
    """Two days of one account, in a folder: `working` and `packages` beside each other."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        self.fuse = fuse
        self.folder = folder
        self.key: LocalKey = KEY
        self.older_keys: tuple[PublicKey, ...] = ()
        for name in ("working", "packages"):
            (folder / name).mkdir(exist_ok=True)
        self.working: Store = KillingStore(FolderStore(folder / "working"), fuse)
        self.packages: Store = KillingStore(FolderStore(folder / "packages"), fuse)

    def plan(self, day: date) -> Plan:
        """What the day covers: two regions."""
        self.fuse.step()
        deployed = Deployed(
            day, REGION, RULE_NAME, RuleParameters().to_strings(), "0.1.0", ledger_keys(self.working, day)
        )
        return plan_account(deployed, ACCOUNT, [REGION])

    def run(self, day: date) -> SealedPackage:
        """All steps, as the state machine takes them."""
        planned(self.working, day, lambda: self.plan(day))
        night = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=1)
        report = b"user,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated\n"
        evidence = FakeEvidence(INVENTORY, RECORDED, report=(report, night), step=self.fuse.step)
        collector = Collector(evidence, self.working, lambda: night)
        with self.working.open(items_key(day)) as listed:
            items = json.loads(listed.read())
        for item in items:
            collector.collect(read_item(item))
        return sealed(self.working, self.packages, day, self.key, self.older_keys)

    def content(self) -> dict[str, bytes]:
        """Every file."""
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def whole(folder: Path) -> Days:
    """Both days, undisturbed."""
    days = Days(folder, Fuse())
    for day in (FIRST, SECOND):
        days.run(day)
    return days


def test_two_days_make_a_chain_that_verifies(tmp_path: Path) -> None:
    """From plans and shards to packages, in a folder."""
    days = whole(tmp_path)
    report = verify(FolderStore(tmp_path / "packages"), [KEY.public], until=SECOND)
    assert report.outcome is Outcome.OK, list(report.all_findings())
    assert days.run(FIRST).manifest.totals.to_json() == {
        "population": 3,
        "compliant": 1,
        "exempt": 1,
        "nonCompliant": 1,
        "notApplicable": 0,
        "unevaluated": 0,
    }


@pytest.mark.parametrize("day", [FIRST, SECOND])
def test_every_step_may_be_killed_anywhere(tmp_path_factory: pytest.TempPathFactory, day: date) -> None:
    """Before and after each read and write and each call; run again, every file is the same as if nothing happened.

    What an earlier kill left behind must not matter either, so now and then the process dies a second time.
    """
    before = tmp_path_factory.mktemp("before")
    if day == SECOND:
        Days(before, Fuse()).run(FIRST)
    reference = Days(shutil.copytree(before, tmp_path_factory.mktemp("reference"), dirs_exist_ok=True), Fuse())
    reference.run(day)
    content = reference.content()
    assert reference.fuse.steps > 40
    for at in range(reference.fuse.steps):
        folder = shutil.copytree(before, tmp_path_factory.mktemp("killed"), dirs_exist_ok=True)
        with pytest.raises(Killed):
            Days(folder, Fuse(at)).run(day)
        if at % 7 == 0:
            # Of a day that is sealed, little is left to do.
            with suppress(Killed):
                Days(folder, Fuse(at // 2)).run(day)
        days = Days(folder, Fuse())
        days.run(day)
        assert days.content() == content, at
    report = verify(FolderStore(reference.folder / "packages"), [KEY.public], until=day)
    assert report.outcome is Outcome.OK, list(report.all_findings())


def test_the_first_plan_counts(tmp_path: Path) -> None:
    """Another run may see other regions: it goes by the plan that is there."""
    store = FolderStore(tmp_path)
    days = Days(tmp_path, Fuse())
    first = planned(store, FIRST, lambda: days.plan(FIRST))

    def another() -> Plan:
        deployed = Deployed(FIRST, OTHER, RULE_NAME, {}, "0.1.0")
        return plan_account(deployed, ACCOUNT, [OTHER])

    assert planned(store, FIRST, another) == first


def damage(key: str, content: bytes = b"{}") -> Callable[[Path], None]:
    """Something else lies where the key's file should be."""

    def damaged(working: Path) -> None:
        (working / key).write_bytes(content)

    return damaged


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda working: (working / shard_key(FIRST, ACCOUNT, REGION)).unlink(), Missing),
        (damage(shard_key(FIRST, ACCOUNT, REGION), gzip.compress(b"half")), InvalidShard),
        (lambda working: (working / plan_key(FIRST)).unlink(), Missing),
        (damage(plan_key(FIRST)), InvalidRecord),
        (damage(plan_key(FIRST), b"no json"), InvalidRecord),
    ],
)
def test_what_is_not_whole_is_not_sealed(tmp_path: Path, harm: Callable[[Path], None], error: type[Exception]) -> None:
    """One error that names the file; no manifest and no signature."""
    whole(tmp_path)
    working, packages = tmp_path / "working", tmp_path / "other"
    packages.mkdir()
    harm(working)
    with pytest.raises(error):
        sealed(FolderStore(working), FolderStore(packages), FIRST, KEY)
    assert not list(packages.rglob("manifest.*"))


def test_another_key_does_not_go_on_with_the_chain(tmp_path: Path) -> None:
    """Neither with a day that is sealed, nor with the next one."""
    days = whole(tmp_path)
    other = LocalKey.generate()
    with pytest.raises(NotSealed, match="not by key"):
        sealed(days.working, days.packages, SECOND, other)


@pytest.mark.parametrize("path", [f"episodes/{ACCOUNT}_{REGION}.jsonl.gz", "kpis.json"])
def test_what_is_carried_over_must_be_what_was_signed(tmp_path: Path, path: str) -> None:
    """What somebody changed after the seal does not get into the next package."""
    days = Days(tmp_path, Fuse())
    days.run(FIRST)
    changed = tmp_path / "packages" / str(FIRST) / path
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(NotSealed, match=rf"{path} of the package of 2026-03-01 is not what was signed"):
        days.run(SECOND)
    assert not (tmp_path / "packages" / str(SECOND)).exists()


def test_a_package_that_was_begun_with_other_content_says_who_can_finish_it(tmp_path: Path) -> None:
    """Killed between two files, then deployed in another version, whose files differ."""
    days = whole(tmp_path)
    begun = tmp_path / "packages" / str(SECOND)
    for name in ("manifest.json", "manifest.sig"):
        (begun / name).unlink()
    (begun / "report.html").write_text("<!doctype html><title>another version's</title>\n")
    says = r"finish it with the version that began it \(it was planned by version 0\.1\.0, this is .*report\.html"
    with pytest.raises(NotSealed, match=says):
        days.run(SECOND)


def test_a_key_that_was_replaced_vouches_for_what_it_sealed(tmp_path: Path) -> None:
    """The next day is sealed by the new one, and the days before are still there."""
    days = Days(tmp_path, Fuse())
    first = days.run(FIRST)
    new = LocalKey.generate()
    days.key, days.older_keys = new, (KEY.public,)
    second = days.run(SECOND)
    assert second.signature.key_fingerprint == new.fingerprint
    assert days.run(FIRST) == first
    report = verify(FolderStore(tmp_path / "packages"), [KEY.public, new.public], until=SECOND)
    assert report.outcome is Outcome.OK, list(report.all_findings())


def test_a_ledger_that_grows_changes_nothing(tmp_path: Path) -> None:
    """The plan took down its files."""
    days = whole(tmp_path)
    before = days.content()
    late = gzip.compress(b"no record\n")
    key = f"ledger/dt={SECOND}/late.jsonl.gz"
    days.working.put_once(key, late, sha256=hashlib.sha256(late).hexdigest())
    days.run(SECOND)
    assert days.content() == before | {f"working/{key}": late}


NOW = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "day"),
    [
        ({"scheduledTime": "2026-03-02T00:00:00Z"}, FIRST),
        ({"scheduledTime": "2026-03-01T23:59:59Z"}, date(2026, 2, 28)),
        ({"day": "2026-03-01"}, FIRST),
        ({"day": "2026-03-01", "scheduledTime": "2020-01-01T00:00:00Z", "shards": {}}, FIRST),
    ],
)
def test_an_event_names_its_day(event: object, day: date) -> None:
    """Or the time for which it was scheduled, which stays the same when a start is tried again after midnight."""
    assert day_of_event(event, NOW) == day


@pytest.mark.parametrize(
    "event", [None, [], {}, {"day": "2026-03-02"}, {"day": "2027-01-01"}, {"day": 1}, {"scheduledTime": "noon"}]
)
def test_a_day_that_is_not_over_or_no_day_is_refused(event: object) -> None:
    """Its package would be one of half a day."""
    with pytest.raises(InvalidRecord):
        day_of_event(event, NOW)
