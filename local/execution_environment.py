"""One execution environment: a process that runs the function under AWS's runtime client, one invocation at a time."""

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from local.interpreter import Interpreter
from local.runtime_api import Answered, Exited, InitFailed, Invocation, Ready, Report, RuntimeApi
from local.template import FunctionDefinition

INIT_SECONDS = 10
"""What Lambda allows for loading a function before it counts the loading against the function's timeout."""

_KIB = 1024


@dataclass(frozen=True)
class FunctionError:
    """Why an invocation failed, as Lambda's caller sees it."""

    error_type: str
    message: str
    stack_trace: tuple[str, ...] = ()


@dataclass(frozen=True)
class InvocationResult:
    """One attempt at one event. Seconds throughout; `payload` is the JSON value that the handler returned."""

    request_id: str
    payload: object
    error: FunctionError | None
    log: tuple[str, ...]
    """Lines that the function wrote to its output and its error output; of a cold start also while it was loading."""
    duration: float
    init_duration: float | None
    """From the start of the process until it was ready; None when the environment was warm."""
    peak_memory_mib: float | None
    """Of the process, in all its invocations so far; None where the operating system does not say (no /proc)."""

    @property
    def cold(self) -> bool:
        """Whether the environment was started for this invocation."""
        return self.init_duration is not None

    def json_log(self) -> list[dict[str, object]]:
        """The log lines that are JSON objects: structured log lines, and metrics in CloudWatch's embedded format."""
        found = []
        for line in self.log:
            if line.startswith("{"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue  # an ordinary line that happens to begin with a brace
        return found


class ExecutionEnvironment:
    """Starts at once. After a failed start, a time-out or an exit it is over."""

    def __init__(
        self,
        interpreter: Interpreter,
        definition: FunctionDefinition,
        task_root: Path,
        variables: Mapping[str, str],
        clock_ahead: timedelta = timedelta(),
    ) -> None:
        self.clock_ahead = clock_ahead
        self._over = False
        self._function_arn = definition.arn
        self._timeout = float(definition.timeout_seconds)
        self._started = time.monotonic()
        self._ready = False
        self._read = 0
        self._api = RuntimeApi()
        self._passing = tempfile.TemporaryDirectory(prefix="rolecall-tmp-")
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close(); unlike a pipe it blocks no writer
        self._process = subprocess.Popen(  # noqa: S603 - the function that the caller names, no shell
            _command(interpreter, definition.handler, clock_ahead),
            cwd=task_root,
            env={
                **variables,
                # No other environment sees it, as /tmp in Lambda.
                "TMPDIR": self._passing.name,
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
                "LAMBDA_RUNTIME_DIR": str(interpreter.runtime_client),
                "PYTHONPATH": str(interpreter.runtime_client),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; and killing the group ends what the function started, too
        )
        self._watch = threading.Thread(target=self._report_exit, name="local-lambda-exit", daemon=True)
        self._watch.start()

    @property
    def process_id(self) -> int:
        """The operating system's number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take another invocation."""
        return not self._over and self._process.returncode is None

    def invoke(self, request_id: str, event: bytes) -> InvocationResult:
        """Wait until the function is loaded (the first time), hand it the event, wait for its answer."""
        init_duration = None
        problem = None
        if not self._ready:
            problem = self._initialize(request_id)
            init_duration = time.monotonic() - self._started
        began = time.monotonic()
        outcome = problem or self._handle(request_id, event)
        duration = min(time.monotonic() - began, self._timeout)
        if not self._over:
            self._await_ready()
        peak_memory = _peak_memory_mib(self._process.pid)
        if self._over:
            self.kill()
        return InvocationResult(
            request_id=request_id,
            payload=None if isinstance(outcome, FunctionError) else json.loads(outcome),
            error=outcome if isinstance(outcome, FunctionError) else None,
            log=self._new_lines(),
            duration=duration,
            init_duration=init_duration,
            peak_memory_mib=peak_memory,
        )

    def kill(self) -> None:
        """End the process and everything it started; an invocation under way ends with an error."""
        self._over = True
        # PermissionError: what some systems say of a group in which only the dead are left
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill, and free what the environment used; no invocation may be under way."""
        self.kill()
        self._watch.join()
        self._api.close()
        self._output.close()
        self._passing.cleanup()

    def _initialize(self, request_id: str) -> FunctionError | None:
        match self._next_report(self._started + INIT_SECONDS + self._timeout):
            case Ready():
                self._ready = True
                return None
            case InitFailed(body):
                self._over = True
                return _function_error(body)
            case other:
                return self._end(other, request_id)

    def _handle(self, request_id: str, event: bytes) -> bytes | FunctionError:
        now = time.time()
        self._api.offer(
            Invocation(
                request_id=request_id,
                event=event,
                function_arn=self._function_arn,
                deadline=now + self._timeout,
                trace_id=f"Root=1-{int(now):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0",
            )
        )
        match self._next_report(time.monotonic() + self._timeout):
            case Answered(body, failed):
                return _function_error(body) if failed else body
            case other:
                return self._end(other, request_id)

    def _await_ready(self) -> None:
        """When the runtime asks for its next event, all that the last one made it write has been written."""
        report = self._next_report(time.monotonic() + self._timeout)
        self._over = not isinstance(report, Ready)

    def _end(self, report: Report | None, request_id: str) -> FunctionError:
        self._over = True
        match report:
            case None:
                what = f"Task timed out after {self._timeout:.2f} seconds"
                return FunctionError("Sandbox.Timedout", f"RequestId: {request_id} Error: {what}")
            case Exited(status):
                return FunctionError("Runtime.ExitError", f"RequestId: {request_id} Error: {_exit_reason(status)}")
        raise AssertionError(f"the runtime client did what it does not do: {report}")

    def _next_report(self, deadline: float) -> Report | None:
        try:
            return self._api.reports.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            return None

    def _report_exit(self) -> None:
        self._api.reports.put(Exited(self._process.wait()))

    def _new_lines(self) -> tuple[str, ...]:
        """What was written since the last call. The process shares the file's position, so ours is kept apart."""
        written = os.fstat(self._output.fileno()).st_size
        text = os.pread(self._output.fileno(), written - self._read, self._read).decode("utf-8", errors="replace")
        self._read = written
        return tuple(line for line in text.split("\n") if line)


def _command(interpreter: Interpreter, handler: str, clock_ahead: timedelta) -> list[str | Path]:
    """`-S`: no site-packages. The package is read-only, as in Lambda, but its byte code is used.

    Only for a Python that it has no byte code for, that is written, and elsewhere.
    """
    elsewhere = interpreter.runtime_client.with_name(f"{interpreter.runtime_client.name}.pycache")
    options = ["-B"] if interpreter.matches_runtime else ["-X", f"pycache_prefix={elsewhere}"]
    python: list[str | Path] = [interpreter.executable, "-S", *options]
    if clock_ahead:
        starter = Path(__file__).with_name("later_clock.py")
        return [*python, "-P", starter, str(clock_ahead.total_seconds()), handler]  # -P: nothing beside it is a module
    return [*python, "-m", "awslambdaric", handler]


def _function_error(body: bytes) -> FunctionError:
    error = json.loads(body)
    return FunctionError(error["errorType"], error["errorMessage"], tuple(error["stackTrace"]))


def _exit_reason(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        return f"Runtime exited with error: signal: {signal.strsignal(-status)}".lower().replace(
            "runtime", "Runtime", 1
        )
    return f"Runtime exited with error: exit status {status}"


def _peak_memory_mib(process_id: int) -> float | None:
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(peak[1]) / _KIB if peak else None
