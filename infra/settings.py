"""Settings of a deployment: each with its type, default, limits and meaning.

They come from the CDK context. `environments` in cdk.json holds the settings of each environment by name,
`-c environment=NAME` chooses one, and any other context value overrides a single setting: `-c memoryMb=1024`.
Nothing is read from environment variables or from AWS: the same commit and command give the same template.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from rolecall.errors import InvalidParameter, InvalidSetting, RolecallError, shown
from rolecall.findings.settings import FindingSettings, read_remediation_url, read_severities
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.parameters import MAX_JSON_LENGTH, PARAMETERS, RuleParameters, parse_parameters

RULE_NAME_MAX_LENGTH = 37
"""A conformance pack appends 27 characters to a rule's name, and GetComplianceDetailsByConfigRule takes 64."""

MAX_STACK_NAME = 128
"""CloudFormation's limit."""

FREQUENCY_HOURS = {"One_Hour": 1, "Three_Hours": 3, "Six_Hours": 6, "Twelve_Hours": 12, "TwentyFour_Hours": 24}
"""Config's MaximumExecutionFrequency."""

_RETENTION_DAYS = frozenset(
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
)
"""What CloudWatch Logs takes: PutRetentionPolicy."""

_ARN = "arn:[a-z0-9-]+:{service}:[a-z0-9-]+:[0-9]{{12}}:{name}"
_TOPIC_ARN = _ARN.format(service="sns", name="[A-Za-z0-9_-]{1,256}")
_BUS_NAME = "[A-Za-z0-9._/-]{1,256}"
_BUS_ARN = _ARN.format(service="events", name=f"event-bus/{_BUS_NAME}")

_CDK_CONTEXT = frozenset(["cli-telemetry"])
"""Context of the CDK itself that does not show it; all its other keys begin with @ or contain a colon."""

_SENTENCE = "sentence"
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
    """The line that says what is wrong with a setting."""
    return f"setting {name} is {shown(value)}; allowed: {allowed}"


def sentence(text: str) -> PydanticCustomError:
    """What a validator raises that already says everything in one line."""
    return PydanticCustomError(_SENTENCE, "{text}", {"text": text})


def _no_boolean(value: object) -> object:
    """In Python true is 1, and 1 is a legal number of concurrent executions."""
    if isinstance(value, bool):
        raise PydanticCustomError("boolean", "not a number")
    return value


def _none_for_blank(value: object) -> object:
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


def _retention(days: int) -> int:
    if days not in _RETENTION_DAYS:
        raise PydanticCustomError("retention", "not a period of CloudWatch Logs")
    return days


def _rule_parameters(given: object) -> RuleParameters:
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


def _finding_severities(given: object) -> dict[str, str]:
    """Those that are no defaults."""
    try:
        read = read_severities(given, "setting findingSeverities")
    except InvalidSetting as refused:
        raise sentence(str(refused)) from None
    return {reason.value: label.value for reason, label in read.items() if DEFAULT_SEVERITIES[reason] != label}


def _remediation_url(given: object) -> str | None:
    try:
        return read_remediation_url(given, "setting remediationUrl")
    except InvalidSetting as refused:
        raise sentence(str(refused)) from None


WholeNumber = Annotated[int, BeforeValidator(_no_boolean)]

COMPANION_RULES = (
    "ec2-imdsv2-check",
    "ec2-launch-template-imdsv2-check",
    "access-keys-rotated",
    "iam-user-unused-credentials-check",
)
"""AWS's own rules on what goes with a role, which a conformance pack can hold beside rolecall's."""

CompanionRule = Literal[
    "ec2-imdsv2-check",
    "ec2-launch-template-imdsv2-check",
    "access-keys-rotated",
    "iam-user-unused-credentials-check",
]


class Settings(BaseModel):
    """The settings of one deployment under the names of cdk.json. `from_context` reads them."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)

    mode: Annotated[Literal["account"], Allowed("account or organization")] = "account"
    """What is deployed: one stack for the account and region that it is deployed to, or the stacks of a whole
    organization, which have further settings."""

    stack_name: Annotated[
        str,
        Field(pattern=rf"^[A-Za-z][A-Za-z0-9-]{{0,{MAX_STACK_NAME - 1}}}$"),
        Allowed("1 to 128 letters, digits and hyphens, the first a letter"),
    ] = "Rolecall"
    """Name of the CloudFormation stack."""

    rule_name: Annotated[
        str,
        Field(pattern=rf"^[A-Za-z0-9_-]{{1,{RULE_NAME_MAX_LENGTH}}}$"),
        Allowed(f"1 to {RULE_NAME_MAX_LENGTH} letters, digits, hyphens and underscores"),
    ] = "rolecall-ec2-instance-profile"
    """Name of the AWS Config rule, and the metrics' `service`. Config replaces a rule whose name changes, and its
    compliance history is lost."""

    rule_parameters: Annotated[
        RuleParameters, PlainValidator(_rule_parameters), Allowed("a JSON object of rule parameters and values")
    ] = RuleParameters()
    """The rule's parameters as one JSON object, for example `{"exemptionExpiryRequired": true}`."""

    schedule_frequency: Annotated[
        Literal["One_Hour", "Three_Hours", "Six_Hours", "Twelve_Hours", "TwentyFour_Hours"],
        Allowed(", ".join(FREQUENCY_HOURS)),
    ] = "TwentyFour_Hours"
    """How often all instances are judged again, whether they changed or not: exemptions expire then. The alarm on
    a missing run waits two hours longer than this."""

    memory_mb: Annotated[
        WholeNumber, Field(ge=128, le=10_240), Allowed("a whole number of megabytes from 128 to 10240")
    ] = 512
    """Memory of the rule's function. Processor time comes in proportion: with 256 or less a cold start takes several
    times as long."""

    timeout_seconds: Annotated[
        WholeNumber, Field(ge=60, le=900), Allowed("a whole number of seconds from 60 to 900")
    ] = 300
    """How long one invocation of the rule's function may take. A change needs less than a second; a scheduled run pages
    through every instance of the account and region. A sweep begins no page in the last 28 seconds, to report what it
    has found."""

    reserved_concurrency: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=100_000)] | None,
        BeforeValidator(_none_for_blank),
        Allowed("a whole number of 1 or more, or nothing to reserve none"),
    ] = None
    """Concurrent executions set aside for the rule's function, which are its upper limit as well. None by default: they
    are taken from the account's own limit, of which Lambda keeps a part unreserved, so that in a new account, whose
    limit can be 10, a reservation fails the deployment. What exceeds the limit is retried for six hours."""

    log_retention_days: Annotated[
        WholeNumber,
        AfterValidator(_retention),
        Allowed(f"one of {', '.join(map(str, sorted(_RETENTION_DAYS)))}"),
    ] = 365
    """Days that the logs of functions are kept."""

    log_level: Annotated[Literal["DEBUG", "INFO"], Allowed("DEBUG or INFO")] = "INFO"
    """How much functions log. Nothing above INFO: Lambda counts every line without a level as INFO, and so it
    would drop the metrics, which are log lines, and the errors that the runtime itself reports."""

    event_bus: Annotated[
        Annotated[str, Field(pattern=rf"^({_BUS_NAME}|{_BUS_ARN})$")] | None,
        BeforeValidator(_none_for_blank),
        Allowed("the name or the ARN of an EventBridge event bus, or nothing to publish nothing"),
    ] = None
    """The bus on which each evaluation is published as a record: a change after it was put, a sweep's difference
    before."""

    alarm_topic: Annotated[
        str,
        Field(pattern=rf"^(create|none|{_TOPIC_ARN})$"),
        Allowed("create, none, or the ARN of an SNS topic that is not FIFO"),
    ] = "create"
    """Where alarms go: to an encrypted topic that the stack creates, nowhere, or to a topic of your own, which must
    let CloudWatch publish and, when it is encrypted, use its key."""

    alarm_email: Annotated[
        Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None,
        BeforeValidator(_none_for_blank),
        Allowed("an e-mail address, or nothing"),
    ] = None
    """An address to subscribe to the topic that the stack creates. AWS sends it a link that must be opened once."""

    dashboard: Annotated[bool, Allowed("true or false")] = True
    """Whether to create a CloudWatch dashboard; the fourth and each further one in an account is billed."""

    conformance_pack: Annotated[bool, Allowed("true or false")] = False
    """Whether the rule comes in a conformance pack, which is named like the stack, instead of by itself. In an
    organization it always does. Changing this replaces the rule, and its compliance history is lost."""

    companion_rules: Annotated[
        tuple[CompanionRule, ...],
        BeforeValidator(listed),
        Allowed(f"a list of {', '.join(COMPANION_RULES)}"),
    ] = ()
    """AWS's own rules that the conformance pack holds as well; AWS Config bills their evaluations too. Those on IAM
    users are deployed in one region only."""

    security_hub: Annotated[bool, Allowed("true or false")] = False
    """Whether to keep a Security Hub finding for every instance that needs one. Security Hub must be on in every
    account and region that is judged. In mode account the stack makes a bus of its own, unless eventBus names one."""

    finding_severities: Annotated[
        dict[str, str],
        PlainValidator(_finding_severities),
        Allowed(f"a JSON object of reasons ({', '.join(DEFAULT_SEVERITIES)}) and severities ({', '.join(Severity)})"),
    ] = {}
    """Severity of a finding by its reason, where it shall not be the default; docs/security-hub.md lists these."""

    keep_passed_findings: Annotated[bool, Allowed("true or false")] = False
    """Whether the finding of an instance that now has a role stays active as PASSED, instead of being archived."""

    remediation_url: Annotated[
        str | None, PlainValidator(_remediation_url), Allowed("an http:// or https:// address, or nothing")
    ] = None
    """The page that every finding names, such as one of your own. Nothing: AWS's page for the finding's reason."""

    findings_concurrency: Annotated[
        WholeNumber, Field(ge=2, le=1000), Allowed("a whole number from 2 to 1000, Lambda's limits")
    ] = 2
    """How many findings functions may run at once. Security Hub takes 10 calls a second in an account and region, of up
    to 100 findings each, so more helps only where many accounts change at the same time."""

    suppress_native_findings: Annotated[bool, Allowed("true or false")] = False
    """Whether an automation rule of Security Hub suppresses the findings that AWS Config itself sends for the rule;
    docs/security-hub.md says when there are any. Those of every rule whose name begins like ruleName are meant."""

    insights: Annotated[bool, Allowed("true or false")] = True
    """Whether to create insights beside the findings: failing by account, failing by region, exempt by account."""

    @model_validator(mode="after")
    def _findings_hang_together(self) -> Self:
        if self.suppress_native_findings and not self.security_hub:
            allowed = "false unless securityHub is true, or no finding at all would be left"
            raise sentence(refusal("suppressNativeFindings", self.suppress_native_findings, allowed))
        longest = MAX_STACK_NAME - len("-SecurityHub")
        if self.security_hub and len(self.stack_name) > longest:
            allowed = f"at most {longest} characters while securityHub is true, for the name of a second stack"
            raise sentence(refusal("stackName", self.stack_name, allowed))
        if self.security_hub and (self.event_bus or "").startswith("arn:"):
            allowed = (
                "while securityHub is true, the name of a bus of the stack's own account and region, or nothing for a "
                "bus of the stack: a rule on a bus of elsewhere cannot be created from here"
            )
            raise sentence(refusal("eventBus", self.event_bus, allowed))
        return self

    @model_validator(mode="after")
    def _companions_need_a_pack(self) -> Self:
        if self.companion_rules and not (self.conformance_pack or self.mode != "account"):
            allowed = "none unless conformancePack is true"
            raise sentence(refusal("companionRules", self.companion_rules, allowed))
        return self

    @model_validator(mode="after")
    def _email_needs_own_topic(self) -> Self:
        if self.alarm_email and self.alarm_topic != "create":
            allowed = f"an e-mail address only while alarmTopic is create, and it is {shown(self.alarm_topic)}"
            raise sentence(refusal("alarmEmail", self.alarm_email, allowed))
        return self

    @property
    def findings(self) -> FindingSettings:
        """What the findings function reads from its environment."""
        return FindingSettings(
            severities=read_severities(self.finding_severities, "findingSeverities"),
            keep_passed=self.keep_passed_findings,
            remediation_url=self.remediation_url,
        )

    @property
    def schedule_hours(self) -> int:
        """Hours between two scheduled runs."""
        return FREQUENCY_HOURS[self.schedule_frequency]

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> Self:
        """Read the context of a CDK app; its own keys are passed over. Raises InvalidSettings."""
        try:
            return cls.model_validate(given_settings(context))
        except ValidationError as refused:
            raise InvalidSettings(*(_problem(cls, error) for error in refused.errors())) from None


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


def documented(model: type[Settings] = Settings, beyond: type[BaseModel] = BaseModel) -> Iterator[tuple[str, ...]]:
    """Each setting's name in cdk.json, default as JSON, what is allowed, and meaning; but none that `beyond` has."""
    for attribute, field in model.model_fields.items():
        if attribute not in beyond.model_fields:
            meaning = " ".join((field.description or "").split())
            yield to_camel(attribute), _default(field), _allowed(model, attribute), meaning


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default()
    return json.dumps(default.changed() if isinstance(default, RuleParameters) else default)


def _allowed(model: type[Settings], attribute: str) -> str:
    return next(note.text for note in model.model_fields[attribute].metadata if isinstance(note, Allowed))


def _problem(model: type[Settings], error: ErrorDetails) -> str:
    if error["type"] == _SENTENCE:
        return error["msg"]
    name = str(error["loc"][0])
    attributes = {to_camel(attribute): attribute for attribute in model.model_fields}
    if name not in attributes:
        return refusal(name, error["input"], f"the settings {', '.join(attributes)}{_hint(name, attributes)}")
    if error["type"] == "missing":
        return f"setting {name} is missing; allowed: {_allowed(model, attributes[name])}"
    return refusal(name, error["input"], _allowed(model, attributes[name]))


def _hint(name: str, settings: Iterable[str]) -> str:
    if name in PARAMETERS:
        return "; it is a rule parameter, and belongs into the setting ruleParameters"
    if any(name in map(to_camel, mode.model_fields) for mode in Settings.__subclasses__()):
        return "; it is a setting of mode organization"
    similar = difflib.get_close_matches(name, settings, n=1)
    return f"; did you mean {similar[0]}?" if similar else ""
