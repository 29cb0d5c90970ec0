"""What goes on from the package before: its trend and its episodes, which must still be what was signed."""

from collections.abc import Iterable
from datetime import date, timedelta
from gzip import GzipFile
from typing import BinaryIO, cast

from rolecall.errors import NotSealed
from rolecall.evidence.manifest import PackagedFile
from rolecall.evidence.stores import Store, fetched


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

    def __contains__(self, path: str) -> bool:
        """Whether the package has it."""
        return path in self._signed

    def open(self, path: str) -> BinaryIO:
        """The content of a file, decompressed. Raises NotSealed if it is not what was signed, and what a store raises.

        It is looked at whole before anything is read of it; a long one is kept on disk meanwhile.
        """
        kept, sha256 = fetched(self._packages, f"{self._day}/{path}")
        signed = self._signed.get(path)
        if signed is None or signed.sha256 != sha256:
            kept.close()
            following = self._day + timedelta(days=1)
            raise NotSealed(f"{following}", f"{path} of the package of {self._day} is not what was signed")
        return cast("BinaryIO", _Decompressed(kept)) if path.endswith(".gz") else kept


class _Decompressed(GzipFile):
    """The content of a file that is closed with it."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__(fileobj=stored, mode="rb")
        self._stored = stored

    def close(self) -> None:
        """Close both."""
        super().close()
        self._stored.close()
