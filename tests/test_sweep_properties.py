from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rolecall.errors import AwsError, IncompleteRun, InvalidItem, OutOfTime, RolecallError, ServiceError
from rolecall.items import configuration_item
from rolecall.model import ComplianceType, Evaluation, Reason
from rolecall.parameters import parse_parameters
from rolecall.responding import Responder
from rolecall.rule import evaluate
from tests.builders import (
    ABSENT,
    NOW,
    PROFILE_ARN,
    TAGS,
    Json,
    api_item,
    change_event,
    exemption_tags,
    iso,
    item_summary,
    notification_item,
    oversized_event,
    query_row,
    scheduled_event,
)
from tests.fakes import FakeBus, FakeConfig, FakeTelemetry, nothing_happens

SWEEPING = "the token of a sweep"
CHANGING = "the token of a change"
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Looks:
    """What an item says of its instance; gone once its status says so."""

    status: str = "OK"
    state: str = "running"
    profile: str | None = None
    exempt_days: int | None = None
    """Days that the exemption runs on from the item's day; 0: it ends that very day."""

    @property
    def gone(self) -> bool:
        """Whether inventories forget the instance."""
        return self.status != "OK"

    @property
    def judgeable(self) -> bool:
        """Whether the rule knows the state."""
        return self.gone or self.state != "asleep"


@dataclass(frozen=True)
class Item:
    """One entry of an instance's history."""

    resource_id: str
    captured: datetime
    looks: Looks

    def _common(self) -> Json:
        looks = self.looks
        tags = TAGS
        if looks.exempt_days is not None:
            tags = exemption_tags(expires=f"{self.captured + timedelta(days=looks.exempt_days):%Y-%m-%d}")
        return {"state": looks.state, "profile": looks.profile, "tags": tags, "resourceId": self.resource_id}

    def notification(self) -> Json:
        """As an event carries it."""
        gone: Json = {"configuration": None, "tags": {}} if self.looks.gone else {}
        common = {name: value for name, value in self._common().items() if name not in gone}
        return notification_item(
            **common, **gone, configurationItemStatus=self.looks.status, configurationItemCaptureTime=iso(self.captured)
        )

    def summary(self) -> Json:
        """As an oversized event carries it."""
        return item_summary(
            resourceId=self.resource_id,
            configurationItemStatus=self.looks.status,
            configurationItemCaptureTime=iso(self.captured),
        )

    def historic(self) -> Json:
        """As GetResourceConfigHistory gives it."""
        gone: Json = {"configuration": ABSENT} if self.looks.gone else {}
        return api_item(
            **self._common(),
            **gone,
            configurationItemStatus=self.looks.status,
            configurationItemCaptureTime=self.captured,
        )

    def row(self) -> Json:
        """As SelectResourceConfig gives it."""
        return query_row(**self._common(), configurationItemCaptureTime=iso(self.captured))


class StrictConfig(FakeConfig):
    """Holds every put against the true history, and against what was published and recorded before."""

    def __init__(self, world: "SweptAccount") -> None:
        super().__init__()
        self._world = world
        self._captured: dict[str, datetime] = {}
        """When the item was captured on which the recorded result rests."""

    def put(self, evaluations: Sequence[Evaluation], result_token: str, *, test_mode: bool = False) -> None:
        """What a sweep puts is true of an item that there is, is published, and comes after what it replaces."""
        if result_token == SWEEPING:
            for one in evaluations:
                self._check_swept(one)
        super().put(evaluations, result_token, test_mode=test_mode)

    def _check_swept(self, one: Evaluation) -> None:
        resource_id = one.item.resource_id
        items = {item.captured: item for item in self._world.history[resource_id]}
        # So nothing is erased because it was not listed: gone is what an item calls so.
        assert one.reason is self._world.true_reason(items[one.item.capture_time], one.evaluated_at)
        assert (resource_id, one.reason, iso(one.ordering_timestamp)) in self._world.published
        known = self._world.read_by_sweep.get(resource_id)
        if known:
            assert one.ordering_timestamp == max(one.item.capture_time, known + MILLISECOND)
        else:
            assert one.ordering_timestamp == one.item.capture_time
            assert one.compliance_type is not ComplianceType.NOT_APPLICABLE

    def record(self, evaluation: Evaluation) -> bool:
        """No result ever rests on an older item than the one that it replaces."""
        resource_id, captured = evaluation.item.resource_id, evaluation.item.capture_time
        if not super().record(evaluation):
            return False
        if resource_id in self._captured:
            assert captured >= self._captured[resource_id]
        if evaluation.compliance_type is ComplianceType.NOT_APPLICABLE and not self.keeps_not_applicable:
            self._captured.pop(resource_id, None)
        else:
            self._captured[resource_id] = captured
        return True


whichever = st.integers(0, 3)
"""Some instance, or some event: taken modulo how many there are."""

looks = st.builds(
    Looks,
    state=st.sampled_from([*["running"] * 6, "stopped", "stopped", "terminated", "asleep"]),
    profile=st.sampled_from([None, None, PROFILE_ARN]),
    exempt_days=st.none() | st.integers(-1, 3),
)

gone = st.sampled_from(["ResourceDeleted", "ResourceDeleted", "ResourceNotRecorded"]).map(Looks)

calls = st.integers(0, 14)
"""A call of a sweep, by its number."""

faults = st.none() | st.tuples(calls, st.sampled_from(["throttled", "out of time"]))

Meanwhile = tuple[int, int, Looks, bool]
meanwhile = st.lists(st.tuples(calls, whichever, looks | gone, st.booleans()), max_size=2)
"""At which call of a sweep which instance becomes what, and whether the rule hears of it at once."""


class SweptAccount(RuleBasedStateMachine):
    """An account whose instances come, change and go, while events and calls get lost."""

    keeps_not_applicable = False

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.history: dict[str, list[Item]] = {}
        self.listed: dict[str, Item] = {}
        self.events: list[Json] = []
        self.parameters: dict[str, object] = {}
        self.read_by_sweep: dict[str, datetime] = {}
        self.config = StrictConfig(self)
        self.config.keeps_not_applicable = self.keeps_not_applicable
        self.bus = FakeBus()
        self.telemetry = FakeTelemetry()
        self.responder = Responder(lambda _: self.config, self.bus, self.telemetry, lambda: self.now)

    # What happens to the instances

    @initialize(several=st.lists(looks, min_size=2, max_size=5), heard=st.booleans())
    def begin(self, several: list[Looks], *, heard: bool) -> None:
        """Some instances are there, and known, before the rule is; perhaps it is told of them."""
        for one in several:
            self.launch(one, heard=heard, seen=True)

    @rule(as_what=looks, heard=st.booleans(), seen=st.booleans())
    def launch(self, as_what: Looks, *, heard: bool, seen: bool) -> None:
        """A new instance. `heard`: the event comes at once; `seen`: the inventory does not lag."""
        self._record(f"i-{len(self.history):017x}", as_what, heard=heard, seen=seen)

    @rule(which=whichever, as_what=looks | gone, heard=st.booleans(), seen=st.booleans())
    def change(self, which: int, as_what: Looks, *, heard: bool, seen: bool) -> None:
        """An instance changes, unless it is gone for good."""
        resource_id = self._instance(which)
        if self.history[resource_id][-1].looks.status != "ResourceDeleted":
            self._record(resource_id, as_what, heard=heard, seen=seen)

    def _record(self, resource_id: str, as_what: Looks, *, heard: bool, seen: bool) -> None:
        self.now += SECOND
        item = Item(resource_id, self.now, as_what)
        self.history.setdefault(resource_id, []).append(item)
        self.config.newest[resource_id] = item.historic()
        told: dict[str, Any] = {"parameters": self.parameters, "resultToken": CHANGING}
        if as_what.judgeable and len(self.history) % 3 == 0:
            announced = configuration_item(item.notification())
            self.config.items[resource_id, announced.capture_time] = announced
            self.events.append(oversized_event(item.summary(), **told))
        else:
            self.events.append(change_event(item.notification(), **told))
        if seen:
            self._see(item)
        if heard:
            self.deliver(len(self.events) - 1, again=False, fault=None)

    def _see(self, item: Item) -> None:
        if item.looks.gone:
            self.listed.pop(item.resource_id, None)
        else:
            self.listed[item.resource_id] = item

    def _instance(self, which: int) -> str:
        return list(self.history)[which % len(self.history)]

    # What happens to the events, the clock, the inventory and the rule

    @precondition(lambda self: self.events)
    @rule(which=whichever, again=st.booleans(), fault=st.sampled_from([None, None, "PutEvaluations", "PutEvents"]))
    def deliver(self, which: int, *, again: bool, fault: str | None) -> None:
        """Any event comes now; perhaps it will come again, certainly when it fails."""
        event = self.events[which % len(self.events)]
        with self._before(self._failing(fault)):
            try:
                self.responder.respond(event)
            except InvalidItem:
                pass
            except AwsError:
                return
        if not again:
            self.events.remove(event)

    def _failing(self, fault: str | None) -> Callable[[str], None]:
        def fail(operation: str) -> None:
            if operation == fault:
                raise ServiceError(operation, "InternalFailure", "An internal error occurred.")

        return fail

    @precondition(lambda self: self.events)
    @rule(which=whichever)
    def lose(self, which: int) -> None:
        """An event is never delivered."""
        del self.events[which % len(self.events)]

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        """Exemptions run out."""
        self.now += timedelta(hours=hours)

    @rule(which=whichever)
    def catch_up(self, which: int) -> None:
        """The inventory sees an instance as it is; the others it sees as before."""
        self._see(self.history[self._instance(which)][-1])

    @rule(stopped=st.booleans(), key=st.sampled_from(["intentional-no-role", "no-role"]))
    def redeploy(self, *, stopped: bool, key: str) -> None:
        """The rule gets other parameters."""
        self.parameters = {"evaluateStopped": str(stopped).lower(), "exemptionTagKey": key}

    # Sweeps

    @rule(
        fault=faults,
        changes=meanwhile,
        unlucky=st.sets(whichever, max_size=2),
        refused=st.sets(whichever, max_size=1),
        listing=st.sampled_from(["all", "all", "one is missing", "one comes twice"]),
    )
    def sweep(
        self,
        fault: tuple[int, str] | None,
        changes: list[Meanwhile],
        unlucky: set[int],
        refused: set[int],
        listing: str,
    ) -> None:
        """A sweep in which calls fail, instances change, and the listing is in disorder."""
        rows = [item.row() for item in self.listed.values()]
        if rows and listing != "all":
            rows = rows[1:] if listing == "one is missing" else [*rows, rows[0]]
        self.config.rows = rows
        self.config.rejects = {self._instance(which) for which in unlucky}
        self.bus.refuses = {self._instance(which) for which in refused}
        put = len(self.config.calls)
        with self._before(self._trouble(fault, changes)):
            error = self._swept()
        self.config.rejects, self.bus.refuses = set(), set()
        run = self.telemetry.runs[-1]
        assert run.completed == (error is None)
        assert run.differences or len([one for one in self.config.calls[put:] if one[1] == SWEEPING]) == 0

    def _swept(self) -> RolecallError | None:
        self.read_by_sweep = {name: one.ordering_timestamp for name, one in self.config.recorded.items()}
        try:
            self.responder.respond(scheduled_event(parameters=self.parameters, resultToken=SWEEPING))
        except RolecallError as error:
            return error
        return None

    def _trouble(self, fault: tuple[int, str] | None, changes: list[Meanwhile]) -> Callable[[str], None]:
        made = iter(range(10_000))

        def before(operation: str) -> None:
            number = next(made)
            if operation == "GetComplianceDetailsByConfigRule" and number == 0:
                # The results are those of the moment at which the first page is read.
                self.read_by_sweep = {name: one.ordering_timestamp for name, one in self.config.recorded.items()}
            for when, which, as_what, heard in changes:
                if when == number and number:
                    with self._before(nothing_happens):
                        self.change(which, as_what, heard=heard, seen=False)
            if fault and fault[0] == number:
                raise (
                    ServiceError(operation, "ThrottlingException", "Rate exceeded")
                    if fault[1] == "throttled"
                    else OutOfTime(operation, 5.0)
                )

        return before

    @contextmanager
    def _before(self, hook: Callable[[str], None]) -> Iterator[None]:
        usual = self.config.before
        self.config.before = self.bus.before = hook
        try:
            yield
        finally:
            self.config.before = self.bus.before = usual

    # What always holds

    @property
    def published(self) -> set[tuple[str, str, str]]:
        """Id, reason and ordering timestamp of every verdict that was published."""
        return {
            (record["resourceId"], record["reason"], record["orderingTimestamp"])
            for record in self.bus.records
            if record["kind"] == "verdict"
        }

    def true_reason(self, item: Item, when: datetime) -> Reason:
        """What a full evaluation would say of an item at `when`."""
        return evaluate(configuration_item(item.historic()), parse_parameters(self.parameters), when).reason

    def teardown(self) -> None:
        """Nothing goes wrong any more, and the inventory is up to date: one sweep, and every result is true."""
        if not self.history:
            return
        for which in range(len(self.history)):
            self.catch_up(which)
        self.config.rows = [item.row() for item in self.listed.values()]
        error = self._swept()
        newest = {resource_id: items[-1] for resource_id, items in self.history.items()}
        unjudgeable = {resource_id for resource_id, item in newest.items() if not item.looks.judgeable}
        assert (error is None) == (not unjudgeable)
        if error:
            assert isinstance(error, IncompleteRun)
            assert {problem.resource for problem in error.problems} == unjudgeable  # type: ignore[attr-defined]  # InvalidItem
        reasons = {
            resource_id: self.true_reason(item, self.now)
            for resource_id, item in newest.items()
            if resource_id not in unjudgeable
        }
        true = {
            resource_id: reason
            for resource_id, reason in reasons.items()
            if reason.compliance_type is not ComplianceType.NOT_APPLICABLE
        }
        results = {name: reason for name, reason in self.config.results.items() if name not in unjudgeable}
        assert results == true
        put = len(self.config.calls)
        self._swept()
        assert len(self.config.calls) == put


class AccountThatKeepsNotApplicable(SweptAccount):
    """The same, in a Config that keeps NOT_APPLICABLE results with their ordering timestamps."""

    keeps_not_applicable = True


for account in (SweptAccount, AccountThatKeepsNotApplicable):
    # A busy machine draws slowly, which is no failure.
    account.TestCase.settings = settings(
        max_examples=200, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow]
    )
TestSweptAccount = SweptAccount.TestCase
TestAccountThatKeepsNotApplicable = AccountThatKeepsNotApplicable.TestCase
