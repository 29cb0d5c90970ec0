"""Lambda's Runtime API, 2018-06-01: what the runtime client in one execution environment talks to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
from collections.abc import Mapping
from dataclasses import dataclass

from local.http_server import HttpServer, Request, Response

_RUNTIME = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Invocation:
    """One event for the runtime to fetch. `deadline` is in seconds since the epoch."""

    request_id: str
    event: bytes
    function_arn: str
    deadline: float
    trace_id: str

    def headers(self) -> Mapping[str, str]:
        """The headers of the answer to `invocation/next`."""
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
        }


@dataclass(frozen=True)
class Ready:
    """The runtime waits for its next invocation."""


@dataclass(frozen=True)
class Answered:
    """The runtime has finished an invocation."""

    body: bytes
    failed: bool


@dataclass(frozen=True)
class InitFailed:
    """The function could not be loaded."""

    body: bytes


@dataclass(frozen=True)
class Exited:
    """The runtime's process has ended; a negative status is the signal that ended it."""

    status: int


Report = Ready | Answered | InitFailed | Exited


class RuntimeApi:
    """Serves one runtime on loopback. What the runtime does appears in `reports`, in order."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._offered: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._current: str | None = None
        self._server = HttpServer(self._answer)

    @property
    def address(self) -> str:
        """For AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.port}"

    def offer(self, invocation: Invocation) -> None:
        """Give the runtime its next invocation; a report `Ready` has said that it waits for one."""
        self._offered.put(invocation)

    def close(self) -> None:
        """Let go of a runtime that still waits, and of the port."""
        self._offered.put(None)
        self._server.close()

    def _answer(self, request: Request) -> Response | None:
        body = request.read()
        match request.method, request.target.removeprefix(_RUNTIME).strip("/").split("/"):
            case "GET", ["invocation", "next"]:
                return self._next()
            case "POST", ["invocation", request_id, "response" | "error" as outcome]:
                return self._finish(request_id, Answered(body, failed=outcome == "error"))
            case "POST", ["init", "error"]:
                self.reports.put(InitFailed(body))
                return _accepted()
        return _refused(404, "UnknownRequest", f"{request.method} {request.target} is not in the Runtime API")

    def _next(self) -> Response | None:
        if self._current is not None:
            return _refused(403, "InvalidStateTransition", f"invocation {self._current} has had no response")
        self.reports.put(Ready())
        invocation = self._offered.get()
        if invocation is None:
            return None
        self._current = invocation.request_id
        return Response(200, invocation.event, invocation.headers())

    def _finish(self, request_id: str, answered: Answered) -> Response:
        if request_id != self._current:
            return _refused(400, "InvalidRequestID", f"{request_id} is not the current invocation")
        self._current = None
        self.reports.put(answered)
        return _accepted()


def _accepted() -> Response:
    return Response(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})


def _refused(status: int, error_type: str, message: str) -> Response:
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    return Response(status, body, {"Content-Type": "application/json"})
