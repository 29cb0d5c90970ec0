"""Reading a live account for the command line: its regions, what AWS Config recorded, what EC2 describes.

Nothing here writes, and the function does not import it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from rolecall import __version__
from rolecall.aws.clients import (
    HTTP_CLIENT_ERROR,
    HTTP_SERVER_ERROR,
    Deadline,
    calling,
    client,
    refuse_what_is_no_answer,
)
from rolecall.aws.config_service import ConfigService
from rolecall.errors import AwsError, InvalidItem, ServiceError
from rolecall.items import configuration_item, described_instance
from rolecall.model import INSTANCE_TYPE, ConfigurationItem
from rolecall.recording import records_instances

INSTANCES_PER_PAGE = 1000
"""The most that DescribeInstances gives at once."""

_ANY_REGION = "us-east-1"
"""Lists the regions of the `aws` partition; for the others, the profile has to name a region of theirs."""


class NotRecording(AwsError):
    """AWS Config does not record instances in a region, so its silence about one means nothing."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"{why}, so AWS Config cannot say which instances there are; --source ec2 asks EC2 itself")


class NoAnswerOfAws(ServiceError):
    """Something else than AWS refused a call: a proxy, a portal, or whatever is at the endpoint."""

    def __init__(self, operation: str, status: int) -> None:
        super().__init__(operation, f"HTTP {status}", "no answer of AWS")
        self.args = (f"{operation} failed: HTTP {status}, no answer of AWS",)


@contextmanager
def making_client() -> Iterator[None]:
    """Turn what keeps a client from being made into ServiceError."""
    try:
        with calling("CreateClient"):
            yield
    except ValueError as error:  # botocore, of an endpoint that is no URL
        raise ServiceError("CreateClient", "InvalidSetting", str(error)) from error


def refuse_foreign_errors(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's own
    """Raise NoAnswerOfAws for a client error that no AWS service wrote; a handler of botocore's `before-parse`.

    A server's error is left to botocore, which tries again.
    """
    status = response_dict["status_code"]
    if not HTTP_CLIENT_ERROR <= status < HTTP_SERVER_ERROR:
        return
    body = response_dict["body"].strip()
    if body and not (
        body.startswith(b"{") if "json" in operation_model.service_model.resolved_protocol else b"<Error" in body
    ):
        raise NoAnswerOfAws(operation_model.name, status)


def told_from_strangers(made: Any) -> Any:  # noqa: ANN401 - made by boto3
    """The client, whose errors are AWS's own from now on."""
    made.meta.events.register(f"before-parse.{made.meta.service_model.service_id.hyphenize()}", refuse_foreign_errors)
    return made


class LiveAccount:
    """The account that some credentials belong to. Every method raises ServiceError.

    One session serves all regions, so that credentials are looked for (and an MFA code is asked for) once.
    """

    def __init__(self, profile: str | None) -> None:
        """`profile`: of the AWS configuration file; None means what the environment says."""
        with calling("Reading the AWS profile"):
            self._core = botocore.session.Session(profile=profile)
            self.default_region: str | None = self._core.get_config_variable("region")
            """What the environment or the profile names."""
        with calling("Finding AWS credentials"):
            if self._core.get_credentials() is None:
                raise ServiceError(
                    "Finding AWS credentials", "NoCredentials", "there are none in the environment or the profile"
                )

    def enabled_regions(self) -> list[str]:
        """The regions that are enabled for the account, sorted."""
        with closing(self._ec2(self.default_region or _ANY_REGION)) as ec2, calling("DescribeRegions"):
            answer = ec2.describe_regions()
        return sorted(region["RegionName"] for region in answer["Regions"])

    def recorded(self, region: str) -> Iterator[ConfigurationItem | InvalidItem]:
        """Every instance that AWS Config recorded, or why its row cannot be read. Raises NotRecording, too."""
        with self._client("config", region) as config:
            check_recorder(config)
            for row in ConfigService(config, Deadline()).instance_rows():
                yield _read(configuration_item, row)

    def described(self, region: str) -> Iterator[ConfigurationItem | InvalidItem]:
        """Every instance as EC2 describes it at this moment, or why its description cannot be read."""
        with closing(self._ec2(region)) as ec2:
            listing = ec2.get_paginator("describe_instances")
            pages = iter(listing.paginate(PaginationConfig={"PageSize": INSTANCES_PER_PAGE}))
            while True:
                with calling("DescribeInstances"):
                    page = next(pages, None)
                if page is None:
                    return
                seen = datetime.now(UTC)
                for reservation in page["Reservations"]:
                    for description in reservation["Instances"]:
                        yield _read(described_instance, description, reservation["OwnerId"], region, seen)

    def stack_outputs(self, stack: str, region: str) -> dict[str, str]:
        """What a stack says of itself: output values by key."""
        with self._client("cloudformation", region) as made, calling("DescribeStacks"):
            answer = made.describe_stacks(StackName=stack)
        return {output["OutputKey"]: output["OutputValue"] for output in answer["Stacks"][0].get("Outputs", ())}

    @contextmanager
    def _client(self, service: str, region: str) -> Iterator[Any]:
        with making_client():
            made = told_from_strangers(client(service, Deadline(), self._session(region)))
        with closing(made):
            yield made

    def _session(self, region: str) -> boto3.Session:
        return boto3.Session(botocore_session=self._core, region_name=region)

    def _ec2(self, region: str) -> Any:  # noqa: ANN401 - made by boto3
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            user_agent=f"rolecall/{__version__} boto3/{boto3.__version__}",
        )
        with making_client():
            made: Any = self._session(region).client("ec2", config=config)
        made.meta.events.register("before-parse.ec2", refuse_what_is_no_answer)
        return told_from_strangers(made)


def _read(read: Callable[..., ConfigurationItem], *raw: object) -> ConfigurationItem | InvalidItem:
    try:
        return read(*raw)
    except InvalidItem as error:
        return error


def check_recorder(config: Any) -> None:  # noqa: ANN401 - made by boto3
    """Raise NotRecording unless instances are being recorded."""
    with calling("DescribeConfigurationRecorders"):
        recorders = config.describe_configuration_recorders()["ConfigurationRecorders"]
    recorders = [recorder for recorder in recorders if records_instances(recorder)]
    if not recorders:
        raise NotRecording(f"no configuration recorder records {INSTANCE_TYPE}")
    with calling("DescribeConfigurationRecorderStatus"):
        statuses = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    names = {recorder["name"] for recorder in recorders}
    if not any(status["recording"] for status in statuses if status["name"] in names):
        raise NotRecording("the configuration recorder is stopped")
