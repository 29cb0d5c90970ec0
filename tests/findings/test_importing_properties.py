"""Random lives of instances, through the real importing code, with everything going wrong that can."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rolecall.aws import security_hub
from rolecall.findings.asff import finding
from rolecall.findings.claims import Message
from rolecall.findings.identity import compliance_status, finding_id
from rolecall.findings.lifecycle import FindingState
from rolecall.findings.settings import DEFAULTS
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import REFRESH, VERDICT
from tests.builders import ACCOUNT, REGION, Json
from tests.findings.surroundings import REASONS, Attempt, Trouble, Turns, World, body_of, raw_record

OTHER = "444455556666"
PLACES = ((ACCOUNT, REGION), (ACCOUNT, "eu-central-1"), (OTHER, REGION))
INSTANCES = tuple((*place, f"i-{number:017x}") for number, place in enumerate((PLACES[0], PLACES[0], PLACES[2])))
MAX_RECEIVES = 4
VISIBILITY = timedelta(seconds=30)

Instance = tuple[str, str, str]


def at_calls(chosen: dict[int, Trouble]) -> list[Trouble]:
    """The troubles of an attempt's calls, by their numbers."""
    return [chosen.get(number, Trouble.NONE) for number in range(max(chosen, default=-1) + 1)]


troubles = st.dictionaries(st.integers(0, 5), st.sampled_from(tuple(Trouble)), max_size=2).map(at_calls)
skews = st.sampled_from((timedelta(), timedelta(), timedelta(milliseconds=50), timedelta(milliseconds=-50)))


@dataclass
class Queued:
    """A message of the queue."""

    message: Message
    in_flight: bool = False


class Lives(RuleBasedStateMachine):
    """Instances live, the queue delivers as queues do, customers edit; then everything comes to rest."""

    keep_passed = False

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(security_hub, "pause", lambda *_: None)
        self.queue: list[Queued] = []
        self.told: dict[Instance, list[EvaluationRecord]] = defaultdict(list)
        self.edited: dict[str, Json] = {}
        """What the customer has set, by finding id."""
        self.needs_reconciling: set[Instance] = set()
        """Of these something was lost in a way that only a comparison finds."""
        self.number = 0

    @initialize(
        ignored_counts_as_success=st.booleans(),
        refuses_whole_calls=st.booleans(),
        keep_passed=st.booleans(),
        disables=st.sampled_from((False, False, False, True)),
    )
    def begin(
        self, *, ignored_counts_as_success: bool, refuses_whole_calls: bool, keep_passed: bool, disables: bool
    ) -> None:
        """What AWS does not document may be either way."""
        self.world = World(
            max_receives=MAX_RECEIVES,
            settings=replace(DEFAULTS, keep_passed=keep_passed),
            ignored_counts_as_success=ignored_counts_as_success,
            refuses_whole_calls=refuses_whole_calls,
        )
        self.disables = disables
        for place in PLACES:
            self.world.hub.enable(*place)

    # Lives

    @rule(instance=st.sampled_from(INSTANCES), reason=st.sampled_from(REASONS))
    def changes(self, instance: Instance, reason: Reason) -> None:
        """Attach, detach, exempt, expire, terminate."""
        self.tell(instance, reason, VERDICT)

    @rule(instance=st.sampled_from(INSTANCES), reasons=st.lists(st.sampled_from(REASONS), min_size=2, max_size=3))
    def changes_quickly(self, instance: Instance, reasons: list[Reason]) -> None:
        """Before anybody looks."""
        for reason in reasons:
            self.tell(instance, reason, VERDICT)

    @rule(instance=st.sampled_from(INSTANCES))
    def is_told_again(self, instance: Instance) -> None:
        """Once in 30 days, if it still fails or is still exempt."""
        if self.told[instance] and self.newest(instance).reason in REASONS[:3]:
            self.tell(instance, self.newest(instance).reason, REFRESH)

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def is_delivered_twice(self, data: st.DataObject) -> None:
        """By the bus: another message with the same body."""
        self.enqueue(data.draw(st.sampled_from(self.queue)).message.body)

    # The function

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), troubles=troubles, skew=skews)
    def one_batch(self, data: st.DataObject, troubles: list[Trouble], skew: timedelta) -> None:
        """Any messages, in any order, with any calls failing."""
        self.receive([(self.drawn(data), troubles, skew)], lambda _: 0)

    @precondition(lambda self: len(self.queue) > 1)
    @rule(data=st.data(), both=st.tuples(troubles, troubles), skew=skews)
    def two_batches_at_the_same_time(
        self, data: st.DataObject, both: tuple[list[Trouble], list[Trouble]], skew: timedelta
    ) -> None:
        """Step by step, in any order."""
        first = self.drawn(data)
        second = self.drawn(data)
        picks = data.draw(st.lists(st.booleans(), max_size=12))
        self.receive(
            [(first, both[0], skew), (second, both[1], timedelta())],
            lambda alive: int(picks.pop(0)) % alive if picks else 0,
        )

    # Others

    @precondition(lambda self: self.disables)
    @rule(place=st.sampled_from(PLACES))
    def the_hub_is_disabled_or_enabled(self, place: tuple[str, str]) -> None:
        """Its findings go, and what is told meanwhile reaches nobody."""
        hub = self.world.hub.region(*place)
        if hub.enabled_at is None:
            hub.enable({})
            return
        hub.disable({})
        for instance in INSTANCES:
            if instance[:2] == place:
                self.needs_reconciling.add(instance)
                self.edited.pop(self.id_of(instance), None)

    @rule(instance=st.sampled_from(INSTANCES), workflow=st.sampled_from(("NOTIFIED", "RESOLVED", "SUPPRESSED")))
    def the_customer_edits(self, instance: Instance, workflow: str) -> None:
        """What is theirs, and the severity."""
        hub = self.world.hub.region(*instance[:2])
        changes: Json = {
            "Workflow": {"Status": workflow},
            "Note": {"Text": f"note {self.number}", "UpdatedBy": "customer"},
            "Severity": {"Label": "LOW"},
            "UserDefinedFields": {"ticket": "T-1"},
            "VerificationState": "TRUE_POSITIVE",
        }
        if hub.findings.updated(hub.product_arn, self.id_of(instance), changes):
            self.edited[self.id_of(instance)] = changes

    @rule(role=st.booleans())
    def a_role_goes_or_comes(self, *, role: bool) -> None:
        """A member account's StackSet is late."""
        (self.world.without_role.discard if role else self.world.without_role.add)(OTHER)

    @invariant()
    def no_instance_has_two_findings(self) -> None:
        """At no time."""
        if hasattr(self, "world"):
            for place in PLACES:
                ids = [one["Resources"][0]["Id"] for one in self.world.findings(*place)]
                assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        """Everything comes to rest: no more trouble, and what was given up is moved back."""
        try:
            if hasattr(self, "world"):
                self.come_to_rest()
                for instance in INSTANCES:
                    self.check(instance)
                self.check_customers()
        finally:
            self.patch.undo()

    def come_to_rest(self) -> None:
        """As an operator would, with what the documents say to do."""
        self.world.without_role.clear()
        for place in PLACES:
            self.world.hub.enable(*place)
        self.world.hub.faults.clear()
        self.world.now += timedelta(hours=1)
        self.deliver_all()
        for instance in sorted(self.needs_reconciling):
            self.reconcile(instance)
        self.deliver_all()

    def deliver_all(self) -> None:
        """Until nothing is left, dead letters included."""
        for _ in range(3):
            for letter, _ in self.world.dead:
                self.enqueue(letter.body, moved_back=True)
            self.world.dead.clear()
            while self.queue:
                self.receive([(self.queue[:3], [], timedelta())], lambda _: 0)
        assert self.world.dead == []

    def reconcile(self, instance: Instance) -> None:
        """What `findings reconcile --apply` publishes: nothing where Security Hub is right."""
        if not self.told[instance]:
            return
        newest, shown = self.newest(instance), self.shown(instance)
        status = compliance_status(newest.reason)
        is_shown = shown is not None and shown["RecordState"] == "ACTIVE"
        if status.is_open or is_shown:
            self.tell(instance, newest.reason, REFRESH)

    # What is asserted at rest

    def check(self, instance: Instance) -> None:
        """The finding of an instance."""
        told, shown = self.told[instance], self.shown(instance)
        if not any(compliance_status(one.reason).is_open for one in told):
            assert shown is None, "an instance that never failed has a finding"
            return
        newest = self.newest(instance)
        status = compliance_status(newest.reason)
        if shown is None:
            assert not status.is_open, "a finding is lost"
            return
        kept = self.world.settings.keep_passed and newest.reason is Reason.PROFILE_ATTACHED
        if not (kept and shown["RecordState"] == "ARCHIVED"):
            # A finding that was archived before stays so: nobody has to see that it passes.
            assert shown["RecordState"] == ("ACTIVE" if status.is_open or kept else "ARCHIVED")
        row = self.world.rows[self.id_of(instance)]
        assert row.state.value == shown["RecordState"]
        if status.is_open or instance not in self.needs_reconciling:
            # What closed while there was no hub is not written down: nobody misses it once the finding is closed.
            assert row.version == newest.version
        assert row.created_at
        assert row.updated_at
        if status.is_open:
            expected = finding(
                newest, self.world.settings, archived=False, created_at=row.created_at, updated_at=row.updated_at
            )
            # What the customer sets is looked at below.
            assert {name: shown.get(name) for name in expected if name != "Severity"} == {
                name: value for name, value in expected.items() if name != "Severity"
            }
        elif row.state is FindingState.ARCHIVED:
            assert row.expires_at

    def check_customers(self) -> None:
        """Nothing of theirs is overwritten; only what was closed and comes back is new again."""
        for instance in INSTANCES:
            changes = self.edited.get(self.id_of(instance))
            shown = self.shown(instance)
            if changes is None or shown is None:
                continue
            assert shown["Note"]["Text"] == changes["Note"]["Text"]
            assert shown["UserDefinedFields"] == changes["UserDefinedFields"]
            assert shown["VerificationState"] == changes["VerificationState"]
            assert shown["Severity"]["Label"] == "LOW"
            workflow = changes["Workflow"]["Status"]
            assert shown["Workflow"]["Status"] in ({workflow} if workflow == "SUPPRESSED" else {workflow, "NEW"})

    # How it is done

    def tell(self, instance: Instance, reason: Reason, kind: str) -> None:
        """The rule publishes a record, and the bus brings it to the queue."""
        self.world.now += timedelta(minutes=1)
        account, region, resource = instance
        raw = raw_record(reason, at=self.world.now, kind=kind, instance=resource, account=account, region=region)
        self.told[instance].append(read_record(raw))
        self.enqueue(body_of(raw))

    def enqueue(self, body: str, *, moved_back: bool = False) -> None:
        """A new message."""
        self.number += 1
        self.queue.append(Queued(Message(f"m{self.number}", body, 0, moved_back)))

    def drawn(self, data: st.DataObject) -> list[Queued]:
        """A batch: messages that nobody works on."""
        free = [one for one in self.queue if not one.in_flight]
        if not free:
            return []
        batch = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique_by=id))
        for one in batch:
            one.in_flight = True
        return batch

    def receive(self, batches: list[tuple[list[Queued], list[Trouble], timedelta]], pick: Callable[[int], int]) -> None:
        """Let invocations answer their batches; what they leave is received again, or given up by the queue."""
        self.world.now += VISIBILITY
        for batch, _, _ in batches:
            for one in batch:
                one.message = replace(one.message, receives=one.message.receives + 1)
        left: set[str] = set()
        Turns(pick).run([self.invocation(*batch, left) for batch in batches])
        self.world.hub.faults.clear()
        for one in [one for batch, _, _ in batches for one in batch]:
            one.in_flight = False
            if one.message.id not in left:
                self.queue.remove(one)
            elif one.message.receives >= MAX_RECEIVES:
                self.dead_lettered_by_sqs(one)

    def invocation(
        self, batch: list[Queued], troubles: list[Trouble], skew: timedelta, left: set[str]
    ) -> Callable[[Callable[[], None]], None]:
        """One that tells in `left` which messages stay."""

        def run(turn: Callable[[], None]) -> None:
            ids = {one.message.id for one in batch}
            left.update(ids)  # if it is killed, all of them
            attempt = Attempt(self.world, troubles, turn, skew)
            answered = ids - attempt.run([one.message for one in batch]).keys()
            left.difference_update(answered)

        return run

    def dead_lettered_by_sqs(self, queued: Queued) -> None:
        """The last attempt died: SQS moves the message, and adds nothing by which it could be told."""
        self.queue.remove(queued)
        self.enqueue(queued.message.body)
        record = read_record(json.loads(queued.message.body)["detail"])
        self.needs_reconciling.add((record.account, record.region, record.resource_id))

    def newest(self, instance: Instance) -> EvaluationRecord:
        """The one that has to be shown at rest."""
        return max(self.told[instance], key=lambda record: record.version)

    def id_of(self, instance: Instance) -> str:
        """Of its finding, there or not."""
        account, region, resource = instance
        return finding_id(read_record(raw_record(account=account, region=region, instance=resource)))

    def shown(self, instance: Instance) -> Json | None:
        """Its finding in Security Hub."""
        found = [one for one in self.world.findings(*instance[:2]) if one["Id"] == self.id_of(instance)]
        assert len(found) <= 1
        return found[0] if found else None


Lives.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestLives = Lives.TestCase
