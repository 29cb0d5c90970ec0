"""The same check as AWS's Rule Development Kit library has it written, with the function's own role.

`evaluate_periodic` pages as large as EC2 allows; deleting old evaluations is rdklib's default.
"""

from typing import Any

from rdklib import (  # type: ignore[import-not-found]  # installed only beside the copy of this module that runs
    ComplianceType,
    ConfigRule,
    Evaluation,
    Evaluator,
)

RESOURCE_TYPE = "AWS::EC2::Instance"


class InstanceProfile(ConfigRule):  # type: ignore[misc]  # untyped base class
    """Every instance has an instance profile."""

    def evaluate_change(self, _event: Any, _clients: Any, item: Any, _parameters: Any) -> list[Any]:  # noqa: ANN401 - rdklib is untyped
        """Judge one configuration item."""
        return [Evaluation(_verdict(item["configuration"].get("iamInstanceProfile")))]

    def evaluate_periodic(self, _event: Any, clients: Any, _parameters: Any) -> list[Any]:  # noqa: ANN401 - rdklib is untyped
        """Judge every instance that EC2 describes."""
        pages = (
            clients.build_client("ec2")
            .get_paginator("describe_instances")
            .paginate(PaginationConfig={"PageSize": 1000})
        )
        return [
            Evaluation(_verdict(instance.get("IamInstanceProfile")), instance["InstanceId"], RESOURCE_TYPE)
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]

    def get_assume_role_mode(self, _event: Any) -> bool:  # noqa: ANN401 - rdklib is untyped
        """Call with the function's own role: without this, each event would cost a second call, to STS."""
        return False


def _verdict(profile: object) -> str:
    verdict: str = ComplianceType.COMPLIANT if profile else ComplianceType.NON_COMPLIANT
    return verdict


def handler(event: dict[str, Any], context: object) -> Any:  # noqa: ANN401 - rdklib is untyped
    """Answer any notification."""
    return Evaluator(InstanceProfile(), [RESOURCE_TYPE]).handle(event, context)
