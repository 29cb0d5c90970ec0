"""Sealing a day: what is in its package is listed and signed, and hangs on the package before it.

It may be killed anywhere and run again: files and manifest come out with the same bytes, and a signature that is
there already stays. A signature of ECDSA differs each time it is made, so another one would only break the chain.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import date, timedelta

from rolecall.errors import AlreadyWritten, InvalidManifest, Missing, NotSealed, counted
from rolecall.evidence.canonical import canonical_bytes
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, Manifest, PackagedFile, Period, RuleFacts, Totals
from rolecall.evidence.measuring import measure
from rolecall.evidence.packages import MAX_SIGNATURE_BYTES, SealedPackage, read_whole
from rolecall.evidence.received_coverage import COVERAGE, CoverageReader
from rolecall.evidence.received_manifest import MAX_MANIFEST_BYTES, read_manifest, refuse_bad_path
from rolecall.evidence.signing import Signer, Verifier, read_signature, signature_by, text_to_sign
from rolecall.evidence.stores import Store


def seal(  # noqa: PLR0913 - one argument for each thing that a package is made of
    store: Store,
    day: date,
    files: Sequence[PackagedFile],
    *,
    rule: RuleFacts,
    previous: SealedPackage | None,
    signer: Signer,
    older_keys: Sequence[Verifier] = (),
) -> SealedPackage:
    """Seal the package of `day`, whose finished files lie under `<day>/` in `store`: all of `files`, and no other.

    `files` says what was put there (`Store.put_once` vouches for it), whatever anybody has done to it since.

    `previous` is the package of the day before (`packages.package_before`), or None for the first one ever. A day
    without a single instance is sealed, too.

    The package before must be signed by the signer, or by one of `older_keys`: those that it took the place of, the
    oldest first.

    Raises NotSealed and InvalidManifest for what must not be signed, StoreError for a file that is missing or was
    sealed with other content, and whatever store and signer raise.
    """
    refuse_gap(day, previous, (*older_keys, signer))
    _refuse_other_files(store, day, [file.path for file in files])
    manifest = Manifest(
        period=Period.of_day(day),
        sequence=previous.manifest.sequence + 1 if previous else 1,
        previous=previous.as_previous if previous else None,
        files=sorted(files, key=lambda file: file.path),
        rule=rule,
        totals=_totals(store, day, files),
    )
    raw = canonical_bytes(manifest.to_json())
    if len(raw) > MAX_MANIFEST_BYTES:
        limit = f"{len(raw):,} bytes long, and none above {MAX_MANIFEST_BYTES:,} is read by whoever verifies"
        raise NotSealed(f"{day}", f"its manifest would be {limit}")
    read_manifest(raw)  # what could not be read must not be signed
    sha256 = hashlib.sha256(raw).hexdigest()
    store.put_once(f"{day}/{MANIFEST}", raw, sha256=sha256)
    return _signed(store, manifest, sha256, signer)


def _signed(store: Store, manifest: Manifest, sha256: str, signer: Signer) -> SealedPackage:
    key = f"{manifest.day}/{SIGNATURE}"
    try:
        return _kept(store, manifest, sha256, signer)
    except Missing:
        signature = signature_by(signer, text_to_sign(manifest, sha256))
    raw = signature.to_bytes()
    try:
        store.put_once(key, raw, sha256=hashlib.sha256(raw).hexdigest())
    except AlreadyWritten:  # by another run, since we looked
        return _kept(store, manifest, sha256, signer)
    return SealedPackage(manifest, sha256, signature)


def _kept(store: Store, manifest: Manifest, sha256: str, signer: Signer) -> SealedPackage:
    """The package with the signature that is there. Raises Missing, and NotSealed if it is none of this manifest."""
    raw = read_whole(store, f"{manifest.day}/{SIGNATURE}", MAX_SIGNATURE_BYTES)
    try:
        package = SealedPackage(manifest, sha256, read_signature(raw))
    except InvalidManifest as error:
        raise NotSealed(f"{manifest.day}", f"the signature that is there cannot be read: {error}") from error
    if not package.is_signed_by(signer):
        raise NotSealed(f"{manifest.day}", f"the signature that is there is none of it by key {signer.fingerprint}")
    return package


def refuse_gap(day: date, previous: SealedPackage | None, keys: Sequence[Verifier]) -> None:
    """Raise NotSealed unless `previous` is of the day before and signed by one of `keys`, the oldest first.

    None is the first one's. Raises ServiceError if no key vouches, and one cannot be asked.
    """
    if previous is None:
        return
    if previous.manifest.day != day - timedelta(days=1):
        raise NotSealed(f"{day}", f"the package before it is of {previous.manifest.day}, not of the day before")
    if not previous.is_signed_by_one_of(keys):
        named = " or ".join(key.fingerprint for key in keys)
        raise NotSealed(f"{day}", f"the package before it is not signed by key {named}")


def _refuse_other_files(store: Store, day: date, paths: Collection[str]) -> None:
    for path in paths:
        refuse_bad_path(path, f"{day}")
    within = f"{day}/"
    present = {key.removeprefix(within) for key in store.keys(within)} - {MANIFEST, SIGNATURE}
    if others := sorted(present - set(paths)):
        raise NotSealed(f"{day}", f"its folder holds {counted(len(others), 'file')} that nobody named: {others[0]}")
    if missing := sorted(set(paths) - present):
        raise Missing(f"{day}/{missing[0]}")


def _totals(store: Store, day: date, files: Sequence[PackagedFile]) -> Totals:
    """What the file of sums comes to, read once more by other code than wrote it."""
    reader = CoverageReader()
    with store.open(f"{day}/{COVERAGE}") as stream:
        if measure(stream, COVERAGE, take=reader.take) not in files:
            raise NotSealed(f"{day}", f"{COVERAGE} is not what was put there")
    coverage = reader.coverage()
    if problems := coverage.problems():
        raise NotSealed(f"{day}", f"{COVERAGE} does not add up: {problems[0]}")
    return coverage.total
