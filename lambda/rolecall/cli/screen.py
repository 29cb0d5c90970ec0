"""What people see: the table, the summary, problems and progress. Colours say nothing that the words do not say too."""

import re
import sys
import time
from collections import Counter
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rolecall.cli.subjects import Subject
from rolecall.errors import counted
from rolecall.model import ComplianceType, Evaluation, Reason

STYLES = {
    # Red beside cyan: told apart by those who cannot tell red from green.
    ComplianceType.NON_COMPLIANT: "bold red",
    ComplianceType.COMPLIANT: "cyan",
    ComplianceType.NOT_APPLICABLE: "dim",
}

_COLUMNS = (("Compliance", 14), ("Instance", 19), ("Account", 12), ("Region", 14))
_GAP = "  "
_FIRST_COLUMNS = sum(width + len(_GAP) for _, width in _COLUMNS)
_ANNOTATION_MIN_WIDTH = 45
"""With less room beside the other columns, the annotation goes below them."""

_QUIET_SECONDS = 0.5
"""Without a word on the screen, after which the progress bar appears."""

_REFRESH_SECONDS = 0.1


def printable(text: str) -> str:
    """`text` on one line and without what a terminal would obey: names and tags are written by strangers."""
    one_line = re.sub(r"\s*[\r\n]\s*", " ", text)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", one_line)


def console(output: TextIO) -> Console:
    """A console that prints what it is given: no markup, no highlighting, and colours only where they are wanted."""
    return Console(file=output, markup=False, highlight=False, emoji=False, soft_wrap=True)


def complain(message: str) -> None:
    """Say on standard error what could not be done."""
    console(sys.stderr).print(Text("error: ", style="bold red").append(printable(message), style="not bold default"))


def say(message: str) -> None:
    """Say on standard error what is good to know."""
    console(sys.stderr).print(Text("note: ", style="bold").append(printable(message), style="not bold"))


class ProgressBar:
    """How far a long run is, on standard error. It makes room for whatever is printed, and appears in pauses only."""

    def __init__(self, unit: str, total: int | None, *, wanted: bool) -> None:
        """`unit`: `bytes` or what is counted; `total` is None when nobody can know."""
        stderr = Console(stderr=True)
        self._wanted = wanted and sys.stderr.isatty() and not stderr.is_dumb_terminal
        amount: ProgressColumn = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = [TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn()]
        self._progress = Progress(
            *(columns if total is not None else [SpinnerColumn(), *columns[::2]]),
            console=stderr,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("Judging", total=total)
        self._shown = False
        self._touched = time.monotonic()

    def describe(self, text: str) -> None:
        """Say what is being worked on."""
        self._progress.update(self._task, description=printable(text))

    def advance(self, steps: int) -> None:
        """Something was done; now is the time to show it."""
        self._progress.update(self._task, advance=steps)
        if not self._wanted:
            return
        now = time.monotonic()
        if now - self._touched < (_REFRESH_SECONDS if self._shown else _QUIET_SECONDS):
            return
        self._touched = now
        if self._shown:
            self._progress.refresh()
        else:
            self._progress.start()
            self._shown = True

    def hide(self) -> None:
        """Make room: something is about to be printed."""
        if self._shown:
            self._progress.stop()
            self._shown = False
        self._touched = time.monotonic()


class Table:
    """Evaluations for people: in columns, with the annotation below them where the terminal is narrow.

    Where nobody looks (a pipe, a file) each evaluation is one line, however long.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._console = console(output)
        self._width = self._console.width if output.isatty() else None
        self._empty = True

    def write(self, evaluation: Evaluation, subject: Subject) -> None:  # noqa: ARG002 - people look for no file
        """Print one row."""
        if self._empty:
            names = _GAP.join(f"{name:<{width}}" for name, width in _COLUMNS)
            self._console.print(Text(f"{names}{_GAP}Annotation" if self._beside else names.rstrip(), style="bold"))
            self._empty = False
        item = evaluation.item
        cells = (evaluation.compliance_type.value, item.resource_id, item.account, item.region)
        first, *others = (f"{printable(cell):<{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
        annotation = printable(evaluation.annotation)
        if not self._console.is_terminal:
            # Many times as fast, for the many rows that only a file or a program wants.
            self._output.write(f"{_GAP.join((first, *others, annotation))}\n")
            return
        line = Text(first, style=STYLES[evaluation.compliance_type])
        line.append(_GAP + _GAP.join(others), style="not bold not dim default")
        self._print(line, Text(annotation))

    @property
    def _beside(self) -> bool:
        return self._width is None or self._width >= _FIRST_COLUMNS + _ANNOTATION_MIN_WIDTH

    def _print(self, line: Text, annotation: Text) -> None:
        if self._width is None:
            self._console.print(line, annotation, sep=_GAP)
            return
        indent = line.cell_len + len(_GAP) if self._beside else len(_GAP)
        wrapped = annotation.wrap(self._console, max(self._width - indent, 20))
        for part in wrapped:
            part.rstrip()
        first = line.append(_GAP).append_text(wrapped.pop(0)) if self._beside else line
        self._console.print(first)
        for part in wrapped:
            self._console.print(Text(" " * indent).append_text(part))

    def close(self) -> None:
        """Leave a line free below."""
        if not self._empty:
            self._console.print()


class Tally:
    """Counts by verdict, and of what could not be judged."""

    def __init__(self) -> None:
        self.reasons: Counter[Reason] = Counter()
        self.not_listed = 0
        self.problems = 0

    @property
    def judged(self) -> int:
        """Evaluations."""
        return self.reasons.total()

    def count_of(self, compliance_type: ComplianceType) -> int:
        """Evaluations of one compliance type."""
        return sum(count for reason, count in self.reasons.items() if reason.compliance_type is compliance_type)

    def print(self, output: TextIO) -> None:
        """The summary: a line for each compliance type that occurs, then how much was judged."""
        out = console(output)
        width = len(f"{self.judged:,}")
        for compliance_type in (ComplianceType.NON_COMPLIANT, ComplianceType.COMPLIANT, ComplianceType.NOT_APPLICABLE):
            count = self.count_of(compliance_type)
            if not count:
                continue
            reasons = [
                f"{reason.value} {self.reasons[reason]:,}"
                for reason in sorted(self.reasons, key=lambda reason: -self.reasons[reason])
                if reason.compliance_type is compliance_type
            ]
            line = Text(f"{compliance_type.value:<14}", style=STYLES[compliance_type])
            out.print(
                line.append(f"{_GAP}{count:>{width},}{_GAP}{', '.join(reasons)}", style="not bold not dim default")
            )
        hidden = f"; {self.not_listed:,} of them not listed (--all lists them)" if self.not_listed else ""
        out.print(f"{counted(self.judged, 'configuration item')} judged{hidden}.")
        if self.problems:
            out.print(f"{counted(self.problems, 'problem')}: what is named above was not judged.", style="bold red")
