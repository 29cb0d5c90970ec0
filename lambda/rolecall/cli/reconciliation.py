"""One run of `rolecall findings reconcile`: compare scope by scope, and publish what mends the differences."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TextIO

from rolecall.cli.difference_rows import FOUND, PUBLISHED, SKIPPED, Row, row_of
from rolecall.cli.screen import ProgressBar, complain, console, say
from rolecall.errors import AwsError, HubNotEnabled, InvalidInput, RecordsRejected, counted
from rolecall.events import Invocation, RuleIdentity, ScheduledNotification
from rolecall.findings.identity import generator_id
from rolecall.findings.mending import Mender
from rolecall.findings.reconciling import Discrepancy, Unjudged, differences, unproven_place
from rolecall.findings.shown import Place, ShownFindings
from rolecall.items import partition_of
from rolecall.model import ConfigurationItem, Evaluation, Source
from rolecall.parameters import RuleParameters
from rolecall.record import REFRESH, evaluation_record
from rolecall.recorded_results import RecordedResult

_AT_ONCE = 100
"""Records that are published together."""

NOT_THERE = "the aggregator shows no result of the rule there; reconcile that account and region by itself"


class Listing(Protocol):
    """What `aws.reconciled.Listing` says; it is named here without importing it, as boto3 loads slowly."""

    @property
    def place(self) -> Place:
        """The account and region of a copy of the rule."""

    @property
    def rule_name(self) -> str:
        """As AWS Config knows it."""

    @property
    def rule_arn(self) -> str | None:
        """None where nobody tells."""

    @property
    def unproven(self) -> str:
        """Why the results may not be all."""

    @property
    def results(self) -> Callable[[], Iterator[RecordedResult]]:
        """Reads them."""


class Scope(Protocol):
    """What `aws.reconciled.OneRegion` and `Organization` offer."""

    lag: timedelta

    @property
    def name(self) -> str:
        """As people are told."""

    def own_rule_name(self) -> str:
        """Without what a conformance pack adds."""

    def parameters(self) -> RuleParameters:
        """The rule's."""

    def unreadable(self) -> Iterator[tuple[Place, str]]:
        """Places of which nobody knows what is there now, and why."""

    def listings(self) -> Iterator[Listing]:
        """Every copy of the rule."""

    def findings(self) -> Iterator[Mapping[str, Any]]:
        """The rule's active findings."""

    def instance_rows(self) -> Iterator[object]:
        """Every instance."""

    def newest_item(self, resource_id: str) -> ConfigurationItem | None:
        """The newest item of one."""


class Bus(Protocol):
    """What `aws.evaluations_bus.EvaluationsBus` offers."""

    def publish(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Send every record."""


@dataclass(slots=True)
class Reconciliation:
    """Compares any number of scopes. `bus` is None where nothing is to be changed."""

    bus: Bus | None
    now: datetime
    bar: ProgressBar
    rows: list[Row] = field(default_factory=list)
    """One for each difference, and for what could not be judged."""
    problems: int = 0
    """What could not be looked at."""
    _active: int = 0
    _compared_scopes: int = 0
    _off: list[str] = field(default_factory=list)
    """Scopes without Security Hub."""
    _rules: dict[Place, RuleIdentity] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Differences that nothing was published for."""
        return sum(row["outcome"] == FOUND or self._is_skipped(row) for row in self.rows)

    def reconcile(self, scope: Scope) -> None:
        """Compare one scope, and mend it. What cannot be read is said, and does not stop other scopes."""
        found: list[Discrepancy] = []
        with self._named(scope.name):
            self.bar.describe(f"Security Hub: {scope.name}")
            shown = ShownFindings(generator_id(scope.own_rule_name()), self._counted(scope.findings()))
            self._active += len(shown)
            self._say_foreign(shown)
            self.bar.describe(f"AWS Config: {scope.name}")
            for place, why in scope.unreadable():
                self._problem(f"{place}: {why}")
            for listing in scope.listings():
                found += self._compared(listing, shown, scope.lag)
            for place in shown.places():
                self._note(unproven_place(place, shown, NOT_THERE))
            self._compared_scopes += 1
        self._mend(scope, found)

    def _compared(self, listing: Listing, shown: ShownFindings, lag: timedelta) -> list[Discrepancy]:
        place = listing.place
        self._rules[place] = RuleIdentity(
            listing.rule_name, listing.rule_arn or shown.rule_arn(place) or _some_rule_of(place), place.account
        )
        found: list[Discrepancy] = []
        try:
            compared = differences(
                place,
                self._counted(listing.results()),
                shown,
                settled_before=self.now - lag,
                unproven=listing.unproven,
            )
            for one in compared:
                if isinstance(one, Discrepancy):
                    found.append(one)
                else:
                    self._note([one])
        except AwsError as error:
            self._problem(f"{place}: {error}")
            self._note(unproven_place(place, shown, "reading them failed"))
        return found

    def _mend(self, scope: Scope, found: Sequence[Discrepancy]) -> None:
        if self.bus is None or not found:
            self.rows += map(row_of, found)
            return
        waiting = {(one.place, one.resource_id): one for one in found}
        with self._named(scope.name):
            self.bar.describe(f"Mending: {scope.name}")
            parameters = scope.parameters()
            batch: list[tuple[Discrepancy, Evaluation]] = []
            mender = Mender(parameters, self.now, scope.newest_item)
            for discrepancy, verdict in mender.verdicts(found, scope.instance_rows()):
                self.bar.advance(1)
                del waiting[discrepancy.place, discrepancy.resource_id]
                if isinstance(verdict, str):
                    self.rows.append(row_of(discrepancy, SKIPPED, verdict))
                else:
                    batch.append((discrepancy, verdict))
                if len(batch) == _AT_ONCE:
                    self._publish(batch, parameters)
                    batch = []
            self._publish(batch, parameters)
        self.rows += [row_of(one, SKIPPED, "not reached") for one in waiting.values()]

    def _publish(self, batch: Sequence[tuple[Discrepancy, Evaluation]], parameters: RuleParameters) -> None:
        if not batch or self.bus is None:
            return
        refused: dict[str, str] = {}
        try:
            self.bus.publish([self._record(one.place, evaluation, parameters) for one, evaluation in batch])
        except RecordsRejected as rejected:
            refused = dict(rejected.failed)
            self._problem(str(rejected))
        except AwsError as error:
            refused = {one.resource_id: str(error) for one, _ in batch}
            self._problem(str(error))
        for one, _ in batch:
            why = refused.get(one.resource_id)
            self.rows.append(row_of(one, SKIPPED if why else PUBLISHED, why))

    def _record(self, place: Place, evaluation: Evaluation, parameters: RuleParameters) -> dict[str, Any]:
        # Nothing invoked us: the time of the run makes the records of two runs different ones.
        invocation = Invocation(self._rules[place], parameters, "", ScheduledNotification(), self.now, "")
        return evaluation_record(evaluation, invocation, Source.RECONCILE, kind=REFRESH)

    def _note(self, unjudged: Iterable[Unjudged | Discrepancy]) -> None:
        for one in unjudged:
            self.rows.append(row_of(one))
            if isinstance(one, Unjudged) and one.resource_id is None:
                self.problems += 1

    def _problem(self, message: str) -> None:
        self.bar.hide()
        complain(message)
        self.problems += 1

    @contextmanager
    def _named(self, scope: str) -> Iterator[None]:
        try:
            yield
        except (AwsError, InvalidInput) as error:
            self._problem(f"{scope}: {error}")
            if isinstance(error, HubNotEnabled):
                self._off.append(scope)

    def _say_foreign(self, shown: ShownFindings) -> None:
        if shown.foreign_count:
            were, are = ("was", "is") if shown.foreign_count == 1 else ("were", "are")
            left = shown.foreign_count - len(shown.foreign)
            self.bar.hide()
            say(
                f"{counted(shown.foreign_count, 'active finding')} with rolecall's GeneratorId {were} not made by "
                f"rolecall, and {are} left alone: {', '.join(shown.foreign)}{f' and {left:,} more' if left else ''}"
            )

    def _counted(self, listed: Iterable[Any]) -> Iterator[Any]:
        for one in listed:
            self.bar.advance(1)
            yield one

    @staticmethod
    def _is_skipped(row: Row) -> bool:
        return row["outcome"] == SKIPPED and row["difference"] != "unjudged"

    def summarize(self, output: TextIO) -> None:
        """Say how many differ, and what became of them."""
        kinds = Counter(row["difference"] for row in self.rows)
        outcomes = Counter(row["outcome"] for row in self.rows if row["difference"] != "unjudged")
        differing = kinds.total() - kinds["unjudged"]
        parts = [f"{kinds[kind]:,} {kind}" for kind in ("missing", "stale", "orphaned") if kinds[kind]]
        kept = f": {', '.join(parts)}" if parts else ""
        noun, verb = ("finding", "differs") if differing == 1 else ("findings", "differ")
        there = f"{self._active:,} {'is' if self._active == 1 else 'are'} active in Security Hub"
        out = console(output)
        for scope in self._off:
            out.print(f"Security Hub is off in {scope}: nothing could be compared there.")
        if not self._compared_scopes and not self.rows:
            out.print("Nothing was compared.")
            return
        out.print(f"{differing:,} {noun} {verb} from what AWS Config recorded{kept}; {there}.")
        if kinds["unjudged"]:
            out.print(f"{kinds['unjudged']:,} could not be judged.")
        if self.bus is not None and differing:
            skipped = f", {outcomes[SKIPPED]:,} skipped" if outcomes[SKIPPED] else ""
            mends = " The findings function mends what was published." if outcomes[PUBLISHED] else ""
            out.print(f"{outcomes[PUBLISHED]:,} published{skipped}.{mends}")


def _some_rule_of(place: Place) -> str:
    """An ARN without the id that nobody told: read_record needs one, and a finding shows it."""
    return f"arn:{partition_of(None, place.region)}:config:{place.region}:{place.account}:config-rule/*"
