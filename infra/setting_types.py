"""What settings are made of: the errors that name them, readers of their values, and where they are found.

Each reader takes a value as cdk.json or the command line gives it, and refuses what it cannot be.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from rolecall.errors import InvalidParameter, InvalidSetting, RolecallError, shown
from rolecall.findings.settings import read_remediation_url, read_severities
from rolecall.findings.severity import DEFAULT_SEVERITIES
from rolecall.parameters import MAX_JSON_LENGTH, RuleParameters, parse_parameters

RETENTION_DAYS = frozenset(
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
)
"""What CloudWatch Logs takes: PutRetentionPolicy."""

_ARN = "arn:[a-z0-9-]+:{service}:[a-z0-9-]+:[0-9]{{12}}:{name}"
TOPIC_ARN = _ARN.format(service="sns", name="[A-Za-z0-9_-]{1,256}")
KEY_ARN = _ARN.format(service="kms", name="key/[A-Za-z0-9-]{1,128}")
BUS_NAME = "[A-Za-z0-9._/-]{1,256}"
BUS_ARN = _ARN.format(service="events", name=f"event-bus/{BUS_NAME}")

_CDK_CONTEXT = frozenset(["cli-telemetry"])
"""Context of the CDK itself that does not show it; all its other keys begin with @ or contain a colon."""

SENTENCE = "sentence"
"""Type of the errors that already say everything in one line."""


class InvalidSettings(RolecallError):
    """One line for each setting that is wrong: its name, its value and what is allowed."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words: for error messages and documentation."""

    text: str


def refusal(name: str, value: object, allowed: str) -> str:
    """The line that says what is wrong with a setting; true and false as cdk.json has them."""
    given = json.dumps(value) if isinstance(value, bool) else shown(value)
    return f"setting {name} is {given}; allowed: {allowed}"


def sentence(text: str) -> PydanticCustomError:
    """What a validator raises that already says everything in one line."""
    return PydanticCustomError(SENTENCE, "{text}", {"text": text})


def _no_boolean(value: object) -> object:
    """In Python true is 1, and 1 is a legal number of concurrent executions."""
    if isinstance(value, bool):
        raise PydanticCustomError("boolean", "not a number")
    return value


def none_for_blank(value: object) -> object:
    """`-c name=` unsets what cdk.json sets."""
    return None if value == "" else value


def listed(value: object) -> object:
    """`-c name=one,two` is a list on the command line, and so is `-c 'name=["one", "two"]'`."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return tuple(filter(None, map(str.strip, value.split(","))))


def retention(days: int) -> int:
    """A period for which CloudWatch Logs keeps log lines."""
    if days not in RETENTION_DAYS:
        raise PydanticCustomError("retention", "not a period of CloudWatch Logs")
    return days


def rule_parameters_given(given: object) -> RuleParameters:
    """The rule's parameters, by the function's own parser, within what AWS Config takes for one rule."""
    try:
        parameters = parse_parameters(given)
    except InvalidParameter as refused:
        raise sentence(f"setting ruleParameters: {refused}") from None
    text = json.dumps(parameters.changed())
    if len(text) > MAX_JSON_LENGTH:
        raise sentence(
            f"setting ruleParameters is {len(text)} characters of JSON; allowed: at most {MAX_JSON_LENGTH}, "
            "AWS Config's limit for the parameters of one rule"
        )
    return parameters


def severities_given(given: object) -> dict[str, str]:
    """Those that are no defaults."""
    try:
        read = read_severities(given, "setting findingSeverities")
    except InvalidSetting as refused:
        raise sentence(str(refused)) from None
    return {reason.value: label.value for reason, label in read.items() if DEFAULT_SEVERITIES[reason] != label}


def remediation_url_given(given: object) -> str | None:
    """A web address, by the findings function's own reader."""
    try:
        return read_remediation_url(given, "setting remediationUrl")
    except InvalidSetting as refused:
        raise sentence(str(refused)) from None


WholeNumber = Annotated[int, BeforeValidator(_no_boolean)]


def given_settings(context: Mapping[str, object]) -> dict[str, object]:
    """The settings in the context of a CDK app: those of the environment, and over them the single ones."""
    given = {key: value for key, value in context.items() if not _belongs_to_cdk(key)}
    chosen = _environment(given.pop("environment", "default"), given.pop("environments", {"default": {}}))
    return {**chosen, **given}


def _belongs_to_cdk(key: str) -> bool:
    return key.startswith("@") or ":" in key or key in _CDK_CONTEXT


def _environment(name: object, environments: object) -> Mapping[str, object]:
    if not isinstance(environments, Mapping):
        raise InvalidSettings(refusal("environments", environments, "an object of environment names and settings"))
    if not isinstance(name, str) or name not in environments:
        raise InvalidSettings(refusal("environment", name, f"{', '.join(environments)} (environments in cdk.json)"))
    settings = environments[name]
    if not isinstance(settings, Mapping):
        raise InvalidSettings(refusal(f"environments.{name}", settings, "an object of settings and values"))
    return settings
