"""A stand-in for what moto does not answer: recorded-shape answers, each held against botocore's model of it."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs

from botocore.validate import ParamValidator
from moto.core.model import ServiceModel
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from local.credentials import credential_scope
from local.http_server import HttpServer, Request, Response

_MODELS = {
    "monitoring": "cloudwatch",  # by the name that requests are signed with
}

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """An error answer."""

    code: str
    message: str = "You may not."
    status: int = 400


@dataclass
class StandIn:
    """Answers by operation and region; what it holds no answer for goes to moto, or else is an error of the test.

    A list of answers is given page by page: each but the last has a NextToken, and the next request has to bring it.
    """

    answers: dict[str, Answer | Refusal | list[Answer]] = field(default_factory=dict)
    """Keys are `Operation` or, for one region only, `Operation region`."""
    moto_port: int | None = None
    account: str = "111122223333"
    administrators: Mapping[str, str] = field(default_factory=dict)
    """Accounts that ListDelegatedAdministrators gives for some service principals, instead of its answer."""
    delay: float = 0
    """Seconds that every answer takes."""
    most_at_once: int = 0
    """Requests that were being answered at the same time."""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Service, operation and region of every request."""

    def __enter__(self) -> Self:
        """Start to listen."""
        self._counting = threading.Lock()
        self._now = 0
        self._server = HttpServer(self._respond)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.close()

    def environment(self, region: str = "eu-west-1") -> dict[str, str]:
        """What to export so that any AWS client asks this."""
        return {
            "AWS_ENDPOINT_URL": self._server.url,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "invented",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }

    def _respond(self, request: Request) -> Response:
        with self._counting:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self.delay)
            return self._answer(request)
        finally:
            with self._counting:
                self._now -= 1

    def _answer(self, request: Request) -> Response:
        scope = credential_scope(request.headers["Authorization"])
        body = request.read()
        service = _MODELS.get(scope.service, scope.service)
        model = get_service_model(service)
        operation = _operation(model, request, body)
        self.calls.append((service, operation, scope.region))
        answer = self.answers.get(f"{operation} {scope.region}", self.answers.get(operation))
        if operation == "ListDelegatedAdministrators":
            delegated = self.administrators.get(json.loads(body)["ServicePrincipal"])
            answer = {"DelegatedAdministrators": [{"Id": delegated, "Status": "ACTIVE"}]} if delegated else answer
        if answer is None:
            if self.moto_port is None:
                answer = Refusal("InternalFailure", f"the test has no answer for {operation}", 400)
            else:
                return self._from_moto(request, body)
        return _serialized(model, operation, answer, body)

    def _from_moto(self, request: Request, body: bytes) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.moto_port)
        headers = dict(request.headers.items()) | {"x-moto-account-id": self.account}
        connection.request(request.method, request.target, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return Response(answer.status, content, {"Content-Type": answer.headers["Content-Type"]})


def _operation(model: ServiceModel, request: Request, body: bytes) -> str:
    if target := request.headers.get("X-Amz-Target"):
        return str(target).rpartition(".")[2]
    if model.resolved_protocol in ("query", "ec2"):
        return parse_qs(body.decode())["Action"][0]
    path = request.target.partition("?")[0].rstrip("/")
    for name in model.operation_names:
        known = model.operation_model(name).http
        if known["method"] == request.method and known["requestUri"].rstrip("/") == path:
            return str(name)
    raise LookupError(f"{request.method} {request.target} is no operation without parameters in its path")


def _serialized(model: ServiceModel, operation: str, answer: Answer | Refusal | list[Answer], body: bytes) -> Response:
    if isinstance(answer, Refusal):
        return _refused(answer, xml=model.resolved_protocol in ("query", "ec2"))
    known = model.operation_model(operation)
    make: Callable[..., Any] = get_serializer_class(model.service_name, model.resolved_protocol)
    page = _page(answer, body) if isinstance(answer, list) else answer
    report = ParamValidator().validate(page, known.output_shape)
    assert not report.has_errors(), f"{operation} never answers so: {report.generate_report()}"
    made = make(operation_model=known).serialize(dict(page))
    return Response(200, _bytes(made["body"]), made["headers"])


def _refused(refusal: Refusal, *, xml: bool) -> Response:
    if xml:
        error = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
        return Response(refusal.status, f"<ErrorResponse>{error}</ErrorResponse>".encode(), {})
    body = json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
    return Response(refusal.status, body, {"x-amzn-errortype": refusal.code})


def _page(pages: list[Answer], body: bytes) -> Answer:
    text = body.decode()
    given = json.loads(text).get("NextToken") if text.startswith("{") else parse_qs(text).get("NextToken", [None])[0]
    number = int(given.removeprefix("page-")) if given else 0
    following = {"NextToken": f"page-{number + 1}"} if number + 1 < len(pages) else {}
    return {**pages[number], **following}


def _bytes(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode()
