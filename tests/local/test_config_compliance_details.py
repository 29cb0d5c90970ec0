import pytest

from tests.builders import RULE_NAME, Json
from tests.local.config_harness import Harness, evaluation, instance_id, refusal


@pytest.fixture
def recorded(config: Harness) -> Harness:
    """25 results: every fifth COMPLIANT, every seventh NOT_APPLICABLE, the others NON_COMPLIANT."""
    config.put(
        *(
            evaluation(
                ComplianceResourceId=instance_id(number),
                ComplianceType="COMPLIANT"
                if number % 5 == 0
                else "NOT_APPLICABLE"
                if number % 7 == 0
                else "NON_COMPLIANT",
            )
            for number in range(25)
        )
    )
    return config


def _numbers(page: Json) -> list[int]:
    return [
        int(one["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"].removeprefix("i-"), 16)
        for one in page["EvaluationResults"]
    ]


COMPLIANT = [0, 5, 10, 15, 20]
NOT_APPLICABLE = [7, 14, 21]
SHOWN = [number for number in range(25) if number not in NOT_APPLICABLE]

PAGES = [
    ("ten to a page by default", {}, [SHOWN[:10], SHOWN[10:20], SHOWN[20:]]),
    ("a page of the size asked for", {"Limit": 20}, [SHOWN[:20], SHOWN[20:]]),
    ("no further page when the last one is full", {"Limit": 22}, [SHOWN]),
    ("only the compliance types asked for", {"ComplianceTypes": ["COMPLIANT"], "Limit": 4}, [[0, 5, 10, 15], [20]]),
    ("all types asked for", {"ComplianceTypes": ["COMPLIANT", "NON_COMPLIANT"], "Limit": 100}, [SHOWN]),
    ("what is not applicable, if it is asked for", {"ComplianceTypes": ["NOT_APPLICABLE"]}, [NOT_APPLICABLE]),
]


@pytest.mark.parametrize(("request_", "expected"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_pages(recorded: Harness, request_: Json, expected: list[list[int]]) -> None:
    """The pages of a listing, followed to the last token."""
    page = recorded.details(**request_)
    pages = [_numbers(page)]
    while "NextToken" in page:
        page = recorded.details(**request_, NextToken=page["NextToken"])
        pages.append(_numbers(page))
    assert pages == expected


def test_a_listing_does_not_change_while_it_is_read(recorded: Harness) -> None:
    """What is put between two pages neither moves a result to another page nor appears twice."""
    first = recorded.details()
    recorded.put(evaluation(ComplianceResourceId=instance_id(0), ComplianceType="NOT_APPLICABLE"))
    second = recorded.details(NextToken=first["NextToken"])
    assert _numbers(first) + _numbers(second) == SHOWN[:20]
    assert recorded.details(NextToken=first["NextToken"]) == second  # the same token, the same page


def test_empty_pages_lead_on_to_what_follows(recorded: Harness) -> None:
    """As AWS does now and then: no items, but a token; whoever stops there misses results."""
    recorded.service.faults.inject("empty-page", "GetComplianceDetailsByConfigRule", 2)
    pages = [recorded.details(Limit=100)]
    while "NextToken" in pages[-1]:
        pages.append(recorded.details(Limit=100, NextToken=pages[-1]["NextToken"]))
    assert [_numbers(page) for page in pages] == [[], [], SHOWN]


INVALID_TOKEN = ("InvalidNextTokenException", "The nextToken provided is invalid")

REFUSED = [
    ("an invented token", {"NextToken": "bm90OmE="}, INVALID_TOKEN),
    ("a token that is no base64", {"NextToken": "§"}, INVALID_TOKEN),
    (
        "INSUFFICIENT_DATA as a filter",
        {"ComplianceTypes": ["INSUFFICIENT_DATA"]},
        ("InvalidParameterValueException", "INSUFFICIENT_DATA cannot be used to filter evaluation results"),
    ),
    (
        "four compliance types",
        {"ComplianceTypes": ["COMPLIANT"] * 4},
        (
            "ValidationException",
            (
                '1 validation error detected: Value \'["COMPLIANT", "COMPLIANT", "COMPLIANT", "COMPLIANT"]\' at '
                "'complianceTypes' failed to satisfy constraint: Member must have length less than or equal to 3"
            ),
        ),
    ),
    (
        "a limit of 101",
        {"Limit": 101},
        (
            "ValidationException",
            (
                "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: "
                "Member must have value less than or equal to 100"
            ),
        ),
    ),
    (
        "a rule that does not exist",
        {"ConfigRuleName": "no-such-rule"},
        (
            "NoSuchConfigRuleException",
            "The ConfigRule 'no-such-rule' provided in the request is invalid. Please check the configRule name",
        ),
    ),
    (
        "a name of 65 characters, though PutConfigRule takes 128",
        {"ConfigRuleName": "r" * 65},
        (
            "ValidationException",
            (
                f"1 validation error detected: Value '{'r' * 65}' at 'configRuleName' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            ),
        ),
    ),
]


@pytest.mark.parametrize(("request_", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(recorded: Harness, request_: Json, expected: tuple[str, str]) -> None:
    """AWS refuses this, in these words."""
    details = recorded.client().get_compliance_details_by_config_rule
    assert refusal(details, **{"ConfigRuleName": RULE_NAME, **request_}) == expected


def test_a_token_belongs_to_the_call_that_gave_it(recorded: Harness) -> None:
    """With another filter it is refused: its pages would be those of another listing."""
    token = recorded.details()["NextToken"]
    details = recorded.client().get_compliance_details_by_config_rule
    answer = refusal(details, ConfigRuleName=RULE_NAME, NextToken=token, ComplianceTypes=["COMPLIANT"])
    assert answer == INVALID_TOKEN
