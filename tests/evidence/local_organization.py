"""Three accounts of an organization in a local AWS, for which everything runs in this process.

Their Configs share a clock that the test sets, the rule answers here, and its records are kept where Firehose puts
them. The evidence functions are the handlers that are deployed, with nothing but their environment.
"""

import gzip
import importlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from unittest.mock import patch

from local.aws import LocalAws
from local.config_service import ConfigService as LocalConfig
from rolecall.aws.clients import Deadline
from rolecall.aws.config_service import ConfigService
from rolecall.errors import RolecallError
from rolecall.events import Invocation
from rolecall.model import ComplianceType, Evaluation, Reason
from rolecall.responding import Responder
from tests.builders import Json, iso
from tests.evidence.living_organization import COLLECTOR, HOME, LivingOrganization
from tests.local.members import ORGANIZATION, add_member, reporter_trust
from tests.local.roles import create_role, trust_of

AUDIT = "111122223333"
OTHER = "us-east-1"
RULE = "rolecall-ec2-instance-profile"
AGGREGATOR = "rolecall"
LEDGER, PACKAGES = "rolecall-ledger", "rolecall-packages"
FUNCTION = f"arn:aws:lambda:{HOME}:{AUDIT}:function:rolecall"


class _Silent:
    """Telemetry that nobody looks at."""

    def invoked(self, invocation: Invocation) -> None:
        """Nothing."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """Nothing."""

    def problem(self, error: RolecallError) -> None:
        """It must not happen."""
        raise error

    def swept(
        self, repaired: Mapping[tuple[ComplianceType, Reason], int], *, seen: int, differences: int, completed: bool
    ) -> None:
        """Nothing."""


@dataclass
class _Ledger:
    """What came from the bus since it was last delivered."""

    records: list[Mapping[str, Any]] = field(default_factory=list)

    def publish(self, records: Sequence[Mapping[str, Any]]) -> None:
        """As the bus takes them."""
        self.records.extend(json.loads(json.dumps(record)) for record in records)


class _Context:
    """What Lambda tells a function about an invocation."""

    invoked_function_arn = FUNCTION
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Plenty."""
        return 900_000


class LocalOrganization(LivingOrganization):
    """It runs until it is closed."""

    regions = (HOME, OTHER)
    ledger, packages = LEDGER, PACKAGES

    def __init__(self, first_day: date) -> None:
        self.now = datetime.combine(first_day, time(), UTC)
        self.aws = LocalAws(AUDIT, HOME, config=LocalConfig(clock=self._milliseconds))
        self.aws.config.invoke = self._answer
        self._ledger = _Ledger()
        self._services: dict[tuple[str, str], ConfigService] = {}
        first, second, self.closed = self.found()
        self.accounts = (AUDIT, first, second)
        self._role = create_role(self.aws, AUDIT, "rolecall-evidence-collect", trust_of(AUDIT))
        for account in self.accounts:
            self.aws.sts.organizations[account] = ORGANIZATION
            for region in self.regions:
                self._member(account, region)
            if account != AUDIT:
                self.give_role(account)
            # From now on there is a credential report: who asks for the first one has to wait.
            self.aws.client("iam", account).generate_credential_report()
        self.aws.client("config").put_configuration_aggregator(
            ConfigurationAggregatorName=AGGREGATOR,
            OrganizationAggregationSource={"RoleArn": f"arn:aws:iam::{AUDIT}:role/aggregator", "AllAwsRegions": True},
        )
        s3 = self.aws.client("s3")
        for bucket in (LEDGER, PACKAGES):
            s3.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": HOME},
                ObjectLockEnabledForBucket=bucket == PACKAGES,
            )
        key = self.aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        self.signing_key = str(key["KeyMetadata"]["KeyId"])
        self.environment = self.aws.role_environment(self._role) | {
            "POWERTOOLS_SERVICE_NAME": RULE,
            "POWERTOOLS_METRICS_NAMESPACE": "Rolecall",
            "ROLECALL_LEDGER_BUCKET": LEDGER,
            "ROLECALL_PACKAGES_BUCKET": PACKAGES,
            "ROLECALL_AGGREGATOR": AGGREGATOR,
            "ROLECALL_COLLECTOR_ROLE": COLLECTOR,
            "ROLECALL_SIGNING_KEY": self.signing_key,
            "ROLECALL_LOCK_MODE": "GOVERNANCE",
            "ROLECALL_LOCK_DAYS": "365",
            "ROLECALL_REGIONS": f"{HOME},{OTHER}",
            "ROLECALL_HOME_REGION": HOME,
        }

    def close(self) -> None:
        """Stop it."""
        self.aws.close()

    def rule(self, account: str) -> str:
        """The rule's name there: each pack has a suffix of its own."""
        return f"{RULE}-conformance-pack-{account[-4:]}abcde"

    def give_role(self, account: str) -> None:
        """The account gets its collector role (back)."""
        create_role(self.aws, account, COLLECTOR, reporter_trust(self._role))

    def settle(self) -> None:
        """The rule has answered in this process already."""

    def deliver(self, day: date) -> None:
        """Firehose writes what it has into the ledger of `day`."""
        lines = "".join(f"{json.dumps(record)}\n" for record in self._ledger.records)
        self._ledger.records.clear()
        key = f"ledger/dt={day}/rolecall-1.jsonl.gz"
        self.aws.client("s3").put_object(Bucket=LEDGER, Key=key, Body=gzip.compress(lines.encode(), mtime=0))

    @contextmanager
    def functions(self) -> Iterator[dict[str, Any]]:
        """The handlers of plan, collect and seal, newly started; each answers an event.

        As in Lambda, nobody else uses what they take for /tmp.
        """
        with (
            tempfile.TemporaryDirectory() as passing,
            patch.object(tempfile, "tempdir", passing),
            patch.dict("os.environ", self.environment),
        ):
            loaded = {}
            for step in ("plan", "collect", "seal"):
                sys.modules.pop(f"rolecall.handlers.evidence_{step}", None)
                handler = importlib.import_module(f"rolecall.handlers.evidence_{step}").handler
                loaded[step] = lambda event, handler=handler: _plain(handler(_plain(event), _Context()))
            yield loaded

    def run(self, day: date) -> Json:
        """Plan, collect each shard and seal, as the state machine does; what seal answers."""
        with self.functions() as functions:
            scheduled = datetime.combine(day + timedelta(days=1), time(1), UTC)
            planned = functions["plan"]({"scheduledTime": iso(scheduled)})
            for item in self.items(planned):
                functions["collect"](item)
            answer: Json = functions["seal"](planned)
            return answer

    def items(self, planned: Json) -> list[Json]:
        """The shard items that the state machine reads."""
        where = planned["shards"]
        listed = self.aws.client("s3").get_object(Bucket=where["bucket"], Key=where["key"])["Body"].read()
        items: list[Json] = json.loads(listed)
        return items

    def _milliseconds(self) -> int:
        return round(self.now.timestamp() * 1000)

    def _member(self, account: str, region: str) -> None:
        config = self.config(account, region)
        config.start_recording()
        rule = self.rule(account)
        if region == self.aws.region:
            add_member(self.aws, account, FUNCTION, rule)
        else:
            [definition] = self.aws.client("config", account).describe_config_rules()["ConfigRules"]
            source = definition["Source"]
            config.put_config_rule({"ConfigRule": {"ConfigRuleName": rule, "Source": source}})

    def _answer(self, function_arn: str, event: object) -> None:  # noqa: ARG002 - there is one function
        given: Any = event
        _, _, _, region, account, *_ = given["configRuleArn"].split(":")
        place = account, region
        if place not in self._services:
            self._services[place] = ConfigService(self.aws.client("config", account, region), Deadline())
        service = self._services[place]
        Responder(lambda _: service, self._ledger, _Silent(), lambda: self.now).respond(given)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """As JSON carries it."""
    return json.loads(json.dumps(value))


@contextmanager
def sealed_since(first: date) -> Iterator[LocalOrganization]:
    """An organization whose first day is sealed."""
    organization = LocalOrganization(first)
    try:
        organization.run(first)
        yield organization
    finally:
        organization.close()
