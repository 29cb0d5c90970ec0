"""Which account a request's credentials belong to, and what its signature says about it.

A 12-digit access key is an administrator of the account of that number. Any other key must have been registered, as
what STS and IAM hand out is. Signatures themselves are not verified: the secret of a 12-digit key is anything.
"""

import re
import threading
from dataclasses import dataclass

from local.service_errors import ServiceError
from local.timestamps import Clock, now_ms

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """What the Authorization header of a request signed with Signature Version 4 names."""

    access_key: str
    region: str
    service: str


def credential_scope(authorization: str | None) -> CredentialScope:
    """Read an Authorization header. Raises ServiceError for a request without one, or with one of another kind."""
    if not authorization:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
    match = _CREDENTIAL.match(authorization)
    if match is None:
        raise ServiceError(
            "IncompleteSignatureException", "Authorization header requires 'Credential' parameter.", status=403
        )
    return CredentialScope(access_key=match[1], region=match[3], service=match[4])


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as aws:PrincipalArn names it: for the session of a role, the role."""

    arn: str
    is_role: bool


@dataclass(frozen=True, slots=True)
class _Registered:
    account: str
    session_token: str | None
    role_arn: str | None
    expires_ms: int | None


class Credentials:
    """The access keys that exist. Safe to use from many threads."""

    def __init__(self, clock: Clock = now_ms) -> None:
        self.clock = clock
        self._registered: dict[str, _Registered] = {}
        self._lock = threading.Lock()

    def register(
        self,
        access_key: str,
        account: str,
        session_token: str | None = None,
        *,
        role_arn: str | None = None,
        expires_ms: int | None = None,
    ) -> None:
        """Let `access_key` belong to `account`, and to a session of a role in it; until then, if it ever ends.

        With a session token, the key is valid only together with it.
        """
        if not _ACCOUNT.fullmatch(account):
            raise ValueError(f"account is {account!r}; allowed: 12 digits")
        with self._lock:
            self._registered[access_key] = _Registered(account, session_token, role_arn, expires_ms)

    def account_of(self, access_key: str, session_token: str | None) -> str:
        """The account that the credentials belong to. Raises ServiceError for a key that nobody issued, or too old."""
        with self._lock:
            registered = self._registered.get(access_key)
        if registered is not None and registered.session_token in (None, session_token):
            if registered.expires_ms is not None and self.clock() >= registered.expires_ms:
                raise ServiceError(
                    "ExpiredTokenException", "The security token included in the request is expired", status=403
                )
            return registered.account
        if registered is None and _ACCOUNT.fullmatch(access_key):
            return access_key
        raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")

    def principal_of(self, access_key: str) -> Principal:
        """Who a valid access key is."""
        with self._lock:
            registered = self._registered.get(access_key)
        if registered is not None and registered.role_arn is not None:
            return Principal(registered.role_arn, is_role=True)
        account = registered.account if registered else access_key
        return Principal(f"arn:aws:iam::{account}:user/administrator", is_role=False)

    def forget_sessions_of(self, role_arn: str) -> None:
        """As AWS does when a role is deleted: its sessions are worth nothing, also if one of its name is made again."""
        with self._lock:
            for key in [key for key, one in self._registered.items() if one.role_arn == role_arn]:
                del self._registered[key]
