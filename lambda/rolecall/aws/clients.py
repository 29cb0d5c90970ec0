"""Clients whose retries end in time, and whose errors and answers are rolecall's own or AWS's real ones."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from rolecall import __version__
from rolecall.errors import OutOfTime, ServiceError

CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 5
"""Of one call, the first included; a retry waits a random part of 1, 2, 4, 8 s (botocore's standard mode)."""

RESENDS = 3
"""How often items that AWS left out of a successful answer are sent again."""

HTTP_CLIENT_ERROR = 400
HTTP_SERVER_ERROR = 500

# At DEBUG botocore logs whole requests and answers: result tokens, and the credentials of an assumed role.
logging.getLogger("botocore").setLevel(logging.INFO)


class Deadline:
    """When the running invocation has to be done; without one, there is all the time in the world."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = float("inf")
        self._kept: float = 0

    def set(self, seconds: float) -> None:
        """The invocation ends in `seconds`."""
        self._ends_at = self._clock() + seconds

    def check(self, operation: str, wait: float = 0, last_error: str = "") -> None:
        """Raise OutOfTime unless one more attempt, `wait` seconds from now, would end in time."""
        left = self._ends_at - self._clock()
        if left < self._kept + wait + CONNECT_SECONDS + READ_SECONDS:
            raise OutOfTime(operation, left, last_error)

    @contextmanager
    def keeping(self, seconds: float) -> Iterator[None]:
        """Every check meanwhile, those before retries included, keeps `seconds` for what comes after."""
        self._kept, before = seconds, self._kept
        try:
            yield
        finally:
            self._kept = before


def own_session() -> boto3.Session:
    """A session with the function's own credentials. Clients of one session share the models that it has read."""
    core = botocore.session.Session()
    # botocore's own parser tries several formats and time zones for each of the three times of a recorded result.
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return boto3.Session(botocore_session=core)


def _moment(value: str | float) -> datetime:
    """A time as AWS answers it: epoch seconds in JSON, ISO 8601 in XML, RFC 9110's own form in the headers of S3."""
    if not isinstance(value, str):
        return datetime.fromtimestamp(value, UTC)
    return parsedate_to_datetime(value) if value.endswith("GMT") else datetime.fromisoformat(value)


def client(
    service: str,
    deadline: Deadline,
    session: boto3.Session,
    credentials: Mapping[str, str] | None = None,
    region: str | None = None,
) -> Any:  # noqa: ANN401 - made by boto3
    """A client whose retries end with `deadline` and whose answers are known to be the service's.

    `credentials`, as AssumeRole answers them, and `region` go before those of the session.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Requests are built from our own types, which hold the limits; checking each again costs time in bulk.
        parameter_validation=False,
        # Without a fixed one, botocore puts the string together again for every call.
        user_agent=f"rolecall/{__version__} boto3/{boto3.__version__}",
    )
    keys = credentials and {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
    made: Any = session.client(service, region_name=region, config=config, **(keys or {}))  # type: ignore[call-overload]  # any service
    service_id = made.meta.service_model.service_id.hyphenize()

    def stop_in_time(
        operation: Any,  # noqa: ANN401 - botocore's operation model
        attempts: int,
        response: tuple[Any, Mapping[str, Any]] | None,
        caught_exception: Exception | None,
        **_: object,
    ) -> None:
        error = _passing_error(response, caught_exception)
        if error and attempts < ATTEMPTS:
            deadline.check(operation.name, wait=2 ** (attempts - 1), last_error=error)

    made.meta.events.register_first(f"needs-retry.{service_id}", stop_in_time)
    made.meta.events.register(f"before-parse.{service_id}", refuse_what_is_no_answer)
    return made


def share_connections(made: Any, other: Any) -> None:  # noqa: ANN401 - made by boto3
    """Let a client send through the connections of another one of the same service.

    A client of its own pool reads all certificate authorities again, which takes ten times as long as making it.
    Connections know no credentials: each request is signed by its client.
    """
    made._endpoint.http_session = other._endpoint.http_session  # noqa: SLF001 - botocore has no other way


def _passing_error(response: tuple[Any, Mapping[str, Any]] | None, caught: Exception | None) -> str:
    """The name of an error that botocore will retry; empty for success and for what no retry would mend."""
    if response is None:
        return type(caught).__name__
    status = response[0].status_code
    code = str(response[1].get("Error", {}).get("Code", status))
    throttled = any(word in code for word in ("Throttl", "TooManyRequests", "LimitExceeded", "RequestTimeout"))
    return code if status >= HTTP_SERVER_ERROR or (status >= HTTP_CLIENT_ERROR and throttled) else ""


def refuse_what_is_no_answer(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's own
    """Raise ServiceError for a success that the service did not write; a handler of botocore's `before-parse`.

    botocore takes any JSON protocol's body of a 200 for an empty answer, and stumbles over another one's: what a proxy
    says in between would pass for success, or for an error of ours.
    """
    if response_dict["status_code"] >= HTTP_CLIENT_ERROR or operation_model.output_shape is None:
        return
    name, protocol = operation_model.name, operation_model.service_model.protocol
    if protocol == "rest-json" and not operation_model.output_shape.serialization.get("payload"):
        protocol = "json"  # the body is the answer, and no file
    if protocol == "json" and not response_dict["body"].lstrip().startswith(b"{"):
        raise ServiceError(name, "UnreadableAnswer", "AWS answered 200 with a body that is no JSON object")
    if protocol in ("query", "ec2") and f"<{name}Response".encode() not in response_dict["body"][:1000]:
        raise ServiceError(name, "UnreadableAnswer", f"AWS answered 200 with a body that is no {name}Response")


@contextmanager
def calling(operation: str, secret: str = "") -> Iterator[None]:
    """Turn botocore's errors into ServiceError; AWS's messages may quote a request, so `secret` is taken out."""
    try:
        yield
    except ClientError as error:
        described = error.response.get("Error", {})
        message = str(described.get("Message", ""))
        hidden = message.replace(secret, "[result token]") if secret else message
        raise ServiceError(operation, str(described.get("Code", "Unknown")), hidden) from (None if secret else error)
    except (BotoCoreError, ResponseParserError) as error:
        raise ServiceError(operation, type(error).__name__, str(error)) from error


def pause(operation: str, resend: int, deadline: Deadline) -> None:
    """Wait before sending again what AWS left out of its answer. Raises OutOfTime."""
    longest = 2**resend
    deadline.check(operation, longest)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter needs no secret
