"""What goes on from the package before: its trend and its episodes, which must still be what was signed."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from gzip import GzipFile
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from rolecall.errors import NotSealed
from rolecall.evidence.manifest import PackagedFile
from rolecall.evidence.package_files import IN_MEMORY_BYTES
from rolecall.evidence.stores import Store, blocks


class Carried:
    """Files of one package, by what its manifest says of them."""

    def __init__(self, packages: Store, day: date, files: Iterable[PackagedFile]) -> None:
        """`day` is that of the package."""
        self._packages = packages
        self._day = day
        self._signed = {file.path: file for file in files}

    def paths(self, prefix: str) -> list[str]:
        """Those that begin so, sorted."""
        return sorted(path for path in self._signed if path.startswith(prefix))

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """The content of a file, decompressed. Raises NotSealed if it is not what was signed, and what a store raises.

        It is looked at whole before anything is read of it; a long one is kept on disk meanwhile.
        """
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as spooled:
            kept = cast("BinaryIO", spooled)
            digest = hashlib.sha256()
            with self._packages.open(f"{self._day}/{path}") as stored:
                for block in blocks(stored):
                    digest.update(block)
                    kept.write(block)
            signed = self._signed.get(path)
            if signed is None or signed.sha256 != digest.hexdigest():
                following = self._day + timedelta(days=1)
                raise NotSealed(f"{following}", f"{path} of the package of {self._day} is not what was signed")
            kept.seek(0)
            if not path.endswith(".gz"):
                yield kept
                return
            with GzipFile(fileobj=kept, mode="rb") as content:
                yield cast("BinaryIO", content)
