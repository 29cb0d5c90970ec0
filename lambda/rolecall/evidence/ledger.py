"""A day of the ledger: the evaluation records that were delivered on it, as files of JSON lines."""

import gzip
from collections.abc import Iterator
from datetime import date
from typing import cast

from rolecall.errors import InvalidRecord
from rolecall.evidence.stores import Store
from rolecall.received_record import EvaluationRecord, read_record


def ledger_prefix(day: date) -> str:
    """What the keys of a day's files begin with."""
    return f"ledger/dt={day.isoformat()}/"


LEDGER_SUFFIX = ".jsonl.gz"
"""Of every file of the ledger, as Firehose names them."""


class LedgerRecords:
    """The records of a day, read anew from the store each time they are iterated; one at a time.

    A line that is no record makes no verdict and stops nobody from sealing the day: it is counted, and the first one
    is named, for `coverage.json` to say.
    """

    def __init__(self, store: Store, day: date) -> None:
        self._store = store
        self._prefix = ledger_prefix(day)
        self.read = 0
        self.unreadable = 0
        self.first_problem = ""

    def __iter__(self) -> Iterator[EvaluationRecord]:
        """Raises what the store raises, and OSError or EOFError for a damaged file."""
        self.read, self.unreadable, self.first_problem = 0, 0, ""
        for key in self._store.keys(self._prefix):
            with self._store.open(key) as stored, gzip.GzipFile(fileobj=stored, mode="rb") as lines:
                for number, line in enumerate(cast("Iterator[bytes]", lines), 1):
                    if not line.strip():
                        continue
                    try:
                        record = read_record(line)
                    except InvalidRecord as problem:
                        self.unreadable += 1
                        self.first_problem = self.first_problem or f"{key}, line {number}: {problem}"
                        continue
                    self.read += 1
                    yield record
