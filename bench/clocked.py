"""One execution environment of a candidate, and the processor time that it takes.

Processor time is read from the process's own clock, which other processes on the machine move far less than the wall's.
"""

import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.candidates import Candidate
from bench.endpoint import Endpoint
from local.execution_environment import ExecutionEnvironment, InvocationResult
from local.function_runtime import platform_variables
from local.interpreter import Interpreter

_CPU_CLOCK_OF_A_PROCESS = 2
"""The kernel's CPUCLOCK_SCHED, which clock_getcpuclockid(3) puts into a clock's id. Linux only."""


class FunctionFailed(Exception):
    """A candidate did not answer an event; the message holds its error and its log."""


@dataclass(frozen=True)
class Cost:
    """Of one invocation, in seconds. The first one's includes the start of the process: `init` is that part of it."""

    wall: float
    cpu: float
    init: float
    peak_memory_mib: float


class Clocked:
    """A running environment. A context manager: leaving it ends the process."""

    def __init__(self, candidate: Candidate, interpreter: Interpreter, endpoint: Endpoint) -> None:
        definition = candidate.definition
        variables = platform_variables(definition, definition.code) | dict(definition.environment) | endpoint.variables
        self._candidate = candidate
        self._environment = ExecutionEnvironment(interpreter, definition, definition.code, variables)
        self._invocations = 0

    @property
    def process_id(self) -> int:
        """The operating system's number of the process."""
        return self._environment.process_id

    def invoke(self, event: dict[str, Any]) -> Cost:
        """Have one event answered. Raises FunctionFailed."""
        before = cpu_seconds(self.process_id) if self._invocations else 0.0
        self._invocations += 1
        result = self._environment.invoke(
            f"{self._invocations:08x}-0000-4000-8000-000000000000", json.dumps(event).encode()
        )
        # rdklib returns what goes wrong instead of raising it.
        if result.error or isinstance(result.payload, dict):
            raise FunctionFailed(_failure(self._candidate.name, result))
        init = result.init_duration or 0.0
        return Cost(
            wall=init + result.duration,
            cpu=cpu_seconds(self.process_id) - before,
            init=init,
            peak_memory_mib=result.peak_memory_mib or 0.0,
        )

    def __enter__(self) -> Self:
        """Return the environment itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._environment.close()


def cpu_seconds(process_id: int) -> float:
    """Processor time that a process has used, all its threads, to the nanosecond."""
    return time.clock_gettime((~process_id << 3) | _CPU_CLOCK_OF_A_PROCESS)


def _failure(name: str, result: InvocationResult) -> str:
    return "\n".join([f"{name} failed: {result.error or result.payload}", *result.log[-20:]])


class Throttled:
    """Gives a process a share of one processor, by stopping it whenever it has used its share. A context manager."""

    PERIOD = 0.02

    def __init__(self, process_id: int, share: float) -> None:
        self._process_id = process_id
        self._share = share
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._throttle, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process run freely."""
        self._over.set()
        self._thread.join()

    def _throttle(self) -> None:
        """Each period grants its share; what is not used is lost, what was used too much is owed."""
        with contextlib.suppress(ProcessLookupError, OSError):
            used = cpu_seconds(self._process_id)
            left = self.PERIOD * self._share
            granted_at = time.monotonic()
            stopped = False
            while not self._over.wait(0.0005):
                now_used = cpu_seconds(self._process_id)
                left -= now_used - used
                used = now_used
                if time.monotonic() - granted_at >= self.PERIOD:
                    granted_at += self.PERIOD
                    left = min(left, 0) + self.PERIOD * self._share
                if stopped != (left <= 0):
                    stopped = not stopped
                    os.kill(self._process_id, signal.SIGSTOP if stopped else signal.SIGCONT)
            os.kill(self._process_id, signal.SIGCONT)
