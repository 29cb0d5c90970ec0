"""The page: figures, charts and tables, put into the template with style and script."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from rolecall.evidence.collection_times import to_the_minute
from rolecall.evidence.coverage import NOT_SEEN, Coverage, agreements_object
from rolecall.evidence.episodes import WINDOW_DAYS
from rolecall.evidence.kpis import DEFINITIONS, SOON_DAYS
from rolecall.evidence.manifest import Period
from rolecall.evidence.plan import Plan
from rolecall.evidence.remediation_times import HORIZON_DAYS
from rolecall.evidence.report.charts import all_zero, exemption_chart, open_chart, trend_chart
from rolecall.evidence.report.coverage_tables import disagreement_table, gap_table, in_flight_table, scope_table
from rolecall.evidence.report.tables import ReportRows, control_table, open_table
from rolecall.evidence.report.titles import EXEMPTION_AGES, KINDS, OPEN_AGES

REPORT = "report.html"

_TEMPLATE = "report.html.jinja"


def report_html(plan: Plan, coverage: Coverage, rows: ReportRows, kpis: Mapping[str, Any]) -> str:
    """The whole file. Everything that comes from tags or AWS is escaped; the page may load nothing and send nothing."""
    period = Period.of_day(plan.day)
    style, script = _beside("report.css"), _beside("report.js")
    environment = Environment(
        loader=DictLoader({_TEMPLATE: _beside(_TEMPLATE)}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(share=_share, hours=_hours, count=_count, minute=to_the_minute)
    times, exemptions = kpis["timeToRemediate"], kpis["exemptions"]
    figures = [number for one in times.values() for number in one["openByAge"].values()]
    return environment.get_template(_TEMPLATE).render(
        day=plan.day.isoformat(),
        plan=plan,
        period=period,
        collected=coverage.collected,
        totals=coverage.totals,
        scopes=coverage.scopes,
        agreements=agreements_object(coverage.agreements),
        kpis=kpis,
        kinds=KINDS,
        definitions=DEFINITIONS,
        not_seen=NOT_SEEN,
        window_days=WINDOW_DAYS,
        horizon_days=HORIZON_DAYS,
        soon_days=SOON_DAYS,
        open_ages=OPEN_AGES,
        exemption_ages=EXEMPTION_AGES,
        trend_svg=Markup(trend_chart(kpis["trend"])) if len(kpis["trend"]) > 1 else None,  # noqa: S704 - made by us
        open_svg=None if all_zero(figures) else Markup(open_chart(times, OPEN_AGES)),  # noqa: S704 - as above
        exempt_svg=None
        if all_zero(exemptions["byAge"].values())
        else Markup(exemption_chart(exemptions["byAge"], EXEMPTION_AGES)),  # noqa: S704 - as above
        scope_table=scope_table(coverage.scopes),
        gap_table=gap_table(plan, coverage.scopes),
        episode_table=open_table(rows.open, period.end),
        exemption_table=rows.exemption_table(),
        disagreement_table=disagreement_table(coverage),
        in_flight_table=in_flight_table(coverage),
        control_table=control_table(),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    ).encode(errors="replace").decode()  # fmt: skip


def _beside(name: str) -> str:
    return files("rolecall.evidence.report").joinpath(name).read_text(encoding="utf-8")


def _share(share: float | None) -> str:
    return "no instance" if share is None else f"{100 * share:.1f} %"


def _hours(hours: float | None, otherwise: str = "not reached") -> str:
    if hours is None:
        return otherwise
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"  # noqa: PLR2004 - two days are told in hours


def _count(number: int) -> str:
    return f"{number:,}"
