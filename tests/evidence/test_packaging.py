import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from rolecall.errors import InvalidRecord, InvalidShard, Missing, NotSealed
from rolecall.evidence import begun, package_files
from rolecall.evidence.collecting import Collector
from rolecall.evidence.findings import Finding, Outcome
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

FIRST, SECOND, THIRD, FOURTH = (date(2026, 3, day) for day in (1, 2, 3, 4))


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

    def run(self, day: date, *, begins_chain: bool = False) -> SealedPackage:
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
        return sealed(self.working, self.packages, day, self.key, self.older_keys, begins_chain=begins_chain)

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


class Dying(FolderStore):
    """A bucket whose process dies once this many files were put."""

    at_once = 10

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path)
        self.left = left

    def put_once(self, key: str, content: Any, *, sha256: str) -> None:  # noqa: ANN401 - as of a store
        """As the store does."""
        if self.left <= 0:
            raise Killed
        self.left -= 1
        super().put_once(key, content, sha256=sha256)


def become(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on another version is deployed, whose files differ."""
    monkeypatch.setattr(begun, "__version__", version)
    monkeypatch.setattr(package_files, "COMPRESSION_LEVEL", int(version[2]))


def folder_of(days: Days, day: date) -> dict[str, bytes]:
    """What lies in the folder of a package."""
    return {path: content for path, content in days.content().items() if path.startswith(f"packages/{day}/")}


def test_the_files_of_two_versions_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten at once, killed after three files; another version puts none, and says which one can finish it."""
    days = Days(tmp_path, Fuse())
    days.run(FIRST)
    become("0.6.0", monkeypatch)
    whole, days.packages = days.packages, Dying(tmp_path / "packages", 3)
    with pytest.raises(Killed):
        days.run(SECOND)
    days.packages, there = whole, folder_of(days, SECOND)
    assert len(there) == 3
    become("0.1.0", monkeypatch)
    for _ in range(2):
        # Which three of the first ones were put, nobody can tell; one or two of them are compressed.
        says = (
            r"the package of 2026-03-02 was not sealed: 2026-03-02: holds \d files? with other content than is to be "
            r"put there: [^ ]+\.gz(, [^ ]+\.gz)*; it was begun by version 0\.6\.0, this is 0\.1\.0: finish it with the "
            r"version that began it, unless somebody else put that there"
        )
        with pytest.raises(NotSealed) as refused:
            days.run(SECOND)
        assert re.fullmatch(says, str(refused.value)), refused.value
        assert folder_of(days, SECOND) == there
    become("0.6.0", monkeypatch)
    assert days.run(SECOND).manifest.sequence == 2


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("manifest.json", "holds 1 file too early, as the rest of the package is not there: manifest.json"),
        ("manifest.sig", "holds 1 file too early, as the rest of the package is not there: manifest.sig"),
        ("notes.txt", "holds 1 file that no package of this day has: notes.txt"),
        ("report.html", "holds 1 file with other content than is to be put there: report.html"),
    ],
)
def test_what_somebody_planted_is_said_and_nothing_is_put_beside_it(tmp_path: Path, path: str, says: str) -> None:
    """Nobody began that package: no version is named."""
    days = Days(tmp_path, Fuse())
    days.run(FIRST)
    planted = tmp_path / "packages" / f"{SECOND}" / path
    planted.parent.mkdir()
    planted.write_bytes(b"x")
    with pytest.raises(NotSealed, match=rf"{says}; no version of rolecall said that it began it") as refused:
        days.run(SECOND)
    assert str(refused.value).endswith("find out who put that there")
    assert list(folder_of(days, SECOND).values()) == [b"x"]


def test_a_manifest_of_other_content_is_not_signed(tmp_path: Path) -> None:
    """All files are ours, and what lists them is not: it is said as of any other file."""
    days = whole(tmp_path)
    package = tmp_path / "packages" / f"{SECOND}"
    (package / "manifest.sig").unlink()
    (package / "manifest.json").write_bytes(b"{}")
    with pytest.raises(NotSealed, match=r"manifest\.json: was written before with other content.*this version, 0"):
        days.run(SECOND)


def test_nothing_is_put_after_a_package_that_no_known_key_signed(tmp_path: Path) -> None:
    """Once the key is named, the day is sealed as if nothing had happened, by whatever version."""
    days = Days(tmp_path, Fuse())
    days.run(FIRST)
    days.key = LocalKey.generate()
    with pytest.raises(NotSealed, match="the package before it is not signed by key"):
        days.run(SECOND)
    assert folder_of(days, SECOND) == {}
    days.older_keys = (KEY.public,)
    assert days.run(SECOND).manifest.sequence == 2


def plant(days: Days, key: str, raw: bytes = b"x") -> None:
    """Put an object that nobody can delete among the packages."""
    FolderStore(days.folder / "packages").put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())


def lose(days: Days, key: str) -> None:
    """Make a file of a package go."""
    (days.folder / "packages" / key).unlink()


def damage_shard(days: Days) -> None:
    """What is there is no shard, and never will be one."""
    raw = gzip.compress(b"half")
    key = shard_key(SECOND, ACCOUNT, REGION)
    FolderStore(days.folder / "working").put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())


BLOCKED: list[tuple[str, Callable[[Days], None], type[Exception], date]] = [
    ("a planted file", lambda days: plant(days, f"{SECOND}/notes.txt"), NotSealed, THIRD),
    ("a planted manifest", lambda days: plant(days, f"{SECOND}/manifest.json"), NotSealed, THIRD),
    ("a planted signature", lambda days: plant(days, f"{SECOND}/manifest.sig"), NotSealed, THIRD),
    ("a damaged shard", damage_shard, InvalidShard, THIRD),
    ("a lost file", lambda days: lose(days, f"{FIRST}/episodes/{ACCOUNT}_{REGION}.jsonl.gz"), Missing, SECOND),
    ("a lost trend", lambda days: lose(days, f"{FIRST}/kpis.json"), Missing, SECOND),
]


@pytest.mark.parametrize(("harm", "error", "begins"), [one[1:] for one in BLOCKED], ids=[one[0] for one in BLOCKED])
def test_a_day_that_can_never_be_finished_does_not_end_all_evidence(
    tmp_path: Path, harm: Callable[[Days], None], error: type[Exception], begins: date
) -> None:
    """A chain begins after it, by name alone and again if need be; both chains verify, and where they meet is a gap."""
    days = Days(tmp_path, Fuse())
    days.run(FIRST)
    harm(days)
    for _ in range(2):
        with pytest.raises(error):
            days.run(SECOND)
    if begins == THIRD:
        with pytest.raises(
            NotSealed, match=f"the newest package before it is of {FIRST}: seal {SECOND} first; only if"
        ):
            days.run(THIRD)
    for _ in range(2):
        assert days.run(begins, begins_chain=True).manifest.sequence == 1
    after = days.run(begins + timedelta(days=1))
    assert after.manifest.sequence == 2
    packages, last = FolderStore(tmp_path / "packages"), after.manifest.day
    report = verify(packages, [KEY.public], until=last)
    says = "a new chain begins here, with number 1: it does not vouch for what comes before"
    assert Finding(Outcome.GAP, says, begins, "manifest.json") in report.findings
    assert verify(packages, [KEY.public], until=last, first=begins).outcome is Outcome.OK
    kpis = json.loads((tmp_path / "packages" / f"{begins}" / "kpis.json").read_bytes())
    assert [one["day"] for one in kpis["trend"]] == [f"{begins}"]


def test_a_day_that_goes_on_with_a_chain_begins_none(tmp_path: Path) -> None:
    """Asked to begin one after it was sealed, it is not what was asked for."""
    days = whole(tmp_path)
    with pytest.raises(NotSealed, match="it is sealed already, as number 2 of a chain"):
        days.run(SECOND, begins_chain=True)
    assert days.run(FIRST, begins_chain=True).manifest.sequence == 1


def test_two_first_days_at_once_make_one_chain(tmp_path: Path) -> None:
    """The first day begins and ends while the second, which saw no package, is about to put its first file."""
    days, meanwhile = Days(tmp_path, Fuse()), Days(tmp_path, Fuse())
    putting = days.working.put_once

    def overtaken(key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        if key == "sealing/beginning.json":
            meanwhile.run(FIRST)
        putting(key, content, sha256=sha256)

    days.working.put_once = overtaken  # type: ignore[method-assign]  # of this one store
    with pytest.raises(NotSealed, match=f"it would be number 1 of a chain, which {FIRST} has begun"):
        days.run(SECOND)
    assert folder_of(days, SECOND) == {}
    days.working.put_once = putting  # type: ignore[method-assign]  # as it was
    assert [days.run(day).manifest.sequence for day in (FIRST, SECOND, THIRD)] == [1, 2, 3]
    assert verify(FolderStore(tmp_path / "packages"), [KEY.public], until=THIRD).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (SECOND, "what is there in its place cannot be read: manifest.sig is no JSON object"),
        (THIRD, f"the package of {SECOND} cannot be read: manifest.sig is no JSON object"),
    ],
)
def test_a_seal_that_cannot_be_read_is_told_with_its_day(tmp_path: Path, day: date, says: str) -> None:
    """Of the day itself, and of the day before."""
    days = whole(tmp_path)
    (tmp_path / "packages" / f"{SECOND}" / "manifest.sig").write_bytes(b"x")
    with pytest.raises(NotSealed, match=f"the package of {day} was not sealed: {says}"):
        days.run(day)


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


def test_a_ledger_that_was_cleaned_keeps_no_day_from_being_sealed(tmp_path: Path) -> None:
    """Between plan and seal a record was removed, with its file: the package says which."""
    days = Days(tmp_path, Fuse())
    raw = gzip.compress(b"no record\n")
    for name in ("a", "b"):
        key = f"ledger/dt={FIRST}/{name}.jsonl.gz"
        days.working.put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())
    planned(days.working, FIRST, lambda: days.plan(FIRST))
    (tmp_path / "working" / f"ledger/dt={FIRST}/a.jsonl.gz").unlink()
    days.run(FIRST)
    told = json.loads((tmp_path / "packages" / f"{FIRST}" / "coverage.json").read_bytes())["ledger"]
    assert (told["damagedFiles"], told["unreadable"], told["firstProblem"]) == (
        1,
        1,
        f"ledger/dt={FIRST}/a.jsonl.gz: is not there: it was removed since the day was planned",
    )


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
