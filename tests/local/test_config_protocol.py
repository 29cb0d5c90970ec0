import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from local.credentials import Credentials
from local.http_server import HttpServer, Request, Response
from tests.builders import ACCOUNT, REGION
from tests.local.config_harness import Harness, refusal

INVALID_CREDENTIALS = ("UnrecognizedClientException", "The security token included in the request is invalid.")
SESSION_KEY = "ASIAQEXAMPLEEXAMPLE2"
TARGET = "StarlingDoveService.DescribeConfigRules"


def test_an_unknown_access_key_is_refused(config: Harness) -> None:
    """Only a 12-digit key is its own account."""
    assert refusal(config.client("AKIAIOSFODNN7EXAMPLE").describe_config_rules) == INVALID_CREDENTIALS
    assert refusal(config.client("1111222233334").describe_config_rules) == INVALID_CREDENTIALS


def test_registered_credentials_belong_to_one_account(config: Harness) -> None:
    """With their session token they act in that account, without it or with another they are refused."""
    config.service.credentials.register(SESSION_KEY, ACCOUNT, "session-token")
    rules = config.client(SESSION_KEY, token="session-token").describe_config_rules()["ConfigRules"]  # noqa: S106 - invented
    assert len(rules) == 1
    for token in (None, "another-token"):
        assert refusal(config.client(SESSION_KEY, token=token).describe_config_rules) == INVALID_CREDENTIALS


def test_a_registered_account_has_twelve_digits() -> None:
    """Anything else is a mistake of the test."""
    with pytest.raises(ValueError, match="account is '1234'; allowed: 12 digits"):
        Credentials().register(SESSION_KEY, "1234")


def test_an_unsigned_request_is_refused(config: Harness) -> None:
    """Config knows no anonymous callers."""
    client: Any = boto3.client(
        "config", endpoint_url=config.url, region_name=REGION, config=Config(signature_version=UNSIGNED)
    )
    answer = refusal(client.describe_config_rules)
    client.close()
    assert answer == ("MissingAuthenticationTokenException", "Missing Authentication Token")


def test_an_operation_that_is_not_carried_out_is_refused_clearly(config: Harness) -> None:
    """It exists in AWS; nothing pretends that it was done."""
    assert refusal(config.client().describe_conformance_packs) == (
        "UnknownOperationException",
        "The local AWS Config does not carry out DescribeConformancePacks",
    )


def _send(config: Harness, headers: Mapping[str, str], body: bytes = b"{}") -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", int(config.url.rpartition(":")[2]))
    connection.request("POST", "/", body, dict(headers))
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def _authorization(service: str) -> str:
    scope = f"{ACCOUNT}/20260302/{REGION}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


REQUESTS = [
    (
        "no such operation",
        {"X-Amz-Target": "StarlingDoveService.Dance", "Authorization": _authorization("config")},
        b"{}",
        (400, "UnknownOperationException", "AWS Config has no operation 'StarlingDoveService.Dance'"),
    ),
    (
        "no operation",
        {"Authorization": _authorization("config")},
        b"{}",
        (400, "UnknownOperationException", "AWS Config has no operation ''"),
    ),
    (
        "the prefix of another service",
        {"X-Amz-Target": "DescribeConfigRules", "Authorization": _authorization("config")},
        b"{}",
        (400, "UnknownOperationException", "AWS Config has no operation 'DescribeConfigRules'"),
    ),
    (
        "a signature for another service",
        {"X-Amz-Target": TARGET, "Authorization": _authorization("ec2")},
        b"{}",
        (400, "InvalidSignatureException", "Credential should be scoped to correct service: 'config'."),
    ),
    (
        "another kind of signature",
        {"X-Amz-Target": TARGET, "Authorization": "Basic abc"},
        b"{}",
        (403, "IncompleteSignatureException", "Authorization header requires 'Credential' parameter."),
    ),
    (
        "a body that is no JSON",
        {"X-Amz-Target": TARGET, "Authorization": _authorization("config")},
        b"<xml/>",
        (400, "SerializationException", "The request's body is not JSON"),
    ),
    (
        "a body that is no object",
        {"X-Amz-Target": TARGET, "Authorization": _authorization("config")},
        b"[]",
        (400, "SerializationException", "Start of structure or map found where not expected."),
    ),
]


@pytest.mark.parametrize(
    ("headers", "body", "expected"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS]
)
def test_refuses_a_request_with(
    config: Harness, headers: dict[str, str], body: bytes, expected: tuple[int, str, str]
) -> None:
    """A clear error, whatever comes over the wire."""
    status, content = _send(config, headers, body)
    assert (status, content["__type"], content["message"]) == expected


def test_every_answer_has_a_request_id_of_its_own(config: Harness) -> None:
    """boto3 shows it, and so do its errors."""
    ids = {config.client().describe_config_rules()["ResponseMetadata"]["RequestId"] for _ in range(2)}
    assert len(ids) == 2


def _echo(request: Request) -> Response | None:
    match request.target:
        case "/whole":
            return Response(200, request.read())
        case "/stream":
            return Response(200, request.blocks)
        case "/drop":
            return None
    return Response(404)  # without reading the body


@pytest.mark.parametrize("path", ["/whole", "/stream"])
@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_of_any_length_pass_both_ways(path: str, *, chunked: bool) -> None:
    """In chunks or in one piece, over one connection that stays open."""
    body = b"0123456789" * 30_000
    with HttpServer(_echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for sent in (body, b"", b"x"):
            connection.request("POST", path, iter([sent]) if chunked and sent else sent, encode_chunked=chunked)
            assert connection.getresponse().read() == sent
        connection.close()


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request() -> None:
    """The connection goes on with what follows it."""
    with HttpServer(_echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for path, status in (("/unknown", 404), ("/whole", 200)):
            connection.request("POST", path, b"GET / HTTP/1.1\r\n\r\n")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()


def test_a_server_that_is_closed_leaves_nothing_behind() -> None:
    """Neither its threads nor connections, though a client still holds one open; the port is free again."""
    before = threading.active_count()
    with HttpServer(_echo) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"GET /whole HTTP/1.1\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        port = server.port
    assert client.recv(1000) == b""
    client.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    with HttpServer(_echo, port) as again:
        assert again.port == port
