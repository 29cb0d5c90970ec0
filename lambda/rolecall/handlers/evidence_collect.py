"""Collects one shard of a day's package: the middle step of the state machine, once for each shard item.

    in    one element of plans/<day>/shards.json: {"day", "account", "region", "ruleNames", "whyNot", "detail",
          "credentialReport"}; with "failure" (a text) besides, the shard is given up, and says so
    out   {"key", "account", "region", "covered", "whyNot", "rows", "verdicts": {…}, "disagreements"}

A shard that is there already is only looked at. The environment is that of `aws.evidence_environment`.
"""

import os
from datetime import UTC, datetime
from typing import Any

from rolecall.aws.evidence_environment import EvidenceEnvironment
from rolecall.errors import RolecallError
from rolecall.evidence.collecting import Collector
from rolecall.evidence.plan import read_item
from rolecall.evidence.telemetry import EvidenceTelemetry

_environment = EvidenceEnvironment(os.environ)
_telemetry = EvidenceTelemetry()


def handler(event: object, context: Any) -> dict[str, Any]:  # noqa: ANN401 - the runtime client's own context class
    """Collect the shard of an item. Raises whatever keeps it from being whole, so that it is tried again."""
    _telemetry.started(event, context.aws_request_id)
    _environment.started(context.invoked_function_arn, context.get_remaining_time_in_millis() / 1000)
    try:
        item = read_item(event)
        collector = Collector(_environment.evidence, _environment.working_store, lambda: datetime.now(UTC))
        failure = event.get("failure") if isinstance(event, dict) else None
        collected = collector.give_up(item, str(failure)) if failure else collector.collect(item)
    except RolecallError as error:
        _telemetry.failed(error)
        raise
    _telemetry.collected(collected)
    return collected.to_json()
