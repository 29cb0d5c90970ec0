import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from rolecall.errors import AlreadyWritten, InvalidManifest, Missing, NotSealed, ServiceError
from rolecall.evidence import sealing
from rolecall.evidence.findings import Outcome
from rolecall.evidence.manifest import PackagedFile, Previous, RuleFacts, Totals
from rolecall.evidence.packages import package_before, read_package
from rolecall.evidence.sealing import seal
from rolecall.evidence.signing import Verifier
from rolecall.evidence.stores import FolderStore, Store
from rolecall.evidence.verifying import verify
from tests.evidence.chains import (
    A_DAY,
    ANOTHER_KEY,
    EMPTY_DAY,
    FIRST_DAY,
    KEY,
    RULE,
    Day,
    add,
    build,
    gzipped,
    measured,
)

NEXT_DAY = FIRST_DAY + timedelta(days=1)


class Killed(BaseException):
    """As whoever stops a process does."""


class DyingStore:
    """A store whose process dies at the n-th thing that it does, before or after it is done."""

    def __init__(self, store: Store, after: int, *, done: bool) -> None:
        self._store = store
        self._left = after
        self._done = done
        self.at_once = store.at_once

    def _step(self, act: Callable[[], object]) -> None:
        self._left -= 1
        if self._left == 0:
            if self._done:
                act()
            raise Killed
        act()

    def open(self, key: str) -> BinaryIO:
        """As the store."""
        return self._store.open(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """As the store."""
        return self._store.keys(prefix)

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """As the store, unless this is the time to die."""
        self._step(lambda: self._store.put_once(key, content, sha256=sha256))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WRITES = len(A_DAY.files()) + 2
"""Of one package, its seal included."""


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("writes", range(1, WRITES + 1))
def test_a_run_that_dies_and_runs_again_ends_in_a_package_that_verifies(
    tmp_path: Path, writes: int, *, done: bool
) -> None:
    """At each write, before and after it: but for the signature, the bytes are those of an undisturbed run."""
    undisturbed = FolderStore(tmp_path / "undisturbed")
    (tmp_path / "undisturbed").mkdir()
    build(undisturbed, 1)
    folder = tmp_path / "disturbed"
    folder.mkdir()
    store = FolderStore(folder)
    with pytest.raises(Killed):
        add(DyingStore(store, writes, done=done), A_DAY)
    add(store, A_DAY)
    assert verify(store, [KEY.public], until=FIRST_DAY).outcome is Outcome.OK
    signature = f"{FIRST_DAY}/manifest.sig"
    assert contents(folder).keys() == contents(tmp_path / "undisturbed").keys()
    assert contents(folder) | {signature: b""} == contents(tmp_path / "undisturbed") | {signature: b""}


def test_sealing_again_changes_nothing(tmp_path: Path) -> None:
    """Not even the signature, although each one that is made differs."""
    store = FolderStore(tmp_path)
    first = add(store, A_DAY)
    before = contents(tmp_path)
    assert add(store, A_DAY) == first
    assert contents(tmp_path) == before


class Overtaken(FolderStore):
    """A folder in which another run writes the signature just before we do."""

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """Let the other one go first."""
        if key.endswith("manifest.sig"):
            add(FolderStore(self.path), A_DAY)
        super().put_once(key, content, sha256=sha256)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


def test_two_runs_at_once_agree_on_one_signature(tmp_path: Path) -> None:
    """Whoever comes second keeps what is there."""
    sealed = add(Overtaken(tmp_path), A_DAY)
    assert sealed == read_package(FolderStore(tmp_path), FIRST_DAY)
    assert verify(FolderStore(tmp_path), [KEY.public], until=FIRST_DAY).outcome is Outcome.OK


def test_a_manifest_says_all_of_a_package(tmp_path: Path) -> None:
    """The first one hangs on nothing, the second on the first."""
    first, second = build(FolderStore(tmp_path), 2, content=Day(others={"a.jsonl.gz": gzipped(b"{}\n")}))
    coverage = EMPTY_DAY.files()["coverage.json"]
    exemptions = EMPTY_DAY.files()["exemptions.csv"]
    stored = gzipped(b"{}\n")
    assert first.manifest.to_json() == {
        "schema": "rolecall.evidence/v1",
        "period": {"from": "2026-11-20T00:00:00.000Z", "to": "2026-11-21T00:00:00.000Z"},
        "sequence": 1,
        "previous": None,
        "files": [
            {
                "path": "a.jsonl.gz",
                "bytes": len(stored),
                "sha256": hashlib.sha256(stored).hexdigest(),
                "contentBytes": 3,
                "contentSha256": hashlib.sha256(b"{}\n").hexdigest(),
                "records": 1,
            },
            PackagedFile("coverage.json", *_plain(coverage), None).to_json(),
            PackagedFile("exemptions.csv", *_plain(exemptions), 0).to_json(),
        ],
        "rule": {
            "name": "rolecall-ec2-instance-profile",
            "parameters": {"exemptionTagKey": "intentional-no-role"},
            "rolecallVersion": "0.1.0",
        },
        "totals": Totals().to_json(),
        "generatedAt": "2026-11-21T00:00:00.000Z",
    }
    assert (second.manifest.sequence, second.manifest.previous) == (
        2,
        Previous(first.manifest_sha256, first.signature.value),
    )


def _plain(content: bytes) -> tuple[int, str, int, str]:
    digest = hashlib.sha256(content).hexdigest()
    return len(content), digest, len(content), digest


def written(store: Store, content: Day = A_DAY, *, without: str = "") -> list[PackagedFile]:
    """Write the files of a day, without sealing it; what was written."""
    files = content.files()
    for path, stored in files.items():
        if path != without:
            store.put_once(f"{content.day}/{path}", stored, sha256=hashlib.sha256(stored).hexdigest())
    return measured(files)


def test_a_file_that_is_missing_is_not_sealed(tmp_path: Path) -> None:
    """Whoever says that it belongs there did not finish."""
    store = FolderStore(tmp_path)
    files = written(store, without="kpis.json")
    with pytest.raises(Missing, match=r"kpis\.json: is not there"):
        seal(store, FIRST_DAY, files, rule=RULE, previous=None, signer=KEY)


def test_a_file_that_nobody_named_is_not_sealed(tmp_path: Path) -> None:
    """It would be signed without anybody knowing what it is."""
    store = FolderStore(tmp_path)
    files = written(store)
    with pytest.raises(NotSealed, match=r"1 file that nobody named: report.html"):
        seal(
            store, FIRST_DAY, [one for one in files if one.path != "report.html"], rule=RULE, previous=None, signer=KEY
        )


def test_sums_that_somebody_replaced_are_not_sealed(tmp_path: Path) -> None:
    """They are read once more, and must be those that were put there."""
    store = FolderStore(tmp_path)
    files = written(store)
    coverage = tmp_path / str(FIRST_DAY) / "coverage.json"
    coverage.write_bytes(coverage.read_bytes() + b" ")
    with pytest.raises(NotSealed, match=r"coverage\.json is not what was put there"):
        seal(store, FIRST_DAY, files, rule=RULE, previous=None, signer=KEY)


def test_other_content_is_not_sealed_over_a_sealed_day(tmp_path: Path) -> None:
    """A package is sealed once: another rule version cannot rewrite a day."""
    store = FolderStore(tmp_path)
    add(store, A_DAY)
    other = RuleFacts(RULE.name, RULE.parameters, "0.2.0")
    with pytest.raises(AlreadyWritten, match=r"manifest\.json"):
        seal(store, FIRST_DAY, measured(A_DAY.files()), rule=other, previous=None, signer=KEY)


def test_a_population_that_does_not_add_up_is_not_sealed(tmp_path: Path) -> None:
    """Nobody signs that instances are unaccounted for."""
    store = FolderStore(tmp_path)
    files = A_DAY.files()
    files["coverage.json"] = files["coverage.json"].replace(b'"compliant":3', b'"compliant":2')
    with pytest.raises(NotSealed, match="it accounts for 7 of 8 instances in total"):
        add(store, A_DAY, files=files)


def test_what_could_not_be_read_again_is_not_sealed(tmp_path: Path) -> None:
    """A manifest that verifying refuses would be evidence of nothing."""
    store = FolderStore(tmp_path)
    files = written(store)
    with pytest.raises(InvalidManifest, match="name is ''"):
        seal(store, FIRST_DAY, files, rule=replace(RULE, name=""), previous=None, signer=KEY)
    assert not (tmp_path / f"{FIRST_DAY}" / "manifest.json").exists()


def test_a_manifest_that_nobody_would_read_is_not_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever verifies reads no more than a limit; one byte above it, nothing is signed."""
    store = FolderStore(tmp_path)
    add(store, A_DAY)
    (tmp_path / f"{FIRST_DAY}" / "manifest.sig").unlink()
    manifest = tmp_path / f"{FIRST_DAY}" / "manifest.json"
    size = manifest.stat().st_size
    manifest.unlink()
    monkeypatch.setattr(sealing, "MAX_MANIFEST_BYTES", size - 1)
    with pytest.raises(NotSealed, match=f"its manifest would be {size:,} bytes long, and none above {size - 1:,} is"):
        add(store, A_DAY)
    assert not manifest.exists()
    monkeypatch.setattr(sealing, "MAX_MANIFEST_BYTES", size)
    add(store, A_DAY)


def test_a_day_is_sealed_after_the_day_before_it_alone(tmp_path: Path) -> None:
    """A gap would be found by whoever verifies, and could not be closed any more."""
    store = FolderStore(tmp_path)
    first = add(store, A_DAY)
    later = replace(A_DAY, day=FIRST_DAY + timedelta(days=2))
    with pytest.raises(
        NotSealed, match="the newest package before it is of 2026-11-20: seal 2026-11-21 first; only if that is"
    ):
        add(store, later)
    files = written(store, replace(later, day=later.day + timedelta(days=1)))
    with pytest.raises(NotSealed, match="the package before it is of 2026-11-20, not of the day before"):
        seal(store, later.day + timedelta(days=1), files, rule=RULE, previous=first, signer=KEY)


def test_a_chain_is_not_continued_with_another_key(tmp_path: Path) -> None:
    """A package that the key did not sign is not vouched for by it."""
    store = FolderStore(tmp_path)
    add(store, A_DAY)
    with pytest.raises(NotSealed, match="the package before it is not signed by key"):
        add(store, replace(A_DAY, day=NEXT_DAY), key=ANOTHER_KEY)


def test_a_chain_goes_on_when_its_key_is_replaced(tmp_path: Path) -> None:
    """Whoever seals knows the key before, and whoever verifies pins both."""
    store = FolderStore(tmp_path)
    first = add(store, A_DAY)
    next_day = replace(A_DAY, day=NEXT_DAY)
    files = written(store, next_day)
    for _ in range(2):
        seal(store, NEXT_DAY, files, rule=RULE, previous=first, signer=ANOTHER_KEY, older_keys=[KEY.public])
    keys = [KEY.public, ANOTHER_KEY.public]
    assert verify(store, keys, until=NEXT_DAY).outcome is Outcome.OK
    assert verify(store, keys[:1], until=NEXT_DAY).outcome is Outcome.TAMPERED


class GoneKey:
    """A key that KMS gives no answer about."""

    def __init__(self, asked: list[str], name: str) -> None:
        self._asked = asked
        self._name = name

    @property
    def fingerprint(self) -> str:
        """Nobody knows."""
        self._asked.append(self._name)
        raise ServiceError("GetPublicKey", "DisabledException", self._name)

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Nobody asks that far."""
        raise AssertionError((text, signature))


@pytest.mark.parametrize(
    ("older", "asked", "ends"),
    [
        (["gone", "key"], [], None),
        (["key", "gone"], ["gone"], None),
        (["gone", "key", "gone too"], ["gone too"], None),
        (["gone", "gone too"], ["gone too", "gone"], "GetPublicKey failed: DisabledException: gone too"),
        ([], [], "the package before it is not signed by key"),
    ],
)
def test_a_key_that_cannot_be_asked_matters_only_if_no_other_vouches(
    tmp_path: Path, older: list[str], asked: list[str], ends: str | None
) -> None:
    """Keys may be replaced more than once: the newest is asked first; one that is disabled or gone is passed over."""
    store, journal = FolderStore(tmp_path), list[str]()
    first = add(store, A_DAY)
    keys: list[Verifier] = [KEY.public if name == "key" else GoneKey(journal, name) for name in older]
    files = written(store, replace(A_DAY, day=NEXT_DAY))
    if ends is None:
        seal(store, NEXT_DAY, files, rule=RULE, previous=first, signer=ANOTHER_KEY, older_keys=keys)
    else:
        with pytest.raises((NotSealed, ServiceError), match=ends):
            seal(store, NEXT_DAY, files, rule=RULE, previous=first, signer=ANOTHER_KEY, older_keys=keys)
    assert journal == asked


@pytest.mark.parametrize("raw", [b"", b"{}", "another day's"])
def test_a_wrong_signature_that_is_there_is_not_taken(tmp_path: Path, raw: bytes | str) -> None:
    """It cannot be replaced either: somebody has to look."""
    store = FolderStore(tmp_path)
    build(store, 2)
    signature = tmp_path / f"{NEXT_DAY}" / "manifest.sig"
    if isinstance(raw, bytes):
        signature.write_bytes(raw)
    else:
        shutil.copy(tmp_path / f"{FIRST_DAY}" / "manifest.sig", signature)
    with pytest.raises(NotSealed, match="the signature that is there"):
        add(store, replace(A_DAY, day=NEXT_DAY))


@pytest.mark.parametrize(
    ("sealed", "others", "day", "says"),
    [
        (1, [], 5, "the newest package before it is of 2026-11-20: seal 2026-11-21 first"),
        (3, [], 9, "the newest package before it is of 2026-11-22: seal 2026-11-23 first"),
        (3, [5], 9, "the newest package before it is of 2026-11-22: seal 2026-11-23 first"),
        (0, [2, 3], 9, "2026-11-22 has a folder and no package, nor has any day after it: seal 2026-11-22 first"),
    ],
)
def test_of_missed_days_the_first_one_is_named(
    tmp_path: Path, sealed: int, others: list[int], day: int, says: str
) -> None:
    """That is the one to seal next, whatever else lies there; days are counted from the first."""
    store = FolderStore(tmp_path)
    build(store, sealed)
    for number in others:
        written(store, replace(A_DAY, day=FIRST_DAY + timedelta(days=number)))
    with pytest.raises(NotSealed, match=f"{says}; only if that is impossible, ask for a chain"):
        package_before(store, FIRST_DAY + timedelta(days=day))


@pytest.mark.parametrize("day", [FIRST_DAY, date(2000, 2, 29), date(9999, 12, 30)])
def test_the_first_package_may_be_of_any_day(tmp_path: Path, day: date) -> None:
    """Nothing comes before it."""
    store = FolderStore(tmp_path)
    assert package_before(store, day) is None
    add(store, replace(EMPTY_DAY, day=day))
    assert package_before(store, day) is None
    assert verify(store, [KEY.public], until=day).outcome is Outcome.OK
