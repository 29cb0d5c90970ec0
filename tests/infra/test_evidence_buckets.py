"""What the buckets' policies refuse, whatever IAM allows, as a judge reads them that is not ours."""

from functools import cache
from typing import Any

import pytest

from local.cloud_assembly import Place, mapping, read_stacks
from tests.infra.organization import AUDIT, EXAMPLE, HOME
from tests.infra.policy_evaluator import Request, refuses
from tests.infra.synthesis import Json, assembly

ADMINISTRATOR, DEPLOYER = "role/administrator", "role/cdk-hnb659fds-cfn-exec-role-111122223333-eu-central-1"
FIREHOSE, PLAN, COLLECT, SEAL = (f"role/rolecall-evidence-{part}" for part in ("ledger", "plan", "collect", "seal"))
MACHINE = "role/Rolecall-Evidence-EvidenceWorkflowRole099EC983-a1B2"

PUT, REPLICATE = "s3:PutObject", "s3:ReplicateObject"
DELETE, DELETE_VERSION, DELETED_ELSEWHERE = "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete"
BYPASS = "s3:BypassGovernanceRetention"

PLAIN: dict[str, str] = {}
NEW = {"s3:if-none-match": "*"}
LOCKED = {"s3:object-lock-mode": "GOVERNANCE"}

RECORD, UNDELIVERED = "ledger/dt=2026-11-24/a.jsonl.gz", "undelivered/processing-failed/dt=2026-11-24/a"
PLANNED, SHARD = "plans/2026-11-24/shards.json", "shards/2026-11-24/111122223333_eu-central-1.jsonl.gz"
BEGUN = "sealing/2026-11-24/0.1.0.json"
RUN, RESULT = "runs/1/manifest.json", "query-results/1.csv"
SIGNED = "packages/2026-11-24/manifest.sig"

Asked = tuple[str, str, str, dict[str, str]]
"""Who, what, on which object or none, and which of S3's own condition keys the request has."""

OF_THE_LEDGER: dict[str, tuple[Asked, bool]] = {
    "Firehose writes a record": ((FIREHOSE, PUT, RECORD, PLAIN), False),
    "Firehose says what it could not write": ((FIREHOSE, PUT, UNDELIVERED, PLAIN), False),
    "an administrator plants a record": ((ADMINISTRATOR, PUT, RECORD, NEW), True),
    "the seal plants a record": ((SEAL, PUT, RECORD, NEW), True),
    "a bucket is replicated into the ledger": ((ADMINISTRATOR, REPLICATE, RECORD, PLAIN), True),
    "a record that should not be there is deleted": ((ADMINISTRATOR, DELETE, RECORD, PLAIN), False),
    "for good": ((ADMINISTRATOR, DELETE_VERSION, RECORD, PLAIN), False),
    "plan writes a plan": ((PLAN, PUT, PLANNED, NEW), False),
    "plan writes over a plan": ((PLAN, PUT, PLANNED, PLAIN), True),
    "an administrator plants a plan": ((ADMINISTRATOR, PUT, PLANNED, NEW), True),
    "collect plants a plan": ((COLLECT, PUT, PLANNED, NEW), True),
    "collect writes a shard": ((COLLECT, PUT, SHARD, NEW), False),
    "collect writes over a shard": ((COLLECT, PUT, SHARD, PLAIN), True),
    "an administrator plants a shard of tomorrow": ((ADMINISTRATOR, PUT, SHARD, NEW), True),
    "plan plants a shard": ((PLAN, PUT, SHARD, NEW), True),
    "a role whose name goes on": ((f"{COLLECT}-2", PUT, SHARD, NEW), True),
    "a role of another path": (("role/team/rolecall-evidence-collect", PUT, SHARD, NEW), True),
    "a user of that name": (("user/rolecall-evidence-collect", PUT, SHARD, NEW), True),
    "a bucket is replicated into the shards": ((ADMINISTRATOR, REPLICATE, SHARD, PLAIN), True),
    "a shard is hidden": ((ADMINISTRATOR, DELETE, SHARD, PLAIN), True),
    "a shard is deleted": ((ADMINISTRATOR, DELETE_VERSION, SHARD, PLAIN), True),
    "collect deletes its shard": ((COLLECT, DELETE_VERSION, SHARD, PLAIN), True),
    "a plan is deleted": ((ADMINISTRATOR, DELETE_VERSION, PLANNED, PLAIN), True),
    "a plan is hidden elsewhere": ((ADMINISTRATOR, DELETED_ELSEWHERE, PLANNED, PLAIN), True),
    "the seal says that it begins": ((SEAL, PUT, BEGUN, NEW), False),
    "the seal says it over": ((SEAL, PUT, BEGUN, PLAIN), True),
    "an administrator says that another version began": ((ADMINISTRATOR, PUT, BEGUN, NEW), True),
    "plan says it": ((PLAN, PUT, BEGUN, NEW), True),
    "what the seal said goes": ((SEAL, DELETE_VERSION, BEGUN, PLAIN), True),
    "everybody reads": ((ADMINISTRATOR, "s3:GetObject", SHARD, PLAIN), False),
    "the state machine says how a run went": ((MACHINE, PUT, RUN, PLAIN), False),
    "a query's result": ((ADMINISTRATOR, PUT, RESULT, PLAIN), False),
    "a query's result goes": ((ADMINISTRATOR, DELETE_VERSION, RESULT, PLAIN), False),
    "the deployer changes the policy": ((DEPLOYER, "s3:PutBucketPolicy", "", PLAIN), False),
    "the deployer takes it away": ((DEPLOYER, "s3:DeleteBucketPolicy", "", PLAIN), False),
}

OF_THE_PACKAGES: dict[str, tuple[Asked, bool]] = {
    "the seal writes a file": ((SEAL, PUT, SIGNED, NEW | LOCKED), False),
    "the seal locks it": ((SEAL, "s3:PutObjectRetention", SIGNED, PLAIN), False),
    "the seal writes over one": ((SEAL, PUT, SIGNED, LOCKED), True),
    "the seal writes one without a lock": ((SEAL, PUT, SIGNED, NEW), True),
    "an administrator plants a file of tomorrow": ((ADMINISTRATOR, PUT, SIGNED, NEW | LOCKED), True),
    "collect plants one": ((COLLECT, PUT, SIGNED, NEW | LOCKED), True),
    "an administrator plants one beside the packages": ((ADMINISTRATOR, PUT, "notes.txt", NEW | LOCKED), True),
    "the account's root user": (("root", PUT, SIGNED, NEW | LOCKED), True),
    "a bucket is replicated into the packages": ((ADMINISTRATOR, REPLICATE, SIGNED, LOCKED), True),
    "a file is hidden": ((ADMINISTRATOR, DELETE, SIGNED, PLAIN), True),
    "a file is hidden elsewhere": ((ADMINISTRATOR, DELETED_ELSEWHERE, SIGNED, PLAIN), True),
    "a file is deleted": ((ADMINISTRATOR, DELETE_VERSION, SIGNED, PLAIN), True),
    "the seal deletes its file": ((SEAL, DELETE_VERSION, SIGNED, PLAIN), True),
    "a lock is gone round": ((ADMINISTRATOR, BYPASS, SIGNED, PLAIN), True),
    "everybody reads": ((ADMINISTRATOR, "s3:GetObject", SIGNED, PLAIN), False),
    "the deployer changes the policy": ((DEPLOYER, "s3:PutBucketPolicy", "", PLAIN), False),
}


@cache
def policy_of(bucket: str) -> tuple[str, Json]:
    """The ARN of one bucket, and its policy as CloudFormation would put it."""
    assembled = assembly(**{**EXAMPLE, "evidence": True, "regions": HOME})
    for stack in read_stacks(assembled, Place(AUDIT, HOME)):
        for logical_id, given in stack.of_type("AWS::S3::BucketPolicy").items():
            if f"Buckets{bucket}" in logical_id:
                policy: Any = mapping(stack.resolve(given, logical_id), logical_id)
                return f"arn:aws:s3:::{policy['Bucket']}", policy["PolicyDocument"]
    raise LookupError(bucket)


def refused(bucket: str, asked: Asked) -> bool:
    """Whether the policy of the bucket stands against it."""
    principal, action, key, keys = asked
    arn, policy = policy_of(bucket)
    resource = f"{arn}/{key}" if key else arn
    return refuses(policy, Request(action, resource, principal=principal, account=AUDIT), keys)


@pytest.mark.parametrize(("asked", "denied"), OF_THE_LEDGER.values(), ids=OF_THE_LEDGER)
def test_what_packages_are_made_of_comes_from_one_role_each(asked: Asked, denied: bool) -> None:
    """And what it wrote stays, but the ledger's records, which must be removable."""
    assert refused("Ledger", asked) is denied


@pytest.mark.parametrize(("asked", "denied"), OF_THE_PACKAGES.values(), ids=OF_THE_PACKAGES)
def test_the_seal_alone_writes_packages_and_nobody_deletes_them(asked: Asked, denied: bool) -> None:
    """Nor goes round their lock. Who may change the policy can lift all of it, and is seen doing so."""
    assert refused("Packages", asked) is denied


def test_another_account_of_the_same_names_is_refused() -> None:
    """Roles are known by their ARN, account included."""
    arn, policy = policy_of("Ledger")
    collect = Request(PUT, f"{arn}/{SHARD}", principal=COLLECT, account="999999999999")
    assert refuses(policy, collect, NEW)
