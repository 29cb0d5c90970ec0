"""Security Hub in one account and region: its hub, its rate limits, and the calls that write findings."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel

from local.constraints import ShapeConstraints
from local.faults import FaultKind, Faults
from local.finding_limits import problems
from local.security_hub_findings import Finding, Findings
from local.service_errors import ServiceError
from local.timestamps import Clock, iso
from rolecall.items import partition_of

FINDINGS_PER_CALL = 100
CALL_MAX_BYTES = 6 * 1000 * 1000
"""Of one BatchImportFindings: AWS Security Hub User Guide, "Security Hub quotas". The smaller reading of 6 MB."""

_TOLD = 3
"""Problems of one finding that its failure names."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls per second, and how many may come at once."""

    per_second: float
    burst: int


RATES = {"BatchImportFindings": Rate(10, 30), "GetFindings": Rate(3, 6), "BatchUpdateFindings": Rate(10, 30)}
"""Of each account in each region: the documentation of BatchImportFindings, and "Security Hub quotas"."""


@dataclass
class Behaviour:
    """What can be chosen: how strict this is, and what AWS does not document."""

    limits_rates: bool = True
    ignored_counts_as_success: bool = True
    """How a finding counts that is no newer than what is there."""
    refuses_whole_calls: bool = False
    """Whether one malformed finding spoils its whole call, as InvalidInputException, or fails alone."""


@cache
def service_model() -> ServiceModel:
    """Of Security Hub, as botocore ships it."""
    return botocore.session.get_session().get_service_model("securityhub")


@cache
def _finding_constraints() -> ShapeConstraints:
    return ShapeConstraints(service_model().shape_for("AwsSecurityFinding"))


class SecurityHubRegion:
    """Safe to use from many threads."""

    def __init__(self, account: str, region: str, clock: Clock, faults: Faults, behaviour: Behaviour) -> None:
        self.account = account
        self.region = region
        self.enabled_at: int | None = None
        self.findings = Findings(clock)
        self._clock = clock
        self._faults = faults
        self._behaviour = behaviour
        self._buckets: dict[str, tuple[float, int]] = {}
        partition = partition_of(None, region)
        self._arn = f"arn:{partition}:securityhub:{region}:{account}"
        self.product_arn = f"{self._arn}:product/{account}/default"
        self.lock = threading.RLock()

    @property
    def hub_arn(self) -> str:
        """Of the hub, if it is enabled."""
        return f"{self._arn}:hub/default"

    def throttle(self, operation: str) -> None:
        """Raise ServiceError for a call that comes too soon after those before it."""
        rate = RATES.get(operation)
        if rate is None or not self._behaviour.limits_rates:
            return
        with self.lock:
            now = self._clock()
            left, at = self._buckets.get(operation, (float(rate.burst), now))
            left = min(rate.burst, left + (now - at) / 1000 * rate.per_second)
            self._buckets[operation] = (max(left - 1, 0) if left >= 1 else left, now)
        if left < 1:
            raise ServiceError("ThrottlingException", "Rate exceeded")

    def require_hub(self) -> None:
        """Raise ServiceError unless it is enabled here."""
        if self.enabled_at is None:
            message = f"Account {self.account} is not subscribed to AWS Security Hub"
            raise ServiceError("InvalidAccessException", message)

    # The API

    def enable(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """EnableSecurityHub."""
        if self.enabled_at is not None:
            raise ServiceError("ResourceConflictException", "Account is already subscribed to Security Hub")
        self.enabled_at = self._clock()
        return {}

    def describe(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeHub."""
        self.require_hub()
        return {"HubArn": self.hub_arn, "SubscribedAt": iso(self.enabled_at or 0), "AutoEnableControls": True}

    def disable(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """DisableSecurityHub: the findings go at once, where AWS keeps them for 30 days."""
        with self.lock:
            self.require_hub()
            self.enabled_at, self.findings = None, Findings(self._clock)
        return {}

    def import_findings(self, request: Mapping[str, Any], size: int) -> dict[str, Any]:
        """BatchImportFindings; `size` is that of the request's body in bytes."""
        self.require_hub()
        findings = _findings(request)
        if size > CALL_MAX_BYTES:
            raise ServiceError("InvalidInputException", f"The call has {size} bytes, more than {CALL_MAX_BYTES}")
        if self._behaviour.refuses_whole_calls:
            for number, finding in enumerate(findings):
                if wrong := _malformed(finding):
                    raise ServiceError("InvalidInputException", f"Invalid parameter 'Findings[{number}]'. {wrong}")
        self._require_own(findings)
        failed: list[dict[str, str]] = []
        with self.lock:
            for finding in findings:
                if failure := self._imported(finding):
                    code, message = failure
                    failed.append({"Id": str(finding.get("Id")), "ErrorCode": code, "ErrorMessage": message})
        return {"FailedCount": len(failed), "SuccessCount": len(findings) - len(failed), "FailedFindings": failed}

    def _require_own(self, findings: list[Finding]) -> None:
        if any(isinstance(one, dict) and one.get("AwsAccountId") not in (None, self.account) for one in findings):
            # What AWS answers here hides the cause: prowler-cloud/prowler#867.
            raise ServiceError(
                "AccessDeniedException",
                f"Account {self.account} is not authorized to perform: securityhub:BatchImportFindings",
            )

    def _imported(self, finding: Finding) -> tuple[str, str] | None:
        """Code and message of what failed."""
        if wrong := _malformed(finding):
            return "InvalidInput", wrong
        if finding["ProductArn"] != self.product_arn:
            return "InvalidInput", f"ProductArn {finding['ProductArn']} is not {self.product_arn}, the caller's own"
        if fault := self._faults.take("BatchImportFindings", FaultKind.FAIL_FINDINGS, resource_ids=[finding["Id"]]):
            return fault.code, "The finding was not imported."
        if not self.findings.imported(finding, self.region) and not self._behaviour.ignored_counts_as_success:
            return "FindingNotUpdated", "UpdatedAt is not later than that of the finding that is there"
        return None


def update(request: Mapping[str, Any], within: Callable[[], Iterator[SecurityHubRegion]]) -> dict[str, Any]:
    """BatchUpdateFindings, for findings of any of the regions that the caller sees."""
    changes = {name: value for name, value in request.items() if name != "FindingIdentifiers"}
    processed, unprocessed = [], []
    for identifier in request["FindingIdentifiers"]:
        for one in within():
            with one.lock:
                if one.findings.updated(identifier["ProductArn"], identifier["Id"], changes):
                    processed.append(identifier)
                    break
        else:
            unprocessed.append(
                {"FindingIdentifier": identifier, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding Not Found"}
            )
    return {"ProcessedFindings": processed, "UnprocessedFindings": unprocessed}


def _findings(request: Mapping[str, Any]) -> list[Any]:
    findings = request.get("Findings")
    if not isinstance(findings, list) or not 1 <= len(findings) <= FINDINGS_PER_CALL:
        count = len(findings) if isinstance(findings, list) else json.dumps(findings)[:20]
        raise ServiceError(
            "InvalidInputException", f"Invalid parameter 'Findings': 1 to {FINDINGS_PER_CALL} of them, not {count}"
        )
    return findings


def _malformed(finding: Any) -> str:  # noqa: ANN401 - any JSON value
    """What is wrong with a finding, as AWS words it; empty if nothing is."""
    try:
        found = _finding_constraints().problems(finding) or problems(finding)
    except ServiceError as error:
        found = [error.message]
    if not found:
        return ""
    return f"Finding does not adhere to Amazon Finding Format. {', '.join(found[:_TOLD])}"
