"""Whoever changes anything of what was sealed is found out, with the exit code that says what kind of wrong it is."""

import base64
import gzip
import hashlib
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from rolecall.cli.evidence_verify import EXIT_CODES
from rolecall.evidence.canonical import canonical_bytes
from rolecall.evidence.findings import Outcome, Report
from rolecall.evidence.manifest import Manifest
from rolecall.evidence.packages import read_package
from rolecall.evidence.signature_form import ORDER
from rolecall.evidence.signing import signature_by, text_to_sign
from rolecall.evidence.stores import FolderStore
from rolecall.evidence.verifying import verify
from tests.evidence.chains import A_DAY, ANOTHER_KEY, EMPTY_DAY, FIRST_DAY, KEY, Day, Row, add, build, exempt, gzipped

DAYS = 4
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
SECOND = FIRST_DAY + timedelta(days=1)
THIRD = FIRST_DAY + timedelta(days=2)

TAMPERED, INCOMPLETE, GAP, STALE = Outcome.TAMPERED, Outcome.INCOMPLETE, Outcome.GAP, Outcome.STALE

PART = "evaluations/111122223333_eu-west-1.jsonl.gz"
SPREADSHEET = "evaluations/111122223333_eu-west-1.csv.gz"
FILES = sorted(A_DAY.files())
SEAL = ["manifest.json", "manifest.sig"]
BEGINNING = f"the chain begins on {FIRST_DAY}, with number 1: compare with the day that you know"
"""What is noted of every chain whose first package is there and proven."""


@pytest.fixture(scope="module", name="sealed")
def _sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    build(FolderStore(folder), DAYS)
    return folder


@pytest.fixture(name="chain")
def _chain(sealed: Path, tmp_path: Path) -> Path:
    """Four days that verify, to be tampered with."""
    return shutil.copytree(sealed, tmp_path / "chain")


def verified(chain: Path, until: date = LAST_DAY) -> Report:
    """What verifying says, by the right key."""
    return verify(FolderStore(chain), [KEY.public], until=until)


def places(report: Report) -> set[tuple[Outcome, date | None, str | None]]:
    """Kind, day and file of every finding."""
    return {(one.outcome, one.day, one.path) for one in report.all_findings()}


# --- one file of one day ----------------------------------------------------------------------------------------------


def change_first_byte(path: Path) -> None:
    """Of a file of its own kind, or of what it is compressed to."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def change_middle_byte(path: Path) -> None:
    """One bit, amid the rest."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change_last_byte(path: Path) -> None:
    """One bit, at the end."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """By one byte."""
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    """Nothing is left."""
    os.truncate(path, 0)


def append_a_byte(path: Path) -> None:
    """After the end of what it is compressed to."""
    path.write_bytes(path.read_bytes() + b"\0")


def append_white_space(path: Path) -> None:
    """Which means nothing in JSON and CSV."""
    path.write_bytes(path.read_bytes() + b"\n")


def append_a_gzip_member(path: Path) -> None:
    """Which gzip would read as if it belonged there."""
    path.write_bytes(path.read_bytes() + gzipped(b"{}\n"))


def replace_by_another_days(path: Path) -> None:
    """The same file of a day whose content differs."""
    path.write_bytes(path.read_bytes().replace(b"2026-11-21", b"2026-11-22") + b" ")


def link_to_itself_elsewhere(path: Path) -> None:
    """The same bytes, but they lie outside of the package."""
    elsewhere = path.parents[2] / f"outside-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def make_it_a_pipe(path: Path) -> None:
    """Whoever reads one waits for ever."""
    path.unlink()
    os.mkfifo(path)


def make_it_a_folder(path: Path) -> None:
    """With a file in it, as an empty one is none."""
    path.unlink()
    path.mkdir()
    (path / "file").write_bytes(b"")


CHANGES: list[Callable[[Path], None]] = [
    change_first_byte,
    change_middle_byte,
    change_last_byte,
    truncate,
    empty,
    append_a_byte,
    append_white_space,
    append_a_gzip_member,
    replace_by_another_days,
    link_to_itself_elsewhere,
    make_it_a_pipe,
]


@pytest.mark.parametrize("path", FILES + SEAL)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_any_change_to_any_file_is_tampering(chain: Path, change: Callable[[Path], None], path: str) -> None:
    """Each kind of change to each kind of file is found, and the file is named."""
    change(chain / f"{SECOND}" / path)
    report = verified(chain)
    assert report.outcome is TAMPERED
    blamed = {(day, named) for outcome, day, named in places(report) if outcome is TAMPERED}
    # A seal that cannot be read or is wrong may be the manifest's fault or the signature's; what hangs on it says so.
    seal = {(SECOND, one) for one in SEAL} | {(THIRD, "manifest.json")}
    assert blamed
    assert blamed <= (seal if path in SEAL else {(SECOND, path)})


@pytest.mark.parametrize("path", FILES + SEAL)
def test_a_removed_file_makes_a_package_incomplete(chain: Path, path: str) -> None:
    """It is named."""
    (chain / f"{SECOND}" / path).unlink()
    report = verified(chain)
    assert report.outcome is INCOMPLETE
    assert places(report) == {(INCOMPLETE, SECOND, path)}


@pytest.mark.parametrize("path", FILES)
def test_a_file_made_a_folder_is_a_removed_and_an_added_one(chain: Path, path: str) -> None:
    """Both are named."""
    make_it_a_folder(chain / f"{SECOND}" / path)
    report = verified(chain)
    assert report.outcome is TAMPERED
    assert places(report) == {(INCOMPLETE, SECOND, path), (TAMPERED, SECOND, f"{path}/file")}


@pytest.mark.parametrize("path", FILES)
def test_a_renamed_file_is_a_removed_and_an_added_one(chain: Path, path: str) -> None:
    """Both names are said."""
    file = chain / f"{SECOND}" / path
    file.rename(file.with_name(f"x{file.name}"))
    report = verified(chain)
    renamed = str(Path(path).with_name(f"x{file.name}"))
    assert report.outcome is TAMPERED
    assert places(report) == {(INCOMPLETE, SECOND, path), (TAMPERED, SECOND, renamed)}


@pytest.mark.parametrize("path", ["notes.txt", "evaluations/222233334444_eu-west-1.jsonl.gz", ".hidden", "a b\n", "é"])
def test_an_added_file_is_tampering(chain: Path, path: str) -> None:
    """Whatever it is called, and however good it looks."""
    (chain / f"{SECOND}" / path).write_bytes(gzipped(b""))
    report = verified(chain)
    assert report.outcome is TAMPERED
    assert places(report) == {(TAMPERED, SECOND, path)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PART, "evaluations/444455556666_eu-west-1.jsonl.gz"),
        (SPREADSHEET, "evaluations/444455556666_eu-west-1.csv.gz"),
        ("kpis.json", "coverage.json"),
    ],
)
def test_swapped_files_are_tampering(chain: Path, one: str, other: str) -> None:
    """Each file's bytes are the package's own, but under the other's name."""
    first, second = chain / f"{SECOND}" / one, chain / f"{SECOND}" / other
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    report = verified(chain)
    assert places(report) == {(TAMPERED, SECOND, one), (TAMPERED, SECOND, other)}


def test_reordered_rows_are_tampering(chain: Path) -> None:
    """Even if nothing else changes."""
    file = chain / f"{SECOND}" / PART
    rows = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzipped(b"".join(reversed(rows))))
    assert places(verified(chain)) == {(TAMPERED, SECOND, PART)}


def test_the_same_rows_compressed_in_another_way_are_tampering(chain: Path) -> None:
    """The stored bytes are what is signed, too."""
    file = chain / f"{SECOND}" / PART
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()), 1, mtime=1))
    assert places(verified(chain)) == {(TAMPERED, SECOND, PART)}


# --- manifest and signature -------------------------------------------------------------------------------------------


def rewritten(chain: Path, day: date, manifest: Manifest, *, key: object = None) -> None:
    """Replace a package's manifest; sign it with `key`, if there is one."""
    raw = canonical_bytes(manifest.to_json())
    (chain / f"{day}" / "manifest.json").write_bytes(raw)
    if key is not None:
        text = text_to_sign(manifest, hashlib.sha256(raw).hexdigest())
        (chain / f"{day}" / "manifest.sig").write_bytes(signature_by(key, text).to_bytes())  # type: ignore[arg-type]  # a LocalKey


def manifest_of(chain: Path, day: date = SECOND) -> Manifest:
    """The manifest as it is."""
    return read_package(FolderStore(chain), day).manifest


def changed_count(manifest: Manifest) -> Manifest:
    """One row less in one file."""
    files = [replace(file, records=(file.records or 0) - 1) if file.path == PART else file for file in manifest.files]
    return replace(manifest, files=files)


def test_a_replaced_manifest_is_tampering(chain: Path) -> None:
    """A well-formed one, which the signature is not of."""
    rewritten(chain, SECOND, changed_count(manifest_of(chain)))
    report = verified(chain)
    assert places(report) == {(TAMPERED, SECOND, "manifest.sig"), (TAMPERED, THIRD, "manifest.json")}


def test_a_manifest_signed_by_another_key_is_tampering(chain: Path) -> None:
    """The pinned key alone counts, whatever the package brings."""
    rewritten(chain, SECOND, changed_count(manifest_of(chain)), key=ANOTHER_KEY)
    report = verified(chain)
    assert places(report) == {(TAMPERED, SECOND, "manifest.sig"), (TAMPERED, THIRD, "manifest.json")}
    assert ANOTHER_KEY.fingerprint in next(report.all_findings()).says


def test_a_manifest_of_another_version_cannot_be_verified(chain: Path) -> None:
    """A later rolecall may seal in another form; this one neither passes nor accuses it."""
    file = chain / f"{LAST_DAY}" / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b"rolecall.evidence/v1", b"rolecall.evidence/v2"))
    assert places(verified(chain)) == {(Outcome.CANNOT_VERIFY, LAST_DAY, "manifest.json")}


def test_a_signature_by_another_key_in_the_pinned_ones_name_is_tampering(chain: Path) -> None:
    """The fingerprint in the file is no proof."""
    rewritten(chain, SECOND, manifest_of(chain), key=ANOTHER_KEY)
    file = chain / f"{SECOND}" / "manifest.sig"
    file.write_bytes(file.read_bytes().replace(ANOTHER_KEY.fingerprint.encode(), KEY.fingerprint.encode()))
    assert verified(chain).outcome is TAMPERED


def test_the_signature_of_another_day_is_tampering(chain: Path) -> None:
    """A good signature of the pinned key, but of something else."""
    shutil.copy(chain / f"{THIRD}" / "manifest.sig", chain / f"{SECOND}" / "manifest.sig")
    assert places(verified(chain)) == {(TAMPERED, SECOND, "manifest.sig"), (TAMPERED, THIRD, "manifest.json")}


def test_a_newer_signature_of_the_same_manifest_is_tampering(chain: Path) -> None:
    """The next package names the signature, too: whoever has the key cannot seal a day again unnoticed."""
    rewritten(chain, SECOND, manifest_of(chain), key=KEY)
    assert places(verified(chain)) == {(TAMPERED, THIRD, "manifest.json")}


def test_the_twin_of_the_newest_signature_is_tampering(chain: Path) -> None:
    """Anybody can make it, and it is as good: no package comes after it that names the one that was there."""
    day = read_package(FolderStore(chain), LAST_DAY)
    r, s = decode_dss_signature(day.signature.raw)
    other = encode_dss_signature(r, ORDER - s)
    text = text_to_sign(day.manifest, day.manifest_sha256)
    assert KEY.public.verifies(text, other)
    changed = replace(day.signature, value=base64.b64encode(other).decode())
    (chain / f"{LAST_DAY}" / "manifest.sig").write_bytes(changed.to_bytes())
    report = verified(chain)
    assert places(report) == {(TAMPERED, LAST_DAY, "manifest.sig")}
    assert "with the smaller s" in next(report.all_findings()).says


def test_a_day_sealed_again_with_the_right_key_breaks_the_chain(chain: Path) -> None:
    """Its own files agree with it; the next package does not."""
    rewritten(chain, SECOND, replace(manifest_of(chain), rule=replace(manifest_of(chain).rule, name="x")), key=KEY)
    assert places(verified(chain)) == {(TAMPERED, THIRD, "manifest.json")}


@pytest.mark.parametrize("sequence", [2, 4, 9])
def test_a_number_that_belongs_to_another_package_is_tampering(chain: Path, sequence: int) -> None:
    """Twice the same, or one left out, although no day is missing and the key is right."""
    rewritten(chain, LAST_DAY, replace(manifest_of(chain, LAST_DAY), sequence=sequence + (sequence == DAYS)), key=KEY)
    assert places(verified(chain)) == {(TAMPERED, LAST_DAY, "manifest.json")}


def test_a_number_1_within_a_chain_is_a_gap_and_the_day_is_named(chain: Path) -> None:
    """Whoever seals may begin anew where nothing can be gone on from; what comes before is still what was sealed."""
    rewritten(chain, LAST_DAY, replace(manifest_of(chain, LAST_DAY), sequence=1, previous=None), key=KEY)
    report = verified(chain)
    assert places(report) == {(GAP, LAST_DAY, "manifest.json")}
    assert report.findings[0].says == "a new chain begins here, with number 1: it does not vouch for what comes before"
    assert report.begins == FIRST_DAY
    store, keys = FolderStore(chain), [KEY.public]
    assert verify(store, keys, until=THIRD).outcome is Outcome.OK
    assert verify(store, keys, until=LAST_DAY, first=LAST_DAY).outcome is Outcome.OK
    assert verify(store, keys, until=LAST_DAY, first=SECOND).outcome is GAP


def test_what_comes_after_a_number_1_must_hang_on_it(chain: Path) -> None:
    """A day that is taken out of a chain, and sealed as the first of another one, breaks what came after it."""
    rewritten(chain, THIRD, replace(manifest_of(chain, THIRD), sequence=1, previous=None), key=KEY)
    assert places(verified(chain)) == {(GAP, THIRD, "manifest.json"), (TAMPERED, LAST_DAY, "manifest.json")}


def test_a_package_under_another_days_name_is_tampering(chain: Path) -> None:
    """The signed period says which day it is of."""
    shutil.rmtree(chain / f"{THIRD}")
    shutil.copytree(chain / f"{SECOND}", chain / f"{THIRD}")
    report = verified(chain)
    assert (TAMPERED, THIRD, "manifest.json") in places(report)
    assert report.outcome is TAMPERED


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe{}",
        b'{"a":1,"a":1}',
        b'{"sequence":' + b"9" * 5000 + b"}",
        b'{"sequence":1e400}',
        b'{"sequence":NaN}',
        b'{"schema":"\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"files":[{"path":"../../etc/passwd"}]}',
    ],
    ids=lambda raw: repr(raw[:20]),
)
@pytest.mark.parametrize("path", SEAL)
def test_a_hostile_seal_is_tampering_and_no_crash(chain: Path, path: str, raw: bytes) -> None:
    """Whatever bytes it holds."""
    (chain / f"{SECOND}" / path).write_bytes(raw)
    report = verified(chain)
    assert report.outcome is TAMPERED
    assert (TAMPERED, SECOND, path) in places(report)


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../b", "./a", "a//b", "a/", "", ".hidden", "a\\b", "C:/x", "a\0b", "manifest.json", "é",
     "a" * 600],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_package_is_refused(chain: Path, path: str) -> None:
    """Even signed by the right key: the file is not opened."""
    manifest = manifest_of(chain)
    rewritten(chain, SECOND, replace(manifest, files=[replace(manifest.files[0], path=path)]), key=KEY)
    report = verified(chain)
    assert (TAMPERED, SECOND, "manifest.json") in places(report)
    assert any(one.says.startswith("files[0].path is ") for one in report.all_findings())


def test_a_file_that_grows_without_end_is_read_no_further_than_the_manifest_says(chain: Path) -> None:
    """A gzip bomb takes neither memory nor time."""
    (chain / f"{SECOND}" / PART).write_bytes(gzip.compress(bytes(300 * 1024 * 1024), 9, mtime=0))
    report = verified(chain)
    assert places(report) == {(TAMPERED, SECOND, PART)}
    assert "longer than the" in next(report.all_findings()).says


def sha256(path: Path) -> str:
    """Of a file as it is, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "change", [change_first_byte, change_middle_byte, change_last_byte], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("path", [PART, SPREADSHEET, "coverage.json"])
def test_a_changed_byte_is_told_by_both_hashes(chain: Path, change: Callable[[Path], None], path: str) -> None:
    """Wherever it is, and whether what is left can be decompressed or not."""
    file = chain / f"{SECOND}" / path
    was = sha256(file)
    change(file)
    [found] = verified(chain).all_findings()
    assert found.says == f"was changed: its SHA-256 is {sha256(file)}; the manifest says {was}"


@pytest.mark.parametrize(
    ("old", "new", "path", "says"),
    [
        (b"{", b"[", "manifest.json", "is no JSON object: it was changed or cut off; its SHA-256 is {now}"),
        (
            b'":',
            b'": ',
            "manifest.json",
            "is JSON in another form than the one that is sealed: it was changed; its SHA-256 is {now}",
        ),
        (
            b'"sequence":2',
            b'"sequence":-2',
            "manifest.json",
            "sequence is -2; allowed: a number of at least 0; its SHA-256 is {now}",
        ),
        (
            b'"sequence":2',
            b'"sequence":3',
            "manifest.sig",
            "is no signature of this manifest, whose SHA-256 is {now}, by key {key}: one of the two was changed",
        ),
    ],
)
def test_a_changed_manifest_is_told_in_plain_words(chain: Path, old: bytes, new: bytes, path: str, says: str) -> None:
    """With the hash that it has now: whoever has kept another one can compare."""
    file = chain / f"{SECOND}" / "manifest.json"
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    found = next(verified(chain).all_findings())
    assert (found.path, found.says) == (path, says.format(now=sha256(file), key=KEY.fingerprint))


def test_a_file_that_was_sealed_damaged_is_what_it_was(chain: Path) -> None:
    """Nobody changed it since: the problem itself is said."""
    folder = chain / f"{LAST_DAY}"
    (folder / PART).write_bytes(b"no gzip")
    manifest = manifest_of(chain, LAST_DAY)
    files = [replace(one, size=7, sha256=sha256(folder / PART)) if one.path == PART else one for one in manifest.files]
    rewritten(chain, LAST_DAY, replace(manifest, files=files), key=KEY)
    [found] = verified(chain).all_findings()
    assert (found.path, found.says.startswith("cannot be decompressed: ")) == (PART, True)


# --- days -------------------------------------------------------------------------------------------------------------


def test_a_dropped_day_is_a_gap(chain: Path) -> None:
    """Named by its day."""
    shutil.rmtree(chain / f"{SECOND}")
    report = verified(chain)
    assert places(report) == {(GAP, None, None)}
    assert report.findings[0].says == f"missing: {SECOND}"


def test_the_dropped_newest_day_is_stale(chain: Path) -> None:
    """Which no chain of hashes would ever tell."""
    shutil.rmtree(chain / f"{LAST_DAY}")
    report = verified(chain)
    assert places(report) == {(STALE, None, None)}
    assert report.findings[0].says == f"the newest package is of {THIRD}; missing: {LAST_DAY}"


def test_the_dropped_first_day_is_a_gap(chain: Path) -> None:
    """A chain begins with the first package ever, unless whoever verifies says otherwise."""
    shutil.rmtree(chain / f"{FIRST_DAY}")
    report = verified(chain)
    assert places(report) == {(GAP, SECOND, "manifest.json")}


def test_a_renamed_day_is_a_gap_and_is_said(chain: Path) -> None:
    """What is not called like a package is none."""
    (chain / f"{SECOND}").rename(chain / f"old-{SECOND}")
    report = verified(chain)
    assert report.outcome is GAP
    assert report.notes == (
        BEGINNING,
        f"1 other name was not looked at: old-{SECOND}",
    )


def test_a_day_that_is_a_link_is_tampering(chain: Path, tmp_path: Path) -> None:
    """It leads out of what was handed over."""
    (chain / f"{SECOND}").rename(tmp_path / "elsewhere")
    (chain / f"{SECOND}").symlink_to(tmp_path / "elsewhere")
    report = verified(chain)
    assert report.outcome is TAMPERED
    assert (TAMPERED, SECOND, None) in places(report)


def test_a_chain_of_its_own_by_another_key_is_tampering(tmp_path: Path) -> None:
    """All of it agrees with itself, and nothing of it with the pinned key."""
    build(FolderStore(tmp_path), DAYS, key=ANOTHER_KEY)
    assert places(verified(tmp_path)) == {
        (TAMPERED, FIRST_DAY + timedelta(days=number), "manifest.sig") for number in range(DAYS)
    }


def test_several_findings_end_with_the_worst() -> None:
    """Tampering before incompleteness, gaps, stale chains, and what could not be read."""
    assert list(EXIT_CODES.items()) == [
        (Outcome.OK, 0),
        (Outcome.TAMPERED, 3),
        (Outcome.INCOMPLETE, 4),
        (Outcome.GAP, 5),
        (Outcome.STALE, 6),
        (Outcome.CANNOT_VERIFY, 7),
    ]


def test_a_key_that_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    """Whoever stole the old key signs a day after its replacement: it is found although both keys are pinned."""
    store, both = FolderStore(tmp_path), (KEY.public, ANOTHER_KEY.public)
    for number, key in enumerate((KEY, ANOTHER_KEY, KEY)):
        add(store, replace(A_DAY, day=FIRST_DAY + timedelta(days=number)), key=key, older_keys=both)
    report = verify(store, both, until=THIRD)
    assert places(report) == {(TAMPERED, THIRD, "manifest.sig")}


# --- what must pass ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [A_DAY, EMPTY_DAY], ids=["a day", "an empty day"])
def test_what_was_sealed_verifies(tmp_path: Path, content: object) -> None:
    """Days with nothing, too."""
    build(FolderStore(tmp_path), DAYS, content=content)  # type: ignore[arg-type]  # a Day
    report = verified(tmp_path)
    assert (report.outcome, list(report.all_findings()), report.notes) == (Outcome.OK, [], (BEGINNING,))
    assert report.begins == FIRST_DAY
    assert [package.sequence for package in report.packages] == [1, 2, 3, 4]


def test_a_part_of_a_chain_verifies_from_a_day_that_is_named(chain: Path) -> None:
    """The report says which package must come before it."""
    before = read_package(FolderStore(chain), FIRST_DAY)
    shutil.rmtree(chain / f"{FIRST_DAY}")
    report = verify(FolderStore(chain), [KEY.public], until=LAST_DAY, first=SECOND)
    assert report.outcome is Outcome.OK
    assert (report.anchor, report.begins) == (before.as_previous, None)


def test_a_replaced_key_is_pinned_beside_the_old_one(chain: Path) -> None:
    """Each package is signed by one of them."""
    rewritten(chain, LAST_DAY, manifest_of(chain, LAST_DAY), key=ANOTHER_KEY)
    report = verify(FolderStore(chain), [KEY.public, ANOTHER_KEY.public], until=LAST_DAY)
    assert report.outcome is Outcome.OK
    assert report.signed_since == {KEY.fingerprint: FIRST_DAY, ANOTHER_KEY.fingerprint: LAST_DAY}
    assert report.notes[1:] == (
        f"key {KEY.fingerprint} signs from {FIRST_DAY} on: compare with the day that you know",
        f"key {ANOTHER_KEY.fingerprint} signs from {LAST_DAY} on: compare with the day that you know",
    )


def test_a_pinned_key_that_signs_nothing_is_told_of(chain: Path) -> None:
    """It may be a wrong one, or planted; told once, however often it is pinned."""
    report = verify(FolderStore(chain), [ANOTHER_KEY.public, KEY.public, ANOTHER_KEY.public], until=LAST_DAY)
    assert (report.outcome, report.notes) == (
        Outcome.OK,
        (
            BEGINNING,
            f"key {KEY.fingerprint} signs from {FIRST_DAY} on: compare with the day that you know",
            (
                f"key {ANOTHER_KEY.fingerprint} signs none of them: if it took the place of another one, "
                "packages since then are missing, or signed by the one that was replaced"
            ),
        ),
    )


def test_a_chain_that_begins_anew_is_said_to_begin_then(tmp_path: Path) -> None:
    """Whoever hides all packages, and has the next day sealed as the first, is found by whoever knows the day."""
    build(FolderStore(tmp_path), 1, first=LAST_DAY)
    report = verified(tmp_path)
    assert report.outcome is Outcome.OK
    assert report.notes == (BEGINNING.replace(f"{FIRST_DAY}", f"{LAST_DAY}"),)


def test_a_first_package_that_is_not_proven_begins_nothing(chain: Path) -> None:
    """It may be anybody's."""
    rewritten(chain, FIRST_DAY, manifest_of(chain, FIRST_DAY), key=ANOTHER_KEY)
    report = verified(chain)
    assert (report.begins, report.notes) == (None, ())


def test_later_packages_are_left_alone(chain: Path) -> None:
    """Whoever audits a period is not told of what came after it."""
    (chain / f"{LAST_DAY}" / PART).write_bytes(b"")
    report = verified(chain, THIRD)
    assert report.outcome is Outcome.OK
    assert report.notes == (
        BEGINNING,
        f"1 package later than {THIRD} was not looked at: {LAST_DAY}",
    )


def test_no_package_cannot_be_verified(tmp_path: Path) -> None:
    """Nothing is no proof of anything."""
    assert verified(tmp_path).outcome is Outcome.CANNOT_VERIFY


def test_an_unreadable_file_cannot_be_verified(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is no tampering, and no pass."""
    reading = FolderStore.open

    def failing(self: FolderStore, key: str) -> object:
        if key == f"{SECOND}/{PART}":
            raise PermissionError(13, "Permission denied")
        return reading(self, key)

    monkeypatch.setattr(FolderStore, "open", failing)
    assert places(verified(chain)) == {(Outcome.CANNOT_VERIFY, SECOND, PART)}


def test_a_listing_that_breaks_off_cannot_be_verified(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not listed is not missing: nobody knows."""
    listing = FolderStore.keys

    def failing(self: FolderStore, prefix: str = "") -> Iterator[str]:
        for key in listing(self, prefix):
            if key.startswith(f"{THIRD}/"):
                raise PermissionError(13, "Permission denied")
            yield key

    monkeypatch.setattr(FolderStore, "keys", failing)
    report = verified(chain)
    # Whether the second day has other files, the listing did not tell any more.
    assert [package.day for package in report.packages] == [FIRST_DAY]
    assert places(report) == {(Outcome.CANNOT_VERIFY, None, None)}


def test_verifying_takes_no_more_memory_for_a_larger_file(tmp_path: Path) -> None:
    """Neither of its content nor of its exemptions is more held than a block and a sum."""

    def peak(name: str, instances: int) -> int:
        rows = [exempt(f"i-{number:06}") if number % 3 == 0 else Row(f"i-{number:06}") for number in range(instances)]
        build(FolderStore(tmp_path / name), 1, content=Day(parts={("111122223333", "eu-west-1"): rows}))
        tracemalloc.start()
        try:
            assert verified(tmp_path / name, FIRST_DAY).outcome is Outcome.OK
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak("large", 20_000) < 1.5 * peak("small", 2_000)
