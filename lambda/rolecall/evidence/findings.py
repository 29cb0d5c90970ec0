"""What verifying found: where, what is wrong, and what kind of wrong it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from rolecall.evidence.manifest import Previous, Totals

MOST_FINDINGS = 50
"""Kept of one package: whoever changed a thousand files is found out by the first."""


class Outcome(StrEnum):
    """How a verification ends; of several, the one that stands first here says how."""

    TAMPERED = "tampered"
    """Something is not what was sealed."""
    INCOMPLETE = "incomplete"
    """A file is missing, or what was sealed does not account for every instance."""
    GAP = "gap"
    """Days are missing between two packages, or before the first one; or a chain ends, and another one begins."""
    STALE = "stale"
    """The newest days are missing."""
    CANNOT_VERIFY = "cannot verify"
    """Something could not be read, so nobody can tell."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `day` and `path` say where; None where it is about no single package or file."""

    outcome: Outcome
    says: str
    day: date | None = None
    path: str | None = None


@dataclass(slots=True)
class Findings:
    """Those of one package: the first `MOST_FINDINGS`, and the number and the kinds of all."""

    day: date
    kept: list[Finding] = field(default_factory=list)
    outcomes: set[Outcome] = field(default_factory=set)
    total: int = 0

    def add(self, outcome: Outcome, path: str | None, says: str) -> None:
        """One more."""
        self.total += 1
        self.outcomes.add(outcome)
        if len(self.kept) < MOST_FINDINGS:
            self.kept.append(Finding(outcome, says, self.day, path))


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What was found in one package; None where its manifest could not be read or is not proven."""

    day: date
    sequence: int | None
    manifest_sha256: str | None
    files: int
    """Those that the manifest lists."""
    files_present: int
    """Those of them that are there, whatever is in them."""
    stored_bytes: int
    """Read, of these files."""
    totals: Totals | None
    findings: tuple[Finding, ...]
    found: int
    """How many findings there are; `findings` holds the first of them."""
    outcomes: frozenset[Outcome]

    @property
    def outcome(self) -> Outcome:
        """Of this package alone."""
        return worst(self.outcomes)


@dataclass(frozen=True, slots=True)
class Report:
    """The whole verification."""

    packages: tuple[PackageReport, ...]
    findings: tuple[Finding, ...]
    """What is wrong between packages."""
    anchor: Previous | None
    """What the first package says of the one before it, which was not looked at; None if it is the first one ever."""
    begins: date | None
    """The day of the first package ever, if it was looked at and is proven."""
    signed_since: Mapping[str, date]
    """The first day that each key signed, by its fingerprint, in the order of days."""
    notes: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Of everything."""
        found = {one.outcome for one in self.findings}.union(*(one.outcomes for one in self.packages))
        return worst(found)

    def all_findings(self) -> Iterator[Finding]:
        """Those of packages first, in the order of days."""
        for package in self.packages:
            yield from package.findings
        yield from self.findings


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The one that decides; OK if there is none."""
    return min(outcomes, key=list(Outcome).index, default=Outcome.OK)
