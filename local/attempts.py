"""How a local service with a JSON protocol answers: in order, with what fails on purpose, and a journal entry."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.faults import Fault, FaultKind
from local.http_server import Response
from local.journal import Call, Journal
from local.service_errors import ServiceError


@dataclass
class Attempt:
    """What is known of a call so far, for the journal."""

    operation: str = ""
    account: str = ""
    region: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    fault: Fault | None = None
    """What the caller sees instead of the answer."""


Answer = dict[str, Any] | bytes
"""A body, as an object or as it is sent."""


def answered(
    journal: Journal,
    carry_out: Callable[[Attempt], Answer],
    *,
    responding: Callable[[int, Answer], Response],
    refused: Callable[[ServiceError], Response],
    kept: Callable[[dict[str, Any]], dict[str, Any]],
) -> Response | None:
    """Carry out one call and note it; None where the connection is to be dropped.

    `responding` makes a response of a status and a body, and `refused` words a refusal, in the service's protocol;
    `kept` is what the journal keeps of the input.
    """
    started, received = time.perf_counter(), datetime.now(UTC)
    attempt = Attempt()
    response: Response | None
    try:
        response = responding(200, carry_out(attempt))
    except ServiceError as error:
        attempt.error = error.code
        response = refused(error)
    if attempt.fault is not None:
        attempt.error = attempt.fault.kind
        response = _spoiled(attempt.fault, responding, refused)
    seconds = time.perf_counter() - started
    journal.add(
        Call(
            attempt.operation,
            attempt.account,
            attempt.region,
            kept(attempt.document),
            attempt.error,
            received,
            seconds,
        )
    )
    return response


def document_of(raw: bytes) -> dict[str, Any]:
    """The JSON object that a request's body is; none is an empty one. Raises ServiceError."""
    try:
        document = json.loads(raw or b"{}")
    except ValueError:
        raise ServiceError("SerializationException", "The request's body is not JSON") from None
    if not isinstance(document, dict):
        raise ServiceError("SerializationException", "Start of structure or map found where not expected.")
    return document


def _spoiled(
    fault: Fault, responding: Callable[[int, Answer], Response], refused: Callable[[ServiceError], Response]
) -> Response | None:
    match fault.kind:
        case FaultKind.THROTTLE:
            return refused(ServiceError("ThrottlingException", "Rate exceeded"))
        case FaultKind.DENY:
            return refused(ServiceError("AccessDeniedException", "You are not authorized to perform this action."))
        case FaultKind.OUTAGE:
            return refused(ServiceError("InternalFailure", "An internal error occurred.", fault.status))
        case FaultKind.GARBLE:
            return responding(200, b"<html><body>This is not the service that you are looking for.</body></html>")
        case _:
            return None
