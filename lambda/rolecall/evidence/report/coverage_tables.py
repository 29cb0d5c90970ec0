"""The report's tables of what was covered, and of where what is recorded is not what the rule says."""

from collections.abc import Mapping, Sequence
from itertools import islice

from rolecall.evidence.coverage import Coverage, Scope
from rolecall.evidence.package_files import JsonSpool
from rolecall.evidence.plan import Plan
from rolecall.evidence.report.tables import SHOWN_ROWS, Cell, Column, First, Table


def scope_table(scopes: Sequence[Scope]) -> Table:
    """Accounts and regions, those with the most to do first."""
    by_need: First[Scope] = First(_by_need)
    for scope in scopes:
        by_need.add(scope)
    counts = ("Population", "With role", "Exempt", "Non-compliant", "Not applicable", "Not evaluated")
    return Table(
        id="scopes",
        caption="Accounts and regions, the most non-compliant instances first",
        columns=[
            Column("Account"),
            Column("Region"),
            *(Column(one, numeric=True) for one in counts),
            Column("Covered"),
        ],
        rows=[
            [
                scope.header.account,
                scope.header.region,
                *scope.totals.to_json().values(),
                "yes" if scope.header.covered else "no",
            ]
            for scope in by_need.kept()
        ],
        total=by_need.total,
        everything="coverage.json",
        empty="The plan of the day has no account and region.",
    )


def _by_need(scope: Scope) -> tuple[int, int, str, str]:
    totals = scope.totals
    return -totals.non_compliant, -totals.unevaluated, scope.header.account, scope.header.region


def gap_table(plan: Plan, scopes: Sequence[Scope]) -> Table:
    """What the control did not cover, and why."""
    rows: list[Sequence[Cell]] = [[gap.account, "all", gap.why_not.value, gap.detail] for gap in plan.gaps]
    rows += [
        [scope.header.account, scope.header.region, scope.header.why_not.value, scope.header.detail]
        for scope in scopes
        if scope.header.why_not
    ]
    return Table(
        id="gaps",
        caption="Not covered",
        columns=[Column("Account"), Column("Region"), Column("Why"), Column("What is known")],
        rows=rows[:SHOWN_ROWS],
        total=len(rows),
        everything="coverage.json",
        empty="Every planned account and region is covered.",
    )


def disagreement_table(coverage: Coverage) -> Table:
    """Instances on which Config and the re-performed rule differ."""
    return _compared_table(
        "disagreements",
        "Recorded and re-performed verdict disagree",
        coverage.disagreements,
        "No recorded verdict disagrees with the re-performed one.",
    )


def in_flight_table(coverage: Coverage) -> Table:
    """Those on which they differ, but so lately that a change may be under way."""
    return _compared_table(
        "in-flight",
        "Recorded and re-performed verdict differ, and a change may be under way",
        coverage.in_flight,
        "No change was under way.",
    )


def _compared_table(name: str, caption: str, compared: JsonSpool, empty: str) -> Table:
    return Table(
        id=name,
        caption=caption,
        columns=[
            Column("Account"),
            Column("Region"),
            Column("Instance"),
            Column("Recorded by AWS Config"),
            Column("Re-performed"),
            Column("Item captured"),
        ],
        rows=[
            [
                one["account"],
                one["region"],
                one["resourceId"],
                _verdict(one["recorded"]),
                _verdict(one["reperformed"]),
                one["captureTime"] and one["captureTime"][:19].replace("T", " "),
            ]
            for one in islice(compared, SHOWN_ROWS)
        ],
        total=len(compared),
        everything="coverage.json",
        empty=empty,
    )


def _verdict(told: Mapping[str, str] | None) -> str | None:
    return f"{told['complianceType']} ({told['reason'] or 'no reason code'})" if told else None
