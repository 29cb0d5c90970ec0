"""What each step of a day's package needs and may do."""

import json

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.evidence_buckets import LEDGER, PACKAGES, PLANS, SEALING, SHARDS, EvidenceBuckets
from infra.evidence_functions import Step
from infra.evidence_key import SigningKey
from infra.evidence_names import arn, below
from infra.organization_settings import OrganizationSettings
from infra.settings import Settings

PLANNING_ACTIONS = (
    "config:DescribeAggregateComplianceByConfigRules",
    "config:DescribeConfigurationAggregatorSourcesStatus",
)
"""Which accounts, regions and rules the aggregator has. The resource type is the aggregator, whose id is AWS Config's
own."""

AGGREGATED_ACTIONS = ("config:GetAggregateComplianceDetailsByConfigRule", "config:SelectAggregateResourceConfig")
"""What it has of one of them; likewise."""

ORGANIZATION_ACTIONS = ("organizations:ListAccounts",)
"""It has no resource type in IAM."""

COLLECTOR_ACTIONS = (
    "config:DescribeConfigurationRecorderStatus",
    "config:DescribeConfigurationRecorders",
    "iam:GenerateCredentialReport",
    "iam:GetCredentialReport",
)
"""What is read in each account itself, by the collector role there or, in its own account, by the function."""

OWN_CONFIG_ACTIONS = ("config:DescribeConfigRules", "config:SelectResourceConfig")
"""What takes the aggregator's place where there is one account: all rules are listed, as ours may be a pack's."""

OWN_RULE_ACTIONS = ("config:GetComplianceDetailsByConfigRule",)

WHOLE_PROCESSOR_MB = 1769
"""Memory with which Lambda gives one (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html); neither
step needs half of it, however many instances there are."""


class Steps:
    """The three steps of a deployment."""

    def __init__(self, stack: Stack, settings: Settings, buckets: EvidenceBuckets, key: SigningKey) -> None:
        self._stack = stack
        self._settings = settings
        self._buckets = buckets
        self._key = key
        self._organization = settings if isinstance(settings, OrganizationSettings) else None

    def plan(self) -> Step:
        """Which accounts and regions there are; those that nothing can be known of, and why."""
        return Step(
            name="plan",
            description="lists the accounts and regions of a day's package",
            memory_mb=512,
            environment={**self._common(), **self._sources()},
            statements=[
                *self._planning(),
                *self._objects(reads=(PLANS,), writes=(PLANS,)),
            ],
            acknowledged={
                **self._wildcards(ORGANIZATION_ACTIONS),
                **below(self._buckets.ledger, PLANS),
            },
        )

    def collect(self) -> Step:
        """One account and region: instances, results, recorder, keys."""
        return Step(
            name="collect",
            description="collects one account and region",
            memory_mb=WHOLE_PROCESSOR_MB,
            storage_mb=4096,
            environment={**self._common(), **self._sources()},
            statements=[
                *self._collecting(),
                *self._objects(reads=(SHARDS,), writes=(SHARDS,)),
            ],
            acknowledged={
                **self._wildcards((*COLLECTOR_ACTIONS, *OWN_CONFIG_ACTIONS)),
                **below(self._buckets.ledger, SHARDS),
            },
        )

    def seal(self) -> Step:
        """All shards of the day, the ledger of the day and the package before: one package, signed."""
        packages, older_keys = self._buckets.packages, self._settings.evidence_older_keys
        return Step(
            name="seal",
            description="makes and signs a day's package",
            memory_mb=WHOLE_PROCESSOR_MB,
            storage_mb=10_240,
            environment={
                **self._common(),
                "ROLECALL_PACKAGES_BUCKET": packages.bucket_name,
                "ROLECALL_SIGNING_KEY": self._key.arn,
                **({"ROLECALL_OLDER_KEYS": ",".join(older_keys)} if older_keys else {}),
                "ROLECALL_LOCK_MODE": self._settings.evidence_lock_mode,
                "ROLECALL_LOCK_DAYS": str(self._settings.evidence_lock_days),
            },
            statements=[
                *self._objects(reads=(LEDGER, PLANS, SEALING, SHARDS), writes=(SEALING,)),
                _statement(["s3:ListBucket"], packages.bucket_arn),
                _statement(
                    ["s3:GetObject", "s3:PutObject", "s3:PutObjectRetention"],
                    packages.arn_for_objects(f"{PACKAGES}*"),
                ),
                _statement(["kms:GetPublicKey", "kms:Sign", "kms:Verify"], self._key.arn),
                *([_statement(["kms:GetPublicKey", "kms:Verify"], *older_keys)] if older_keys else []),
            ],
            acknowledged={
                **below(self._buckets.ledger, LEDGER, PLANS, SEALING, SHARDS),
                **below(packages, PACKAGES),
            },
        )

    def _common(self) -> dict[str, str]:
        return {"ROLECALL_LEDGER_BUCKET": self._buckets.ledger.bucket_name}

    def _sources(self) -> dict[str, str]:
        # No aggregator knows a rule's parameters.
        deployed = {"ROLECALL_RULE_PARAMETERS": json.dumps(self._settings.rule_parameters.changed(), sort_keys=True)}
        if not self._organization:
            return deployed
        return {
            **deployed,
            "ROLECALL_AGGREGATOR": self._organization.role_prefix,
            "ROLECALL_COLLECTOR_ROLE": self._organization.collector_role_name,
            "ROLECALL_REGIONS": ",".join(self._organization.regions),
        }

    def _objects(self, reads: tuple[str, ...], writes: tuple[str, ...] = ()) -> list[iam.PolicyStatement]:
        """Of the ledger's bucket.

        Without the right to list, S3 says that what is not there is forbidden; and so it does where that right is
        bound to a prefix, as a request for an object has none.
        """
        bucket = self._buckets.ledger
        statements = [
            _statement(["s3:ListBucket"], bucket.bucket_arn),
            _statement(["s3:GetObject"], *(bucket.arn_for_objects(f"{prefix}*") for prefix in reads)),
        ]
        if writes:
            statements.append(
                _statement(["s3:PutObject"], *(bucket.arn_for_objects(f"{prefix}*") for prefix in writes))
            )
        return statements

    def _planning(self) -> list[iam.PolicyStatement]:
        """One account needs none of it: it is the plan."""
        if not self._organization:
            return []
        return [_statement(PLANNING_ACTIONS, self._aggregators()), _statement(ORGANIZATION_ACTIONS, "*")]

    def _collecting(self) -> list[iam.PolicyStatement]:
        if not self._organization:
            return [
                _statement((*COLLECTOR_ACTIONS, *OWN_CONFIG_ACTIONS), "*"),
                _statement(OWN_RULE_ACTIONS, self._rules()),
            ]
        assume = _statement(["sts:AssumeRole"], self._collectors())
        assume.add_condition("StringEquals", {"aws:ResourceOrgID": self._organization.organization_id})
        return [
            _statement(AGGREGATED_ACTIONS, self._aggregators()),
            # The audit account is one of those that are collected, and no StackSet gives it a role to assume by itself.
            _statement(COLLECTOR_ACTIONS, "*"),
            assume,
        ]

    def _wildcards(self, untyped: tuple[str, ...]) -> dict[str, str]:
        reasons = {"*": f"{', '.join(untyped)}: no resource types in IAM, or none of use; * is the narrowest there is."}
        if not self._organization:
            return {
                **reasons,
                self._rules(): f"{', '.join(OWN_RULE_ACTIONS)}: which id AWS Config gives to the rule cannot be known.",
            }
        return {
            **reasons,
            self._aggregators(): "AWS Config gives the aggregator its id; no other one is asked for.",
            self._collectors(): "One role by its name, in whichever account is collected: they come and go.",
        }

    def _aggregators(self) -> str:
        return arn(self._stack, "config", "config-aggregator", "*")

    def _rules(self) -> str:
        return arn(self._stack, "config", "config-rule", "*")

    def _collectors(self) -> str:
        organization = self._organization
        return f"arn:{organization.partition}:iam::*:role/{organization.collector_role_name}" if organization else ""


def _statement(actions: list[str] | tuple[str, ...], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[*actions], resources=[*resources])
