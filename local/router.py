"""One endpoint for all services: AWS Config, Security Hub, AssumeRole and Lambda's Invoke are answered here.

All else goes to moto, but what a bucket's policy denies.

A request's signature names its service and its access key. The account of that key is told to moto, so that both
keep the same accounts apart; credentials that STS and IAM hand out are remembered with theirs.
"""

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from local.bucket_policies import BucketPolicies
from local.config_service import CONTROL_PREFIX, TARGET_PREFIX, ConfigService
from local.credentials import Credentials, CredentialScope, credential_scope
from local.http_server import Request, Response
from local.local_lambda import LocalLambda
from local.security_hub import SERVICE as SECURITY_HUB
from local.security_hub import SecurityHubService
from local.service_errors import ServiceError
from local.strict_sts import ASSUME_ROLE, StrictSts, refusal

_BLOCK = 64 * 1024
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "date", "server", "expect"))
_ISSUERS = frozenset(("sts", "iam"))
_ISSUED_KEY = re.compile(rb"<AccessKeyId>\s*([^<\s]+)\s*</AccessKeyId>")
_ISSUED_TOKEN = re.compile(rb"<SessionToken>\s*([^<\s]+)\s*</SessionToken>")


class Router:
    """Hands what no service here answers to moto on 127.0.0.1; `respond` is the application."""

    def __init__(  # noqa: PLR0913 - one for each service
        self,
        config: ConfigService,
        security_hub: SecurityHubService,
        sts: StrictSts,
        functions: LocalLambda,
        *,
        bucket_policies: BucketPolicies,
        moto_port: int,
    ) -> None:
        self._config = config
        self._security_hub = security_hub
        self._sts = sts
        self._functions = functions
        self._bucket_policies = bucket_policies
        self._credentials = config.credentials
        self._moto_port = moto_port

    def respond(self, request: Request) -> Response | None:
        """Answer one request."""
        target = request.headers.get("X-Amz-Target") or ""
        if request.target.startswith(CONTROL_PREFIX) or target.startswith(TARGET_PREFIX):
            return self._config.respond(request)
        if f"/{SECURITY_HUB}/aws4_request" in request.headers.get("Authorization", ""):
            return self._security_hub.respond(request)
        try:
            scope, account = self._caller(request)
        except ServiceError as error:
            return _refused(error, json_protocol=bool(target))
        if scope is not None and scope.service == "config":
            return self._config.respond(request)
        if scope is None or account is None:
            return self._bucket_policies.refusal(request, None) or self._forwarded(request, scope, account)
        return self._answered_for(request, scope, account)

    def _answered_for(self, request: Request, scope: CredentialScope, account: str) -> Response | None:
        if scope.service == "lambda" and self._functions.takes(request):
            return self._functions.respond(request, scope, account)
        if scope.service == "s3":
            caller = self._credentials.principal_of(scope.access_key)
            return self._bucket_policies.refusal(request, caller) or self._forwarded(request, scope, account)
        if scope.service == "sts":
            body = request.read()
            request = replace(request, blocks=iter([body]))
            if parse_qs(body).get(b"Action") == [ASSUME_ROLE.encode()]:
                return self._sts.assume_role(body, scope, account, lambda: self._forwarded(request, scope, account))
        return self._forwarded(request, scope, account)

    def _caller(self, request: Request) -> tuple[CredentialScope | None, str | None]:
        """Whose request it is; nobody's if it is not signed, as for moto's own API or a public S3 object."""
        authorization = request.headers.get("Authorization")
        token = request.headers.get("X-Amz-Security-Token")
        if authorization is None:
            query = parse_qs(urlsplit(request.target).query)
            if "X-Amz-Credential" not in query:
                return None, None
            authorization = f"AWS4-HMAC-SHA256 Credential={query['X-Amz-Credential'][0]}"
            token = query.get("X-Amz-Security-Token", [None])[0]
        scope = credential_scope(authorization)
        return scope, self._credentials.account_of(scope.access_key, token)

    def _forwarded(self, request: Request, scope: CredentialScope | None, account: str | None) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self._moto_port)
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in _HOP_BY_HOP and name.lower() != "x-moto-account-id":
                connection.putheader(name, value)
        if account is not None:
            connection.putheader("x-moto-account-id", account)
        chunked = "Content-Length" not in request.headers and "Transfer-Encoding" in request.headers
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for block in request.blocks:
            connection.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        if scope is not None and account is not None and scope.service in _ISSUERS:
            body = answer.read()
            connection.close()
            _remember(self._credentials, body, account)
            return Response(answer.status, body, headers)
        if request.method == "HEAD" or answer.length == 0:
            connection.close()
            return Response(answer.status, b"", headers)
        return Response(answer.status, _blocks(connection, answer), headers)


def _blocks(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := answer.read1(_BLOCK):
            yield block
    finally:
        connection.close()


def _remember(credentials: Credentials, body: bytes, account: str) -> None:
    """Register the caller's own credentials in an answer of STS or IAM; AssumeRole's are registered with their role."""
    key = _ISSUED_KEY.search(body)
    if key is None or b"<AssumedRoleUser>" in body:
        return
    token = _ISSUED_TOKEN.search(body)
    credentials.register(key[1].decode(), account, token[1].decode() if token else None)


def _refused(error: ServiceError, *, json_protocol: bool) -> Response:
    """In the form that the client can read: services of the JSON protocol name a target, those of XML ones do not."""
    if json_protocol:
        text = json.dumps({"__type": error.code, "message": error.message})
        return Response(400, text.encode(), {"Content-Type": "application/x-amz-json-1.0"})
    return refusal(ServiceError(error.code, error.message, status=403))
