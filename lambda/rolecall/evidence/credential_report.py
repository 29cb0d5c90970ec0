"""Active long-term access keys, counted in an IAM credential report; nothing else of the report is kept.

The report is CSV with a header: IAM User Guide, "Getting credential reports". A key's columns say `true` or `false`,
and `N/A` or `not_supported` where there can be none; the root user's row is called `<root_account>`.
"""

import csv
import io
from collections.abc import Mapping
from datetime import datetime

from rolecall.errors import InvalidItem, InvalidRecord
from rolecall.evidence.shard_header import KeyCounts
from rolecall.items import instant

ROOT = "<root_account>"

_KEYS = ("access_key_1", "access_key_2")
_COLUMNS = ("user", *(f"{key}_{what}" for key in _KEYS for what in ("active", "last_rotated")))
_NO_KEY = ("false", "n/a", "not_supported")


def count_keys(report: bytes, generated_at: datetime) -> KeyCounts:
    """Count the active keys of `report`. Raises InvalidRecord for what is no credential report."""
    try:
        text = report.decode()
    except UnicodeDecodeError:
        raise InvalidRecord("credential report", report[:40], "CSV in UTF-8") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    users = with_keys = keys = root_keys = 0
    oldest: datetime | None = None
    try:
        for row in _checked(rows):
            active = [key for key in _KEYS if _is_active(row, key)]
            if row["user"] == ROOT:
                root_keys += len(active)
            else:
                users += 1
                with_keys += bool(active)
                keys += len(active)
            for key in active:
                made = _rotated(row, key)
                oldest = min(oldest or made, made) if made else oldest
    except csv.Error as error:
        raise InvalidRecord("credential report", str(error), "CSV") from None
    return KeyCounts(generated_at, users, with_keys, keys, root_keys, oldest)


def _checked(rows: "csv.DictReader[str]") -> "csv.DictReader[str]":
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise InvalidRecord("credential report", list(rows.fieldnames or ()), f"a header with {', '.join(missing)}")
    return rows


def _is_active(row: Mapping[str, str | None], key: str) -> bool:
    name = f"{key}_active"
    said = (row[name] or "").lower()
    if said != "true" and said not in _NO_KEY:
        raise InvalidRecord(f"credential report: {name}", row[name], "true, false, N/A, not_supported")
    return said == "true"


def _rotated(row: Mapping[str, str | None], key: str) -> datetime | None:
    """None for a key of before such dates were kept."""
    said = row[f"{key}_last_rotated"] or "N/A"
    if said.lower() in _NO_KEY:
        return None
    try:
        return instant(said, "")
    except InvalidItem as refused:
        raise InvalidRecord(f"credential report: {key}_last_rotated", said, refused.allowed) from None
