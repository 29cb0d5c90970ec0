import pytest

from tests.builders import ABSENT, RULE_NAME, Json, notification_item
from tests.local.config_harness import FUNCTION_ARN, INSTANCE, Harness, answer_of, refusal, rule, source

OTHER_RECORDER = {"name": "another", "roleARN": "arn:aws:iam::111122223333:role/config"}


def _detail(message_type: str, **changes: object) -> Json:
    return {"EventSource": "aws.config", "MessageType": message_type, **changes}


def test_a_rule_is_described_as_it_was_put(config: Harness) -> None:
    """With what the service adds: ARN, id, state, mode, and the default frequency of what is scheduled."""
    [described] = answer_of(config.client().describe_config_rules, ConfigRuleNames=[RULE_NAME])["ConfigRules"]
    rule_id = described["ConfigRuleId"]
    assert rule_id.startswith("config-rule-")
    change, oversized, scheduled = source()["SourceDetails"]
    assert described == {
        **rule(),
        "ConfigRuleArn": f"arn:aws:config:eu-west-1:111122223333:config-rule/{rule_id}",
        "ConfigRuleId": rule_id,
        "ConfigRuleState": "ACTIVE",
        "EvaluationModes": [{"Mode": "DETECTIVE"}],
        "Source": source()
        | {"SourceDetails": [change, oversized, scheduled | {"MaximumExecutionFrequency": "TwentyFour_Hours"}]},
    }


def test_putting_a_rule_again_changes_it(config: Harness) -> None:
    """It stays the same rule, with its id and its results."""
    [before] = config.client().describe_config_rules()["ConfigRules"]
    config.put_rule(InputParameters='{"evaluateStopped":"false"}')
    [after] = config.client().describe_config_rules()["ConfigRules"]
    assert after == before | {"InputParameters": '{"evaluateStopped":"false"}'}


def test_a_rule_is_changed_by_its_arn_or_id_too(config: Harness) -> None:
    """Then its name may be left out."""
    [before] = config.client().describe_config_rules()["ConfigRules"]
    for name in ("ConfigRuleArn", "ConfigRuleId"):
        config.put_rule(**{"ConfigRuleName": ABSENT, name: before[name], "Description": name})
        [after] = config.client().describe_config_rules()["ConfigRules"]
        assert after == before | {"Description": name}


INVALID = "InvalidParameterValueException"
TYPES = "Only the following values are permitted: ["

REFUSED = [
    (
        "a new rule without a name",
        {"ConfigRuleName": ABSENT},
        (INVALID, "One or more identifiers needs to be provided. Provide Name or Id or Arn"),
    ),
    (
        "a name of 129 characters",
        {"ConfigRuleName": "r" * 129},
        (
            "ValidationException",
            (
                f"1 validation error detected: Value '{'r' * 120}…' at 'configRule.configRuleName' failed to satisfy "
                "constraint: Member must have length less than or equal to 128"
            ),
        ),
    ),
    (
        "a blank name",
        {"ConfigRuleName": "  "},
        (
            "ValidationException",
            (
                "1 validation error detected: Value '  ' at 'configRule.configRuleName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: .*\S.*"
            ),
        ),
    ),
    (
        "parameters that are no JSON",
        {"InputParameters": "{"},
        (INVALID, "Invalid json { passed in the InputParameters field"),
    ),
    (
        "parameters that are no object",
        {"InputParameters": "[]"},
        (INVALID, "Invalid json [] passed in the InputParameters field"),
    ),
    (
        "parameters of 1,025 characters",
        {"InputParameters": f'{{"a":"{"x" * 1017}"}}'},
        (
            "ValidationException",
            (
                f"1 validation error detected: Value '{{\"a\":\"{'x' * 114}…' at 'configRule.inputParameters' failed "
                "to satisfy constraint: Member must have length less than or equal to 1024"
            ),
        ),
    ),
    (
        "a scope of resources and a tag",
        {"Scope": {"ComplianceResourceTypes": [INSTANCE], "TagKey": "team"}},
        (INVALID, "Scope cannot be applied to both resource and tag"),
    ),
    (
        "a scope of a tag's value without its key",
        {"Scope": {"TagValue": "shop"}},
        (INVALID, "Tag key should not be empty when tag value is provided in scope"),
    ),
    (
        "a scope of a resource without its type",
        {"Scope": {"ComplianceResourceId": "i-1"}},
        (INVALID, "A single resourceType should be provided when resourceId is provided in scope"),
    ),
    (
        "a frequency for changes",
        {
            "Source": source(
                SourceDetails=[
                    _detail("ConfigurationItemChangeNotification", MaximumExecutionFrequency="TwentyFour_Hours")
                ]
            )
        },
        (
            INVALID,
            (
                "A maximum execution frequency is not allowed if MessageType is ConfigurationItemChangeNotification or "
                "OversizedConfigurationItemChangeNotification"
            ),
        ),
    ),
    (
        "a frequency for the rule itself",
        {"MaximumExecutionFrequency": "One_Hour"},
        (
            INVALID,
            (
                "A maximum execution frequency is not allowed for a custom Lambda rule itself. "
                "Specify it in the SourceDetails whose MessageType is ScheduledNotification"
            ),
        ),
    ),
    (
        "a message type that does not exist",
        {"Source": source("ComplianceChangeNotification")},
        (
            "ValidationException",
            (
                "1 validation error detected: Value 'ComplianceChangeNotification' at "
                "'configRule.source.sourceDetails.1.member.messageType' failed to satisfy constraint: Member must "
                "satisfy enum value set: [ConfigurationItemChangeNotification, ConfigurationSnapshotDeliveryCompleted, "
                "ScheduledNotification, OversizedConfigurationItemChangeNotification]"
            ),
        ),
    ),
    (
        "details without a message type",
        {"Source": source(SourceDetails=[{"EventSource": "aws.config"}])},
        (INVALID, "EventSource and MessageType should be provided in each of the SourceDetails"),
    ),
    (
        "no details",
        {"Source": source(SourceDetails=ABSENT)},
        (INVALID, "SourceDetails should be provided if the owner is CUSTOM_LAMBDA"),
    ),
    (
        "a function with the qualifier $LATEST",
        {"Source": source(SourceIdentifier=f"{FUNCTION_ARN}:$LATEST")},
        (
            INVALID,
            (
                f"The sourceIdentifier {FUNCTION_ARN}:$LATEST is invalid. "
                "It must be the ARN of a Lambda function, without the qualifier $LATEST"
            ),
        ),
    ),
    (
        "a managed rule, which nothing here could run",
        {"Source": {"Owner": "AWS", "SourceIdentifier": "EC2_INSTANCE_PROFILE_ATTACHED"}},
        (INVALID, "The local AWS Config runs rules of the owner CUSTOM_LAMBDA, not AWS"),
    ),
    (
        "a new rule with an ARN",
        {
            "ConfigRuleName": "new",
            "ConfigRuleArn": "arn:aws:config:eu-west-1:111122223333:config-rule/config-rule-abcdef",
        },
        (
            INVALID,
            (
                "ConfigRule Arn and Id can not be specified when creating a new ConfigRule. ConfigRule Arn and Id are "
                "generated by the service. Please try the request again without specifying ConfigRule Arn or Id"
            ),
        ),
    ),
    (
        "a state other than ACTIVE",
        {"ConfigRuleState": "DELETING"},
        (INVALID, "The ConfigRuleState DELETING is invalid.  Only the following values are permitted: ACTIVE"),
    ),
    (
        "a creator, which only AWS sets",
        {"CreatedBy": "me"},
        (
            INVALID,
            (
                "AWS Config populates the CreatedBy field for ServiceLinkedConfigRule. "
                "Try again without populating the CreatedBy field"
            ),
        ),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(config: Harness, changes: Json, expected: tuple[str, str]) -> None:
    """AWS refuses this, in these words; the rule that was there stays as it was."""
    before = config.client().describe_config_rules()["ConfigRules"]
    assert refusal(config.client().put_config_rule, ConfigRule=rule(**changes)) == expected
    assert config.client().describe_config_rules()["ConfigRules"] == before


def test_refuses_a_scope_of_a_type_that_does_not_exist(config: Harness) -> None:
    """The message lists those that do."""
    scope = {"ComplianceResourceTypes": ["AWS::EC2::Server"]}
    code, message = refusal(config.client().put_config_rule, ConfigRule=rule(Scope=scope))
    assert code == INVALID
    assert message.startswith(f"The resource type AWS::EC2::Server is invalid. {TYPES}")


def test_refuses_a_function_that_does_not_exist(config: Harness) -> None:
    """As AWS does when it may not invoke it."""
    config.service.function_exists = FUNCTION_ARN.__eq__
    config.put_rule()
    code, _ = refusal(
        config.client().put_config_rule, ConfigRule=rule(Source=source(SourceIdentifier=f"{FUNCTION_ARN}2"))
    )
    assert code == "InsufficientPermissionsException"


def test_a_rule_needs_a_recorder(config: Harness) -> None:
    """A region without one takes no rule."""
    code, _ = refusal(config.client(region="eu-central-1").put_config_rule, ConfigRule=rule())
    assert code == "NoAvailableConfigurationRecorderException"


def test_there_are_at_most_1000_rules(config: Harness) -> None:
    """The quota that the API's documentation names."""
    for number in range(999):
        config.region.put_config_rule({"ConfigRule": rule(ConfigRuleName=f"rule-{number}")})
    code, _ = refusal(config.client().put_config_rule, ConfigRule=rule(ConfigRuleName="one-too-many"))
    assert code == "MaxNumberOfConfigRulesExceededException"
    pages = [answer_of(config.client().describe_config_rules)]
    while "NextToken" in pages[-1]:
        pages.append(answer_of(config.client().describe_config_rules, NextToken=pages[-1]["NextToken"]))
    assert [len(page["ConfigRules"]) for page in pages] == [25] * 40


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("describe_config_rules", {"ConfigRuleNames": ["no-such-rule"]}),
        ("delete_config_rule", {"ConfigRuleName": "no-such-rule"}),
        ("start_config_rules_evaluation", {"ConfigRuleNames": ["no-such-rule"]}),
    ],
)
def test_an_unknown_rule_is_refused(config: Harness, operation: str, request_: Json) -> None:
    """Whatever is to be done with it."""
    assert refusal(getattr(config.client(), operation), **request_) == (
        "NoSuchConfigRuleException",
        "The ConfigRule 'no-such-rule' provided in the request is invalid. Please check the configRule name",
    )


def test_a_recorder_is_described_with_its_state(config: Harness) -> None:
    """From its definition to when it was last started and stopped."""
    client = config.client()
    config.clock.now = config.clock.now.replace(microsecond=250_000)
    client.stop_configuration_recorder(ConfigurationRecorderName="default")
    [status] = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["recording"], status["lastStopTime"]) == (False, config.clock.now)
    client.start_configuration_recorder(ConfigurationRecorderName="default")
    [status] = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["recording"], status["lastStatus"], status["lastStartTime"]) == (True, "SUCCESS", config.clock.now)
    config.region.recorders.fail("AccessDenied", "no")
    [status] = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["recording"], status["lastStatus"], status["lastErrorMessage"]) == (True, "FAILURE", "no")
    client.start_configuration_recorder(ConfigurationRecorderName="default")
    [status] = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert status["lastStatus"] == "SUCCESS"
    [recorder] = client.describe_configuration_recorders(ConfigurationRecorderNames=["default"])[
        "ConfigurationRecorders"
    ]
    assert recorder["recordingGroup"] == {"allSupported": True, "includeGlobalResourceTypes": False}
    assert recorder["roleARN"].endswith(":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig")


RECORDERS_REFUSED = [
    (
        "a second recorder",
        "put_configuration_recorder",
        {"ConfigurationRecorder": OTHER_RECORDER},
        "MaxNumberOfConfigurationRecordersExceededException",
    ),
    (
        "no role",
        "put_configuration_recorder",
        {"ConfigurationRecorder": {"name": "default"}},
        "InvalidRoleException",
    ),
    (
        "all types and some types",
        "put_configuration_recorder",
        {
            "ConfigurationRecorder": OTHER_RECORDER
            | {"name": "default", "recordingGroup": {"allSupported": True, "resourceTypes": [INSTANCE]}}
        },
        "InvalidRecordingGroupException",
    ),
    (
        "starting one that is not there",
        "start_configuration_recorder",
        {"ConfigurationRecorderName": "another"},
        "NoSuchConfigurationRecorderException",
    ),
    (
        "describing one that is not there",
        "describe_configuration_recorders",
        {"ConfigurationRecorderNames": ["another"]},
        "NoSuchConfigurationRecorderException",
    ),
]


@pytest.mark.parametrize(
    ("operation", "request_", "code"), [row[1:] for row in RECORDERS_REFUSED], ids=[row[0] for row in RECORDERS_REFUSED]
)
def test_refuses_for_recorders(config: Harness, operation: str, request_: Json, code: str) -> None:
    """AWS refuses this with this code."""
    assert refusal(getattr(config.client(), operation), **request_)[0] == code


GROUPS = [
    ("only the types that are named", {"resourceTypes": ["AWS::EC2::Volume"]}, False),
    ("the named type", {"resourceTypes": [INSTANCE]}, True),
    ("all types but the named ones", {"exclusionByResourceTypes": {"resourceTypes": [INSTANCE]}}, False),
    ("all types", {"allSupported": True}, True),
]


@pytest.mark.parametrize(("group", "recorded"), [row[1:] for row in GROUPS], ids=[row[0] for row in GROUPS])
def test_the_recorder_records(config: Harness, group: Json, *, recorded: bool) -> None:
    """What its recording group says, and nothing while it is stopped."""
    client = config.client()
    client.put_configuration_recorder(
        ConfigurationRecorder=OTHER_RECORDER | {"name": "default", "recordingGroup": group}
    )
    assert bool(config.region.record(notification_item())) is recorded
    client.stop_configuration_recorder(ConfigurationRecorderName="default")
    assert config.region.record(notification_item(resourceId="i-1")) == []
    assert config.region.newest(INSTANCE, "i-1") is None
