"""The stacks of the example organization, as test_organization and test_guardrail look at them."""

from infra.organization_settings import OrganizationSettings, read_settings
from tests.infra.synthesis import Json, context

EXAMPLE: Json = {"environment": "organization-example"}

AUDIT = "222233334444"
MANAGEMENT = "111122223333"
MEMBER = "333344445555"
ORGANIZATION = "o-a1b2c3d4e5"
ROOT = "r-a1b2"
HOME = "eu-west-1"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1")


def organization_settings(**overrides: object) -> OrganizationSettings:
    """The example's settings with `overrides`, given as by `-c name=value`. Raises InvalidSettings."""
    settings = read_settings({**context(), **EXAMPLE, **overrides})
    assert isinstance(settings, OrganizationSettings)
    return settings


def accounts(number: int) -> list[str]:
    """That many invented account ids."""
    return [f"{100_000_000_000 + one}" for one in range(number)]
