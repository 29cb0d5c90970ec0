"""The rows of `exemptions.csv`, taken block by block: which exemptions it says were in use, by account and region."""

import csv
import io
from typing import Final

from rolecall.evidence.evaluation_rows import MAX_ROW_BYTES
from rolecall.evidence.exemption_sums import ExemptionSums

NEEDED: Final = ("account", "region", "resource_id", "reason", "approved_by", "ticket", "granted", "expires", "state",
                 "verdict")  # fmt: skip
"""Columns that must be there; others may be."""


class ExemptionRows:
    """Takes the content of the file. `problem` is what the first row that is wrong is wrong with."""

    def __init__(self) -> None:
        self.sums = ExemptionSums()
        self.problem: str | None = None
        self._rest = b""
        self._columns: dict[str, int] = {}
        self._width = 0

    def take(self, block: bytes) -> None:
        """Read the rows that end in a block; the last one may wait for the next."""
        if self.problem:
            return
        waiting = self._rest + block
        end = _end_of_rows(waiting)
        self._rest = waiting[end:]
        if len(self._rest) > MAX_ROW_BYTES:
            self.problem = f"a row is longer than {MAX_ROW_BYTES:,} bytes"
            return
        try:
            for row in csv.reader(io.StringIO(waiting[:end].decode(), newline=""), strict=True):
                self._read(row)
        except (csv.Error, UnicodeDecodeError) as error:
            self.problem = f"is no CSV in UTF-8: {error}"

    def _read(self, row: list[str]) -> None:
        if not self._columns:
            self._columns = {name: number for number, name in enumerate(row)}
            self._width = len(row)
            missing = [name for name in NEEDED if name not in self._columns]
            if missing or len(self._columns) != self._width:
                self.problem = f"its header has no {missing[0]}" if missing else "its header names a column twice"
        elif not self.problem and len(row) != self._width:
            self.problem = f"a row has {len(row)} cells, its header {self._width}"
        elif not self.problem and row[self._columns["verdict"]] == "EXEMPT":
            account, region, resource_id, granted, expires = (
                row[self._columns[name]] for name in ("account", "region", "resource_id", "granted", "expires")
            )
            self.sums.of(account, region).add(resource_id, granted, expires)


def _end_of_rows(content: bytes) -> int:
    """Where the last complete row ends: after its line break, the last one outside quotes."""
    parts = content.split(b'"')
    start = len(content)
    for number in reversed(range(len(parts))):
        start -= len(parts[number])
        if number % 2 == 0 and (at := parts[number].rfind(b"\n")) >= 0:
            return start + at + 1
        start -= 1
    return 0
