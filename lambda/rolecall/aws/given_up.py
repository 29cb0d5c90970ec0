"""The dead-letter queue as the function itself fills it: with the reason, which SQS would not add."""

import re
from typing import Any

from rolecall.aws.clients import Deadline, calling
from rolecall.errors import RolecallError
from rolecall.findings.claims import Message

ERROR_CODE = "ErrorCode"
"""The attribute by which a message that was moved back is known."""

ERROR_MAX_LENGTH = 1024
"""As Lambda cuts the ErrorMessage of its own dead letters."""

_NOT_SENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What SQS refuses in a message: the SQS API's SendMessage."""


class GivenUpMessages:
    """Messages go to the queue as they were received, so that they can be moved back."""

    def __init__(self, sqs: Any, queue_url: str, deadline: Deadline) -> None:  # noqa: ANN401 - made by boto3
        self._client = sqs
        self._queue_url = queue_url
        self._deadline = deadline
        self._request_id = ""

    def of_request(self, request_id: str) -> None:
        """The invocation that gives up from here on."""
        self._request_id = request_id

    def send(self, message: Message, error: RolecallError) -> None:
        """Keep the message with ErrorCode, ErrorMessage and RequestID as attributes.

        Raises ServiceError, OutOfTime.
        """
        attributes = {
            ERROR_CODE: type(error).__name__,
            "ErrorMessage": _NOT_SENDABLE.sub("?", str(error))[:ERROR_MAX_LENGTH],
            "RequestID": self._request_id,
        }
        self._deadline.check("SendMessage")
        with calling("SendMessage"):
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=message.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
                },
            )
