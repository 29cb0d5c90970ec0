"""Where evidence lies: the ledger, the packages, and the log of who touched either.

Encryption is by keys of S3 itself: whoever deleted a key of ours would destroy what Object Lock keeps from deletion.
"""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.evidence_names import role_arn
from infra.settings import Settings

LEDGER = "ledger/"
"""Evaluation records, by the day of their arrival."""
UNDELIVERED = "undelivered/"
"""What Firehose could not write below `LEDGER`."""
PLANS = "plans/"
"""What a day's package is going to be made of: accounts and regions."""
SHARDS = "shards/"
"""One account and region on one day, each."""
SEALING = "sealing/"
"""What the seal says before the first file of a package: its version, and the day that begins a chain."""
RUNS = "runs/"
"""What Step Functions says about each shard of a run."""
QUERY_RESULTS = "query-results/"
"""Athena's."""
PACKAGES = "packages/"

LEDGER_WRITER = "ledger"
"""The part whose role writes the ledger: Firehose's."""

_WRITING = ["s3:PutObject", "s3:ReplicateObject"]
_DELETING = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete"]
"""Also by replication: it brings objects and delete markers from another bucket without a put or a delete here."""

_PASSING_DAYS = 30
"""What can be made again: results of queries, reports of runs."""
_WORKING_DAYS = 400
"""Plans and shards: until then a day's package can be made again from what was collected on that day."""
_REPLACED_DAYS = 400
"""Older versions, which exist only where somebody overwrote or deleted what nobody should."""
_LOG_DAYS = 731
_UPLOAD_DAYS = 7


class EvidenceBuckets(Construct):
    """Three buckets. All of them outlive the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.access_logs = self._bucket(
            "AccessLogs", rules=[s3.LifecycleRule(id="Logs", expiration=Duration.days(_LOG_DAYS)), *_tidy()]
        )
        Validations.of(self.access_logs).acknowledge(
            Acknowledgment(id="AwsSolutions-S1", reason="It is the bucket of the access logs itself.")
        )
        self.ledger = self._bucket(
            "Ledger",
            logs=self.access_logs,
            rules=[
                *(_expiring(prefix, _WORKING_DAYS) for prefix in (PLANS, SHARDS, SEALING)),
                *(_expiring(prefix, _PASSING_DAYS) for prefix in (QUERY_RESULTS, RUNS)),
                *_tidy(),
            ],
        )
        self.packages = self._bucket("Packages", logs=self.access_logs, rules=[], locked=True)
        self._write_once()
        self._written_by_one(settings)
        for bucket in (self.access_logs, self.ledger, self.packages):
            if bucket.policy:
                # Without it, whoever deletes the stack could then delete what it keeps.
                bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN)

    def _bucket(
        self,
        name: str,
        *,
        rules: list[s3.LifecycleRule],
        logs: s3.Bucket | None = None,
        locked: bool = False,
    ) -> s3.Bucket:
        return s3.Bucket(
            self,
            name,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            # No retention by default: the seal sets mode and date on each object, so that both stand in one place.
            object_lock_enabled=locked or None,
            server_access_logs_bucket=logs,
            server_access_logs_prefix=f"{name.lower()}/" if logs else None,
            lifecycle_rules=rules,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _write_once(self) -> None:
        """Of a package, and of what it is made of: no object over another one, none deleted, none without its lock.

        Object Lock keeps versions, but not from a delete marker, on top of which a new object would count as the first;
        and plans and shards have no lock. Amazon S3 User Guide, "Expiring objects": no bucket policy prevents what a
        lifecycle rule does. "Enforce conditional writes on Amazon S3 buckets": a multipart upload carries neither
        header in all its requests, so there is none. A file fits into one request (5 GiB).
        """
        whole = [self.packages.arn_for_objects("*")]
        made_of = [self.ledger.arn_for_objects(f"{prefix}*") for prefix in (PLANS, SHARDS, SEALING)]
        for bucket, objects in ((self.packages, whole), (self.ledger, made_of)):
            _refuse(bucket, "OnlyNewObjects", ["s3:PutObject"], objects, _without("s3:if-none-match"))
            _refuse(bucket, "NoneDeleted", _DELETING, objects)
        _refuse(self.packages, "OnlyLockedObjects", ["s3:PutObject"], whole, _without("s3:object-lock-mode"))
        _refuse(self.packages, "LocksHold", ["s3:BypassGovernanceRetention"], whole)

    def _written_by_one(self, settings: Settings) -> None:
        """What is signed, and what that is made of, comes from the role whose part it is, whatever IAM allows others.

        Nothing is made of `RUNS` and `QUERY_RESULTS`, and who queries is not known here. No statement is about the
        policy itself: whoever deploys can mend it.
        """
        for bucket, sid, prefixes, part in (
            (self.ledger, "LedgerByFirehoseAlone", (LEDGER, UNDELIVERED), LEDGER_WRITER),
            (self.ledger, "PlansByPlanAlone", (PLANS,), "plan"),
            (self.ledger, "ShardsByCollectAlone", (SHARDS,), "collect"),
            (self.ledger, "SealingBySealAlone", (SEALING,), "seal"),
            (self.packages, "PackagesBySealAlone", ("",), "seal"),
        ):
            _refuse(
                bucket,
                sid,
                _WRITING,
                [bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes],
                {"ArnNotEquals": {"aws:PrincipalArn": role_arn(Stack.of(self), settings, part)}},
            )


def _refuse(
    bucket: s3.Bucket,
    sid: str,
    actions: list[str],
    objects: list[str],
    conditions: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Let nobody do this to the objects, or nobody of whom the conditions hold."""
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=actions,
            resources=objects,
            conditions=conditions,
        )
    )


def _without(header: str) -> dict[str, dict[str, str]]:
    return {"Null": {header: "true"}}


def _expiring(prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(id=prefix.rstrip("/"), prefix=prefix, expiration=Duration.days(days))


def _tidy() -> list[s3.LifecycleRule]:
    return [
        s3.LifecycleRule(
            id="Leftovers",
            noncurrent_version_expiration=Duration.days(_REPLACED_DAYS),
            abort_incomplete_multipart_upload_after=Duration.days(_UPLOAD_DAYS),
        )
    ]
