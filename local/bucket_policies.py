"""What the policies of buckets deny, whatever IAM allows: moto keeps no policy's conditions.

Only requests about an object are looked at. What a caller's own policies allow is not, so an Allow changes nothing.
"""

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.credentials import Principal
from local.http_server import Request, Response
from local.policy_language import effects
from local.service_errors import ServiceError

_BY_TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
"""The endpoint here stands for one that is reached by TLS."""

_HEADERS = {"If-None-Match": "s3:if-none-match", "x-amz-object-lock-mode": "s3:object-lock-mode"}
"""Those that a policy can ask for, and its condition keys."""

_BYPASS = "x-amz-bypass-governance-retention"


class BucketPolicies:
    """By the buckets' names; a bucket without one refuses nobody."""

    def __init__(self) -> None:
        self._policies: dict[str, Mapping[str, Any]] = {}

    def put(self, bucket: str, policy: Mapping[str, Any]) -> None:
        """From now on the bucket has this one."""
        self._policies[bucket] = policy

    def refusal(self, request: Request, principal: Principal | None) -> Response | None:
        """What S3 answers to a request that a policy denies; None is left to moto. `principal` is None for nobody.

        Raises UnsupportedPolicy.
        """
        bucket, _, key = unquote(urlsplit(request.target).path).lstrip("/").partition("/")
        if bucket not in self._policies:
            return None
        context = {**_BY_TLS, **_caller(principal), **_conditions(request)}
        try:
            for action in _actions(request, key):
                resource = f"arn:aws:s3:::{bucket}/{key}"
                if "Deny" in effects(self._policies[bucket], action, context, resource):
                    raise _denied(principal, action, resource)
        except ServiceError as error:
            return _answer(error)
        return None


def _actions(request: Request, key: str) -> list[str]:
    """What the request needs to be allowed to do, as the Service Authorization Reference names it.

    Raises ServiceError for a way to write that is not understood here, so that none goes past a policy.
    """
    query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    # The operation's name, and what a presigned URL is signed with.
    asked = sorted(name for name in query if name != "x-id" and not name.startswith("X-Amz-"))
    match request.method, asked:
        case "GET" | "HEAD", _:
            actions = ["s3:GetObject"] if key else []
        case "PUT", [] if key:
            actions = ["s3:PutObject"]
        case "PUT", ["retention"] | ["retention", "versionId"]:
            actions = ["s3:PutObjectRetention"]
        case "DELETE", [] if key:
            actions = ["s3:DeleteObject"]
        case "DELETE", ["versionId"]:
            actions = ["s3:DeleteObjectVersion"]
        case method, _ if key or method == "POST":
            message = f"{method} with {', '.join(asked) or 'nothing'} on a bucket that has a policy"
            raise ServiceError("NotImplemented", message, status=501)
        case _:
            actions = []
    return [*actions, *(["s3:BypassGovernanceRetention"] if request.headers.get(_BYPASS) else [])]


def _caller(principal: Principal | None) -> dict[str, str]:
    if principal is None:
        return {}
    return {"aws:PrincipalArn": principal.arn, "aws:PrincipalAccount": principal.arn.split(":")[4]}


def _conditions(request: Request) -> dict[str, str]:
    given = {key: request.headers.get(header) for header, key in _HEADERS.items()}
    return {key: value for key, value in given.items() if value is not None}


def _denied(principal: Principal | None, action: str, resource: str) -> ServiceError:
    who = principal.arn if principal else "anonymous"
    return ServiceError(
        "AccessDenied",
        f'User: {who} is not authorized to perform: {action} on resource: "{resource}" with an explicit deny in a '
        "resource-based policy",
        status=403,
    )


def _answer(error: ServiceError) -> Response:
    body = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    return Response(error.status, body.encode(), {"Content-Type": "application/xml"})
