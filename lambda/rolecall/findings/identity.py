"""Which finding a record speaks of, and what its verdict is called in Security Hub.

A finding's id is made of what stays: the rule's own name, the account, the region and the instance. The ARN of a rule
changes when the rule is created again, and a conformance pack gives its copy of the rule another name in every account.
"""

import hashlib
from enum import StrEnum

from rolecall.cutting import sendable, shortened, units
from rolecall.findings import limits
from rolecall.model import ComplianceType, Reason
from rolecall.received_record import EvaluationRecord


class ComplianceStatus(StrEnum):
    """`Compliance.Status` of a finding: all values of the Security Hub API's ComplianceStatus."""

    PASSED = "PASSED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    NOT_AVAILABLE = "NOT_AVAILABLE"

    @property
    def is_open(self) -> bool:
        """Whether somebody has to act, or accepted not to: such a finding is active."""
        return self in (ComplianceStatus.FAILED, ComplianceStatus.WARNING)


_BY_COMPLIANCE_TYPE = {
    ComplianceType.COMPLIANT: ComplianceStatus.PASSED,
    ComplianceType.NON_COMPLIANT: ComplianceStatus.FAILED,
    ComplianceType.NOT_APPLICABLE: ComplianceStatus.NOT_AVAILABLE,
}


def compliance_status(reason: Reason) -> ComplianceStatus:
    """An exempt instance is neither passed nor failed: an accepted risk stays in sight as a warning."""
    return ComplianceStatus.WARNING if reason is Reason.EXEMPT else _BY_COMPLIANCE_TYPE[reason.compliance_type]


def finding_id(record: EvaluationRecord) -> str:
    """1 to 512 characters: where there would be more, the resource id is hashed, or all if that does not do."""
    where = f"{generator_id(record.own_rule_name)}/{record.account}/{record.region}"
    whole = sendable(f"{where}/{record.resource_id}")
    if units(whole) <= limits.ID:
        return whole
    hashed = f"{where}/{_digest(record.resource_id)}"
    return hashed if units(hashed) <= limits.ID else f"rolecall/{_digest(f'{where}/{record.resource_id}')}"


def generator_id(own_rule_name: str) -> str:
    """The same in every account and region: what filters, insights and automation rules ask for."""
    return shortened(sendable(f"rolecall/{own_rule_name}"), limits.GENERATOR_ID)


def product_arn(partition: str, region: str, account: str) -> str:
    """The product under which every account may import findings of its own."""
    arn = f"arn:{partition}:securityhub:{region}:{account}:product/{account}/default"
    return shortened(sendable(arn), limits.PRODUCT_ARN)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
