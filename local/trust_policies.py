"""Whether a role's trust policy lets somebody assume it: the part of IAM's language that trust policies need.

IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". What is not understood
here raises UnsupportedPolicy: a stand-in that guesses would let tests pass that AWS would not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ASSUME_ROLE = "sts:AssumeRole"

_ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")


class UnsupportedPolicy(ValueError):
    """The policy says something that is not evaluated here: what, and what is."""


def trusts(policy: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether `policy` allows AssumeRole to whoever `context` describes.

    `context` holds condition keys: at least aws:PrincipalAccount and aws:PrincipalArn. A Deny prevails.
    """
    keys = {name.lower(): value for name, value in context.items()}
    effects = {statement["Effect"] for statement in _listed(policy["Statement"]) if _applies(statement, keys)}
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], keys: Mapping[str, str]) -> bool:
    unknown = statement.keys() - {"Sid", "Effect", "Principal", "Action", "Condition"}
    if unknown or statement["Effect"] not in ("Allow", "Deny"):
        raise UnsupportedPolicy(f"a statement with {', '.join(sorted(unknown)) or statement['Effect']}")
    if not any(_glob(action.lower()).fullmatch(ASSUME_ROLE.lower()) for action in _listed(statement["Action"])):
        return False
    return _is_principal(statement["Principal"], keys) and all(
        _holds(operator, key, values, keys)
        for operator, conditions in statement.get("Condition", {}).items()
        for key, values in conditions.items()
    )


def _is_principal(principal: Any, keys: Mapping[str, str]) -> bool:  # noqa: ANN401 - JSON
    if principal == "*":
        return True
    # Services and federated users are principals too, but never the callers here.
    for allowed in _listed(principal.get("AWS", ())):
        account = _ACCOUNT.fullmatch(allowed)
        if (
            allowed == "*"
            or allowed == keys["aws:principalarn"]
            or (account and account[1] == keys["aws:principalaccount"])
        ):
            return True
    return False


def _holds(operator: str, key: str, values: Any, keys: Mapping[str, str]) -> bool:  # noqa: ANN401 - JSON
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        raise UnsupportedPolicy(f"condition operator {operator}; evaluated: {', '.join(_OPERATORS)}, also IfExists")
    given = keys.get(key.lower())
    if given is None:
        return name != operator or name in _NEGATED
    matches = any(_OPERATORS[name](value, given) for value in _listed(values))
    return matches is not (name in _NEGATED)


def _arn_matches(pattern: str, arn: str) -> bool:
    """Part by part: a wildcard does not reach beyond a colon, but in the last of the six."""
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) and all(
        _glob(one).fullmatch(part) for one, part in zip(patterns, parts, strict=True)
    )


_OPERATORS: dict[str, Callable[[str, str], object]] = {
    "StringEquals": lambda value, given: value == given,
    "StringNotEquals": lambda value, given: value == given,
    "StringLike": lambda value, given: _glob(value).fullmatch(given),
    # The same for AWS.
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
}
_NEGATED = frozenset(["StringNotEquals"])


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON: one value may stand for a list of it
    return value if isinstance(value, list | tuple) else [value]
