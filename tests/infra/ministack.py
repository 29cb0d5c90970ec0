"""ministack: CloudFormation, Lambda and what else the stack needs, in a process of its own, on loopback alone."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.error import URLError

import boto3

from tests.builders import ACCOUNT, REGION

REFUSED = ("AWS::Config::ConfigRule",)
"""Resource types of our stack that it cannot create."""

SERVICES = "cloudformation,cloudwatch,dynamodb,ecr,events,iam,kms,lambda,logs,s3,sns,sqs,ssm,sts"

_READY_SECONDS = 60


class Ministack:
    """A running ministack. A context manager: leaving it ends the process and the functions that it runs.

    `environment` reaches those functions, which run on the Python of the tests.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._port = _free_port()
        self._log = folder / "ministack.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the one that is installed beside pytest
                [Path(sys.executable).with_name("ministack")],
                env={
                    **os.environ,
                    "GATEWAY_PORT": str(self._port),
                    "BIND_HOST": "127.0.0.1",
                    "SERVICES": SERVICES,
                    # Whatever the credentials that it hands out, they belong to this account.
                    "MINISTACK_ACCOUNT_ID": ACCOUNT,
                    "MINISTACK_REGION": REGION,
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    "TMPDIR": str(folder),
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where AWS is."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What it said, and what the functions wrote."""
        return self._log.read_text()

    def credentials(self) -> dict[str, str]:
        """The environment of a command that is to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
        }

    def client(self, service: Literal["cloudformation", "dynamodb", "lambda", "sqs"]) -> Any:  # noqa: ANN401  # boto3 makes it
        """A boto3 client."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",  # noqa: S106  # signatures are not verified
        )

    def __enter__(self) -> Self:
        """Wait until it answers."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError(f"ministack did not start:\n{self.log}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5):  # noqa: S310  # on loopback
                return True
        except (URLError, OSError):
            return False

    def _end(self) -> None:
        # The functions are its children, and in its process group.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
