"""What is in a package: every file but manifest and signature, from what was collected for its day.

A pure function of the plan, its shards, the ledger's records and what goes on from the package before: run again, it
makes the same bytes. Rows are read once and one at a time; what grows with the population is kept on disk.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

from rolecall.errors import InvalidShard, NotSealed
from rolecall.evidence.carried import Carried
from rolecall.evidence.coverage import COVERAGE, Coverage
from rolecall.evidence.day_verdicts import DayVerdicts
from rolecall.evidence.episode_day import InstanceDay, ScopeDay
from rolecall.evidence.episode_file import EPISODES, episodes_path, read_episodes, scope_of, write_episodes
from rolecall.evidence.evaluations import EVALUATIONS, writing_evaluations
from rolecall.evidence.exemptions import EXEMPTIONS, ExemptionRows
from rolecall.evidence.kpis import KPIS, DayFigures, kpi_document, read_trend
from rolecall.evidence.ledger import LedgerRecords
from rolecall.evidence.manifest import PackagedFile, Period, RuleFacts, Totals
from rolecall.evidence.oscal import OSCAL, AssessmentResults
from rolecall.evidence.package_files import PackageFiles
from rolecall.evidence.plan import Plan, ShardItem
from rolecall.evidence.report import REPORT, ReportRows, report_html
from rolecall.evidence.rows import EvidenceRow
from rolecall.evidence.shards import ShardReader, shard_key
from rolecall.evidence.side_by_side import side_by_side
from rolecall.evidence.stores import Store, fetched

TakeRow = Callable[[EvidenceRow], None]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was written: all that sealing asks for."""

    files: tuple[PackagedFile, ...]
    """Sorted by path."""
    rule: RuleFacts
    totals: Totals


def write_contents(  # noqa: PLR0913 - one argument for each thing that a package is made of
    packages: Store,
    shards: Store,
    ledger: LedgerRecords,
    plan: Plan,
    before: Carried | None,
    *,
    announce: Callable[[], None] = lambda: None,
) -> Contents:
    """Write the package of the plan's day into `<day>/` of `packages`, once all of it is made.

    `shards` holds `shards/<day>/…`; `before` is None for the first package ever; `announce` is called before the first
    file is put, if any is not there yet. Raises Missing for a planned shard that is not there, InvalidShard for one
    that cannot be read, Damaged and InvalidRecord for a file of the package before that cannot, NotSealed for one that
    is not what was signed, Occupied when other content of the same day is there, and what the stores raise.
    """
    with ExitStack() as stack:
        files = stack.enter_context(closing(PackageFiles()))
        day = _Day(stack, files, plan, ledger, before)
        with files.writing(EXEMPTIONS) as stream:
            exemptions = ExemptionRows(stream, plan.day)
            fetching = side_by_side(day.fetched_from(shards), plan.shards, shards.at_once, _close)
            with closing(fetching):
                for found in fetching:
                    with closing(found):
                        day.take_shard(found, exemptions.take_row)
        day.carry_on()
        day.write_documents()
        stored = files.stored_in(packages, plan.day, announce)
    rule = RuleFacts(plan.rule_name, plan.parameters, plan.rolecall_version)
    return Contents(stored, rule, day.coverage.totals)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What a place is made of: its shard, and its episodes up to the day before."""

    item: ShardItem
    key: str
    """Of the shard."""
    shard: BinaryIO
    episodes: BinaryIO | None
    close: Callable[[], None]
    """Both."""


def _close(found: _Fetched) -> None:
    found.close()


class _Day:
    """A day while it is put together: all that looks at its rows and episodes."""

    def __init__(
        self, stack: ExitStack, files: PackageFiles, plan: Plan, ledger: LedgerRecords, before: Carried | None
    ) -> None:
        self._files = files
        self._plan = plan
        self._ledger = ledger
        self._before = before
        self._period = Period.of_day(plan.day)
        self.coverage = stack.enter_context(closing(Coverage()))
        self._oscal = stack.enter_context(closing(AssessmentResults(self._period)))
        self._figures = stack.enter_context(closing(DayFigures(self._period)))
        self._report = ReportRows(self._period)
        self._verdicts = stack.enter_context(closing(DayVerdicts(plan.rule_name, self._period)))
        self._verdicts.add(ledger)
        if before and before.paths(EVALUATIONS) and not before.paths(EPISODES):
            raise NotSealed(f"{plan.day}", "the package before it has no episodes that this version could carry on")

    def fetched_from(self, store: Store) -> Callable[[ShardItem], _Fetched]:
        """What has a shard, and the episodes of the day before, brought here; many at once if the store wants that."""

        def fetch(item: ShardItem) -> _Fetched:
            key, path = shard_key(item.day, item.account, item.region), episodes_path(item.account, item.region)
            with ExitStack() as opened:
                shard = opened.enter_context(store.open(key) if store.at_once == 1 else fetched(store, key)[0])
                episodes = None
                if self._before and path in self._before:
                    episodes = opened.enter_context(self._before.open(path))
                return _Fetched(item, key, shard, episodes, opened.pop_all().close)

        return fetch

    def take_shard(self, found: _Fetched, take_exemption: TakeRow) -> None:
        """One account and region, from its header to its footer."""
        item = found.item
        shard = ShardReader(found.shard, found.key)
        header = shard.header
        if (header.day, header.account, header.region) != (item.day, item.account, item.region):
            raise InvalidShard(found.key, f"it is of {header.account} in {header.region} on {header.day}")
        rows = self._rows(shard, take_exemption)
        self._write_episodes(item.account, item.region, found.episodes, rows, covered=header.covered)
        self._figures.take_header(header)
        self.coverage.close_scope(header, shard.footer.unlisted if shard.footer else 0)
        self._oscal.close_scope(self.coverage.scopes[-1])

    def _rows(self, shard: ShardReader, take_exemption: TakeRow) -> Iterator[EvidenceRow]:
        """Every row, once all others have looked at it."""
        takers = (
            take_exemption,
            self.coverage.take_row,
            self._oscal.take_row,
            self._figures.take_row,
            self._report.take_row,
        )
        with writing_evaluations(self._files, shard.header.account, shard.header.region) as write:
            for row, line in shard.rows_and_lines():
                write(row, line)
                for take in takers:
                    take(row)
                yield row

    def carry_on(self) -> None:
        """What is known of accounts and regions that the plan does not have (any more): nobody looked there."""
        planned = {(item.account, item.region) for item in self._plan.shards}
        carried = self._before.paths(EPISODES) if self._before else []
        others = {scope_of(path) for path in carried}.union(self._verdicts.scopes()) - planned
        for account, region in sorted(others):
            path = episodes_path(account, region)
            with self._before.open(path) if self._before and path in carried else nullcontext() as before:
                self._write_episodes(account, region, before, (), covered=False)

    def _write_episodes(
        self, account: str, region: str, before: BinaryIO | None, rows: Iterable[EvidenceRow], *, covered: bool
    ) -> None:
        scope = ScopeDay(account, region, self._plan.rule_name, self._period, covered)
        path = episodes_path(account, region)
        with self._files.writing(path) as stream:
            known = read_episodes(before, path) if before else ()
            instances = scope.instances(known, self._verdicts.of(account, region), rows)
            write_episodes(stream, scope, instances, self._take_instance)

    def _take_instance(self, instance: InstanceDay) -> None:
        self._figures.take_history(instance.history)
        self._report.take_instance(instance)

    def _trend(self) -> Sequence[Mapping[str, Any]]:
        if self._before is None:
            return ()
        with self._before.open(KPIS) as stream:
            return read_trend(stream.read())

    def write_documents(self) -> None:
        """Everything that is about all rows together."""
        gaps = self._plan.gaps
        kpis = kpi_document(self._period, self.coverage.totals, self._figures, self._trend())
        self._files.write_json(COVERAGE, self.coverage.document(self._period, gaps, self._ledger, self._verdicts))
        self._files.write_json(OSCAL, self._oscal.document(self.coverage, gaps))
        self._files.write_json(KPIS, kpis)
        with self._files.writing(REPORT) as stream:
            stream.write(report_html(self._plan, self.coverage, self._report, kpis).encode())
