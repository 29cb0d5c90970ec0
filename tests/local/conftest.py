"""The services that several test modules share."""

from collections.abc import Iterator

import pytest

from local.aws import LocalAws
from tests.local.config_harness import Harness, running_config


@pytest.fixture
def config() -> Iterator[Harness]:
    """A strict AWS Config of its own for each test."""
    with running_config() as harness:
        yield harness


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """One whole local AWS: its moto takes two seconds to start, so tests share it and use resources of their own."""
    with LocalAws() as aws:
        yield aws
