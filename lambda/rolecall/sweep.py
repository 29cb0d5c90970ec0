"""The sweep, which answers a ScheduledNotification: put what Config's recorded results lack, and nothing else.

A listing only nominates, because inventories lag behind changes:

    listed, without a recorded result       put from its row, at the row's capture time
    listed, and its result differs          confirmed by its newest item
    recorded, but not listed any more       likewise: gone is what its newest item calls so, never a missing row
    recorded as NOT_APPLICABLE              never a difference if it is not listed, or NOT_APPLICABLE for any reason

What still differs is put at the later of that item's capture time and a millisecond after what is recorded, so that it
replaces the recorded result, but never one that a change brings meanwhile. Two results differ when their type or their
reason code does. A difference is published before it is put: a retry finds again whatever was not put.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from rolecall.errors import (
    EvaluationsRejected,
    IncompleteRun,
    InvalidItem,
    RecordsRejected,
    ResultNotConfirmed,
    RolecallError,
    ServiceError,
)
from rolecall.items import configuration_item
from rolecall.model import (
    EVALUATIONS_PER_CALL,
    INSTANCE_TYPE,
    ComplianceType,
    ConfigurationItem,
    Evaluation,
    Reason,
    Source,
)
from rolecall.record import REFRESH, VERDICT, evaluation_record
from rolecall.recorded_results import Known, RecordedResults
from rolecall.rule import evaluate

if TYPE_CHECKING:
    from rolecall.events import Invocation
    from rolecall.responding import Bus, Config, Telemetry

REFRESH_DAYS = 30
"""An unchanged finding is told again once in so many days, so that consumers which forget do not."""

_MILLISECOND = timedelta(milliseconds=1)


def refresh_is_due(resource_id: str, now: datetime) -> bool:
    """Whether `now` is the one day in 30 on which this resource is told again; ids spread evenly over the days."""
    digest = hashlib.sha256(resource_id.encode(errors="replace")).digest()
    return (int.from_bytes(digest[:8]) - now.astimezone(UTC).toordinal()) % REFRESH_DAYS == 0


class Outcome(Enum):
    """What is to be done about a resource."""

    DIFFERS = auto()
    """Publish the verdict, then put it."""
    REFRESH = auto()
    """Publish that the verdict still holds."""
    UNCHANGED = auto()
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a sweep found out about one resource. The ordering timestamp is the one to put, or the one recorded."""

    outcome: Outcome
    evaluation: Evaluation


class Sweep:
    """Compares; puts and publishes nothing. Each of `findings` is one resource, or what keeps it from being judged."""

    def __init__(self, config: "Config", judge: Callable[[ConfigurationItem], Evaluation]) -> None:
        self._config = config
        self._judge = judge
        self._recorded = RecordedResults(())

    def findings(self, rule_name: str) -> Iterator[Finding | RolecallError]:
        """One for each resource that is listed or recorded, found when it is asked for.

        Raises ServiceError and OutOfTime when a listing is cut short or the time is over.
        """
        self._recorded = RecordedResults(self._config.recorded_results(rule_name))
        for row in self._config.instance_rows():
            found = self._listed(row)
            if found:
                yield found
        for resource_type, resource_id, known in self._recorded.unlisted():
            yield self._confirmed(resource_type, resource_id, known)

    def _listed(self, row: object) -> Finding | RolecallError | None:
        try:
            evaluation = self._judge(configuration_item(row))
        except InvalidItem as unjudged:
            if unjudged.resource:
                self._recorded.note_listed(INSTANCE_TYPE, unjudged.resource)
            return unjudged
        item = evaluation.item
        known = self._recorded.known(item.resource_type, item.resource_id)
        if not self._recorded.note_listed(item.resource_type, item.resource_id):
            return None
        if known is None:
            # Config cleans NOT_APPLICABLE up by itself: it is worth a put only where it replaces something.
            recordable = evaluation.compliance_type is not ComplianceType.NOT_APPLICABLE
            return Finding(Outcome.DIFFERS if recordable else Outcome.UNCHANGED, evaluation)
        if known.agrees_with(evaluation.reason):
            return _unchanged(evaluation, known)
        return self._confirmed(item.resource_type, item.resource_id, known)

    def _confirmed(self, resource_type: str, resource_id: str, known: Known) -> Finding | RolecallError:
        try:
            evaluation = self._judge(self._config.newest_item(resource_type, resource_id))
        except InvalidItem as unjudged:
            return unjudged
        except ServiceError as error:
            return ResultNotConfirmed(resource_type, resource_id, error)
        if known.agrees_with(evaluation.reason):
            return _unchanged(evaluation, known)
        ordering = max(evaluation.ordering_timestamp, known.ordering_timestamp + _MILLISECOND)
        return Finding(Outcome.DIFFERS, replace(evaluation, ordering_timestamp=ordering))


def _unchanged(evaluation: Evaluation, known: Known) -> Finding:
    telling = evaluation.compliance_type is ComplianceType.NON_COMPLIANT or evaluation.reason is Reason.EXEMPT
    if telling and refresh_is_due(evaluation.item.resource_id, evaluation.evaluated_at):
        return Finding(Outcome.REFRESH, replace(evaluation, ordering_timestamp=known.ordering_timestamp))
    return Finding(Outcome.UNCHANGED, evaluation)


class SweepRun:
    """Answers one ScheduledNotification: publishes and puts what a sweep finds, up to 100 resources at a time.

    What was found is put even when the run is cut short, so that every run leaves less to the next.
    """

    def __init__(
        self,
        invocation: "Invocation",
        config: "Config",
        bus: "Bus | None",
        telemetry: "Telemetry",
        now: Callable[[], datetime],
    ) -> None:
        self._invocation = invocation
        self._config = config
        # In test mode Config stores nothing, so there is no verdict to tell anybody.
        self._bus = None if invocation.test_mode else bus
        self._telemetry = telemetry
        self._now = now
        self._waiting: list[Finding] = []
        self._seen = 0
        self._differences = 0
        self._repaired: Counter[tuple[ComplianceType, Reason]] = Counter()
        self._problems: list[RolecallError] = []
        self._problem_count = 0

    def run(self) -> None:
        """Raises IncompleteRun when something could not be judged or reported, and whatever cuts the run short."""
        completed = False
        try:
            try:
                for finding in Sweep(self._config, self._judge).findings(self._invocation.rule.name):
                    self._take(finding)
            finally:
                self._report()
            completed = not self._problem_count
        finally:
            self._telemetry.swept(self._repaired, seen=self._seen, differences=self._differences, completed=completed)
        if not completed:
            raise IncompleteRun(self._problems, self._problem_count)

    def _judge(self, item: ConfigurationItem) -> Evaluation:
        return evaluate(item, self._invocation.parameters, self._now())

    def _take(self, finding: Finding | RolecallError) -> None:
        self._seen += 1
        if isinstance(finding, RolecallError):
            self._problem(finding)
        elif finding.outcome is not Outcome.UNCHANGED:
            self._differences += finding.outcome is Outcome.DIFFERS
            self._waiting.append(finding)
            if len(self._waiting) == EVALUATIONS_PER_CALL:
                self._report()

    def _report(self) -> None:
        waiting, self._waiting = self._waiting, []
        refused = self._publish(waiting)
        differences = [one.evaluation for one in waiting if one.outcome is Outcome.DIFFERS]
        # What was not published is not put, or no later run would find a difference to publish.
        self._put([one for one in differences if one.item.resource_id not in refused])

    def _publish(self, findings: Sequence[Finding]) -> set[str]:
        """The ids of the resources whose record was refused."""
        if not self._bus or not findings:
            return set()
        try:
            self._bus.publish([self._record(finding) for finding in findings])
        except RecordsRejected as rejected:
            self._problem(rejected)
            return {resource_id for resource_id, _ in rejected.failed}
        return set()

    def _record(self, finding: Finding) -> dict[str, object]:
        kind = VERDICT if finding.outcome is Outcome.DIFFERS else REFRESH
        return evaluation_record(finding.evaluation, self._invocation, Source.SWEEP, kind=kind)

    def _put(self, evaluations: Sequence[Evaluation]) -> None:
        if not evaluations:
            return
        failed: set[object] = set()
        try:
            self._config.put(evaluations, self._invocation.result_token, test_mode=self._invocation.test_mode)
        except EvaluationsRejected as rejected:
            self._problem(rejected)
            failed = {one.get("ComplianceResourceId") for one in rejected.failed}
        self._repaired.update(
            (one.compliance_type, one.reason) for one in evaluations if one.item.resource_id not in failed
        )

    def _problem(self, error: RolecallError) -> None:
        self._telemetry.problem(error)
        self._problem_count += 1
        if len(self._problems) < IncompleteRun.NAMED:
            self._problems.append(error)
