"""The report's charts, as SVG that follows the page's colours: they are CSS variables, light or dark."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, tostring

import pygal  # type: ignore[import-untyped] # it has no types
from pygal.etree import etree  # type: ignore[import-untyped] # as above
from pygal.style import Style  # type: ignore[import-untyped] # as above

from rolecall.evidence.episodes import Kind
from rolecall.evidence.report.titles import KINDS

# pygal's finder of plugins, of a kind that Python no longer knows: with it, importing anything that is missing warns.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

_SERIES = ("var(--series-1)", "var(--series-2)", "var(--series-3)")

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    value_background="var(--paper)",
    foreground="var(--ink)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--quiet)",
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    colors=_SERIES,
    value_colors=("var(--ink)",) * len(_SERIES),
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    opacity="1",
    stroke_opacity="1",
    stroke_width="2.5",
    transition="0s",
)

_SHOWN_DAYS = 6
"""Labels on a time axis."""

SHOWN_DOTS = 60
"""Days up to which each has a dot that can be told from its neighbour's."""


def trend_chart(trend: Sequence[Mapping[str, Any]]) -> str:
    """The share of instances with a role on each day, in percent."""
    chart = pygal.Line(
        **_settings(range=(0, 100), dots_size=2 if len(trend) <= SHOWN_DOTS else 0.8, margin_bottom=28, margin_right=44)
    )
    _label_days(chart, trend)
    chart.add("of all", [_percent(row.get("ofAll")) for row in trend])
    chart.add("exempt ones aside", [_percent(row.get("ofNotExempt")) for row in trend])
    return _svg(chart, "trend", "Share of instances with a role, in percent, by day")


def open_chart(times: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Open episodes by age, a series for each kind. `names`: of the age groups, as they are shown."""
    chart = pygal.StackedBar(**_settings())
    chart.x_labels = list(names.values())
    chart.y_labels = _whole_numbers(max(sum(one["openByAge"][name] for one in times.values()) for name in names))
    for kind, figures in times.items():
        chart.add(KINDS[Kind(kind)], [figures["openByAge"][name] for name in names])
    return _svg(chart, "open", "Non-compliant instances by age")


def exemption_chart(by_age: Mapping[str, int], names: Mapping[str, str]) -> str:
    """Exempt instances by the age of their exemption."""
    chart = pygal.Bar(**_settings(show_legend=False))
    chart.x_labels = list(names.values())
    chart.y_labels = _whole_numbers(max(by_age[name] for name in names))
    chart.add("exempt", [by_age[name] for name in names])
    return _svg(chart, "exempt", "Exempt instances by the age of their exemption")


def _settings(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - pygal's own settings
    return {
        "style": _STYLE,
        "width": 720,
        "height": 320,
        "js": [],
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "truncate_legend": -1,
        "truncate_label": -1,
        "margin": 8,
        "disable_xml_declaration": True,
        "formatter": lambda value: f"{value:g}",
        "value_formatter": lambda value: f"{value:g}",
        **more,
    }


def _label_days(chart: pygal.Line, trend: Sequence[Mapping[str, Any]]) -> None:
    days = [str(row["day"]) for row in trend]
    chart.x_labels = days
    chart.x_labels_major = days[:: max(1, len(days) // _SHOWN_DAYS)]
    chart.show_minor_x_labels = False


def _whole_numbers(highest: int) -> list[int]:
    """Labels of an axis that counts: instances come whole."""
    step = max(1, -(-highest // 5))
    return list(range(0, highest + step, step))


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _svg(chart: Any, name: str, told: str) -> str:  # noqa: ANN401 - pygal's classes share no typed base
    """The chart without script, and without what differs from run to run: pygal's comment holds today's date."""
    etree.to_etree()  # lxml, where it is installed, would write other bytes
    chart.uuid = name
    root = chart.render_tree()
    _strip(root)
    root.set("role", "img")
    root.set("aria-label", told)
    return tostring(root, encoding="unicode")


def _strip(element: Element) -> None:
    for child in list(element):
        # A comment's tag is a function. Ids are there for the script, and no two charts may share one.
        if not isinstance(child.tag, str) or child.tag == "script" or "tooltip-overlay" in child.get("class", ""):
            element.remove(child)
            continue
        child.attrib.pop("id", None)
        _strip(child)


def all_zero(numbers: Iterable[int]) -> bool:
    """Whether a chart of them would show nothing."""
    return not any(numbers)
