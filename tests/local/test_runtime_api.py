import http.client
import json
import threading
from collections.abc import Iterator

import pytest

from local.runtime_api import Answered, InitFailed, Invocation, Ready, RuntimeApi

RUNTIME = "/2018-06-01/runtime"
INVOCATION = Invocation(
    "request-1", b'{"a":1}', "arn:aws:lambda:eu-west-1:111122223333:function:f", 1000.5, "Root=1-0-0"
)


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    """A Runtime API without a runtime: the tests play that part."""
    served = RuntimeApi()
    yield served
    served.close()


def call(api: RuntimeApi, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, dict[str, str]]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(api.address, timeout=10)
    try:
        connection.request(method, RUNTIME + path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.headers)
    finally:
        connection.close()


def refusal(answer: tuple[int, bytes, dict[str, str]]) -> tuple[int, dict[str, str]]:
    """The status and the error of an answer."""
    return answer[0], json.loads(answer[1])


def test_an_invocation_is_handed_over_and_answered(api: RuntimeApi) -> None:
    """`next` waits for an invocation and gives it with its headers; the answer and each `next` are reported."""
    threading.Timer(0.05, api.offer, [INVOCATION]).start()
    status, body, headers = call(api, "GET", "/invocation/next")
    assert (status, body) == (200, b'{"a":1}')
    assert {name: value for name, value in headers.items() if name.startswith("Lambda-")} == {
        "Lambda-Runtime-Aws-Request-Id": "request-1",
        "Lambda-Runtime-Deadline-Ms": "1000500",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f",
        "Lambda-Runtime-Trace-Id": "Root=1-0-0",
    }
    assert call(api, "POST", "/invocation/request-1/response", b"[2]")[0] == 202
    assert [api.reports.get(timeout=1) for _ in range(2)] == [Ready(), Answered(b"[2]", failed=False)]


def test_errors_are_reported(api: RuntimeApi) -> None:
    """An invocation's error and one of loading are told apart."""
    api.offer(INVOCATION)
    call(api, "GET", "/invocation/next")
    assert call(api, "POST", "/invocation/request-1/error", b"{}")[0] == 202
    assert call(api, "POST", "/init/error", b'{"errorType":"E"}')[0] == 202
    reports = [api.reports.get(timeout=1) for _ in range(3)]
    assert reports == [Ready(), Answered(b"{}", failed=True), InitFailed(b'{"errorType":"E"}')]


def test_what_the_api_refuses(api: RuntimeApi) -> None:
    """A path that it does not have, an answer to another invocation, a second `next` without an answer."""
    assert refusal(call(api, "GET", "/invocation")) == (
        404,
        {"errorType": "UnknownRequest", "errorMessage": f"GET {RUNTIME}/invocation is not in the Runtime API"},
    )
    api.offer(INVOCATION)
    call(api, "GET", "/invocation/next")
    assert refusal(call(api, "POST", "/invocation/request-2/response")) == (
        400,
        {"errorType": "InvalidRequestID", "errorMessage": "request-2 is not the current invocation"},
    )
    assert refusal(call(api, "GET", "/invocation/next")) == (
        403,
        {"errorType": "InvalidStateTransition", "errorMessage": "invocation request-1 has had no response"},
    )
