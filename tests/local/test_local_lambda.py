from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.faults import FaultKind
from local.local_lambda import EVENT_MAX_BYTES
from tests.builders import ACCOUNT, REGION, Json

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:invoked"


@pytest.fixture
def accepted(local_aws: LocalAws) -> Iterator[list[Json]]:
    """The events that a function of this name was invoked with."""
    events: list[Json] = []
    local_aws.functions.functions[ARN] = lambda _arn, event: events.append(event)
    yield events
    local_aws.functions.functions.clear()
    local_aws.functions.faults.clear()


@pytest.mark.parametrize("named", ["invoked", ARN])
def test_an_event_is_accepted_for_later(local_aws: LocalAws, accepted: list[Json], named: str) -> None:
    """By name or by ARN; the answer says 202 and nothing else."""
    answer = local_aws.client("lambda").invoke(FunctionName=named, InvocationType="Event", Payload=b'{"a": 1}')
    assert (answer["StatusCode"], answer["Payload"].read(), accepted) == (202, b"", [{"a": 1}])
    call = local_aws.functions.journal.calls()[-1]
    assert (call.input, call.error) == ({"FunctionName": ARN, "InvocationType": "Event"}, None)


REFUSED: list[tuple[str, Json, str]] = [
    ("another function", {"FunctionName": "other"}, "ResourceNotFoundException"),
    ("another account's function", {"FunctionName": ARN, "account": "444455556666"}, "AccessDeniedException"),
    ("what is no JSON", {"Payload": b"{"}, "InvalidRequestContentException"),
    ("what is too large", {"Payload": b'"%b"' % (b"x" * EVENT_MAX_BYTES)}, "RequestTooLargeException"),
    ("what waits for an answer", {"InvocationType": "RequestResponse"}, "InvalidParameterValueException"),
]


@pytest.mark.parametrize(("what", "changes", "code"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_refused(local_aws: LocalAws, accepted: list[Json], what: str, changes: Json, code: str) -> None:
    """With Lambda's own codes; no function hears of it."""
    account = changes.get("account", ACCOUNT)
    request: dict[str, Any] = {"FunctionName": "invoked", "InvocationType": "Event", "Payload": b"{}"} | changes
    request.pop("account", None)
    with pytest.raises(ClientError) as refused:
        local_aws.client("lambda", account).invoke(**request)
    assert (refused.value.response["Error"]["Code"], accepted) == (code, []), what


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.THROTTLE, "TooManyRequestsException"),
        (FaultKind.DENY, "AccessDeniedException"),
        (FaultKind.OUTAGE, "ServiceException"),
    ],
)
def test_lambda_can_be_made_to_fail(local_aws: LocalAws, accepted: list[Json], kind: FaultKind, code: str) -> None:
    """Nothing is accepted then."""
    local_aws.functions.faults.inject(kind, times=None)
    with pytest.raises(ClientError, match=code):
        local_aws.client("lambda").invoke(FunctionName="invoked", InvocationType="Event", Payload=b"{}")
    assert accepted == []
