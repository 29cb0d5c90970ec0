"""Writing a package's files: each is made beside, then put into the store once, whole."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from rolecall.evidence.stores import Store, blocks

COMPRESSION_LEVEL = 6

IN_MEMORY_BYTES = 4 * 1024 * 1024
"""What is longer is kept on disk until it is stored."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula, in a cell that comes from somebody's tag."""

FORMULA_GUARD = "'"
"""Stands before such a text in every CSV file of a package; the `.jsonl` files hold it as it is."""


class PackageFiles:
    """The files of one day's package. Nothing is stored of a file whose making fails."""

    def __init__(self, store: Store, day: date) -> None:
        self._store = store
        self._day = day
        self.paths: list[str] = []
        """What was written, relative to the package's folder."""

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """A stream for the content of a file; if its name ends in `.gz`, what is stored is compressed.

        The same content always gives the same bytes. Raises what the store raises.
        """
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as stored:
            if path.endswith(".gz"):
                with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, cast("BinaryIO", stored), mtime=0) as compressed:
                    yield cast("BinaryIO", compressed)
            else:
                yield cast("BinaryIO", stored)
            stored.seek(0)
            digest = hashlib.sha256()
            for block in blocks(cast("BinaryIO", stored)):
                digest.update(block)
            stored.seek(0)
            self._store.put_once(f"{self._day}/{path}", cast("BinaryIO", stored), sha256=digest.hexdigest())
        self.paths.append(path)

    def write_json(self, path: str, document: Mapping[str, Any]) -> None:
        """Write a document in which a list may be an iterator (`JsonSpool`), which is written as it comes."""
        with self.writing(path) as stream:
            for text in json_texts(document):
                stream.write(text.encode())
            stream.write(b"\n")


class JsonText(str):
    """The text of a JSON value, to be written as it is."""

    __slots__ = ()


def json_texts(value: object) -> Iterator[str]:
    """A JSON value's text, in pieces; an iterator in it is an array. ASCII: any text of a tag can be carried.

    What an iterator gives is taken whole: there is no other iterator in it.
    """
    if isinstance(value, Mapping):
        separator = "{"
        for name, one in value.items():
            yield f"{separator}{json.dumps(name)}:"
            yield from json_texts(one)
            separator = ","
        yield "{}" if separator == "{" else "}"
    elif isinstance(value, list):
        yield from _array(json_texts(one) for one in value)
    elif isinstance(value, Iterator):
        yield from _array((_whole(one),) for one in value)
    else:
        yield _whole(value)


def _array(items: Iterable[Iterable[str]]) -> Iterator[str]:
    separator = "["
    for texts in items:
        yield separator
        yield from texts
        separator = ","
    yield "[]" if separator == "[" else "]"


def _whole(value: object) -> str:
    return value if isinstance(value, JsonText) else _encoder.encode(value)


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class JsonSpool:
    """A list of JSON values that may grow with the population: kept on disk, read back one at a time."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - `close` closes it
        self._count = 0

    def add(self, value: object) -> None:
        """One more."""
        self._file.write(json_line(value))
        self._count += 1

    def __len__(self) -> int:
        """How many."""
        return self._count

    def __iter__(self) -> Iterator[Any]:
        """All, in the order in which they were added."""
        return map(json.loads, self.texts())

    def texts(self) -> Iterator[JsonText]:
        """The same, for `json_texts`. One reading must end before another begins."""
        self._file.seek(0)
        for line in self._file:
            yield JsonText(line, "ascii")

    def close(self) -> None:
        """Give the disk's room back."""
        self._file.close()


def json_line(value: object) -> bytes:
    """One line of a `.jsonl` file."""
    return _encoder.encode(value).encode() + b"\n"


class CsvRows:
    """Writes CSV (RFC 4180: commas, CRLF, quotes where needed) in UTF-8; begins with the header."""

    def __init__(self, stream: BinaryIO, header: Sequence[str]) -> None:
        self._stream = stream
        self._line = io.StringIO(newline="")
        self._writer = csv.writer(self._line, lineterminator="\r\n")
        self._write(header)

    def write(self, cells: Iterable[str | int | None]) -> None:
        """One row. A text that a spreadsheet would take for a formula gets `FORMULA_GUARD` before it."""
        self._write([guarded(cell) if isinstance(cell, str) else cell for cell in cells])

    def _write(self, cells: Sequence[str | int | None]) -> None:
        self._writer.writerow(cells)
        self._stream.write(self._line.getvalue().encode(errors="backslashreplace"))
        self._line.seek(0)
        self._line.truncate()


def guarded(text: str) -> str:
    """The text as it may stand in a spreadsheet's cell."""
    return FORMULA_GUARD + text if text.startswith(FORMULA_STARTS) else text
