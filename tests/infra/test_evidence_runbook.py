"""The commands of docs/evidence.md for whoever an alarm has woken: run by bash, with a stand-in for `aws`.

Whatever it is told is held against botocore's models; names and resources are those of the synthesized stack.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rolecall.evidence.plan import ShardItem, item_object, read_item
from tests import aws_commands
from tests.infra.synthesis import Json, assembly

DOCUMENT = Path(__file__).parents[2] / "docs" / "evidence.md"
DAY = date(2026, 11, 24)
ITEMS = [
    ShardItem(DAY, "111122223333", "eu-west-1", ("rule-a", "rule-b"), credential_report=True),
    ShardItem(DAY, "111122223333", "us-east-1"),
    ShardItem(DAY, "444455556666", "eu-west-1"),
]

AWS = """\
#!{python}
import json, shutil, sys
from pathlib import Path
import jmespath

argv = sys.argv[1:]
folder = Path({folder!r})
name = " ".join(argv[:2])
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(argv) + "\\n")
if name == "s3 cp":
    shutil.copy(folder / "shards", argv[3])
    sys.exit()
answers = json.loads((folder / "answers").read_text())[name]
made = [json.loads(line)[:2] for line in (folder / "calls").read_text().splitlines()].count(argv[:2])
answer = answers[min(made, len(answers)) - 1]
if "--query" in argv:
    answer = jmespath.search(argv[argv.index("--query") + 1], answer)
if "--output" in argv and argv[argv.index("--output") + 1] == "text":
    rows = answer if isinstance(answer, list) else [answer]
    print("\\t".join(str(one) for row in rows for one in (row if isinstance(row, list) else [row])))
else:
    print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Done:
    """What a script has said and called, in order."""

    output: str
    calls: Sequence[Sequence[str]]

    def of(self, service: str, command: str) -> list[dict[str, str]]:
        """The options of each call of a command."""
        called = [call[2:] for call in self.calls if list(call[:2]) == [service, command]]
        return [{call[at]: call[at + 1] for at in range(0, len(call) - 1, 2)} for call in called]


def script(name: str) -> str:
    """What the documentation says."""
    text = DOCUMENT.read_text()
    (found,) = re.findall(rf"<!-- {name}: begin .*?-->\n```shell\n(.*?)```\n<!-- {name}: end -->", text, re.DOTALL)
    return str(found)


def run(folder: Path, program: str, answers: Mapping[str, object]) -> Done:
    """Run it in a folder; every call must be one that the command line takes."""
    (folder / "bin").mkdir()
    aws = folder / "bin" / "aws"
    aws.write_text(AWS.format(python=sys.executable, folder=str(folder)))
    aws.chmod(0o755)
    (folder / "bin" / "python3").symlink_to(sys.executable)
    (folder / "answers").write_text(json.dumps(answers))
    (folder / "shards").write_text(json.dumps([item_object(item) for item in ITEMS]))
    (folder / "calls").touch()
    done = subprocess.run(  # noqa: S603 - our own documentation
        ["bash", "-e", "-c", f'PATH="{folder}/bin:$PATH"; sleep() {{ :; }}\n{program}'],  # noqa: S607 - any shell
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    for call in calls:
        if call[0] != "s3":
            aws_commands.check(shlex.join(["aws", *_as_the_service_gets_it(call, folder)]))
    return Done(done.stdout, calls)


def _as_the_service_gets_it(call: Sequence[str], folder: Path) -> list[str]:
    """Without what is the command line's own business."""
    text = "\0".join(call).removesuffix("\0/dev/stdout")
    words = re.sub(r"\0--(max-items|cli-binary-format)\0[^\0]*", "", text).split("\0")
    return [(folder / word[7:]).read_text() if word.startswith("file://") else word for word in words]


def template() -> Json:
    """Of the evidence stack."""
    text = (assembly(evidence=True) / "Rolecall-Evidence.template.json").read_text()
    return dict(json.loads(text))


def test_the_names_are_those_of_the_stack(tmp_path: Path) -> None:
    """Each is one output, or one resource; the bus is the ledger's."""
    made = template()
    stack = {"Outputs": [{"OutputKey": key, "OutputValue": f"value of {key}"} for key in made["Outputs"]]}
    listed = [
        {"LogicalResourceId": name, "ResourceType": one["Type"], "PhysicalResourceId": f"physical-{name}"}
        for name, one in made["Resources"].items()
    ]
    echo = '\necho "$MACHINE|$LEDGER|$PACKAGES|$COLLECT|$LETTERS|$BUS"'
    answers = {
        "cloudformation describe-stacks": [{"Stacks": [stack]}],
        "cloudformation list-stack-resources": [{"StackResourceSummaries": listed}],
    }
    *names, letters, bus = run(tmp_path, script("names") + echo, answers).output.strip().split("|")
    assert names == [
        "value of StateMachineArn",
        "value of LedgerBucket",
        "value of PackagesBucket",
        "physical-EvidenceCollectFunction",
    ]
    (queue,) = [name for name, one in made["Resources"].items() if one["Type"] == "AWS::SQS::Queue"]
    (rule,) = [one for one in made["Resources"].values() if one["Type"] == "AWS::Events::Rule"]
    assert (letters, bus) == (f"physical-{queue}", rule["Properties"]["EventBusName"])
    named = set(re.findall(r"\b(\w+(?:Arn|Bucket))\b", DOCUMENT.read_text()))
    assert set(made["Outputs"]) <= named


def test_what_failed_is_found_down_to_the_account_and_region(tmp_path: Path) -> None:
    """Of the run, then of each child of its map that failed."""
    machine, states = "arn:aws:states:eu-west-1:111122223333:stateMachine:m", "arn:aws:states:eu-west-1:111122223333"
    listed = [{"executionArn": f"{states}:execution:m/{name}", "status": "FAILED", "startDate": 1} for name in "ab"]
    answers = {
        "stepfunctions list-executions": [{"executions": listed}],
        "stepfunctions list-map-runs": [{"mapRuns": [{"mapRunArn": f"{states}:mapRun:m/x:y"}]}],
        "stepfunctions describe-execution": [{"input": "{}", "error": "InvalidShard", "cause": "it is cut off"}],
    }
    done = run(tmp_path, f"MACHINE={machine}\n{script('failures')}", answers)
    described = [call["--execution-arn"] for call in done.of("stepfunctions", "describe-execution")]
    assert described == ["arn:aws:states:…", *(one["executionArn"] for one in listed)]
    assert done.output.count("it is cut off") == 3
    assert [call.get("--status-filter") for call in done.of("stepfunctions", "list-executions")] == [None, "FAILED"]


@pytest.mark.parametrize(
    ("statuses", "days"),
    [
        (
            ["RUNNING", "SUCCEEDED", "SUCCEEDED", "RUNNING", "SUCCEEDED"],
            ["22 SUCCEEDED", "23 SUCCEEDED", "24 SUCCEEDED"],
        ),
        (["SUCCEEDED", "RUNNING", "FAILED"], ["22 SUCCEEDED", "23 FAILED"]),
    ],
)
def test_missed_days_are_run_one_after_the_other(tmp_path: Path, statuses: list[str], days: list[str]) -> None:
    """None before the one before it has a package."""
    answers = {
        "stepfunctions start-execution": [{"executionArn": "arn:aws:states:eu-west-1:111122223333:execution:m:x"}],
        "stepfunctions describe-execution": [{"status": status} for status in statuses],
    }
    done = run(tmp_path, f"MACHINE=arn:aws:states:eu-west-1:111122223333:stateMachine:m\n{script('days')}", answers)
    assert done.output.splitlines() == [f"2026-11-{day}" for day in days]
    started = [json.loads(call["--input"]) for call in done.of("stepfunctions", "start-execution")]
    assert started == [{"day": f"2026-11-{day[:2]}"} for day in days]


def test_a_shard_is_given_up_as_the_plan_has_it(tmp_path: Path) -> None:
    """All that the plan says of it, and the reason."""
    done = run(tmp_path, f"LEDGER=ledger COLLECT=collect\n{script('giving up')}", {"lambda invoke": [{}]})
    assert list(done.calls[0]) == ["s3", "cp", "s3://ledger/plans/2026-11-24/shards.json", "shards.json"]
    payload = json.loads((tmp_path / "given-up.json").read_text())
    assert (read_item(payload), payload["failure"]) == (ITEMS[0], "the account is being closed")
    (call,) = done.of("lambda", "invoke")
    assert (call["--function-name"], call["--payload"]) == ("collect", "file://given-up.json")


RECORD: dict[str, Any] = {"schema": "rolecall.evaluation/v1", "annotation": 'it says "no"\nand é'}


@pytest.mark.parametrize(
    ("failed", "deleted"),
    [([0, 0], ["1", "2"]), ([1], []), ([0, 1], ["1"])],
    ids=["all are taken", "none is taken", "the second is not"],
)
def test_dead_letters_go_back_on_the_bus(tmp_path: Path, failed: list[int], deleted: list[str]) -> None:
    """The record, whether the message is one or an event with one; what the bus does not take stays in the queue."""
    bodies = [json.dumps({"detail-type": "Rolecall Evaluation", "detail": RECORD}), json.dumps(RECORD)]
    messages = [{"Messages": [{"ReceiptHandle": str(at), "Body": body}]} for at, body in enumerate(bodies, 1)]
    answers = {
        "sqs receive-message": [*messages, {}],
        "events put-events": [{"FailedEntryCount": count, "Entries": []} for count in failed],
        "sqs delete-message": [None],
    }
    queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/letters"
    done = run(tmp_path, f"LETTERS={queue} BUS=bus\n{script('letters')}", answers)
    assert [call["--receipt-handle"] for call in done.of("sqs", "delete-message")] == deleted
    assert len(done.of("events", "put-events")) == len(failed)
    (entry,) = json.loads((tmp_path / "entries.json").read_text())
    assert json.loads(entry.pop("Detail")) == RECORD
    assert entry == {"EventBusName": "bus", "Source": "rolecall", "DetailType": "Rolecall Evaluation"}
