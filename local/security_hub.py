"""Security Hub over HTTP, as strict as its documents: the REST-JSON protocol for real, unpatched clients.

One service holds any number of accounts and regions; a request's signature says whose it is. What fails on purpose is
told through `faults`, what was called stands in `journal`, where an import names its findings by id.
"""

import json
import secrets
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from local import finding_filters
from local.attempts import Answer, Attempt, answered, document_of
from local.constraints import InputConstraints
from local.credentials import Credentials, credential_scope
from local.faults import ANSWERING, FaultKind, Faults
from local.http_server import Request, Response
from local.journal import Journal
from local.paging import Pages
from local.security_hub_findings import Finding
from local.security_hub_region import Behaviour, SecurityHubRegion, service_model, update
from local.service_errors import ServiceError
from local.timestamps import Clock, now_ms

SERVICE = "securityhub"

_CHECKED = ("BatchUpdateFindings", "DescribeHub", "DisableSecurityHub", "EnableSecurityHub", "GetFindings")
_OPERATIONS = (*_CHECKED, "BatchImportFindings")
_PAGE = 100

_STATUS = {"ThrottlingException": 429, "SerializationException": 400, "UnknownOperationException": 404}


@cache
def _constraints() -> dict[str, InputConstraints]:
    return {name: InputConstraints(service_model().operation_model(name)) for name in _CHECKED}


@cache
def _routes() -> dict[tuple[str, str], str]:
    """Operation by method and path."""
    models = ((name, service_model().operation_model(name).http) for name in _OPERATIONS)
    return {(http["method"], http["requestUri"]): name for name, http in models}


@dataclass(frozen=True)
class _Aggregation:
    admin: str
    home_region: str
    accounts: frozenset[str]
    regions: frozenset[str]


class SecurityHubService:
    """Security Hub in all accounts and regions; `respond` is the application for an `HttpServer`.

    No hub is enabled at first. `behaviour` may be changed while it runs.
    """

    def __init__(
        self, credentials: Credentials | None = None, *, clock: Clock = now_ms, behaviour: Behaviour | None = None
    ) -> None:
        self.credentials = credentials or Credentials()
        self.faults = Faults()
        self.journal = Journal()
        self.behaviour = behaviour or Behaviour()
        self._clock = clock
        self._regions: dict[tuple[str, str], SecurityHubRegion] = {}
        self._aggregations: list[_Aggregation] = []
        self._pages: Pages[Finding] = Pages()

    # What tests and demonstrations do and see

    def region(self, account: str, region: str) -> SecurityHubRegion:
        """One account's Security Hub in one region; it comes into being, not enabled, when it is first asked for."""
        known = self._regions.get((account, region))
        if known is None:
            made = SecurityHubRegion(account, region, self._clock, self.faults, self.behaviour)
            # setdefault is atomic: two threads that come at once get the same one.
            known = self._regions.setdefault((account, region), made)
        return known

    def enable(self, account: str, region: str) -> None:
        """As EnableSecurityHub does; nothing happens if it is enabled."""
        one = self.region(account, region)
        if one.enabled_at is None:
            one.enable({})

    def disable(self, account: str, region: str) -> None:
        """As DisableSecurityHub does."""
        self.region(account, region).disable({})

    def findings(self, account: str, region: str) -> list[Finding]:
        """Every finding there, archived ones too, in the order in which they came."""
        one = self.region(account, region)
        with one.lock:
            return list(one.findings)

    def aggregates(self, admin: str, home_region: str, accounts: Iterable[str], regions: Iterable[str]) -> None:
        """Let `admin` be the delegated administrator of `accounts`, and `home_region` collect from `regions`.

        In the home region, the administrator sees the findings of all of them, and each account its own of all regions.
        """
        self._aggregations.append(
            _Aggregation(admin, home_region, frozenset(accounts) | {admin}, frozenset(regions) | {home_region})
        )

    # The application

    def respond(self, request: Request) -> Response | None:
        """Answer one request; None where the connection is to be dropped."""
        return answered(
            self.journal,
            lambda attempt: self._carry_out(request, attempt),
            responding=_response,
            refused=_refused,
            kept=_short,
        )

    def _carry_out(self, request: Request, attempt: Attempt) -> dict[str, Any]:
        raw = request.read()
        scope = credential_scope(request.headers.get("Authorization"))
        if scope.service != SERVICE:
            raise ServiceError("InvalidSignatureException", "Credential should be scoped to correct service.", 403)
        attempt.account = self.credentials.account_of(scope.access_key, request.headers.get("X-Amz-Security-Token"))
        attempt.region = scope.region
        attempt.operation = _operation(request)
        attempt.document = document_of(raw)
        if delay := self.faults.take(attempt.operation, FaultKind.DELAY):
            time.sleep(delay.seconds)
        attempt.fault = self.faults.take(attempt.operation, *ANSWERING)
        if attempt.fault is not None and attempt.fault.kind is not FaultKind.LOSE_ANSWER:
            return {}
        region = self.region(attempt.account, attempt.region)
        region.throttle(attempt.operation)
        if attempt.operation in _CHECKED:
            _check(attempt.operation, attempt.document)
        return self._answer(attempt, region, len(raw))

    def _answer(self, attempt: Attempt, region: SecurityHubRegion, size: int) -> dict[str, Any]:
        match attempt.operation:
            case "BatchImportFindings":
                return region.import_findings(attempt.document, size)
            case "BatchUpdateFindings":
                region.require_hub()
                return update(attempt.document, lambda: self._seen_from(region))
            case "GetFindings":
                region.require_hub()
                return self._get_findings(attempt.document, region)
            case "EnableSecurityHub":
                return region.enable(attempt.document)
            case "DisableSecurityHub":
                return region.disable(attempt.document)
            case _:
                return region.describe(attempt.document)

    def _seen_from(self, caller: SecurityHubRegion) -> Iterator[SecurityHubRegion]:
        """The regions of accounts whose findings the caller sees, its own first."""
        yield caller
        for one in list(self._regions.values()):
            if one is not caller and any(_collects(by, caller, one) for by in self._aggregations):
                yield one

    def _get_findings(self, request: Mapping[str, Any], caller: SecurityHubRegion) -> dict[str, Any]:
        if request.get("SortCriteria"):
            raise ServiceError("InvalidInputException", "The local Security Hub does not sort findings")
        filters = request.get("Filters") or {}
        finding_filters.check(filters)

        def rows() -> list[Finding]:
            found = []
            for one in self._seen_from(caller):
                with one.lock:
                    found += [finding for finding in one.findings if finding_filters.matches(finding, filters)]
            return found

        empty = self.faults.take("GetFindings", FaultKind.EMPTY_PAGE) is not None
        call = (caller.account, caller.region, json.dumps(filters, sort_keys=True))
        try:
            page, token = self._pages.page(
                call, rows, request.get("MaxResults") or _PAGE, request.get("NextToken"), empty=empty
            )
        except ServiceError as error:
            raise ServiceError("InvalidInputException", error.message) from None
        return {"Findings": list(page), **({"NextToken": token} if token else {})}


def _collects(by: _Aggregation, caller: SecurityHubRegion, one: SecurityHubRegion) -> bool:
    if one.account not in by.accounts or one.account != caller.account != by.admin:
        return False
    return one.region == caller.region or (caller.region == by.home_region and one.region in by.regions)


def _operation(request: Request) -> str:
    path = urlsplit(request.target).path
    operation = _routes().get((request.method, path))
    if operation is None:
        message = f"The local Security Hub does not carry out {request.method} {path}"
        raise ServiceError("UnknownOperationException", message)
    return operation


def _check(operation: str, document: Mapping[str, Any]) -> None:
    try:
        _constraints()[operation].check(document)
    except ServiceError as error:
        raise ServiceError("InvalidInputException", error.message) from None


def _short(document: dict[str, Any]) -> dict[str, Any]:
    """As the journal keeps it: 100,000 calls with 100 findings each would fill the memory."""
    findings = document.get("Findings")
    if not isinstance(findings, list):
        return document
    return {"Findings": [finding.get("Id") if isinstance(finding, dict) else None for finding in findings]}


def _refused(error: ServiceError) -> Response:
    shapes = service_model().shape_names
    status = _STATUS.get(error.code, error.status)
    if error.code in shapes:
        described = cast("Any", service_model().shape_for(error.code)).metadata.get("error", {})
        status = described.get("httpStatusCode", status)
    return _response(status, {"Code": error.code, "Message": error.message}, {"x-amzn-ErrorType": error.code})


def _response(status: int, body: Answer, headers: Mapping[str, str] | None = None) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    request_id = str(uuid.UUID(bytes=secrets.token_bytes(16)))
    return Response(
        status, content, {"Content-Type": "application/json", "x-amzn-RequestId": request_id, **(headers or {})}
    )
