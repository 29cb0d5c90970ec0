import re
from typing import Any

import botocore.session
import pytest

from rolecall.findings import asff, limits
from rolecall.frameworks import REQUIREMENTS

MODEL = botocore.session.get_session().get_service_model("securityhub")


def prose(shape: str, member: str) -> str:
    """What AWS's own model says of one field."""
    members: Any = MODEL.shape_for(shape).members  # type: ignore[attr-defined]  # of a structure
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", members[member].documentation))


@pytest.mark.parametrize(
    ("shape", "member", "sentence", "limit"),
    [
        ("AwsSecurityFinding", "Id", "Maximum length of {}", limits.ID),
        ("AwsSecurityFinding", "ProductArn", "Maximum length of {}", limits.PRODUCT_ARN),
        ("AwsSecurityFinding", "ProductName", "Maximum length of {}", limits.PRODUCT_NAME),
        ("AwsSecurityFinding", "CompanyName", "Maximum length of {}", limits.COMPANY_NAME),
        ("AwsSecurityFinding", "GeneratorId", "Maximum length of {}", limits.GENERATOR_ID),
        ("AwsSecurityFinding", "Title", "Maximum length of {}", limits.TITLE),
        ("AwsSecurityFinding", "Description", "Maximum length of {}", limits.DESCRIPTION),
        ("AwsSecurityFinding", "Types", "Maximum number of {} items", limits.TYPES),
        ("AwsSecurityFinding", "ProductFields", "Can contain up to {} key-value pairs", limits.PRODUCT_FIELDS),
        ("AwsSecurityFinding", "ProductFields", "the key can contain up to {} characters", limits.PRODUCT_FIELD_KEY),
        (
            "AwsSecurityFinding",
            "ProductFields",
            "the value can contain up to {} characters",
            limits.PRODUCT_FIELD_VALUE,
        ),
        ("Resource", "Type", "Maximum length of {}", limits.RESOURCE_TYPE),
        ("Resource", "Region", "Maximum length of {}", limits.REGION),
        ("Recommendation", "Text", "Maximum of {} length", limits.RECOMMENDATION_TEXT),
        ("Compliance", "RelatedRequirements", "Maximum number of {} items", limits.RELATED_REQUIREMENTS),
    ],
)
def test_limits_are_those_of_the_security_hub_api(shape: str, member: str, sentence: str, limit: int) -> None:
    """Whatever rolecall cuts, it cuts at the number in AWS's own service model."""
    text = prose(shape, member)
    assert sentence.format(limit) in text, text


def test_tags_are_limited_as_ec2_limits_them() -> None:
    """Security Hub names no numbers of its own; EC2's are those of `Tag` in its model."""
    assert "Tags must follow Amazon Web Services tag naming limits and requirements" in prose("Resource", "Tags")
    tag: Any = botocore.session.get_session().get_service_model("ec2").shape_for("Tag")
    # The user guides of EC2 and of tagging say 128 for a key.
    assert f"a maximum of {limits.TAG_KEY - 1} Unicode characters" in tag.members["Key"].documentation
    assert f"a maximum of {limits.TAG_VALUE} Unicode characters" in tag.members["Value"].documentation


def test_what_is_fixed_keeps_its_limits() -> None:
    """Types, product, requirements: no record can change them."""
    assert len(asff.TYPES) <= limits.TYPES
    assert 1 <= len(asff.PRODUCT) <= min(limits.PRODUCT_NAME, limits.COMPANY_NAME)
    assert len(REQUIREMENTS) <= limits.RELATED_REQUIREMENTS
    assert max(len(str(requirement)) for requirement in REQUIREMENTS) <= limits.RELATED_REQUIREMENT
