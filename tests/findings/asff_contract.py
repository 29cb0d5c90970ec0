"""What Security Hub asks of a finding, written down apart from the code that makes one.

Structure, types, patterns and enums come from botocore's own service model; lengths and counts from its prose; what
belongs to the customer from the guide of BatchImportFindings.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

MODEL = botocore.session.get_session().get_service_model("securityhub")

CUSTOMERS_OWN = {"Note", "UserDefinedFields", "VerificationState", "Workflow", "WorkflowState"}
"""BatchImportFindings cannot change them once a finding is there."""
BY_PROVIDER_FIELDS = {"Confidence", "Criticality", "RelatedFindings", "Severity", "Types"}
"""To be given in FindingProviderFields, or customers' changes could be overwritten."""

LENGTHS = {
    "Id": 512,
    "ProductArn": 2048,
    "ProductName": 128,
    "CompanyName": 128,
    "GeneratorId": 512,
    "AwsAccountId": 12,
    "Title": 256,
    "Description": 1024,
    "Remediation.Recommendation.Text": 512,
    "Resources.Type": 256,
    "Resources.Region": 16,
    "FindingProviderFields.Severity.Original": 64,
}
COUNTS = {
    "Resources": (1, 32),
    "ProductFields": (0, 50),
    "FindingProviderFields.Types": (1, 50),
    "Compliance.RelatedRequirements": (0, 32),
    "Resources.Tags": (0, 50),
}
MAPS = {"ProductFields": (128, 2048), "Resources.Tags": (128, 256)}
MOST_BYTES = 240_000


def violations(finding: dict[str, Any]) -> list[str]:
    """Everything that Security Hub would refuse or that a provider must not send; empty for a good finding."""
    report = ParamValidator().validate(finding, MODEL.shape_for("AwsSecurityFinding"))
    if report.has_errors():
        return [report.generate_report()]
    found = list(_of_values(finding, MODEL.shape_for("AwsSecurityFinding"), ""))
    found += [f"{name} is not the provider's" for name in (CUSTOMERS_OWN | BY_PROVIDER_FIELDS) & finding.keys()]
    found += [f"ProductFields.{name} is reserved" for name in finding["ProductFields"] if name.startswith("aws/")]
    if len(json.dumps(finding).encode()) > MOST_BYTES:
        found.append(f"more than {MOST_BYTES} bytes")
    return found


def _of_values(value: Any, shape: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value, any shape
    if shape.type_name in ("list", "map"):
        least, most = COUNTS.get(path, (0, len(value)))
        if not least <= len(value) <= most:
            yield f"{path} has {len(value)} members"
    match shape.type_name:
        case "structure":
            for name, member in value.items():
                yield from _of_values(member, shape.members[name], f"{path}.{name}".lstrip("."))
        case "list":
            for member in value:
                yield from _of_values(member, shape.member, path)
        case "map":
            key_length, value_length = MAPS[path]
            for name, member in value.items():
                yield from _of_text(name, shape.key, f"{path} key", key_length)
                yield from _of_text(member, shape.value, f"{path}.{name}", value_length)
        case "string":
            yield from _of_text(value, shape, path, LENGTHS.get(path))


def _of_text(text: str, shape: Any, path: str, most: int | None) -> Iterator[str]:  # noqa: ANN401 - any shape
    units = len(text.encode("utf-16-le")) // 2  # raises where a lone surrogate could not be sent
    if most is not None and units > most:
        yield f"{path} has {units} characters"
    if "pattern" in shape.metadata and not re.search(shape.metadata["pattern"], text, re.DOTALL):
        yield f"{path} is blank"
    if shape.enum and text not in shape.enum:
        yield f"{path} is {text}"
