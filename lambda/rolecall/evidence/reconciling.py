"""Whether what a package says adds up: every instance of the population in one row, every exemption where it belongs.

Takes the contents of the files while their hashes are being computed; says what is wrong once all were read.
"""

import re
from collections.abc import Iterator
from datetime import date

from rolecall.errors import InvalidManifest, counted
from rolecall.evidence.collection_times import CollectionTimes
from rolecall.evidence.evaluation_rows import EvaluationRows
from rolecall.evidence.exemption_rows import ExemptionRows
from rolecall.evidence.exemption_sums import ExemptionSum, ExemptionSums
from rolecall.evidence.manifest import Manifest, PackagedFile, Totals
from rolecall.evidence.measuring import Rows, Take
from rolecall.evidence.received_coverage import COVERAGE, Coverage, CoverageReader

EXEMPTIONS = "exemptions.csv"

NEEDED = (COVERAGE, EXEMPTIONS)
"""Without these files, nothing can be reconciled."""

_EVALUATIONS = "evaluations/"
_PART = re.compile(r"evaluations/([^_/]+)_([^_/]+)\.jsonl\.gz")


class Reconciliation:
    """Of one package. Give it every file that it asks for, then ask for `problems`."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._coverage = CoverageReader()
        self._exemptions = ExemptionRows()
        self._parts: dict[tuple[str, str], EvaluationRows] = {}
        self.collected: CollectionTimes | None = None
        """What is said of it; known once `problems` were asked for."""

    def taking(self, file: PackagedFile) -> Take | None:
        """What has to be given the content of a file; None if it is of no use here."""
        if file.path == COVERAGE:
            return self._coverage.take
        if file.path == EXEMPTIONS:
            return self._exemptions.take
        return None

    def rows_of(self, file: PackagedFile) -> Rows | None:
        """What has to count the rows of a file; None if it does not matter."""
        part = _PART.fullmatch(file.path)
        if part is None:
            return None
        return self._parts.setdefault((part[1], part[2]), EvaluationRows(part[1], part[2], self._manifest.day))

    @property
    def doubted(self) -> int:
        """Exempt rows with which the rule, performed again, does not agree."""
        return sum(part.doubted for part in self._parts.values())

    def problems(self) -> Iterator[tuple[str, str]]:
        """Path and problem, for each thing that does not add up."""
        listed = {file.path: file for file in self._manifest.files}
        missing = [path for path in NEEDED if path not in listed]
        yield from ((path, "is not in the package, so nothing can be reconciled") for path in missing)
        if missing:
            return
        try:
            coverage = self._coverage.coverage()
        except InvalidManifest as error:
            yield COVERAGE, str(error)
            return
        self.collected = coverage.collected
        yield from ((COVERAGE, problem) for problem in coverage.problems())
        yield from _against_manifest(coverage, self._manifest)
        yield from self._parts_problems(coverage)
        yield from self._exemption_problems()
        yield from _spreadsheets_problems(listed)

    def _parts_problems(self, coverage: Coverage) -> Iterator[tuple[str, str]]:
        for home in sorted(self._parts.keys() | coverage.account_regions.keys()):
            path = _part(home)
            said = coverage.account_regions.get(home)
            part = self._parts.get(home)
            if said is None:
                yield path, f"has rows of an account and region that {COVERAGE} does not name"
            elif part and part.problem:
                yield path, part.problem
            elif (counted := part.totals if part else Totals()) != said:
                yield path, f"has {_in_words(counted)}; {COVERAGE} says {_in_words(said)}"

    def _exemption_problems(self) -> Iterator[tuple[str, str]]:
        if self._exemptions.problem:
            yield EXEMPTIONS, self._exemptions.problem
            return
        in_rows = ExemptionSums({home: part.exemptions for home, part in self._parts.items()})
        for home in in_rows.differences(self._exemptions.sums):
            if (part := self._parts.get(home)) and part.problem:
                continue
            rows = in_rows.by_home.get(home, ExemptionSum()).count
            listed = self._exemptions.sums.by_home.get(home, ExemptionSum()).count
            yield (
                EXEMPTIONS,
                (
                    f"of {home[0]} in {home[1]} it lists {counted(listed, 'exemption')} in use, "
                    f"{_part(home)} has {rows}: they are not the same instances, or not the same days"
                ),
            )


def _part(home: tuple[str, str]) -> str:
    return f"{_EVALUATIONS}{home[0]}_{home[1]}.jsonl.gz"


def _against_manifest(coverage: Coverage, manifest: Manifest) -> Iterator[tuple[str, str]]:
    if coverage.day != _day(manifest.day):
        yield COVERAGE, f"is of {coverage.day}"
    if coverage.total != manifest.totals:
        yield COVERAGE, f"has {_in_words(coverage.total)} in total; the manifest says {_in_words(manifest.totals)}"


def _day(day: date) -> str:
    return day.isoformat()


def _spreadsheets_problems(listed: dict[str, PackagedFile]) -> Iterator[tuple[str, str]]:
    """Each part is there as JSON lines and as CSV, with as many rows."""
    for path, file in listed.items():
        if not path.startswith(_EVALUATIONS):
            continue
        stem, _, kind = path.partition(".")
        twin = listed.get(f"{stem}.csv.gz" if kind == "jsonl.gz" else f"{stem}.jsonl.gz")
        if twin is None or not (kind == "csv.gz" or _PART.fullmatch(path)):
            yield path, "is not there both as .jsonl.gz and as .csv.gz"
        elif kind == "csv.gz" and twin.records != file.records:
            yield path, f"has {file.records} rows; {twin.path} has {twin.records}"


def _in_words(totals: Totals) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in totals.to_json().items())
    return f"({counts})"
