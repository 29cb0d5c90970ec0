"""The filters of GetFindings, as far as they compare texts: those of one field are alternatives, all fields must hold.

Of one field, EQUALS, PREFIX and CONTAINS are joined by OR, their negations by AND: documentation of StringFilter.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.service_errors import ServiceError

Finding = Mapping[str, Any]

_FIELDS: dict[str, Callable[[Finding], Iterable[str | None]]] = {
    **{
        name: lambda finding, name=name: [finding.get(name)]  # type: ignore[misc]  # its default binds the loop's name
        for name in (
            "AwsAccountId",
            "CompanyName",
            "GeneratorId",
            "Id",
            "ProductArn",
            "ProductName",
            "RecordState",
            "Region",
            "Title",
        )
    },
    "ComplianceStatus": lambda finding: [finding.get("Compliance", {}).get("Status")],
    "ResourceId": lambda finding: [resource["Id"] for resource in finding["Resources"]],
    "ResourceType": lambda finding: [resource["Type"] for resource in finding["Resources"]],
    "SeverityLabel": lambda finding: [finding["Severity"]["Label"]],
    "WorkflowStatus": lambda finding: [finding["Workflow"]["Status"]],
}

_POSITIVE: dict[str, Callable[[str, str], bool]] = {
    "EQUALS": str.__eq__,
    "PREFIX": str.startswith,
    "CONTAINS": str.__contains__,
}
_NEGATIVE: dict[str, Callable[[str, str], bool]] = {
    "NOT_EQUALS": str.__eq__,
    "PREFIX_NOT_EQUALS": str.startswith,
    "NOT_CONTAINS": str.__contains__,
}


def check(filters: Mapping[str, Any]) -> None:
    """Raise ServiceError for a filter that cannot be answered here, rather than ignore it as moto does."""
    for name, conditions in filters.items():
        if name not in _FIELDS:
            raise ServiceError("InvalidInputException", f"The local Security Hub does not filter by {name}")
        for condition in conditions:
            if condition.get("Comparison") not in (*_POSITIVE, *_NEGATIVE):
                raise ServiceError(
                    "InvalidInputException",
                    f"The local Security Hub does not compare {name} by {condition.get('Comparison')}",
                )


def matches(finding: Finding, filters: Mapping[str, Any]) -> bool:
    """Whether a finding is asked for; with no filters all are."""
    return all(_field_matches(_FIELDS[name](finding), conditions) for name, conditions in filters.items() if conditions)


def _field_matches(values: Iterable[str | None], conditions: Iterable[Mapping[str, str]]) -> bool:
    given = [value for value in values if value is not None]
    alternatives = []
    for condition in conditions:
        comparison, wanted = condition["Comparison"], condition["Value"]
        if comparison in _POSITIVE:
            alternatives.append(any(_POSITIVE[comparison](value, wanted) for value in given))
        elif any(_NEGATIVE[comparison](value, wanted) for value in given):
            return False
    return not alternatives or any(alternatives)
