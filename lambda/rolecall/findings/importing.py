"""From a batch of messages to findings in Security Hub, so that at rest each shows the newest record.

Import first, then write the row on top of what was read. A write that is refused means that somebody else was here
meanwhile: read again, decide again, and tell Security Hub again, because the two imports may have come in any order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from rolecall.errors import (
    AwsError,
    FindingRejected,
    HubNotEnabled,
    InvalidInput,
    RolecallError,
    RowContested,
)
from rolecall.findings.claims import Claim, Message, by_place, claims
from rolecall.findings.lifecycle import FindingRow, Import, Noted
from rolecall.findings.settings import FindingSettings
from rolecall.received_record import EvaluationRecord

ROUNDS = 5
"""How often a row is written on top of what was read before the messages are left to a later attempt."""


class Hub(Protocol):
    """Security Hub of one account in one region."""

    def import_findings(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, RolecallError]:
        """Send findings; answers why those that are not there are not, by their ids."""


class Table(Protocol):
    """What was sent before, and what for."""

    def rows(self, finding_ids: Collection[str]) -> Mapping[str, FindingRow | AwsError]:
        """The rows that are there, by finding id; an error for one that cannot be read."""

    def write(self, row: FindingRow) -> bool:
        """Put a row on top of the revision before it; False if another one is there."""


class DeadLetters(Protocol):
    """Where messages go that nothing can be made of."""

    def send(self, message: Message, error: RolecallError) -> None:
        """Keep the message, and why it was given up."""


class Telemetry(Protocol):
    """What whoever operates the function gets to see."""

    def imported(self, record: EvaluationRecord, row: FindingRow) -> None:
        """Security Hub has taken a finding, and its row is written."""

    def superseded(self, messages: int) -> None:
        """So many messages told nothing new."""

    def not_enabled(self, error: HubNotEnabled, messages: int) -> None:
        """So many messages are of an account and region without Security Hub."""

    def retried(self, message: Message, claim: Claim | None, error: RolecallError) -> None:
        """The message will be received again."""

    def gave_up(self, message: Message, claim: Claim | None, error: RolecallError) -> None:
        """The message was dead-lettered."""


@dataclass(frozen=True, slots=True)
class Importer:
    """The findings function, wired to its surroundings. `hub_of` gives the Security Hub of an account and region."""

    hub_of: Callable[[str, str], Hub]
    table: Table
    dead_letters: DeadLetters
    telemetry: Telemetry
    settings: FindingSettings
    now: Callable[[], datetime]
    max_receives: int
    """How often the queue hands out a message: at the last time it is given up here, with the reason."""

    def import_batch(self, messages: Sequence[Message]) -> dict[str, RolecallError]:
        """Answer every message; those that have to be received again, by id, with what is in their way."""
        wanted, refused = claims(messages)
        waiting = wanted
        for _ in range(ROUNDS):
            waiting = self._round(waiting)
        for claim in waiting:
            claim.failure = RowContested(claim.finding_id, ROUNDS)
        left: dict[str, RolecallError] = {}
        for message in messages:
            if message.id in refused:
                left |= self._failed(message, None, refused[message.id])
        for claim in wanted:
            if claim.failure:
                for message in claim.messages:
                    left |= self._failed(message, claim, claim.failure)
        return left

    def _round(self, waiting: list[Claim]) -> list[Claim]:
        """One attempt at each claim; those come back whose row was written by others meanwhile."""
        if not waiting:
            return []
        try:
            rows = self.table.rows([claim.finding_id for claim in waiting])
        except AwsError as error:
            return _fail(waiting, error)
        contested: list[Claim] = []
        imports: list[tuple[Claim, Import]] = []
        for claim in waiting:
            row = rows.get(claim.finding_id)
            if isinstance(row, AwsError):
                claim.failure = row
                continue
            try:
                decision = claim.decision(row, self.settings, self.now())
            except InvalidInput as error:
                claim.failure = error
                continue
            match decision:
                case Import():
                    imports.append((claim, decision))
                case Noted(noted):
                    contested += self._written(claim, noted)
                case _:
                    self.telemetry.superseded(len(claim.messages))
        for account, region, group in by_place(imports):
            contested += self._import(account, region, group)
        return contested

    def _import(self, account: str, region: str, group: list[tuple[Claim, Import]]) -> list[Claim]:
        try:
            failures = self.hub_of(account, region).import_findings([wanted.finding for _, wanted in group])
        except RolecallError as error:
            return _fail([claim for claim, _ in group], error)
        contested: list[Claim] = []
        not_enabled: tuple[HubNotEnabled, int] | None = None
        for claim, wanted in group:
            failure = failures.get(claim.finding_id)
            if failure is None:
                claim.sent = wanted.row
                contested += self._written(claim, wanted.row)
            elif isinstance(failure, HubNotEnabled):
                not_enabled = failure, (not_enabled[1] if not_enabled else 0) + len(claim.messages)
            else:
                claim.failure = failure
        if not_enabled:
            self.telemetry.not_enabled(*not_enabled)
        return contested

    def _written(self, claim: Claim, row: FindingRow) -> list[Claim]:
        """Write the row of a claim; the claim comes back if others were quicker."""
        try:
            if not self.table.write(row):
                return [claim]
        except AwsError as error:
            return _fail([claim], error)
        if claim.sent is row:
            self.telemetry.imported(claim.record, row)
        if len(claim.messages) > 1:
            self.telemetry.superseded(len(claim.messages) - 1)
        return []

    def _failed(self, message: Message, claim: Claim | None, error: RolecallError) -> dict[str, RolecallError]:
        """Give the message up if it is of no use to wait, or its last time; otherwise it is left."""
        if _is_permanent(error) or message.receives >= self.max_receives:
            try:
                self.dead_letters.send(message, error)
            except AwsError as refused:
                error = refused
            else:
                self.telemetry.gave_up(message, claim, error)
                return {}
        self.telemetry.retried(message, claim, error)
        return {message.id: error}


def _fail(waiting: Sequence[Claim], error: RolecallError) -> list[Claim]:
    """None of them waits any more."""
    for claim in waiting:
        claim.failure = error
    return []


def _is_permanent(error: RolecallError) -> bool:
    return isinstance(error, InvalidInput) or (isinstance(error, FindingRejected) and error.is_permanent)
