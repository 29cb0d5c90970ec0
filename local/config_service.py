"""AWS Config over HTTP, as strict as AWS: the JSON 1.1 protocol for real, unpatched clients.

One service holds any number of accounts and regions; a request's signature says whose it is. What fails on purpose
is told through `faults`, what was called stands in `journal`. Another process reaches both under `/_local/`:

    POST   /_local/faults     {"kind": "throttle", "operation": "PutEvaluations", "times": 3}
    DELETE /_local/faults
    POST   /_local/schedule   {"account": "111122223333", "region": "eu-west-1", "rule": "rolecall"}
    GET    /_local/calls      all calls, as JSON lines
    DELETE /_local/calls
"""

import functools
import json
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import botocore.session
from botocore.model import ServiceModel

from local.aggregator import Aggregators
from local.aggregator_sources import Place
from local.attempts import Answer, Attempt, answered, document_of
from local.config_region import ConfigRegion
from local.config_settings import Invoke, Settings, any_function_exists, invoke_nothing
from local.constraints import InputConstraints
from local.credentials import Credentials, credential_scope
from local.faults import ANSWERING, FaultKind, Faults
from local.http_server import Request, Response
from local.journal import Journal, without_secrets
from local.rule_events import NOTIFICATION_LIMIT, Event
from local.service_errors import ServiceError
from local.timestamps import Clock, now_ms

TARGET_PREFIX = "StarlingDoveService."
CONTROL_PREFIX = "/_local/"

_JSON = "application/x-amz-json-1.1"

_Operation = Callable[[ConfigRegion, dict[str, Any]], Answer]
_AggregateOperation = Callable[[Aggregators, Place, dict[str, Any]], Answer]

_OPERATIONS: dict[str, _Operation] = {
    "DeleteConfigRule": ConfigRegion.delete_config_rule,
    "DescribeConfigRules": ConfigRegion.describe_config_rules,
    "DescribeConfigurationRecorderStatus": lambda region, request: region.recorders.describe_status(request),
    "DescribeConfigurationRecorders": lambda region, request: region.recorders.describe(request),
    "GetComplianceDetailsByConfigRule": ConfigRegion.get_compliance_details_by_config_rule,
    "GetResourceConfigHistory": ConfigRegion.get_resource_config_history,
    "PutConfigRule": ConfigRegion.put_config_rule,
    "PutConfigurationRecorder": lambda region, request: region.recorders.put(request),
    "PutEvaluations": ConfigRegion.put_evaluations,
    "SelectResourceConfig": ConfigRegion.select_resource_config,
    "StartConfigRulesEvaluation": ConfigRegion.start_config_rules_evaluation,
    "StartConfigurationRecorder": lambda region, request: region.recorders.start(request),
    "StopConfigurationRecorder": lambda region, request: region.recorders.stop(request),
}

_AGGREGATE_OPERATIONS: dict[str, _AggregateOperation] = {
    "DescribeAggregateComplianceByConfigRules": Aggregators.rules,
    "DescribeConfigurationAggregatorSourcesStatus": Aggregators.sources_status,
    "DescribeConfigurationAggregators": Aggregators.describe,
    "GetAggregateComplianceDetailsByConfigRule": Aggregators.details,
    "GetAggregateDiscoveredResourceCounts": Aggregators.counts,
    "PutConfigurationAggregator": Aggregators.put,
    "SelectAggregateResourceConfig": Aggregators.select,
}


@functools.cache
def _service_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("config")


@functools.cache
def _constraints() -> dict[str, InputConstraints]:
    names = (*_OPERATIONS, *_AGGREGATE_OPERATIONS)
    return {name: InputConstraints(_service_model().operation_model(name)) for name in names}


class ConfigService:
    """AWS Config in all accounts and regions; `respond` is the application for an `HttpServer`.

    `invoke` receives every event for a rule's function; `function_exists` says which functions PutConfigRule takes.
    Both may be set later. The other settings are those of `config_settings.Settings`.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a default
        self,
        invoke: Invoke = invoke_nothing,
        function_exists: Callable[[str], bool] = any_function_exists,
        *,
        credentials: Credentials | None = None,
        clock: Clock = now_ms,
        notification_limit: int = NOTIFICATION_LIMIT,
        reevaluation_interval_ms: int = 60_000,
        evaluate_new_rules: bool = True,
    ) -> None:
        model = _service_model()
        self.credentials = credentials or Credentials()
        self.faults = Faults()
        self.journal = Journal()
        self.invoke = invoke
        self.function_exists = function_exists
        self._constraints = _constraints()
        self._known_operations = frozenset(model.operation_names)
        self._settings = Settings(
            resource_types=frozenset(cast("Any", model.shape_for("ResourceType")).enum),
            faults=self.faults,
            invoke=self._invoke,
            function_exists=self._function_exists,
            clock=clock,
            notification_limit=notification_limit,
            reevaluation_interval_ms=reevaluation_interval_ms,
            evaluate_new_rules=evaluate_new_rules,
        )
        self._regions: dict[Place, ConfigRegion] = {}
        self.aggregators = Aggregators(self._regions, self._settings)

    def region(self, account: str, region: str) -> ConfigRegion:
        """One account's Config in one region; it comes into being, without a recorder, when it is first asked for."""
        known = self._regions.get((account, region))
        # setdefault is atomic: two threads that come at once get the same one.
        return known or self._regions.setdefault((account, region), ConfigRegion(account, region, self._settings))

    def _invoke(self, function_arn: str, event: Event) -> None:
        self.invoke(function_arn, event)

    def _function_exists(self, function_arn: str) -> bool:
        return self.function_exists(function_arn)

    def respond(self, request: Request) -> Response | None:
        """Answer one request; None where the connection is to be dropped."""
        if request.target.startswith(CONTROL_PREFIX):
            return self._control(request)
        return answered(
            self.journal,
            lambda attempt: self._carry_out(request, attempt),
            responding=_response,
            refused=_refused,
            kept=without_secrets,
        )

    def _carry_out(self, request: Request, attempt: Attempt) -> Answer:
        raw = request.read()
        attempt.operation = (request.headers.get("X-Amz-Target") or "").removeprefix(TARGET_PREFIX)
        self._check_operation(request)
        scope = credential_scope(request.headers.get("Authorization"))
        if scope.service != "config":
            raise ServiceError("InvalidSignatureException", "Credential should be scoped to correct service: 'config'.")
        attempt.account = self.credentials.account_of(scope.access_key, request.headers.get("X-Amz-Security-Token"))
        attempt.region = scope.region
        attempt.document = document_of(raw)
        if delay := self.faults.take(attempt.operation, FaultKind.DELAY):
            time.sleep(delay.seconds)
        attempt.fault = self.faults.take(attempt.operation, *ANSWERING)
        if attempt.fault is not None and attempt.fault.kind is not FaultKind.LOSE_ANSWER:
            return {}
        self._constraints[attempt.operation].check(attempt.document)
        home = attempt.account, attempt.region
        if attempt.operation in _AGGREGATE_OPERATIONS:
            return _AGGREGATE_OPERATIONS[attempt.operation](self.aggregators, home, attempt.document)
        return _OPERATIONS[attempt.operation](self.region(*home), attempt.document)

    def _check_operation(self, request: Request) -> None:
        target = request.headers.get("X-Amz-Target") or ""
        name = target.removeprefix(TARGET_PREFIX)
        if name in self._constraints and target != name:
            return
        if name in self._known_operations and target != name:
            raise ServiceError("UnknownOperationException", f"The local AWS Config does not carry out {name}")
        raise ServiceError("UnknownOperationException", f"AWS Config has no operation {target!r}")

    def _control(self, request: Request) -> Response:
        body = request.read()
        match request.method, request.target.removeprefix(CONTROL_PREFIX):
            case "POST", "faults":
                try:
                    self.faults.inject(**json.loads(body))
                except (TypeError, ValueError) as error:
                    return _response(400, {"message": str(error)})
            case "POST", "schedule":
                try:
                    named = json.loads(body)
                    self.region(named["account"], named["region"]).run_schedule(named["rule"])
                except (KeyError, TypeError, ValueError, ServiceError) as error:
                    return _response(400, {"message": f"{type(error).__name__}: {error}"})
            case "DELETE", "faults":
                self.faults.clear()
            case "GET", "calls":
                lines = [json.dumps(asdict(call), default=str) for call in self.journal.calls()]
                return Response(200, "".join(f"{line}\n" for line in lines).encode())
            case "DELETE", "calls":
                self.journal.clear()
            case _:
                return _response(404, {"message": f"there is no {request.method} {request.target}"})
        return _response(200, {})


def _refused(error: ServiceError) -> Response:
    return _response(error.status, {"__type": error.code, "message": error.message})


def _response(status: int, body: Answer) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return Response(
        status, content, {"Content-Type": _JSON, "x-amzn-RequestId": str(uuid.UUID(bytes=secrets.token_bytes(16)))}
    )
