"""AWS Config in the accounts of an organization: their reporter role is assumed, once for many events.

Role ARNs are made of our own partition, the name that the environment gives and an account id of 12 digits; nothing
else of an event goes into them.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from rolecall.aws.clients import Deadline, calling, client, share_connections
from rolecall.aws.config_service import ConfigService
from rolecall.errors import InvalidEvent, RoleNotAssumed, ServiceError

SESSION_NAME = "rolecall-rule"
"""What CloudTrail in the member account shows beside the role."""

SESSION_SECONDS = 3600
"""The most that a role may ask for when it assumes another: IAM User Guide, "Role chaining"."""

EXPIRY_SLACK = timedelta(minutes=16)
"""With less left a session is not used any more: an invocation may last 15 minutes, and clocks may differ by one."""

ACCOUNTS_KEPT = 128
"""Accounts whose client is kept; the one that was used longest ago makes room. Each takes some 0.12 MB."""

_ACCOUNT = re.compile(r"[0-9]{12}")

_REFUSED = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    )
)
"""What AWS says to the session of a role that was deleted, or re-created since; a new session may be welcome."""


@dataclass(frozen=True, slots=True)
class _Member:
    config: ConfigService
    usable_until: datetime


class MemberAccounts:
    """AWS Config of each account, our own included: `config_of` is the Responder's.

    Each client holds the credentials of its one account, and nothing else holds them. Not safe to use from several
    threads: Lambda hands an environment one event at a time.
    """

    def __init__(
        self,
        role_name: str,
        session: boto3.Session,
        own_client: Any,  # noqa: ANN401 - made by boto3
        deadline: Deadline,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`role_name` is the same in every account. `now` is the wall clock: others stand still between invocations."""
        self._role_name = role_name
        self._session = session
        self._own_client = own_client
        self._own = ConfigService(own_client, deadline)
        self._deadline = deadline
        self._now = now
        self._partition = self._account = ""
        self._members: OrderedDict[str, _Member] = OrderedDict()
        self._sts: Any = None

    def belong_to(self, function_arn: str) -> None:
        """Take our own partition and account from the ARN that Lambda invoked; no event decides them."""
        _, self._partition, _, _, self._account, *_ = function_arn.split(":")

    def config_of(self, account: str) -> ConfigService:
        """AWS Config in `account`. Raises InvalidEvent, RoleNotAssumed, ServiceError, OutOfTime."""
        if not _ACCOUNT.fullmatch(account):
            raise InvalidEvent("accountId", account, "12 digits")
        if account == self._account:
            return self._own
        member = self._members.pop(account, None)
        if member is None or self._now() >= member.usable_until:
            member = self._assumed(account)
        self._members[account] = member
        if len(self._members) > ACCOUNTS_KEPT:
            self._members.popitem(last=False)
        return member.config

    def _assumed(self, account: str) -> _Member:
        credentials = self._assume(account)
        made = client("config", self._deadline, self._session, credentials)
        share_connections(made, self._own_client)

        def forget_if_refused(parsed: Mapping[str, Any], **_: object) -> None:
            if parsed.get("Error", {}).get("Code") in _REFUSED:
                self._members.pop(account, None)

        made.meta.events.register("after-call", forget_if_refused)
        return _Member(ConfigService(made, self._deadline), credentials["Expiration"] - EXPIRY_SLACK)

    def _assume(self, account: str) -> Mapping[str, Any]:
        # Our own account may never need it.
        self._sts = self._sts or client("sts", self._deadline, self._session)
        try:
            with calling("AssumeRole"):
                answer: Mapping[str, Any] = self._sts.assume_role(
                    RoleArn=f"arn:{self._partition}:iam::{account}:role/{self._role_name}",
                    RoleSessionName=SESSION_NAME,
                    DurationSeconds=SESSION_SECONDS,
                )
        except ServiceError as error:
            if error.code == "AccessDenied":
                raise RoleNotAssumed(account, self._role_name, error.message) from error
            raise
        credentials: Mapping[str, Any] = answer["Credentials"]
        return credentials
