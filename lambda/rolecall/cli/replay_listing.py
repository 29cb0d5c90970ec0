"""Replayed days, written as they come: for people, as one JSON document, as CSV."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Protocol, TextIO

from rolecall.cli.rows import FIELDS, row
from rolecall.cli.screen import Table, Tally, console
from rolecall.cli.subjects import Subject
from rolecall.errors import InvalidItem
from rolecall.evidence.config_files import PlaceCoverage
from rolecall.evidence.package_files import guarded
from rolecall.evidence.replaying import BASIS, Replayed
from rolecall.model import ComplianceType, Reason
from rolecall.parameters import RuleParameters

REPLAY_FIELDS = ("day", "basis", *FIELDS)
"""What each verdict has in JSON and CSV."""


class ReplayFormat(StrEnum):
    """How replayed days are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass
class Day:
    """One day; `problems` is filled while its verdicts are written."""

    day: date
    coverage: list[PlaceCoverage]
    replayed: Iterable[Replayed | InvalidItem]
    problems: list[InvalidItem] = field(default_factory=list)

    def verdicts(self) -> Iterator[Replayed]:
        """Those that there are; what cannot be judged becomes a problem."""
        for one in self.replayed:
            if isinstance(one, InvalidItem):
                self.problems.append(one)
            else:
                yield one


class DayListing(Protocol):
    """Somewhere to write days."""

    def day(self, day: Day) -> None:
        """Write one, with all its verdicts."""

    def close(self) -> None:
        """Write what ends the whole."""


def listing(chosen: ReplayFormat, output: TextIO, parameters: RuleParameters) -> DayListing:
    """Where days are written in the chosen format."""
    match chosen:
        case ReplayFormat.TABLE:
            return _Screen(output, parameters)
        case ReplayFormat.JSON:
            return _Json(output, parameters)
        case ReplayFormat.CSV:
            return _Csv(output)


def _row(one: Replayed) -> dict[str, str | None]:
    return {"day": one.day.isoformat(), "basis": BASIS, **row(one.evaluation, one.source)}


class _Screen:
    """What needs a look, and the counts of the day."""

    def __init__(self, output: TextIO, parameters: RuleParameters) -> None:
        self._output = output
        self._parameters = parameters

    def day(self, day: Day) -> None:
        """A headline, a table and a sum."""
        places = sum(not one.missing for one in day.coverage)
        console(self._output).print(
            f"{day.day}, {BASIS}: {places} of {len(day.coverage)} accounts and regions are covered"
        )
        table, tally = Table(self._output), Tally()
        for one in day.verdicts():
            evaluation = one.evaluation
            tally.reasons[evaluation.reason] += 1
            if evaluation.compliance_type is ComplianceType.NON_COMPLIANT or evaluation.reason is Reason.EXEMPT:
                table.write(evaluation, Subject(evaluation.item, self._parameters, one.source))
        table.close()
        tally.problems = len(day.problems)
        tally.print(self._output)

    def close(self) -> None:
        """Tables need no end."""


class _Json:
    """One document, whose verdicts stand one on each line."""

    def __init__(self, output: TextIO, parameters: RuleParameters) -> None:
        self._output = output
        head = json.dumps({"basis": BASIS, "parameters": parameters.to_strings()}, ensure_ascii=False)
        output.write(f'{head[:-1]}, "days": [')
        self._separator = "\n"

    def day(self, day: Day) -> None:
        """One element of `days`."""
        self._output.write(f'{self._separator}{{"day": "{day.day}", "coverage": [')
        self._separator = ",\n"
        self._output.write(", ".join(json.dumps(_coverage_object(one)) for one in day.coverage))
        self._output.write('], "verdicts": [')
        counts: Counter[Reason] = Counter()
        separator = "\n"
        for one in day.verdicts():
            counts[one.evaluation.reason] += 1
            self._output.write(f"{separator}{json.dumps(_row(one), ensure_ascii=False)}")
            separator = ",\n"
        self._output.write(f'], "counts": {json.dumps(counts)}, "notJudged": {len(day.problems)}}}')

    def close(self) -> None:
        """End the document."""
        self._output.write("\n]}\n")


class _Csv:
    """One row for each verdict, safe to open in a spreadsheet."""

    def __init__(self, output: TextIO) -> None:
        self._writer = csv.writer(output, lineterminator="\n")
        self._writer.writerow(REPLAY_FIELDS)

    def day(self, day: Day) -> None:
        """Its rows."""
        for one in day.verdicts():
            self._writer.writerow(["" if cell is None else guarded(cell) for cell in _row(one).values()])

    def close(self) -> None:
        """Rows need no end."""


def _coverage_object(one: PlaceCoverage) -> dict[str, object]:
    return {
        "account": one.account,
        "region": one.region,
        "snapshot": one.snapshot.isoformat() if one.snapshot else None,
        "files": one.files,
        "missing": one.missing or None,
    }
