"""A record as a finding in the AWS Security Finding Format, version 2018-10-08.

What belongs to the customer is never in it: Workflow, Note, UserDefinedFields, VerificationState. Severity and Types
are given in FindingProviderFields alone, as the guide of BatchImportFindings prefers: Security Hub fills in the fields
of the same names, and keeps what the customer put there.

No value is blank: Security Hub takes texts with at least one character that is no space (`NonEmptyString`), so what has
no value is left out.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rolecall.cutting import fitted, sendable, shortened, units
from rolecall.findings import limits, wording
from rolecall.findings.identity import compliance_status, finding_id, generator_id, product_arn
from rolecall.findings.settings import FindingSettings
from rolecall.findings.severity import severity
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import INSTANCE_TYPE, Exemption, Instance
from rolecall.received_record import EvaluationRecord
from rolecall.record import timestamp

SCHEMA_VERSION = "2018-10-08"

PRODUCT = "Rolecall"
"""ProductName and CompanyName: a custom integration may choose them. Without them, it is called Default."""

TYPES = (
    "Software and Configuration Checks/AWS Security Best Practices",
    "Software and Configuration Checks/Industry and Regulatory Standards",
)
"""Of the types taxonomy for ASFF."""

EXEMPTION_DECLARED = "EXEMPTION_DECLARED"
"""ReasonCode beside the verdict's own, for what the exemption tags say."""

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
"""The partitions that the Security Hub API's Partition names as everybody else does."""

_METADATA_OPTIONS = {
    "httpEndpoint": "HttpEndpoint",
    "httpProtocolIpv6": "HttpProtocolIpv6",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "httpTokens": "HttpTokens",
    "instanceMetadataTags": "InstanceMetadataTags",
}
_HOP_LIMIT = "HttpPutResponseHopLimit"
"""The only number among them."""

_RELATED_REQUIREMENTS = [
    shortened(str(requirement), limits.RELATED_REQUIREMENT)
    for requirement in REQUIREMENTS[: limits.RELATED_REQUIREMENTS]
]


def finding(
    record: EvaluationRecord, settings: FindingSettings, *, archived: bool, created_at: datetime, updated_at: datetime
) -> dict[str, Any]:
    """The finding as BatchImportFindings takes it. The times are UTC."""
    label = severity(record.reason, settings.severities).value
    tags = _tags(record.instance.tags) if record.instance else {}
    return {
        "SchemaVersion": SCHEMA_VERSION,
        "Id": finding_id(record),
        "ProductArn": product_arn(record.partition, record.region, record.account),
        "ProductName": PRODUCT,
        "CompanyName": PRODUCT,
        "GeneratorId": generator_id(record.own_rule_name),
        "AwsAccountId": record.account,
        "CreatedAt": timestamp(created_at),
        "UpdatedAt": timestamp(updated_at),
        # "When the provider most recently observed a change in the resource."
        "LastObservedAt": timestamp(record.ordering_timestamp),
        "Title": wording.title(record),
        "Description": wording.description(record),
        "FindingProviderFields": {
            "Severity": {"Label": label, "Original": label},
            "Types": list(TYPES),
        },
        "Remediation": {
            "Recommendation": {
                "Text": wording.next_step(record),
                "Url": settings.remediation_url or wording.page(record.reason),
            }
        },
        "Compliance": {
            "Status": compliance_status(record.reason).value,
            "StatusReasons": _status_reasons(record),
            "RelatedRequirements": list(_RELATED_REQUIREMENTS),
        },
        "Resources": [_resource(record, tags)],
        "ProductFields": _product_fields(record, tags),
        "RecordState": "ARCHIVED" if archived else "ACTIVE",
    }


def _status_reasons(record: EvaluationRecord) -> list[dict[str, str]]:
    reasons = [{"ReasonCode": record.reason.value, "Description": fitted(record.annotation, limits.STATUS_REASON)}]
    if record.exemption:
        declared = fitted(_declared(record.exemption), limits.STATUS_REASON)
        reasons.append({"ReasonCode": EXEMPTION_DECLARED, "Description": declared})
    return [_without_blanks(reason) for reason in reasons]


def _declared(exemption: Exemption) -> str:
    facts = (
        ("reason", exemption.reason),
        ("approved by", exemption.approved_by),
        ("ticket", exemption.ticket),
        ("granted", exemption.granted),
        ("last day", exemption.expires),
    )
    named = [f"{name}: {fitted(str(fact), limits.FACT)}" for name, fact in facts if fact is not None]
    return f"As the instance's tags declare, unverified: {'; '.join(named)}"


def _resource(record: EvaluationRecord, tags: Mapping[str, str]) -> dict[str, Any]:
    is_instance = record.resource_type == INSTANCE_TYPE
    built = f"arn:{record.partition}:ec2:{record.region}:{record.account}:instance/{record.resource_id}"
    arn = record.resource_arn.strip() or (built if is_instance else record.resource_id)
    resource: dict[str, Any] = {
        "Type": "AwsEc2Instance" if is_instance else "Other",
        "Id": shortened(sendable(arn), limits.RESOURCE_ID),
    }
    if record.partition in _PARTITIONS:
        resource["Partition"] = record.partition
    if record.region.strip() and units(record.region) <= limits.REGION:
        resource["Region"] = sendable(record.region)
    if tags:
        resource["Tags"] = dict(tags)
    if record.instance and is_instance:
        resource["Details"] = {"AwsEc2Instance": _details(record.instance)}
    return resource


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that Security Hub takes, AWS's own last: they are the first that are too many."""
    by_owner = sorted(tags.items(), key=lambda tag: tag[0].startswith("aws:"))
    whole = ((sendable(key), sendable(value)) for key, value in by_owner)
    fitting = (
        (shortened(key, limits.TAG_KEY), shortened(value, limits.TAG_VALUE))
        for key, value in whole
        if key.strip() and value.strip()
    )
    return _first(fitting, limits.TAGS)


def _first(pairs: Iterable[tuple[str, str]], count: int) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in pairs:
        if len(kept) == count:
            break
        kept.setdefault(key, value)
    return kept


def _details(instance: Instance) -> dict[str, Any]:
    launched = instance.last_launch or instance.first_launch
    details = _without_blanks(
        {
            "Type": _detail(instance.instance_type),
            "ImageId": _detail(instance.image_id),
            "IamInstanceProfileArn": shortened(sendable(instance.profile_arn or ""), limits.PROFILE_ARN),
            "VpcId": _detail(instance.vpc_id),
            "SubnetId": _detail(instance.subnet_id),
            "LaunchedAt": timestamp(launched) if launched else "",
        }
    )
    options = _metadata_options(instance.metadata_options or {})
    return {**details, "MetadataOptions": options} if options else details


def _metadata_options(recorded: Mapping[str, object]) -> dict[str, str | int]:
    options: dict[str, str | int] = {}
    for name, asff_name in _METADATA_OPTIONS.items():
        match recorded.get(name):
            case int(hops) if asff_name == _HOP_LIMIT and not isinstance(hops, bool):
                options[asff_name] = hops
            case str(text) if asff_name != _HOP_LIMIT and (option := _detail(text)):
                options[asff_name] = option
    return options


def _detail(text: str | None) -> str:
    return fitted(text or "", limits.FACT)


def _product_fields(record: EvaluationRecord, tags: Mapping[str, str]) -> dict[str, str]:
    """What is known of the verdict and has no field of its own: fewer than 50 names, of less than 128 characters."""
    instance = record.instance
    left_out = len(instance.tags) - len(tags) if instance else 0
    facts = {
        "Reason": record.reason.value,
        "RuleName": record.own_rule_name,
        "RuleArn": record.rule_arn,
        "Version": record.rolecall_version,
        "RecordId": record.id,
        "OrderingTimestamp": timestamp(record.ordering_timestamp),
        "EvaluatedAt": timestamp(record.evaluated_at),
        "InstanceState": instance.state.value if instance else "",
        "FirstLaunchedAt": timestamp(instance.first_launch) if instance and instance.first_launch else "",
        "TagsLeftOut": str(left_out) if left_out else "",
        **(_exemption_facts(record.exemption) if record.exemption else {}),
    }
    fields = {name: fitted(text, limits.FACT) for name, text in facts.items()}
    parameters = record.raw.get("rule", {}).get("parameters")
    text = json.dumps(parameters, ensure_ascii=False, sort_keys=True) if parameters else ""
    fields["RuleParameters"] = shortened(sendable(text), limits.PRODUCT_FIELD_VALUE)
    return _without_blanks({f"rolecall/{name}": value for name, value in fields.items()})


def _exemption_facts(exemption: Exemption) -> dict[str, str]:
    return {
        "ExemptionState": exemption.state.value,
        "ExemptionProblem": exemption.problem,
        "ExemptionReason": exemption.reason,
        "ExemptionApprovedByAsDeclared": exemption.approved_by or "",
        "ExemptionTicket": exemption.ticket or "",
        "ExemptionGranted": exemption.granted.isoformat() if exemption.granted else "",
        "ExemptionExpires": exemption.expires.isoformat() if exemption.expires else "",
    }


def _without_blanks(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text.strip()}
