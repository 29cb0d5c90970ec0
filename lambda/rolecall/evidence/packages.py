"""The packages in a store: which days there are, and the manifest and signature of each."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from rolecall.errors import Damaged, InvalidManifest, Missing, NotSealed, ServiceError
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, Manifest, Previous
from rolecall.evidence.received_manifest import MAX_MANIFEST_BYTES, read_manifest
from rolecall.evidence.signing import Signature, Verifier, read_signature, text_to_sign
from rolecall.evidence.stores import BLOCK_BYTES, Store

MAX_SIGNATURE_BYTES = 4096

BEGINS_CHAIN = "beginsChain"
"""Of an event, beside `day`: this day begins a chain, whatever came before it."""

ONLY_IF_IMPOSSIBLE = (
    "only if that is impossible, ask for a chain that begins with this day "
    f"({BEGINS_CHAIN} in the event, --begin on a laptop)"
)
"""The way on for whoever cannot do what a message says."""


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

    def is_signed_by_one_of(self, keys: Sequence[Verifier]) -> bool:
        """The same of several keys, the oldest first: the newest is asked first, and none after one that vouches.

        A key that AWS gives no answer about may be disabled, or gone, and not be needed: ServiceError is raised only if
        no other one vouches.
        """
        unanswered: ServiceError | None = None
        for key in reversed(keys):
            try:
                if self.is_signed_by(key):
                    return True
            except ServiceError as error:
                unanswered = unanswered or error
        if unanswered:
            raise unanswered
        return False


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

    Raises NotSealed if there are older ones and that one is not sealed or cannot be read, or only newer ones that are
    sealed, and `day` is not: a chain cannot grow at its beginning. Else as `read_package` does.
    """
    before = day - timedelta(days=1)
    try:
        return read_package(store, before)
    except InvalidManifest as error:
        raise NotSealed(f"{day}", f"the package of {before} cannot be read: {error}; {ONLY_IF_IMPOSSIBLE}") from error
    except Missing:
        _refuse_others(store, day)
        return None


def _refuse_others(store: Store, day: date) -> None:
    """Raise NotSealed unless there is nothing older than `day`, and nothing newer that was sealed before it."""
    older: date | None = None
    newest_sealed: date | None = None
    for _, other, listed in by_day(store):
        if other is None:
            continue
        names = {key.removeprefix(f"{other}/") for key in listed}
        if other < day:
            older = older or other
            newest_sealed = other if {MANIFEST, SIGNATURE} <= names else newest_sealed
        elif older:
            break
        elif MANIFEST in names:
            if other == day:
                return
            raise NotSealed(f"{day}", f"packages begin on {other}, and none can be put before the first")
    if older:
        raise NotSealed(f"{day}", f"{_what_is_missing(older, newest_sealed)}; {ONLY_IF_IMPOSSIBLE}")


def _what_is_missing(older: date, newest_sealed: date | None) -> str:
    if newest_sealed is None:
        return f"{older} has a folder and no package, nor has any day after it: seal {older} first"
    return f"the newest package before it is of {newest_sealed}: seal {newest_sealed + timedelta(days=1)} first"
