import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.package import FUNCTION_PYTHON
from infra.settings import FREQUENCY_HOURS
from rolecall.model import Reason
from tests.infra.synthesis import (
    BUS_ARN,
    TOPIC_ARN,
    VARIANTS,
    Json,
    all_statements,
    assembly,
    properties,
    resources,
)

ACCOUNT = {"Ref": "AWS::AccountId"}
PARTITION = {"Ref": "AWS::Partition"}
REGION = {"Ref": "AWS::Region"}

FUNCTION = "RuleFunction"
LOGS = "RuleFunctionLogsF6A9B58F"
DEAD_LETTERS = "RuleFunctionDeadLetters1BEDFF76"
TOPIC = "AlarmTopicC2164170"

RULE_NAME = "rolecall-ec2-instance-profile"
WEEK = 7 * 24 * 3600


def arn(logical_id: str) -> Json:
    """The ARN of a resource of the stack."""
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def joined(*parts: object) -> Json:
    """Text put together when the stack is deployed."""
    return {"Fn::Join": ["", list(parts)]}


ALARMS_OF_THIS_ACCOUNT = {
    "StringEquals": {"aws:SourceAccount": ACCOUNT},
    "ArnLike": {"aws:SourceArn": joined("arn:", PARTITION, ":cloudwatch:", REGION, ":", ACCOUNT, ":alarm:*")},
}

FUNCTION_STATEMENTS: list[Json] = [
    {
        "Effect": "Allow",
        "Action": ["config:GetResourceConfigHistory", "config:PutEvaluations", "config:SelectResourceConfig"],
        "Resource": "*",  # these actions have no resource types
    },
    {
        "Effect": "Allow",
        "Action": "config:GetComplianceDetailsByConfigRule",
        "Resource": joined("arn:", PARTITION, ":config:", REGION, ":", ACCOUNT, ":config-rule/*"),
    },
    {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": arn(LOGS)},
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(DEAD_LETTERS)},
]

STATEMENTS: dict[str, list[Json]] = {
    "RuleFunctionRole29D917AC": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ],
    "RuleFunctionRoleDefaultPolicy679693AC": FUNCTION_STATEMENTS,
    "RuleFunctionDeadLettersPolicy122D7906": [
        {
            "Effect": "Deny",
            "Action": "sqs:*",
            "Principal": {"AWS": "*"},
            "Resource": arn(DEAD_LETTERS),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
    "AlarmTopicKeyBA1A4AA7": [
        {
            "Effect": "Allow",
            "Action": "kms:*",
            "Principal": {"AWS": joined("arn:", PARTITION, ":iam::", ACCOUNT, ":root")},
            "Resource": "*",  # in a key policy: this key
        },
        {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Resource": "*",
            "Condition": ALARMS_OF_THIS_ACCOUNT,
        },
    ],
    "AlarmTopicPolicyDD12BE57": [
        {
            "Sid": "AllowPublishThroughSSLOnly",
            "Effect": "Deny",
            "Action": "sns:Publish",
            "Principal": "*",
            "Resource": {"Ref": TOPIC},
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Action": "sns:Publish",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Resource": {"Ref": TOPIC},
            "Condition": ALARMS_OF_THIS_ACCOUNT,
        },
    ],
}


def test_every_policy_statement_is_expected() -> None:
    """Whole statements of all resources: an action, a wildcard or a principal more makes this fail."""
    assert all_statements() == STATEMENTS


@pytest.mark.parametrize(
    ("bus", "resource"),
    [
        ("evaluations", joined("arn:", PARTITION, ":events:", REGION, ":", ACCOUNT, ":event-bus/evaluations")),
        (BUS_ARN, BUS_ARN),
    ],
    ids=["a bus of this account", "a bus by its ARN"],
)
def test_the_function_may_publish_on_the_bus_that_is_set_alone(bus: str, resource: object) -> None:
    """And no statement is added but this one."""
    publish = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": resource}
    found = all_statements(eventBus=bus)
    own = found.pop("RuleFunctionRoleDefaultPolicy679693AC")
    assert [one for one in own if one not in FUNCTION_STATEMENTS] == [publish]
    assert [one for one in own if one != publish] == FUNCTION_STATEMENTS
    assert found == {name: own for name, own in STATEMENTS.items() if name in found}


def test_no_aws_managed_policy_is_used() -> None:
    """They allow more than a function needs, and change without notice."""
    for role in resources("AWS::IAM::Role").values():
        assert set(role["Properties"]) == {"AssumeRolePolicyDocument", "Description"}


@pytest.mark.parametrize(
    ("logical_id", "resource_type"), [("RuleFunction", "AWS::Lambda::Function"), ("Rule", "AWS::Config::ConfigRule")]
)
def test_logical_ids_are_pinned(logical_id: str, resource_type: str) -> None:
    """CloudFormation replaces what changes its logical id, and a replaced rule loses its compliance history."""
    assert list(resources(resource_type)) == [logical_id]


def test_the_rule() -> None:
    """Config invokes this stack's function, by its logical id, for changes, oversized changes and once a day."""
    assert resources("AWS::Config::ConfigRule") == {
        "Rule": {
            "Properties": {
                "ConfigRuleName": RULE_NAME,
                "Description": "Every EC2 instance carries an IAM instance profile, or a documented reason not to.",
                "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Instance"]},
                "Source": {
                    "Owner": "CUSTOM_LAMBDA",
                    "SourceIdentifier": arn(FUNCTION),
                    "SourceDetails": [
                        {"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"},
                        {"EventSource": "aws.config", "MessageType": "OversizedConfigurationItemChangeNotification"},
                        {
                            "EventSource": "aws.config",
                            "MessageType": "ScheduledNotification",
                            "MaximumExecutionFrequency": "TwentyFour_Hours",
                        },
                    ],
                },
            },
            "DependsOn": ["ConfigRuleInvokePermission5590299F"],
        }
    }


def test_only_config_rules_of_this_account_may_invoke_the_function() -> None:
    """The rule waits for this permission, as Config checks it when the rule is created."""
    assert resources("AWS::Lambda::Permission") == {
        "ConfigRuleInvokePermission5590299F": {
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": arn(FUNCTION),
                "Principal": "config.amazonaws.com",
                "SourceAccount": ACCOUNT,
                "SourceArn": joined("arn:", PARTITION, ":config:", REGION, ":", ACCOUNT, ":config-rule/*"),
            }
        }
    }


def test_rule_parameters_are_those_that_differ_from_their_defaults() -> None:
    """Config limits the whole text, so nothing is in it that the function knows anyway."""
    given = {"exemptionMaxDays": 90, "evaluateStopped": False, "exemptionReasonRequired": True}
    rule = properties("AWS::Config::ConfigRule", ruleParameters=given)
    assert rule["InputParameters"] == {"exemptionMaxDays": "90", "evaluateStopped": "false"}


def test_the_function() -> None:
    """Every property of it but where its code is."""
    function = properties("AWS::Lambda::Function")
    assert set(function.pop("Code")) == {"S3Bucket", "S3Key"}
    assert function == {
        "Description": f"AWS Config rule {RULE_NAME}: instance profile, or a documented reason not to",
        "Handler": "rolecall.handlers.rule.handler",
        "Runtime": f"python{FUNCTION_PYTHON}",
        "Architectures": ["arm64"],
        "MemorySize": 512,
        "Timeout": 300,
        "Role": arn("RuleFunctionRole29D917AC"),
        "Environment": {
            "Variables": {"POWERTOOLS_SERVICE_NAME": RULE_NAME, "POWERTOOLS_METRICS_NAMESPACE": "Rolecall"}
        },
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": {"Ref": LOGS}},
        "DeadLetterConfig": {"TargetArn": arn(DEAD_LETTERS)},
    }


def test_asynchronous_invocations_are_retried_twice_within_six_hours() -> None:
    """What Lambda does by default, said aloud."""
    assert properties("AWS::Lambda::EventInvokeConfig") == {
        "FunctionName": {"Ref": FUNCTION},
        "Qualifier": "$LATEST",
        "MaximumEventAgeInSeconds": 6 * 3600,
        "MaximumRetryAttempts": 2,
    }


def test_events_given_up_are_kept_encrypted_for_two_weeks() -> None:
    """The dead-letter queue; that TLS is enforced is one of the statements above."""
    assert resources("AWS::SQS::Queue") == {
        DEAD_LETTERS: {
            "Properties": {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True},
            "UpdateReplacePolicy": "Delete",
            "DeletionPolicy": "Delete",
        }
    }


def test_logs_are_kept_for_a_year_even_without_the_stack() -> None:
    """What the rule decided is evidence."""
    assert resources("AWS::Logs::LogGroup") == {
        LOGS: {
            "Properties": {"RetentionInDays": 365},
            "UpdateReplacePolicy": "Retain",
            "DeletionPolicy": "Retain",
        }
    }


SETTINGS_OF_THE_FUNCTION: dict[str, tuple[Json, str, Json]] = {
    "memory": ({"memoryMb": "1024"}, "AWS::Lambda::Function", {"MemorySize": 1024}),
    "time-out": ({"timeoutSeconds": 900}, "AWS::Lambda::Function", {"Timeout": 900}),
    "concurrency": ({"reservedConcurrency": 5}, "AWS::Lambda::Function", {"ReservedConcurrentExecutions": 5}),
    "retention": ({"logRetentionDays": 3653}, "AWS::Logs::LogGroup", {"RetentionInDays": 3653}),
    "log level": (
        {"logLevel": "DEBUG"},
        "AWS::Lambda::Function",
        {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "LogGroup": {"Ref": LOGS}}},
    ),
    "bus and rule name": (
        {"eventBus": "evaluations", "ruleName": "mine"},
        "AWS::Lambda::Function",
        {
            "Environment": {
                "Variables": {
                    "POWERTOOLS_SERVICE_NAME": "mine",
                    "POWERTOOLS_METRICS_NAMESPACE": "Rolecall",
                    "ROLECALL_EVENT_BUS": "evaluations",
                }
            },
            "Description": "AWS Config rule mine: instance profile, or a documented reason not to",
        },
    ),
}


@pytest.mark.parametrize(
    ("settings", "resource_type", "changed"), SETTINGS_OF_THE_FUNCTION.values(), ids=SETTINGS_OF_THE_FUNCTION
)
def test_a_setting_changes_what_it_says_and_nothing_else(settings: Json, resource_type: str, changed: Json) -> None:
    """In the resource that it is about."""
    assert properties(resource_type, **settings) == properties(resource_type) | changed


def alarms(**settings: Any) -> dict[str, Json]:  # noqa: ANN401  # settings of any type
    """The alarms' properties by construct id, without the logical id's hash."""
    found = resources("AWS::CloudWatch::Alarm", **settings)
    return {name.removeprefix("Alarms")[:-8]: alarm["Properties"] for name, alarm in found.items()}


def alarm(description: str, namespace: str, metric: str, dimension: tuple[str, object], **changes: object) -> Json:
    """An alarm that rings at one or more of something within five minutes, and is silent without data."""
    return {
        "AlarmDescription": f"AWS Config rule {RULE_NAME}: {description}.",
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": dimension[0], "Value": dimension[1]}],
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [{"Ref": TOPIC}],
        **changes,
    }


OF_THE_FUNCTION = ("FunctionName", {"Ref": FUNCTION})


def test_the_alarms() -> None:
    """Errors, dead letters, lost events, throttling, and silence: every property of every alarm."""
    assert alarms() == {
        "FunctionErrors": alarm(
            "the function failed; Lambda tries the same event twice more. The function's log says why",
            "AWS/Lambda",
            "Errors",
            OF_THE_FUNCTION,
        ),
        "DeadLetters": alarm(
            "events wait in the dead-letter queue, given up after all retries: their instances keep an old verdict or "
            "have none",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            ("QueueName", {"Fn::GetAtt": [DEAD_LETTERS, "QueueName"]}),
            Statistic="Maximum",
        ),
        "LostEvents": alarm(
            "events were given up and did not even reach the dead-letter queue",
            "AWS/Lambda",
            "DeadLetterErrors",
            OF_THE_FUNCTION,
        ),
        "Throttles": alarm(
            "invocations have been throttled for 15 minutes, and verdicts are late: more concurrent executions are "
            "needed than the account or the setting reservedConcurrency allows",
            "AWS/Lambda",
            "Throttles",
            OF_THE_FUNCTION,
            EvaluationPeriods=3,
            DatapointsToAlarm=3,
        ),
        "NoCompletedScheduledRun": alarm(
            "no scheduled run was completed in 26 hours: exemptions do not expire, and instances whose events were "
            "lost are not judged",
            "Rolecall",
            "CompletedScheduledRuns",
            ("service", RULE_NAME),
            Period=3600,
            EvaluationPeriods=26,
            DatapointsToAlarm=26,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="breaching",
        ),
    }


@pytest.mark.parametrize(("frequency", "hours"), FREQUENCY_HOURS.items())
def test_the_alarm_on_silence_follows_the_schedule(frequency: str, hours: int) -> None:
    """Two hours after a run was due, within the week over which CloudWatch looks back."""
    silence = alarms(scheduleFrequency=frequency)["NoCompletedScheduledRun"]
    assert (silence["Period"], silence["EvaluationPeriods"]) == (3600, hours + 2)
    assert silence["Period"] * silence["EvaluationPeriods"] <= WEEK
    assert f"in {hours + 2} hours" in silence["AlarmDescription"]
    schedule = properties("AWS::Config::ConfigRule", scheduleFrequency=frequency)["Source"]["SourceDetails"][-1]
    assert schedule["MaximumExecutionFrequency"] == frequency


def test_the_topic_is_encrypted_by_a_key_that_rotates() -> None:
    """Who may use the key is one of the statements above."""
    key = properties("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    assert properties("AWS::SNS::Topic") == {
        "DisplayName": "rolecall alarms",
        "KmsMasterKeyId": arn("AlarmTopicKeyBA1A4AA7"),
    }
    assert resources("AWS::SNS::Subscription") == {}


def test_an_address_is_subscribed_to_the_topic() -> None:
    """The setting alarmEmail."""
    assert properties("AWS::SNS::Subscription", alarmEmail="on-call@example.com") == {
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
        "TopicArn": {"Ref": TOPIC},
    }


@pytest.mark.parametrize(
    ("setting", "actions"),
    [(TOPIC_ARN, [TOPIC_ARN]), ("none", None)],
    ids=["a topic that exists", "no topic"],
)
def test_alarms_ring_without_a_topic_of_the_stack(setting: str, actions: list[str] | None) -> None:
    """All of them are there, notify what the setting says, and no topic or key is made."""
    found = alarms(alarmTopic=setting)
    assert found.keys() == alarms().keys()
    assert [one.get("AlarmActions") for one in found.values()] == [actions] * len(found)
    assert not resources("AWS::SNS::Topic", alarmTopic=setting)
    assert not resources("AWS::KMS::Key", alarmTopic=setting)


def shown_metrics() -> list[list[Any]]:
    """Every metric on the dashboard: namespace, name, dimensions in pairs, options."""
    _, parts = properties("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"]
    body = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
    return [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]


def test_the_dashboard_shows_every_metric_of_the_function() -> None:
    """Each reason with the compliance type that follows from it; failures, latency and completed runs."""
    own = {
        tuple(one for one in metric if isinstance(one, str)) for metric in shown_metrics() if metric[0] == "Rolecall"
    }
    of_the_rule = ("service", RULE_NAME)
    evaluations = {
        (
            "Rolecall",
            "Evaluations",
            "ComplianceType",
            reason.compliance_type.value,
            "Reason",
            reason.value,
            *of_the_rule,
        )
        for reason in Reason
    }
    names = ("Failures", "PutLatency", "CompletedScheduledRuns")
    sweeps = ("SweepSeen", "SweepDifferences", "SweepRepaired")
    others = {("Rolecall", name, *of_the_rule) for name in (*names, *sweeps)}
    assert own == evaluations | others


def test_the_dashboard_shows_whatever_can_ring() -> None:
    """Each alarm's metric, and the alarms themselves."""
    shown = {(metric[0], metric[1]) for metric in shown_metrics()}
    assert shown >= {(one["Namespace"], one["MetricName"]) for one in alarms().values()}
    body = json.dumps(properties("AWS::CloudWatch::Dashboard"))
    assert all(logical_id in body for logical_id in resources("AWS::CloudWatch::Alarm"))


def test_there_may_be_no_dashboard() -> None:
    """The setting dashboard."""
    assert not resources("AWS::CloudWatch::Dashboard", dashboard=False)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_cdk_nag_finds_nothing(settings: Json) -> None:
    """It looks at each synthesis, and a finding would have ended this one."""
    report = json.loads((assembly(**settings) / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_cfn_lint_finds_nothing() -> None:
    """In none of the templates that settings can make."""
    command = [Path(sys.executable).with_name("cfn-lint")]
    command += [file for settings in VARIANTS.values() for file in assembly(**settings).glob("*.template.json")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own templates
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)


def test_the_stack_does_not_know_its_account_and_region() -> None:
    """So that it needs no credentials, and is the same for all."""
    manifest = json.loads((assembly() / "manifest.json").read_text())
    assert manifest["artifacts"]["Rolecall"]["environment"] == "aws://unknown-account/unknown-region"
    assert "missing" not in manifest  # what would have to be looked up
