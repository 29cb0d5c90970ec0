import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mypy_boto3_sqs import SQSClient
from typer.testing import CliRunner, Result

from local.aws import DEFAULT_ACCOUNT, LocalAws
from local.config_settings import Invoke
from local.faults import FaultKind
from rolecall.aws.dead_letters import region_of_queue
from rolecall.cli import app
from tests.builders import (
    INSTANCE_ID,
    REGION,
    RESULT_TOKEN,
    RULE_NAME,
    Json,
    change_event,
    oversized_event,
    scheduled_event,
)

FUNCTION = "rolecall"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT}:function:{FUNCTION}"
DENIED = "role rolecall-reporter of account 111122223333 cannot be assumed"
INVALID = "PutEvaluations failed: InvalidResultTokenException: Result Token provided is invalid"


class Queue:
    """A dead-letter queue, and what its function was invoked with since."""

    def __init__(self, aws: LocalAws, sqs: SQSClient) -> None:
        self.aws = aws
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        self.invoked: list[Json] = []
        self.ids: list[str] = []
        """SQS's names of the messages, in the order in which they were added."""

    def invoke(self, _function_arn: str, event: Json) -> None:
        """What Lambda does with an event that it accepted."""
        self.invoked.append(event)

    def add(self, event: object, error: str = DENIED) -> None:
        """Give an event up, as Lambda does."""
        sent = self.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=event if isinstance(event, str) else json.dumps(event),
            MessageAttributes={
                "RequestID": {"DataType": "String", "StringValue": "request-1"},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": error},
            },
        )
        self.ids.append(sent["MessageId"])

    @property
    def left(self) -> tuple[int, int]:
        """Messages that anybody can receive, and those that are hidden."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    def redrive(self, *arguments: str, **changes: str) -> Result:
        """`rolecall redrive` of this queue."""
        return run(self.aws, "--queue", self.url, "--function", FUNCTION, *arguments, **changes)


def run(aws: LocalAws, *arguments: str, **changes: str) -> Result:
    """`rolecall redrive` with the account's credentials; whatever it prints, it is no token."""
    result = CliRunner().invoke(app, ["redrive", *arguments], env=aws.environment() | changes)
    assert RESULT_TOKEN[:20] not in result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """An account."""
    with LocalAws() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rolecall.aws.dead_letters.POLL_SECONDS", 0)  # moto has one server, which knows all at once


@pytest.fixture(scope="module")
def sqs(aws: LocalAws) -> SQSClient:
    """One client for all tests."""
    client: SQSClient = aws.client("sqs")
    return client


@pytest.fixture
def queue(aws: LocalAws, sqs: SQSClient) -> Iterator[Queue]:
    """An empty dead-letter queue and a function that is there."""
    made = Queue(aws, sqs)
    invoke: Invoke = made.invoke
    aws.functions.functions[FUNCTION_ARN] = invoke
    yield made
    aws.functions.functions.clear()
    aws.functions.faults.clear()
    aws.functions.journal.clear()
    sqs.delete_queue(QueueUrl=made.url)


def words(text: str) -> str:
    """What a panel says, without its frame."""
    return " ".join(text.replace("│", " ").split())


def test_each_dead_letter_is_handed_back_and_deleted(queue: Queue) -> None:
    """The very event, asynchronously; more than one receive brings."""
    events = [change_event(configRuleName=f"rule-{number}") for number in range(12)]
    for event in events:
        queue.add(event)
    result = queue.redrive()
    assert sorted(queue.invoked, key=lambda event: str(event["configRuleName"])) == sorted(
        events, key=lambda event: str(event["configRuleName"])
    )
    assert {call.input["InvocationType"] for call in queue.aws.functions.journal.calls()} == {"Event"}
    assert (result.exit_code, queue.left) == (0, (0, 0))
    assert result.stdout.endswith("\n\n12 dead letters handed back to rolecall.\n")


def test_a_dry_run_tells_and_changes_nothing(queue: Queue) -> None:
    """Which rule, account, region and resource, what went wrong, how old; and nothing stays hidden."""
    queue.add(change_event())
    result = queue.redrive("--dry-run")
    header, row, *others = result.stdout.splitlines()
    assert header.split() == ["Outcome", "Age", "Account", "Region", "Resource", "Rule", "Error"]
    assert row == f"replay    0 min   111122223333  eu-west-1       {INSTANCE_ID}  {RULE_NAME:<30}  {DENIED}"
    assert others == ["", "1 dead letter would be handed back to rolecall."]
    assert (result.exit_code, queue.invoked, queue.left) == (0, [], (1, 0))


ROWS: list[tuple[str, Json, Json]] = [
    ("a change", change_event(), {}),
    ("an oversized item", oversized_event(), {"message_type": "OversizedConfigurationItemChangeNotification"}),
    ("a sweep has no resource, and its region is the rule's", scheduled_event(),
     {"message_type": "ScheduledNotification", "resource": None}),
    ("an event that cannot be read is listed as far as it can", {"configRuleName": 7, "invokingEvent": "{"},
     dict.fromkeys(("message_type", "rule", "account", "region", "resource"))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "event", "changes"), ROWS, ids=[row[0] for row in ROWS])
def test_what_json_says_of_a_dead_letter(queue: Queue, what: str, event: Json, changes: Json) -> None:
    """All that an operator needs, under names that stay; the summary does not get into it."""
    queue.add(event)
    result = queue.redrive("--format", "json")
    [row] = json.loads(result.stdout)
    assert row.pop("age_seconds") in range(60)
    assert row.pop("message_id") == queue.ids[0]
    assert (
        row
        == {
            "outcome": "replayed",
            "request_id": "request-1",
            "message_type": "ConfigurationItemChangeNotification",
            "rule": RULE_NAME,
            "account": "111122223333",
            "region": REGION,
            "resource": INSTANCE_ID,
            "error": DENIED,
            "kept_because": None,
        }
        | changes
    ), what
    assert result.stderr == "1 dead letter handed back to rolecall.\n"


def test_an_invalid_result_token_is_kept_for_the_sweep(queue: Queue) -> None:
    """A replay would fail again; the others are handed back, and the exit code tells."""
    queue.add(change_event(), error=INVALID)
    queue.add(scheduled_event())
    result = queue.redrive()
    assert [event["configRuleName"] for event in queue.invoked] == [scheduled_event()["configRuleName"]]
    assert result.stdout.endswith("\n\n1 dead letter handed back to rolecall, 1 kept.\n")
    assert result.stderr == (
        f"note: kept {queue.ids[0]}: AWS Config does not take the result token any more, "
        "and a replay would fail in the same way; the "
        "next sweep of the rule repairs this. Purge the queue after that\n"
    )
    assert (result.exit_code, queue.left) == (1, (1, 0))


def test_what_is_no_event_is_kept(queue: Queue) -> None:
    """Somebody else put it there."""
    queue.add("hello", error="")
    result = queue.redrive()
    assert (
        f"note: kept {queue.ids[0]}: what is no JSON object cannot be an event of AWS Config; delete it\n"
        in result.stderr
    )
    assert (result.exit_code, queue.invoked, queue.left) == (1, [], (1, 0))


def test_a_token_in_an_error_is_not_shown(queue: Queue) -> None:
    """Whole, or cut by Lambda: nobody else's error message gives it away (`run` looks at every output)."""
    queue.add(change_event(), error=f"refused {RESULT_TOKEN}, sorry")
    queue.add(change_event(), error=f"refused {RESULT_TOKEN[:-4]}")
    result = queue.redrive("-f", "json")
    assert sorted(row["error"] for row in json.loads(result.stdout)) == [
        "refused [result token]",
        "refused [result token] sorry",
    ]


def test_no_more_than_the_limit(queue: Queue) -> None:
    """One to try with; the others stay where they were, for all to see."""
    for _ in range(5):
        queue.add(change_event())
    result = queue.redrive("--limit", "1")
    assert (result.exit_code, len(queue.invoked), queue.left) == (0, 1, (4, 0))


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_what_is_kept_does_not_count_against_the_limit(queue: Queue, dry_run: tuple[str, ...]) -> None:
    """One is to be handed back, however many before it are not; the first kept ones are named."""
    for _ in range(7):
        queue.add(change_event(), error=INVALID)
    queue.add(scheduled_event())
    queue.add(scheduled_event())
    result = queue.redrive("--limit", "1", *dry_run)
    kept = result.stderr.partition(":")[2].split(":")[0]
    assert len(queue.invoked) == (0 if dry_run else 1)
    assert sum(name in kept for name in queue.ids[:7]) == 5
    assert " and 2 more (--format json names all)" in kept
    assert "1 dead letter" in result.stdout
    assert (result.exit_code, queue.left[1]) == (1, 0)


def test_an_empty_queue_is_good_news(queue: Queue) -> None:
    """And no table."""
    result = queue.redrive()
    assert (result.exit_code, result.stdout) == (0, "0 dead letters handed back to rolecall.\n")
    assert json.loads(queue.redrive("-f", "json", "--quiet").stdout) == []


def test_quiet_says_nothing_but_the_listing(queue: Queue) -> None:
    """Nor the advice."""
    queue.add(change_event(), error=INVALID)
    result = queue.redrive("--quiet", "--format", "json")
    assert (result.exit_code, result.stderr, len(json.loads(result.stdout))) == (1, "", 1)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("throttled for good", {"kind": FaultKind.THROTTLE, "times": None}, "Invoke failed: TooManyRequestsException"),
    ("an answer that is not Lambda's", {"kind": FaultKind.GARBLE}, "Invoke failed: NotAccepted: Lambda answered 200"),
]


@pytest.mark.parametrize(("what", "fault", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_message_is_deleted_only_when_lambda_has_accepted_its_event(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, what: str, fault: dict[str, Any], message: str
) -> None:
    """Otherwise it is there again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    queue.add(change_event())
    queue.aws.functions.faults.inject(**fault)
    result = queue.redrive()
    assert message in result.stderr, what
    assert (result.exit_code, queue.invoked, queue.left) == (2, [], (1, 0)), what


def test_throttling_that_passes_costs_time_alone(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    queue.add(change_event())
    queue.aws.functions.faults.inject(FaultKind.THROTTLE, times=3)
    assert (queue.redrive().exit_code, len(queue.invoked), queue.left) == (0, 1, (0, 0))


def test_what_was_handed_back_before_a_failure_is_listed(queue: Queue) -> None:
    """The function goes away in the midst of it."""
    queue.add(change_event())
    queue.add(change_event())

    def last(_function_arn: str, _event: Json) -> None:
        queue.aws.functions.functions.clear()

    queue.aws.functions.functions[FUNCTION_ARN] = last
    result = queue.redrive()
    assert "1 dead letter handed back to rolecall.\n" in result.stdout
    assert f"Invoke failed: ResourceNotFoundException: Function not found: {FUNCTION_ARN}" in result.stderr
    assert (result.exit_code, queue.left) == (2, (1, 0))


def stack(aws: LocalAws, name: str, outputs: dict[str, str]) -> None:
    """A deployed stack that says this."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_a_stack_names_queue_and_function(aws: LocalAws, queue: Queue) -> None:
    """Nothing else has to be looked up."""
    stack(aws, "Rolecall", {"FunctionName": FUNCTION, "DeadLetterQueueUrl": queue.url, "RuleName": RULE_NAME})
    queue.add(change_event())
    result = run(aws, "--stack", "Rolecall")
    assert (result.exit_code, queue.invoked, queue.left) == (0, [change_event()], (0, 0))


UNUSABLE = [
    ("neither", (), "give --stack, or --queue with --function"),
    ("a queue by its name", ("--queue", "foo", "--function", "f"),
     "--queue: queue is 'foo'; allowed: a URL, as https://sqs.eu-west-1.amazonaws.com/111122223333/dead"),
    ("an endpoint that is no URL", ("--stack", "Rolecall"), "error: CreateClient failed: InvalidSetting: Invalid endp"),
    ("both", ("--stack", "Rolecall", "--queue", "https://sqs", "--function", "f"), "give either --stack or --queue"),
    ("a queue without its function", ("--queue", "https://sqs"), "--function: belongs to --queue"),
    ("a function without a queue", ("--stack", "Rolecall", "--function", "f"), "--function: belongs to --queue"),
    ("a region that is none", ("--stack", "Rolecall", "--region", "eu west"), "region is 'eu west'; allowed: as eu-"),
    ("no number", ("--stack", "Rolecall", "--limit", "0"), "should be greater than or equal to 1"),
    ("no such stack", ("--stack", "Other"), "error: DescribeStacks failed: ValidationError: Stack with id Other"),
    ("a stack of something else", ("--stack", "Else"),
     "stack Else has no output DeadLetterQueueUrl, FunctionName: it is not the stack of a rule"),
    ("no such profile", ("--stack", "Rolecall", "--profile", "audit"), "The config profile (audit) could not be found"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "arguments", "message"), UNUSABLE, ids=[case[0] for case in UNUSABLE])
def test_what_cannot_be_redriven_is_a_clear_error(
    aws: LocalAws, what: str, arguments: tuple[str, ...], message: str
) -> None:
    """One message, and nothing that looks like a result."""
    if what == "a stack of something else":
        stack(aws, "Else", {})
    changes = {"AWS_ENDPOINT_URL": "nonsense"} if what == "an endpoint that is no URL" else {}
    result = run(aws, *arguments, **changes)
    assert message in words(result.stderr), what
    assert (result.exit_code, result.stdout) == (2, ""), what


def test_a_queue_that_does_not_exist_is_an_error(queue: Queue) -> None:
    """Not an empty one."""
    result = run(queue.aws, "--queue", f"{queue.url}-other", "--function", FUNCTION)
    assert "GetQueueAttributes failed: AWS.SimpleQueueService.NonExistentQueue" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.ap-southeast-2.amazonaws.com/111122223333/dead", "ap-southeast-2"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead", "cn-north-1"),
        ("https://us-west-2.queue.amazonaws.com/111122223333/dead", "us-west-2"),
        ("http://127.0.0.1:4566/111122223333/dead", None),
    ],
)
def test_the_region_is_that_of_the_queue(url: str, region: str | None) -> None:
    """Whatever the profile names."""
    assert region_of_queue(url) == region


def test_a_region_has_to_be_known(queue: Queue) -> None:
    """From the URL, the option or the profile."""
    result = queue.redrive(AWS_REGION="", AWS_DEFAULT_REGION="")
    assert "--region: name one: the profile has none" in words(result.stderr)
    assert result.exit_code == 2
