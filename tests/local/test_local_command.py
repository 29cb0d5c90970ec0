import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner

from local.__main__ import app
from local.http_server import HttpServer
from tests.builders import ACCOUNT
from tests.local.synthesized import rule_assembly

ROOT = Path(__file__).resolve().parents[2]
RULE = "rolecall-ec2-instance-profile"


class Command:
    """`python -m local` as a user starts it."""

    def __init__(self) -> None:
        arguments = [sys.executable, "-m", "local", "--interval", "0.2", "--assembly", str(rule_assembly())]
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            arguments,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'lambda'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def until(self, pattern: str) -> str:
        """What it shows, up to a line in which the pattern is found."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without saying {pattern!r}: {''.join(self.said)}")

    def exports(self) -> dict[str, str]:
        """The five variables that it prints."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().strip() for _ in range(5)]
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; its exit code and what else it printed for a shell."""
        self.process.send_signal(signal.SIGINT)
        rest, errors = self.process.communicate(timeout=30)
        self.said.append(errors)
        return self.process.returncode, rest


@pytest.fixture
def command() -> Iterator[Command]:
    """Killed if a test fails before it stops it."""
    started = Command()
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.communicate()


def test_a_new_instance_is_judged_before_the_users_eyes(command: Command) -> None:
    """Launched by a client that knows only what was exported; Ctrl-C then ends all of it."""
    command.until(f"answers for: {RULE}")
    command.until("A local AWS is running")
    exported = command.exports()
    assert exported == {
        "AWS_ENDPOINT_URL": exported["AWS_ENDPOINT_URL"],
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    session = boto3.Session(
        exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"], region_name=exported["AWS_REGION"]
    )
    ec2 = session.client("ec2", endpoint_url=exported["AWS_ENDPOINT_URL"])
    [launched] = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)["Instances"]
    ec2.close()
    instance_id = launched["InstanceId"]
    assert "ResourceDiscovered  running  no profile  → 1 event(s)" in command.until(f"item  {instance_id}")
    assert "NON_COMPLIANT  NO_PROFILE: " in command.until(f"verdict  {instance_id}")
    children = Path(f"/proc/{command.process.pid}/task/{command.process.pid}/children")
    started = children.read_text().split() if children.exists() else []
    assert command.stop() == (0, "")
    assert "Stopping." in command.said[-1]
    assert [child for child in started if Path(f"/proc/{child}").exists()] == []


REFUSED = [
    ("an account that is none", ["--account", "12"], "'12'; allowed: 12 digits"),
    ("an interval of nothing", ["--interval", "0"], "0.1"),
    ("an assembly that is not there", ["--assembly", "no-such-folder"], "no-such-folder/manifest.json is not there"),
]


@pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(arguments: list[str], message: str) -> None:
    """One clear error and exit code 2."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_refuses_a_port_that_is_taken() -> None:
    """The message says what to do."""
    with HttpServer(lambda _request: None) as taken:
        result = CliRunner().invoke(app, ["--port", str(taken.port)])
    assert result.exit_code == 2
    assert f"port {taken.port} cannot be used: Address already in use; choose another with --port" in result.output
