"""One file of a package, read once from its first byte to its last: size, hashes, rows.

Sealing measures what it lists, and verifying measures it again. Neither holds more of a file than a block.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from rolecall.errors import Damaged
from rolecall.evidence.manifest import PackagedFile

STORED_BLOCK_BYTES = 64 * 1024
"""Read at a time: what is decompressed of it is some twenty times as much."""

CONTENT_BLOCK_BYTES = 128 * 1024
"""Decompressed at a time: it stays in the processor's cache while it is hashed and counted, and a small file that
grows without end never fills the memory."""

_GZIP_OR_NOTHING_ELSE = 31
"""zlib's `wbits` for one member of a gzip file, header and checksum included."""

Take = Callable[[bytes], None]


class Rows(Protocol):
    """Counts the rows of a file."""

    def add(self, block: bytes) -> None:
        """What comes next of the content."""

    def total(self, path: str) -> int:
        """All rows, once all blocks were added. Raises Damaged if the last one does not end."""


def measure(
    stream: BinaryIO,
    path: str,
    *,
    content_limit: int | None = None,
    rows: Rows | None = None,
    take: Take | None = None,
) -> PackagedFile:
    """The file's entry in a manifest. `take` is given its content, a block at a time, while it is being read.

    `rows` counts them in its own way, where whoever measures looks at each row anyway.

    `path` says what it is: `.gz` is compressed, `.jsonl` and `.csv` have rows. Raises Damaged for compression that is
    broken, cut off or followed by something else, for more content than `content_limit` bytes, and for a last row that
    does not end.
    """
    stored, content = _Hashed(), _Hashed()
    plain = path.removesuffix(".gz")
    rows = rows or (_Lines() if plain.endswith(".jsonl") else _CsvRows() if plain.endswith(".csv") else None)
    read = _stored(stream, stored)
    for block in _decompressed(read, path) if path.endswith(".gz") else read:
        content.add(block)
        if content_limit is not None and content.size > content_limit:
            raise Damaged(path, f"its content is longer than the {content_limit:,} bytes that its manifest says")
        if rows:
            rows.add(block)
        if take:
            take(block)
    return PackagedFile(
        path=path,
        size=stored.size,
        sha256=stored.sha256,
        content_size=content.size,
        content_sha256=content.sha256,
        records=rows.total(path) if rows else None,
    )


class _Hashed:
    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, block: bytes) -> None:
        self.size += len(block)
        self._hash.update(block)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _stored(stream: BinaryIO, hashed: _Hashed) -> Iterator[bytes]:
    while block := stream.read(STORED_BLOCK_BYTES):
        hashed.add(block)
        yield block


def _decompressed(stored: Iterator[bytes], path: str) -> Iterator[bytes]:
    """The content of one gzip member, which is all that a file may hold."""
    member = zlib.decompressobj(_GZIP_OR_NOTHING_ELSE)
    for block in stored:
        if member.eof:
            raise Damaged(path, "something follows its compressed content")
        waiting = block
        while waiting and not member.eof:
            try:
                content = member.decompress(waiting, CONTENT_BLOCK_BYTES)
            except zlib.error as error:
                raise Damaged(path, f"cannot be decompressed: {error}") from None
            if content:
                yield content
            waiting = member.unconsumed_tail
        if member.unused_data:
            raise Damaged(path, "something follows its compressed content")
    while not member.eof:
        # What is left inside zlib once all input is taken.
        content = member.decompress(b"", CONTENT_BLOCK_BYTES)
        if not content:
            raise Damaged(path, "its compressed content is cut off")
        yield content


class _Lines:
    """Rows of JSON lines."""

    def __init__(self) -> None:
        self._count = 0
        self._last = b"\n"

    def add(self, block: bytes) -> None:
        self._count += block.count(b"\n")
        self._last = block[-1:]

    def total(self, path: str) -> int:
        if self._last != b"\n":
            raise Damaged(path, "its last row does not end")
        return self._count


class _CsvRows:
    """Rows of CSV (RFC 4180), without the header. A line break between quotes ends no row."""

    def __init__(self) -> None:
        self._count = 0
        self._quoted = False
        self._last = b""

    def add(self, block: bytes) -> None:
        self._last = block[-1:]
        if not self._quoted and b'"' not in block:
            self._count += block.count(b"\n")
            return
        # A doubled quote ends a quoted part and begins the next one, with nothing between them.
        parts = block.split(b'"')
        self._count += b"".join(parts[1::2] if self._quoted else parts[::2]).count(b"\n")
        self._quoted ^= not len(parts) % 2

    def total(self, path: str) -> int:
        if self._last != b"\n" or self._quoted:
            raise Damaged(path, "its last row does not end" if self._count else "it has no header")
        return self._count - 1
