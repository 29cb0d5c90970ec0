"""An account in the local AWS with the rule, its results, its findings, and the way from the bus to Security Hub."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from typer.testing import CliRunner, Result

from local.aws import LocalAws
from local.config_region import ConfigRegion
from rolecall.aws.clients import Deadline
from rolecall.aws.evaluations_bus import EvaluationsBus
from rolecall.aws.findings_table import FindingsTable
from rolecall.aws.security_hub import SecurityHub
from rolecall.cli import app
from rolecall.errors import HubNotEnabled, RolecallError
from rolecall.findings.claims import Claim, Message
from rolecall.findings.importing import Importer
from rolecall.findings.lifecycle import FindingRow
from rolecall.findings.settings import read_settings
from rolecall.items import configuration_item
from rolecall.model import Evaluation, Reason
from rolecall.parameters import RuleParameters
from rolecall.received_record import EvaluationRecord
from rolecall.rule import evaluate
from tests.builders import RULE_NAME, Json, deleted_item, exemption_tags, iso, notification_item
from tests.findings.shown_findings import SHAPES, record_of

BUS = "rolecall-evaluations"
TABLE = "findings"
FUNCTION = "arn:aws:lambda:eu-west-1:{}:function:rolecall"
MESSAGE_TYPES = ("ConfigurationItemChangeNotification", "ScheduledNotification")

_SHAPES = {**SHAPES, Reason.EXEMPT: {"profile": None, "tags": exemption_tags("appliance")}}
"""Today's date is the command's own: an exemption must not end."""

_numbers = itertools.count(200_000_000_000)
_SECOND = timedelta(seconds=1)


class Silent:
    """The findings function's telemetry and dead letters: nothing may come here."""

    def imported(self, record: EvaluationRecord, row: FindingRow) -> None:
        """Fine."""

    def superseded(self, messages: int) -> None:
        """Not here: everything that is published mends something."""
        raise AssertionError(f"{messages} record(s) were superseded")

    def not_enabled(self, error: HubNotEnabled, messages: int) -> None:
        """Not here."""
        raise AssertionError(f"{messages} record(s): {error}")

    def retried(self, message: Message, claim: Claim | None, error: RolecallError) -> None:
        """Not here."""
        raise AssertionError(f"{message}, {claim}: {error}")

    gave_up = retried

    def send(self, message: Message, error: RolecallError) -> None:
        """Not here."""
        raise AssertionError(f"{message}: {error}")


def new_account() -> str:
    """The id of an account that no test has used yet."""
    return str(next(_numbers))


@dataclass
class Member:
    """One account in one region, with a recorder, a copy of the rule and Security Hub."""

    aws: LocalAws
    account: str
    region: str
    rule_name: str = RULE_NAME
    parameters: RuleParameters = field(default_factory=RuleParameters)

    def __post_init__(self) -> None:
        """Set it up."""
        self.config: ConfigRegion = self.aws.config.region(self.account, self.region)
        self.config.start_recording()
        details = [{"EventSource": "aws.config", "MessageType": one} for one in MESSAGE_TYPES]
        source = {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": FUNCTION.format(self.account), "SourceDetails": details}
        rule: Json = {"ConfigRuleName": self.rule_name, "Source": source}
        given = {name: value for name, value in self.parameters.to_strings().items() if value}
        self.config.put_config_rule({"ConfigRule": {**rule, "InputParameters": json.dumps(given)}})
        self.aws.security_hub.enable(self.account, self.region)
        self.captured = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)

    def instance(self, resource_id: str, reason: Reason, *, after: int = 0) -> Evaluation:
        """An item of an instance enters AWS Config's inventory, a day ago and some seconds; nothing else happens."""
        identity: dict[str, Any] = {
            "resourceId": resource_id,
            "awsAccountId": self.account,
            "awsRegion": self.region,
            "ARN": f"arn:aws:ec2:{self.region}:{self.account}:instance/{resource_id}",
            "configurationItemCaptureTime": iso(self.captured + after * _SECOND),
        }
        item = (
            deleted_item(**identity) if reason is Reason.DELETED else notification_item(**_SHAPES[reason], **identity)
        )
        self.config.load([item])
        return evaluate(configuration_item(item), self.parameters, datetime.now(UTC))

    def record(self, *evaluations: Evaluation) -> None:
        """AWS Config records results."""
        token = self.config.scheduled_event_for(self.rule_name)["resultToken"]
        self.config.put_evaluations(
            {
                "ResultToken": token,
                "Evaluations": [
                    {
                        "ComplianceResourceType": one.item.resource_type,
                        "ComplianceResourceId": one.item.resource_id,
                        "ComplianceType": one.compliance_type.value,
                        "Annotation": one.annotation,
                        "OrderingTimestamp": one.ordering_timestamp.timestamp(),
                    }
                    for one in evaluations
                ],
            }
        )

    def findings(self) -> dict[str, tuple[str, str, str]]:
        """RecordState, status and reason of each finding, by resource id."""
        return {
            one["Id"].rpartition("/")[2]: (
                one["RecordState"],
                one["Compliance"]["Status"],
                one["Compliance"]["StatusReasons"][0]["ReasonCode"],
            )
            for one in self.aws.security_hub.findings(self.account, self.region)
        }


class World:
    """An account of its own for each test, which runs the command and the findings function."""

    def __init__(self, aws: LocalAws, *, rule_name: str = RULE_NAME) -> None:
        self.aws = aws
        self.account = new_account()
        self.home = self.member(rule_name=rule_name)
        self._session = boto3.Session(
            aws_access_key_id=self.account,
            aws_secret_access_key="local",  # noqa: S106 - verified by nobody
            region_name=aws.region,
        )
        self._set_up()
        self.importer = Importer(
            hub_of=self._hub_of,
            table=FindingsTable(aws.client("dynamodb", self.account), TABLE, Deadline()),
            dead_letters=Silent(),
            telemetry=Silent(),
            settings=read_settings({}),
            now=lambda: datetime.now(UTC),
            max_receives=5,
        )

    def member(self, account: str | None = None, region: str | None = None, rule_name: str = RULE_NAME) -> Member:
        """Another account or region."""
        return Member(self.aws, account or self.account, region or self.aws.region, rule_name)

    def _set_up(self) -> None:
        sqs, events = self.aws.client("sqs", self.account), self.aws.client("events", self.account)
        self.queue = sqs.create_queue(QueueName="findings")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.bus_arn = events.create_event_bus(Name=BUS)["EventBusArn"]
        pattern = {"source": [EvaluationsBus.SOURCE], "detail-type": [EvaluationsBus.DETAIL_TYPE]}
        events.put_rule(Name="findings", EventBusName=BUS, EventPattern=json.dumps(pattern))
        events.put_targets(Rule="findings", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
        self.aws.client("dynamodb", self.account).create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "finding_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "finding_id", "KeyType": "HASH"}],
        )
        self._sqs = sqs

    def _hub_of(self, account: str, region: str) -> SecurityHub:
        return SecurityHub(self.aws.client("securityhub", account, region), Deadline(), account, region)

    def show(self, *evaluations: Evaluation) -> None:
        """The findings function gets their records, and imports findings."""
        bodies = [json.dumps({"detail": dict(record_of(one).raw)}) for one in evaluations]
        self._import(bodies)

    def received(self) -> list[Json]:
        """The records that were published since the last time."""
        bodies: list[Json] = []
        while messages := self._sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [body["detail"] for body in bodies]

    def deliver(self) -> int:
        """The findings function gets what was published; how many records that were."""
        records = self.received()
        self._import([json.dumps({"detail": record}) for record in records])
        return len(records)

    def _import(self, bodies: Sequence[str]) -> None:
        messages = [Message(str(number), body, 1, moved_back=False) for number, body in enumerate(bodies)]
        assert self.importer.import_batch(messages) == {}

    def reconcile(self, *arguments: str, **changes: str) -> Result:
        """`rolecall findings reconcile` with the account's credentials."""
        environment: Mapping[str, Any] = self.aws.environment(self.account) | changes
        command = ["findings", "reconcile", "--rule-name", RULE_NAME, *arguments]
        result = CliRunner().invoke(app, command, env=environment)
        assert "Traceback" not in result.output
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def rows(self, *arguments: str) -> tuple[int, list[tuple[str | None, ...]]]:
        """Exit code; difference, resource id, what Config recorded, what is shown, outcome and why of each row."""
        result = self.reconcile("--format", "json", *arguments)
        return result.exit_code, sorted(
            (
                one["difference"],
                one["resource_id"],
                one["recorded"],
                one["shown_reason"],
                one["outcome"],
                one["why"],
            )
            for one in json.loads(result.stdout)
        )
