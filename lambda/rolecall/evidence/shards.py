"""The file of a shard: what one account and region had on one day, as JSON lines, compressed.

    {"kind": "shard", …}      the header: whose it is, whether the control covered it, and what was asked besides
    {"account": …}            the rows (`rows.to_json`), one for each instance, by the order of their ids
    {"kind": "end", …}        the footer: counts, and the SHA-256 of the row lines, their newlines included

The same header and rows always give the same bytes. A file that was cut off has no footer, so it cannot pass for a
small account; whoever reads one gets InvalidShard, and no half of it counts.
"""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO, TypeVar, cast

from rolecall.errors import InvalidRecord, InvalidShard
from rolecall.evidence.rows import Agreement, EvidenceRow, EvidenceVerdict, from_json, to_json
from rolecall.evidence.shard_header import ShardHeader, header_object, read_header
from rolecall.received_fields import read_count, read_object, read_text

_ReadT = TypeVar("_ReadT")

COMPRESSION_LEVEL = 6

LINE_MAX_BYTES = 1024 * 1024
"""Of one line: a row holds texts of an instance's tags and a few facts, some kB at most."""

_FOOTER_START = b'{"kind":"end"'


@dataclass(frozen=True, slots=True)
class ShardFooter:
    """The counts of a shard; they are checked when it is read."""

    rows: int
    sha256: str
    """Of the row lines, in hex."""
    verdicts: Mapping[EvidenceVerdict, int]
    agreements: Mapping[Agreement, int]
    unlisted: int
    """Recorded results whose instance is not in the inventory (any more)."""


def shard_key(day: date, account: str, region: str) -> str:
    """Where a shard is kept."""
    return f"shards/{day.isoformat()}/{account}_{region}.jsonl.gz"


def write_shard(output: BinaryIO, header: ShardHeader, rows: Iterable[EvidenceRow], unlisted: int = 0) -> ShardFooter:
    """Write a whole shard; `rows` come sorted by resource id. Holds one of them at a time."""
    verdicts: Counter[EvidenceVerdict] = Counter()
    agreements: Counter[Agreement] = Counter()
    digest = hashlib.sha256()
    # Without a name and a time in it, the same content gives the same bytes.
    with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, output, mtime=0) as file:
        file.write(_line(header_object(header)))
        for row in rows:
            line = _line(to_json(row))
            digest.update(line)
            file.write(line)
            verdicts[row.verdict] += 1
            agreements[row.agreement] += 1
        footer = ShardFooter(
            rows=verdicts.total(),
            sha256=digest.hexdigest(),
            verdicts={verdict: verdicts[verdict] for verdict in EvidenceVerdict},
            agreements={agreement: agreements[agreement] for agreement in Agreement},
            unlisted=unlisted,
        )
        file.write(_line(_footer_object(footer)))
    return footer


class ShardReader:
    """Reads a shard from `stream`, a row at a time; `key` says in errors which it is.

    The header is read at once; `footer` is there once all rows were read. Everything raises InvalidShard.
    """

    def __init__(self, stream: BinaryIO, key: str) -> None:
        self._key = key
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self.header = self._understood(read_header, self._next_line("its header"))
        self.footer: ShardFooter | None = None
        """None until all rows were read."""

    def rows(self) -> Iterator[EvidenceRow]:
        """Every row, checked against header and footer: account and region, order, counts, SHA-256."""
        return (row for row, _ in self.rows_and_lines())

    def rows_and_lines(self) -> Iterator[tuple[EvidenceRow, bytes]]:
        """Every row as `rows` gives it, with the line that it was read from."""
        verdicts: Counter[EvidenceVerdict] = Counter()
        agreements: Counter[Agreement] = Counter()
        home, previous = (self.header.account, self.header.region), ""
        for line in self.lines():
            row = self._understood(from_json, line)
            if (row.account, row.region) != home:
                raise InvalidShard(self._key, f"row {row.resource_id} is of {row.account} in {row.region}")
            if row.resource_id <= previous:
                raise InvalidShard(self._key, f"row {row.resource_id} comes after {previous}: ids ascend")
            previous = row.resource_id
            verdicts[row.verdict] += 1
            agreements[row.agreement] += 1
            yield row, line
        footer = cast("ShardFooter", self.footer)
        if dict(footer.verdicts) != {one: verdicts[one] for one in EvidenceVerdict}:
            raise InvalidShard(self._key, "the verdicts of its rows are not those that its footer counts")
        if dict(footer.agreements) != {one: agreements[one] for one in Agreement}:
            raise InvalidShard(self._key, "the agreements of its rows are not those that its footer counts")

    def lines(self) -> Iterator[bytes]:
        """The rows as they stand, newline included; only their number and SHA-256 are checked."""
        digest, count = hashlib.sha256(), 0
        while not (line := self._next_line("its footer")).startswith(_FOOTER_START):
            digest.update(line)
            count += 1
            yield line
        footer = self._understood(_footer, line)
        if self._read(1):
            raise InvalidShard(self._key, "something follows its footer")
        if (footer.rows, footer.sha256) != (count, digest.hexdigest()):
            raise InvalidShard(
                self._key,
                f"its footer speaks of {footer.rows} rows, SHA-256 {footer.sha256}; it has "
                f"{count}, SHA-256 {digest.hexdigest()}",
            )
        self.footer = footer

    def read_to_end(self) -> ShardFooter:
        """The footer, for whoever does not need the rows."""
        for _ in self.lines():
            pass
        return cast("ShardFooter", self.footer)

    def _next_line(self, missing: str) -> bytes:
        line = self._read()
        if not line.endswith(b"\n"):
            problem = (
                f"a line is longer than {LINE_MAX_BYTES} bytes" if len(line) >= LINE_MAX_BYTES else "it is cut off"
            )
            raise InvalidShard(self._key, f"{problem}, before {missing}")
        return line

    def _read(self, size: int = 0) -> bytes:
        try:
            return self._file.read(size) if size else self._file.readline(LINE_MAX_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InvalidShard(self._key, "it is cut off, or damaged, or no shard at all") from error
        except OSError as error:
            raise InvalidShard(self._key, f"it cannot be read: {error.strerror or error}") from error

    def _understood(self, read: Callable[[Any], _ReadT], line: bytes) -> _ReadT:
        try:
            return read(json.loads(line))
        except (ValueError, RecursionError):
            raise InvalidShard(self._key, "a line of it is no JSON") from None
        except InvalidRecord as error:
            raise InvalidShard(self._key, str(error)) from error


def _line(value: Mapping[str, Any]) -> bytes:
    # ASCII: a tag may hold half of a surrogate pair, which no encoding but JSON's own escapes can carry.
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _footer_object(footer: ShardFooter) -> dict[str, Any]:
    return {
        "kind": "end",
        "rows": footer.rows,
        "sha256": footer.sha256,
        "verdicts": {verdict.value: count for verdict, count in footer.verdicts.items()},
        "agreements": {agreement.value: count for agreement, count in footer.agreements.items()},
        "unlisted": footer.unlisted,
    }


def _footer(raw: Mapping[str, Any]) -> ShardFooter:
    verdicts, agreements = read_object(raw, "verdicts"), read_object(raw, "agreements")
    return ShardFooter(
        rows=read_count(raw, "rows"),
        sha256=read_text(raw, "sha256"),
        verdicts={one: read_count(verdicts, one.value, "verdicts.") for one in EvidenceVerdict},
        agreements={one: read_count(agreements, one.value, "agreements.") for one in Agreement},
        unlisted=read_count(raw, "unlisted"),
    )
