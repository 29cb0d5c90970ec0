"""A strict Security Hub whose hub is enabled, real clients for it, and a clock that only moves when it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

from local.http_server import HttpServer
from local.security_hub import SecurityHubService
from local.security_hub_region import Behaviour
from tests.builders import ACCOUNT, INSTANCE_ARN, NOW, REGION, Json, changed, iso
from tests.local.config_harness import Clock

PRODUCT_ARN = f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"
FINDING_ID = "rolecall/ec2-instance-profile/1"

_SESSION = boto3.Session()


class Hub:
    """The service, where it listens, and clients of any account and region."""

    def __init__(self, service: SecurityHubService, url: str, clock: Clock) -> None:
        self.service = service
        self.url = url
        self.clock = clock
        self._clients: dict[tuple[object, ...], Any] = {}

    def client(self, account: str = ACCOUNT, region: str = REGION, *, attempts: int = 1, validate: bool = True) -> Any:  # noqa: ANN401 - boto3 makes it
        """A real client; without `validate` it sends whatever it is given."""
        key = (account, region, attempts, validate)
        if key not in self._clients:
            self._clients[key] = _SESSION.client(
                "securityhub",
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="local",  # noqa: S106 - signatures are not verified
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": attempts}, parameter_validation=validate
                ),
            )
        return self._clients[key]

    def put(self, *findings: Json, account: str = ACCOUNT, region: str = REGION) -> Json:
        """BatchImportFindings, without what boto3 adds; what a client would refuse is sent, too."""
        answer: Json = self.client(account, region, validate=False).batch_import_findings(Findings=findings)
        del answer["ResponseMetadata"]
        return answer

    def failure(self, finding: Json) -> tuple[str, str]:
        """Code and message of the failure of the one finding that is put."""
        answer = self.put(finding)
        assert (answer["SuccessCount"], answer["FailedCount"]) == (0, 1)
        [failed] = answer["FailedFindings"]
        return failed["ErrorCode"], failed["ErrorMessage"]

    @property
    def stored(self) -> Json:
        """The one finding that is there."""
        [found] = self.service.findings(ACCOUNT, REGION)
        return found

    def close(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            client.close()


@contextmanager
def running_hub(**behaviour: bool) -> Iterator[Hub]:
    """A service whose hub is enabled in the tests' own account and region."""
    clock = Clock()
    service = SecurityHubService(clock=clock, behaviour=Behaviour(**behaviour))
    service.enable(ACCOUNT, REGION)
    with HttpServer(service.respond) as server:
        hub = Hub(service, server.url, clock)
        try:
            yield hub
        finally:
            hub.close()


def finding(updated_at: datetime = NOW, **changes: object) -> Json:
    """The least that Security Hub takes."""
    base: Json = {
        "SchemaVersion": "2018-10-08",
        "Id": FINDING_ID,
        "ProductArn": PRODUCT_ARN,
        "GeneratorId": "rolecall/ec2-instance-profile",
        "AwsAccountId": ACCOUNT,
        "CreatedAt": iso(NOW),
        "UpdatedAt": iso(updated_at),
        "Title": "EC2 instance without an instance profile",
        "Description": "Attach one.",
        "Resources": [{"Type": "AwsEc2Instance", "Id": INSTANCE_ARN}],
        "Compliance": {"Status": "FAILED"},
        "FindingProviderFields": {
            "Severity": {"Label": "HIGH"},
            "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        },
    }
    return changed(base, changes)


def later(hours: int = 1) -> datetime:
    """After the tests' day."""
    return NOW + timedelta(hours=hours)
