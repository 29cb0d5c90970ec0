"""AWS Config: put evaluations, fetch items, list the recorded instances and results."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from rolecall.aws.clients import RESENDS, Deadline, calling, pause
from rolecall.aws.paging import pages
from rolecall.errors import EvaluationsRejected, ItemNotRecorded, ServiceError
from rolecall.items import configuration_item
from rolecall.model import INSTANCE_TYPE, ComplianceType, ConfigurationItem, Evaluation
from rolecall.record import timestamp

if TYPE_CHECKING:
    from rolecall.recorded_results import RecordedResult

ROWS_PER_PAGE = 100
"""The most that SelectResourceConfig and GetComplianceDetailsByConfigRule give at once."""

REPORT_SECONDS = 15
"""What a sweep keeps of its time while it reads: its last report is up to ten PutEvents calls and a PutEvaluations."""

_SELECTED = (
    "accountId",
    "arn",
    "awsRegion",
    "configurationItemCaptureTime",
    "configurationItemStatus",
    "resourceId",
    "resourceType",
    "tags",
    "configuration.iamInstanceProfile.arn",
    "configuration.imageId",
    "configuration.instanceType",
    "configuration.launchTime",
    "configuration.metadataOptions.httpEndpoint",
    "configuration.metadataOptions.httpPutResponseHopLimit",
    "configuration.metadataOptions.httpTokens",
    "configuration.metadataOptions.state",
    "configuration.networkInterfaces.attachment.attachTime",
    "configuration.networkInterfaces.attachment.deviceIndex",
    "configuration.state.name",
    "configuration.subnetId",
    "configuration.vpcId",
)
"""Paths of the advanced-query schema: awslabs/aws-config-resource-schema, AWS::EC2::Instance."""

INSTANCES_QUERY = f"SELECT {', '.join(_SELECTED)} WHERE resourceType = '{INSTANCE_TYPE}'"


class ConfigService:
    """AWS Config in one account and region."""

    def __init__(self, config_client: Any, deadline: Deadline) -> None:  # noqa: ANN401 - made by boto3
        self._client = config_client
        self._deadline = deadline

    def put(self, evaluations: Sequence[Evaluation], result_token: str, *, test_mode: bool = False) -> None:
        """Report at most 100 evaluations. What Config leaves in FailedEvaluations is sent again.

        Raises EvaluationsRejected with what is left after that, ServiceError, OutOfTime.
        """
        mode = {"TestMode": True} if test_mode else {}
        remaining: Sequence[Mapping[str, Any]] = [_evaluation(evaluation) for evaluation in evaluations]
        for resend in range(RESENDS + 1):
            with calling("PutEvaluations", secret=result_token):
                answer = self._client.put_evaluations(Evaluations=remaining, ResultToken=result_token, **mode)
            remaining = answer.get("FailedEvaluations") or ()
            if not remaining:
                return
            if resend < RESENDS:
                pause("PutEvaluations", resend, self._deadline)
        raise EvaluationsRejected(remaining)

    def item_announced_by(self, summary: ConfigurationItem) -> ConfigurationItem:
        """The item whose header is `summary`, from GetResourceConfigHistory.

        History is read backwards from the capture time, so the item is the first that any page holds; pages may be
        empty. Raises ItemNotRecorded, ServiceError, OutOfTime.
        """
        request = {
            "resourceType": summary.resource_type,
            "resourceId": summary.resource_id,
            "laterTime": summary.capture_time,
            "limit": 1,
        }
        announced = timestamp(summary.capture_time)
        item = self._first_item(request)
        if item is None or timestamp(item.capture_time) != announced:
            raise ItemNotRecorded(summary.resource_type, summary.resource_id, announced)
        return item

    def newest_item(self, resource_type: str, resource_id: str) -> ConfigurationItem:
        """The newest item of a resource, from GetResourceConfigHistory; it may say that the resource is gone.

        Raises InvalidItem for one that cannot be read, ServiceError, also where the history is empty, OutOfTime.
        """
        request = {"resourceType": resource_type, "resourceId": resource_id, "limit": 1}
        item = self._first_item(request, keeping=REPORT_SECONDS)
        if item is None:
            raise ServiceError("GetResourceConfigHistory", "EmptyHistory", "AWS Config holds no item of this resource")
        return item

    def instance_rows(self) -> Iterator[object]:
        """Every recorded instance as a decoded row of the advanced query; a row that is no JSON comes as its text.

        Raises ServiceError, OutOfTime.
        """
        request = {"Expression": INSTANCES_QUERY, "Limit": ROWS_PER_PAGE}
        call = self._client.select_resource_config
        for answer in pages("SelectResourceConfig", call, request, self._deadline, keeping=REPORT_SECONDS):
            yield from map(decoded_row, answer.get("Results", ()))

    def recorded_results(self, rule_name: str) -> "Iterator[RecordedResult]":
        """Every result of a rule, NOT_APPLICABLE ones as far as Config keeps them; its name has at most 64 characters.

        Raises ServiceError, OutOfTime.
        """
        request = {
            "ConfigRuleName": rule_name,
            "ComplianceTypes": list(ComplianceType),
            "Limit": ROWS_PER_PAGE,
        }
        call = self._client.get_compliance_details_by_config_rule
        operation = "GetComplianceDetailsByConfigRule"
        for answer in pages(operation, call, request, self._deadline, keeping=REPORT_SECONDS):
            yield from map(recorded_result, answer.get("EvaluationResults", ()))

    def _first_item(self, request: dict[str, Any], *, keeping: float = 0) -> ConfigurationItem | None:
        """The first item of a history, which is the newest one asked for; None for a history of empty pages."""
        call = self._client.get_resource_config_history
        operation = "GetResourceConfigHistory"
        for answer in pages(operation, call, request, self._deadline, following="nextToken", keeping=keeping):
            for raw in answer.get("configurationItems", ()):
                return configuration_item(raw)
        return None


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "ComplianceResourceType": evaluation.item.resource_type,
        "ComplianceResourceId": evaluation.item.resource_id,
        "ComplianceType": evaluation.compliance_type.value,
        "Annotation": evaluation.annotation,
        # A datetime, not text: botocore would parse text again, twice.
        "OrderingTimestamp": evaluation.ordering_timestamp,
    }


def recorded_result(answered: Mapping[str, Any]) -> "RecordedResult":
    """An EvaluationResult, or an AggregateEvaluationResult, in which the same members mean the same."""
    # A sweep needs it once a day; a change must not pay for loading it.
    from rolecall.recorded_results import RecordedResult  # noqa: PLC0415 - see above

    identifier = answered["EvaluationResultIdentifier"]
    qualifier = identifier["EvaluationResultQualifier"]
    recorded_at = answered.get("ResultRecordedTime")
    return RecordedResult(
        qualifier["ResourceType"],
        qualifier["ResourceId"],
        answered["ComplianceType"],
        answered.get("Annotation", ""),
        # In UTC, as records tell times: botocore answers them in the zone of the machine, unless told otherwise.
        identifier["OrderingTimestamp"].astimezone(UTC),
        recorded_at.astimezone(UTC) if recorded_at else None,
    )


def decoded_row(text: str) -> object:
    """A row of a query, which AWS answers as JSON text; the text itself if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
