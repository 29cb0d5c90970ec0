"""Rule parameters: what each is called, what it may be, and what it means when it is left out.

Config passes every parameter as a string inside one JSON object of at most 1,024 characters (PutConfigRule,
`ConfigRule.InputParameters`). The same parser checks the settings at synth and the options of the command line, so
that a bad value fails before a deploy.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rolecall.errors import InvalidParameter

MAX_JSON_LENGTH = 1024
"""Characters of the whole `InputParameters` JSON: the Config API's ConfigRule."""

TAG_KEY_MAX_LENGTH = 128 - len(":approved-by")
"""EC2 allows 128 characters in a tag key; the longest companion tag must fit as well."""

MAX_DAYS = 36_500

_TAG_KEY = re.compile(r"[\w .:/=+@-]+")
_PROFILE_ARN_PATTERN = re.compile(r"arn:[\w*?-]+:iam::[\d*?]+:instance-profile/[^\s,]+")


@dataclass(frozen=True, slots=True)
class ProfilePattern:
    """An ARN of instance profiles in which `*` stands for any characters and `?` for one.

    As in IAM, a wildcard never reaches across a colon-separated part, so that no path can imitate another account's
    profile; within the last part it reaches across `/`: `instance-profile/app-*` also means profiles of path `/app-x/`.
    """

    text: str
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile once: a sweep matches the same pattern against every instance of an account."""
        parts = self.text.split(":", 5)
        translated = (
            "".join({"*": any_of, "?": any_of.removesuffix("*")}.get(c, re.escape(c)) for c in part)
            for part, any_of in zip(parts, ["[^:]*"] * 5 + [".*"], strict=True)
        )
        object.__setattr__(self, "_expression", re.compile(":".join(translated), re.DOTALL))

    def matches(self, arn: str) -> bool:
        """Case counts, as it does in ARNs."""
        return self._expression.fullmatch(arn) is not None


@dataclass(frozen=True, slots=True)
class RuleParameters:
    """The parameters of one rule; the defaults are what a rule without parameters does."""

    exemption_tag_key: str = "intentional-no-role"
    exemption_reason_required: bool = True
    exemption_expiry_required: bool = False
    exemption_max_days: int = 0
    """Days from granted to expires; 0 means no limit."""
    exemption_approver_required: bool = False
    allowed_instance_profile_arns: tuple[ProfilePattern, ...] = ()
    """Empty means any profile."""
    evaluate_stopped: bool = True

    def allows_profile(self, arn: str) -> bool:
        """Whether an instance may carry the instance profile `arn`."""
        patterns = self.allowed_instance_profile_arns
        return not patterns or any(pattern.matches(arn) for pattern in patterns)

    def to_strings(self) -> dict[str, str]:
        """All parameters under Config's names, as strings: what a record shows and `InputParameters` takes."""
        return {name: _to_string(getattr(self, spec.attribute)) for name, spec in PARAMETERS.items()}

    def changed(self) -> dict[str, str]:
        """Only the parameters that differ from their defaults, so that `InputParameters` stays short."""
        defaults = RuleParameters().to_strings()
        return {name: text for name, text in self.to_strings().items() if text != defaults[name]}


def _to_string(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(pattern.text for pattern in value)
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter: the field of `RuleParameters`, how its text is read, what is allowed and what it means."""

    attribute: str
    read: Callable[[str], object]
    """Raises ValueError with the text, or the part of it, that is not allowed."""
    allowed: str
    meaning: str


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MAX_DAYS:
        raise ValueError(text)
    return int(text)


def _tag_key(text: str) -> str:
    reserved = text.lower().startswith("aws:")
    if reserved or len(text) > TAG_KEY_MAX_LENGTH or not _TAG_KEY.fullmatch(text):
        raise ValueError(text)
    return text


def _profile_patterns(text: str) -> tuple[ProfilePattern, ...]:
    arns = [arn.strip() for arn in text.split(",") if arn.strip()]
    if not arns:
        raise ValueError(text)
    for arn in arns:
        if not _PROFILE_ARN_PATTERN.fullmatch(arn):
            raise ValueError(arn)
    return tuple(ProfilePattern(arn) for arn in arns)


_TRUE_OR_FALSE = "true or false"

PARAMETERS: Mapping[str, ParameterSpec] = {
    "exemptionTagKey": ParameterSpec(
        "exemption_tag_key",
        _tag_key,
        f"a tag key of 1 to {TAG_KEY_MAX_LENGTH} letters, digits, spaces or _.:/=+-@ that does not begin with aws:",
        "The tag whose presence declares that having no role is intended; matched exactly, case and all.",
    ),
    "exemptionReasonRequired": ParameterSpec(
        "exemption_reason_required",
        _boolean,
        _TRUE_OR_FALSE,
        "Whether the exemption tag's value must say why.",
    ),
    "exemptionExpiryRequired": ParameterSpec(
        "exemption_expiry_required",
        _boolean,
        _TRUE_OR_FALSE,
        "Whether the companion tag :expires must be there.",
    ),
    "exemptionMaxDays": ParameterSpec(
        "exemption_max_days",
        _days,
        f"a whole number of days from 0 (no limit) to {MAX_DAYS}",
        "Above 0, the companion tags :granted and :expires must be there and no further apart than this.",
    ),
    "exemptionApproverRequired": ParameterSpec(
        "exemption_approver_required",
        _boolean,
        _TRUE_OR_FALSE,
        "Whether the companion tag :approved-by must be there.",
    ),
    "allowedInstanceProfileArns": ParameterSpec(
        "allowed_instance_profile_arns",
        _profile_patterns,
        "comma-separated instance profile ARNs, * and ? as wildcards, as arn:aws:iam::*:instance-profile/app-*",
        "The instance profiles that count; empty allows any.",
    ),
    "evaluateStopped": ParameterSpec(
        "evaluate_stopped",
        _boolean,
        _TRUE_OR_FALSE,
        "Whether stopped and stopping instances are judged.",
    ),
}

ALIASES: Mapping[str, str] = {"IamInstanceProfileArnList": "allowedInstanceProfileArns"}
"""The AWS managed rule EC2_INSTANCE_PROFILE_ATTACHED calls it so: moving over needs no change of parameters."""


def parse_parameters(given: object) -> RuleParameters:
    """Read `ruleParameters`: the JSON text that Config sends, or an object of names and values.

    None, blank text, `"null"` and an empty object mean the defaults, and so does a parameter whose value is null or
    blank. Raises InvalidParameter naming the parameter, its value and what is allowed.
    """
    values: dict[str, object] = {}
    for name, value in _named_values(given).items():
        canonical = ALIASES.get(name, name)
        spec = PARAMETERS.get(canonical)
        if spec is None:
            raise InvalidParameter(f"rule parameter {name}", value, f"the parameters {', '.join(PARAMETERS)}")
        if spec.attribute in values:
            names = [alias for alias, meant in ALIASES.items() if meant == canonical]
            raise InvalidParameter(f"rule parameter {name}", value, f"only one of {', '.join([canonical, *names])}")
        text = _text(name, value, spec)
        if text:
            try:
                values[spec.attribute] = spec.read(text)
            except ValueError as refused:
                raise InvalidParameter(f"rule parameter {name}", refused.args[0], spec.allowed) from None
    return RuleParameters(**values)  # type: ignore[arg-type]  # each spec reads the type of its own field


def _named_values(given: object) -> Mapping[str, object]:
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else None
        except (ValueError, RecursionError):
            raise InvalidParameter("ruleParameters", given, "a JSON object of names and values") from None
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidParameter("ruleParameters", given, "a JSON object of names and values")
    return given


def _text(name: str, value: object, spec: ParameterSpec) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value).strip()
        case _:
            raise InvalidParameter(f"rule parameter {name}", value, spec.allowed)
