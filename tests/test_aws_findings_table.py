import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from local.aws import LocalAws
from local.http_server import HttpServer, Request, Response
from rolecall.aws.clients import Deadline, client, own_session
from rolecall.aws.findings_table import RETURNS, FindingsTable
from rolecall.errors import OutOfTime, ServiceError
from rolecall.findings.identity import ComplianceStatus
from rolecall.findings.lifecycle import FindingRow, FindingState
from tests.builders import ACCOUNT, NOW, REGION, Json

SESSION = own_session()
TABLE = "findings"

ROW = FindingRow(
    finding_id="rolecall/x/1",
    state=FindingState.ACTIVE,
    status=ComplianceStatus.FAILED,
    ordering_timestamp=NOW + timedelta(microseconds=7),
    evaluated_at=NOW,
    created_at=NOW - timedelta(days=1),
    updated_at=NOW,
    record='{"name": "\\ud800 größe"}',
    revision=1,
    expires_at=None,
)
TOMBSTONE = replace(
    ROW,
    finding_id="rolecall/x/2",
    state=FindingState.NONE,
    created_at=None,
    updated_at=None,
    expires_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
)


def made_table(deadline: Deadline | None = None) -> FindingsTable:
    """Of the environment's endpoint."""
    deadline = deadline or Deadline()
    return FindingsTable(client("dynamodb", deadline, SESSION, region=REGION), TABLE, deadline)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalAws]:
    """A local AWS with the table."""
    with LocalAws() as aws:
        aws.client("dynamodb").create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "finding_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "finding_id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield aws


@pytest.fixture
def table(running: LocalAws, monkeypatch: pytest.MonkeyPatch) -> FindingsTable:
    """The table, empty."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    dynamodb = running.client("dynamodb")
    for item in dynamodb.scan(TableName=TABLE)["Items"]:
        dynamodb.delete_item(TableName=TABLE, Key={"finding_id": item["finding_id"]})
    return made_table()


@pytest.mark.parametrize("row", [ROW, TOMBSTONE], ids=lambda row: row.state)
def test_a_row_comes_back_as_it_was_written(table: FindingsTable, row: FindingRow) -> None:
    """Every field; what is None is not there."""
    assert table.write(row)
    assert table.rows([row.finding_id, "another"]) == {row.finding_id: row}


def test_an_item_has_the_names_of_the_fields(table: FindingsTable, running: LocalAws) -> None:
    """For whoever reads the table, and for DynamoDB's time to live."""
    table.write(TOMBSTONE)
    [item] = running.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert item == {
        "finding_id": {"S": "rolecall/x/2"},
        "state": {"S": "NONE"},
        "status": {"S": "FAILED"},
        "ordering_timestamp": {"S": "2026-03-02T12:00:00.000007+00:00"},
        "evaluated_at": {"S": "2026-03-02T12:00:00+00:00"},
        "record": {"S": '{"name": "\\ud800 größe"}'},
        "revision": {"N": "1"},
        "expires_at": {"N": "1775044800"},
    }


def test_a_row_is_written_on_top_of_what_was_read_alone(table: FindingsTable) -> None:
    """Of two writers of one revision, the second learns that it was not the first."""
    assert table.write(ROW)
    assert not table.write(replace(ROW, status=ComplianceStatus.PASSED))
    second = replace(ROW, revision=2, status=ComplianceStatus.WARNING)
    assert table.write(second)
    assert not table.write(replace(second, status=ComplianceStatus.PASSED))
    assert not table.write(replace(ROW, revision=7))
    assert table.rows([ROW.finding_id]) == {ROW.finding_id: second}


def test_a_row_that_expired_meanwhile_is_no_longer_there_to_write_upon(table: FindingsTable) -> None:
    """Whoever read it decides anew."""
    assert not table.write(replace(ROW, revision=2))
    assert table.rows([ROW.finding_id]) == {}


def test_more_rows_than_one_call_takes_are_read(table: FindingsTable) -> None:
    """100 each."""
    rows = {f"{number:04d}": replace(ROW, finding_id=f"{number:04d}") for number in range(205)}
    for row in rows.values():
        table.write(row)
    assert table.rows([*rows, *rows]) == rows


@pytest.mark.parametrize(
    ("what", "attributes"),
    [
        ("no record", {"record": None}),
        ("another state", {"state": {"S": "OPEN"}}),
        ("a time that is none", {"updated_at": {"S": "yesterday"}}),
        ("a text for a number", {"revision": {"S": "x"}}),
    ],
)
def test_a_row_that_is_none_of_ours_is_an_error_of_its_own(
    table: FindingsTable, running: LocalAws, what: str, attributes: Json
) -> None:
    """Others are read."""
    table.write(ROW)
    table.write(TOMBSTONE)
    dynamodb = running.client("dynamodb")
    [item] = [one for one in dynamodb.scan(TableName=TABLE)["Items"] if one["finding_id"]["S"] == ROW.finding_id]
    changed = {name: value for name, value in (item | attributes).items() if value is not None}
    dynamodb.put_item(TableName=TABLE, Item=changed)
    rows = table.rows([ROW.finding_id, TOMBSTONE.finding_id])
    assert rows[TOMBSTONE.finding_id] == TOMBSTONE
    assert isinstance(error := rows[ROW.finding_id], ServiceError)
    assert (error.code, ROW.finding_id in str(error)) == ("UnreadableRow", True), what


class Reluctant:
    """A DynamoDB that reads `most` keys of a call, the first ones, and has a row for each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []
        self.consistent: set[bool] = set()

    def respond(self, request: Request) -> Response:
        """BatchGetItem alone."""
        asked = json.loads(request.read())["RequestItems"][TABLE]
        keys = asked["Keys"]
        self.asked.append(len(keys))
        self.consistent.add(asked["ConsistentRead"])
        left = {TABLE: {"Keys": keys[self.most :]}} if keys[self.most :] else {}
        answer = {"Responses": {TABLE: [_item(key) for key in keys[: self.most]]}, "UnprocessedKeys": left}
        return Response(200, json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.0"})


def _item(key: Json) -> Json:
    moment = {"S": NOW.isoformat()}
    return {
        **key,
        "state": {"S": "NONE"},
        "status": {"S": "PASSED"},
        "record": {"S": "{}"},
        "revision": {"N": "1"},
        "ordering_timestamp": moment,
        "evaluated_at": moment,
    }


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts: noted instead of slept."""
    pauses: list[float] = []
    made = SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0)
    monkeypatch.setattr("rolecall.aws.clients.time", made)
    return pauses


def reluctant_table(most: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Reluctant, HttpServer]:
    """A table of such a DynamoDB."""
    reluctant = Reluctant(most)
    server = HttpServer(reluctant.respond)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    return reluctant, server


def test_keys_that_were_left_unread_are_asked_for_again(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    """Those alone, after a pause, and as strictly."""
    reluctant, server = reluctant_table(40, monkeypatch)
    with server:
        rows: dict[str, Any] = made_table().rows([f"{number:03d}" for number in range(101)])
    assert (len(rows), reluctant.asked, reluctant.consistent) == (101, [100, 60, 20, 1], {True})
    assert len(slept) == 2


def test_keys_that_stay_unread_are_an_error(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    """An answer without them would say that there are no rows."""
    reluctant, server = reluctant_table(0, monkeypatch)
    with server, pytest.raises(ServiceError, match=f"2 keys were left unread {RETURNS + 1} times"):
        made_table().rows(["a", "b"])
    assert (len(reluctant.asked), len(slept)) == (RETURNS + 1, RETURNS)


def test_nothing_is_begun_without_time(table: FindingsTable) -> None:
    """The error names the call."""
    deadline = Deadline()
    late = made_table(deadline)
    deadline.set(13.5)
    with pytest.raises(OutOfTime, match="PutItem"):
        late.write(ROW)
    assert late.rows([ROW.finding_id]) == {}
    deadline.set(12)
    with pytest.raises(OutOfTime, match="BatchGetItem"):
        late.rows([ROW.finding_id])
    assert table.rows([ROW.finding_id]) == {}
