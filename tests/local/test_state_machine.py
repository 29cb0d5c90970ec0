"""The synthesized state machine, executed: with functions written here, and an S3 that is moto's."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infra.evidence_workflow import LOGICAL_ID
from local.aws import LocalAws
from local.cloud_assembly import AssemblyError, Place
from local.execution_environment import FunctionError, InvocationResult
from local.state_machine import Execution, StateMachine, read_definition
from tests.infra.organization import AUDIT, EXAMPLE, HOME
from tests.infra.synthesis import assembly

DAY = "2026-11-24"
SHARDS = [{"day": DAY, "account": f"{number:012}", "region": "eu-west-1"} for number in range(1, 8)]
KEY = f"plans/{DAY}/shards.json"

Function = Callable[[Any], object]


class Functions:
    """Plan, collect and seal by the names in the template, as functions of this module. Thread-safe."""

    def __init__(self, bucket: str) -> None:
        self.plan: Function = lambda _event: {"day": DAY, "shards": {"bucket": bucket, "key": KEY}}
        self.collect: Function = lambda event: {"key": f"shards/{event['account']}"}
        self.seal: Function = lambda event: {"day": event["day"], "sealed": True}
        self.sealed: list[Any] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def invoke(self, arn: str, payload: object) -> InvocationResult:
        """Invoke as Lambda does: what is raised becomes the result's error."""
        name = next(name for name in ("Plan", "Collect", "Seal") if f"Evidence{name}Function" in arn)
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            if name == "Seal":
                self.sealed.append(payload)
        answer, error = None, None
        try:
            answer = getattr(self, name.lower())(payload)
        except ValueError as raised:
            error = FunctionError("ValueError", str(raised))
        with self._lock:
            self.at_once -= 1
        return InvocationResult("r", answer, error, (), 0.0, None, None)


@pytest.fixture(scope="module")
def assembled() -> Path:
    """The example organization with evidence, four shards at once."""
    return assembly(**EXAMPLE, regions=HOME, evidence=True, evidenceConcurrency=4)


@pytest.fixture
def functions(local_aws: LocalAws, assembled: Path) -> Functions:
    """Functions that succeed, over a bucket with the day's list of shards."""
    bucket = results_bucket(assembled)
    s3 = local_aws.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
    s3.put_object(Bucket=bucket, Key=KEY, Body=json.dumps(SHARDS).encode())
    return Functions(bucket)


def definition(assembled: Path) -> dict[str, Any]:
    """What the template says."""
    return dict(read_definition(assembled, LOGICAL_ID, Place(AUDIT, HOME, "aws")))


def results_bucket(assembled: Path) -> str:
    """Where results of the map are written: the ledger's bucket."""
    return str(definition(assembled)["States"]["Collect"]["ResultWriter"]["Parameters"]["Bucket"])


def run(local_aws: LocalAws, assembled: Path, functions: Functions) -> Execution:
    """Run the day, without the waiting."""
    machine = StateMachine(definition(assembled), functions.invoke, local_aws.client("s3"), time_scale=0)
    return machine.run({"scheduledTime": "2026-11-25T06:00:00Z"})


def results(local_aws: LocalAws, bucket: str, execution_output: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The files that ResultWriter wrote, by outcome."""
    s3 = local_aws.client("s3")

    def read(key: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    manifest = read(execution_output["ResultWriterDetails"]["Key"])
    return {outcome: [read(one["Key"]) for one in files] for outcome, files in manifest["ResultFiles"].items()}


def test_a_day_is_planned_collected_and_sealed(local_aws: LocalAws, assembled: Path, functions: Functions) -> None:
    """Every shard once, as many at once as the setting says; seal gets what plan answered."""
    execution = run(local_aws, assembled, functions)
    assert (execution.status, execution.output) == ("SUCCEEDED", {"day": DAY, "sealed": True})
    states = [attempt.state for attempt in execution.attempts]
    assert states == ["Plan", *["CollectShard"] * len(SHARDS), "Seal"]
    collected = [attempt.input for attempt in execution.attempts if attempt.state == "CollectShard"]
    assert sorted(collected, key=lambda one: one["account"]) == SHARDS
    (sealing,) = functions.sealed
    assert {key: value for key, value in sealing.items() if key != "collected"} == {
        "day": DAY,
        "shards": {"bucket": results_bucket(assembled), "key": KEY},
    }
    written = results(local_aws, results_bucket(assembled), sealing["collected"])
    assert {outcome: [len(file) for file in files] for outcome, files in written.items()} == {
        "SUCCEEDED": [len(SHARDS)],
        "FAILED": [],
        "PENDING": [],
    }
    assert json.loads(written["SUCCEEDED"][0][0]["Output"]) == {"key": "shards/000000000001"}


def test_shards_run_side_by_side_as_many_as_the_setting_says(
    local_aws: LocalAws, assembled: Path, functions: Functions
) -> None:
    """Four wait for each other; a fifth would never come."""
    together = threading.Barrier(4, timeout=30)
    first = {shard["account"] for shard in SHARDS[:4]}

    def collect(event: Any) -> object:  # noqa: ANN401 - JSON
        if event["account"] in first:
            together.wait()
        return {}

    functions.collect = collect
    assert run(local_aws, assembled, functions).status == "SUCCEEDED"
    assert functions.most_at_once == 4


def test_a_shard_that_fails_is_tried_again(local_aws: LocalAws, assembled: Path, functions: Functions) -> None:
    """And its day is sealed, once it succeeds."""
    failures = iter([ValueError("throttled"), ValueError("throttled")])

    def collect(event: Any) -> object:  # noqa: ANN401 - JSON
        if event == SHARDS[2] and (error := next(failures, None)):
            raise error
        return {}

    functions.collect = collect
    execution = run(local_aws, assembled, functions)
    assert execution.status == "SUCCEEDED"
    tried = [attempt.error for attempt in execution.attempts if attempt.input == SHARDS[2]]
    assert tried == ["ValueError", "ValueError", None]


def test_one_shard_that_fails_for_good_fails_the_day_and_nothing_is_sealed(
    local_aws: LocalAws, assembled: Path, functions: Functions
) -> None:
    """After one attempt and four retries; the same day can be run again, and is sealed then."""

    def collect(event: Any) -> object:  # noqa: ANN401 - JSON
        if event == SHARDS[2]:
            raise ValueError("the aggregator does not answer")
        return {}

    healthy, functions.collect = functions.collect, collect
    execution = run(local_aws, assembled, functions)
    assert (execution.status, execution.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert "1 of 7 items failed, the first with ValueError: the aggregator does not answer" in str(execution.cause)
    assert [one.error for one in execution.attempts if one.input == SHARDS[2]] == ["ValueError"] * 5
    assert functions.sealed == []
    functions.collect = healthy
    assert run(local_aws, assembled, functions).status == "SUCCEEDED"
    assert len(functions.sealed) == 1


@pytest.mark.parametrize("step", ["plan", "seal"])
def test_a_step_that_fails_for_good_fails_the_day(
    local_aws: LocalAws, assembled: Path, functions: Functions, step: str
) -> None:
    """With its own error, after the same retries."""

    def fails(_event: object) -> object:
        raise ValueError("no")

    setattr(functions, step, fails)
    execution = run(local_aws, assembled, functions)
    assert (execution.status, execution.error, execution.cause) == ("FAILED", "ValueError", "no")
    assert [one.error for one in execution.attempts if one.state == step.title()] == ["ValueError"] * 5


def test_a_list_that_is_not_there_fails_the_day(local_aws: LocalAws, assembled: Path, functions: Functions) -> None:
    """As Step Functions calls it."""
    functions.plan = lambda _event: {"day": DAY, "shards": {"bucket": results_bucket(assembled), "key": "none"}}
    assert run(local_aws, assembled, functions).error == "States.ItemReaderFailed"


def test_a_list_that_is_no_array_fails_the_day(local_aws: LocalAws, assembled: Path, functions: Functions) -> None:
    """As above."""
    local_aws.client("s3").put_object(Bucket=results_bucket(assembled), Key="object", Body=b"{}")
    functions.plan = lambda _event: {"day": DAY, "shards": {"bucket": results_bucket(assembled), "key": "object"}}
    assert run(local_aws, assembled, functions).error == "States.ItemReaderFailed"


def test_an_answer_that_is_too_large_fails_the_day(local_aws: LocalAws, assembled: Path, functions: Functions) -> None:
    """Without a retry: it would be as large again."""
    functions.plan = lambda _event: {"day": DAY, "shards": "x" * 300_000}
    execution = run(local_aws, assembled, functions)
    assert (execution.error, len(execution.attempts)) == ("States.DataLimitExceeded", 1)


def test_a_machine_that_is_not_there_is_an_error(assembled: Path) -> None:
    """And not an empty definition."""
    with pytest.raises(AssemblyError, match="no state machine with the logical id Other"):
        read_definition(assembled, "Other", Place(AUDIT, HOME, "aws"))
