"""The last step of a day: plan, shards and ledger become the sealed package. It may run again at any time."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, BinaryIO

from rolecall.errors import Missing, NotSealed
from rolecall.evidence.contents import Before, write_contents
from rolecall.evidence.episode_file import EPISODES
from rolecall.evidence.kpis import KPIS, read_trend
from rolecall.evidence.packages import SealedPackage, package_before, read_package, read_whole
from rolecall.evidence.sealing import seal
from rolecall.evidence.signing import Signer
from rolecall.evidence.steps import stored_plan
from rolecall.evidence.stores import Store

MAX_CARRIED_BYTES = 512 * 1024 * 1024
"""Of a file of the package before, whose content goes on in the next one."""


def sealed(working: Store, packages: Store, day: date, signer: Signer) -> SealedPackage:
    """The package of `day`: the one that is there, or the one that its plan, shards and ledger make.

    Raises Missing for a plan or shard that is not there, NotSealed for a day that does not follow the last one, and
    whatever `contents.write_contents` and `sealing.seal` raise.
    """
    with suppress(Missing):
        package = read_package(packages, day)
        if not package.is_signed_by(signer):
            raise NotSealed(f"{day}", f"it is sealed already, but not by key {signer.fingerprint}")
        return package
    previous = package_before(packages, day)
    plan = stored_plan(working, day)
    ledger = _ListedStore(working, plan.ledger_keys)
    contents = write_contents(packages, working, ledger, plan, _before(packages, previous))
    return seal(packages, day, contents.paths, rule=contents.rule, previous=previous, signer=signer)


def figures_of(packages: Store, package: SealedPackage) -> Mapping[str, Any]:
    """The figures of a sealed package's day, as `kpis.json` has them in its trend. Raises as `sealed` does."""
    day = package.manifest.day.isoformat()
    trend = read_trend(_carried(packages, package, KPIS))
    return next((figures for figures in reversed(trend) if figures["day"] == day), {})


def _before(packages: Store, previous: SealedPackage | None) -> Before:
    if previous is None:
        return Before()
    return Before(_carried(packages, previous, EPISODES), _carried(packages, previous, KPIS))


def _carried(packages: Store, previous: SealedPackage, path: str) -> bytes:
    """A file of the package before, which must still be what was signed."""
    day = previous.manifest.day
    content = read_whole(packages, f"{day}/{path}", MAX_CARRIED_BYTES)
    signed = next((file.sha256 for file in previous.manifest.files if file.path == path), None)
    if signed != hashlib.sha256(content).hexdigest():
        raise NotSealed(f"{day + timedelta(days=1)}", f"{path} of the package of {day} is not what was signed")
    return content


class _ListedStore:
    """Of a store, the files that were listed when the day was planned, whatever came since."""

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        self._store = store
        self._keys = sorted(keys)

    def open(self, key: str) -> BinaryIO:
        """As the store does."""
        return self._store.open(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Those that were listed."""
        return (key for key in self._keys if key.startswith(prefix))

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """As the store does."""
        self._store.put_once(key, content, sha256=sha256)
