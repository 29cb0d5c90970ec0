"""Evaluations written as they come, in each format: nothing is held back, so memory does not grow with their number."""

import csv
import json
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol, TextIO

from rolecall.cli.finding_lines import FindingLines
from rolecall.cli.rows import FIELDS, row
from rolecall.cli.subjects import Subject
from rolecall.findings import asff, ocsf
from rolecall.model import INSTANCE_TYPE, ComplianceType, Evaluation, Reason

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula: OWASP, "CSV Injection"."""


class Format(StrEnum):
    """How evaluations are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    ASFF = "asff"
    OCSF = "ocsf"


class Listing(Protocol):
    """Somewhere to write evaluations."""

    def write(self, evaluation: Evaluation, subject: Subject) -> None:
        """Write the one of `subject`."""

    def close(self) -> None:
        """Write what ends the whole."""


def is_listed(evaluation: Evaluation, chosen: Format) -> bool:
    """Whether it is listed unless all are asked for: the table is for what needs a look, machines get each instance."""
    if chosen is Format.TABLE:
        return evaluation.compliance_type is ComplianceType.NON_COMPLIANT or evaluation.reason is Reason.EXEMPT
    return evaluation.item.resource_type == INSTANCE_TYPE


class JsonArray:
    """One JSON array, an object in each line."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._opening = "["

    def write(self, evaluation: Evaluation, subject: Subject) -> None:
        """Write one element."""
        self._output.write(f"{self._opening}\n{_json(row(evaluation, subject.source))}")
        self._opening = ","

    def close(self) -> None:
        """End the array, also one without elements."""
        self._output.write("[]\n" if self._opening == "[" else "\n]\n")


class JsonLines:
    """One JSON object in each line."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, evaluation: Evaluation, subject: Subject) -> None:
        """Write one line."""
        self._output.write(f"{_json(row(evaluation, subject.source))}\n")

    def close(self) -> None:
        """Lines need no end."""


class Csv:
    """Comma-separated values with a header, safe to open in a spreadsheet."""

    def __init__(self, output: TextIO) -> None:
        self._writer = csv.writer(output, lineterminator="\n")
        self._writer.writerow(FIELDS)

    def write(self, evaluation: Evaluation, subject: Subject) -> None:
        """Write one row. A cell that a spreadsheet would take for a formula gets an apostrophe before it."""
        self._writer.writerow([spreadsheet_cell(value) for value in row(evaluation, subject.source).values()])

    def close(self) -> None:
        """Rows need no end."""


MACHINE_FORMATS: dict[Format, Callable[[TextIO], Listing]] = {
    Format.JSON: JsonArray,
    Format.JSONL: JsonLines,
    Format.CSV: Csv,
}

FINDING_FORMATS: dict[Format, Callable[[TextIO, str], Listing]] = {
    Format.ASFF: partial(FindingLines, asff.finding),
    Format.OCSF: partial(FindingLines, ocsf.compliance_finding),
}
"""These need the name of the rule as well."""


def _json(value: dict[str, str | None]) -> str:
    # Characters as they are: what the output cannot encode, it escapes, and JSON reads these escapes.
    return json.dumps(value, ensure_ascii=False)


def spreadsheet_cell(value: str | None) -> str:
    """A cell of a CSV file: what a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
