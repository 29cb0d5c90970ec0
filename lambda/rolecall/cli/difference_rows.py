"""Differences between Security Hub and AWS Config as rows: the table for people, and the formats for machines."""

import csv
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TextIO

from rich.text import Text

from rolecall.cli.listing import spreadsheet_cell
from rolecall.cli.screen import console, printable
from rolecall.findings.mending import shown_result
from rolecall.findings.reconciling import Discrepancy, Unjudged

FIELDS = (
    "difference",
    "account",
    "region",
    "resource_id",
    "recorded",
    "shown_status",
    "shown_reason",
    "outcome",
    "why",
)
"""New fields may be added at the end; these keep their names, meaning and order."""

FOUND, PUBLISHED, SKIPPED = "found", "published", "skipped"
"""Outcomes: without --apply, with it, and where it could not be applied."""

UNJUDGED = "unjudged"
"""In place of a difference."""


class RowFormat(StrEnum):
    """How differences are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


Row = Mapping[str, str | None]

_COLUMNS = (("Difference", 10), ("Account", 12), ("Region", 14), ("Resource", 19), ("AWS Config", 18))
_SECOND_COLUMNS = (("Security Hub", 28), ("Outcome", 9))
_GAP = "  "


def row_of(found: Discrepancy | Unjudged, outcome: str = FOUND, why: str | None = None) -> Row:
    """All of `FIELDS`, None where there is no such fact."""
    if isinstance(found, Unjudged):
        values = (UNJUDGED, *found.place, found.resource_id, None, None, None, SKIPPED, found.why)
        return dict(zip(FIELDS, values, strict=True))
    shown = found.shown
    known = (
        found.difference.value,
        *found.place,
        found.resource_id,
        shown_result(found.recorded) if found.recorded else None,
        shown.status.value if shown and shown.status else None,
        shown.reason.value if shown and shown.reason else None,
        outcome,
        why,
    )
    return dict(zip(FIELDS, known, strict=True))


def write_rows(out: TextIO, rows: Sequence[Row], chosen: RowFormat) -> None:
    """Write all rows in that format."""
    match chosen:
        case RowFormat.JSON:
            out.write(f"{json.dumps(rows, indent=2, ensure_ascii=False)}\n")
        case RowFormat.JSONL:
            out.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        case RowFormat.CSV:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(FIELDS)
            writer.writerows([spreadsheet_cell(value) for value in row.values()] for row in rows)
        case RowFormat.TABLE:
            _write_table(out, rows)


def _write_table(out: TextIO, rows: Sequence[Row]) -> None:
    if not rows:
        return
    shown = console(out)
    columns = (*_COLUMNS, *_SECOND_COLUMNS)
    names = _GAP.join(f"{name:<{width}}" for name, width in columns)
    shown.print(Text(f"{names}{_GAP}Why", style="bold"))
    for row in rows:
        status, reason = row["shown_status"], row["shown_reason"]
        hub = " ".join(part for part in (status, reason) if part)
        cells = (*(row[name] for name in FIELDS[:5]), hub, row["outcome"])
        padded = (f"{printable(cell or '-'):<{width}}" for cell, (_, width) in zip(cells, columns, strict=True))
        shown.print(Text(_GAP.join((*padded, printable(row["why"] or ""))).rstrip()))
    shown.print()
