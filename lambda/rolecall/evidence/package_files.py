"""Writing a package's files: all are made beside, then each is put into the store once, whole."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryDirectory
from typing import Any, BinaryIO, cast

from rolecall.evidence.manifest import PackagedFile
from rolecall.evidence.measuring import measure
from rolecall.evidence.side_by_side import side_by_side
from rolecall.evidence.stores import IN_MEMORY_BYTES, Store

COMPRESSION_LEVEL = 6

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula, in a cell that comes from somebody's tag."""

FORMULA_GUARD = "'"
"""Stands before such a text in every CSV file of a package; the `.jsonl` files hold it as it is."""


class PackageFiles:
    """The files of one day's package, made in a passing folder: nothing is stored before all of them are there.

    Half a package that another version, or another state of the day, has begun could never be finished: what is stored
    stays. `close` removes the folder.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="rolecall-package-")
        self._made: dict[str, tuple[PackagedFile, Path]] = {}
        self._numbers = count()

    def close(self) -> None:
        """Give the disk's room back."""
        self._folder.cleanup()

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """A stream for the content of a file; if its name ends in `.gz`, what is stored is compressed.

        The same content always gives the same bytes. A file whose making fails is none.
        """
        beside = Path(self._folder.name, str(next(self._numbers)))
        with beside.open("wb") as stored:
            if path.endswith(".gz"):
                with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, stored, mtime=0) as compressed:
                    yield cast("BinaryIO", compressed)
            else:
                yield stored
        with beside.open("rb") as made:
            self._made[path] = measure(made, path), beside

    def stored_in(self, store: Store, day: date) -> tuple[PackagedFile, ...]:
        """Put all files into the package's folder, sorted by path. Raises what the store raises."""

        def put(path: str) -> PackagedFile:
            file, beside = self._made[path]
            with beside.open("rb") as made:
                store.put_once(f"{day}/{path}", made, sha256=file.sha256)
            return file

        return tuple(side_by_side(put, sorted(self._made), store.at_once))

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
