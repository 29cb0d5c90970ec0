import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidSetting
from rolecall.findings.settings import (
    DEFAULTS,
    FindingSettings,
    read_keep_passed,
    read_remediation_url,
    read_settings,
    read_severities,
)
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.model import Reason
from tests.strategies import anything

REASONS = "PROFILE_NOT_ALLOWED, EXEMPT, EXEMPTION_EXPIRED, EXEMPTION_INVALID, NO_PROFILE"
LABELS = "INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL"
OBJECT = f"a JSON object of reasons ({REASONS}) and severities ({LABELS})"
ADDRESS = "an http:// or https:// address of at most 1024 printable ASCII characters"

RAISED = {**DEFAULT_SEVERITIES, Reason.NO_PROFILE: Severity.HIGH, Reason.EXEMPT: Severity.LOW}


@pytest.mark.parametrize(
    ("what", "environ", "expected"),
    [
        ("nothing", {}, DEFAULTS),
        (
            "blanks",
            {"ROLECALL_SEVERITIES": " ", "ROLECALL_KEEP_PASSED": "", "ROLECALL_REMEDIATION_URL": "  "},
            DEFAULTS,
        ),
        ("an empty object", {"ROLECALL_SEVERITIES": "{}"}, DEFAULTS),
        (
            "some severities",
            {"ROLECALL_SEVERITIES": '{"NO_PROFILE": "HIGH", "EXEMPT": "LOW"}'},
            FindingSettings(RAISED),
        ),
        ("passed ones kept", {"ROLECALL_KEEP_PASSED": "True"}, FindingSettings(DEFAULT_SEVERITIES, keep_passed=True)),
        ("passed ones archived", {"ROLECALL_KEEP_PASSED": "false"}, DEFAULTS),
        (
            "a page of one's own",
            {"ROLECALL_REMEDIATION_URL": "https://wiki.example.com/roles?x=1#how"},
            FindingSettings(DEFAULT_SEVERITIES, remediation_url="https://wiki.example.com/roles?x=1#how"),
        ),
    ],
)
def test_settings_come_from_the_environment(what: str, environ: dict[str, str], expected: FindingSettings) -> None:
    """What is absent or blank means the default."""
    assert read_settings(environ) == expected, what


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ROLECALL_SEVERITIES": "HIGH"}, f"ROLECALL_SEVERITIES is 'HIGH'; allowed: {OBJECT}"),
        ({"ROLECALL_SEVERITIES": '["HIGH"]'}, f"ROLECALL_SEVERITIES is '[\"HIGH\"]'; allowed: {OBJECT}"),
        ({"ROLECALL_SEVERITIES": '{"NONE": "LOW"}'}, f"a reason of ROLECALL_SEVERITIES is 'NONE'; allowed: {REASONS}"),
        (
            {"ROLECALL_SEVERITIES": '{"PROFILE_ATTACHED": "LOW"}'},
            f"a reason of ROLECALL_SEVERITIES is 'PROFILE_ATTACHED'; allowed: {REASONS}",
        ),
        (
            {"ROLECALL_SEVERITIES": '{"NO_PROFILE": "high"}'},
            f"ROLECALL_SEVERITIES.NO_PROFILE is 'high'; allowed: {LABELS}",
        ),
        ({"ROLECALL_SEVERITIES": '{"NO_PROFILE": 70}'}, f"ROLECALL_SEVERITIES.NO_PROFILE is 70; allowed: {LABELS}"),
        ({"ROLECALL_KEEP_PASSED": "yes"}, "ROLECALL_KEEP_PASSED is 'yes'; allowed: true or false"),
        (
            {"ROLECALL_REMEDIATION_URL": "wiki/roles"},
            f"ROLECALL_REMEDIATION_URL is 'wiki/roles'; allowed: {ADDRESS}",
        ),
        (
            {"ROLECALL_REMEDIATION_URL": "javascript:alert(1)"},
            f"ROLECALL_REMEDIATION_URL is 'javascript:alert(1)'; allowed: {ADDRESS}",
        ),
        ({"ROLECALL_REMEDIATION_URL": "https://"}, f"ROLECALL_REMEDIATION_URL is 'https://'; allowed: {ADDRESS}"),
        (
            {"ROLECALL_REMEDIATION_URL": "https://[wiki"},
            f"ROLECALL_REMEDIATION_URL is 'https://[wiki'; allowed: {ADDRESS}",
        ),
        (
            {"ROLECALL_REMEDIATION_URL": "https://wiki/a b"},
            f"ROLECALL_REMEDIATION_URL is 'https://wiki/a b'; allowed: {ADDRESS}",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(environ: dict[str, str], message: str) -> None:
    """Whoever deploys it sees at once what to change."""
    with pytest.raises(InvalidSetting) as refused:
        read_settings(environ)
    assert str(refused.value) == message


def test_an_address_may_have_1024_characters_and_none_more() -> None:
    """At the limit and one beyond it."""
    longest = f"https://wiki/{'x' * 1011}"
    assert read_remediation_url(longest, "remediationUrl") == longest
    with pytest.raises(InvalidSetting, match="remediationUrl is "):
        read_remediation_url(f"{longest}x", "remediationUrl")


def test_settings_of_a_deployment_may_be_values_as_well_as_texts() -> None:
    """cdk.json holds objects and booleans; the command line holds texts."""
    assert read_severities({"NO_PROFILE": "HIGH", "EXEMPT": "LOW"}, "findingSeverities") == RAISED
    assert read_severities(None, "findingSeverities") == DEFAULT_SEVERITIES
    assert [read_keep_passed(value, "keepPassedFindings") for value in (True, False, None, " TRUE ")] == [
        True,
        False,
        False,
        True,
    ]


@given(anything)
def test_whatever_is_given_is_read_or_refused_by_name(given_value: object) -> None:
    """No other error, whatever stands in cdk.json."""
    for read in (read_severities, read_keep_passed, read_remediation_url):
        try:
            read(given_value, "theSetting")
        except InvalidSetting as refused:
            assert "theSetting" in str(refused)  # noqa: PT017 - refusing is one of two outcomes


@given(
    severities=st.dictionaries(st.sampled_from(list(DEFAULT_SEVERITIES)), st.sampled_from(Severity)),
    keep_passed=st.booleans(),
    url=st.none() | st.just("https://wiki.example.com/roles"),
)
def test_settings_survive_the_environment(
    severities: dict[Reason, Severity], *, keep_passed: bool, url: str | None
) -> None:
    """What a deployment writes, the function reads; defaults take no room there."""
    settings = FindingSettings({**DEFAULT_SEVERITIES, **severities}, keep_passed=keep_passed, remediation_url=url)
    environment = settings.to_environment()
    assert read_settings(environment) == settings
    assert all(environment.values())
    assert DEFAULTS.to_environment() == {}
    assert json.loads(environment.get("ROLECALL_SEVERITIES", "{}")) == {
        reason.value: label.value for reason, label in severities.items() if DEFAULT_SEVERITIES[reason] is not label
    }
