"""Plans a day's package: the first step of the state machine.

    in    {"scheduledTime": "2026-11-25T01:00:00Z"}, whose day before is packaged, or {"day": "2026-11-24"}
    out   {"day": "2026-11-24", "shards": {"bucket": "…", "key": "plans/2026-11-24/shards.json", "count": 51}, …}

`beginsChain` beside `day`, for a day that begins a chain whatever came before it, is handed on to the seal.
`out` also counts the `gaps`: accounts without a shard. `shards` is where the list of shard items lies, a JSON array;
each is the input of the collecting function as it stands. The environment is that of `aws.evidence_environment`.
"""

import os
from datetime import UTC, datetime
from typing import Any

from rolecall.aws.evidence_environment import EvidenceEnvironment
from rolecall.errors import RolecallError
from rolecall.evidence.beginning import asked_to_begin
from rolecall.evidence.packages import BEGINS_CHAIN
from rolecall.evidence.plan import items_key
from rolecall.evidence.steps import day_of_event, planned
from rolecall.evidence.telemetry import EvidenceTelemetry

_environment = EvidenceEnvironment(os.environ)
_telemetry = EvidenceTelemetry()


def handler(event: object, context: Any) -> dict[str, Any]:  # noqa: ANN401 - the runtime client's own context class
    """Plan the day that the event names. Raises whatever keeps it from being planned, so that it is tried again."""
    _telemetry.started(event, context.aws_request_id)
    _environment.started(context.invoked_function_arn, context.get_remaining_time_in_millis() / 1000)
    try:
        day = day_of_event(event, datetime.now(UTC))
        begins = asked_to_begin(event)
        plan = planned(_environment.working_store, day, lambda: _environment.plan(day))
    except RolecallError as error:
        _telemetry.failed(error)
        raise
    _telemetry.planned(plan)
    bucket = os.environ["ROLECALL_LEDGER_BUCKET"]
    return {
        "day": day.isoformat(),
        "shards": {"bucket": bucket, "key": items_key(day), "count": len(plan.shards)},
        "gaps": len(plan.gaps),
        **({BEGINS_CHAIN: True} if begins else {}),
    }
