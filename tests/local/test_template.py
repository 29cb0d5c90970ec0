import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.cloud_assembly import AssemblyError, Place, Stack, read_stacks
from local.template import FunctionDefinition, read_function
from tests.infra.synthesis import assembly

PLACE = Place(account_id="111122223333", region="eu-west-1")
GET_ARN = {"Fn::GetAtt": ["RuleFunction", "Arn"]}
BUS_ARN = "arn:aws:events:eu-west-1:111122223333:event-bus/evaluations"
ARN = "arn:aws:lambda:eu-west-1:111122223333:function:Rolecall-RuleFunction"


def function(**changes: object) -> dict[str, Any]:
    """A function's resource with nothing but what it must have."""
    code = {"S3Bucket": {"Fn::Sub": "assets-${AWS::AccountId}"}, "S3Key": "package.zip"}
    properties = {"Handler": "rule.handler", "Runtime": "python3.13", "Code": code, **changes}
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def rule(logical_source: object = GET_ARN, **changes: object) -> dict[str, Any]:
    """A custom Lambda rule's resource."""
    details = [{"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"}]
    source = {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": logical_source, "SourceDetails": details}
    return {"Type": "AWS::Config::ConfigRule", "Properties": {"Source": source, **changes}}


def write_assembly(cdk_out: Path, resources: Mapping[str, object], name: str = "Rolecall", **template: object) -> Path:
    """A cloud assembly of one stack and its one asset, as `cdk synth` lays it out."""
    (cdk_out / "asset.package").mkdir(parents=True)
    asset = {"source": {"path": "asset.package"}, "destinations": {"here": {"objectKey": "package.zip"}}}
    built = {"source": {"executable": ["build"]}, "destinations": {"here": {"objectKey": "built.zip"}}}
    files = {
        "manifest.json": {
            "artifacts": {
                f"{name}.assets": {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}},
                name: {"type": "aws:cloudformation:stack", "properties": {"templateFile": "template.json"}},
                "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
            }
        },
        "assets.json": {"files": {"package": asset, "built": built}},
        "template.json": {"Resources": resources, **template},
    }
    for file, content in files.items():
        (cdk_out / file).write_text(json.dumps(content), encoding="utf-8")
    return cdk_out


def test_a_whole_function(tmp_path: Path) -> None:
    """Everything that the template says about the function, its invocation and its rule, resolved."""
    resources = {
        "RuleFunction": function(
            FunctionName={"Fn::Join": ["-", ["rule", {"Ref": "AWS::Region"}]]},
            Architectures=["arm64"],
            Timeout=60,
            MemorySize=512,
            ReservedConcurrentExecutions=5,
            Role={"Fn::GetAtt": ["ExecutionRole", "Arn"]},
            Environment={
                "Variables": {"ROLECALL_EVENT_BUS": {"Ref": "Bus"}, "LEVEL": 3, "NONE": {"Ref": "AWS::NoValue"}}
            },
            LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": {"Ref": "Logs"}},
            DeadLetterConfig={"TargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}},
        ),
        "Invoke": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "RuleFunction"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "MaximumEventAgeInSeconds": 3600,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}},
            },
        },
        "ExecutionRole": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "rule"}},
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "evaluations"}},
        "Logs": {"Type": "AWS::Logs::LogGroup"},
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Failed": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failed"}},
        "Rule": rule(
            ConfigRuleName="instance-profile",
            Scope={"ComplianceResourceTypes": ["AWS::EC2::Instance"]},
            InputParameters={"exemptionMaxDays": "90"},
            MaximumExecutionFrequency="TwentyFour_Hours",
            Compliance={"Type": "COMPLIANT"},
        ),
        "RuleOfAnother": rule({"Fn::GetAtt": ["Other", "Arn"]}),
        "ManagedRule": {
            "Type": "AWS::Config::ConfigRule",
            "Properties": {"Source": {"Owner": "AWS", "SourceIdentifier": "EC2_INSTANCE_PROFILE_ATTACHED"}},
        },
        "Other": function(Handler="other.handler"),
    }
    cdk_out = write_assembly(tmp_path, resources)
    arn = "arn:aws:lambda:eu-west-1:111122223333:function:rule-eu-west-1"
    assert read_function(cdk_out, "RuleFunction", PLACE) == FunctionDefinition(
        name="rule-eu-west-1",
        arn=arn,
        handler="rule.handler",
        runtime="python3.13",
        code=cdk_out / "asset.package",
        architecture="arm64",
        timeout_seconds=60,
        memory_mib=512,
        reserved_concurrency=5,
        role_arn="arn:aws:iam::111122223333:role/rule",
        environment={"ROLECALL_EVENT_BUS": "evaluations", "LEVEL": "3"},
        log_format="JSON",
        log_level="WARN",
        log_group="Rolecall-Logs",
        retry_attempts=1,
        maximum_event_age_seconds=3600,
        dead_letter_arn="arn:aws:sqs:eu-west-1:111122223333:Rolecall-Dead",
        on_failure_arn="arn:aws:sqs:eu-west-1:111122223333:failed",
        config_rules=(
            {
                "ConfigRuleName": "instance-profile",
                "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Instance"]},
                "Source": {
                    "Owner": "CUSTOM_LAMBDA",
                    "SourceIdentifier": arn,
                    "SourceDetails": [
                        {"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"}
                    ],
                },
                "InputParameters": '{"exemptionMaxDays":"90"}',
                "MaximumExecutionFrequency": "TwentyFour_Hours",
            },
        ),
    )


def test_a_least_function_has_lambdas_defaults(tmp_path: Path) -> None:
    """What the template leaves out is Lambda's default; a rule without a name gets a made-up one."""
    cdk_out = write_assembly(tmp_path, {"RuleFunction": function(), "Rule": rule()})
    found = read_function(cdk_out, "rule.handler", PLACE)
    assert [one["ConfigRuleName"] for one in found.config_rules] == ["Rolecall-Rule"]
    assert found == FunctionDefinition(
        name="Rolecall-RuleFunction",
        arn=ARN,
        handler="rule.handler",
        runtime="python3.13",
        code=cdk_out / "asset.package",
        architecture="x86_64",
        timeout_seconds=3,
        memory_mib=128,
        reserved_concurrency=None,
        role_arn=None,
        environment={},
        log_format="Text",
        log_level="",
        log_group="",
        retry_attempts=2,
        maximum_event_age_seconds=21_600,
        dead_letter_arn=None,
        on_failure_arn=None,
        config_rules=found.config_rules,
    )
    assert (found.account_id, found.region) == ("111122223333", "eu-west-1")


STACK = Stack(
    name="Rolecall",
    place=PLACE,
    resources={
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "evaluations"}},
        "Function": {"Type": "AWS::Lambda::Function"},
        "Key": {"Type": "AWS::KMS::Key"},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "reporter"}},
        "Rule": {"Type": "AWS::Config::ConfigRule", "Properties": {"ConfigRuleName": "instance-profile"}},
        "Topic": {"Type": "AWS::SNS::Topic"},
    },
    parameters={"Stage": {"Type": "String", "Default": "test"}, "Needed": {"Type": "String"}},
    physical_ids={"Key": "1234-abcd", "Key.Arn": "arn:aws:kms:eu-west-1:111122223333:key/1234-abcd"},
)

RESOLVABLE = [
    ("a literal", "text", "text"),
    ("a number", 3, 3),
    ("an account", {"Ref": "AWS::AccountId"}, "111122223333"),
    ("a partition", {"Ref": "AWS::Partition"}, "aws"),
    ("a domain", {"Ref": "AWS::URLSuffix"}, "amazonaws.com"),
    ("a stack's name", {"Ref": "AWS::StackName"}, "Rolecall"),
    ("a stack's id", {"Ref": "AWS::StackId"}, "arn:aws:cloudformation:eu-west-1:111122223333:stack/Rolecall/local"),
    ("a parameter with a default", {"Ref": "Stage"}, "test"),
    ("a name from the template", {"Ref": "Rule"}, "instance-profile"),
    ("a made-up name", {"Ref": "Function"}, "Rolecall-Function"),
    ("a queue is its URL", {"Ref": "Queue"}, "https://sqs.eu-west-1.amazonaws.com/111122223333/Rolecall-Queue"),
    ("a topic is its ARN", {"Ref": "Topic"}, "arn:aws:sns:eu-west-1:111122223333:Rolecall-Topic"),
    ("an ARN with a region", {"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:eu-west-1:111122223333:Rolecall-Queue"),
    ("an ARN without a region", {"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::111122223333:role/reporter"),
    ("a physical id", {"Ref": "Key"}, "1234-abcd"),
    ("an attribute given", {"Fn::GetAtt": ["Key", "Arn"]}, "arn:aws:kms:eu-west-1:111122223333:key/1234-abcd"),
    ("substitution", {"Fn::Sub": "${Stage}/${Bus.Arn}/${!A}"}, f"test/{BUS_ARN}/${{A}}"),
    ("substitution with variables", {"Fn::Sub": ["${A}-${Stage}", {"A": {"Ref": "Bus"}}]}, "evaluations-test"),
    ("joining", {"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, 1, True]]}, "arn:aws:1:true"),
    ("inside lists and objects", [{"a": [{"Ref": "Stage"}]}, {"Ref": "Bus"}], [{"a": ["test"]}, "evaluations"]),
    ("no value", {"a": 1, "b": {"Ref": "AWS::NoValue"}}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "value", "expected"), RESOLVABLE, ids=[row[0] for row in RESOLVABLE])
def test_resolvable(sentence: str, value: object, expected: object) -> None:
    """Literals and intrinsics mean what they would mean once deployed."""
    assert STACK.resolve(value, "here") == expected, sentence


def test_another_partition() -> None:
    """ARNs and domains follow the place."""
    stack = Stack(name="S", place=Place(region="cn-north-1", partition="aws-cn"), resources=STACK.resources)
    assert stack.resolve({"Fn::GetAtt": ["Role", "Arn"]}, "here") == "arn:aws-cn:iam::111122223333:role/reporter"
    assert stack.resolve({"Ref": "Queue"}, "here") == "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/S-Queue"


def unknown(where: str, name: str, what: str) -> str:
    """The message about a value that only a deployment knows."""
    advice = f"nothing here can derive its value; give it among the physical ids, under '{name}'"
    return f"Rolecall: {where} refers to {name}, {what}: {advice}"


def not_intrinsic(value: str) -> str:
    """The message about a function of CloudFormation that is not understood."""
    allowed = "allowed: Ref, Fn::GetAtt, Fn::Sub and Fn::Join"
    return f"Rolecall: here is {value}, which means nothing without a deployment; {allowed}"


UNRESOLVABLE = [
    ({"Ref": "Nowhere"}, unknown("here", "Nowhere", "which is not in the template")),
    ({"Fn::Sub": "${Nowhere.Arn}"}, unknown("here", "Nowhere.Arn", "which is not in the template")),
    ({"Ref": "Needed"}, unknown("here", "Needed", "a parameter without a default")),
    ({"a": [{"Fn::GetAtt": ["Role", "Id"]}]}, unknown("here.a[0]", "Role.Id", "a resource of type AWS::IAM::Role")),
    ({"Fn::GetAtt": ["Rule", "Arn"]}, unknown("here", "Rule.Arn", "a resource of type AWS::Config::ConfigRule")),
    ({"Fn::If": ["C", "a", "b"]}, not_intrinsic('{"Fn::If": ["C", "a", "b"]}')),
    ({"Fn::GetAtt": "Role.Arn"}, not_intrinsic('{"Fn::GetAtt": "Role.Arn"}')),
    ({"Fn::Join": ["", [["a"]]]}, 'Rolecall: here[0] is ["a"]; allowed: a string'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), UNRESOLVABLE)
def test_unresolvable(value: object, message: str) -> None:
    """What only a deployment could tell is an error that says where it stands and what would help."""
    with pytest.raises(AssemblyError) as error:
        STACK.resolve(value, "here")
    assert str(error.value) == message


BROKEN_FUNCTIONS = [
    ({"Runtime": {"Ref": "Nowhere"}}, "Rolecall: F.Runtime refers to Nowhere"),
    ({"Timeout": "soon"}, "Rolecall: F.Timeout is 'soon'; allowed: a whole number"),
    ({"Architectures": []}, "Rolecall: F.Architectures is []; allowed: one name"),
    ({"Code": {"ZipFile": "code"}}, 'Rolecall: F.Code is {"ZipFile": "code"}; allowed: S3Bucket and S3Key of an asset'),
    ({"Code": {"S3Key": "built.zip"}}, 'Rolecall: F.Code is {"S3Key": "built.zip"}; allowed: S3Bucket and S3Key'),
    ({"Environment": "none"}, 'F.Environment is "none"; allowed: a JSON object'),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BROKEN_FUNCTIONS)
def test_broken_functions(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """A property that cannot be used is named, with its value and what is allowed."""
    cdk_out = write_assembly(tmp_path, {"F": function(**changes)})
    with pytest.raises(AssemblyError) as error:
        read_function(cdk_out, "F", PLACE)
    assert str(error.value).startswith(message)


def test_missing_property(tmp_path: Path) -> None:
    """A function without a handler is named."""
    resource = function()
    del resource["Properties"]["Handler"]
    with pytest.raises(AssemblyError, match=r"^Rolecall: F\.Handler is missing$"):
        read_function(write_assembly(tmp_path, {"F": resource}), "F", PLACE)


def test_missing_package(tmp_path: Path) -> None:
    """An assembly whose asset is not there is named."""
    cdk_out = write_assembly(tmp_path, {"F": function()})
    (cdk_out / "asset.package").rmdir()
    with pytest.raises(AssemblyError, match=rf"^Rolecall: the package of F is not there: {cdk_out}/asset\.package$"):
        read_function(cdk_out, "F", PLACE)


@pytest.mark.parametrize(("name", "count"), [("nobody", 0), ("rule.handler", 2)])
def test_which_function(tmp_path: Path, name: str, count: int) -> None:
    """A name that fits none, or a handler that fits several, is answered with what there is."""
    cdk_out = write_assembly(tmp_path, {"A": function(), "B": function()})
    with pytest.raises(AssemblyError) as error:
        read_function(cdk_out, name, PLACE)
    holds = f"holds {count} functions with the logical id or handler '{name}', not one"
    assert str(error.value) == f"{cdk_out} {holds}; there is Rolecall: A, Rolecall: B"
    assert read_function(cdk_out, "A", PLACE).name == "Rolecall-A"


def test_stacks_of_stages(tmp_path: Path) -> None:
    """Nested assemblies are read too; the stack's name chooses among equal functions."""
    write_assembly(tmp_path / "one", {"F": function()}, name="First")
    write_assembly(tmp_path / "two", {"F": function()}, name="Second")
    nested = {name: {"type": "cdk:cloud-assembly", "properties": {"directoryName": name}} for name in ("one", "two")}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": nested}), encoding="utf-8")
    assert [stack.name for stack in read_stacks(tmp_path, PLACE)] == ["First", "Second"]
    assert read_function(tmp_path, "F", PLACE, stack="Second").name == "Second-F"
    with pytest.raises(AssemblyError, match=rf"^{tmp_path} holds no stack named Third$"):
        read_function(tmp_path, "F", PLACE, stack="Third")


def test_no_assembly(tmp_path: Path) -> None:
    """A folder that nothing was synthesized into says what to do."""
    with pytest.raises(AssemblyError, match=r"manifest\.json is not there: run `make synth` \(or `cdk synth`\) first$"):
        read_stacks(tmp_path, PLACE)


def test_assembly_that_is_no_json(tmp_path: Path) -> None:
    """A damaged file is named."""
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(AssemblyError, match=rf"^{tmp_path}/manifest\.json is not JSON: Expecting"):
        read_stacks(tmp_path, PLACE)


def test_the_projects_own_stack() -> None:
    """The synthesized single-account stack is understood whole: function, dead letters, rule."""
    found = read_function(assembly(), "rolecall.handlers.rule.handler", PLACE)
    assert (found.runtime, found.architecture, found.log_format) == ("python3.13", "arm64", "JSON")
    assert (found.retry_attempts, found.maximum_event_age_seconds) == (2, 21_600)
    assert found.dead_letter_arn is not None
    assert found.dead_letter_arn.startswith("arn:aws:sqs:eu-west-1:111122223333:Rolecall-")
    assert found.code.is_dir()
    [config_rule] = found.config_rules
    assert config_rule["ConfigRuleName"] == found.environment["POWERTOOLS_SERVICE_NAME"]
    assert config_rule["Scope"] == {"ComplianceResourceTypes": ["AWS::EC2::Instance"]}
    source = config_rule["Source"]
    assert isinstance(source, dict)
    assert (source["Owner"], source["SourceIdentifier"]) == ("CUSTOM_LAMBDA", found.arn)
    assert len(source["SourceDetails"]) == 3
