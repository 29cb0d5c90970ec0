from datetime import timedelta

import pytest

from local.journal import fingerprint
from tests.builders import ABSENT, ACCOUNT, CAPTURED, INSTANCE_ID, NOW, REGION, RULE_NAME, Json
from tests.local.config_harness import INSTANCE, Harness, evaluation, instance_id, refusal

OTHER_ACCOUNT = "444455556666"


def test_what_was_put_comes_back_to_the_millisecond(config: Harness) -> None:
    """A recorded result has all that was put and when: no timestamp loses its milliseconds on the way."""
    token = config.token()
    config.clock.forward(timedelta(milliseconds=1_234))
    assert config.put(evaluation(), token=token)["FailedEvaluations"] == []
    assert config.details() == {
        "EvaluationResults": [
            {
                "EvaluationResultIdentifier": {
                    "EvaluationResultQualifier": {
                        "ConfigRuleName": RULE_NAME,
                        "ResourceType": INSTANCE,
                        "ResourceId": INSTANCE_ID,
                        "EvaluationMode": "DETECTIVE",
                    },
                    "OrderingTimestamp": CAPTURED,
                },
                "ComplianceType": "NON_COMPLIANT",
                "ResultRecordedTime": NOW + timedelta(milliseconds=1_234),
                "ConfigRuleInvokedTime": NOW,
                "Annotation": "NO_PROFILE: attach an instance profile.",
            }
        ]
    }


def test_an_evaluation_needs_no_annotation(config: Harness) -> None:
    """Where none was put, none comes back."""
    config.put(evaluation(Annotation=ABSENT))
    assert "Annotation" not in config.details()["EvaluationResults"][0]


CONSTRAINT = "1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
FIRST = "evaluations.1.member"
TYPES = "[COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE, INSUFFICIENT_DATA]"

REFUSED = [
    (
        "an annotation of 257 characters",
        [evaluation(Annotation="x" * 257)],
        "ValidationException",
        CONSTRAINT.format(
            value="x" * 120 + "…",
            path=f"{FIRST}.annotation",
            constraint="Member must have length less than or equal to 256",
        ),
    ),
    (
        "an empty annotation",
        [evaluation(Annotation="")],
        "ValidationException",
        CONSTRAINT.format(
            value="", path=f"{FIRST}.annotation", constraint="Member must have length greater than or equal to 1"
        ),
    ),
    (
        "a resource id of 769 characters",
        [evaluation(ComplianceResourceId="i" * 769)],
        "ValidationException",
        CONSTRAINT.format(
            value="i" * 120 + "…",
            path=f"{FIRST}.complianceResourceId",
            constraint="Member must have length less than or equal to 768",
        ),
    ),
    (
        "a compliance type that does not exist",
        [evaluation(ComplianceType="EXEMPT")],
        "ValidationException",
        CONSTRAINT.format(
            value="EXEMPT",
            path=f"{FIRST}.complianceType",
            constraint=f"Member must satisfy enum value set: {TYPES}",
        ),
    ),
    (
        "no ordering timestamp",
        [evaluation(OrderingTimestamp=ABSENT)],
        "ValidationException",
        (
            f"1 validation error detected: Value null at '{FIRST}.orderingTimestamp' failed to satisfy constraint: "
            "Member must not be null"
        ),
    ),
    (
        "two errors in the second evaluation, both named",
        [evaluation(), evaluation(ComplianceType=ABSENT, ComplianceResourceType="")],
        "ValidationException",
        (
            "2 validation errors detected: Value '' at 'evaluations.2.member.complianceResourceType' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1; Value null at "
            "'evaluations.2.member.complianceType' failed to satisfy constraint: Member must not be null"
        ),
    ),
    (
        "a number for an annotation",
        [evaluation(Annotation=7)],
        "SerializationException",
        "NUMBER_VALUE can not be converted to a String",
    ),
    (
        "INSUFFICIENT_DATA, which the model allows but the service does not",
        [evaluation(ComplianceType="INSUFFICIENT_DATA")],
        "InvalidParameterValueException",
        (
            "The ComplianceType INSUFFICIENT_DATA is invalid. Only the following values are permitted: "
            "[COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE]"
        ),
    ),
    (
        "no evaluation",
        [],
        "InvalidParameterValueException",
        "The Evaluations object in your request cannot be null. Add the required parameters and try again.",
    ),
]


@pytest.mark.parametrize(
    ("evaluations", "code", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refuses(config: Harness, evaluations: list[Json], code: str, message: str) -> None:
    """AWS refuses this, in these words; nothing of it is recorded."""
    put = config.client(validate=False).put_evaluations
    assert refusal(put, Evaluations=evaluations, ResultToken=config.token()) == (code, message)
    assert config.verdicts() == {}


def test_refuses_a_resource_type_that_config_does_not_know(config: Harness) -> None:
    """The message lists those that it knows, EC2's instance among them."""
    put = config.client().put_evaluations
    code, message = refusal(
        put, Evaluations=[evaluation(ComplianceResourceType="AWS::EC2::Server")], ResultToken=config.token()
    )
    assert code == "InvalidParameterValueException"
    assert message.startswith(
        "The resource type AWS::EC2::Server is invalid. Only the following values are permitted: ["
    )
    assert " AWS::EC2::Instance," in message


def test_takes_100_evaluations_and_refuses_101(config: Harness) -> None:
    """The limit of one call is that of the service model; beyond it nothing is recorded."""
    many = [evaluation(ComplianceResourceId=instance_id(number)) for number in range(101)]
    code, message = refusal(config.client().put_evaluations, Evaluations=many, ResultToken=config.token())
    assert code == "ValidationException"
    assert message.endswith(
        "at 'evaluations' failed to satisfy constraint: Member must have length less than or equal to 100"
    )
    assert config.verdicts() == {}
    config.put(*many[:100])
    assert len(config.verdicts()) == 100


@pytest.mark.parametrize(
    ("account", "region"),
    [
        pytest.param(OTHER_ACCOUNT, REGION, id="a token of another account"),
        pytest.param(ACCOUNT, "eu-central-1", id="a token of another region"),
    ],
)
def test_refuses_a_token_from_elsewhere(config: Harness, account: str, region: str) -> None:
    """A token is good only with the credentials of its own account, in its own region."""
    config.service.region(account, region).start_recording()
    config.put_rule(account, region)
    foreign = config.token(account=account, region=region)
    put = config.client().put_evaluations
    expected = ("InvalidResultTokenException", "Result Token provided is invalid")
    assert refusal(put, Evaluations=[evaluation()], ResultToken=foreign) == expected
    assert refusal(put, Evaluations=[evaluation()], ResultToken="made-up") == expected
    assert config.verdicts() == {}


def test_a_token_decides_for_which_rule_an_evaluation_counts(config: Harness) -> None:
    """With another rule's token the result is recorded for that rule, and only for it."""
    config.put_rule(ConfigRuleName="another-rule")
    config.put(evaluation(), token=config.token("another-rule"))
    assert config.verdicts() == {}
    assert [one.resource_id for one in config.region.results("another-rule")] == [INSTANCE_ID]


def test_refuses_the_token_of_a_rule_that_is_gone(config: Harness) -> None:
    """A deleted rule takes its results along, and a new one of the same name does not get them."""
    token = config.token()
    config.put(evaluation())
    config.client().delete_config_rule(ConfigRuleName=RULE_NAME)
    config.put_rule()
    assert config.verdicts() == {}
    code, _ = refusal(config.client().put_evaluations, Evaluations=[evaluation()], ResultToken=token)
    assert code == "NoSuchConfigRuleException"


def test_test_mode_takes_any_token_and_records_nothing(config: Harness) -> None:
    """A made-up token is enough, but there must be one; what is wrong with the evaluations is still refused."""
    put = config.client(validate=False).put_evaluations
    made_up = "TESTMODE"
    assert put(Evaluations=[evaluation()], ResultToken=made_up, TestMode=True)["FailedEvaluations"] == []
    assert config.verdicts() == {}
    assert refusal(put, Evaluations=[evaluation()], TestMode=True) == (
        "ValidationException",
        (
            "1 validation error detected: Value null at 'resultToken' failed to satisfy constraint: "
            "Member must not be null"
        ),
    )
    assert refusal(put, Evaluations=[], ResultToken=made_up, TestMode=True)[0] == "InvalidParameterValueException"


def _put_one_after_the_other(config: Harness, *verdicts: tuple[int, str]) -> None:
    for milliseconds, compliance_type in verdicts:
        moment = CAPTURED + timedelta(milliseconds=milliseconds)
        config.put(evaluation(ComplianceType=compliance_type, OrderingTimestamp=moment))


ORDERINGS = [
    ("a newer evaluation replaces an older one", [(0, "NON_COMPLIANT"), (1, "COMPLIANT")], {INSTANCE_ID: "COMPLIANT"}),
    ("an older one changes nothing", [(1, "COMPLIANT"), (0, "NON_COMPLIANT")], {INSTANCE_ID: "COMPLIANT"}),
    ("one of the same time replaces", [(0, "NON_COMPLIANT"), (0, "COMPLIANT")], {INSTANCE_ID: "COMPLIANT"}),
    ("what is not applicable is not returned", [(0, "NON_COMPLIANT"), (1, "NOT_APPLICABLE")], {}),
    (
        "an older verdict does not bring back what became not applicable",
        [(1, "NOT_APPLICABLE"), (0, "NON_COMPLIANT")],
        {},
    ),
    (
        "a newer one does",
        [(0, "NON_COMPLIANT"), (1, "NOT_APPLICABLE"), (2, "COMPLIANT")],
        {INSTANCE_ID: "COMPLIANT"},
    ),
]


@pytest.mark.parametrize(("verdicts", "recorded"), [row[1:] for row in ORDERINGS], ids=[row[0] for row in ORDERINGS])
def test_the_ordering_timestamp_decides(
    config: Harness, verdicts: list[tuple[int, str]], recorded: dict[str, str]
) -> None:
    """Results are ordered by it, to the millisecond, not by when they arrive."""
    _put_one_after_the_other(config, *verdicts)
    assert config.verdicts() == recorded


def test_the_journal_holds_no_token(config: Harness) -> None:
    """Calls can be asserted on, token by token, without any token being kept."""
    token = config.token()
    config.put(evaluation(), token=token)
    [call] = config.service.journal.calls("PutEvaluations")
    assert (call.account, call.region, call.error) == (ACCOUNT, REGION, None)
    assert call.input["Evaluations"][0]["OrderingTimestamp"] == CAPTURED.timestamp()
    assert call.input["ResultToken"] == fingerprint(token)
    assert token not in repr(config.service.journal.calls())


def test_tokens_look_like_those_of_aws(config: Harness) -> None:
    """As long, of the same beginning, and no two alike."""
    first, second = config.token(), config.token()
    assert first != second
    assert first.startswith("eyJlbmNyeXB0ZWREYXRhIjpb")
    assert 2_016 <= len(first) <= 3_468
