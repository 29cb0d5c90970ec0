"""The findings' resources: the same in one account and in an organization, but for whom the function may become."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from infra import findings_queue
from infra.findings_function import EXPIRY, KEY, TIMEOUT_SECONDS, VISIBILITY_SECONDS
from infra.guardrail import service_control_policy
from infra.metrics import FINDINGS_METRICS
from infra.package import FUNCTION_PYTHON
from rolecall.aws.evaluations_bus import EvaluationsBus
from rolecall.findings.identity import ComplianceStatus
from tests.infra.organization import AUDIT, EXAMPLE, HOME, ORGANIZATION, organization_settings
from tests.infra.synthesis import Json, all_statements, assembly, properties, resources, template

ON: Json = {"securityHub": True}
RULE_NAME = "rolecall-ec2-instance-profile"
GENERATOR = f"rolecall/{RULE_NAME}"

PLACES: dict[str, tuple[str, Json]] = {
    "one account": ("Rolecall", ON),
    "an organization": ("Rolecall-Findings", EXAMPLE),
}
"""Stack and settings."""

ROLE, POLICY = "FindingsFunctionRoleA6B30498", "FindingsFunctionRoleDefaultPolicyCCAB41A3"
LOGS = "FindingsFunctionLogs460152F7"
BUS_RULE = "FindingsQueueRuleFC695612"
BUS = "EvaluationsBus888DF45B"

in_both = pytest.mark.parametrize(("stack", "settings"), PLACES.values(), ids=PLACES)


def arn(logical_id: str) -> Json:
    """The ARN of a resource of the stack."""
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def findings_statements(stack: str, settings: Json) -> dict[str, list[Json]]:
    """Every statement of a resource of the findings."""
    return {name: own for name, own in all_statements(stack, **settings).items() if name.startswith("Findings")}


def encrypted_in_transit(queue: str) -> Json:
    """What every queue's policy begins with."""
    return {
        "Effect": "Deny",
        "Action": "sqs:*",
        "Principal": {"AWS": "*"},
        "Resource": arn(queue),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def filled_by_the_rule(queue: str) -> Json:
    """EventBridge may send, on behalf of the one rule."""
    return {
        "Sid": "RecordsOfTheRule",
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Principal": {"Service": "events.amazonaws.com"},
        "Resource": arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": arn(BUS_RULE)}},
    }


QUEUE_STATEMENTS: dict[str, list[Json]] = {
    "FindingsQueuePolicy6EE24484": [encrypted_in_transit("FindingsQueue"), filled_by_the_rule("FindingsQueue")],
    "FindingsQueueDeadLettersPolicy910A5787": [encrypted_in_transit("FindingsDeadLetters")],
    "FindingsQueueTargetDeadLettersPolicy0FA82D85": [
        encrypted_in_transit("FindingsTargetDeadLetters"),
        filled_by_the_rule("FindingsTargetDeadLetters"),
    ],
}

OWN_STATEMENTS: list[Json] = [
    {
        "Effect": "Allow",
        "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        "Resource": arn("FindingsQueue"),
    },
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn("FindingsDeadLetters")},
    {
        "Effect": "Allow",
        "Action": ["dynamodb:BatchGetItem", "dynamodb:PutItem"],
        "Resource": arn("FindingsTable"),
    },
    {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": arn(LOGS)},
]

LAMBDA_ASSUMES: Json = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}


def import_statement(resource: object) -> Json:
    """The one thing that is done with Security Hub."""
    return {"Effect": "Allow", "Action": "securityhub:BatchImportFindings", "Resource": resource}


def in_order(statements: list[Json]) -> list[str]:
    """The CDK sorts statements by its own rules."""
    return sorted(json.dumps(one, sort_keys=True) for one in statements)


def test_every_policy_statement_in_one_account_is_expected() -> None:
    """Own queue, dead letters, table, logs, and findings of the own account and region alone."""
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":securityhub:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    product = {"Fn::Join": ["", [*parts, ":product/", {"Ref": "AWS::AccountId"}, "/default"]]}
    found = findings_statements("Rolecall", ON)
    assert in_order(found.pop(POLICY)) == in_order([*OWN_STATEMENTS, import_statement(product)])
    assert found == {ROLE: [LAMBDA_ASSUMES], **QUEUE_STATEMENTS}
    assert set(all_statements("Rolecall", **ON)) - set(all_statements()) == {*found, POLICY}


def test_every_policy_statement_in_an_organization_is_expected() -> None:
    """The same, and the publisher role of every account of the organization, but not of others."""
    assumes = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": "arn:aws:iam::*:role/rolecall-publisher",
        "Condition": {"StringEquals": {"aws:ResourceOrgID": ORGANIZATION}},
    }
    product = f"arn:aws:securityhub:*:{AUDIT}:product/{AUDIT}/default"
    found = findings_statements("Rolecall-Findings", EXAMPLE)
    assert in_order(found.pop(POLICY)) == in_order([*OWN_STATEMENTS, import_statement(product), assumes])
    assert found == {ROLE: [LAMBDA_ASSUMES], **QUEUE_STATEMENTS}
    assert set(all_statements("Rolecall-Findings", **EXAMPLE)) - {*found, POLICY} == {
        "AlarmTopicKeyBA1A4AA7",  # these two are test_stack's
        "AlarmTopicPolicyDD12BE57",
    }


def test_the_role_has_a_fixed_name_where_publisher_roles_name_it() -> None:
    """And nowhere a managed policy."""
    alone = resources("AWS::IAM::Role", **ON)[ROLE]["Properties"]
    assert set(alone) == {"AssumeRolePolicyDocument", "Description"}
    shared = properties("AWS::IAM::Role", "Rolecall-Findings", **EXAMPLE)
    assert shared == {**alone, "RoleName": "rolecall-findings"}


@pytest.mark.parametrize("prefix", ["rolecall", "judge"])
def test_the_guardrail_keeps_everybody_from_the_roles(prefix: str) -> None:
    """Whoever could change them could write any finding into any account."""
    settings = organization_settings(rolePrefix=prefix)
    (protected,) = [one for one in service_control_policy(settings)["Statement"] if one["Sid"] == "RolesOfRolecall"]
    for name in (settings.findings_role_name, settings.publisher_role_name):
        arn_of_role = f"arn:aws:iam::{AUDIT}:role/{name}"
        assert any(fnmatchcase(arn_of_role, pattern) for pattern in protected["Resource"])


PINNED = {
    "FindingsFunction": "AWS::Lambda::Function",
    "FindingsQueue": "AWS::SQS::Queue",
    "FindingsDeadLetters": "AWS::SQS::Queue",
    "FindingsTargetDeadLetters": "AWS::SQS::Queue",
    "FindingsTable": "AWS::DynamoDB::Table",
}


@in_both
def test_logical_ids_are_pinned(stack: str, settings: Json) -> None:
    """CloudFormation replaces what changes its logical id: records would be lost, and every finding forgotten."""
    found = template(stack, **settings)["Resources"]
    assert {name: found[name]["Type"] for name in PINNED} == PINNED


@in_both
def test_the_function(stack: str, settings: Json) -> None:
    """Every property of it but where its code is, and its role's name."""
    function = resources("AWS::Lambda::Function", stack, **settings)["FindingsFunction"]["Properties"]
    assert set(function.pop("Code")) == {"S3Bucket", "S3Key"}
    publisher = {"ROLECALL_PUBLISHER_ROLE": "rolecall-publisher"} if settings == EXAMPLE else {}
    assert function == {
        "Description": f"Security Hub findings of AWS Config rule {RULE_NAME}",
        "Handler": "rolecall.handlers.findings.handler",
        "Runtime": f"python{FUNCTION_PYTHON}",
        "Architectures": ["arm64"],
        "MemorySize": 512,
        "Timeout": 300,
        "Role": arn(ROLE),
        "Environment": {
            "Variables": {
                "POWERTOOLS_SERVICE_NAME": RULE_NAME,
                "POWERTOOLS_METRICS_NAMESPACE": "Rolecall",
                "ROLECALL_FINDINGS_TABLE": {"Ref": "FindingsTable"},
                "ROLECALL_DEAD_LETTERS": {"Ref": "FindingsDeadLetters"},
                "ROLECALL_MAX_RECEIVES": "5",
                **publisher,
            }
        },
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": {"Ref": LOGS}},
    }


def test_settings_reach_the_function() -> None:
    """Only those that are no defaults; the function knows the others."""
    given: Json = {
        "findingSeverities": {"NO_PROFILE": "HIGH", "EXEMPT": "INFORMATIONAL"},
        "keepPassedFindings": True,
        "remediationUrl": "https://wiki.example.com/roles",
    }

    def variables(**settings: Any) -> Json:  # noqa: ANN401  # settings of any type
        function = resources("AWS::Lambda::Function", **ON, **settings)["FindingsFunction"]
        return dict(function["Properties"]["Environment"]["Variables"])

    assert variables(**given) == variables() | {
        "ROLECALL_SEVERITIES": '{"NO_PROFILE": "HIGH"}',
        "ROLECALL_KEEP_PASSED": "true",
        "ROLECALL_REMEDIATION_URL": "https://wiki.example.com/roles",
    }


@in_both
def test_the_queue_feeds_the_function_in_large_batches(stack: str, settings: Json) -> None:
    """Of which it may fail a part; and Lambda looks at its role's permissions first."""
    (source,) = resources("AWS::Lambda::EventSourceMapping", stack, **settings).values()
    assert source == {
        "Properties": {
            "EventSourceArn": arn("FindingsQueue"),
            "FunctionName": {"Ref": "FindingsFunction"},
            "BatchSize": 1000,
            "MaximumBatchingWindowInSeconds": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
        "DependsOn": [POLICY],
    }


def test_concurrency_is_a_setting() -> None:
    """The setting findingsConcurrency."""
    source = properties("AWS::Lambda::EventSourceMapping", **ON, findingsConcurrency="10")
    assert source["ScalingConfig"] == {"MaximumConcurrency": 10}


@in_both
def test_the_queues(stack: str, settings: Json) -> None:
    """All encrypted and kept for two weeks; SQS gives up only after the function would have, which tells a reason."""
    kept: Json = {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}
    found = {
        name: queue["Properties"]
        for name, queue in resources("AWS::SQS::Queue", stack, **settings).items()
        if name.startswith("Findings")
    }
    assert found == {
        "FindingsDeadLetters": kept,
        "FindingsTargetDeadLetters": kept,
        "FindingsQueue": {
            **kept,
            "VisibilityTimeout": VISIBILITY_SECONDS,
            "RedrivePolicy": {"deadLetterTargetArn": arn("FindingsDeadLetters"), "maxReceiveCount": 6},
        },
    }
    assert VISIBILITY_SECONDS >= 6 * TIMEOUT_SECONDS + 10


@in_both
def test_the_table_outlives_the_stack(stack: str, settings: Json) -> None:
    """On demand, encrypted, recoverable to any point of time, and it forgets what is long over."""
    (table,) = resources("AWS::DynamoDB::Table", stack, **settings).values()
    assert table == {
        "Properties": {
            "AttributeDefinitions": [{"AttributeName": "finding_id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "finding_id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        },
        "UpdateReplacePolicy": "Retain",
        "DeletionPolicy": "Retain",
    }
    assert (KEY, EXPIRY) == ("finding_id", "expires_at")


def bus_rule(bus: object) -> Json:
    """The rule that fills the queue from `bus`."""
    return {
        "Description": "Evaluation records of rolecall that become Security Hub findings",
        "EventBusName": bus,
        "EventPattern": {"source": ["rolecall"], "detail-type": ["Rolecall Evaluation"]},
        "Targets": [
            {
                "Id": "FindingsQueue",
                "Arn": arn("FindingsQueue"),
                "DeadLetterConfig": {"Arn": arn("FindingsTargetDeadLetters")},
            }
        ],
    }


def test_records_come_from_the_bus_of_the_mode() -> None:
    """The stack's own, or the one that is named, or the organization's; nothing else on it is taken."""
    assert resources("AWS::Events::EventBus", **ON) == {
        BUS: {"Properties": {"Name": "Rolecall-evaluations", "Description": "Evaluation records of rolecall"}}
    }
    assert properties("AWS::Events::Rule", **ON) == bus_rule({"Ref": BUS})
    assert properties("AWS::Events::Rule", **ON, eventBus="evaluations") == bus_rule("evaluations")
    assert not resources("AWS::Events::EventBus", **ON, eventBus="evaluations")
    assert properties("AWS::Events::Rule", "Rolecall-Findings", **EXAMPLE) == bus_rule("rolecall-evaluations")


def test_the_pattern_is_what_the_bus_is_given() -> None:
    """The rule's function puts records under these names."""
    pattern = {"source": [EvaluationsBus.SOURCE], "detail-type": [EvaluationsBus.DETAIL_TYPE]}
    assert pattern == findings_queue.EVENT_PATTERN


@pytest.mark.parametrize(("given", "name"), [({}, {"Ref": BUS}), ({"eventBus": "evaluations"}, "evaluations")])
def test_the_rules_function_publishes_where_findings_listen(given: Json, name: object) -> None:
    """It may put on that bus, and is told of it."""
    function = resources("AWS::Lambda::Function", **ON, **given)["RuleFunction"]["Properties"]
    assert function["Environment"]["Variables"]["ROLECALL_EVENT_BUS"] == name
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":events:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    bus = [*parts, ":event-bus/", name] if isinstance(name, dict) else [*parts, f":event-bus/{name}"]
    (put,) = [
        one
        for one in all_statements(**ON, **given)["RuleFunctionRoleDefaultPolicy679693AC"]
        if one["Action"] == "events:PutEvents"
    ]
    assert put == {"Effect": "Allow", "Action": "events:PutEvents", "Resource": {"Fn::Join": ["", bus]}}


@pytest.mark.parametrize(
    ("given", "resource_type", "name"),
    [
        ({}, "AWS::Config::ConfigRule", "Rule"),
        ({"conformancePack": True}, "AWS::Config::ConformancePack", "Pack"),
    ],
    ids=["a rule", "a pack"],
)
def test_the_rule_waits_for_the_queue(given: Json, resource_type: str, name: str) -> None:
    """Its first records shall find one, and who fills it; in an organization a stack waits for the other."""
    waits = resources(resource_type, **ON, **given)[name]["DependsOn"]
    assert {"FindingsQueue", "FindingsQueuePolicy6EE24484", BUS_RULE} <= set(waits)


def test_without_findings_nothing_of_them_is_there() -> None:
    """The setting is off by default."""
    text = json.dumps(template())
    assert not [name for name in template()["Resources"] if name.startswith(("Findings", "EvaluationsBus"))]
    assert "securityhub" not in text
    assert "Findings" not in text


ALARMS: dict[str, tuple[str, str, str, Json]] = {
    "Errors": ("AWS/Lambda", "Errors", "FunctionName", {"Ref": "FindingsFunction"}),
    "DeadLetters": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "QueueName",
        {"Fn::GetAtt": ["FindingsDeadLetters", "QueueName"]},
    ),
    "TargetDeadLetters": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "QueueName",
        {"Fn::GetAtt": ["FindingsTargetDeadLetters", "QueueName"]},
    ),
    "LateRecords": (
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        "QueueName",
        {"Fn::GetAtt": ["FindingsQueue", "QueueName"]},
    ),
}


@in_both
def test_the_alarms(stack: str, settings: Json) -> None:
    """Errors, both kinds of dead letters, and records that wait for an hour; each says what it means."""
    found = {
        name.removeprefix("FindingsAlarms")[:-8]: one["Properties"]
        for name, one in resources("AWS::CloudWatch::Alarm", stack, **settings).items()
        if name.startswith("FindingsAlarms")
    }
    assert found.keys() == ALARMS.keys()
    for name, (namespace, metric, dimension, value) in ALARMS.items():
        description = found[name].pop("AlarmDescription")
        assert re.fullmatch(rf"AWS Config rule {RULE_NAME}: .*[a-z]\.", description)
        assert found[name] == {
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": [{"Name": dimension, "Value": value}],
            "Statistic": "Sum" if name == "Errors" else "Maximum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": 3600 if name == "LateRecords" else 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "AlarmTopicC2164170"}],
        }


@in_both
def test_the_dashboard_shows_findings(stack: str, settings: Json) -> None:
    """What became of records, whatever can ring, and the alarms; in an organization there is one of its own."""
    body = properties("AWS::CloudWatch::Dashboard", stack, **settings)["DashboardBody"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else json.dumps(part) for part in body)
    for metric in FINDINGS_METRICS:
        assert f'"Rolecall","{metric}","service","{RULE_NAME}"' in text
    for status in ComplianceStatus:
        assert f'"Rolecall","FindingsImported","Status","{status}","service","{RULE_NAME}"' in text
    for _, metric, _, value in ALARMS.values():
        assert metric in text
        assert json.dumps(value) in text
    alarms = [name for name in resources("AWS::CloudWatch::Alarm", stack, **settings) if name.startswith("Findings")]
    assert all(name in text for name in alarms)
    assert not resources("AWS::CloudWatch::Dashboard", stack, **settings, dashboard=False)


HUB_PLACES: dict[str, Json] = {"one account": {**ON, "suppressNativeFindings": True}, "an organization": EXAMPLE}


@pytest.mark.parametrize("settings", HUB_PLACES.values(), ids=HUB_PLACES)
def test_the_insights(settings: Json) -> None:
    """Active findings of the rule in all accounts, by generator: failing by account and region, exempt by account."""

    def insight(title: str, status: str, attribute: str) -> Json:
        return {
            "Name": f"{RULE_NAME}: {title}",
            "GroupByAttribute": attribute,
            "Filters": {
                "GeneratorId": [{"Comparison": "EQUALS", "Value": GENERATOR}],
                "ComplianceStatus": [{"Comparison": "EQUALS", "Value": status}],
                "RecordState": [{"Comparison": "EQUALS", "Value": "ACTIVE"}],
            },
        }

    found = resources("AWS::SecurityHub::Insight", "Rolecall-SecurityHub", **settings)
    assert [one["Properties"] for one in found.values()] == [
        insight("failing instances by account", "FAILED", "AwsAccountId"),
        insight("failing instances by region", "FAILED", "Region"),
        insight("exempt instances by account", "WARNING", "AwsAccountId"),
    ]


def test_the_findings_of_aws_config_itself_are_suppressed_on_demand() -> None:
    """By product and by the beginning of the title: packs give rules a suffix. The note says where to look instead."""
    given = {"suppressNativeFindings": True}
    rule = properties("AWS::SecurityHub::AutomationRule", "Rolecall-SecurityHub", **ON, **given)
    assert rule == {
        "RuleName": "Rolecall-native-findings",
        "Description": "rolecall has a finding of its own for what this one of AWS Config says",
        "RuleOrder": 100,
        "RuleStatus": "ENABLED",
        "Criteria": {
            "ProductName": [{"Comparison": "EQUALS", "Value": "Config"}],
            "Title": [{"Comparison": "PREFIX", "Value": RULE_NAME}],
        },
        "Actions": [
            {
                "Type": "FINDING_FIELDS_UPDATE",
                "FindingFieldsUpdate": {
                    "Workflow": {"Status": "SUPPRESSED"},
                    "Note": {
                        "Text": f"See the finding of {GENERATOR} for the same instance.",
                        "UpdatedBy": "rolecall",
                    },
                },
            }
        ],
    }
    assert not resources("AWS::SecurityHub::AutomationRule", "Rolecall-SecurityHub", **ON)
    assert properties("AWS::SecurityHub::AutomationRule", "Rolecall-SecurityHub", **EXAMPLE, **given) == rule


@pytest.mark.parametrize(
    ("given", "stacks"),
    [
        ({}, {"Rolecall"}),
        (ON, {"Rolecall", "Rolecall-SecurityHub"}),
        ({**ON, "insights": False}, {"Rolecall"}),
        ({**ON, "insights": False, "suppressNativeFindings": True}, {"Rolecall", "Rolecall-SecurityHub"}),
    ],
    ids=["off", "on", "no insights", "suppression alone"],
)
def test_what_security_hub_is_told_has_a_stack_of_its_own(given: Json, stacks: set[str]) -> None:
    """Which is there only if it holds anything."""
    manifest = json.loads((assembly(**given) / "manifest.json").read_text())
    found = {name for name, one in manifest["artifacts"].items() if one["type"] == "aws:cloudformation:stack"}
    assert found == stacks


def test_the_region_is_the_home_region_alone() -> None:
    """One function for all accounts and regions."""
    manifest_environment = f"aws://{AUDIT}/{HOME}"
    manifest = json.loads((assembly(**EXAMPLE) / "manifest.json").read_text())
    for stack in ("Rolecall-Findings", "Rolecall-SecurityHub"):
        assert manifest["artifacts"][stack]["environment"] == manifest_environment
