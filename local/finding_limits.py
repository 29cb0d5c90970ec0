"""What Security Hub asks of a finding beyond its service model, in one table with the source of each limit.

The model holds types, required members, enums and "not blank"; lengths stand in its prose alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MODEL = "documentation of the member in botocore 1.44.5, securityhub 2018-10-26"
PEERS = "what Prowler's asff.py and Cloud Custodian's post-finding keep to: AWS documents no limit here"
TAGGING = "AWS General Reference, tag naming limits, which the documentation of Resource.Tags refers to"

SCHEMA_VERSION = "2018-10-08"
FINDING_MAX_BYTES = 240 * 1000
"""Documentation of BatchImportFindings: 240 Kb. Taken as the smaller of the two that this can mean."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Of what lies at `path`: `[]` is each member of a list, `{}` each value of a map, `{key}` each of its keys.

    A text's characters, or a list's or a map's members, number `least` to `most`.
    """

    path: str
    most: int
    least: int = 1
    source: str = MODEL


LIMITS = (
    Limit("Id", 512),
    Limit("ProductArn", 2048, 12),
    Limit("ProductName", 128),
    Limit("CompanyName", 128),
    Limit("Region", 16),
    Limit("GeneratorId", 512),
    Limit("AwsAccountId", 12, 12),
    Limit("AwsAccountName", 50),
    Limit("Types", 50, 0),
    Limit("FindingProviderFields.Types", 50, 0),
    Limit("Severity.Original", 64),
    Limit("FindingProviderFields.Severity.Original", 64),
    Limit("Title", 256),
    Limit("Description", 1024),
    Limit("Remediation.Recommendation.Text", 512),
    Limit("ProductFields", 50, 0),
    Limit("ProductFields{key}", 128),
    Limit("ProductFields{}", 2048),
    Limit("UserDefinedFields", 50, 0),
    Limit("UserDefinedFields{key}", 128),
    Limit("UserDefinedFields{}", 1024),
    Limit("Malware", 5, 0),
    Limit("Threats", 32),
    Limit("ThreatIntelIndicators", 5),
    Limit("RelatedFindings", 10),
    Limit("Note.Text", 512),
    Limit("Compliance.RelatedRequirements", 32, 0),
    Limit("Compliance.RelatedRequirements[]", 64, source=PEERS),
    Limit("Compliance.AssociatedStandards", 20, 0, PEERS),
    Limit("Resources", 32),
    Limit("Resources[].Type", 256),
    Limit("Resources[].Region", 16),
    Limit("Resources[].Tags", 50, 0, TAGGING),
    Limit("Resources[].Tags{key}", 128, source=TAGGING),
    Limit("Resources[].Tags{}", 256, 0, TAGGING),
    Limit("Resources[].Details.AwsEc2Instance.IpV4Addresses", 10, 0, PEERS),
    Limit("Resources[].Details.AwsEc2Instance.IamInstanceProfileArn", 1024, source=PEERS),
)

TIMES = (
    "CreatedAt",
    "UpdatedAt",
    "FirstObservedAt",
    "LastObservedAt",
    "ProcessedAt",
    "Note.UpdatedAt",
    "Resources[].Details.AwsEc2Instance.LaunchedAt",
)
"""Texts that have to be times as RFC 3339, section 5.6, writes them: documentation of each in the model."""

RESERVED_PREFIX = "aws/"
"""Of keys of ProductFields: AWS Security Hub User Guide, "Optional top-level ASFF attributes"."""

_STEP = re.compile(r"[A-Za-z0-9]+|\[\]|\{key\}|\{\}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_COMPILED = tuple((tuple(_STEP.findall(limit.path)), limit) for limit in LIMITS)
_COMPILED_TIMES = tuple(tuple(_STEP.findall(path)) for path in TIMES)


def problems(finding: Mapping[str, Any]) -> list[str]:
    """Everything that the documents forbid in a finding whose JSON types and required members are right."""
    found = [
        f"data.{where} should have {limit.least} to {limit.most}, not {len(value)}"
        for steps, limit in _COMPILED
        for where, value in _reached(finding, steps)
        if not limit.least <= len(value) <= limit.most
    ]
    found += [
        f'data.{where} should match format "date-time"'
        for steps in _COMPILED_TIMES
        for where, value in _reached(finding, steps)
        if not _is_time(value)
    ]
    found += [
        f"data.ProductFields key '{key}' begins with {RESERVED_PREFIX}, which is reserved"
        for key in finding.get("ProductFields", ())
        if key.startswith(RESERVED_PREFIX)
    ]
    provided = finding.get("FindingProviderFields", {})
    severities = (finding.get("Severity", {}), provided.get("Severity", {}))
    if not any("Label" in severity or "Normalized" in severity for severity in severities):
        found.append("data.Severity should have Label or Normalized, here or in FindingProviderFields")
    if not finding.get("Types") and not provided.get("Types"):
        found.append("data.Types should be there, here or in FindingProviderFields")
    if finding["SchemaVersion"] != SCHEMA_VERSION:
        found.append(f"data.SchemaVersion should be {SCHEMA_VERSION}")
    size = len(json.dumps(finding, separators=(",", ":"), ensure_ascii=False).encode())
    if size > FINDING_MAX_BYTES:
        found.append(f"the finding has {size} bytes, more than {FINDING_MAX_BYTES}")
    return found


def _reached(value: Any, steps: tuple[str, ...], where: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if not steps:
        yield where, value
        return
    step, *rest = steps
    match step:
        case "[]":
            for number, member in enumerate(value):
                yield from _reached(member, tuple(rest), f"{where}[{number}]")
        case "{key}":
            for key in value:
                yield from _reached(key, tuple(rest), f"{where} key '{key}'")
        case "{}":
            for key, member in value.items():
                yield from _reached(member, tuple(rest), f"{where}.{key}")
        case name if name in value and value[name] is not None:
            yield from _reached(value[name], tuple(rest), f"{where}.{name}" if where else name)


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True
