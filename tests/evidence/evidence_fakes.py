"""Stand-ins for what evidence is collected from and written to: they keep state, and can die at any step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from rolecall.errors import AwsError
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import ShardItem
from rolecall.evidence.shard_header import Recorder
from rolecall.evidence.stores import Store
from rolecall.model import Reason
from rolecall.parameters import RuleParameters
from rolecall.recorded_results import RecordedResult
from tests.builders import RULE_ARN, RULE_NAME

REPORT_HEADER = (
    "user,arn,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated,cert_1_active"
)
RECORDING = Recorder(recording=True, records_instances=True, frequency="CONTINUOUS")


class Killed(BaseException):
    """The process died: nothing may catch it."""


@dataclass
class Fuse:
    """Counts steps, and dies at one of them."""

    at: int = -1
    steps: int = 0

    def step(self) -> None:
        """One more. Raises Killed."""
        self.steps += 1
        if self.steps - 1 == self.at:
            raise Killed


class KillingStore:
    """A store whose process may die before or after anything is read or written."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse
        self.at_once = store.at_once

    def open(self, key: str) -> BinaryIO:
        """As the store does."""
        self._fuse.step()
        return self._store.open(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """As the store does."""
        self._fuse.step()
        return self._store.keys(prefix)

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """As the store does; the process may die when it is done."""
        self._fuse.step()
        self._store.put_once(key, content, sha256=sha256)
        self._fuse.step()


@dataclass
class FakeEvidence:
    """One account and region: rows of its inventory, and what is recorded for its rule."""

    rows: Sequence[object] = ()
    recorded: Sequence[RecordedResult] = ()
    rule: RuleDefinition | None = field(default_factory=lambda: RuleDefinition(RULE_NAME, RULE_ARN, RuleParameters()))
    found_recorder: Recorder | AwsError | None = RECORDING
    report: tuple[bytes, datetime] | AwsError | None = None
    failing: AwsError | None = None
    """What the listing of results raises after its first page."""
    step: Callable[[], None] = lambda: None
    own_rule_name: str = RULE_NAME

    def rules(self, item: ShardItem) -> Mapping[str, RuleDefinition]:  # noqa: ARG002 - there is one place
        """The one rule, if there is one."""
        self.step()
        return {self.rule.name: self.rule} if self.rule else {}

    def deployed(self) -> RuleDefinition:
        """Without parameters."""
        return RuleDefinition(self.own_rule_name, None, RuleParameters())

    def inventory(self, item: ShardItem) -> Iterator[object]:  # noqa: ARG002 - as above
        """The rows."""
        self.step()
        yield from self.rows

    def results(self, item: ShardItem, rule_name: str) -> Iterator[RecordedResult]:  # noqa: ARG002 - as above
        """The results, or as many as come before it fails."""
        self.step()
        yield from self.recorded
        if self.failing:
            raise self.failing

    def account(self, item: ShardItem) -> "FakeEvidence":  # noqa: ARG002 - as above
        """Itself."""
        return self

    def recorder(self) -> Recorder | None:
        """What was found, or the error."""
        self.step()
        if isinstance(self.found_recorder, AwsError):
            raise self.found_recorder
        return self.found_recorder

    def credential_report(self) -> tuple[bytes, datetime]:
        """The report, or the error."""
        self.step()
        if isinstance(self.report, AwsError):
            raise self.report
        assert self.report is not None, "nobody should have asked"
        return self.report


def credential_report(*rows: str) -> bytes:
    """A report with the columns that count."""
    return "\n".join((REPORT_HEADER, *rows)).encode()


def recorded_result(resource_id: str, said: str, ordering: datetime, **changes: Any) -> RecordedResult:  # noqa: ANN401 - fields
    """A result of ours: its compliance type follows from the reason of what it says."""
    reason = Reason(said.partition(":")[0])
    made = RecordedResult("AWS::EC2::Instance", resource_id, reason.compliance_type.value, said, ordering, ordering)
    return made._replace(**changes)
