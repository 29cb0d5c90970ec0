"""Settings of a deployment: each with its type, default, limits and meaning.

They come from the CDK context. `environments` in cdk.json holds the settings of each environment by name,
`-c environment=NAME` chooses one, and any other context value overrides a single setting: `-c memoryMb=1024`.
Nothing is read from environment variables or from AWS: the same commit and command give the same template.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
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
from pydantic_core import ErrorDetails

from infra.setting_types import (
    BUS_ARN,
    BUS_NAME,
    KEY_ARN,
    RETENTION_DAYS,
    SENTENCE,
    TOPIC_ARN,
    Allowed,
    InvalidSettings,
    WholeNumber,
    given_settings,
    listed,
    none_for_blank,
    refusal,
    remediation_url_given,
    retention,
    rule_parameters_given,
    sentence,
    severities_given,
)
from rolecall.errors import shown
from rolecall.findings.settings import FindingSettings, read_severities
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.parameters import PARAMETERS, RuleParameters

RULE_NAME_MAX_LENGTH = 37
"""A conformance pack appends 27 characters to a rule's name, and GetComplianceDetailsByConfigRule takes 64."""

MAX_STACK_NAME = 128
"""CloudFormation's limit."""

FREQUENCY_HOURS = {"One_Hour": 1, "Three_Hours": 3, "Six_Hours": 6, "Twelve_Hours": 12, "TwentyFour_Hours": 24}
"""Config's MaximumExecutionFrequency."""

EVIDENCE_NAME_MAX_LENGTH = 45
"""With `-evidence-collect` a role's name: IAM takes 64 characters. Firehose and Step Functions take more."""

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
        RuleParameters, PlainValidator(rule_parameters_given), Allowed("a JSON object of rule parameters and values")
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
        BeforeValidator(none_for_blank),
        Allowed("a whole number of 1 or more, or nothing to reserve none"),
    ] = None
    """Concurrent executions set aside for the rule's function, which are its upper limit as well. None by default: they
    are taken from the account's own limit, of which Lambda keeps a part unreserved, so that in a new account, whose
    limit can be 10, a reservation fails the deployment. What exceeds the limit is retried for six hours."""

    log_retention_days: Annotated[
        WholeNumber,
        AfterValidator(retention),
        Allowed(f"one of {', '.join(map(str, sorted(RETENTION_DAYS)))}"),
    ] = 365
    """Days that the logs of functions are kept."""

    log_level: Annotated[Literal["DEBUG", "INFO"], Allowed("DEBUG or INFO")] = "INFO"
    """How much functions log. Nothing above INFO: Lambda counts every line without a level as INFO, and so it
    would drop the metrics, which are log lines, and the errors that the runtime itself reports."""

    event_bus: Annotated[
        Annotated[str, Field(pattern=rf"^({BUS_NAME}|{BUS_ARN})$")] | None,
        BeforeValidator(none_for_blank),
        Allowed("the name or the ARN of an EventBridge event bus, or nothing to publish nothing"),
    ] = None
    """The bus on which each evaluation is published as a record: a change after it was put, a sweep's difference
    before."""

    alarm_topic: Annotated[
        str,
        Field(pattern=rf"^(create|none|{TOPIC_ARN})$"),
        Allowed("create, none, or the ARN of an SNS topic that is not FIFO"),
    ] = "create"
    """Where alarms go: to an encrypted topic that the stack creates, nowhere, or to a topic of your own, which must
    let CloudWatch publish and, when it is encrypted, use its key."""

    alarm_email: Annotated[
        Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None,
        BeforeValidator(none_for_blank),
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
        PlainValidator(severities_given),
        Allowed(f"a JSON object of reasons ({', '.join(DEFAULT_SEVERITIES)}) and severities ({', '.join(Severity)})"),
    ] = {}
    """Severity of a finding by its reason, where it shall not be the default; docs/security-hub.md lists these."""

    keep_passed_findings: Annotated[bool, Allowed("true or false")] = False
    """Whether the finding of an instance that now has a role stays active as PASSED, instead of being archived."""

    remediation_url: Annotated[
        str | None, PlainValidator(remediation_url_given), Allowed("an http:// or https:// address, or nothing")
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

    evidence: Annotated[bool, Allowed("true or false")] = False
    """Whether to export audit evidence: a ledger of all verdicts, and a signed package of every day."""

    evidence_lock_mode: Annotated[Literal["GOVERNANCE", "COMPLIANCE"], Allowed("GOVERNANCE or COMPLIANCE")] = (
        "GOVERNANCE"
    )
    """How S3 Object Lock protects packages. Under COMPLIANCE nobody, the account's root user included, can delete one
    before its time: not even one that was made by mistake."""

    evidence_lock_days: Annotated[
        WholeNumber, Field(ge=1, le=36_500), Allowed("a whole number of days from 1 to 36500")
    ] = 400
    """Days that a package is locked from the moment it is written. What is locked already keeps its date."""

    evidence_older_keys: Annotated[
        tuple[Annotated[str, Field(pattern=rf"^{KEY_ARN}$")], ...],
        BeforeValidator(listed),
        Allowed("a list of ARNs of KMS keys of the home region, each once"),
    ] = ()
    """Keys that signed packages before, oldest first; the seal may verify with them. What is listed stays listed:
    docs/evidence.md says how a key is replaced."""

    evidence_key_number: Annotated[
        WholeNumber,
        Field(ge=1, le=1_000),
        Allowed("a whole number from 1 to 1000, above how many evidenceOlderKeys there are"),
    ] = 1
    """Which key signs: 1 is the stack's first one. Under each other number the stack makes a new key; it only goes up,
    together with one more of evidenceOlderKeys."""

    evidence_concurrency: Annotated[WholeNumber, Field(ge=1, le=1_000), Allowed("a whole number from 1 to 1000")] = 10
    """How many accounts and regions are collected at once. They share the aggregator's request rate."""

    evidence_schedule_hour_utc: Annotated[WholeNumber, Field(ge=1, le=23), Allowed("a whole number from 1 to 23")] = 6
    """The hour, in UTC, at which the package of the day before is made. Not 0: records of the last minutes are still on
    their way into the ledger then."""

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
    def _evidence_hangs_together(self) -> Self:
        if self.evidence and (self.event_bus or "").startswith("arn:"):
            allowed = "while evidence is true, the name of a bus of the stack's own account and region, or nothing"
            raise sentence(refusal("eventBus", self.event_bus, allowed))
        older = self.evidence_older_keys
        if twin := next((key for key in older if older.count(key) > 1), None):
            raise sentence(refusal("evidenceOlderKeys", twin, "each key once"))
        if self.evidence and self.mode == "account" and len(self.stack_name) > EVIDENCE_NAME_MAX_LENGTH:
            allowed = f"at most {EVIDENCE_NAME_MAX_LENGTH} characters while evidence is true: roles are named after it"
            raise sentence(refusal("stackName", self.stack_name, allowed))
        return self

    @model_validator(mode="after")
    def _a_key_that_was_replaced_is_listed(self) -> Self:
        number, older = self.evidence_key_number, self.evidence_older_keys
        if number <= len(older):
            allowed = (
                f"at least {len(older) + 1}: each of evidenceOlderKeys had a number below that of the one that signs"
            )
            raise sentence(refusal("evidenceKeyNumber", number, allowed))
        if number > 1 and not older:
            allowed = f"at least the key that signed before, while evidenceKeyNumber is {number}"
            raise sentence(refusal("evidenceOlderKeys", [*older], allowed))
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
    if error["type"] == SENTENCE:
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
