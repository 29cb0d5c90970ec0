import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.cutting import units
from rolecall.findings.identity import (
    ComplianceStatus,
    compliance_status,
    finding_id,
    generator_id,
    product_arn,
)
from rolecall.model import Reason
from tests.builders import ACCOUNT, INSTANCE_ID, REGION
from tests.findings.records import raw_record, record
from tests.strategies import texts
from tests.test_model import shape

WHERE = f"rolecall/ec2-instance-profile/{ACCOUNT}/{REGION}"
ROOM = 512 - len(WHERE) - 1
"""What is left of an Id for the resource's id."""


def sha256(text: str) -> str:
    """Hexadecimal, of the text's UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("what", "resource_id", "expected"),
    [
        ("an instance", INSTANCE_ID, f"{WHERE}/{INSTANCE_ID}"),
        ("as long as may be", "x" * ROOM, f"{WHERE}/{'x' * ROOM}"),
        ("one longer", "x" * (ROOM + 1), f"{WHERE}/{sha256('x' * (ROOM + 1))}"),
        ("longer in UTF-16 alone", "😀" * (ROOM // 2 + 1), f"{WHERE}/{sha256('😀' * (ROOM // 2 + 1))}"),
        ("what UTF-8 cannot carry", "x\ud800", f"{WHERE}/x\ufffd"),
    ],
)
def test_an_id_says_rule_account_region_and_resource_within_512_characters(
    what: str, resource_id: str, expected: str
) -> None:
    """At the limit and one beyond it."""
    assert finding_id(record(resourceId=resource_id)) == expected, what


LONGEST_NAME = 512 - 64 - len(f"rolecall//{ACCOUNT}/{REGION}/")
"""Of a rule, so that a hash of the resource's id still fits behind it."""
LONG = "x" * 600


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("n" * LONGEST_NAME, f"rolecall/{'n' * LONGEST_NAME}/{ACCOUNT}/{REGION}/{sha256(LONG)}"),
        (
            "n" * (LONGEST_NAME + 1),
            f"rolecall/{sha256(f'rolecall/{chr(110) * (LONGEST_NAME + 1)}/{ACCOUNT}/{REGION}/{LONG}')}",
        ),
    ],
)
def test_an_id_fits_whatever_the_rule_is_called(name: str, expected: str) -> None:
    """Where its name leaves no room for a hash either, the whole is hashed: at the limit and one beyond it."""
    assert finding_id(record(rule_name=name, resourceId=LONG)) == expected


def test_an_id_outlives_the_rule_and_is_the_same_in_a_conformance_pack() -> None:
    """The ARN changes when the rule is created again, and a pack names its copy differently in every account."""
    packed = f"{record().rule_name}-conformance-pack-szsm1uv0w"
    again = {**raw_record()["rule"], "arn": "arn:aws:config:eu-west-1:111122223333:config-rule/config-rule-zzzzzz"}
    assert {finding_id(record()), finding_id(record(rule_name=packed)), finding_id(record(rule=again))} == {
        f"{WHERE}/{INSTANCE_ID}"
    }


@given(resource=texts.filter(bool), region=texts.filter(bool), name=texts.filter(bool) | st.text(min_size=400))
def test_ids_fit_and_can_be_sent_whatever_the_record_holds(resource: str, region: str, name: str) -> None:
    """1 to 512 UTF-16 units that UTF-8 can carry, for the id and the generator."""
    one = record(resourceId=resource, region=region, rule={**raw_record()["rule"], "name": name})
    for text in (finding_id(one), generator_id(one.own_rule_name)):
        assert 1 <= units(text) <= 512
        text.encode()
    product_arn("aws", region, ACCOUNT).encode()


@pytest.mark.parametrize(
    ("name", "expected"), [("n" * 503, f"rolecall/{'n' * 503}"), ("n" * 504, f"rolecall/{'n' * 503}")]
)
def test_a_generator_id_is_the_rules_name_within_512_characters(name: str, expected: str) -> None:
    """At the limit and one beyond it."""
    assert generator_id(name) == expected


@pytest.mark.parametrize(
    ("partition", "region", "expected"),
    [
        ("aws", "eu-west-1", f"arn:aws:securityhub:eu-west-1:{ACCOUNT}:product/{ACCOUNT}/default"),
        ("aws-cn", "cn-north-1", f"arn:aws-cn:securityhub:cn-north-1:{ACCOUNT}:product/{ACCOUNT}/default"),
    ],
)
def test_the_product_is_the_accounts_own_in_its_region(partition: str, region: str, expected: str) -> None:
    """The default product: the account that imports must be the finding's own."""
    assert product_arn(partition, region, ACCOUNT) == expected


@pytest.mark.parametrize("excess", [0, 1])
def test_a_product_arn_has_at_most_2048_characters(excess: int) -> None:
    """At the limit and one beyond it, though no region is called so."""
    region = "r" * (2048 - len(product_arn("aws", "", ACCOUNT)) + excess)
    assert len(product_arn("aws", region, ACCOUNT)) == 2048


def test_every_reason_has_its_status() -> None:
    """FAILED and WARNING are open; nothing else is."""
    assert {reason.value: compliance_status(reason).value for reason in Reason} == {
        "LEFT_SCOPE": "NOT_AVAILABLE",
        "DELETED": "NOT_AVAILABLE",
        "NOT_RECORDED": "NOT_AVAILABLE",
        "OTHER_RESOURCE": "NOT_AVAILABLE",
        "TERMINATING": "NOT_AVAILABLE",
        "STOPPED": "NOT_AVAILABLE",
        "PROFILE_NOT_ALLOWED": "FAILED",
        "PROFILE_ATTACHED": "PASSED",
        "EXEMPT": "WARNING",
        "EXEMPTION_EXPIRED": "FAILED",
        "EXEMPTION_INVALID": "FAILED",
        "NO_PROFILE": "FAILED",
    }
    assert {status for status in ComplianceStatus if status.is_open} == {"FAILED", "WARNING"}


def test_statuses_are_those_of_the_security_hub_api() -> None:
    """A status that AWS does not know would make the finding invalid."""
    assert {status.value for status in ComplianceStatus} == set(shape("securityhub", "ComplianceStatus").enum)
