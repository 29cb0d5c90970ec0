"""A strict AWS Config with a rule in it, real clients for it, and a clock that only moves when it is told to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.config_region import ConfigRegion
from local.config_service import ConfigService
from local.http_server import HttpServer
from local.timestamps import epoch_ms
from tests.builders import ACCOUNT, CAPTURED, INSTANCE_ID, NOW, REGION, RULE_NAME, Json, changed, iso

FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rolecall"
INSTANCE = "AWS::EC2::Instance"
MESSAGE_TYPES = (
    "ConfigurationItemChangeNotification",
    "OversizedConfigurationItemChangeNotification",
    "ScheduledNotification",
)

_SESSION = boto3.Session()


class Clock:
    """Shows the tests' day until `forward`."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        return epoch_ms(self.now)

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


class Harness:
    """The service, where it listens, and every event that it sent to a function."""

    def __init__(self, service: ConfigService, url: str, clock: Clock, invocations: list[tuple[str, Json]]) -> None:
        self.service = service
        self.url = url
        self.clock = clock
        self.invocations = invocations
        self._clients: dict[tuple[object, ...], Any] = {}

    @property
    def region(self) -> ConfigRegion:
        """The tests' own account and region."""
        return self.service.region(ACCOUNT, REGION)

    def client(
        self,
        account: str = ACCOUNT,
        region: str = REGION,
        *,
        attempts: int = 1,
        token: str | None = None,
        validate: bool = True,
    ) -> Any:  # noqa: ANN401 - boto3 makes it
        """A real client; without `validate` it sends whatever it is given."""
        key = (account, region, attempts, token, validate)
        if key not in self._clients:
            self._clients[key] = _SESSION.client(
                "config",
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="local",  # noqa: S106 - signatures are not verified
                aws_session_token=token,
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": attempts}, parameter_validation=validate
                ),
            )
        return self._clients[key]

    def close(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            client.close()

    def put_rule(self, account: str = ACCOUNT, region: str = REGION, **changes: object) -> None:
        """The tests' rule, with changes to its definition."""
        self.client(account, region).put_config_rule(ConfigRule=rule(**changes))

    def token(self, rule_name: str = RULE_NAME, account: str = ACCOUNT, region: str = REGION) -> str:
        """The result token of a new invocation of the rule."""
        return str(self.service.region(account, region).scheduled_event_for(rule_name)["resultToken"])

    def put(self, *evaluations: Json, token: str | None = None) -> Json:
        """PutEvaluations with a token of the tests' rule."""
        answer: Json = self.client().put_evaluations(Evaluations=evaluations, ResultToken=token or self.token())
        return answer

    def details(self, **request: object) -> Json:
        """GetComplianceDetailsByConfigRule, without what every answer carries."""
        return answer_of(self.client().get_compliance_details_by_config_rule, ConfigRuleName=RULE_NAME, **request)

    def verdicts(self) -> dict[str, str]:
        """ComplianceType by resource id, as recorded."""
        return {
            one["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]: one["ComplianceType"]
            for one in self.details(Limit=100)["EvaluationResults"]
        }


@contextmanager
def running_config(**settings: Any) -> Iterator[Harness]:  # noqa: ANN401 - any setting of ConfigService
    """A service with a recorder that records and the tests' rule."""
    clock, invocations = Clock(), list[tuple[str, Json]]()
    service = ConfigService(lambda arn, event: invocations.append((arn, event)), clock=clock, **settings)
    with HttpServer(service.respond) as server:
        harness = Harness(service, server.url, clock, invocations)
        harness.region.start_recording()
        harness.put_rule()
        try:
            yield harness
        finally:
            harness.close()


def rule(**changes: object) -> Json:
    """The definition of the tests' rule as PutConfigRule takes it."""
    base: Json = {
        "ConfigRuleName": RULE_NAME,
        "Scope": {"ComplianceResourceTypes": [INSTANCE]},
        "Source": source(),
    }
    return changed(base, changes)


def source(*message_types: str, **changes: object) -> Json:
    """The Source of a rule; with no message type it subscribes to all three."""
    details = [{"EventSource": "aws.config", "MessageType": one} for one in message_types or MESSAGE_TYPES]
    base: Json = {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": FUNCTION_ARN, "SourceDetails": details}
    return changed(base, changes)


def evaluation(**changes: object) -> Json:
    """What rolecall puts for the tests' instance."""
    base: Json = {
        "ComplianceResourceType": INSTANCE,
        "ComplianceResourceId": INSTANCE_ID,
        "ComplianceType": "NON_COMPLIANT",
        "Annotation": "NO_PROFILE: attach an instance profile.",
        "OrderingTimestamp": CAPTURED,
    }
    return changed(base, changes)


def instance_id(number: int) -> str:
    """The id of the tests' instance with this number."""
    return f"i-{number:017x}"


def moments(count: int, start: datetime = CAPTURED, step: timedelta = timedelta(hours=1)) -> list[str]:
    """Capture times, one after the other."""
    return [iso(start + number * step) for number in range(count)]


def answer_of(operation: Callable[..., Json], **request: object) -> Json:
    """What an operation answers, without what boto3 adds."""
    return {name: value for name, value in operation(**request).items() if name != "ResponseMetadata"}


def refusal(operation: Callable[..., Json], **request: object) -> tuple[str, str]:
    """Code and message with which AWS refuses a call."""
    with pytest.raises(ClientError) as refused:
        operation(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]
