"""The ledger's files of a day: the evaluation records that were delivered, as JSON lines."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from datetime import date

from rolecall.errors import InvalidRecord, Missing
from rolecall.evidence.stores import Store
from rolecall.received_fields import read_region
from rolecall.received_record import EvaluationRecord, read_record


def ledger_prefix(day: date) -> str:
    """What the keys of a day's files begin with."""
    return f"ledger/dt={day.isoformat()}/"


LEDGER_SUFFIX = ".jsonl.gz"
"""Of every file of the ledger, as Firehose names them."""

LINE_MAX_BYTES = 4 * 1024 * 1024
"""Firehose takes records of 1,000 KiB at most; a longer line is no record."""


class LedgerRecords:
    """The records of some files, read from the store when they are iterated; one at a time.

    A line that is no record makes no verdict and stops nobody from sealing the day, nor does a file whose compression
    is broken, or that was removed since the day was planned: they are counted, and the first one is named, for
    `coverage.json` to say.
    """

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        self._store = store
        self._keys = keys
        self.read = 0
        self.unreadable = 0
        self.damaged_files = 0
        self.first_problem = ""

    def __iter__(self) -> Iterator[EvaluationRecord]:
        """Raises what the store raises."""
        self.read, self.unreadable, self.damaged_files, self.first_problem = 0, 0, 0, ""
        for key in self._keys:
            for number, line in self._lines(key):
                if not line.strip():
                    continue
                try:
                    record = _record(line)
                except InvalidRecord as problem:
                    self.unreadable += 1
                    self._note(f"{key}, line {number}: {problem}")
                    continue
                self.read += 1
                yield record

    def _lines(self, key: str) -> Iterator[tuple[int, bytes]]:
        """The lines of a file with their numbers, as far as it can be decompressed."""
        try:
            opened = self._store.open(key)
        except Missing as error:
            self.damaged_files += 1
            self._note(f"{error}: it was removed since the day was planned")
            return
        with opened as stored, gzip.GzipFile(fileobj=stored, mode="rb") as file:
            lines = iter(lambda: file.readline(LINE_MAX_BYTES), b"")
            number = 0
            while True:
                number += 1
                try:
                    line = next(lines, None)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    self.damaged_files += 1
                    self._note(f"{key}, line {number}: the file is cut off or damaged: {error}")
                    return
                if line is None:
                    return
                yield number, line

    def _note(self, problem: str) -> None:
        self.first_problem = self.first_problem or problem


def _record(line: bytes) -> EvaluationRecord:
    record = read_record(line)
    # A file of the package is named after it.
    read_region(record.raw)
    return record
