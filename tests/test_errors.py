import inspect
import re

import pytest

from rolecall import errors
from rolecall.errors import (
    AlreadyWritten,
    AwsError,
    Damaged,
    EvaluationsRejected,
    IncompleteRun,
    InvalidEvent,
    InvalidInput,
    InvalidItem,
    InvalidParameter,
    ItemNotRecorded,
    Missing,
    NotAFile,
    NotSealed,
    Occupied,
    OutOfTime,
    RecordsRejected,
    ResultNotConfirmed,
    RolecallError,
    ServiceError,
    WrongChecksum,
    shown,
)

PROBLEMS = [InvalidItem("tags", number, "an object", f"i-{number}") for number in range(25)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInput("field", 7, "a text"), "field is 7; allowed: a text"),
        (InvalidEvent("accountId", None, "a text"), "accountId is None; allowed: a text"),
        (
            InvalidParameter("rule parameter x", "y" * 300, "less"),
            f"rule parameter x is '{'y' * 119}…; allowed: less",
        ),
        (InvalidItem("tags", [], "an object"), "tags is []; allowed: an object"),
        (InvalidItem("tags", "a\nb", "an object", "i-1"), "i-1: tags is 'a\\nb'; allowed: an object"),
        (
            IncompleteRun(PROBLEMS[:2], 2),
            (
                "2 problems in this run, everything else was reported: "
                "i-0: tags is 0; allowed: an object; i-1: tags is 1; allowed: an object"
            ),
        ),
        (
            IncompleteRun(PROBLEMS, 1000),
            "1,000 problems in this run, everything else was reported: "
            + "; ".join(str(problem) for problem in PROBLEMS[:20])
            + "; and 980 more",
        ),
        (
            ServiceError("PutEvaluations", "ThrottlingException", "Rate exceeded"),
            "PutEvaluations failed: ThrottlingException: Rate exceeded",
        ),
        (
            ItemNotRecorded("AWS::EC2::Instance", "i-1", "2026-03-01T09:30:00.123Z"),
            (
                "AWS Config's history of AWS::EC2::Instance i-1 holds no item captured at 2026-03-01T09:30:00.123Z, "
                "which an oversized notification announced: nothing was reported for it"
            ),
        ),
        (
            ResultNotConfirmed(
                "AWS::EC2::Instance", "i-1", ServiceError("GetResourceConfigHistory", "InternalFailure", "Try later")
            ),
            (
                "the recorded result of AWS::EC2::Instance i-1 could not be confirmed by its newest item, so it stays "
                "as it is: GetResourceConfigHistory failed: InternalFailure: Try later"
            ),
        ),
        (
            EvaluationsRejected(
                [
                    {"ComplianceResourceId": "i-1", "ComplianceType": "COMPLIANT"},
                    {"ComplianceResourceId": "i-2", "ComplianceType": "NON_COMPLIANT"},
                ]
            ),
            "PutEvaluations left 2 evaluations unrecorded after its retries: i-1 (COMPLIANT), i-2 (NON_COMPLIANT)",
        ),
        (
            RecordsRejected("evaluations", [("i-1", "InternalFailure: try later")]),
            "event bus evaluations did not take 1 record after the retries: i-1 (InternalFailure: try later)",
        ),
        (
            OutOfTime("PutEvaluations", 1.26),
            "PutEvaluations was not tried again: the 1.3 s left of this invocation are too few",
        ),
        (
            OutOfTime("PutEvaluations", 0.0, "ThrottlingException"),
            (
                "PutEvaluations was not tried again after ThrottlingException: "
                "the 0.0 s left of this invocation are too few"
            ),
        ),
        (Missing("a/b"), "a/b: is not there"),
        (NotAFile("a/b", "a symbolic link"), "a/b: is a symbolic link, and only plain files are read"),
        (Damaged("a/b", "is cut off"), "a/b: is cut off"),
        (
            AlreadyWritten("a/b", "22" * 32, "11" * 32),
            f"a/b: was written before with other content: SHA-256 {'11' * 32}, now {'22' * 32}",
        ),
        (Occupied("a", "holds too much"), "a: holds too much"),
        (
            WrongChecksum("a/b", "11" * 32, "22" * 32),
            f"a/b: its SHA-256 is {'22' * 32}, not {'11' * 32} as it was said to be",
        ),
        (NotSealed("2026-11-24", "no"), "the package of 2026-11-24 was not sealed: no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_says_what_and_where(error: RolecallError, message: str) -> None:
    """Whoever reads the log or the dead letter has nothing but this line."""
    assert str(error) == message


def test_an_invalid_input_keeps_its_parts() -> None:
    """Code that counts or groups problems does not have to read messages."""
    problem = InvalidItem("tags", 7, "an object", "i-1")
    assert (problem.field, problem.value, problem.allowed, problem.resource) == ("tags", 7, "an object", "i-1")


def test_an_incomplete_run_keeps_few_problems_and_counts_all() -> None:
    """A run over a whole account must not hold a problem for each of its instances."""
    run = IncompleteRun(PROBLEMS, 1000)
    assert (run.problems, run.total) == (tuple(PROBLEMS[:20]), 1000)


def test_the_drawn_tree_is_the_tree() -> None:
    """The docstring draws every class, under the one that it comes from."""
    drawn = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if named := re.match(r"(?P<indent>[ │├└─]*)(?P<name>[A-Z][a-zA-Z]+)( {2,}|$)", line):
            depth = len(named["indent"])
            above[depth] = named["name"]
            drawn[named["name"]] = above.get(depth - 4)
    real = {
        name: one.__bases__[0].__name__ if one is not RolecallError else None
        for name, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, Exception)
    }
    assert drawn == real


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "'x'"),
        (None, "None"),
        ("x" * 118, f"'{'x' * 118}'"),
        ("x" * 119, f"'{'x' * 119}…"),
        ({"a": [1]}, "{'a': [1]}"),
        ("line\n\u2028break", "'line\\n\\u2028break'"),
    ],
)
def test_a_value_is_shown_on_one_short_line(value: object, expected: str) -> None:
    """Quoted, escaped, and cut where it would bury the rest of the message."""
    assert shown(value) == expected


def test_aws_errors_are_told_from_bad_input() -> None:
    """Only what AWS did may be cured by another attempt."""
    assert not issubclass(AwsError, InvalidInput)
    assert not issubclass(InvalidInput, AwsError)
