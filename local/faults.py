"""What can be made to go wrong, on purpose: the next calls are throttled, fail, vanish or answer in part."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ANY_OPERATION = "*"


class FaultKind(StrEnum):
    """How a call goes wrong."""

    THROTTLE = "throttle"
    """ThrottlingException, HTTP 400; nothing is done."""
    DENY = "deny"
    """AccessDeniedException, HTTP 400; nothing is done."""
    OUTAGE = "outage"
    """A 5xx answer (`status`); nothing is done."""
    DROP = "drop"
    """The connection is closed without an answer; nothing is done."""
    LOSE_ANSWER = "lose-answer"
    """The call is carried out, then the connection is closed without an answer."""
    GARBLE = "garble"
    """HTTP 200 with a body that is no JSON, as a proxy answers; nothing is done."""
    DELAY = "delay"
    """The answer comes `seconds` later; together with any other fault."""
    FAIL_EVALUATIONS = "fail-evaluations"
    """PutEvaluations returns those of `resource_ids` as FailedEvaluations and stores the rest."""
    FAIL_FINDINGS = "fail-findings"
    """BatchImportFindings returns those of `resource_ids` (ids of findings) as FailedFindings with `code`, and stores
    the rest."""
    EMPTY_PAGE = "empty-page"
    """A paging operation answers with no items and a token that leads on to the same ones."""


ANSWERING = (
    FaultKind.THROTTLE,
    FaultKind.DENY,
    FaultKind.OUTAGE,
    FaultKind.DROP,
    FaultKind.LOSE_ANSWER,
    FaultKind.GARBLE,
)
"""The kinds that decide what the caller sees; one of them applies to a call, the one injected first."""


@dataclass
class Fault:
    """One fault. `times` counts the calls that it still spoils; None: all of them until it is cleared."""

    kind: FaultKind
    operation: str = ANY_OPERATION
    times: int | None = 1
    seconds: float = 0.0
    status: int = 500
    resource_ids: frozenset[str] = frozenset()
    code: str = "InternalException"

    def __post_init__(self) -> None:
        """Raise ValueError for what makes no sense."""
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}; allowed: 1 or more, or None for every call")
        if self.kind in (FaultKind.FAIL_EVALUATIONS, FaultKind.FAIL_FINDINGS) and not self.resource_ids:
            what = "evaluations" if self.kind is FaultKind.FAIL_EVALUATIONS else "findings"
            raise ValueError(f"resource_ids is empty; allowed: the ids whose {what} fail")
        if not 500 <= self.status <= 599:  # noqa: PLR2004 - the 5xx statuses
            raise ValueError(f"status is {self.status}; allowed: 500 to 599")


class Faults:
    """The faults still to come, in the order in which they were injected. Safe to use from many threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def inject(  # noqa: PLR0913 - one optional setting for each kind
        self,
        kind: FaultKind | str,
        operation: str = ANY_OPERATION,
        times: int | None = 1,
        *,
        seconds: float = 0.0,
        status: int = 500,
        resource_ids: Iterable[str] = (),
        code: str = "InternalException",
    ) -> None:
        """Let the next `times` calls of `operation` go wrong. Raises ValueError for what makes no sense."""
        fault = Fault(FaultKind(kind), operation, times, seconds, status, frozenset(resource_ids), code)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        with self._lock:
            self._faults.clear()

    def take(self, operation: str, *kinds: FaultKind, resource_ids: Iterable[str] = ()) -> Fault | None:
        """The first fault of these kinds that applies to this call, used up by one. None if there is none."""
        ids = set(resource_ids)
        with self._lock:
            for fault in self._faults:
                applies = fault.kind in kinds and fault.operation in (ANY_OPERATION, operation)
                if applies and (not fault.resource_ids or fault.resource_ids & ids):
                    self._use_up(fault)
                    return fault
        return None

    def _use_up(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._faults.remove(fault)
