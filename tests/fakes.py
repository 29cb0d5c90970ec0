"""Stand-ins for the rule's surroundings that keep state and hold AWS's limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rolecall.errors import EvaluationsRejected, RecordsRejected, RolecallError, ServiceError
from rolecall.events import Invocation
from rolecall.items import configuration_item
from rolecall.model import EVALUATIONS_PER_CALL, ComplianceType, ConfigurationItem, Evaluation, Reason
from rolecall.recorded_results import RecordedResult, recorded_reason


def nothing_happens(_operation: str) -> None:
    """What comes before a call, as a rule."""


class FakeConfig:
    """AWS Config as `responding.Config` sees it, with what was put, in calls, and what it has recorded.

    Where AWS documents nothing, results behave as its own samples need it: an evaluation older than what is recorded
    changes nothing, one of the same time does, and NOT_APPLICABLE removes the result, unless such results are kept.
    """

    PAGE = 2
    """Few, so that much can happen between two pages."""

    def __init__(self, rows: Sequence[object] = (), items: Sequence[ConfigurationItem] = ()) -> None:
        self.rows = rows
        self.items = {(item.resource_id, item.capture_time): item for item in items}
        self.newest: dict[str, object] = {}
        """The newest item by resource id, of any shape; for others it is what the row says."""
        self.recorded: dict[str, RecordedResult] = {}
        self.keeps_not_applicable = False
        """Whether NOT_APPLICABLE results stay, and are returned: AWS's documentation does not tell."""
        self.calls: list[tuple[list[Evaluation], str, bool]] = []
        self.fetched = 0
        self.confirmed: list[str] = []
        """Ids of the resources whose newest item was asked for."""
        self.asked_rules: list[str] = []
        self.rejects: set[str] = set()
        """Ids of resources whose evaluation is left in FailedEvaluations for ever."""
        self.listing_error: RolecallError | None = None
        """Raised by the listing once its rows are given."""
        self.before: Callable[[str], None] = nothing_happens
        """Told of every call, and of every further page; whatever it raises is that call's error."""

    def put(self, evaluations: Sequence[Evaluation], result_token: str, *, test_mode: bool = False) -> None:
        """Keep the call, unless it breaks a limit, and record what is not rejected."""
        self.before("PutEvaluations")
        assert 1 <= len(evaluations) <= EVALUATIONS_PER_CALL
        assert len({one.item.resource_id for one in evaluations}) == len(evaluations)
        self.calls.append((list(evaluations), result_token, test_mode))
        rejected = [one for one in evaluations if one.item.resource_id in self.rejects]
        for one in evaluations:
            if one not in rejected and not test_mode:
                self.record(one)
        if rejected:
            raise EvaluationsRejected(
                [
                    {"ComplianceResourceId": one.item.resource_id, "ComplianceType": one.compliance_type.value}
                    for one in rejected
                ]
            )

    def record(self, evaluation: Evaluation) -> bool:
        """Take one evaluation, as its ordering timestamp allows. False if it is too old."""
        resource_id = evaluation.item.resource_id
        known = self.recorded.get(resource_id)
        if known and known.ordering_timestamp > evaluation.ordering_timestamp:
            return False
        if evaluation.compliance_type is ComplianceType.NOT_APPLICABLE and not self.keeps_not_applicable:
            self.recorded.pop(resource_id, None)
        else:
            self.recorded[resource_id] = RecordedResult(
                evaluation.item.resource_type,
                resource_id,
                evaluation.compliance_type.value,
                evaluation.annotation,
                evaluation.ordering_timestamp,
            )
        return True

    def item_announced_by(self, summary: ConfigurationItem) -> ConfigurationItem:
        """The item with the summary's id and capture time."""
        self.before("GetResourceConfigHistory")
        self.fetched += 1
        return self.items[summary.resource_id, summary.capture_time]

    def newest_item(self, resource_type: str, resource_id: str) -> ConfigurationItem:
        """The newest item, unless the resource is unknown."""
        self.before("GetResourceConfigHistory")
        self.confirmed.append(resource_id)
        listed = (row for row in self.rows if isinstance(row, dict) and row.get("resourceId") == resource_id)
        newest = self.newest.get(resource_id) or next(listed, None)
        if newest is None:
            raise ServiceError(
                "GetResourceConfigHistory",
                "ResourceNotDiscoveredException",
                f"Resource {resource_id} of resourceType:{resource_type} is unknown or has not been discovered",
            )
        return configuration_item(newest)

    def instance_rows(self) -> Iterator[object]:
        """The rows, then the error if there is one."""
        self.before("SelectResourceConfig")
        for number, row in enumerate(self.rows, 1):
            yield row
            if number % self.PAGE == 0:
                self.before("SelectResourceConfig")
        if self.listing_error:
            raise self.listing_error

    def recorded_results(self, rule_name: str) -> Iterator[RecordedResult]:
        """The results as they are when the first page is read."""
        self.asked_rules.append(rule_name)
        self.before("GetComplianceDetailsByConfigRule")
        for number, result in enumerate(list(self.recorded.values()), 1):
            yield result
            if number % self.PAGE == 0:
                self.before("GetComplianceDetailsByConfigRule")

    @property
    def verdicts(self) -> dict[str, Reason]:
        """What was put last for each resource."""
        return {one.item.resource_id: one.reason for evaluations, _, _ in self.calls for one in evaluations}

    @property
    def results(self) -> dict[str, Reason | None]:
        """What is recorded of each resource, as anybody is shown it: without NOT_APPLICABLE."""
        return {
            resource_id: recorded_reason(one.compliance_type, one.annotation)
            for resource_id, one in self.recorded.items()
            if one.compliance_type != ComplianceType.NOT_APPLICABLE
        }


class FakeBus:
    """An evaluations bus that keeps records, or refuses them."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.refuses: set[str] = set()
        """Ids of resources whose record is refused."""
        self.before: Callable[[str], None] = nothing_happens

    def publish(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is not refused."""
        self.before("PutEvents")
        refused = [record["resourceId"] for record in records if record["resourceId"] in self.refuses]
        self.records.extend(record for record in records if record["resourceId"] not in self.refuses)
        if refused:
            raise RecordsRejected("evaluations", [(resource_id, "InternalFailure") for resource_id in refused])


class Run(NamedTuple):
    """What telemetry is told of a sweep."""

    repaired: dict[tuple[ComplianceType, Reason], int]
    seen: int
    differences: int
    completed: bool


class FakeTelemetry:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.evaluations: list[Evaluation] = []
        self.problems: list[RolecallError] = []
        self.runs: list[Run] = []

    def invoked(self, invocation: Invocation) -> None:
        """Keep it."""
        self.invocations.append(invocation)

    def evaluated(self, evaluation: Evaluation) -> None:
        """Keep it."""
        self.evaluations.append(evaluation)

    def problem(self, error: RolecallError) -> None:
        """Keep it."""
        self.problems.append(error)

    def swept(
        self, repaired: Mapping[tuple[ComplianceType, Reason], int], *, seen: int, differences: int, completed: bool
    ) -> None:
        """Keep it."""
        self.runs.append(Run(dict(repaired), seen, differences, completed))
