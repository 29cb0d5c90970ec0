"""AssumeRole as AWS decides it: the role must be there, and its trust policy must let the caller in.

moto hands out credentials for any role. Its answer is asked for only once these hold; roles, their trust policies and
the credentials themselves are moto's. What the caller's own policies allow is not looked at.
"""

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from local.credentials import Credentials, CredentialScope
from local.faults import ANSWERING, Fault, FaultKind, Faults
from local.http_server import Response
from local.journal import Call, Journal
from local.service_errors import ServiceError
from local.timestamps import epoch_ms
from local.trust_policies import trusts

ASSUME_ROLE = "AssumeRole"

CHAINED_SECONDS = 3600
"""The longest session of a role that was assumed by a role."""

_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:.*/)?([\w+=,.@-]{1,64})")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")


class StrictSts:
    """Decides AssumeRole. `organizations` says which organization an account is in, by its id; nobody is at first.

    What shall fail is told through `faults`; every AssumeRole stands in `journal`.
    """

    def __init__(self, credentials: Credentials, moto_port: int) -> None:
        self.organizations: dict[str, str] = {}
        self.faults = Faults()
        self.journal = Journal()
        self._credentials = credentials
        self._moto_port = moto_port

    def assume_role(
        self, body: bytes, scope: CredentialScope, account: str, forward: Callable[[], Response]
    ) -> Response | None:
        """Answer AssumeRole; `forward` has moto carry it out. None drops the connection."""
        form = dict(parse_qsl(body.decode()))
        started, received = time.perf_counter(), datetime.now(UTC)
        error: str | None = None
        response: Response | None
        if delay := self.faults.take(ASSUME_ROLE, FaultKind.DELAY):
            time.sleep(delay.seconds)
        if fault := self.faults.take(ASSUME_ROLE, *ANSWERING):
            error, response = fault.kind, _spoiled(fault)
        else:
            try:
                self._check(form, scope, account)
                response = forward()
                self._remember(response, form["RoleArn"])
            except ServiceError as refused:
                error, response = refused.code, refusal(refused)
        asked = {name: value for name, value in form.items() if name not in ("Action", "Version")}
        self.journal.add(
            Call(ASSUME_ROLE, account, scope.region, asked, error, received, time.perf_counter() - started)
        )
        return response

    def _check(self, form: Mapping[str, str], scope: CredentialScope, account: str) -> None:
        arn, name = form.get("RoleArn", ""), form.get("RoleSessionName", "")
        role = _ROLE_ARN.fullmatch(arn)
        if role is None:
            raise _invalid(f"{arn} is invalid")
        if not _SESSION_NAME.fullmatch(name):
            raise _invalid(f"Value '{name}' at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]{{2,64}}")
        caller = self._credentials.principal_of(scope.access_key)
        seconds = int(form.get("DurationSeconds", "3600"))
        if caller.is_role and seconds > CHAINED_SECONDS:
            raise _invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        context = {
            "aws:PrincipalAccount": account,
            "aws:PrincipalArn": caller.arn,
            "sts:RoleSessionName": name,
            **({"sts:ExternalId": form["ExternalId"]} if "ExternalId" in form else {}),
            **({"aws:PrincipalOrgID": self.organizations[account]} if account in self.organizations else {}),
        }
        known = self._role(role[2], role[3], scope.region)
        if known is None or known["Arn"] != arn or not trusts(known["AssumeRolePolicyDocument"], context):
            raise ServiceError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                status=403,
            )

    def _role(self, account: str, name: str, region: str) -> dict[str, Any] | None:
        """What moto's IAM knows of a role: its ARN and its trust policy."""
        connection = http.client.HTTPConnection("127.0.0.1", self._moto_port)
        try:
            connection.request(
                "POST",
                "/",
                urlencode({"Action": "GetRole", "Version": "2010-05-08", "RoleName": name}),
                {
                    "Authorization": f"AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/iam/aws4_request",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "x-moto-account-id": account,
                },
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        return {
            "Arn": _element(text, "Arn"),
            "AssumeRolePolicyDocument": json.loads(unquote(_element(text, "AssumeRolePolicyDocument"))),
        }

    def _remember(self, response: Response, role_arn: str) -> None:
        if response.status != http.HTTPStatus.OK or not isinstance(response.body, bytes):
            return
        text = response.body.decode()
        self._credentials.register(
            _element(text, "AccessKeyId"),
            role_arn.split(":")[4],
            _element(text, "SessionToken"),
            role_arn=role_arn,
            expires_ms=epoch_ms(_element(text, "Expiration")),
        )


def refusal(error: ServiceError) -> Response:
    """An error as services of the query protocol answer it."""
    inner = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
    return Response(error.status, body.encode(), {"Content-Type": "text/xml"})


def _spoiled(fault: Fault) -> Response | None:
    match fault.kind:
        case FaultKind.THROTTLE:
            return refusal(ServiceError("Throttling", "Rate exceeded"))
        case FaultKind.DENY:
            return refusal(ServiceError("AccessDenied", "You are not authorized to perform this action.", 403))
        case FaultKind.OUTAGE:
            return refusal(ServiceError("InternalFailure", "An internal error occurred.", fault.status))
        case FaultKind.GARBLE:
            return Response(200, b"<html><body>This is not the service that you are looking for.</body></html>")
        case _:
            return None


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>\s*(.*?)\s*</{name}>", text, re.DOTALL)
    if found is None:
        raise ValueError(f"moto's answer holds no {name}")
    return found[1]
