"""Where packages, shards and the ledger are kept: a folder, or a bucket (`aws.object_store`), seen in the same way.

Keys are relative, their parts separated by `/`: `2026-11-24/manifest.json`. What was written once stays as it is.
"""

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol, cast

from rolecall.errors import AlreadyWritten, Missing, NotAFile, WrongChecksum

BLOCK_BYTES = 256 * 1024
"""Read at a time: larger blocks fall out of the processor's cache and are slower."""

IN_MEMORY_BYTES = 4 * 1024 * 1024
"""What is longer is kept on disk."""

_UNFINISHED = ".unfinished-"
"""What the name of a file begins with until it is complete: no package and no key."""


class Store(Protocol):
    """Where files are written once and read as streams."""

    @property
    def at_once(self) -> int:
        """How many files it is worth to read or write at the same time; then its methods are called by many threads."""

    def open(self, key: str) -> BinaryIO:
        """The file's bytes, to be read once, and closed. Raises Missing, and NotAFile for what is there but no file."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every key that begins with `prefix`, in the order of their characters."""

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """Write a file whose bytes have this SHA-256 (hex); completely, or not at all.

        The same bytes again are fine. Raises AlreadyWritten if other bytes are there, and WrongChecksum if `content`
        is not what `sha256` says.
        """


class FolderStore:
    """A folder. It follows no symbolic link below itself: a package must not lead anybody out of it."""

    at_once = 1
    """A disk is not faster for being asked by many."""

    def __init__(self, path: Path) -> None:
        self._root = path

    def open(self, key: str) -> BinaryIO:
        """The file's bytes. Raises Missing, and NotAFile for a link, a folder, a pipe; other OSErrors as they are."""
        path = self._path(key)
        for part in (path, *path.parents):
            if part == self._root:
                break
            if part.is_symlink():
                raise NotAFile(key, "a symbolic link")
        try:
            # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
            opened = os.open(
                path,
                os.O_RDONLY
                | getattr(os, "O_NOFOLLOW", 0)
                | getattr(os, "O_NONBLOCK", 0)
                | getattr(os, "O_BINARY", 0)
                | getattr(os, "O_CLOEXEC", 0),
            )
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(key) from None
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise NotAFile(key, "no regular file")
        return os.fdopen(opened, "rb", buffering=0)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every file below the folder, links and pipes too. Raises OSError for a folder that cannot be read."""
        return self._keys_in(self._root, "", prefix)

    def _keys_in(self, folder: Path, above: str, prefix: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as listing:
                found = [
                    (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry.name)
                    for entry in listing
                ]
        except FileNotFoundError:  # nothing was written yet
            return
        # As in a bucket: the character after a folder's name is its slash.
        for name, plain in sorted(found):
            key = above + name
            if not (key.startswith(prefix) or prefix.startswith(key)) or key.startswith(_UNFINISHED):
                continue
            if name.endswith("/"):
                yield from self._keys_in(folder / plain, key, prefix)
            elif key.startswith(prefix):
                yield key

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """Write beside the others under a passing name, then give it its own: half a file is never seen."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._root)
        try:
            with os.fdopen(descriptor, "wb") as written:
                copied = hashlib.sha256()
                for block in blocks(io.BytesIO(content) if isinstance(content, bytes) else content):
                    copied.update(block)
                    written.write(block)
                if copied.hexdigest() != sha256:
                    raise WrongChecksum(key, sha256, copied.hexdigest())
                written.flush()
                os.fsync(written.fileno())
            Path(unfinished).chmod(0o644)
            # Unlike renaming, linking never replaces what is there.
            os.link(unfinished, path)
        except FileExistsError:
            refuse_other_content(self, key, sha256)
        finally:
            with suppress(FileNotFoundError):
                Path(unfinished).unlink()

    def _path(self, key: str) -> Path:
        refuse_bad_key(key)
        return self._root.joinpath(*key.split("/"))


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """What is left of a stream, `BLOCK_BYTES` at a time or less."""
    while block := stream.read(BLOCK_BYTES):
        yield block


def fetched(store: Store, key: str) -> tuple[BinaryIO, str]:
    """A file, read to its end, to be read again from its beginning; and the SHA-256 of its bytes, in hex.

    What is longer than `IN_MEMORY_BYTES` is kept on disk. Whoever has it closes it.
    """
    digest = hashlib.sha256()
    with ExitStack() as opened:
        kept = cast("BinaryIO", opened.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES)))
        with store.open(key) as stored:
            for block in blocks(stored):
                digest.update(block)
                kept.write(block)
        kept.seek(0)
        opened.pop_all()
    return kept, digest.hexdigest()


def refuse_bad_key(key: str) -> None:
    """Raise Missing for a key that no file can have: it would lead out of the store."""
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part or ":" in part for part in key.split("/")):
        raise Missing(key)


def refuse_other_content(store: Store, key: str, sha256: str) -> None:
    """Raise AlreadyWritten unless the bytes at `key` have this SHA-256."""
    present = hashlib.sha256()
    with store.open(key) as stream:
        for block in blocks(stream):
            present.update(block)
    if present.hexdigest() != sha256:
        raise AlreadyWritten(key, sha256, present.hexdigest())
