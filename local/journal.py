"""Every call that a service received, for assertions. Result tokens appear only as fingerprints."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call and how it ended."""

    operation: str
    account: str
    region: str
    input: dict[str, Any]
    error: str | None
    """The error code that was answered, or the fault that was injected; None when all went well."""
    received: datetime
    seconds: float


class Journal:
    """The calls in the order of their answers; the oldest go once there are 100,000.

    `on_call`, where it is set, is called with each of them.
    """

    def __init__(self) -> None:
        self.on_call: Callable[[Call], None] | None = None
        self._calls: deque[Call] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Keep a call that was answered."""
        with self._lock:
            self._calls.append(call)
        if self.on_call is not None:
            self.on_call(call)

    def calls(self, operation: str | None = None) -> list[Call]:
        """All calls, or those of one operation."""
        with self._lock:
            return [call for call in self._calls if operation in (None, call.operation)]

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """`document` as it may be kept: its result token is replaced by a fingerprint."""
    token = document.get("ResultToken")
    return {**document, "ResultToken": fingerprint(token)} if isinstance(token, str) else document


def fingerprint(token: str) -> str:
    """Tells tokens apart without revealing them."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()[:16]}"
