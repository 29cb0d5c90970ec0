"""What is in a package: every file but manifest and signature, from what was collected for its day.

A pure function of the plan, its shards, the ledger's records and two files of the package before: run again, it
writes the same bytes. Rows are read once and one at a time; what grows with the population is kept on disk.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass

from rolecall.errors import InvalidShard
from rolecall.evidence.coverage import COVERAGE, Coverage
from rolecall.evidence.episode_book import EpisodeBook
from rolecall.evidence.episode_file import EPISODES, book_document, read_book
from rolecall.evidence.evaluations import writing_evaluations
from rolecall.evidence.exemptions import EXEMPTIONS, ExemptionRows
from rolecall.evidence.kpis import KPIS, DayFigures, kpi_document, read_trend
from rolecall.evidence.ledger import LedgerRecords
from rolecall.evidence.manifest import Period, RuleFacts, Totals
from rolecall.evidence.oscal import OSCAL, AssessmentResults
from rolecall.evidence.package_files import PackageFiles
from rolecall.evidence.plan import Plan, ShardItem
from rolecall.evidence.report import REPORT, ReportRows, report_html
from rolecall.evidence.rows import EvidenceRow
from rolecall.evidence.shards import ShardReader, shard_key
from rolecall.evidence.stores import Store


@dataclass(frozen=True, slots=True)
class Before:
    """What is carried over from the package before. Both None: this is the first one."""

    episodes: bytes | None = None
    kpis: bytes | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What was written: all that sealing asks for."""

    paths: tuple[str, ...]
    """Relative to the package's folder, sorted."""
    rule: RuleFacts
    totals: Totals


def write_contents(packages: Store, shards: Store, ledger: Store, plan: Plan, before: Before) -> Contents:
    """Write the package of the plan's day into `<day>/` of `packages`.

    `shards` holds `shards/<day>/…`, `ledger` holds `ledger/dt=<day>/…`. Raises Missing for a planned shard that is not
    there, InvalidShard for one that cannot be read, InvalidRecord for a file of the package before that cannot, and
    what the stores raise: AlreadyWritten, when other content of the same day is there.
    """
    with ExitStack() as stack:
        files = PackageFiles(packages, plan.day)
        day = _Day(stack, files, plan, LedgerRecords(ledger, plan.day), before)
        with files.writing(EXEMPTIONS) as stream:
            exemptions = ExemptionRows(stream, plan.day)
            for item in plan.shards:
                day.take_shard(shards, item, exemptions.take_row)
        day.write_documents()
    rule = RuleFacts(plan.rule_name, plan.parameters, plan.rolecall_version)
    return Contents(tuple(sorted(files.paths)), rule, day.coverage.totals)


class _Day:
    """A day while it is put together: all that looks at its rows."""

    def __init__(
        self, stack: ExitStack, files: PackageFiles, plan: Plan, records: LedgerRecords, before: Before
    ) -> None:
        self._files = files
        self._plan = plan
        self._records = records
        self._before = before
        self._period = Period.of_day(plan.day)
        self.coverage = stack.enter_context(closing(Coverage()))
        self._oscal = stack.enter_context(closing(AssessmentResults(self._period)))
        self._figures = DayFigures(plan.day)
        self._report = ReportRows(plan.day)
        self._book = EpisodeBook(self._period) if before.episodes is None else read_book(before.episodes, self._period)
        self._book.take_records(records)

    def take_shard(self, store: Store, item: ShardItem, take_exemption: Callable[[EvidenceRow], None]) -> None:
        """One account and region, from its header to its footer."""
        key = shard_key(item.day, item.account, item.region)
        takers = (
            take_exemption,
            self.coverage.take_row,
            self._oscal.take_row,
            self._figures.take_row,
            self._book.take_row,
            self._report.take_row,
        )
        with store.open(key) as stream:
            shard = ShardReader(stream, key)
            header = shard.header
            if (header.day, header.account, header.region) != (item.day, item.account, item.region):
                raise InvalidShard(key, f"it is of {header.account} in {header.region} on {header.day}")
            with writing_evaluations(self._files, item.account, item.region) as write:
                for row, line in shard.rows_and_lines():
                    write(row, line)
                    for take in takers:
                        take(row)
        self._figures.take_header(header)
        self.coverage.close_scope(header, shard.footer.unlisted if shard.footer else 0)
        self._oscal.close_scope(self.coverage.scopes[-1])
        if header.covered:
            self._book.close_scope(item.account, item.region)

    def write_documents(self) -> None:
        """Everything that is about all rows together."""
        gaps = self._plan.gaps
        trend = read_trend(self._before.kpis) if self._before.kpis is not None else ()
        kpis = kpi_document(self._period, self.coverage.totals, self._figures, self._book.episodes(), trend)
        self._files.write_json(COVERAGE, self.coverage.document(self._period, gaps, self._records))
        self._files.write_json(OSCAL, self._oscal.document(self.coverage, gaps))
        self._files.write_json(EPISODES, book_document(self._book, self._period))
        self._files.write_json(KPIS, kpis)
        with self._files.writing(REPORT) as stream:
            stream.write(report_html(self._plan, self.coverage, self._report, self._book.episodes(), kpis).encode())
