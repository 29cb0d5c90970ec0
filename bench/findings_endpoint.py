"""What the findings function talks to in its benchmark: the strict local Security Hub, the least of STS and DynamoDB.

moto's DynamoDB would take longer to answer than the function to ask. This one keeps rows as they were sent, and decides
the two conditions that the function writes with.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from bench.endpoint import WrongAnswer
from local.closing import Closing
from local.credentials import Credentials
from local.http_server import HttpServer, Request, Response
from local.security_hub import SERVICE, SecurityHubService

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")

_ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>local</SecretAccessKey><SessionToken>{token}</SessionToken>
<Expiration>{expiration:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


class FindingsEndpoint(Closing):
    """Runs until it is closed. `security_hub` is the strict one with its rate limits; `calls` counts all others."""

    def __init__(self) -> None:
        self.security_hub = SecurityHubService(Credentials())
        self.calls: Counter[str] = Counter()
        self._rows: dict[str, tuple[int, bytes]] = {}
        self._lock = threading.Lock()
        self._server = HttpServer(self._respond)

    @property
    def variables(self) -> dict[str, str]:
        """What leads a function here, with credentials of no member account."""
        return {"AWS_ENDPOINT_URL": self._server.url}

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def imports(self) -> int:
        """Calls of BatchImportFindings. Raises WrongAnswer if one did not succeed."""
        calls = self.security_hub.journal.calls("BatchImportFindings")
        if failed := [call.error for call in calls if call.error]:
            raise WrongAnswer(f"{len(failed)} imports failed: {failed[0]}")
        return len(calls)

    def clear(self) -> None:
        """Forget what was called; rows and findings stay."""
        self.calls.clear()
        self.security_hub.journal.clear()

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def _respond(self, request: Request) -> Response | None:
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        service = scope[1] if scope else ""
        if service == SERVICE:
            return self.security_hub.respond(request)
        body = request.read()
        if service == "sts":
            return self._assume_role(dict(parse_qsl(body.decode())))
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        with self._lock:
            self.calls[operation] += 1
            asked = json.loads(body)
            return self._put(asked, body) if operation == "PutItem" else self._get(asked)

    def _assume_role(self, asked: Mapping[str, str]) -> Response:
        account = asked["RoleArn"].split(":")[4]
        key, token = f"ASIA{account}", f"token-of-{account}"
        self.security_hub.credentials.register(key, account, token)
        with self._lock:
            self.calls["AssumeRole"] += 1
        text = _ASSUMED.format(key=key, token=token, expiration=datetime.now(UTC) + timedelta(hours=1))
        return Response(200, text.encode(), {"Content-Type": "text/xml"})

    def _put(self, asked: Mapping[str, Any], body: bytes) -> Response:
        item = asked["Item"]
        key, revision = item["finding_id"]["S"], int(item["revision"]["N"])
        there = self._rows.get(key)
        read = int(asked.get("ExpressionAttributeValues", {}).get(":read", {}).get("N", 0))
        if (there[0] if there else 0) != read:
            failed = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "failed"}
            return _answer(failed, 400)
        self._rows[key] = revision, body
        return _answer({})

    def _get(self, asked: Mapping[str, Any]) -> Response:
        [(table, wanted)] = asked["RequestItems"].items()
        found = [self._rows[key["finding_id"]["S"]] for key in wanted["Keys"] if key["finding_id"]["S"] in self._rows]
        items = [json.loads(body)["Item"] for _, body in found]
        return _answer({"Responses": {table: items}, "UnprocessedKeys": {}})


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.0"})
