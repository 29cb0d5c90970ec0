"""The evaluation results of one account and region, and the tokens that let a function report them."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from local.paging import Pages
from local.service_errors import ServiceError, invalid_parameter
from local.timestamps import epoch_ms, wire

_DEFAULT_LIMIT = 10
_ENCRYPTED_LENGTH = 496
"""Makes tokens about 2,600 characters long; those of AWS are of 2,016 to 3,468."""


@dataclass(frozen=True, slots=True)
class Result:
    """What is recorded of one resource for one rule. Times are in milliseconds since 1970."""

    resource_type: str
    resource_id: str
    compliance_type: str
    annotation: str | None
    ordering_ms: int
    recorded_ms: int
    invoked_ms: int


@dataclass(frozen=True, slots=True)
class _Invocation:
    rule_arn: str
    invoked_ms: int


class Compliance:
    """Results by rule and resource. Not safe to use from many threads: its region holds the lock.

    AWS documents neither how long a token lives nor what becomes of an evaluation that is older than what is recorded.
    Here a token lives on, and the older evaluation is taken but changes nothing; one of the same time does, or a
    re-evaluation of the same item could never change a verdict. NOT_APPLICABLE results are kept, with their ordering
    timestamps, and listed only where a call names that type.
    """

    def __init__(self, resource_types: frozenset[str]) -> None:
        self._resource_types = resource_types
        self._invocations: dict[bytes, _Invocation] = {}
        self._results: dict[str, dict[tuple[str, str], Result]] = {}
        self._pages: Pages[Result] = Pages()

    def issue_token(self, rule_arn: str, invoked_ms: int) -> str:
        """A token for one invocation, of the form that AWS's have; only its digest is kept."""
        token = _opaque_token()
        self._invocations[_digest(token)] = _Invocation(rule_arn, invoked_ms)
        return token

    def forget(self, rule_arn: str) -> None:
        """A deleted rule takes its results along."""
        self._results.pop(rule_arn, None)

    def results(self, rule_arn: str) -> list[Result]:
        """What GetComplianceDetailsByConfigRule returns unless it is asked for a type: all but NOT_APPLICABLE."""
        return self._of_types(rule_arn, ("COMPLIANT", "NON_COMPLIANT"))

    def _of_types(self, rule_arn: str, compliance_types: Collection[str]) -> list[Result]:
        recorded = self._results.get(rule_arn, {}).values()
        return [result for result in recorded if result.compliance_type in compliance_types]

    def put(
        self,
        request: Mapping[str, Any],
        failing: frozenset[str],
        rule_exists: Callable[[str], bool],
        recorded_ms: int,
    ) -> dict[str, Any]:
        """PutEvaluations: all or nothing, but for those whose resource id is among `failing`."""
        evaluations = request.get("Evaluations") or []
        self._check(evaluations)
        if request.get("TestMode"):
            return {"FailedEvaluations": []}
        invocation = self._invocations.get(_digest(request["ResultToken"]))
        if invocation is None:
            raise ServiceError("InvalidResultTokenException", "Result Token provided is invalid")
        if not rule_exists(invocation.rule_arn):
            raise ServiceError("NoSuchConfigRuleException", "The ConfigRule of the result token does not exist")
        failed = []
        for evaluation in evaluations:
            if evaluation["ComplianceResourceId"] in failing:
                failed.append(evaluation)
            else:
                self._record(invocation, evaluation, recorded_ms)
        return {"FailedEvaluations": failed}

    def _check(self, evaluations: list[dict[str, Any]]) -> None:
        """What the service model does not say."""
        if not evaluations:
            raise invalid_parameter(
                "The Evaluations object in your request cannot be null. Add the required parameters and try again."
            )
        for evaluation in evaluations:
            if evaluation["ComplianceType"] == "INSUFFICIENT_DATA":
                raise invalid_parameter(
                    "The ComplianceType INSUFFICIENT_DATA is invalid. "
                    "Only the following values are permitted: [COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE]"
                )
            resource_type = evaluation["ComplianceResourceType"]
            if resource_type not in self._resource_types:
                raise invalid_parameter(
                    f"The resource type {resource_type} is invalid. "
                    f"Only the following values are permitted: [{', '.join(sorted(self._resource_types))}]"
                )

    def _record(self, invocation: _Invocation, evaluation: Mapping[str, Any], recorded_ms: int) -> None:
        key = (evaluation["ComplianceResourceType"], evaluation["ComplianceResourceId"])
        ordering_ms = epoch_ms(evaluation["OrderingTimestamp"])
        results = self._results.setdefault(invocation.rule_arn, {})
        known = results.get(key)
        if known is None or known.ordering_ms <= ordering_ms:
            results[key] = Result(
                *key,
                evaluation["ComplianceType"],
                evaluation.get("Annotation"),
                ordering_ms,
                recorded_ms,
                invocation.invoked_ms,
            )

    def details(self, rule_arn: str, request: Mapping[str, Any], *, empty: bool) -> dict[str, Any]:
        """GetComplianceDetailsByConfigRule."""
        wanted = tuple(request.get("ComplianceTypes") or ())
        if "INSUFFICIENT_DATA" in wanted:
            raise invalid_parameter("INSUFFICIENT_DATA cannot be used to filter evaluation results")

        def rows() -> list[Result]:
            return self._of_types(rule_arn, wanted) if wanted else self.results(rule_arn)

        limit = request.get("Limit") or _DEFAULT_LIMIT
        page, token = self._pages.page((rule_arn, wanted), rows, limit, request.get("NextToken"), empty=empty)
        answer: dict[str, Any] = {"EvaluationResults": [detail(one, request["ConfigRuleName"]) for one in page]}
        return answer | ({"NextToken": token} if token else {})


def detail(result: Result, rule_name: str) -> dict[str, Any]:
    """The result as the API answers it, as the EvaluationResult of its rule."""
    answer = {
        "EvaluationResultIdentifier": {
            "EvaluationResultQualifier": {
                "ConfigRuleName": rule_name,
                "ResourceType": result.resource_type,
                "ResourceId": result.resource_id,
                "EvaluationMode": "DETECTIVE",
            },
            "OrderingTimestamp": wire(result.ordering_ms),
        },
        "ComplianceType": result.compliance_type,
        "ResultRecordedTime": wire(result.recorded_ms),
        "ConfigRuleInvokedTime": wire(result.invoked_ms),
    }
    return answer if result.annotation is None else answer | {"Annotation": result.annotation}


def _opaque_token() -> str:
    signed = [byte - 128 for byte in secrets.token_bytes(_ENCRYPTED_LENGTH + 16)]
    content = {
        "encryptedData": signed[16:],
        "materialSetSerialNumber": 1,
        "ivParameterSpec": {"iv": signed[:16]},
    }
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode("ascii")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
