"""The packages in a store: which days there are, and the manifest and signature of each."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from rolecall.errors import Damaged, Missing, NotSealed
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, Manifest, Previous
from rolecall.evidence.received_manifest import MAX_MANIFEST_BYTES, read_manifest
from rolecall.evidence.signing import Signature, Verifier, read_signature, text_to_sign
from rolecall.evidence.stores import BLOCK_BYTES, Store

MAX_SIGNATURE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SealedPackage:
    """A manifest and its signature, both read; `is_signed_by` tells whether they belong together."""

    manifest: Manifest
    manifest_sha256: str
    signature: Signature

    @property
    def as_previous(self) -> Previous:
        """What the manifest of the next package says of this one."""
        return Previous(self.manifest_sha256, self.signature.value)

    def is_signed_by(self, key: Verifier) -> bool:
        """Whether `key` made the signature, and made it of this manifest."""
        return self.signature.key_fingerprint == key.fingerprint and key.verifies(
            text_to_sign(self.manifest, self.manifest_sha256), self.signature.raw
        )


def read_package(store: Store, day: date) -> SealedPackage:
    """What seals the package of `day`. Raises StoreError, and InvalidManifest for what cannot be read."""
    return package_of(*seal_of(store, day))


def seal_of(store: Store, day: date) -> tuple[bytes, bytes]:
    """Manifest and signature as they are stored. Raises StoreError."""
    manifest = read_whole(store, f"{day}/{MANIFEST}", MAX_MANIFEST_BYTES)
    return manifest, read_whole(store, f"{day}/{SIGNATURE}", MAX_SIGNATURE_BYTES)


def package_of(manifest: bytes, signature: bytes) -> SealedPackage:
    """Read both. Raises InvalidManifest."""
    return SealedPackage(read_manifest(manifest), hashlib.sha256(manifest).hexdigest(), read_signature(signature))


def read_whole(store: Store, key: str, limit: int) -> bytes:
    """A small file. Raises StoreError, which is Damaged if there are more than `limit` bytes of it."""
    read = bytearray()
    with store.open(key) as stream:
        while block := stream.read(BLOCK_BYTES):
            read += block
            if len(read) > limit:
                raise Damaged(key, f"is longer than {limit:,} bytes")
    return bytes(read)


def day_of(name: str) -> date | None:
    """The day that a package's folder is named for, if it is one's name."""
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    # Other forms of ISO 8601 name no package.
    return day if day.isoformat() == name else None


def by_day(store: Store, prefix: str = "") -> Iterator[tuple[str, date | None, Iterator[str]]]:
    """What is in a store, in the order of its names: name, its day if it is a package's, and its keys."""
    for name, keys in groupby(store.keys(prefix), key=lambda key: key.partition("/")[0]):
        yield name, day_of(name), keys


def package_before(store: Store, day: date) -> SealedPackage | None:
    """The package of the day before `day`; None if `day` is the first that there is anything of.

    Raises NotSealed if there are older ones and that one is not sealed, or only newer ones that are, and `day` is not:
    a chain cannot grow at its beginning. Else as `read_package` does.
    """
    before = day - timedelta(days=1)
    with suppress(Missing):
        return read_package(store, before)
    for _, other, keys in by_day(store):
        if other == day and f"{day}/{MANIFEST}" in keys:
            return None
        if other is None or other == day:
            continue
        if other < day:
            raise NotSealed(f"{day}", f"packages begin on {other}, and that of {before} is not sealed: seal it first")
        if f"{other}/{MANIFEST}" in keys:
            raise NotSealed(f"{day}", f"packages begin on {other}, and none can be put before the first")
    return None
