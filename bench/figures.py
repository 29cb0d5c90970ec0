"""Medians, spreads and ratios of what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

_P99 = 98  # of the 99 cut points between hundredths


@dataclass(frozen=True)
class Ratio:
    """Of a candidate to a yardstick: the medians' quotient, and between which quartiles single rounds lie."""

    of_medians: float
    low: float
    high: float

    @classmethod
    def between(cls, measured: Sequence[float], yardstick: Sequence[float]) -> "Ratio":
        """The two sequences are from the same rounds, in the same order."""
        low, _, high = _quartiles([one / other for one, other in zip(measured, yardstick, strict=True)])
        return cls(median(measured) / median(yardstick), low, high)


@dataclass(frozen=True)
class Target:
    """What a ratio or a figure has to be: at most, or at least, `limit`."""

    text: str
    limit: float
    at_most: bool = True

    def holds(self, value: float) -> bool:
        """Whether `value` meets it."""
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True)
class Measure:
    """One quantity of several candidates. The first that `series` names is the yardstick of the ratios.

    `judged` names the candidate that the target is for; with `as_ratio` its ratio is held against it, else its median.
    """

    name: str
    unit: str
    series: Mapping[str, Sequence[float]]
    target: Target | None = None
    judged: str = ""
    as_ratio: bool = True

    @property
    def yardstick(self) -> str:
        """What the others' ratios are to."""
        return next(iter(self.series))

    def median(self, candidate: str) -> float:
        """Of all rounds."""
        return median(self.series[candidate])

    def ratio(self, candidate: str) -> Ratio:
        """To the yardstick."""
        return Ratio.between(self.series[candidate], self.series[self.yardstick])

    def value(self) -> float:
        """What is held against the target."""
        return self.ratio(self.judged).of_medians if self.as_ratio else self.median(self.judged)

    def holds(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return self.target.holds(self.value()) if self.target else None

    def to_json(self) -> dict[str, Any]:
        """Everything that the table shows."""
        figures = {}
        for candidate, values in self.series.items():
            low, middle, high = _quartiles(values)
            ratio = self.ratio(candidate)
            figures[candidate] = {
                "median": middle,
                "quartiles": [low, high],
                "count": len(values),
                "ratio": ratio.of_medians,
                "ratioQuartiles": [ratio.low, ratio.high],
            }
        target = {"text": self.target.text, "value": self.value(), "holds": self.holds()} if self.target else None
        return {"name": self.name, "unit": self.unit, "yardstick": self.yardstick, "figures": figures, "target": target}


@dataclass(frozen=True)
class Part:
    """One benchmark's result: a table, and lines that explain it."""

    name: str
    title: str
    measures: Sequence[Measure]
    notes: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Its measures, all of them."""
        return {"part": self.name, "title": self.title, "measures": [one.to_json() for one in self.measures]}


def p99(values: Sequence[float]) -> float:
    """What 99 in 100 values stay below."""
    return quantiles(values, n=100, method="inclusive")[_P99]


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
