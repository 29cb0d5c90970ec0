from typing import Any

import pytest

from local.policy_language import UnsupportedPolicy
from local.trust_policies import trusts
from tests.local.roles import trust_of

AUDIT, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{AUDIT}:role/rolecall-rule"
CALLER = {
    "aws:PrincipalAccount": AUDIT,
    "aws:PrincipalArn": ROLE,
    "aws:PrincipalOrgID": "o-a1b2c3d4e5",
    "sts:RoleSessionName": "rolecall-rule",
}


def statement(**changes: object) -> dict[str, Any]:
    """A trust policy of one statement, which lets the audit account in unless `changes` say otherwise."""
    return {"Statement": {"Effect": "Allow", "Principal": {"AWS": AUDIT}, "Action": "sts:AssumeRole"} | changes}


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("the account by its number", trust_of(AUDIT), True),
    ("the account by its root", trust_of(f"arn:aws:iam::{AUDIT}:root"), True),
    ("another account", trust_of(OTHER), False),
    ("one of several", statement(Principal={"AWS": [OTHER, AUDIT]}), True),
    ("the very role", trust_of(ROLE), True),
    ("another role", trust_of(f"{ROLE}-2"), False),
    ("anybody", statement(Principal="*"), True),
    ("anybody of AWS", statement(Principal={"AWS": "*"}), True),
    ("a service", statement(Principal={"Service": "lambda.amazonaws.com"}), False),
    ("another action", statement(Action="sts:TagSession"), False),
    ("one of several actions", statement(Action=["sts:TagSession", "sts:Assume*"]), True),
    ("nothing", {"Statement": []}, False),
    ("an equal ARN", trust_of(AUDIT, ArnEquals={"aws:PrincipalArn": ROLE}), True),
    ("a wildcard in an ARN", trust_of(AUDIT, ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/rolecall-*"}), True),
    ("a wildcard across its parts", trust_of(AUDIT, ArnLike={"aws:PrincipalArn": "arn:*role/rolecall-rule"}), False),
    ("another ARN", trust_of(AUDIT, ArnEquals={"aws:PrincipalArn": f"{ROLE}-2"}), False),
    ("our organization", trust_of(AUDIT, StringEquals={"aws:PrincipalOrgID": ["o-zzzzzzzzzz", "o-a1b2c3d4e5"]}), True),
    ("another organization", trust_of(AUDIT, StringEquals={"aws:PrincipalOrgID": "o-zzzzzzzzzz"}), False),
    ("a key in another case", trust_of(AUDIT, StringEquals={"AWS:principalorgid": "o-a1b2c3d4e5"}), True),
    ("a value in another case", trust_of(AUDIT, StringEquals={"sts:RoleSessionName": "Rolecall-Rule"}), False),
    ("a pattern", trust_of(AUDIT, StringLike={"sts:RoleSessionName": "rolecall-?ule"}), True),
    ("a value that it must not be", trust_of(AUDIT, StringNotEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}), False),
    ("a key that is not there", trust_of(AUDIT, StringEquals={"sts:ExternalId": "x"}), False),
    ("a key that need not be there", trust_of(AUDIT, StringEqualsIfExists={"sts:ExternalId": "x"}), True),
    ("a key that is not there is not equal", trust_of(AUDIT, StringNotEquals={"sts:ExternalId": "x"}), True),
    ("an ARN that it must not be", trust_of(AUDIT, ArnNotEquals={"aws:PrincipalArn": ROLE}), False),
    ("an ARN that it is not", trust_of(AUDIT, ArnNotEquals={"aws:PrincipalArn": f"{ROLE}-2"}), True),
    ("none of several ARNs", trust_of(AUDIT, ArnNotEquals={"aws:PrincipalArn": [ROLE, f"{ROLE}-2"]}), False),
    ("a key that must not be there", trust_of(AUDIT, Null={"sts:ExternalId": "true"}), True),
    ("a key that must be there", trust_of(AUDIT, Null={"sts:ExternalId": False}), False),
    ("true or false", trust_of(AUDIT, Bool={"aws:MultiFactorAuthPresent": "true"}), False),
    ("all conditions have to hold", trust_of(AUDIT, ArnEquals={"aws:PrincipalArn": ROLE},
     StringEquals={"aws:PrincipalOrgID": "o-zzzzzzzzzz"}), False),
    ("a denial prevails", {"Statement": [*trust_of(AUDIT)["Statement"], statement(Effect="Deny")["Statement"]]}, False),
    ("a denial of others does not", {"Statement": [*trust_of(AUDIT)["Statement"], statement(Effect="Deny",
     Principal="*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})["Statement"]]}, True),
]  # fmt: skip


@pytest.mark.parametrize(("what", "policy", "allowed"), CASES, ids=[case[0] for case in CASES])
def test_whom_a_trust_policy_lets_in(what: str, policy: dict[str, Any], allowed: bool) -> None:
    """As IAM's documentation says."""
    assert trusts(policy, CALLER) is allowed, what


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    (statement(Condition={"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}), "condition operator DateLessThan; eva"),
    (statement(NotAction="sts:TagSession"), "a statement with NotAction"),
    (statement(Effect="allow"), "a statement with allow"),
]


@pytest.mark.parametrize(("policy", "message"), UNSUPPORTED, ids=[case[1] for case in UNSUPPORTED])
def test_what_is_not_evaluated_is_said(policy: dict[str, Any], message: str) -> None:
    """A guess would let tests pass that AWS would not."""
    with pytest.raises(UnsupportedPolicy, match=message):
        trusts(policy, CALLER)
