"""The report's tables: a bounded number of rows each, and of how many they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from rolecall.evidence.episode_day import InstanceDay
from rolecall.evidence.episodes import Kind
from rolecall.evidence.exemptions import age, days_left
from rolecall.evidence.manifest import Period
from rolecall.evidence.report.titles import KINDS
from rolecall.evidence.rows import EvidenceRow, EvidenceVerdict
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Reason

SHOWN_ROWS = 500
"""Of each table: a browser shows so many at once, and the package's other files hold all."""

_T = TypeVar("_T")

Cell = str | int | None
"""A number is sorted as one; None is shown as a dash and sorted last."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; `numeric`: its cells are aligned and sorted as numbers."""

    label: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the page shows it."""

    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: int
    """Rows there are; more than shown, where they are capped."""
    everything: str
    """The package's file that holds all of them."""
    empty: str
    """What is said where there is none."""


class First(Generic[_T]):
    """The first of many by an order, without holding the others."""

    def __init__(self, key: Callable[[_T], Any]) -> None:
        self._key = key
        self._kept: list[_T] = []
        self.total = 0

    def add(self, one: _T) -> None:
        """One of them."""
        self.total += 1
        self._kept.append(one)
        if len(self._kept) >= 4 * SHOWN_ROWS:
            self._kept = self.kept()

    def kept(self) -> list[_T]:
        """The first ones, at most `SHOWN_ROWS`, in order."""
        return sorted(self._kept, key=self._key)[:SHOWN_ROWS]


class OpenInstance(NamedTuple):
    """One that is NON_COMPLIANT by the inventory."""

    account: str
    region: str
    resource_id: str
    since: datetime
    kind: Kind | None
    """None: it became so after the day, before it was collected."""
    reason: Reason | None


class ReportRows:
    """Takes every row and instance; keeps the exemptions that are over soonest, and who is NON_COMPLIANT longest."""

    def __init__(self, period: Period) -> None:
        self._day = period.start.date()
        self._end = period.end
        self.exempt: First[EvidenceRow] = First(_by_expiry)
        self.open: First[OpenInstance] = First(lambda one: (one.since, one[:3]))

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population."""
        if row.verdict is EvidenceVerdict.EXEMPT:
            self.exempt.add(row)

    def take_instance(self, instance: InstanceDay) -> None:
        """One more, of the inventory or not."""
        row, episodes = instance.row, instance.history.episodes
        if row is None or row.verdict is not EvidenceVerdict.NON_COMPLIANT:
            return
        latest = episodes[-1] if episodes and episodes[-1].is_open else None
        recorded = row.recorded
        changed = recorded.ordering_timestamp if recorded else row.capture_time
        self.open.add(
            OpenInstance(
                row.account,
                row.region,
                row.resource_id,
                latest.began if latest else max(changed or self._end, self._end),
                latest.kind if latest else None,
                recorded.reason if recorded else None,
            )
        )

    def exemption_table(self) -> Table:
        """Exempt instances, the soonest to expire first."""
        return Table(
            id="exemptions",
            caption="Exempt instances, the soonest to expire first",
            columns=[
                Column("Account"),
                Column("Region"),
                Column("Instance"),
                Column("Reason, as tagged"),
                Column("Approved by, as tagged"),
                Column("Ticket"),
                Column("Granted"),
                Column("Expires"),
                Column("Days left", numeric=True),
                Column("Age in days", numeric=True),
            ],
            rows=[self._exempt_cells(row) for row in self.exempt.kept()],
            total=self.exempt.total,
            everything="exemptions.csv",
            empty="No instance is exempt.",
        )

    def _exempt_cells(self, row: EvidenceRow) -> Sequence[Cell]:
        exemption = row.exemption
        if exemption is None:
            return [row.account, row.region, row.resource_id, "no longer in its tags", *[None] * 6]
        return [
            row.account,
            row.region,
            row.resource_id,
            exemption.reason,
            exemption.approved_by,
            exemption.ticket,
            exemption.granted.isoformat() if exemption.granted else None,
            exemption.expires.isoformat() if exemption.expires else None,
            days_left(exemption, self._day),
            age(exemption, self._day),
        ]


def _by_expiry(row: EvidenceRow) -> tuple[date, str, str, str]:
    expires = row.exemption.expires if row.exemption else None
    return expires or date.max, row.account, row.region, row.resource_id


def open_table(rows: First[OpenInstance], end: datetime) -> Table:
    """Instances that are NON_COMPLIANT by the inventory, the oldest first."""
    return Table(
        id="open",
        caption="Non-compliant instances, the longest first",
        columns=[
            Column("Account"),
            Column("Region"),
            Column("Instance"),
            Column("How it came about"),
            Column("Reason code"),
            Column("Since"),
            Column("Days", numeric=True),
        ],
        rows=[
            [
                one.account,
                one.region,
                one.resource_id,
                KINDS[one.kind] if one.kind else "After the day",
                one.reason.value if one.reason else None,
                one.since.strftime("%Y-%m-%d %H:%M"),
                max(end - one.since, timedelta(0)) // timedelta(days=1),
            ]
            for one in rows.kept()
        ],
        total=rows.total,
        everything="evaluations/",
        empty="No instance is non-compliant.",
    )


def control_table() -> Table:
    """The requirements of each framework that the rule stands for."""
    rows: list[Sequence[Cell]] = [[one.framework, one.version, one.id] for one in REQUIREMENTS]
    return Table(
        id="controls",
        caption="Requirements that this control supports",
        columns=[Column("Framework"), Column("Version"), Column("Requirement")],
        rows=rows,
        total=len(rows),
        everything="assessment-results.oscal.json",
        empty="",
    )
