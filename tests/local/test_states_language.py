from typing import Any

import pytest

from local.states_language import (
    DATA_MAX_BYTES,
    Retrier,
    StateFailed,
    UnknownLanguage,
    at_path,
    check_machine,
    limited,
    parameters,
    retriers,
    with_result,
)

Json = dict[str, Any]

TASK: Json = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "arn:f", "Payload.$": "$"},
    "OutputPath": "$.Payload",
    "End": True,
}
MAP: Json = {
    "Type": "Map",
    "Label": "Each",
    "MaxConcurrency": 2,
    "ToleratedFailureCount": 0,
    "ItemReader": {
        "Resource": "arn:aws-cn:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket.$": "$.bucket", "Key": "items.json"},
    },
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "One",
        "States": {"One": TASK},
    },
    "ResultWriter": {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "results", "Prefix": "runs"},
    },
    "ResultPath": "$.done",
    "Next": "Last",
}
MACHINE: Json = {"StartAt": "Each", "TimeoutSeconds": 60, "States": {"Each": MAP, "Last": TASK}}


def machine(**states: Json) -> Json:
    """`MACHINE` with other states."""
    return {**MACHINE, "States": {**MACHINE["States"], **states}}


def test_what_the_evidence_uses_is_understood() -> None:
    """A task, a distributed map over a list in S3, results written to S3."""
    check_machine(MACHINE)


NOT_UNDERSTOOD: dict[str, tuple[Json, str]] = {
    "a field of a task": (machine(Last={**TASK, "Catch": []}), "definition.Last.Catch"),
    "a field of a map": (machine(Each={**MAP, "ItemBatcher": {}}), "definition.Each.ItemBatcher"),
    "a percentage": (machine(Each={**MAP, "ToleratedFailurePercentage": 5}), "ToleratedFailurePercentage"),
    "another kind of state": (machine(Last={"Type": "Pass", "End": True}), "definition.Last.Type is 'Pass'"),
    "another service": (machine(Last={**TASK, "Resource": "arn:aws:states:::sqs:sendMessage"}), "Last.Resource"),
    "another format of the list": (
        machine(Each={**MAP, "ItemReader": {**MAP["ItemReader"], "ReaderConfig": {"InputType": "CSV"}}}),
        "ReaderConfig",
    ),
    "a map that is not distributed": (
        machine(Each={**MAP, "ItemProcessor": {**MAP["ItemProcessor"], "ProcessorConfig": {"Mode": "INLINE"}}}),
        "ProcessorConfig",
    ),
    "a state within a map": (
        machine(Each={**MAP, "ItemProcessor": {**MAP["ItemProcessor"], "States": {"One": {**TASK, "Catch": []}}}}),
        "ItemProcessor.One.Catch",
    ),
    "a state that is not there": (machine(Each={**MAP, "Next": "Nowhere"}), "there is no state Nowhere"),
    "a state that nothing leads to": (machine(Lost=TASK), "nothing leads to Lost"),
    "a state that ends and goes on": (machine(Last={**TASK, "Next": "Each"}), "either Next or End"),
    "a field of a retrier": (machine(Last={**TASK, "Retry": [{"ErrorEquals": ["X"], "Wait": 1}]}), "Retry[0].Wait"),
    "a wildcard that is not last": (
        machine(Last={**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]}),
        "States.ALL stands alone, and last",
    ),
    "a long label": (machine(Each={**MAP, "Label": "x" * 41}), "Label"),
}


@pytest.mark.parametrize(("definition", "named"), NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_anything_else_is_refused_before_it_runs(definition: Json, named: str) -> None:
    """And named: what is passed over is tested in no way."""
    with pytest.raises(UnknownLanguage) as refused:
        check_machine(definition)
    assert named in str(refused.value)


def test_retriers_wait_longer_each_time_up_to_their_limit() -> None:
    """The defaults are those of the language: three attempts, 1 s, doubled, without an upper limit."""
    (default,) = retriers({"Retry": [{"ErrorEquals": ["X"]}]})
    assert default == Retrier(("X",), 1, 3, 2, float("inf"), full_jitter=False)
    assert [default.delay(attempt) for attempt in (1, 2, 3)] == [1, 2, 4]
    limited_one = Retrier(("States.ALL",), interval_seconds=30, max_delay_seconds=100)
    assert [limited_one.delay(attempt) for attempt in (1, 2, 3)] == [30, 60, 100]


@pytest.mark.parametrize(
    ("named", "error", "expected"),
    [
        ("States.ALL", "ServiceError", True),
        ("States.ALL", "States.Timeout", True),
        ("States.ALL", "States.DataLimitExceeded", False),
        ("States.ALL", "States.Runtime", False),
        ("States.TaskFailed", "ServiceError", True),
        ("States.TaskFailed", "States.Timeout", False),
        ("OutOfTime", "OutOfTime", True),
        ("OutOfTime", "ServiceError", False),
    ],
)
def test_a_retrier_matches(named: str, error: str, expected: bool) -> None:
    """AWS Step Functions Developer Guide, "Handling errors": some errors no wildcard catches."""
    assert Retrier((named,)).matches(error) is expected


def test_paths_lead_into_objects() -> None:
    """In Parameters, OutputPath and ResultPath; anything else that JSONPath has is refused."""
    given = {"a": {"b": [1]}, "c": 2}
    assert at_path(given, "$") == given
    assert at_path(given, "$.a.b") == [1]
    assert parameters({"Whole.$": "$", "One.$": "$.c", "Text": "$.c"}, given) == {
        "Whole": given,
        "One": 2,
        "Text": "$.c",
    }
    assert with_result(given, "$", 3) == 3
    assert with_result(given, "$.c", 3) == {"a": {"b": [1]}, "c": 3}
    for path in ("$$.Map.Item", "$.a[0]", "$..b", "a"):
        with pytest.raises(UnknownLanguage):
            at_path(given, path)
    with pytest.raises(StateFailed, match=r"the path \$\.a\.x is not in"):
        at_path(given, "$.a.x")
    with pytest.raises(StateFailed, match=r"States\.ResultPathMatchFailure"):
        with_result([1], "$.c", 3)


def test_data_that_a_state_hands_on_is_limited() -> None:
    """To 256 KiB of JSON; larger results have to lie elsewhere."""
    fits = "x" * (DATA_MAX_BYTES - 2)
    assert limited(fits, "the output") == fits
    with pytest.raises(StateFailed, match="the output is 262145 bytes; allowed: 262144"):
        limited(fits + "x", "the output")
