"""Seals a day's package: the last step of the state machine, once all shards are there.

    in    what the planning function answered; `day` and `beginsChain` alone are looked at
    out   {"day", "package": {"bucket", "prefix": "packages/2026-11-24/"}, "sequence", "manifestSha256", "totals": {…}}

A package that is there already is only looked at. The environment is that of `aws.evidence_environment`.
"""

import os
from datetime import UTC, datetime
from typing import Any

from rolecall.aws.evidence_environment import EvidenceEnvironment
from rolecall.errors import RolecallError
from rolecall.evidence.beginning import asked_to_begin
from rolecall.evidence.package_files import remove_leftovers
from rolecall.evidence.packaging import figures_of, sealed
from rolecall.evidence.steps import PACKAGES, day_of_event
from rolecall.evidence.telemetry import EvidenceTelemetry

_environment = EvidenceEnvironment(os.environ)
_telemetry = EvidenceTelemetry()


def handler(event: object, context: Any) -> dict[str, Any]:  # noqa: ANN401 - the runtime client's own context class
    """Seal the day that the event names. Raises whatever keeps it from being sealed, so that it is tried again."""
    _telemetry.started(event, context.aws_request_id)
    _environment.started(context.invoked_function_arn, context.get_remaining_time_in_millis() / 1000)
    # An invocation that was killed before, in this environment, could not clear up.
    remove_leftovers()
    now = datetime.now(UTC)
    try:
        day = day_of_event(event, now)
        package = sealed(
            _environment.working_store,
            _environment.packages,
            day,
            _environment.signer,
            older_keys=_environment.older_keys,
            begins_chain=asked_to_begin(event),
        )
        figures = figures_of(_environment.packages, package)
    except RolecallError as error:
        _telemetry.failed(error)
        raise
    answer = {
        "day": day.isoformat(),
        "package": {"bucket": os.environ["ROLECALL_PACKAGES_BUCKET"], "prefix": f"{PACKAGES}/{day}/"},
        "sequence": package.manifest.sequence,
        "manifestSha256": package.manifest_sha256,
        "totals": package.manifest.totals.to_json(),
    }
    _telemetry.sealed(answer, figures, day, now.date())
    return answer
