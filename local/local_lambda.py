"""AWS Lambda's Invoke over HTTP, for the functions that run here: accepted events are handled asynchronously.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
import re
import time
import uuid
from datetime import UTC, datetime
from urllib.parse import unquote

from local.config_settings import Invoke
from local.credentials import CredentialScope
from local.faults import ANSWERING, Fault, FaultKind, Faults
from local.http_server import Request, Response
from local.journal import Call, Journal
from local.service_errors import ServiceError, invalid_parameter
from rolecall.items import partition_of

EVENT_MAX_BYTES = 1024 * 1024
"""Of an asynchronous invocation: AWS Lambda Developer Guide, "Lambda quotas"."""

_INVOCATIONS = re.compile(r"/2015-03-31/functions/([^/?]+)/invocations(?:\?.*)?")
_ARN = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:([0-9]{12}):function:[^:]+")


class LocalLambda:
    """Invokes the functions in `functions`, by ARN. What shall fail is told through `faults`, calls are journalled."""

    def __init__(self) -> None:
        self.functions: dict[str, Invoke] = {}
        self.faults = Faults()
        self.journal = Journal()

    @staticmethod
    def takes(request: Request) -> bool:
        """Whether a request of Lambda's API is answered here."""
        return request.method == "POST" and _INVOCATIONS.fullmatch(request.target) is not None

    def respond(self, request: Request, scope: CredentialScope, account: str) -> Response | None:
        """Answer Invoke. None drops the connection."""
        body = request.read()
        started, received = time.perf_counter(), datetime.now(UTC)
        arn = _function_arn(request, scope, account)
        kind = request.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
        error: str | None = None
        response: Response | None
        if fault := self.faults.take("Invoke", *ANSWERING):
            error, response = fault.kind, _spoiled(fault)
        else:
            try:
                response = self._invoked(arn, kind, body, account)
            except ServiceError as refused:
                error, response = refused.code, _refusal(refused)
        asked = {"FunctionName": arn, "InvocationType": kind}
        self.journal.add(Call("Invoke", account, scope.region, asked, error, received, time.perf_counter() - started))
        return response

    def _invoked(self, arn: str, kind: str, body: bytes, account: str) -> Response:
        if arn not in self.functions:
            raise ServiceError("ResourceNotFoundException", f"Function not found: {arn}", status=404)
        owner = _ARN.fullmatch(arn)
        if owner is None or owner[1] != account:
            raise ServiceError(
                "AccessDeniedException", f"{account} is not authorized to perform: lambda:InvokeFunction", status=403
            )
        if kind != "Event":
            raise invalid_parameter(f"The local Lambda carries out the invocation type Event, not {kind}")
        if len(body) > EVENT_MAX_BYTES:
            raise ServiceError("RequestTooLargeException", f"{len(body)} byte payload is too large", status=413)
        try:
            event = json.loads(body or b"{}")
        except ValueError:
            raise ServiceError("InvalidRequestContentException", "Could not parse request body into json") from None
        self.functions[arn](arn, event)
        return Response(202, b"", {"x-amzn-RequestId": str(uuid.uuid4())})


def _function_arn(request: Request, scope: CredentialScope, account: str) -> str:
    """What the path names: an ARN, or a name of the caller's own account and region."""
    path = _INVOCATIONS.fullmatch(request.target)
    named = unquote(path[1]) if path else ""
    if named.startswith("arn:"):
        return named
    return f"arn:{partition_of(None, scope.region)}:lambda:{scope.region}:{account}:function:{named}"


def _spoiled(fault: Fault) -> Response | None:
    match fault.kind:
        case FaultKind.THROTTLE:
            return _refusal(ServiceError("TooManyRequestsException", "Rate Exceeded.", 429))
        case FaultKind.DENY:
            return _refusal(
                ServiceError("AccessDeniedException", "You are not authorized to perform this action.", 403)
            )
        case FaultKind.OUTAGE:
            return _refusal(ServiceError("ServiceException", "An internal error occurred.", fault.status))
        case FaultKind.GARBLE:
            return Response(200, b"<html><body>This is not the service that you are looking for.</body></html>")
        case _:
            return None


def _refusal(error: ServiceError) -> Response:
    body = json.dumps({"Type": "User", "Message": error.message}).encode()
    return Response(error.status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": error.code})
