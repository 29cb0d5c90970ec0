"""What is the same in all accounts and regions of one local AWS Config."""

from collections.abc import Callable
from dataclasses import dataclass

from local.faults import Faults
from local.rule_events import NOTIFICATION_LIMIT, Event
from local.timestamps import Clock, now_ms

Invoke = Callable[[str, Event], None]
"""Hands an event to the function with this ARN, asynchronously: it should only queue it."""


def invoke_nothing(_function_arn: str, _event: Event) -> None:
    """Where no function is to run."""


def any_function_exists(_function_arn: str) -> bool:
    """Where nobody looks."""
    return True


@dataclass(frozen=True)
class Settings:
    """Handed to every `ConfigRegion`."""

    resource_types: frozenset[str]
    """What Config supports: the service model's ResourceType."""
    faults: Faults
    invoke: Invoke = invoke_nothing
    function_exists: Callable[[str], bool] = any_function_exists
    clock: Clock = now_ms
    notification_limit: int = NOTIFICATION_LIMIT
    """Bytes. A larger notification is sent as an oversized one."""
    reevaluation_interval_ms: int = 60_000
    """StartConfigRulesEvaluation refuses the same rule again within this time: a minute, as AWS documents."""
    evaluate_new_rules: bool = True
    """Whether PutConfigRule evaluates what is recorded already, as AWS does."""
