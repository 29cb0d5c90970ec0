"""Writing a package's files: all are made beside, then each is put into the store once, whole.

What is in the package's folder already is looked at before anything is put: what was put stays, so a folder with the
files of two versions in it could never be finished by either.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import SpooledTemporaryFile, TemporaryDirectory, gettempdir
from typing import Any, BinaryIO, cast

from rolecall.errors import AlreadyWritten, Occupied, counted
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, PackagedFile
from rolecall.evidence.measuring import measure
from rolecall.evidence.side_by_side import side_by_side
from rolecall.evidence.stores import IN_MEMORY_BYTES, Store, refuse_other_content

COMPRESSION_LEVEL = 6

_MOST_NAMED = 5
"""Of files that are not what they should be."""

_PASSING = "rolecall-sealing-"
"""What the names of passing folders begin with."""

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
        self._folder = TemporaryDirectory(prefix=_PASSING)
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

    def stored_in(
        self, store: Store, day: date, announce: Callable[[], None] = lambda: None
    ) -> tuple[PackagedFile, ...]:
        """Put those that are not there yet into the package's folder; all of them, sorted by path.

        `announce` is called before the first one is put. Raises Occupied, before that, if anything else is there, and
        what the store raises: AlreadyWritten for other content that came since.
        """
        missing = self._missing_in(store, day)

        def put(path: str) -> None:
            file, beside = self._made[path]
            with beside.open("rb") as made:
                store.put_once(f"{day}/{path}", made, sha256=file.sha256)

        if missing:
            announce()
        for _ in side_by_side(put, missing, store.at_once):
            pass
        return tuple(self._made[path][0] for path in sorted(self._made))

    def _missing_in(self, store: Store, day: date) -> list[str]:
        """Those that are not in the package's folder yet; all that is there is one of them. Raises Occupied."""
        within = f"{day}/"
        found = {key.removeprefix(within) for key in store.keys(within)}
        if others := sorted(found - self._made.keys() - {MANIFEST, SIGNATURE}):
            raise Occupied(f"{day}", _holds(others, "that no package of this day has"))
        missing = sorted(self._made.keys() - found)
        # It is sealed once all of it is there, and signed once it has a manifest.
        if too_early := sorted(found & ({MANIFEST, SIGNATURE} if missing or MANIFEST not in found else set())):
            raise Occupied(f"{day}", _holds(too_early, "too early, as the rest of the package is not there"))
        present = sorted(found & self._made.keys())
        differ = side_by_side(lambda path: self._differs(store, day, path), present, store.at_once)
        if changed := [path for path, other in zip(present, differ, strict=True) if other]:
            raise Occupied(f"{day}", _holds(changed, "with other content than is to be put there"))
        return missing

    def _differs(self, store: Store, day: date, path: str) -> bool:
        try:
            refuse_other_content(store, f"{day}/{path}", self._made[path][0].sha256)
        except AlreadyWritten:
            return True
        return False

    def write_json(self, path: str, document: Mapping[str, Any]) -> None:
        """Write a document in which a list may be an iterator (`JsonSpool`), which is written as it comes."""
        with self.writing(path) as stream:
            for text in json_texts(document):
                stream.write(text.encode())
            stream.write(b"\n")


def _holds(paths: Sequence[str], which: str) -> str:
    """What a folder holds, in words; of many files, the first ones."""
    more = f" and {len(paths) - _MOST_NAMED:,} more" if len(paths) > _MOST_NAMED else ""
    return f"holds {counted(len(paths), 'file')} {which}: {', '.join(paths[:_MOST_NAMED])}{more}"


def remove_leftovers() -> None:
    """Remove the passing folders of killed runs, for whoever knows that no other process makes a package here.

    Lambda keeps what is in /tmp for the next invocation of the same environment: a few of them would fill it.
    """
    for folder in Path(gettempdir()).glob(f"{_PASSING}*"):
        if folder.is_dir() and not folder.is_symlink():
            rmtree(folder)


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
