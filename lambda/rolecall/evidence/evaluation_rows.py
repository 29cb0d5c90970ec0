"""The rows of `evaluations/<account>_<region>.jsonl.gz`, counted by verdict as they are read.

A row begins with facts that decide what is counted, always in the same order, and this is looked at in each row; the
whole of it is decoded only where it is exempt or begins in another way. That is many times as fast, and gives the
same counts.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from rolecall.errors import Damaged, InvalidManifest, shown
from rolecall.evidence.canonical import json_object
from rolecall.evidence.exemption_sums import ExemptionSum
from rolecall.evidence.manifest import Totals

MAX_ROW_BYTES = 1024 * 1024
"""A row holds texts of an instance's tags and a few facts, some kB at most."""

VERDICTS = ("COMPLIANT", "EXEMPT", "NON_COMPLIANT", "NOT_APPLICABLE", "UNEVALUATED")
"""In the order of `Totals`' fields."""

_VALID = "valid"
_AGREES = "AGREES"
_NOT_SORTED = "its rows are not sorted by resource id, each once"
_TEXT = rb'"[^"\\]*"'
_CAPTURED = rb'"([^"\\]*)"'
_NOTHING = re.compile(rb"(?!)")

Begins = Callable[[bytes, int], re.Match[bytes] | None]


class EvaluationRows:
    """A `measuring.Rows` of one part. `problem` is what the first row that is wrong is wrong with."""

    def __init__(self, account: str, region: str, day: date) -> None:
        self.exemptions = ExemptionSum()
        self.doubted = 0
        """Exempt rows with which the rule, performed again, does not agree: `coverage.json` names them."""
        self.problem: str | None = None
        self._home = {"account": account, "region": region}
        self._day = day
        self._verdicts: Counter[bytes] = Counter()
        self._rows = 0
        self._rest = b""
        self._last_id = b""
        self._begins: Begins | None = None

    @property
    def totals(self) -> Totals:
        """The rows that were taken, by verdict."""
        counts = [self._verdicts[verdict.encode()] for verdict in VERDICTS]
        return Totals(sum(counts), *counts)

    def total(self, path: str) -> int:
        """All rows, those after a problem too. Raises Damaged if the last one does not end."""
        if self._rest:
            raise Damaged(path, "its last row does not end")
        return self._rows

    def add(self, block: bytes) -> None:
        """Count what is in a block; the row that it ends in waits for the next."""
        if self.problem:
            self._rows += block.count(b"\n")
            self._rest = b"" if block.endswith(b"\n") else b"something"
            return
        rows = self._rest + block
        end = rows.rfind(b"\n") + 1
        self._rest = rows[end:]
        if end:
            begins = self._begins = self._begins or self._beginning_of(rows[: rows.find(b"\n")]).match
            self._count(rows, end, begins)
        if len(self._rest) > MAX_ROW_BYTES:
            self.problem = self.problem or f"a row is longer than {MAX_ROW_BYTES:,} bytes"

    def _count(self, rows: bytes, end: int, begins: Begins) -> None:
        """Every row before `end`. All rows of a package go through this loop: it does as little as it can."""
        find, counts = rows.find, self._verdicts
        start = count = 0
        while start < end and not self.problem:
            found, stop = begins(rows, start), find(b"\n", start)
            if found is None:
                self._count_decoded(self._decoded(rows[start:stop]))
            else:
                resource_id, verdict = found.groups()
                if resource_id <= self._last_id:
                    self.problem = _NOT_SORTED
                self._last_id = resource_id
                counts[verdict] += 1
                if verdict == b"EXEMPT":
                    self._exempt(self._decoded(rows[start:stop]))
            start = stop + 1
            count += 1
        self._rows += count + rows.count(b"\n", start, end)
        if rows.count(b'"verdict"', 0, end) != count:
            # Most probably in a text; a second verdict of the same row is a key twice, which decoding refuses.
            for row in rows[:end].splitlines():
                self._decoded(row)

    def _count_decoded(self, row: Mapping[str, Any]) -> None:
        if self.problem:
            return
        resource_id, verdict = row.get("resourceId"), row.get("verdict")
        if {name: row.get(name) for name in self._home} != self._home:
            self.problem = f"a row is of {shown(row.get('account'))} in {shown(row.get('region'))}"
        elif verdict not in VERDICTS:
            self.problem = f"a row's verdict is {shown(verdict)}; allowed: {', '.join(VERDICTS)}"
        elif not isinstance(resource_id, str) or (own := resource_id.encode("utf-8", "replace")) <= self._last_id:
            self.problem = _NOT_SORTED
        else:
            self._last_id = own
            self._verdicts[verdict.encode()] += 1
            if verdict == "EXEMPT":
                self._exempt(row)

    def _decoded(self, row: bytes) -> Mapping[str, Any]:
        try:
            return json_object(row, "a row")
        except InvalidManifest as error:
            self.problem = self.problem or str(error)
            return {}

    def _exempt(self, row: Mapping[str, Any]) -> None:
        """An exemption counts as it was recorded; whether it holds is only said where the rule still agrees."""
        if self.problem:
            return
        resource_id, exemption = row.get("resourceId"), row.get("exemption")
        agrees = row.get("agreement", _AGREES) == _AGREES
        self.doubted += not agrees
        if exemption is None and not agrees:
            return
        if not isinstance(exemption, dict):
            self.problem = f"{shown(resource_id)} is exempt without an exemption"
            return
        state, granted, expires = (exemption.get(name) for name in ("state", "granted", "expires"))
        if not all(value is None or isinstance(value, str) for value in (state, granted, expires)):
            self.problem = f"the exemption of {shown(resource_id)} cannot be read"
        elif agrees and state != _VALID:
            self.problem = f"{shown(resource_id)} is exempt, and its exemption's state is {shown(state)}, not {_VALID}"
        elif agrees and expires and expires < self._day.isoformat():
            self.problem = f"{shown(resource_id)} is exempt, and its exemption expired on {shown(expires)}"
        else:
            self.exemptions.add(str(resource_id), granted, expires)

    def _beginning_of(self, row: bytes) -> re.Pattern[bytes]:
        """What a row begins with, up to its verdict, if it is like this one; nothing if that is not simple to say."""
        names = list(self._decoded(row))
        if not {*self._home, "resourceId"} <= set(names[: names.index("verdict") if "verdict" in names else 0]):
            return _NOTHING
        pattern = b""
        for name in names[: names.index("verdict")]:
            own = json.dumps(self._home[name]).encode() if name in self._home else None
            value = re.escape(own) if own else _CAPTURED if name == "resourceId" else _TEXT
            pattern += b"," + re.escape(json.dumps(name).encode()) + b":" + value
        verdicts = "|".join(VERDICTS).encode()
        return re.compile(rb"\{" + pattern[1:] + b',"verdict":"(' + verdicts + b')"')
