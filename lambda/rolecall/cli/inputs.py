"""Where JSON comes from: files, folders of them, standard input; plain or compressed."""

import codecs
import errno
import gzip
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

CHUNK_BYTES = 256 * 1024
"""Read at a time: larger chunks fall out of the processor's cache and are slower."""

SUFFIXES = (".json", ".jsonl", ".ndjson")
"""What a file in a folder must be called to be read, perhaps with `.gz` after it."""

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Windows PowerShell's `>` writes UTF-16.
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# A byte that is no text becomes a NUL, which JSON allows nowhere: it breaks the value in which it stands, not the rest.
codecs.register_error("rolecall.nul", lambda error: ("\0", cast("UnicodeDecodeError", error).end))


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read, or standard input."""

    name: str
    path: Path | None
    """None is standard input."""
    size: int | None
    """Bytes to read; None when nobody can know."""

    def text(self, advance: Callable[[int], None]) -> Iterator[str]:
        """The input's text in pieces; `advance` is told how many bytes were read, before decompression.

        Raises OSError, EOFError and zlib.error for what cannot be read or decompressed.
        """
        if self.path is None:
            if sys.stdin is None:
                raise OSError(errno.EBADF, "is closed")
            yield from _text(cast("BufferedIOBase", sys.stdin.buffer), advance)
            return
        with self.path.open("rb") as opened:
            yield from _text(opened, advance)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path from which nothing can be read."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Files of a folder that were left alone, as their names do not say JSON."""

    folder: str
    files: int


STANDARD_INPUT = Input("standard input", None, None)


def find_inputs(paths: Sequence[Path]) -> Iterator[Input | Unreadable | Ignored]:
    """What `paths` name, in their order; `-` is standard input, and a folder's files come sorted, subfolders last.

    A file that is named itself is read whatever it is called.
    """
    for path in paths:
        if str(path) == "-":
            yield STANDARD_INPUT
            continue
        try:
            status = path.stat()
        except OSError as error:
            yield Unreadable(str(path), _why(error))
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _folder(path)
        else:
            yield Input(str(path), path, status.st_size if stat.S_ISREG(status.st_mode) else None)


def _folder(folder: Path) -> Iterator[Input | Unreadable | Ignored]:
    unreadable: list[OSError] = []
    seen: set[str] = set()
    found = ignored = 0
    for parent, folders, files in os.walk(folder, onerror=unreadable.append, followlinks=True):
        # A link may lead back to a folder that is being walked.
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort(key=_in_order)
        for name in sorted(files, key=_in_order):
            if not name.lower().removesuffix(".gz").endswith(SUFFIXES):
                ignored += 1
                continue
            found += 1
            path = Path(parent, name)
            try:
                yield Input(str(path), path, path.stat().st_size)
            except OSError as error:
                yield Unreadable(str(path), _why(error))
    for problem in unreadable:
        yield Unreadable(str(problem.filename), _why(problem))
    if ignored:
        yield Ignored(str(folder), ignored)
    if not found:
        yield Unreadable(str(folder), f"no file in this folder ends in {', '.join(SUFFIXES)}, with or without .gz")


def _in_order(name: str) -> list[tuple[int, str]]:
    """Numbers by their value: Config's keys hold months and days without leading zeros, as in 2026/3/31."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _why(error: OSError) -> str:
    return error.strerror or str(error)


class _Counted:
    """A stream that says how far it was read, beginning with what was read of it already."""

    def __init__(self, head: bytes, stream: BufferedIOBase | BinaryIO, advance: Callable[[int], None]) -> None:
        self._head = head
        self._stream = cast("BufferedIOBase", stream)
        self._advance = advance

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """At most `size` bytes, and whatever is there already rather than waiting for more."""
        piece = self._head[:size] or self._stream.read1(size)
        self._head = self._head[size:]
        self._advance(len(piece))
        return piece


def _text(stream: BufferedIOBase | BinaryIO, advance: Callable[[int], None]) -> Iterator[str]:
    head = stream.read(max(len(_GZIP_MAGIC), *(len(mark) for mark, _ in _BYTE_ORDER_MARKS)))
    counted = _Counted(head, stream, advance)
    if head.startswith(_GZIP_MAGIC):
        # GzipFile asks a file object for `read` alone.
        with gzip.GzipFile(fileobj=cast("BinaryIO", counted), mode="rb") as decompressed:
            head = decompressed.read(len(head))
            yield from _decoded(_Counted(head, decompressed, lambda _: None), head)
    else:
        yield from _decoded(counted, head)


def _decoded(stream: _Counted, head: bytes) -> Iterator[str]:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(encoding)("rolecall.nul")
    while piece := stream.read(CHUNK_BYTES):
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
