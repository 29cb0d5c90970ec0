"""The part of IAM's language that the policies of roles and buckets here are written in.

IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". What is not understood
here raises UnsupportedPolicy: a stand-in that guesses would let tests pass that AWS would not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ELEMENTS = frozenset(("Sid", "Effect", "Principal", "Action", "Condition"))
_ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")


class UnsupportedPolicy(ValueError):
    """The policy says something that is not evaluated here: what, and what is."""


def effects(
    policy: Mapping[str, Any], action: str, context: Mapping[str, str], resource: str | None = None
) -> set[str]:
    """The effects of the statements that are about a request: some of Allow and Deny.

    `context` holds condition keys: aws:PrincipalAccount and aws:PrincipalArn, but of a request that nobody signed.
    `resource` is the ARN that the action is about; None in the policy of a role, where statements name none.
    """
    keys = {name.lower(): value for name, value in context.items()}
    return {one["Effect"] for one in _listed(policy["Statement"]) if _applies(one, action, keys, resource)}


def _applies(statement: Mapping[str, Any], action: str, keys: Mapping[str, str], resource: str | None) -> bool:
    unknown = statement.keys() - (_ELEMENTS if resource is None else _ELEMENTS | {"Resource"})
    if unknown or statement["Effect"] not in ("Allow", "Deny"):
        raise UnsupportedPolicy(f"a statement with {', '.join(sorted(unknown)) or statement['Effect']}")
    if not any(_glob(one.lower()).fullmatch(action.lower()) for one in _listed(statement["Action"])):
        return False
    if resource is not None and not any(_glob(one).fullmatch(resource) for one in _listed(statement["Resource"])):
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
            or allowed == keys.get("aws:principalarn")
            or (account and account[1] == keys.get("aws:principalaccount"))
        ):
            return True
    return False


def _holds(operator: str, key: str, values: Any, keys: Mapping[str, str]) -> bool:  # noqa: ANN401 - JSON
    given = keys.get(key.lower())
    if operator == "Null":
        return [str(value).lower() for value in _listed(values)] == [str(given is None).lower()]
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        raise UnsupportedPolicy(
            f"condition operator {operator}; evaluated: Null, {', '.join(_OPERATORS)}, also IfExists"
        )
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


_OPERATORS: dict[str, Callable[[Any, str], object]] = {
    "StringEquals": lambda value, given: value == given,
    "StringNotEquals": lambda value, given: value == given,
    "StringLike": lambda value, given: _glob(value).fullmatch(given),
    # The same for AWS.
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "ArnNotEquals": _arn_matches,
    "Bool": lambda value, given: str(value).lower() == given.lower(),
    "NumericLessThan": lambda value, given: float(given) < float(value),
}
_NEGATED = frozenset(["StringNotEquals", "ArnNotEquals"])


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON: one value may stand for a list of it
    return value if isinstance(value, list | tuple) else [value]
