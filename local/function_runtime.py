"""A Lambda function on this machine: the package, handler and environment of its definition under AWS's runtime client.

What differs from Lambda: memory and CPU are not limited, an environment is not frozen between invocations, and more
invocations than environments wait instead of being throttled.
"""

import json
import os
import secrets
import tempfile
import threading
import uuid
import weakref
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.closing import Closing
from local.execution_environment import ExecutionEnvironment, InvocationResult
from local.interpreter import Interpreter, interpreter_for
from local.template import FunctionDefinition

DEFAULT_CONCURRENCY = 4


class FunctionRuntime(Closing):
    """Runs one function. A context manager: leaving it ends every process of it; so does the end of this program.

    `variables` go over the definition's environment: endpoints (AWS_ENDPOINT_URL…) and credentials.
    `concurrency` bounds the environments that run at once; the definition's reserved concurrency may be lower.
    `on_log` is called with each line that the function wrote, when its invocation has ended.
    `interpreter` is found by the definition's runtime unless given.
    """

    def __init__(
        self,
        definition: FunctionDefinition,
        variables: Mapping[str, str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_log: Callable[[str], None] | None = None,
        interpreter: Interpreter | None = None,
    ) -> None:
        self.definition = definition
        self.interpreter = interpreter or interpreter_for(definition.runtime)
        self.concurrency = _concurrency(definition, concurrency)
        self._on_log = on_log
        self._unpacked = _unpack(definition.code) if definition.code.is_file() else None
        self.task_root = Path(self._unpacked.name) if self._unpacked else definition.code.resolve()
        self._variables = {**platform_variables(definition, self.task_root), **definition.environment, **variables}
        self._slots = threading.BoundedSemaphore(self.concurrency)
        self._lock = threading.RLock()
        self._closed = False
        self._clock_ahead = timedelta()
        self._idle: list[ExecutionEnvironment] = []
        self._environments: set[ExecutionEnvironment] = set()
        self._at_exit = weakref.finalize(self, _kill, self._environments)

    def invoke(self, event: object, request_id: str | None = None) -> InvocationResult:
        """Give the function one event (a JSON value) and wait; it has the definition's timeout to answer.

        A function that fails, times out or exits is a result with `error`, as in Lambda. RuntimeError: after `close`.
        """
        with self._environment() as environment:
            result = environment.invoke(request_id or str(uuid.uuid4()), json.dumps(event).encode())
        if self._on_log:
            for line in result.log:
                self._on_log(line)
        return result

    def advance_clock(self, by: timedelta) -> None:
        """From now on the function believes that it is later by this much; environments start anew for it."""
        self._set_clock_ahead(self._clock_ahead + by)

    def set_clock(self, now: datetime) -> None:
        """The same; it believes that it is this moment, which may be in the past."""
        self._set_clock_ahead(now - datetime.now(UTC))

    def close(self) -> None:
        """End every process. Invocations under way end with an error; waiting ones are not begun."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for environment in self._environments:
                environment.kill()
        for environment in idle:
            self._discard(environment)
        for _ in range(self.concurrency):  # whoever has a slot is in an environment that is being closed
            self._slots.acquire()
        self._slots.release(self.concurrency)
        self._at_exit.detach()
        if self._unpacked:
            self._unpacked.cleanup()

    def _set_clock_ahead(self, ahead: timedelta) -> None:
        with self._lock:
            self._clock_ahead = ahead
            idle, self._idle = self._idle, []
        for environment in idle:
            self._discard(environment)

    @contextmanager
    def _environment(self) -> Iterator[ExecutionEnvironment]:
        """A warm environment, or a new one; it is kept for the next event when it may be used again."""
        with self._slots:
            environment = self._take()
            try:
                yield environment
            except BaseException:  # such as KeyboardInterrupt: the event has been handed over, its answer must not
                environment.kill()  # be taken for the next event's
                raise
            finally:
                self._give_back(environment)

    def _take(self) -> ExecutionEnvironment:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the local runtime of {self.definition.name} is closed")
            while self._idle:
                environment = self._idle.pop()
                if environment.alive:
                    return environment
                self._discard(environment)
            stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
            environment = ExecutionEnvironment(
                self.interpreter,
                self.definition,
                self.task_root,
                {**self._variables, "AWS_LAMBDA_LOG_STREAM_NAME": stream},
                self._clock_ahead,
            )
            self._environments.add(environment)
            return environment

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            if environment.alive and environment.clock_ahead == self._clock_ahead and not self._closed:
                self._idle.append(environment)
                return
        self._discard(environment)

    def _discard(self, environment: ExecutionEnvironment) -> None:
        environment.close()
        with self._lock:
            self._environments.discard(environment)


def _concurrency(definition: FunctionDefinition, local: int) -> int:
    reserved = definition.reserved_concurrency
    concurrency = local if reserved is None else min(local, reserved)
    if concurrency < 1:
        raise ValueError(f"{definition.name} may run {concurrency} times at once, so never; at least 1 is needed")
    return concurrency


def _unpack(package: Path) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="rolecall-package-")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder.name)
    return folder


def _kill(environments: set[ExecutionEnvironment]) -> None:
    for environment in environments:
        environment.kill()


def platform_variables(definition: FunctionDefinition, task_root: Path) -> dict[str, str]:
    """What Lambda itself sets, and placeholders for credentials; nothing of this machine's own settings.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    variables = {
        "_HANDLER": definition.handler,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_DEFAULT_REGION": definition.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{definition.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mib),
        "AWS_LAMBDA_FUNCTION_NAME": definition.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": definition.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": definition.log_group or f"/aws/lambda/{definition.name}",
        "AWS_REGION": definition.region,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        # Not Lambda's: without HOME, botocore would still find this user's own profile, with its region and endpoints.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if definition.log_format == "JSON":
        variables["AWS_LAMBDA_LOG_LEVEL"] = definition.log_level or "INFO"
    return variables
