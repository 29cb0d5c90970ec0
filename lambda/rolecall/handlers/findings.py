"""The findings function: a batch of evaluation records from the queue becomes findings in Security Hub.

ROLECALL_FINDINGS_TABLE names the table and ROLECALL_DEAD_LETTERS is the URL of the dead-letter queue.
ROLECALL_PUBLISHER_ROLE names the role that is assumed in every account but our own; without it, records of other
accounts are refused. ROLECALL_MAX_RECEIVES says how often the queue hands out a message. The settings are those of
`findings.settings`.
"""

import gc
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from rolecall.aws.clients import Deadline, client, own_session
from rolecall.aws.findings_table import FindingsTable
from rolecall.aws.given_up import ERROR_CODE, GivenUpMessages
from rolecall.aws.member_sessions import MemberServices
from rolecall.aws.security_hub import SecurityHub
from rolecall.errors import InvalidSetting
from rolecall.findings.claims import Message
from rolecall.findings.importing import Importer
from rolecall.findings.settings import read_settings
from rolecall.findings.telemetry import FindingsTelemetry

SESSION_NAME = "rolecall-findings"
"""What CloudTrail in the member account shows beside the role."""

MAX_RECEIVES = "5"


def _max_receives() -> int:
    text = os.environ.get("ROLECALL_MAX_RECEIVES", MAX_RECEIVES)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InvalidSetting("ROLECALL_MAX_RECEIVES", text, "a whole number above 0")
    return int(text)


def _hub(made: Any, account: str, region: str) -> SecurityHub:  # noqa: ANN401 - made by boto3
    return SecurityHub(made, _deadline, account, region)


_deadline = Deadline()
_telemetry = FindingsTelemetry()
_session = own_session()
_members = MemberServices(
    os.environ.get("ROLECALL_PUBLISHER_ROLE", ""),
    _session,
    client("securityhub", _deadline, _session),
    _deadline,
    _hub,
    session_name=SESSION_NAME,
)
_given_up = GivenUpMessages(client("sqs", _deadline, _session), os.environ["ROLECALL_DEAD_LETTERS"], _deadline)
_importer = Importer(
    hub_of=_members.of,
    table=FindingsTable(client("dynamodb", _deadline, _session), os.environ["ROLECALL_FINDINGS_TABLE"], _deadline),
    dead_letters=_given_up,
    telemetry=_telemetry,
    settings=read_settings(os.environ),
    now=lambda: datetime.now(UTC),
    max_receives=_max_receives(),
)


def handler(event: Mapping[str, Any], context: Any) -> object:  # noqa: ANN401 - the runtime client's own context class
    """Answer one batch of SQS messages; names those that have to be received again."""
    _telemetry.started(context.aws_request_id)
    _given_up.of_request(context.aws_request_id)
    _deadline.set(context.get_remaining_time_in_millis() / 1000)
    _members.belong_to(context.invoked_function_arn)
    try:
        # All together: findings of one account and region share a call.
        left = _importer.import_batch([_message(SQSRecord(one)) for one in event["Records"]])
    finally:
        _telemetry.ended()

    def told(record: SQSRecord) -> None:
        if error := left.get(record.message_id):
            raise error

    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(dict(event), told, processor, context)


def _message(record: SQSRecord) -> Message:
    return Message(
        id=record.message_id,
        body=record.body,
        receives=int(record.attributes.approximate_receive_count or 1),
        moved_back=ERROR_CODE in record.raw_event.get("messageAttributes", {}),
    )


gc.freeze()
gc.enable()
