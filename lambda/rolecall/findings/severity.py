"""How much each reason matters, until the operator says otherwise."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from rolecall.model import Reason


class Severity(StrEnum):
    """`Severity.Label` of a finding: all values of the Security Hub API's SeverityLabel."""

    INFORMATIONAL = "INFORMATIONAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


DEFAULT_SEVERITIES: Mapping[Reason, Severity] = MappingProxyType(
    {
        Reason.PROFILE_NOT_ALLOWED: Severity.HIGH,
        Reason.EXEMPT: Severity.INFORMATIONAL,
        Reason.EXEMPTION_EXPIRED: Severity.MEDIUM,
        Reason.EXEMPTION_INVALID: Severity.MEDIUM,
        Reason.NO_PROFILE: Severity.MEDIUM,
    }
)
"""Of every reason that keeps a finding open, in the order in which the rule asks.

A profile that the rule does not allow is at work with permissions that nobody chose; an instance without a profile has
none, or credentials on its disk.
"""


def severity(reason: Reason, chosen: Mapping[Reason, Severity]) -> Severity:
    """What is closed is INFORMATIONAL: `no issue was found`, as the Security Hub API puts it."""
    return chosen.get(reason, DEFAULT_SEVERITIES.get(reason, Severity.INFORMATIONAL))
