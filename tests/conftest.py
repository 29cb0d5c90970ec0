"""What holds for every test: no settings of whoever runs it, and no network beyond this machine."""

import os
import signal
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("rolecall", deadline=None, print_blob=True)  # a busy machine is no failing test
# Where a change is judged, the same examples each time: a red build means the change. New ones are found by developers.
settings.register_profile("ci", settings.get_profile("rolecall"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "rolecall")

_FOREIGN = ("AWS_", "ROLECALL_", "POWERTOOLS_")


def pytest_configure() -> None:
    """Before anything is imported: a developer's own account, profile or rule must not reach a test."""
    # Started in the background, pytest ignores Ctrl-C, and so would every program that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )


class _LoopbackSocket(socket.socket):
    """Refuses to leave this machine, so that a test which would shows it at once."""

    def connect(self, address: Any) -> None:  # noqa: ANN401 - whatever its address family takes
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if not _is_loopback(host):
                raise AssertionError(f"a test tried to reach {host}: tests stay on this machine")
        super().connect(address)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", _LoopbackSocket)
        yield
