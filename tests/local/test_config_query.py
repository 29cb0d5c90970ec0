import json
from typing import Any

import pytest

from rolecall.aws.config_service import INSTANCES_QUERY
from tests.builders import FIRST_LAUNCHED, LAUNCHED, Json, deleted_item, iso, notification_item, query_row
from tests.local.config_harness import INSTANCE, Harness, answer_of, instance_id, moments, refusal


def _rows(config: Harness, expression: str, **request: object) -> list[Json]:
    answer = answer_of(config.client().select_resource_config, Expression=expression, **request)
    return [json.loads(row) for row in answer["Results"]]


def _ids(config: Harness, condition: str) -> list[int]:
    rows = _rows(config, f"SELECT resourceId WHERE {condition}", Limit=100)
    return [int(row["resourceId"].removeprefix("i-"), 16) for row in rows]


@pytest.fixture
def inventory(config: Harness) -> Harness:
    """Instances 0 to 4 (1: no profile; 2: stopped; 3: a tag with a quote), 5 deleted, and a volume."""
    changes: list[Json] = [{}, {"profile": None}, {"state": "stopped"}, {"tags": {"owner": "O'Hara"}}, {"tags": {}}]
    config.region.load(
        notification_item(resourceId=instance_id(number), **changed) for number, changed in enumerate(changes)
    )
    config.region.load([notification_item(resourceId=instance_id(5))])
    config.region.load([deleted_item(resourceId=instance_id(5), configurationItemCaptureTime=moments(2)[1])])
    volume: dict[str, Any] = {
        "resourceType": "AWS::EC2::Volume",
        "resourceId": "vol-1",
        "configuration": {"encrypted": True, "size": 8},
    }
    config.region.load([notification_item(**volume)])
    return config


def test_the_query_that_rolecall_sends_gives_its_rows(config: Harness) -> None:
    """Only what is selected; lists keep their structure, tags are a list, and what is null is not there."""
    config.region.record(notification_item(profile=None))
    expected = query_row(profile=None)
    expected["configuration"]["networkInterfaces"] = [
        {"attachment": {"attachTime": iso(LAUNCHED), "deviceIndex": 1}},
        {"attachment": {"attachTime": iso(FIRST_LAUNCHED), "deviceIndex": 0}},
    ]
    assert _rows(config, INSTANCES_QUERY) == [expected]


def test_a_row_of_nothing_is_an_empty_object(config: Harness) -> None:
    """A resource is listed even if all that is selected of it is null."""
    config.region.record(notification_item(profile=None))
    query = f"SELECT configuration.iamInstanceProfile.arn WHERE resourceType = '{INSTANCE}'"
    assert _rows(config, query) == [{}]


def test_a_star_selects_everything_but_nulls(config: Harness) -> None:
    """The whole item in its query form: the configuration has no tags of its own."""
    config.region.record(notification_item(profile=None))
    [row] = _rows(config, "SELECT *")
    assert {"resourceName", "kernelId"} & (row.keys() | row["configuration"].keys()) == set()
    assert "tags" not in row["configuration"]
    assert row["tags"][0] == {"key": "Name", "value": "web-1", "tag": "Name=web-1"}
    assert row["relationships"] == [{"resourceId": "vpc-0ee55ff66aa77bb88", "resourceType": "AWS::EC2::VPC"}]


INDEX = "configuration.networkInterfaces.attachment.deviceIndex"
IS_INSTANCE = f"resourceType = '{INSTANCE}'"

CONDITIONS = [
    ("all of one type, without what is deleted", IS_INSTANCE, [0, 1, 2, 3, 4]),
    ("keywords in any case", f"resourceType = '{INSTANCE}' and NOT configuration.state.name = 'running'", [2]),
    ("one of several", f"{IS_INSTANCE} AND resourceId IN ('{instance_id(0)}', '{instance_id(4)}')", [0, 4]),
    ("AND binds before OR", f"resourceId = '{instance_id(3)}' OR {IS_INSTANCE} AND tags.key = 'team'", [0, 1, 2, 3]),
    ("parentheses", f"({IS_INSTANCE} OR resourceId = 'vol-1') AND configuration.state.name = 'stopped'", [2]),
    ("a beginning", f"{IS_INSTANCE} AND configuration.iamInstanceProfile.arn LIKE 'arn:aws:iam%'", [0, 2, 3, 4]),
    ("one unknown character", f"{IS_INSTANCE} AND configuration.state.name LIKE 'sto_ped'", [2]),
    ("a point is no wildcard", f"{IS_INSTANCE} AND configuration.state.name LIKE 'sto.ped%'", []),
    ("any element of a list", f"{IS_INSTANCE} AND tags.tag = 'team=shop'", [0, 1, 2]),
    ("any element further down", f"{IS_INSTANCE} AND {INDEX} = 1", [0, 1, 2, 3, 4]),
    ("a quote in a text", f"{IS_INSTANCE} AND tags.value = 'O''Hara'", [3]),
    ("a number is not its text", f"{IS_INSTANCE} AND {INDEX} = '1'", []),
    ("a number is not a Boolean", f"{IS_INSTANCE} AND {INDEX} = true", []),
    ("letters count in either case", "resourceType = 'aws::ec2::instance'", []),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_conditions(inventory: Harness, condition: str, expected: list[int]) -> None:
    """Which resources a condition finds."""
    assert _ids(inventory, condition) == expected


def test_booleans_and_numbers(inventory: Harness) -> None:
    """They are written without quotes."""
    assert _rows(inventory, "SELECT resourceId WHERE configuration.encrypted = true AND configuration.size = 8") == [
        {"resourceId": "vol-1"}
    ]


SYNTAX = "The syntax of the query is incorrect: "
HERE_IT_ENDS = "here the query must end, or go on with WHERE, AND or OR"

REFUSED = [
    ("endless nesting", f"SELECT arn WHERE {'(' * 4000}", "it is nested too deeply"),
    ("no SELECT", "resourceId", "a query begins with SELECT, at 'resourceId'"),
    ("nothing selected", "SELECT WHERE resourceId = 'a'", "a property is expected here, at 'WHERE'"),
    ("a comma too many", "SELECT resourceId,", "a property is expected here, at the end of the query"),
    ("FROM", "SELECT resourceId FROM instances", f"{HERE_IT_ENDS}, at 'FROM'"),
    ("ORDER BY", "SELECT resourceId ORDER BY resourceId", f"{HERE_IT_ENDS}, at 'ORDER'"),
    ("GROUP BY", "SELECT resourceType GROUP BY resourceType", f"{HERE_IT_ENDS}, at 'GROUP'"),
    ("a function", "SELECT COUNT(*)", "functions are not executed by the local AWS Config, at '('"),
    ("a comparison", "SELECT arn WHERE arn > 'a'", "the local AWS Config does not understand \"> 'a'\""),
    (
        "BETWEEN",
        "SELECT arn WHERE arn BETWEEN 'a' AND 'b'",
        "the local AWS Config compares with =, IN and LIKE, at 'BETWEEN'",
    ),
    ("no closing parenthesis", "SELECT arn WHERE (arn = 'a'", ") is expected here, at the end of the query"),
    ("no closing quote", "SELECT arn WHERE arn = 'a", 'the local AWS Config does not understand "\'a"'),
    (
        "a literal without quotes",
        "SELECT arn WHERE arn = a",
        "a text in single quotes, a number, true or false is expected here, at 'a'",
    ),
    (
        "a null",
        "SELECT arn WHERE arn = null",
        "a text in single quotes, a number, true or false is expected here, at 'null'",
    ),
    (
        "too short a pattern",
        "SELECT arn WHERE arn LIKE '%ab%'",
        "LIKE takes a text of at least 3 characters besides wildcards, at \"'%ab%'\"",
    ),
    (
        "a property that does not exist",
        "SELECT id",
        (
            "there is no property id; allowed: accountId, arn, availabilityZone, awsRegion, configuration, "
            "configurationItemCaptureTime, configurationItemStatus, configurationStateId, relationships, "
            "resourceCreationTime, resourceId, resourceName, resourceType, supplementaryConfiguration, tags, version, "
            "at 'id'"
        ),
    ),
]


@pytest.mark.parametrize(("expression", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(config: Harness, expression: str, reason: str) -> None:
    """What is not understood is refused with the reason, never guessed at."""
    answer = refusal(config.client().select_resource_config, Expression=expression)
    assert answer == ("InvalidExpressionException", SYNTAX + reason)


def test_refuses_a_query_that_is_too_long(config: Harness) -> None:
    """4,096 characters are the service model's limit."""
    select = config.client().select_resource_config
    longest = f"SELECT arn WHERE arn = '{'a' * (4096 - 25)}'"
    assert select(Expression=longest)["Results"] == []
    code, message = refusal(select, Expression=f"{longest} ")
    assert code == "ValidationException"
    assert message.endswith(
        "at 'expression' failed to satisfy constraint: Member must have length less than or equal to 4096"
    )


def _pages(config: Harness, **request: object) -> list[int]:
    """How many rows each page has, to the last token."""
    sizes, token, seen = list[int](), dict[str, str](), set[str]()
    while True:
        answer = answer_of(config.client().select_resource_config, **request, **token)
        sizes.append(len(answer["Results"]))
        assert not seen & set(answer["Results"])
        seen.update(answer["Results"])
        if "NextToken" not in answer:
            return sizes
        token = {"NextToken": answer["NextToken"]}


PAGES = [
    ("25 to a page by default", {}, [25, 25, 25, 25, 25]),
    ("100 at the most", {"Limit": 100}, [100, 25]),
    ("a limit of 0 is the default", {"Limit": 0}, [25, 25, 25, 25, 25]),
]


@pytest.mark.parametrize(("request_", "sizes"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_pages(config: Harness, request_: Json, sizes: list[int]) -> None:
    """Every row is on one page, and only there."""
    config.region.load(notification_item(resourceId=instance_id(number)) for number in range(125))
    assert _pages(config, Expression="SELECT resourceId", **request_) == sizes


def test_empty_pages_lead_on(config: Harness) -> None:
    """No rows, but a token: at the beginning and in between."""
    config.region.load(notification_item(resourceId=instance_id(number)) for number in range(3))
    config.service.faults.inject("empty-page", "SelectResourceConfig", 2)
    assert _pages(config, Expression="SELECT resourceId") == [0, 0, 3]


def test_a_new_listing_sees_what_changed(config: Harness) -> None:
    """A query is not answered from what an earlier one saw."""
    config.region.load([notification_item(state="running")])
    query = "SELECT configuration.state.name"
    assert _rows(config, query) == [{"configuration": {"state": {"name": "running"}}}]
    config.region.load([notification_item(state="stopped", configurationItemCaptureTime=moments(2)[1])])
    assert _rows(config, query) == [{"configuration": {"state": {"name": "stopped"}}}]


def test_accounts_and_regions_do_not_see_each_other(config: Harness) -> None:
    """What is recorded in one is in no other."""
    config.region.record(notification_item())
    for account, region in (("444455556666", "eu-west-1"), ("111122223333", "eu-central-1")):
        select = config.client(account, region).select_resource_config
        assert select(Expression="SELECT *")["Results"] == []


def test_the_answer_names_what_was_selected(config: Harness) -> None:
    """QueryInfo, as the API has it."""
    answer = config.client().select_resource_config(Expression="SELECT resourceId, tags.key")
    assert answer["QueryInfo"] == {"SelectFields": [{"Name": "resourceId"}, {"Name": "tags.key"}]}
