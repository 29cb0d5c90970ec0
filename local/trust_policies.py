"""Whether a role's trust policy lets somebody assume it."""

from collections.abc import Mapping
from typing import Any

from local.policy_language import effects

ASSUME_ROLE = "sts:AssumeRole"


def trusts(policy: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether `policy` allows AssumeRole to whoever `context` describes.

    `context` holds condition keys: at least aws:PrincipalAccount and aws:PrincipalArn. A Deny prevails. Raises
    UnsupportedPolicy.
    """
    return effects(policy, ASSUME_ROLE, context) == {"Allow"}
