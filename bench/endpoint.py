"""The AWS endpoints that the functions call: TLS on loopback, and answers that were made beforehand.

Far less strict than `local`, and far quicker: what it spends would be counted to whoever is measured. It keeps what
was put, and the benchmarks check it afterwards: a figure for a wrong answer is worth nothing.
"""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

from bench import population
from bench.certificates import Certificates, certificates
from local.configuration_items import api_item
from rolecall.aws.config_service import INSTANCES_QUERY, ROWS_PER_PAGE

DESCRIBED_PER_PAGE = 1000
"""The most that DescribeInstances gives at once."""

_BLOCK = 256 * 1024
_JSON = "application/x-amz-json-1.1"
_XML = "text/xml;charset=UTF-8"

_ASSUMED = (
    b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    b"<AccessKeyId>ASIAEXAMPLEEXAMPLE12</AccessKeyId><SecretAccessKey>of-the-benchmark</SecretAccessKey>"
    b"<SessionToken>of-the-benchmark</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
    b"</Credentials></AssumeRoleResult></AssumeRoleResponse>"
)

Answer = tuple[str, bytes]
"""Content type and body."""


class WrongAnswer(Exception):
    """A function did not report what it had to: its figures mean nothing."""


@dataclass
class Inventory:
    """Instances as pages of the three calls that list them, complete answers one after the other."""

    rows: Sequence[Answer] = ()
    descriptions: Sequence[Answer] = ()
    results: Sequence[Answer] = ()

    @classmethod
    def of(
        cls,
        count: int,
        *,
        recorded: bool,
        differing: Callable[[int], bool] = population.is_stale,
        described: bool = True,
    ) -> "Inventory":
        """The first `count` instances of the population, with results of an earlier run if they are `recorded`.

        Of `differing` instances the results are wrong. Descriptions take most of the time; where nobody asks EC2,
        `described` can be False.
        """
        rows = population.query_rows(count)
        return cls(
            rows=_json_pages([{"Results": rows[page.start : page.stop]} for page in _cut(count, ROWS_PER_PAGE)]),
            descriptions=[
                _description_page([population.description(number) for number in page], last=page.stop == count, at=at)
                for at, page in enumerate(_cut(count if described else 0, DESCRIBED_PER_PAGE), start=1)
            ],
            results=_json_pages(
                [
                    {
                        "EvaluationResults": [
                            population.compliance_result(number, differs=differing(number)) for number in page
                        ]
                    }
                    for page in _cut(count if recorded else 0, ROWS_PER_PAGE)
                ]
                or [{"EvaluationResults": []}]
            ),
        )


@dataclass
class Received:
    """What was called since the last look."""

    calls: Counter[str] = field(default_factory=Counter)
    evaluations: dict[str, str] = field(default_factory=dict)
    """ComplianceType by resource id, out of all PutEvaluations."""
    records: int = 0
    """Entries of all PutEvents."""

    def check(self, expected: Mapping[str, str]) -> None:
        """Raise WrongAnswer unless exactly these verdicts were put."""
        if self.evaluations != expected:
            wrong = {key for key in {*expected, *self.evaluations} if expected.get(key) != self.evaluations.get(key)}
            raise WrongAnswer(f"{len(wrong)} of {len(expected)} verdicts are missing or wrong, as of {min(wrong)}")


class Endpoint:
    """Serves every AWS service on one port. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._certificates: Certificates = certificates(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self._certificates.server)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._bodies: list[tuple[str, bytes]] = []
        self.inventory = Inventory()
        threading.Thread(target=self._accept, name="bench-endpoint", daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        """Environment that leads a function here: endpoint, and the authority that vouches for it."""
        port = self._listener.getsockname()[1]
        return {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}", "AWS_CA_BUNDLE": str(self._certificates.bundle)}

    def received(self) -> Received:
        """What was called since the last time this was asked."""
        bodies, self._bodies = self._bodies, []
        received = Received()
        for operation, body in bodies:
            received.calls[operation] += 1
            if operation == "PutEvaluations":
                for one in json.loads(body)["Evaluations"]:
                    received.evaluations[one["ComplianceResourceId"]] = one["ComplianceType"]
            elif operation == "PutEvents":
                received.records += len(json.loads(body)["Entries"])
        return received

    def __enter__(self) -> Self:
        """Return the endpoint itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self._tls.wrap_socket(connection, server_side=True) as stream:
                for head, body in _requests(stream):
                    stream.sendall(self._answer(head, body))
        except OSError:  # the function's process has ended, and its connection with it
            pass

    def _answer(self, head: Mapping[str, str], body: bytes) -> bytes:
        target = head.get("x-amz-target", "")
        operation = target.rpartition(".")[2] or parse_qs(body.decode())["Action"][0]
        self._bodies.append((operation, body))
        content_type, answer = self.content(operation, body)
        return (
            f"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 0a1b2c3d-0000-4000-8000-000000000000\r\n"
            f"Date: Sat, 31 Jan 2026 12:00:00 GMT\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(answer)}\r\n\r\n"
        ).encode() + answer

    def content(self, operation: str, body: bytes) -> Answer:
        """The answer to a call. Raises AssertionError for one that no benchmark makes."""
        match operation:
            case "PutEvaluations":
                return _JSON, b'{"FailedEvaluations":[]}'
            case "PutEvents":
                entries = [{"EventId": "0a1b2c3d-0000-4000-8000-000000000000"} for _ in json.loads(body)["Entries"]]
                return _JSON, json.dumps({"FailedEntryCount": 0, "Entries": entries}).encode()
            case "AssumeRole":
                return _XML, _ASSUMED
            case "GetResourceConfigHistory":
                number = population.number_of(json.loads(body)["resourceId"])
                newest = api_item(population.configuration_item(number))
                return _JSON, json.dumps({"configurationItems": [newest]}).encode()
        return self._page(operation, body)

    def _page(self, operation: str, body: bytes) -> Answer:
        """Of what the inventory lists."""
        match operation:
            case "SelectResourceConfig":
                asked = json.loads(body)
                if asked["Expression"] != INSTANCES_QUERY or asked["Limit"] != ROWS_PER_PAGE:
                    raise AssertionError(f"the answers were made for another query than {asked}")
                return self.inventory.rows[int(asked.get("NextToken") or 0)]
            case "GetComplianceDetailsByConfigRule":
                return self.inventory.results[int(json.loads(body).get("NextToken") or 0)]
            case "DescribeInstances":
                return self.inventory.descriptions[int(parse_qs(body.decode()).get("NextToken", ["0"])[0])]
        raise AssertionError(f"no benchmark calls {operation}")


def json_answer(answered: Mapping[str, object]) -> Answer:
    """Of a service that speaks JSON."""
    return _JSON, json.dumps(answered).encode()


def xml_answer(operation: str, result: str) -> Answer:
    """Of IAM: what is in the result's element."""
    name = f"{operation}Re"
    told = f"<{name}sult>{result}</{name}sult>"
    return _XML, f'<{name}sponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{told}</{name}sponse>'.encode()


def _requests(stream: ssl.SSLSocket) -> Iterator[tuple[Mapping[str, str], bytes]]:
    """Headers by lower-case name, and body, of each request until the connection ends."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            block = stream.recv(_BLOCK)
            if not block:
                return
            received += block
        head, _, received = received.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        headers = {name.lower(): value.strip() for name, _, value in lines}
        length = int(headers.get("content-length", 0))
        while len(received) < length:
            received += stream.recv(_BLOCK)
        body, received = received[:length], received[length:]
        yield headers, body


def _cut(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _json_pages(pages: Sequence[dict[str, object]]) -> list[Answer]:
    more = [*({"NextToken": str(number)} for number in range(1, len(pages))), {}]
    return [(_JSON, json.dumps(page | token).encode()) for page, token in zip(pages, more, strict=True)]


def _description_page(reservations: Sequence[str], *, last: bool, at: int) -> Answer:
    more = "" if last else f"<nextToken>{at}</nextToken>"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><DescribeInstancesResponse '
        'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>0a1b2c3d</requestId><reservationSet>'
        f"{''.join(reservations)}</reservationSet>{more}</DescribeInstancesResponse>"
    )
    return _XML, body.encode()
