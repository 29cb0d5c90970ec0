"""The manifest of an evidence package: what is in it, whose period it is, and which package comes before it.

`schemas/evidence-manifest-v1.schema.json` is its contract. It holds nothing that differs when the same day is sealed
again: its only time is the end of its period.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from rolecall.record import timestamp

SCHEMA = "rolecall.evidence/v1"

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
"""The two files of a package that its manifest does not list."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start`, and before `end`; in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of_day(cls, day: date) -> "Period":
        """The whole of a UTC day."""
        start = datetime.combine(day, time(), UTC)
        return cls(start, start + timedelta(days=1))

    def to_json(self) -> dict[str, str]:
        """As a manifest holds it."""
        return {"from": timestamp(self.start), "to": timestamp(self.end)}


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a package. `path` is relative to the package's folder."""

    path: str
    size: int
    """Bytes, as stored."""
    sha256: str
    """Of the stored bytes, in hex."""
    content_size: int
    """Bytes after decompression, so that whoever verifies knows when to stop."""
    content_sha256: str
    """Of the uncompressed content."""
    records: int | None
    """Rows of a `.jsonl` or `.csv` file, its header not counted; None for any other."""

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return {
            "path": self.path,
            "bytes": self.size,
            "sha256": self.sha256,
            "contentBytes": self.content_size,
            "contentSha256": self.content_sha256,
            "records": self.records,
        }


@dataclass(frozen=True, slots=True)
class Previous:
    """The package before this one."""

    manifest_sha256: str
    """Of the bytes of its manifest, in hex."""
    signature: str
    """Of its manifest, in base64."""

    def to_json(self) -> dict[str, str]:
        """As a manifest holds it."""
        return {"manifestSha256": self.manifest_sha256, "signature": self.signature}


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """The rule that the package is about, as it was on that day."""

    name: str
    """Its own name, without a conformance pack's suffix."""
    parameters: Mapping[str, str]
    rolecall_version: str

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return {
            "name": self.name,
            "parameters": dict(self.parameters),
            "rolecallVersion": self.rolecall_version,
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """Instances of a population, by verdict."""

    population: int = 0
    compliant: int = 0
    exempt: int = 0
    non_compliant: int = 0
    not_applicable: int = 0
    unevaluated: int = 0

    @property
    def accounted_for(self) -> int:
        """The sum of the verdicts; `population`, if all is well."""
        return self.compliant + self.exempt + self.non_compliant + self.not_applicable + self.unevaluated

    def to_json(self) -> dict[str, int]:
        """As a manifest and `coverage.json` hold it."""
        return {
            "population": self.population,
            "compliant": self.compliant,
            "exempt": self.exempt,
            "nonCompliant": self.non_compliant,
            "notApplicable": self.not_applicable,
            "unevaluated": self.unevaluated,
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it. `files` are sorted by path."""

    period: Period
    sequence: int
    """1 for the first package there ever was, then one more for each."""
    previous: Previous | None
    """None for the first one alone."""
    files: Sequence[PackagedFile]
    rule: RuleFacts
    totals: Totals

    @property
    def day(self) -> date:
        """The UTC day that the package is of."""
        return self.period.start.date()

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON object; `canonical.canonical_bytes` makes the file of it."""
        return {
            "schema": SCHEMA,
            "period": self.period.to_json(),
            "sequence": self.sequence,
            "previous": self.previous.to_json() if self.previous else None,
            "files": [file.to_json() for file in self.files],
            "rule": self.rule.to_json(),
            "totals": self.totals.to_json(),
            "generatedAt": timestamp(self.period.end),
        }
