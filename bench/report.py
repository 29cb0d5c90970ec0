"""The tables: medians, ratios to the yardstick, and whether the targets hold."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import Measure, Part

_DIGITS = {"MB": 2, "MiB": 1, "ms": 2, "s": 2, "µs": 0}


_MOST_WITH_SPREAD = 3
"""Columns: with more, a table that shows how far single rounds lie apart is too wide to read."""

_WIDTH = 150
"""Of the tables where no terminal says how wide it is."""


def console() -> Console:
    """Standard output."""
    output = Console()
    return output if output.is_terminal else Console(width=_WIDTH)


def show(part: Part, console: Console) -> None:
    """Print one part."""
    candidates = list(dict.fromkeys(name for measure in part.measures for name in measure.series))
    table = Table(title=part.title, title_justify="left", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("", no_wrap=True)
    for candidate in candidates:
        table.add_column(candidate, justify="right", no_wrap=True)
    table.add_column("target")
    for measure in part.measures:
        table.add_row(
            f"{measure.name}, {measure.unit}" if measure.unit else measure.name,
            *(_cell(measure, candidate) for candidate in candidates),
            _verdict(measure),
        )
    console.print(table)
    for note in part.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    console.print()


def missed(parts: Sequence[Part]) -> list[str]:
    """One line for each target that does not hold."""
    return [
        f"{part.name}: {measure.name}: {_number(measure.value())}, target {measure.target.text}"
        for part in parts
        for measure in part.measures
        if measure.target and not measure.holds()
    ]


def _cell(measure: Measure, candidate: str) -> str:
    if candidate not in measure.series:
        return "-"
    text = _number(measure.median(candidate), measure.unit)
    if candidate == measure.yardstick:
        return text
    ratio = measure.ratio(candidate)
    several = len(measure.series[candidate]) > 1 and len(measure.series) <= _MOST_WITH_SPREAD
    spread = f" [dim]({_number(ratio.low)}-{_number(ratio.high)})[/dim]" if several else ""
    return f"{text}  [bold]{_number(ratio.of_medians)}[/bold]{spread}"


def _verdict(measure: Measure) -> str:
    if measure.target is None:
        return ""
    value = _number(measure.value())
    if measure.holds():
        return f"[green]{measure.target.text}: holds ({value})[/green]"
    return f"[bold red]{measure.target.text}: MISSED ({value})[/bold red]"


def _number(value: float, unit: str = "") -> str:
    if unit in _DIGITS:
        return f"{value:,.{_DIGITS[unit]}f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits either way
