"""The findings function's surroundings in one process: table, Security Hub and queue, all of which can fail anywhere.

What speaks to Security Hub is the real `SecurityHub`; behind it is the strict local one, without HTTP between.
"""

import copy
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from local.security_hub import SecurityHubService
from local.security_hub_region import Behaviour
from local.service_errors import ServiceError as Refused
from local.timestamps import epoch_ms
from rolecall.aws.clients import Deadline
from rolecall.aws.security_hub import SecurityHub
from rolecall.errors import HubNotEnabled, OutOfTime, RolecallError, RoleNotAssumed, ServiceError
from rolecall.events import parse_invocation
from rolecall.findings.claims import Claim, Message
from rolecall.findings.importing import Importer
from rolecall.findings.lifecycle import FindingRow
from rolecall.findings.settings import DEFAULTS, FindingSettings
from rolecall.model import Reason, Source
from rolecall.received_record import EvaluationRecord
from rolecall.record import VERDICT, evaluation_record, timestamp
from rolecall.rule import evaluate
from tests.builders import (
    ACCOUNT,
    INSTANCE_ID,
    NOW,
    REGION,
    Json,
    change_event,
    deleted_item,
    exemption_tags,
    notification_item,
)

AnswerT = TypeVar("AnswerT")


class Crash(BaseException):
    """The function is killed: nothing after it is done, and no code of ours sees it."""


class Trouble(Enum):
    """What goes wrong with one call of the function's."""

    NONE = "none"
    ERROR = "nothing is done, and an error is answered"
    LOST_ANSWER = "it is done, but an error is answered"
    CRASH_BEFORE = "the function is killed before it"
    CRASH_AFTER = "the function is killed after it"
    OUT_OF_TIME = "too little time is left for it"
    LEFT_OUT = "Security Hub leaves a finding out, more often than it is sent again"
    LEFT_OUT_ONCE = "Security Hub leaves a finding out once"


_ITEMS: dict[Reason, Json] = {
    Reason.NO_PROFILE: change_event(notification_item(profile=None)),
    Reason.EXEMPT: change_event(notification_item(profile=None, tags=exemption_tags())),
    Reason.EXEMPTION_EXPIRED: change_event(notification_item(profile=None, tags=exemption_tags(expires="2026-01-31"))),
    Reason.PROFILE_ATTACHED: change_event(notification_item()),
    Reason.TERMINATING: change_event(notification_item(state="terminated", profile=None)),
    Reason.DELETED: change_event(deleted_item()),
}

REASONS = tuple(_ITEMS)


def _template(reason: Reason) -> Json:
    invocation = parse_invocation(_ITEMS[reason])
    item: Any = invocation.notification
    evaluation = evaluate(item.item, invocation.parameters, NOW)
    assert evaluation.reason is reason
    return evaluation_record(evaluation, invocation, Source.CHANGE)


_TEMPLATES = {reason: _template(reason) for reason in REASONS}


def raw_record(  # noqa: PLR0913 - what tells records apart
    reason: Reason = Reason.NO_PROFILE,
    *,
    at: datetime = NOW,
    kind: str = VERDICT,
    instance: str = INSTANCE_ID,
    account: str = ACCOUNT,
    region: str = REGION,
) -> Json:
    """The record of an instance of any account and region, captured and judged at `at`."""
    raw = copy.deepcopy(_TEMPLATES[reason])
    return raw | {
        "id": f"{account} {region} {instance} {timestamp(at)} {reason} {kind}",
        "kind": kind,
        "account": account,
        "region": region,
        "resourceId": instance,
        "resourceArn": f"arn:aws:ec2:{region}:{account}:instance/{instance}",
        "orderingTimestamp": timestamp(at),
        "evaluatedAt": timestamp(at),
    }


def body_of(raw: object) -> str:
    """The message body that a rule of the evaluations bus sends to the queue."""
    return json.dumps({"version": "0", "source": "rolecall", "detail-type": "Rolecall Evaluation", "detail": raw})


def message(raw: object, number: int = 0, receives: int = 1, *, moved_back: bool = False) -> Message:
    """A message that holds a record."""
    return Message(f"m{number}", body_of(raw), receives, moved_back)


@dataclass
class Seen:
    """Telemetry that remembers what it was told."""

    imported_ids: list[str] = field(default_factory=list)
    superseded_count: int = 0
    not_enabled_places: list[tuple[str, str, int]] = field(default_factory=list)
    retried_ids: list[tuple[str, str]] = field(default_factory=list)
    given_up_ids: list[tuple[str, str]] = field(default_factory=list)

    def imported(self, _record: EvaluationRecord, row: FindingRow) -> None:
        """The finding's id."""
        self.imported_ids.append(row.finding_id)

    def superseded(self, messages: int) -> None:
        """How many."""
        self.superseded_count += messages

    def not_enabled(self, error: HubNotEnabled, messages: int) -> None:
        """Where, and how many."""
        self.not_enabled_places.append((error.account, error.region, messages))

    def retried(self, message: Message, _claim: Claim | None, error: RolecallError) -> None:
        """Which message, and the error's name."""
        self.retried_ids.append((message.id, type(error).__name__))

    def gave_up(self, message: Message, _claim: Claim | None, error: RolecallError) -> None:
        """Which message, and the error's name."""
        self.given_up_ids.append((message.id, type(error).__name__))


class World:
    """What outlives an invocation: the table's rows, Security Hub, the dead letters, the time."""

    def __init__(self, *, max_receives: int = 5, settings: FindingSettings = DEFAULTS, **behaviour: bool) -> None:
        self.now = NOW
        self.tick = timedelta(milliseconds=1)
        """How much later it is each time that a function looks at its clock."""
        self.rows: dict[str, FindingRow] = {}
        self.hub = SecurityHubService(
            clock=lambda: epoch_ms(self.now), behaviour=Behaviour(limits_rates=False, **behaviour)
        )
        self.dead: list[tuple[Message, RolecallError]] = []
        self.seen = Seen()
        self.settings = settings
        self.max_receives = max_receives
        self.without_role: set[str] = set()
        self.sent: list[tuple[tuple[str, str], list[str]]] = []
        """Account and region of each import, and the ids of its findings."""

    def import_batch(self, *messages: Message, **troubles: Any) -> dict[str, RolecallError]:  # noqa: ANN401 - Attempt's
        """One invocation; what has to be received again."""
        return Attempt(self, **troubles).run(messages)

    def findings(self, account: str = ACCOUNT, region: str = REGION) -> list[Json]:
        """What Security Hub shows there."""
        return self.hub.findings(account, region)


class Attempt:
    """One invocation. `troubles` are those of its calls, in their order; `turn` waits before each of them."""

    def __init__(
        self,
        world: World,
        troubles: Sequence[Trouble] = (),
        turn: Callable[[], None] = lambda: None,
        skew: timedelta = timedelta(),
    ) -> None:
        self._world = world
        self._troubles = list(troubles)
        self.turn = turn
        self._skew = skew

    def run(self, messages: Sequence[Message]) -> dict[str, RolecallError]:
        """Answer the messages. Raises Crash."""
        return Importer(
            hub_of=self._hub_of,
            table=self,
            dead_letters=self,
            telemetry=self._world.seen,
            settings=self._world.settings,
            now=self._now,
            max_receives=self._world.max_receives,
        ).import_batch(messages)

    # The table, as DynamoDB's conditions make it

    def rows(self, finding_ids: Collection[str]) -> dict[str, FindingRow | ServiceError]:
        """Consistent reads."""
        return self._call(
            "BatchGetItem", lambda: {key: self._world.rows[key] for key in finding_ids if key in self._world.rows}
        )

    def write(self, row: FindingRow) -> bool:
        """On top of the revision before."""
        return self._call("PutItem", lambda: self._put(row))

    def _put(self, row: FindingRow) -> bool:
        there = self._world.rows.get(row.finding_id)
        if (there.revision if there else 0) != row.revision - 1:
            return False
        self._world.rows[row.finding_id] = row
        return True

    # The dead-letter queue

    def send(self, message: Message, error: RolecallError) -> None:
        """Keep it."""
        self._call("SendMessage", lambda: self._world.dead.append((message, error)))

    # Security Hub

    def _hub_of(self, account: str, region: str) -> SecurityHub:
        if account in self._world.without_role:
            raise RoleNotAssumed(account, "rolecall-publisher", "not authorized")
        return SecurityHub(_Client(self, account, region), Deadline(), account, region)

    def imported(self, account: str, region: str, findings: Sequence[Mapping[str, Any]]) -> Json:
        """BatchImportFindings, by way of JSON as over the wire."""
        self._world.sent.append(((account, region), [one["Id"] for one in findings]))
        body = json.dumps({"Findings": findings})
        return self._call(
            "BatchImportFindings",
            lambda: self._world.hub.region(account, region).import_findings(json.loads(body), len(body)),
            findings,
        )

    def _now(self) -> datetime:
        self._world.now += self._world.tick
        return self._world.now + self._skew

    def _call(self, operation: str, do: Callable[[], AnswerT], findings: Sequence[Mapping[str, Any]] = ()) -> AnswerT:
        self.turn()
        trouble = self._troubles.pop(0) if self._troubles else Trouble.NONE
        if trouble is Trouble.CRASH_BEFORE:
            raise Crash
        if trouble is Trouble.OUT_OF_TIME:
            raise OutOfTime(operation, 3)
        if trouble is Trouble.ERROR:
            raise ServiceError(operation, "InternalFailure", "An internal error occurred.")
        if findings and trouble in (Trouble.LEFT_OUT, Trouble.LEFT_OUT_ONCE):
            times = 1 if trouble is Trouble.LEFT_OUT_ONCE else 4
            self._world.hub.faults.inject("fail-findings", times=times, resource_ids=[findings[0]["Id"]])
        try:
            answer = do()
        except Refused as refused:
            error = {"Error": {"Code": refused.code, "Message": refused.message}}
            raise ClientError(error, operation) from refused  # type: ignore[arg-type]  # a part of a response
        if trouble is Trouble.CRASH_AFTER:
            raise Crash
        if trouble is Trouble.LOST_ANSWER:
            raise ServiceError(operation, "ConnectionClosedError", "Connection was closed before the answer came.")
        return answer


class _Client:
    """The one operation of a boto3 client that imports use."""

    def __init__(self, attempt: Attempt, account: str, region: str) -> None:
        self._attempt = attempt
        self._place = account, region

    def batch_import_findings(self, **request: Any) -> Json:  # noqa: ANN401 - Findings
        """As boto3 has it."""
        return self._attempt.imported(*self._place, request["Findings"])


class Turns:
    """Runs jobs in threads of which only one moves at a time; `pick` says which, of so many that can.

    Whatever a job does between two calls of `wait` is done at once, so that a run can be repeated.
    """

    def __init__(self, pick: Callable[[int], int]) -> None:
        self._pick = pick
        self._arrived = threading.Semaphore(0)
        self._gates: dict[int, threading.Semaphore] = {}
        self._ended: set[int] = set()

    def run(self, jobs: Sequence[Callable[[Callable[[], None]], None]]) -> None:
        """Run every job, each with its own `wait`, to its end. Raises what a job raises, except Crash."""
        if len(jobs) == 1:
            with suppress(Crash):
                jobs[0](lambda: None)
            return
        errors: list[BaseException] = []
        self._gates = {number: threading.Semaphore(0) for number in range(len(jobs))}

        def running(number: int, job: Callable[[Callable[[], None]], None]) -> None:
            self._gates[number].acquire()
            try:
                with suppress(Crash):
                    job(lambda: self._wait(number))
            except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
                errors.append(error)
            finally:
                self._ended.add(number)
                self._arrived.release()

        threads = [threading.Thread(target=running, args=(number, job), daemon=True) for number, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        while alive := [number for number in self._gates if number not in self._ended]:
            self._gates[alive[self._pick(len(alive))]].release()
            self._arrived.acquire()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _wait(self, number: int) -> None:
        self._arrived.release()
        self._gates[number].acquire()


def moments(start: datetime = NOW) -> Iterator[datetime]:
    """Times at which things happen, a minute apart."""
    moment = start.astimezone(UTC)
    while True:
        yield moment
        moment += timedelta(minutes=1)
