"""The evidence stacks: the same in one account and in an organization, but for whom collect may become."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.evidence_buckets import LEDGER, PACKAGES, PLANS, RUNS, SEALING, SHARDS, UNDELIVERED
from infra.evidence_queries import COLUMNS, saved_queries
from infra.setting_types import InvalidSettings
from infra.settings import EVIDENCE_NAME_MAX_LENGTH, Settings
from tests.infra.organization import AUDIT, EXAMPLE, HOME, MANAGEMENT, ORGANIZATION, organization_settings
from tests.infra.synthesis import Json, all_statements, assembly, context, properties, resources

STACK = "Rolecall-Evidence"
ON: Json = {"evidence": True}
IN_AN_ORGANIZATION: Json = {**EXAMPLE, **ON, "regions": HOME}
RULE_NAME = "rolecall-ec2-instance-profile"

ACCOUNT = {"Ref": "AWS::AccountId"}
LEDGER_BUCKET = {"Fn::GetAtt": ["EvidenceBucketsLedger632A03FD", "Arn"]}
PACKAGES_BUCKET = {"Fn::GetAtt": ["EvidenceBucketsPackages0755EAFF", "Arn"]}
LOGS_BUCKET = {"Fn::GetAtt": ["EvidenceBucketsAccessLogsFA4E55CF", "Arn"]}
KEY = {"Fn::GetAtt": ["EvidenceSigningKeyE88B15E8", "Arn"]}

VARIANTS: dict[str, Json] = {
    "one account": ON,
    "one account, everything set": {
        **ON,
        "eventBus": "evaluations",
        "evidenceLockMode": "COMPLIANCE",
        "evidenceLockDays": 2557,
        "evidenceConcurrency": 40,
        "evidenceOlderKeys": "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd",
        "evidenceKeyNumber": 2,
        "evidenceScheduleHourUtc": 3,
        "logRetentionDays": 30,
        "alarmTopic": "none",
        "securityHub": True,
    },
    "an organization": IN_AN_ORGANIZATION,
    "an organization with its management account": {**IN_AN_ORGANIZATION, "includeManagementAccount": True},
    "China": {**EXAMPLE, **ON, "homeRegion": "cn-north-1", "regions": "cn-north-1", "memberAccounts": [MANAGEMENT]},
}


def below(bucket: Json, prefix: str) -> Json:
    """The objects of a bucket below a prefix."""
    return {"Fn::Join": ["", [bucket, f"/{prefix}*"]]}


def allow(*actions: str, on: object, **conditions: Json) -> Json:
    """A statement as the CDK writes it: one of a kind stands alone."""
    statement: Json = {
        "Effect": "Allow",
        "Action": actions[0] if len(actions) == 1 else list(actions),
        "Resource": on,
    }
    return {**statement, "Condition": conditions} if conditions else statement


def trusts(service: str, *sources: str) -> list[Json]:
    """A role's trust: a service, and for whom it acts; Lambda knows no such conditions for an execution role."""
    trust: Json = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
    if sources:
        arns = [f"arn:aws:{service}:{HOME}:{AUDIT}:{one}" if service != "events" else one for one in sources]
        source = {"aws:SourceArn": arns if len(arns) > 1 else arns[0]}
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": source}
    return [trust]


def only_by_tls(bucket: Json) -> list[Json]:
    """What the policy of every bucket begins with."""
    both = [bucket, {"Fn::Join": ["", [bucket, "/*"]]}]
    deny: Json = {"Effect": "Deny", "Action": "s3:*", "Principal": {"AWS": "*"}, "Resource": both}
    return [
        {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**deny, "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}},
    ]


def logged(bucket: Json, prefix: str) -> Json:
    """S3 itself may write the log of one bucket."""
    return {
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Resource": {"Fn::Join": ["", [LOGS_BUCKET, f"/{prefix}/*"]]},
        "Condition": {"ArnLike": {"aws:SourceArn": bucket}, "StringEquals": {"aws:SourceAccount": AUDIT}},
    }


def refused(sid: str, actions: str | list[str], *objects: tuple[Json, str], **conditions: Json) -> Json:
    """Nobody may, or nobody of whom the conditions hold."""
    arns: list[Json] = [{"Fn::Join": ["", [bucket, f"/{pattern}"]]} for bucket, pattern in objects]
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Action": actions,
        "Principal": {"AWS": "*"},
        "Resource": arns if len(arns) > 1 else arns[0],
        **({"Condition": conditions} if conditions else {}),
    }


def only_by(sid: str, role: str, *objects: tuple[Json, str]) -> Json:
    """Nobody but this role may write, be it by replication from another bucket."""
    arn = {"aws:PrincipalArn": f"arn:aws:iam::{AUDIT}:role/rolecall-evidence-{role}"}
    return refused(sid, ["s3:PutObject", "s3:ReplicateObject"], *objects, ArnNotEquals=arn)


def may_log(step: str, suffix: str) -> Json:
    """A function's own log group."""
    group = {"Fn::GetAtt": [f"Evidence{step}Logs{suffix}", "Arn"]}
    return allow("logs:CreateLogStream", "logs:PutLogEvents", on=group)


LISTING = allow("s3:ListBucket", on=LEDGER_BUCKET)
AGGREGATORS = f"arn:aws:config:{HOME}:{AUDIT}:config-aggregator/*"
BUS_RULE = f"arn:aws:events:{HOME}:{AUDIT}:rule/rolecall-evaluations/rolecall-evidence-ledger"
MACHINE = f"arn:aws:states:{HOME}:{AUDIT}:stateMachine:rolecall-evidence-package"
COLLECTED = (
    "config:DescribeConfigurationRecorderStatus",
    "config:DescribeConfigurationRecorders",
    "iam:GenerateCredentialReport",
    "iam:GetCredentialReport",
)

PACKAGED = (PACKAGES_BUCKET, "*")
DELETING = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete"]
MADE_OF = tuple((LEDGER_BUCKET, f"{prefix}/*") for prefix in ("plans", "sealing", "shards"))

STATEMENTS: dict[str, list[Json]] = {
    "EvidenceBucketsAccessLogsPolicy1992938D": [
        *only_by_tls(LOGS_BUCKET),
        logged(LEDGER_BUCKET, "ledger"),
        logged(PACKAGES_BUCKET, "packages"),
    ],
    "EvidenceBucketsLedgerPolicy832EF649": [
        *only_by_tls(LEDGER_BUCKET),
        refused("OnlyNewObjects", "s3:PutObject", *MADE_OF, Null={"s3:if-none-match": "true"}),
        refused("NoneDeleted", DELETING, *MADE_OF),
        only_by("LedgerByFirehoseAlone", "ledger", (LEDGER_BUCKET, "ledger/*"), (LEDGER_BUCKET, "undelivered/*")),
        only_by("PlansByPlanAlone", "plan", (LEDGER_BUCKET, "plans/*")),
        only_by("ShardsByCollectAlone", "collect", (LEDGER_BUCKET, "shards/*")),
        only_by("SealingBySealAlone", "seal", (LEDGER_BUCKET, "sealing/*")),
    ],
    "EvidenceBucketsPackagesPolicy309888E2": [
        *only_by_tls(PACKAGES_BUCKET),
        refused("OnlyNewObjects", "s3:PutObject", PACKAGED, Null={"s3:if-none-match": "true"}),
        refused("NoneDeleted", DELETING, PACKAGED),
        refused("OnlyLockedObjects", "s3:PutObject", PACKAGED, Null={"s3:object-lock-mode": "true"}),
        refused("LocksHold", "s3:BypassGovernanceRetention", PACKAGED),
        only_by("PackagesBySealAlone", "seal", PACKAGED),
    ],
    "EvidenceLedgerStreamRoleB555E5AC": trusts("firehose", "deliverystream/rolecall-evidence-ledger"),
    "EvidenceLedgerStreamRoleDefaultPolicyF2F9DC5D": [
        allow("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", on=LEDGER_BUCKET),
        allow(
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:PutObject",
            on=[below(LEDGER_BUCKET, LEDGER), below(LEDGER_BUCKET, UNDELIVERED)],
        ),
        allow("logs:PutLogEvents", on={"Fn::GetAtt": ["EvidenceLedgerLogs66D23D83", "Arn"]}),
    ],
    "EvidenceLedgerDeadLettersPolicyAED8BE26": [
        {
            "Effect": "Deny",
            "Action": "sqs:*",
            "Principal": {"AWS": "*"},
            "Resource": {"Fn::GetAtt": ["EvidenceLedgerDeadLetters904FF675", "Arn"]},
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            **trusts("events", BUS_RULE)[0],
            "Sid": "FromTheRule",
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": ["EvidenceLedgerDeadLetters904FF675", "Arn"]},
        },
    ],
    "EvidenceLedgerRuleRole040D6FCA": trusts("events", BUS_RULE),
    "EvidenceLedgerRuleRoleDefaultPolicy86EFDD1F": [
        allow(
            "firehose:PutRecord",
            "firehose:PutRecordBatch",
            on={"Fn::GetAtt": ["EvidenceLedgerStream38FB9FD7", "Arn"]},
        )
    ],
    "EvidencePlanRole23B1235C": trusts("lambda"),
    "EvidencePlanRoleDefaultPolicyEF1549DE": [
        may_log("Plan", "6D382B8A"),
        allow(
            "config:DescribeAggregateComplianceByConfigRules",
            "config:DescribeConfigurationAggregatorSourcesStatus",
            on=AGGREGATORS,
        ),
        allow("organizations:ListAccounts", on="*"),
        LISTING,
        allow("s3:GetObject", "s3:PutObject", on=below(LEDGER_BUCKET, PLANS)),
    ],
    "EvidenceCollectRoleCBA248C9": trusts("lambda"),
    "EvidenceCollectRoleDefaultPolicyCAAEA64B": [
        may_log("Collect", "9E9E9FC4"),
        allow(
            "config:GetAggregateComplianceDetailsByConfigRule",
            "config:SelectAggregateResourceConfig",
            on=AGGREGATORS,
        ),
        allow(*COLLECTED, on="*"),
        allow(
            "sts:AssumeRole",
            on="arn:aws:iam::*:role/rolecall-collector",
            StringEquals={"aws:ResourceOrgID": ORGANIZATION},
        ),
        LISTING,
        allow("s3:GetObject", "s3:PutObject", on=below(LEDGER_BUCKET, SHARDS)),
    ],
    "EvidenceSealRoleC2569523": trusts("lambda"),
    "EvidenceSealRoleDefaultPolicy31295DD7": [
        may_log("Seal", "0B2375B8"),
        allow("s3:ListBucket", on=[LEDGER_BUCKET, PACKAGES_BUCKET]),
        allow("s3:GetObject", on=[below(LEDGER_BUCKET, prefix) for prefix in (LEDGER, PLANS, SEALING, SHARDS)]),
        allow("s3:PutObject", on=below(LEDGER_BUCKET, SEALING)),
        allow("s3:GetObject", "s3:PutObject", "s3:PutObjectRetention", on=below(PACKAGES_BUCKET, PACKAGES)),
        allow("kms:GetPublicKey", "kms:Sign", "kms:Verify", on=KEY),
    ],
    "EvidenceWorkflowRole099EC983": trusts(
        "states", "stateMachine:rolecall-evidence-package", "stateMachine:rolecall-evidence-package/*"
    ),
    "EvidenceWorkflowRoleDefaultPolicyF0595ACA": [
        allow(
            "lambda:InvokeFunction",
            on=[{"Fn::GetAtt": [f"Evidence{step}Function", "Arn"]} for step in ("Collect", "Plan", "Seal")],
        ),
        allow("s3:GetObject", on=below(LEDGER_BUCKET, PLANS)),
        allow(
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            on=below(LEDGER_BUCKET, RUNS),
        ),
        allow("states:StartExecution", on=MACHINE),
        allow(
            "states:DescribeExecution",
            "states:StopExecution",
            on=f"arn:aws:states:{HOME}:{AUDIT}:execution:rolecall-evidence-package:*",
        ),
        allow(
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
            on="*",
        ),
    ],
    "EvidenceWorkflowScheduleRole50DCA073": trusts("scheduler", "schedule-group/rolecall-evidence-daily"),
    "EvidenceWorkflowScheduleRoleDefaultPolicyCD196218": [
        allow("states:StartExecution", on={"Fn::GetAtt": ["EvidenceStateMachine", "Arn"]})
    ],
}


def evidence_statements(**settings: object) -> dict[str, list[Json]]:
    """Every statement of a resource of the evidence; those of the alarm topic are test_stack's."""
    return {name: own for name, own in all_statements(STACK, **settings).items() if name.startswith("Evidence")}


def test_every_policy_statement_is_expected() -> None:
    """Whole statements of all resources: an action, a wildcard or a principal more makes this fail."""
    found = evidence_statements(**IN_AN_ORGANIZATION)
    del found["EvidenceSigningKeyE88B15E8"]  # the next but one
    assert found == STATEMENTS


def test_one_account_needs_no_aggregator_and_no_other_role() -> None:
    """What is different there: collect asks AWS Config itself, and plan asks nobody."""
    found = evidence_statements(**ON)
    assert found["EvidencePlanRoleDefaultPolicyEF1549DE"] == [
        may_log("Plan", "6D382B8A"),
        LISTING,
        allow("s3:GetObject", "s3:PutObject", on=below(LEDGER_BUCKET, PLANS)),
    ]
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":config:", {"Ref": "AWS::Region"}, ":", ACCOUNT, ":config-rule/*"]
    assert found["EvidenceCollectRoleDefaultPolicyCAAEA64B"] == [
        may_log("Collect", "9E9E9FC4"),
        allow(
            "config:DescribeConfigRules",
            *COLLECTED[:2],
            "config:SelectResourceConfig",
            *COLLECTED[2:],
            on="*",
        ),
        allow("config:GetComplianceDetailsByConfigRule", on={"Fn::Join": ["", parts]}),
        LISTING,
        allow("s3:GetObject", "s3:PutObject", on=below(LEDGER_BUCKET, SHARDS)),
    ]
    assert found["EvidenceSealRoleDefaultPolicy31295DD7"] == STATEMENTS["EvidenceSealRoleDefaultPolicy31295DD7"]


def test_the_seal_alone_signs() -> None:
    """Nobody else may by the key's policy, whatever IAM says, and it gives nobody a grant."""
    key = properties("AWS::KMS::Key", STACK, **IN_AN_ORGANIZATION, alarmTopic="none")
    administration, signing = key["KeyPolicy"]["Statement"]
    root = {"AWS": f"arn:aws:iam::{AUDIT}:root"}
    assert not {"kms:*", "kms:Sign", "kms:CreateGrant", "kms:ReplicateKey"} & set(administration["Action"])
    assert not any("*" in action for action in administration["Action"])
    assert signing == {
        "Sid": "OnlyTheSealSigns",
        "Effect": "Allow",
        "Action": "kms:Sign",
        "Principal": root,
        "Resource": "*",  # in a key policy: this key
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{AUDIT}:role/rolecall-evidence-seal"},
            "StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW"},
        },
    }
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


OLDER_KEYS = [f"arn:aws:kms:{HOME}:{AUDIT}:key/{number}b1d4c7e-0000-4000-8000-000000000000" for number in (1, 2, 3)]


def key_of(number: int, *older_keys: str) -> str:
    """The logical id of the stack's only key, to which its alias leads."""
    settings = {
        **IN_AN_ORGANIZATION,
        "alarmTopic": "none",
        "evidenceKeyNumber": number,
        "evidenceOlderKeys": list(older_keys),
    }
    (key,) = resources("AWS::KMS::Key", STACK, **settings)
    alias = properties("AWS::KMS::Alias", STACK, **settings)
    assert (alias["AliasName"], alias["TargetKeyId"]) == ("alias/rolecall-evidence", {"Ref": key})
    return key


def test_under_each_number_the_stack_has_a_new_key() -> None:
    """The one before is no part of the stack any more, and stays."""
    ids = [key_of(number, *OLDER_KEYS[: number - 1]) for number in (1, 2, 3)]
    assert ids[0] == "EvidenceSigningKeyE88B15E8"
    assert len(set(ids)) == 3


FIRST, SECOND, THIRD = OLDER_KEYS
SAME_NUMBER: dict[str, tuple[str, ...]] = {
    "the first one taken away": (SECOND, THIRD),
    "the last one taken away": (FIRST, SECOND),
    "one left": (THIRD,),
    "another order": (THIRD, FIRST, SECOND),
}


@pytest.mark.parametrize("older_keys", SAME_NUMBER.values(), ids=SAME_NUMBER)
def test_no_change_of_the_list_alone_makes_the_stack_give_up_its_key(older_keys: tuple[str, ...]) -> None:
    """A key that is left out of stack and list signs nothing any more, and no later package can follow its own."""
    assert key_of(4, *older_keys) == key_of(4, *OLDER_KEYS)


def test_the_seal_may_verify_by_older_keys_and_sign_by_none() -> None:
    """By exactly these; nothing else about the stack changes."""
    settings = {**IN_AN_ORGANIZATION, "evidenceOlderKeys": OLDER_KEYS, "evidenceKeyNumber": 4}
    key = key_of(4, *OLDER_KEYS)
    arn = {"Fn::GetAtt": [key, "Arn"]}
    found = evidence_statements(**settings)
    signing = found.pop(key)
    own = found["EvidenceSealRoleDefaultPolicy31295DD7"]
    assert own[-2:] == [
        allow("kms:GetPublicKey", "kms:Sign", "kms:Verify", on=arn),
        allow("kms:GetPublicKey", "kms:Verify", on=OLDER_KEYS),
    ]
    expected = STATEMENTS["EvidenceSealRoleDefaultPolicy31295DD7"]
    assert found == STATEMENTS | {"EvidenceSealRoleDefaultPolicy31295DD7": [*expected[:-1], *own[-2:]]}
    assert signing == evidence_statements(**IN_AN_ORGANIZATION)["EvidenceSigningKeyE88B15E8"]
    seal = resources("AWS::Lambda::Function", STACK, **settings)["EvidenceSealFunction"]["Properties"]
    assert seal["Environment"]["Variables"] == OF_THE_SEAL | {
        "ROLECALL_SIGNING_KEY": arn,
        "ROLECALL_OLDER_KEYS": ",".join(OLDER_KEYS),
    }


def retained(resource_type: str, **settings: object) -> set[tuple[str, str]]:
    """What becomes of the resources of a type when the stack goes, or replaces them."""
    found = resources(resource_type, STACK, **settings).values()
    return {(one.get("DeletionPolicy", ""), one.get("UpdateReplacePolicy", "")) for one in found}


def test_evidence_outlives_the_stack() -> None:
    """Buckets with their policies, and the signing key."""
    for kind in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy"):
        assert retained(kind, **ON) == {("Retain", "Retain")}
    assert retained("AWS::KMS::Key", **ON, alarmTopic="none") == {("Retain", "Retain")}


def bucket(name: str, **settings: object) -> Json:
    """The properties of one bucket, without those that all have, which are checked."""
    found = resources("AWS::S3::Bucket", STACK, **ON, **settings)
    (own,) = (dict(one["Properties"]) for logical_id, one in found.items() if f"Buckets{name}" in logical_id)
    assert own.pop("BucketEncryption") == {
        "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    }
    assert own.pop("PublicAccessBlockConfiguration") == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    assert own.pop("OwnershipControls") == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert own.pop("VersioningConfiguration") == {"Status": "Enabled"}
    return own


def test_packages_can_be_locked_and_are_kept() -> None:
    """The seal locks each object; no retention by default, and nothing expires."""
    assert bucket("Packages") == {
        "ObjectLockEnabled": True,
        "LoggingConfiguration": {
            "DestinationBucketName": {"Ref": "EvidenceBucketsAccessLogsFA4E55CF"},
            "LogFilePrefix": "packages/",
        },
    }


def expirations(name: str) -> dict[str, int | None]:
    """Days after which objects go, by prefix."""
    rules = bucket(name)["LifecycleConfiguration"]["Rules"]
    return {rule.get("Prefix", ""): rule.get("ExpirationInDays") for rule in rules if "ExpirationInDays" in rule}


def test_the_ledger_is_kept_and_what_was_made_of_it_goes() -> None:
    """No record of the ledger expires; a bucket without Object Lock, so that it can be deleted by who must."""
    assert expirations("Ledger") == {
        "plans/": 400,
        "shards/": 400,
        "sealing/": 400,
        "query-results/": 30,
        "runs/": 30,
    }
    assert "ObjectLockEnabled" not in bucket("Ledger")
    assert expirations("AccessLogs") == {"": 731}


@pytest.mark.parametrize(
    ("settings", "bus"),
    [({}, "Rolecall-evaluations"), ({"eventBus": "mine"}, "mine"), (EXAMPLE, "rolecall-evaluations")],
)
def test_verdicts_alone_go_into_the_ledger(settings: Json, bus: str) -> None:
    """A refresh repeats what is in it; what cannot be handed over waits in a queue."""
    rule = properties("AWS::Events::Rule", STACK, **ON, **settings)
    assert rule["EventBusName"] == bus
    assert rule["EventPattern"] == {
        "source": ["rolecall"],
        "detail-type": ["Rolecall Evaluation"],
        "detail": {"kind": ["verdict"]},
    }
    (target,) = rule["Targets"]
    assert target["InputPath"] == "$.detail"
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["EvidenceLedgerDeadLetters904FF675", "Arn"]}}
    buses = resources("AWS::Events::EventBus", "Rolecall-Home" if settings is EXAMPLE else "Rolecall", **ON, **settings)
    assert [one["Properties"]["Name"] for one in buses.values()] == ([] if bus == "mine" else [bus])


def test_the_ledger_is_lines_of_json_by_day_compressed() -> None:
    """Firehose separates records only where it is told to."""
    stream = properties("AWS::KinesisFirehose::DeliveryStream", STACK, **ON)
    target = stream["ExtendedS3DestinationConfiguration"]
    assert target["Prefix"] == "ledger/dt=!{timestamp:yyyy-MM-dd}/"
    assert target["CompressionFormat"] == "GZIP"
    assert target["ProcessingConfiguration"] == {
        "Enabled": True,
        "Processors": [
            {
                "Type": "AppendDelimiterToRecord",
                "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
            }
        ],
    }
    assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}


def test_the_table_finds_its_partitions_by_itself() -> None:
    """From the path, for every day since there can be a ledger; its columns are fields of the record's schema."""
    table = properties("AWS::Glue::Table", STACK, **ON)["TableInput"]
    location = {"Fn::Join": ["", ["s3://", {"Ref": "EvidenceBucketsLedger632A03FD"}, "/ledger/dt=${dt}/"]]}
    assert table["Parameters"] == {
        "classification": "json",
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
        "projection.dt.range": "2026-01-01,NOW",
        "storage.location.template": location,
    }
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "evaluation-v1.schema.json").read_text())
    fields = {name.lower(): given for name, given in schema["properties"].items()}
    assert {name for name, _ in COLUMNS} < set(fields)


def test_queries_run_in_a_workgroup_whose_settings_hold() -> None:
    """Results are encrypted, lie in the ledger's bucket, and go after a month."""
    group = properties("AWS::Athena::WorkGroup", STACK, **ON)
    configuration = group["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["ResultConfiguration"] == {
        "OutputLocation": {"Fn::Join": ["", ["s3://", {"Ref": "EvidenceBucketsLedger632A03FD"}, "/query-results/"]]},
        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
        "ExpectedBucketOwner": ACCOUNT,
    }
    saved = [one["Properties"] for one in resources("AWS::Athena::NamedQuery", STACK, **ON).values()]
    assert {one["QueryString"] for one in saved} == {query.read_text() for query in saved_queries()}
    assert {(one["WorkGroup"], one["Database"]) for one in saved} == {(group["Name"], "rolecall_evidence")}


ENVIRONMENT = {"POWERTOOLS_SERVICE_NAME": RULE_NAME, "POWERTOOLS_METRICS_NAMESPACE": "Rolecall"}
OF_ALL = ENVIRONMENT | {"ROLECALL_LEDGER_BUCKET": {"Ref": "EvidenceBucketsLedger632A03FD"}}
OF_THE_ORGANIZATION = OF_ALL | {
    "ROLECALL_AGGREGATOR": "rolecall",
    "ROLECALL_COLLECTOR_ROLE": "rolecall-collector",
    "ROLECALL_REGIONS": HOME,
    "ROLECALL_RULE_PARAMETERS": "{}",
}
OF_THE_SEAL = OF_ALL | {
    "ROLECALL_PACKAGES_BUCKET": {"Ref": "EvidenceBucketsPackages0755EAFF"},
    "ROLECALL_SIGNING_KEY": KEY,
    "ROLECALL_LOCK_MODE": "GOVERNANCE",
    "ROLECALL_LOCK_DAYS": "400",
}


def test_what_the_functions_find_in_their_environment() -> None:
    """In an organization; in one account there is neither aggregator nor role."""
    found = {
        logical_id: one["Properties"]
        for logical_id, one in resources("AWS::Lambda::Function", STACK, **IN_AN_ORGANIZATION).items()
    }
    assert {logical_id: one["Environment"]["Variables"] for logical_id, one in found.items()} == {
        "EvidencePlanFunction": OF_THE_ORGANIZATION,
        "EvidenceCollectFunction": OF_THE_ORGANIZATION,
        "EvidenceSealFunction": OF_THE_SEAL,
    }
    assert {one["Handler"] for one in found.values()} == {
        f"rolecall.handlers.evidence_{step}.handler" for step in ("plan", "collect", "seal")
    }
    assert {one["Timeout"] for one in found.values()} == {900}
    alone = resources("AWS::Lambda::Function", STACK, **ON)["EvidenceCollectFunction"]["Properties"]
    assert alone["Environment"]["Variables"] == OF_ALL | {"ROLECALL_RULE_PARAMETERS": "{}"}


def test_settings_reach_lock_concurrency_and_schedule() -> None:
    """Each where it belongs."""
    given = VARIANTS["one account, everything set"]
    seal = resources("AWS::Lambda::Function", STACK, **given)["EvidenceSealFunction"]["Properties"]
    environment = seal["Environment"]["Variables"]
    assert (environment["ROLECALL_LOCK_MODE"], environment["ROLECALL_LOCK_DAYS"]) == ("COMPLIANCE", "2557")
    machine = properties("AWS::StepFunctions::StateMachine", STACK, **given)
    assert machine["Definition"]["States"]["Collect"]["MaxConcurrency"] == 40
    schedule = properties("AWS::Scheduler::Schedule", STACK, **given)
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(0 3 * * ? *)", "UTC")
    assert schedule["Target"]["Input"] == '{"scheduledTime":"<aws.scheduler.scheduled-time>"}'


def test_the_state_machine_is_logged_and_traced_and_tolerates_no_failure() -> None:
    """Its definition is executed by tests/local/test_state_machine.py."""
    machine = properties("AWS::StepFunctions::StateMachine", STACK, **ON)
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}
    collect = machine["Definition"]["States"]["Collect"]
    assert (collect["ToleratedFailureCount"], collect["MaxConcurrency"]) == (0, 10)
    assert collect["ResultPath"] == "$.collected"


def test_what_must_wake_somebody() -> None:
    """Failed runs, a day without a package, and a ledger that lacks records or lags behind."""
    alarms = {
        one["Properties"]["MetricName"]: one["Properties"]
        for one in resources("AWS::CloudWatch::Alarm", STACK, **ON).values()
    }
    assert set(alarms) == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
        "PackagesSealed",
        "ApproximateNumberOfMessagesVisible",
        "DeliveryToS3.DataFreshness",
    }
    assert all(alarm["AlarmActions"] for alarm in alarms.values())
    silence = alarms["PackagesSealed"]
    assert silence["TreatMissingData"] == "breaching"
    assert (silence["Period"], silence["EvaluationPeriods"], silence["DatapointsToAlarm"]) == (3600, 26, 26)
    assert silence["Dimensions"] == [{"Name": "service", "Value": RULE_NAME}]


def test_every_account_gets_a_collector_role() -> None:
    """By the StackSet, and in the management account where that one is judged; without evidence none is named."""
    names = {"CollectorRoleName": "rolecall-collector", "CollectFunctionRoleName": "rolecall-evidence-collect"}
    given = {**IN_AN_ORGANIZATION, "includeManagementAccount": True}
    stack_set = properties("AWS::CloudFormation::StackSet", "Rolecall-MemberRoles", **given)
    found = {one["ParameterKey"]: one["ParameterValue"] for one in stack_set["Parameters"]}
    assert {name: value for name, value in found.items() if name.startswith("Collect")} == names
    role = resources("AWS::IAM::Role", "Rolecall-ManagementRole", **given)["Collector"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": AUDIT}
    assert trust["Condition"]["StringEquals"] == {"aws:PrincipalOrgID": ORGANIZATION}
    assert trust["Condition"]["ArnEquals"] == {
        "aws:PrincipalArn": {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::{AUDIT}:role/${{CollectFunctionRoleName}}"}
    }
    (policy,) = role["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": list(COLLECTED), "Resource": "*"}  # no resource types of use
    ]
    without = properties("AWS::CloudFormation::StackSet", "Rolecall-MemberRoles", **EXAMPLE)
    assert not [one for one in without["Parameters"] if one["ParameterKey"].startswith("Collect")]


def test_there_is_no_evidence_unless_it_is_asked_for() -> None:
    """The setting evidence."""
    assert not (assembly() / f"{STACK}.template.json").exists()
    assert not (assembly(**EXAMPLE) / f"{STACK}.template.json").exists()


REFUSED: dict[str, tuple[Json, str]] = {
    "a bus elsewhere": (
        {"eventBus": "arn:aws:events:eu-west-1:111122223333:event-bus/b"},
        "the name of a bus of the stack's own account and region, or nothing",
    ),
    "a long name": (
        {"stackName": "x" * (EVIDENCE_NAME_MAX_LENGTH + 1)},
        "at most 45 characters while evidence is true",
    ),
    "an unknown lock": ({"evidenceLockMode": "governance"}, "GOVERNANCE or COMPLIANCE"),
    "no days": ({"evidenceLockDays": 0}, "a whole number of days from 1 to 36500"),
    "no concurrency": ({"evidenceConcurrency": 0}, "a whole number from 1 to 1000"),
    "midnight": ({"evidenceScheduleHourUtc": 0}, "a whole number from 1 to 23"),
}


@pytest.mark.parametrize(("given", "allowed"), REFUSED.values(), ids=REFUSED)
def test_settings_that_cannot_be(given: Json, allowed: str) -> None:
    """One line that says what is allowed."""
    with pytest.raises(InvalidSettings) as refused_settings:
        Settings.from_context({**context(), **ON, **given})
    assert allowed in str(refused_settings.value)
    assert "\n" not in str(refused_settings.value)


def test_role_names_fit() -> None:
    """IAM takes 64 characters; the longest prefix an organization may have is shorter than a stack's name."""
    assert len(f"{'x' * EVIDENCE_NAME_MAX_LENGTH}-evidence-collect") <= 64
    assert organization_settings(**ON, rolePrefix="x" * 32).collector_role_name == f"{'x' * 32}-collector"


def lint(folder: Path, region: str) -> subprocess.CompletedProcess[str]:
    """cfn-lint over the evidence template of an assembly."""
    command: list[Any] = [Path(sys.executable).with_name("cfn-lint"), "--regions", region, "--"]
    return subprocess.run(  # noqa: S603  # our own template
        [*command, folder / f"{STACK}.template.json"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_cdk_nag_and_cfn_lint_find_nothing(settings: Json) -> None:
    """In no variant; cfn-lint reads the state machine's definition too."""
    folder = assembly(**settings)
    assert json.loads((folder / "validation-report.json").read_text())["pluginReports"] == []
    found = lint(folder, settings.get("homeRegion", HOME))
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)
