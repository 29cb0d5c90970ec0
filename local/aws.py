"""A local AWS, whole: strict AWS Config and Security Hub, the recorder, and moto for the rest, behind one endpoint."""

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import boto3
from botocore.config import Config

from local.bucket_policies import BucketPolicies
from local.closing import Closing
from local.config_region import ConfigRegion
from local.config_service import ConfigService
from local.http_server import HttpServer
from local.local_lambda import LocalLambda
from local.moto_process import MotoProcess
from local.recorder import Recorder
from local.router import Router
from local.security_hub import SecurityHubService
from local.strict_sts import StrictSts

DEFAULT_ACCOUNT = "111122223333"
DEFAULT_REGION = "eu-west-1"

SECRET_ACCESS_KEY = "local"  # noqa: S105 - signatures are not verified
"""Goes with any access key."""


class LocalAws(Closing):
    """Runs until it is closed; a context manager. Nothing of it listens beyond this machine.

        with LocalAws() as aws:
            aws.client("ec2").run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)
            aws.recorder.record_now()

    `account` is the one whose Config records from the start and whose credentials `environment` gives; any other
    account exists too, its access key being its number. `config` is the service object of AWS Config; set its `invoke`
    to run functions (`deployment.Deployment` does), and use `recorder.RecorderThread` to record every few seconds.
    `security_hub` holds the findings of all accounts; no hub is enabled at first. `sts` decides AssumeRole, `functions`
    answers Lambda's Invoke, `bucket_policies` refuses what the policies put there deny.
    """

    def __init__(
        self,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        *,
        config: ConfigService | None = None,
        port: int = 0,
        item_before_deletion: bool = True,
    ) -> None:
        self.account = account
        self.region = region
        self.config = config or ConfigService()
        self.security_hub = SecurityHubService(self.config.credentials)
        # One for all clients: each session reads the services' models anew.
        self._session = boto3.Session()
        with ExitStack() as started:
            self._running = started
            moto = started.enter_context(MotoProcess())
            self.sts = StrictSts(self.config.credentials, moto.port)
            self.functions = LocalLambda()
            self.config.aggregators.sources.organizations = self.sts.organizations
            self.bucket_policies = BucketPolicies()
            router = Router(
                self.config,
                self.security_hub,
                self.sts,
                self.functions,
                bucket_policies=self.bucket_policies,
                moto_port=moto.port,
            )
            self._server = started.enter_context(HttpServer(router.respond, port))
            self.config_region: ConfigRegion = self.config.region(account, region)
            self.config_region.start_recording()
            self.recorder = Recorder(self.client("ec2"), self.config_region, item_before_deletion=item_before_deletion)
            self._running = started.pop_all()

    @property
    def endpoint_url(self) -> str:
        """The endpoint of every service."""
        return self._server.url

    def environment(self, account: str | None = None) -> dict[str, str]:
        """What to export so that any AWS client talks to this AWS, as `account`."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": account or self.account,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def role_environment(self, role_arn: str) -> dict[str, str]:
        """The same with credentials of the role, as a function gets those of its execution role."""
        key, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(32)
        self.config.credentials.register(key, role_arn.split(":")[4], token, role_arn=role_arn)
        return self.environment() | {"AWS_ACCESS_KEY_ID": key, "AWS_SESSION_TOKEN": token}

    def client(
        self, service: str, account: str | None = None, region: str | None = None, *, role_arn: str | None = None
    ) -> Any:  # noqa: ANN401 - boto3 makes it
        """A boto3 client of any service here, of an account or a role in it; it is closed together with this."""
        variables = self.role_environment(role_arn) if role_arn else self.environment(account)
        make: Callable[..., Any] = self._session.client
        client = make(
            service,
            region_name=region or self.region,
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=variables.get("AWS_SESSION_TOKEN"),
            endpoint_url=self.endpoint_url,
            config=Config(retries={"mode": "standard"}),
        )
        self._running.callback(client.close)
        return client

    def close(self) -> None:
        """Stop everything and wait until it has stopped."""
        self._running.close()
