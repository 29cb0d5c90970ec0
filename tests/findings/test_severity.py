from rolecall.findings.identity import compliance_status
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity, severity
from rolecall.model import Reason
from tests.test_model import shape


def test_labels_are_those_of_the_security_hub_api() -> None:
    """In its order, from the least to the most severe."""
    assert [label.value for label in Severity] == shape("securityhub", "SeverityLabel").enum


def test_exactly_the_reasons_that_keep_a_finding_open_have_a_severity_of_their_own() -> None:
    """A reason that is added must be thought about."""
    assert list(DEFAULT_SEVERITIES) == [reason for reason in Reason if compliance_status(reason).is_open]


def test_what_is_closed_is_informational_and_what_is_chosen_prevails() -> None:
    """`INFORMATIONAL - No issue was found`, says the Security Hub API."""
    assert {reason.value: severity(reason, {Reason.NO_PROFILE: Severity.CRITICAL}).value for reason in Reason} == {
        "LEFT_SCOPE": "INFORMATIONAL",
        "DELETED": "INFORMATIONAL",
        "NOT_RECORDED": "INFORMATIONAL",
        "OTHER_RESOURCE": "INFORMATIONAL",
        "TERMINATING": "INFORMATIONAL",
        "STOPPED": "INFORMATIONAL",
        "PROFILE_NOT_ALLOWED": "HIGH",
        "PROFILE_ATTACHED": "INFORMATIONAL",
        "EXEMPT": "INFORMATIONAL",
        "EXEMPTION_EXPIRED": "MEDIUM",
        "EXEMPTION_INVALID": "MEDIUM",
        "NO_PROFILE": "CRITICAL",
    }
