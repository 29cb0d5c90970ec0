"""The rule's function: wires the rule to AWS and hands it each event.

Clients are made while the environment starts, where Lambda gives a whole processor. ROLECALL_EVENT_BUS names the
event bus for evaluation records, by name or ARN; without it none are sent. ROLECALL_REPORTER_ROLE names the role that
is assumed in every account but our own; without it every event is answered with the function's own credentials.
ROLECALL_RULE_PARAMETERS, JSON as AWS Config takes it, names the deployed parameters; with it, events of any other rule
or with other parameters are refused.
"""

import gc
import os
from datetime import UTC, datetime
from typing import Any

from rolecall.aws.clients import Deadline, client, own_session
from rolecall.aws.config_service import ConfigService
from rolecall.aws.evaluations_bus import EvaluationsBus, region_of
from rolecall.errors import RolecallError
from rolecall.responding import Responder
from rolecall.telemetry import PowertoolsTelemetry

_deadline = Deadline()
_telemetry = PowertoolsTelemetry()
_bus = os.environ.get("ROLECALL_EVENT_BUS", "")
_session = own_session()
_config_client = client("config", _deadline, _session)
_members = None
if _reporter_role := os.environ.get("ROLECALL_REPORTER_ROLE", ""):
    from rolecall.aws.member_sessions import MemberAccounts

    _members = MemberAccounts(_reporter_role, _session, _config_client, _deadline)
_check = None
if (_deployed_parameters := os.environ.get("ROLECALL_RULE_PARAMETERS")) is not None:
    from rolecall.own_rule import OwnRule
    from rolecall.parameters import parse_parameters

    _check = OwnRule(os.environ["POWERTOOLS_SERVICE_NAME"], parse_parameters(_deployed_parameters)).check
_own = ConfigService(_config_client, _deadline)
_responder = Responder(
    config_of=_members.config_of if _members else lambda _: _own,
    bus=EvaluationsBus(client("events", _deadline, _session, region=region_of(_bus)), _bus, _deadline)
    if _bus
    else None,
    telemetry=_telemetry,
    now=lambda: datetime.now(UTC),
    check=_check,
)


def handler(event: object, context: Any) -> None:  # noqa: ANN401 - the runtime client's own context class
    """Answer one event of AWS Config. Raises whatever keeps a verdict from being reported, so that Lambda retries."""
    _telemetry.started(event, context.aws_request_id)
    _deadline.set(context.get_remaining_time_in_millis() / 1000)
    if _members:
        _members.belong_to(context.invoked_function_arn)
    try:
        _responder.respond(event)
    except RolecallError as error:
        _telemetry.failed(error)
        raise


gc.freeze()
gc.enable()
