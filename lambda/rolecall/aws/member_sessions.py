"""One AWS service in the accounts of an organization: a role of theirs is assumed, once for many events.

Role ARNs are made of our own partition, the name that the environment gives and an account id of 12 digits; nothing
else of an event goes into them. A region goes into the name of an endpoint, so it has to look like one.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import boto3

from rolecall.aws.clients import Deadline, calling, client, share_connections
from rolecall.aws.config_service import ConfigService
from rolecall.errors import InvalidEvent, InvalidInput, InvalidRecord, RoleNotAssumed, ServiceError
from rolecall.items import REGION_NAME

SESSION_NAME = "rolecall-rule"
"""What CloudTrail in the member account shows beside the role when the rule assumes it."""

SESSION_SECONDS = 3600
"""The most that a role may ask for when it assumes another: IAM User Guide, "Role chaining"."""

EXPIRY_SLACK = timedelta(minutes=16)
"""With less left a session is not used any more: an invocation may last 15 minutes, and clocks may differ by one."""

ACCOUNTS_KEPT = 1024
"""Accounts whose session is kept; the one that was used longest ago makes room. Each takes some 3 kB."""

CLIENTS_KEPT = 128
"""Clients that are kept, likewise. Each takes some 0.12 MB."""

ServiceT = TypeVar("ServiceT")

_Place = tuple[str, str | None]
"""Account, and region if it is not that of our own client."""

_ACCOUNT = re.compile(r"[0-9]{12}")

REFUSED = frozenset(
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
class _Session:
    credentials: Mapping[str, Any] = field(repr=False)
    usable_until: datetime


class MemberServices(Generic[ServiceT]):
    """A service in each account, our own included, with the credentials of that account alone.

    Not safe to use from several threads: Lambda hands an environment one event at a time.
    """

    def __init__(  # noqa: PLR0913 - what all accounts share
        self,
        role_name: str,
        session: boto3.Session,
        own_client: Any,  # noqa: ANN401 - made by boto3
        deadline: Deadline,
        serving: Callable[[Any, str, str], ServiceT],
        *,
        session_name: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`role_name` is the same in every account; without one, no account but our own is served.

        `serving` makes the service of a client, its account and its region. `now` is the wall clock: others stand still
        between invocations.
        """
        self._role_name = role_name
        self._session_name = session_name
        self._session = session
        self._own_client = own_client
        self._own_region: str = own_client.meta.region_name
        self._deadline = deadline
        self._serving = serving
        self._now = now
        self._partition = self._account = ""
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._services: OrderedDict[_Place, ServiceT] = OrderedDict()
        self._sts: Any = None

    def belong_to(self, function_arn: str) -> None:
        """Take our own partition and account from the ARN that Lambda invoked; no event decides them."""
        _, self._partition, _, _, self._account, *_ = function_arn.split(":")

    def of(self, account: str, region: str | None = None) -> ServiceT:
        """The service in `account`, in our own region unless another is named.

        Raises InvalidInput for what is no account, no region, or not ours to speak for; RoleNotAssumed, ServiceError,
        OutOfTime.
        """
        if not _ACCOUNT.fullmatch(account):
            raise InvalidEvent("accountId", account, "12 digits")
        if region is not None and not REGION_NAME.fullmatch(region):
            raise InvalidRecord("region", region, "the name of a region, as eu-west-1")
        session = None if account == self._account else self._session_of(account)
        place = (account, region)
        service = self._services.pop(place, None)
        if service is None:
            service = self._served(place, session)
        self._services[place] = service
        if len(self._services) > CLIENTS_KEPT:
            self._services.popitem(last=False)
        return service

    def _session_of(self, account: str) -> _Session:
        session = self._sessions.pop(account, None)
        if session is None or self._now() >= session.usable_until:
            self._forget(account)
            session = self._assumed(account)
        self._sessions[account] = session
        if len(self._sessions) > ACCOUNTS_KEPT:
            self._forget(next(iter(self._sessions)))
        return session

    def _served(self, place: _Place, session: _Session | None) -> ServiceT:
        account, region = place
        if session is None and region in (None, self._own_region):
            return self._serving(self._own_client, account, self._own_region)
        service_name = self._own_client.meta.service_model.service_name
        made = client(service_name, self._deadline, self._session, session.credentials if session else None, region)
        share_connections(made, self._own_client)

        def forget_if_refused(parsed: Mapping[str, Any], **_: object) -> None:
            if parsed.get("Error", {}).get("Code") in REFUSED:
                self._forget(account)

        if session is not None:
            made.meta.events.register("after-call", forget_if_refused)
        return self._serving(made, account, region or self._own_region)

    def _forget(self, account: str) -> None:
        """Its session, and every client that holds it."""
        self._sessions.pop(account, None)
        for place in [place for place in self._services if place[0] == account]:
            del self._services[place]

    def _assumed(self, account: str) -> _Session:
        if not self._role_name:
            raise InvalidInput("account", account, f"{self._account}, our own: there is no role to assume in others")
        # Our own account may never need it.
        self._sts = self._sts or client("sts", self._deadline, self._session)
        try:
            with calling("AssumeRole"):
                answer: Mapping[str, Any] = self._sts.assume_role(
                    RoleArn=f"arn:{self._partition}:iam::{account}:role/{self._role_name}",
                    RoleSessionName=self._session_name,
                    DurationSeconds=SESSION_SECONDS,
                )
        except ServiceError as error:
            if error.code == "AccessDenied":
                raise RoleNotAssumed(account, self._role_name, error.message) from error
            raise
        credentials: Mapping[str, Any] = answer["Credentials"]
        return _Session(credentials, credentials["Expiration"] - EXPIRY_SLACK)


class MemberAccounts(MemberServices[ConfigService]):
    """AWS Config of each account, our own included: `config_of` is the Responder's."""

    def __init__(
        self,
        role_name: str,
        session: boto3.Session,
        own_client: Any,  # noqa: ANN401 - made by boto3
        deadline: Deadline,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        def serving(made: Any, _account: str, _region: str) -> ConfigService:  # noqa: ANN401 - made by boto3
            return ConfigService(made, deadline)

        super().__init__(role_name, session, own_client, deadline, serving, session_name=SESSION_NAME, now=now)

    def config_of(self, account: str) -> ConfigService:
        """AWS Config in `account`. Raises InvalidEvent, RoleNotAssumed, ServiceError, OutOfTime."""
        return self.of(account)
