import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local.faults import Faults
from tests.builders import ACCOUNT, REGION, RULE_NAME, Json
from tests.local.config_harness import Harness, evaluation, instance_id, refusal

THREE = [evaluation(ComplianceResourceId=instance_id(number)) for number in range(3)]


def test_throttling(config: Harness) -> None:
    """The next N calls of the operation are refused, then it works again; other operations never notice."""
    config.service.faults.inject("throttle", "PutEvaluations", 2)
    config.client().describe_config_rules()
    put = config.client().put_evaluations
    token = config.token()
    for _ in range(2):
        assert refusal(put, Evaluations=THREE, ResultToken=token) == ("ThrottlingException", "Rate exceeded")
    assert config.verdicts() == {}
    put(Evaluations=THREE, ResultToken=token)
    assert len(config.verdicts()) == 3
    assert [call.error for call in config.service.journal.calls("PutEvaluations")] == ["throttle", "throttle", None]


def test_a_denial(config: Harness) -> None:
    """Of one operation, until it is cleared; a client does not try again."""
    config.service.faults.inject("deny", "DescribeConfigurationRecorders", None)
    denied = config.client(attempts=3).describe_configuration_recorders
    assert refusal(denied) == ("AccessDeniedException", "You are not authorized to perform this action.")
    assert [call.error for call in config.service.journal.calls("DescribeConfigurationRecorders")] == ["deny"]
    config.service.faults.clear()
    assert config.client().describe_configuration_recorders()["ConfigurationRecorders"]


@pytest.mark.parametrize("kind", ["throttle", "outage", "drop", "lose-answer"])
def test_a_client_that_retries_gets_through(config: Harness, kind: str) -> None:
    """Each of these passes: botocore's own retries are enough."""
    config.service.faults.inject(kind, "DescribeConfigRules", 2)
    assert len(config.client(attempts=3).describe_config_rules()["ConfigRules"]) == 1
    assert [call.error for call in config.service.journal.calls("DescribeConfigRules")] == [kind, kind, None]


def test_an_outage(config: Harness) -> None:
    """A 5xx answer of the status that was asked for; nothing is recorded."""
    config.service.faults.inject("outage", "PutEvaluations", status=503)
    with pytest.raises(ClientError) as failed:
        config.put(*THREE)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert config.verdicts() == {}


@pytest.mark.parametrize(
    ("kind", "recorded"),
    [
        pytest.param("drop", 0, id="a connection that breaks before the call"),
        pytest.param("lose-answer", 3, id="an answer that is lost"),
    ],
)
def test_a_broken_connection(config: Harness, kind: str, recorded: int) -> None:
    """The caller sees the same, but the call may have been carried out."""
    config.service.faults.inject(kind, "PutEvaluations")
    with pytest.raises(ConnectionClosedError):
        config.put(*THREE)
    assert len(config.verdicts()) == recorded


def test_a_body_that_is_no_json(config: Harness) -> None:
    """A 200 that botocore takes for an empty answer: a caller has to look itself."""
    config.service.faults.inject("garble", "PutEvaluations")
    answer = config.put(*THREE)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "FailedEvaluations" not in answer
    assert config.verdicts() == {}


def test_latency_counts_calls(config: Harness) -> None:
    """Each of the next N calls is late once."""
    config.service.faults.inject("delay", "DescribeConfigRules", 2, seconds=0.3)
    for _ in range(3):
        config.client().describe_config_rules()
    seconds = [call.seconds for call in config.service.journal.calls("DescribeConfigRules")]
    assert [one >= 0.3 for one in seconds] == [True, True, False]


def test_latency(config: Harness) -> None:
    """The answer comes late, with whatever else is wrong with it, until the fault is cleared."""
    config.service.faults.inject("delay", "DescribeConfigRules", None, seconds=0.2)
    config.service.faults.inject("throttle", "DescribeConfigRules")
    started = time.monotonic()
    assert refusal(config.client().describe_config_rules)[0] == "ThrottlingException"
    config.client().describe_config_rules()
    assert time.monotonic() - started >= 0.4
    config.service.faults.clear()
    config.client().describe_config_rules()
    assert config.service.journal.calls("DescribeConfigRules")[-1].seconds < 0.2


def test_partial_failures(config: Harness) -> None:
    """Those of the resources come back as they were put, twice; all others are recorded."""
    failing = instance_id(1)
    config.service.faults.inject("fail-evaluations", times=2, resource_ids=[failing])
    assert config.put(THREE[0])["FailedEvaluations"] == []  # not a call that the fault is about
    for _ in range(2):
        assert config.put(*THREE)["FailedEvaluations"] == [THREE[1]]
        assert failing not in config.verdicts()
    assert config.put(*THREE)["FailedEvaluations"] == []
    assert len(config.verdicts()) == 3


def test_any_operation(config: Harness) -> None:
    """A fault without an operation is for whichever comes next."""
    config.service.faults.inject("throttle")
    assert refusal(config.client().describe_configuration_recorders)[0] == "ThrottlingException"
    config.client().describe_configuration_recorders()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "earthquake"}, "'earthquake' is not a valid FaultKind"),
        ({"kind": "drop", "times": 0}, "times is 0; allowed: 1 or more, or None for every call"),
        ({"kind": "outage", "status": 404}, "status is 404; allowed: 500 to 599"),
        ({"kind": "fail-evaluations"}, "resource_ids is empty; allowed: the ids whose evaluations fail"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: Json, message: str) -> None:
    """With the field, its value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        Faults().inject(**fault)


def _control(config: Harness, method: str, path: str, body: object = None) -> tuple[int, str]:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{config.url}/_local/{path}", None if body is None else json.dumps(body).encode(), method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_another_process_can_inject_faults_and_read_the_journal(config: Harness) -> None:
    """Over HTTP, with the same words as in Python, and without any token."""
    token = config.token()
    fault = {"kind": "throttle", "operation": "PutEvaluations", "times": 1}
    assert _control(config, "POST", "faults", fault) == (200, "{}")
    assert refusal(config.client().put_evaluations, Evaluations=THREE, ResultToken=token)[0] == "ThrottlingException"
    config.client().put_evaluations(Evaluations=THREE, ResultToken=token)
    status, lines = _control(config, "GET", "calls")
    calls: list[Any] = [json.loads(line) for line in lines.splitlines()]
    puts = [call for call in calls if call["operation"] == "PutEvaluations"]
    assert [(call["account"], call["region"], call["error"]) for call in puts] == [
        (ACCOUNT, REGION, "throttle"),
        (ACCOUNT, REGION, None),
    ]
    assert (status, token in lines) == (200, False)
    assert _control(config, "DELETE", "calls") == (200, "{}")
    assert _control(config, "GET", "calls") == (200, "")


def test_faults_are_cleared_over_http(config: Harness) -> None:
    """From then on nothing goes wrong."""
    _control(config, "POST", "faults", {"kind": "throttle", "times": None})
    assert _control(config, "DELETE", "faults") == (200, "{}")
    config.client().describe_config_rules()


def test_a_schedule_is_run_over_http(config: Harness) -> None:
    """As at the end of the rule's period."""
    assert _control(config, "POST", "schedule", {"account": ACCOUNT, "region": REGION, "rule": RULE_NAME}) == (
        200,
        "{}",
    )
    assert len(config.invocations) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "faults", {"kind": "earthquake"}, (400, "'earthquake' is not a valid FaultKind")),
        ("POST", "faults", {"kinds": "drop"}, (400, "Faults.inject() got an unexpected keyword argument 'kinds'")),
        ("POST", "schedule", {"account": ACCOUNT}, (400, "KeyError: 'region'")),
        ("GET", "faults", None, (404, "there is no GET /_local/faults")),
    ],
)
def test_what_the_control_path_does_not_understand_is_refused(
    config: Harness, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    """With a message, and without effect."""
    status, content = _control(config, method, path, body)
    # Later Pythons go on: "Did you mean 'kind'?"
    message = json.loads(content)["message"]
    assert (status, message[: len(expected[1])]) == expected
