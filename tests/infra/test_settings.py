import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.organization_settings import read_settings
from infra.setting_types import InvalidSettings
from infra.settings import Settings, documented
from rolecall.parameters import RuleParameters
from tests.infra.synthesis import context

DEFAULTS = {
    "mode": "account",
    "stack_name": "Rolecall",
    "rule_name": "rolecall-ec2-instance-profile",
    "rule_parameters": RuleParameters(),
    "schedule_frequency": "TwentyFour_Hours",
    "memory_mb": 512,
    "timeout_seconds": 300,
    "reserved_concurrency": None,
    "log_retention_days": 365,
    "log_level": "INFO",
    "event_bus": None,
    "alarm_topic": "create",
    "alarm_email": None,
    "dashboard": True,
    "conformance_pack": False,
    "companion_rules": (),
    "security_hub": False,
    "finding_severities": {},
    "keep_passed_findings": False,
    "remediation_url": None,
    "findings_concurrency": 2,
    "suppress_native_findings": False,
    "insights": True,
    "evidence": False,
    "evidence_lock_mode": "GOVERNANCE",
    "evidence_lock_days": 400,
    "evidence_older_keys": (),
    "evidence_key_number": 1,
    "evidence_concurrency": 10,
    "evidence_schedule_hour_utc": 6,
}

ALL_NAMES = (
    "mode, stackName, ruleName, ruleParameters, scheduleFrequency, memoryMb, timeoutSeconds, reservedConcurrency, "
    "logRetentionDays, logLevel, eventBus, alarmTopic, alarmEmail, dashboard, conformancePack, companionRules, "
    "securityHub, findingSeverities, keepPassedFindings, remediationUrl, findingsConcurrency, suppressNativeFindings, "
    "insights, evidence, evidenceLockMode, evidenceLockDays, evidenceOlderKeys, evidenceKeyNumber, "
    "evidenceConcurrency, evidenceScheduleHourUtc"
)
REASONS = "PROFILE_NOT_ALLOWED, EXEMPT, EXEMPTION_EXPIRED, EXEMPTION_INVALID, NO_PROFILE"
SEVERITIES = "INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL"
KMS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1b1d4c7e-0000-4000-8000-000000000000"
BUS = "arn:aws-us-gov:events:us-gov-west-1:111122223333:event-bus/evaluations"
TOPIC = "arn:aws-cn:sns:cn-north-1:111122223333:on-call"
RETENTIONS = "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653"
PROFILE_PATTERNS = ",".join(f"arn:aws:iam::*:instance-profile/application-{number}" for number in range(30))


def environments(**named: object) -> dict[str, object]:
    """Environments as cdk.json holds them; the default one is empty unless it is given."""
    return {"environments": {"default": {}, **named}}


READ: Mapping[str, tuple[dict[str, object], dict[str, object]]] = {
    "nothing given means the defaults": ({}, {}),
    "a setting on the command line is text": ({"memoryMb": "1024"}, {"memory_mb": 1024}),
    "true and false may be text too": ({"dashboard": "false"}, {"dashboard": False}),
    "the default environment needs no choice": (environments(default={"memoryMb": 256}), {"memory_mb": 256}),
    "an environment is chosen by its name": (
        {**environments(prod={"memoryMb": 256}), "environment": "prod"},
        {"memory_mb": 256},
    ),
    "a single setting goes before its environment's": (
        {**environments(default={"memoryMb": 256, "logLevel": "DEBUG"}), "memoryMb": "2048"},
        {"memory_mb": 2048, "log_level": "DEBUG"},
    ),
    "an empty value unsets what may be unset": (
        {
            **environments(default={"reservedConcurrency": 5, "eventBus": "b"}),
            "reservedConcurrency": "",
            "eventBus": "",
        },
        {},
    ),
    "the smallest function": (
        {"memoryMb": 128, "timeoutSeconds": 60, "reservedConcurrency": 1},
        {"memory_mb": 128, "timeout_seconds": 60, "reserved_concurrency": 1},
    ),
    "the largest function": (
        {"memoryMb": 10240, "timeoutSeconds": 900},
        {"memory_mb": 10240, "timeout_seconds": 900},
    ),
    "the longest rule name": ({"ruleName": "r" * 37}, {"rule_name": "r" * 37}),
    "rule parameters as an object": (
        {"ruleParameters": {"evaluateStopped": False}},
        {"rule_parameters": RuleParameters(evaluate_stopped=False)},
    ),
    "rule parameters as JSON text, as a command line gives them": (
        {"ruleParameters": '{"exemptionMaxDays": "90"}'},
        {"rule_parameters": RuleParameters(exemption_max_days=90)},
    ),
    "a bus by its ARN": ({"eventBus": BUS}, {"event_bus": BUS}),
    "a topic that exists": ({"alarmTopic": TOPIC}, {"alarm_topic": TOPIC}),
    "a list on the command line": (
        {"conformancePack": "true", "companionRules": "ec2-imdsv2-check, access-keys-rotated"},
        {"conformance_pack": True, "companion_rules": ("ec2-imdsv2-check", "access-keys-rotated")},
    ),
    "severities as an object, of which those that are no defaults are kept": (
        {"findingSeverities": {"NO_PROFILE": "HIGH", "EXEMPT": "INFORMATIONAL"}},
        {"finding_severities": {"NO_PROFILE": "HIGH"}},
    ),
    "severities as JSON text, as a command line gives them": (
        {"findingSeverities": '{"EXEMPT": "LOW"}'},
        {"finding_severities": {"EXEMPT": "LOW"}},
    ),
    "a page of our own, unset again": (
        {**environments(default={"remediationUrl": "https://wiki.example.com/"}), "remediationUrl": ""},
        {},
    ),
    "findings, and no native ones": (
        {
            "securityHub": "true",
            "suppressNativeFindings": "true",
            "findingsConcurrency": "1000",
            "eventBus": "evaluations",
            "stackName": "s" * 116,
        },
        {
            "security_hub": True,
            "suppress_native_findings": True,
            "findings_concurrency": 1000,
            "event_bus": "evaluations",
            "stack_name": "s" * 116,
        },
    ),
    "the CDK's own context is not ours": (
        {"@aws-cdk/core:anything": True, "aws:cdk:bundling-stacks": ["**"], "cli-telemetry": False},
        {},
    ),
}


@pytest.mark.parametrize(("given", "expected"), READ.values(), ids=READ)
def test_settings_are_read_from_the_context(given: dict[str, object], expected: dict[str, object]) -> None:
    """Environment, single settings and defaults together make every setting."""
    assert dict(Settings.from_context(given)) == DEFAULTS | expected


REFUSED: Mapping[str, tuple[dict[str, object], str, str]] = {
    "a name that resembles none": (
        {"vpc": "vpc-1"},
        "setting vpc is 'vpc-1'",
        f"the settings {ALL_NAMES}",
    ),
    "a misspelt name": (
        {"memroyMb": "256"},
        "setting memroyMb is '256'",
        f"the settings {ALL_NAMES}; did you mean memoryMb?",
    ),
    "a misspelt name in an environment": (
        environments(default={"loglevel": "INFO"}),
        "setting loglevel is 'INFO'",
        f"the settings {ALL_NAMES}; did you mean logLevel?",
    ),
    "a rule parameter, which is no setting": (
        {"exemptionMaxDays": "90"},
        "setting exemptionMaxDays is '90'",
        f"the settings {ALL_NAMES}; it is a rule parameter, and belongs into the setting ruleParameters",
    ),
    "an environment that is none": (
        {**environments(prod={}), "environment": "production"},
        "setting environment is 'production'",
        "default, prod (environments in cdk.json)",
    ),
    "environments that are no object": (
        {"environments": ["prod"]},
        "setting environments is ['prod']",
        "an object of environment names and settings",
    ),
    "an environment that is no object": (
        environments(default="prod"),
        "setting environments.default is 'prod'",
        "an object of settings and values",
    ),
    "a choice that is no name": (
        {"environment": ["default"]},
        "setting environment is ['default']",
        "default (environments in cdk.json)",
    ),
    "a stack name that CloudFormation refuses": (
        {"stackName": "role_call"},
        "setting stackName is 'role_call'",
        "1 to 128 letters, digits and hyphens, the first a letter",
    ),
    "a rule name that leaves a conformance pack no room": (
        {"ruleName": "r" * 38},
        f"setting ruleName is '{'r' * 38}'",
        "1 to 37 letters, digits, hyphens and underscores",
    ),
    "a rule name that ends in a line break": (
        {"ruleName": "rule\n"},
        "setting ruleName is 'rule\\n'",
        "1 to 37 letters, digits, hyphens and underscores",
    ),
    "a frequency in other words": (
        {"scheduleFrequency": "daily"},
        "setting scheduleFrequency is 'daily'",
        "One_Hour, Three_Hours, Six_Hours, Twelve_Hours, TwentyFour_Hours",
    ),
    "too little memory": (
        {"memoryMb": "64"},
        "setting memoryMb is '64'",
        "a whole number of megabytes from 128 to 10240",
    ),
    "a part of a megabyte": (
        {"memoryMb": 512.5},
        "setting memoryMb is 512.5",
        "a whole number of megabytes from 128 to 10240",
    ),
    "a time-out beyond Lambda's": (
        {"timeoutSeconds": 901},
        "setting timeoutSeconds is 901",
        "a whole number of seconds from 60 to 900",
    ),
    "concurrency 0, which would stop the rule": (
        {"reservedConcurrency": 0},
        "setting reservedConcurrency is 0",
        "a whole number of 1 or more, or nothing to reserve none",
    ),
    "true, which is no number": (
        {"reservedConcurrency": True},
        "setting reservedConcurrency is true",
        "a whole number of 1 or more, or nothing to reserve none",
    ),
    "a retention that CloudWatch Logs does not have": (
        {"logRetentionDays": "100"},
        "setting logRetentionDays is '100'",
        f"one of {RETENTIONS}",
    ),
    "a level that would drop metrics": (
        {"logLevel": "WARNING"},
        "setting logLevel is 'WARNING'",
        "DEBUG or INFO",
    ),
    "a bus with a space": (
        {"eventBus": "my bus"},
        "setting eventBus is 'my bus'",
        "the name or the ARN of an EventBridge event bus, or nothing to publish nothing",
    ),
    "a FIFO topic": (
        {"alarmTopic": f"{TOPIC}.fifo"},
        f"setting alarmTopic is '{TOPIC}.fifo'",
        "create, none, or the ARN of an SNS topic that is not FIFO",
    ),
    "an address without a domain": (
        {"alarmEmail": "on-call"},
        "setting alarmEmail is 'on-call'",
        "an e-mail address, or nothing",
    ),
    "an address for a topic that is not ours": (
        {"alarmEmail": "on-call@example.com", "alarmTopic": "none"},
        "setting alarmEmail is 'on-call@example.com'",
        "an e-mail address only while alarmTopic is create, and it is 'none'",
    ),
    "a mode that is none": ({"mode": "ou"}, "setting mode is 'ou'", "account or organization"),
    "a setting of the other mode": (
        {"homeRegion": "eu-west-1"},
        "setting homeRegion is 'eu-west-1'",
        f"the settings {ALL_NAMES}; it is a setting of mode organization",
    ),
    "a rule that is no companion": (
        {"conformancePack": True, "companionRules": ["ec2-imdsv2-check", "s3-bucket-logging-enabled"]},
        "setting companionRules is 's3-bucket-logging-enabled'",
        (
            "a list of ec2-imdsv2-check, ec2-launch-template-imdsv2-check, access-keys-rotated, "
            "iam-user-unused-credentials-check"
        ),
    ),
    "companions without a pack": (
        {"companionRules": ["ec2-imdsv2-check"]},
        "setting companionRules is ('ec2-imdsv2-check',)",
        "none unless conformancePack is true",
    ),
    "a reason that keeps no finding open": (
        {"findingSeverities": {"PROFILE_ATTACHED": "HIGH"}},
        "a reason of setting findingSeverities is 'PROFILE_ATTACHED'",
        REASONS,
    ),
    "a severity that Security Hub does not know": (
        {"findingSeverities": {"NO_PROFILE": "SEVERE"}},
        "setting findingSeverities.NO_PROFILE is 'SEVERE'",
        SEVERITIES,
    ),
    "severities that are no object": (
        {"findingSeverities": "HIGH"},
        "setting findingSeverities is 'HIGH'",
        f"a JSON object of reasons ({REASONS}) and severities ({SEVERITIES})",
    ),
    "a remediation page that is no address": (
        {"remediationUrl": "wiki"},
        "setting remediationUrl is 'wiki'",
        "an http:// or https:// address of at most 1024 printable ASCII characters",
    ),
    "less concurrency than Lambda takes": (
        {"findingsConcurrency": 1},
        "setting findingsConcurrency is 1",
        "a whole number from 2 to 1000, Lambda's limits",
    ),
    "native findings suppressed without any other": (
        {"suppressNativeFindings": True},
        "setting suppressNativeFindings is true",
        "false unless securityHub is true, or no finding at all would be left",
    ),
    "an older key by its alias": (
        {"evidence": True, "evidenceOlderKeys": ["alias/Rolecall-evidence"]},
        "setting evidenceOlderKeys is 'alias/Rolecall-evidence'",
        "a list of ARNs of KMS keys of the home region, each once",
    ),
    "an older key twice": (
        {"evidenceOlderKeys": f"{KMS_KEY},{KMS_KEY}"},
        f"setting evidenceOlderKeys is '{KMS_KEY}'",
        "each key once",
    ),
    "an older key, and none in its place": (
        {"evidenceOlderKeys": [KMS_KEY]},
        "setting evidenceKeyNumber is 1",
        "at least 2: each of evidenceOlderKeys had a number below that of the one that signs",
    ),
    "one older key more, and none in its place": (
        {"evidenceOlderKeys": [KMS_KEY, f"{KMS_KEY[:-1]}1"], "evidenceKeyNumber": "2"},
        "setting evidenceKeyNumber is 2",
        "at least 3: each of evidenceOlderKeys had a number below that of the one that signs",
    ),
    "a new key in the place of none": (
        {"evidenceKeyNumber": 2},
        "setting evidenceOlderKeys is []",
        "at least the key that signed before, while evidenceKeyNumber is 2",
    ),
    "a key before the first": (
        {"evidenceKeyNumber": 0},
        "setting evidenceKeyNumber is 0",
        "a whole number from 1 to 1000, above how many evidenceOlderKeys there are",
    ),
    "findings from a bus by its ARN": (
        {"securityHub": True, "eventBus": BUS},
        f"setting eventBus is '{BUS}'",
        (
            "while securityHub is true, the name of a bus of the stack's own account and region, or nothing for a bus "
            "of the stack: a rule on a bus of elsewhere cannot be created from here"
        ),
    ),
    "a stack name that leaves a second stack no room": (
        {"securityHub": True, "stackName": "s" * 117},
        f"setting stackName is '{'s' * 117}'",
        "at most 116 characters while securityHub is true, for the name of a second stack",
    ),
    "neither true nor false": (
        {"dashboard": "maybe"},
        "setting dashboard is 'maybe'",
        "true or false",
    ),
    "a bad value of a rule parameter": (
        {"ruleParameters": {"exemptionMaxDays": "soon"}},
        "setting ruleParameters: rule parameter exemptionMaxDays is 'soon'",
        "a whole number of days from 0 (no limit) to 36500",
    ),
    "rule parameters that are no JSON": (
        {"ruleParameters": "exemptionMaxDays=90"},
        "setting ruleParameters: ruleParameters is 'exemptionMaxDays=90'",
        "a JSON object of names and values",
    ),
    "rule parameters too long for Config": (
        {"ruleParameters": {"allowedInstanceProfileArns": PROFILE_PATTERNS}},
        "setting ruleParameters is 1433 characters of JSON",
        "at most 1024, AWS Config's limit for the parameters of one rule",
    ),
}


@pytest.mark.parametrize(("given", "what", "allowed"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_one_line(given: dict[str, object], what: str, allowed: str) -> None:
    """Its name, its value and what is allowed; nothing is deployed with a setting that was not understood."""
    with pytest.raises(InvalidSettings) as refused:
        read_settings(given)
    assert str(refused.value) == f"{what}; allowed: {allowed}"


def test_two_wrong_settings_are_two_lines() -> None:
    """Whoever mends one must not be surprised by the next."""
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_context({"memoryMb": 1, "logLevel": "info"})
    assert str(refused.value).splitlines() == [
        "setting memoryMb is 1; allowed: a whole number of megabytes from 128 to 10240",
        "setting logLevel is 'info'; allowed: DEBUG or INFO",
    ]


def test_rule_parameters_may_fill_what_config_takes() -> None:
    """1,024 characters of InputParameters JSON are allowed, one more is not."""

    def parameters(length: int) -> dict[str, str]:
        name = "allowedInstanceProfileArns"
        arn = "arn:aws:iam::*:instance-profile/"
        return {name: arn + "a" * (length - len(json.dumps({name: arn})))}

    fitting = Settings.from_context({"ruleParameters": parameters(1024)})
    assert len(json.dumps(fitting.rule_parameters.changed())) == 1024
    with pytest.raises(InvalidSettings, match="is 1025 characters of JSON"):
        Settings.from_context({"ruleParameters": parameters(1025)})


@pytest.mark.parametrize("name", context()["environments"])
def test_every_environment_of_cdk_json_is_valid(name: str) -> None:
    """What the project ships can be deployed."""
    read_settings({**context(), "environment": name})


def test_every_setting_is_documented() -> None:
    """Name, default, what is allowed and what it means: for all of them, so that documents can be made from it."""
    rows = list(documented())
    assert ", ".join(name for name, *_ in rows) == ALL_NAMES
    assert all(allowed and meaning.endswith(".") for _, _, allowed, meaning in rows)
    given: dict[str, Any] = {name: json.loads(default) for name, default, *_ in rows}
    assert dict(Settings.from_context(given)) == DEFAULTS


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("ec2-imdsv2-check,access-keys-rotated", ("ec2-imdsv2-check", "access-keys-rotated")),
        ('["ec2-imdsv2-check", "access-keys-rotated"]', ("ec2-imdsv2-check", "access-keys-rotated")),
        (["ec2-imdsv2-check"], ("ec2-imdsv2-check",)),
        ("", ()),
    ],
)
def test_a_list_is_written_as_in_cdk_json_or_with_commas(given: object, read: tuple[str, ...]) -> None:
    """Both forms work behind `-c`."""
    assert Settings.from_context({"companionRules": given, "conformancePack": True}).companion_rules == read
