"""What the function does for each message type: fetch what is missing, evaluate, put, publish.

A change: put, then publish; whatever fails is raised, and Lambda's retry does both again. A schedule: see `sweep`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rolecall.errors import RolecallError
from rolecall.events import (
    ChangeNotification,
    Invocation,
    OversizedNotification,
    ScheduledNotification,
    parse_invocation,
)
from rolecall.model import ComplianceType, ConfigurationItem, Evaluation, Reason, Source
from rolecall.record import evaluation_record
from rolecall.rule import evaluate

if TYPE_CHECKING:
    from rolecall.recorded_results import RecordedResult


class Config(Protocol):
    """What the rule needs of AWS Config; `aws.ConfigService` says what each raises."""

    def put(self, evaluations: Sequence[Evaluation], result_token: str, *, test_mode: bool = False) -> None:
        """Report at most 100 evaluations."""

    def item_announced_by(self, summary: ConfigurationItem) -> ConfigurationItem:
        """The whole item of which `summary` is the header."""

    def newest_item(self, resource_type: str, resource_id: str) -> ConfigurationItem:
        """The newest item of a resource, which may say that the resource is gone."""

    def instance_rows(self) -> Iterator[object]:
        """Every recorded instance of the account and region, as rows of an advanced query."""

    def recorded_results(self, rule_name: str) -> "Iterator[RecordedResult]":
        """Every result of a rule; NOT_APPLICABLE as far as Config keeps it."""


class Bus(Protocol):
    """Where evaluation records go."""

    def publish(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Send every record."""


class Telemetry(Protocol):
    """What whoever operates the function gets to see."""

    def invoked(self, invocation: Invocation) -> None:
        """An event was read."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """One change was reported."""

    def problem(self, error: RolecallError) -> None:
        """Something could not be judged or reported, and the run goes on."""

    def swept(
        self, repaired: Mapping[tuple[ComplianceType, Reason], int], *, seen: int, differences: int, completed: bool
    ) -> None:
        """A sweep ended: resources seen, differences among them, what was put; `completed`: nothing is missing."""


@dataclass(frozen=True, slots=True)
class Responder:
    """The rule, wired to its surroundings. `bus` is None where nobody wants records.

    `config_of` gives the AWS Config of an account; what it raises ends the invocation.
    """

    config_of: Callable[[str], Config]
    bus: Bus | None
    telemetry: Telemetry
    now: Callable[[], datetime]
    check: Callable[[Invocation], None] | None = None
    """Raises for an event that is not to be answered, such as one of somebody else's rule."""

    def respond(self, event: object) -> None:
        """Answer one Lambda event. Raises a RolecallError unless everything was reported."""
        invocation = parse_invocation(event)
        self.telemetry.invoked(invocation)
        if self.check:
            self.check(invocation)
        config = self.config_of(invocation.rule.account)
        match invocation.notification:
            case ChangeNotification(item):
                self._respond_to_change(config, invocation, item, Source.CHANGE)
            case OversizedNotification(summary):
                item = config.item_announced_by(summary) if summary.needs_judging else summary
                self._respond_to_change(config, invocation, item, Source.OVERSIZED)
            case ScheduledNotification():
                self._respond_to_schedule(config, invocation)

    def _respond_to_change(
        self, config: Config, invocation: Invocation, item: ConfigurationItem, source: Source
    ) -> None:
        evaluation = evaluate(item, invocation.parameters, self.now())
        config.put([evaluation], invocation.result_token, test_mode=invocation.test_mode)
        # In test mode Config stores nothing, so there is no verdict to tell anybody.
        if self.bus and not invocation.test_mode:
            self.bus.publish([evaluation_record(evaluation, invocation, source)])
        self.telemetry.evaluated(evaluation)

    def _respond_to_schedule(self, config: Config, invocation: Invocation) -> None:
        # A sweep comes once a day; a change must not pay for loading it.
        from rolecall.sweep import SweepRun  # noqa: PLC0415 - see above

        SweepRun(invocation, config, self.bus, self.telemetry, self.now).run()
