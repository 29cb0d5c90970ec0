"""Checks of an organization: who we are in it, delegation, trusted access, the member roles, the aggregator.

Pure functions of what the APIs answer; `rolecall.aws.preflight` asks them.
"""

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rolecall.cli.diagnosis import Diagnosis, cannot_tell, ok, problem

Answer = Mapping[str, Any]

STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"
SERVICES = {
    "config-multiaccountsetup.amazonaws.com": "conformance packs",
    "config.amazonaws.com": "the aggregator",
    STACK_SETS: "the member roles",
}
"""Service principals that the audit account has to be the delegated administrator for, and what for."""

MANAGEMENT = "the management account"

ACTIVATED = "StackSets activated"
ROLES = "member roles"
AGGREGATOR = "aggregator"
SOURCES = "aggregator's sources"

_DEPLOY = "node_modules/.bin/cdk deploy --all"

_UNDER_WAY = ("PENDING", "RUNNING")
_PASSED_OVER = ("SKIPPED_SUSPENDED_ACCOUNT",)

_NAMED = 5
"""Accounts that are named in one line."""


class Mode(StrEnum):
    """What rolecall is deployed for: the setting `mode`."""

    ACCOUNT = "account"
    ORGANIZATION = "organization"


class Kind(StrEnum):
    """What an account is in its organization."""

    MANAGEMENT = "the management account"
    DELEGATED = "a delegated administrator"
    MEMBER = "a member account"
    ALONE = "in no organization"
    UNKNOWN = "unknown"


def kind_of(account: str, organization: Answer | None, services: Collection[str]) -> Kind:
    """`services`: the principals that it administers; empty as well when it may not ask, as no plain member may."""
    if organization is None:
        return Kind.ALONE
    if organization.get("MasterAccountId") == account:
        return Kind.MANAGEMENT
    return Kind.DELEGATED if set(services) & SERVICES.keys() else Kind.MEMBER


def standing(account: str, kind: Kind, organization: Answer | None) -> str:
    """Who we are, as a sentence."""
    if organization is None:
        return f"{account} is {kind.value}"
    hint = "; --mode organization looks at delegation and trusted access" if kind is Kind.MEMBER else ""
    return f"{account} is {kind.value} of {organization.get('Id', 'an organization')}{hint}"


def check_features(organization: Answer) -> Diagnosis:
    """Consolidated billing alone has neither delegation nor policies."""
    features, name = organization.get("FeatureSet"), organization.get("Id", "the organization")
    if features != "ALL":
        says = f"{name} has the feature set {features}; organization-wide rules need ALL"
        return problem("features", "organization", says, "aws organizations enable-all-features", MANAGEMENT)
    return ok("features", "organization", f"{name} has all features")


def check_delegation(principal: str, administrators: Sequence[Answer], wanted: Collection[str]) -> Diagnosis:
    """Is one of the `wanted` accounts delegated administrator for the service? With none wanted, any will do."""
    check = f"delegation of {SERVICES[principal]}"
    active = [str(one["Id"]) for one in administrators if one.get("Status", "ACTIVE") == "ACTIVE"]
    account = min(wanted) if wanted else "AUDIT_ACCOUNT_ID"
    register = (
        f"aws organizations register-delegated-administrator --account-id {account} --service-principal {principal}"
    )
    if not active:
        return problem(check, "organization", f"no account administers {principal}", register, MANAGEMENT)
    if wanted and not set(active) & set(wanted):
        says = f"{', '.join(active)} administers {principal}, and {', '.join(sorted(wanted))} does not"
        return problem(check, "organization", says, register, MANAGEMENT)
    return ok(check, "organization", f"{', '.join(active)} administers {principal}")


def delegation_unknown(principal: str, account: str, why: str) -> Diagnosis:
    """A plain member may not ask, so that a refusal can mean both."""
    says = f"whether {account} administers {principal} cannot be seen from here: it does not, or may not ask ({why})"
    register = (
        f"aws organizations register-delegated-administrator --account-id {account} --service-principal {principal}"
    )
    return cannot_tell(f"delegation of {SERVICES[principal]}", "organization", says, register, MANAGEMENT)


def check_trusted_access(principal: str, trusted: Collection[str]) -> Diagnosis:
    """May the service act in the organization?"""
    check = f"trusted access of {SERVICES[principal]}"
    if principal not in trusted:
        return problem(check, "organization", f"{principal} has none", enable_access(principal), MANAGEMENT)
    return ok(check, "organization", f"{principal} has it")


def enable_access(principal: str) -> str:
    """For StackSets, it is CloudFormation that has to be told: it prepares what the service needs."""
    if principal == STACK_SETS:
        return "aws cloudformation activate-organizations-access"
    return f"aws organizations enable-aws-service-access --service-principal {principal}"


def check_stack_sets_access(status: str) -> Diagnosis:
    """Trusted access that Organizations shows is not enough: StackSets have to be activated."""
    if status != "ENABLED":
        return problem(ACTIVATED, "organization", f"StackSets are {status}", enable_access(STACK_SETS), MANAGEMENT)
    return ok(ACTIVATED, "organization", "StackSets may act in the organization")


def no_stack_set(name: str, region: str) -> Diagnosis:
    """None whose name begins so."""
    says = f"no StackSet's name begins with {name} in {region}: members have no role, or --home-region names another"
    return problem(ROLES, region, says, _DEPLOY)


@dataclass(frozen=True, slots=True)
class MemberRoles:
    """The StackSet of the member roles, as DescribeStackSet and ListStackInstances answer.

    `members`: the active accounts without the management account, which no service-managed StackSet reaches.
    """

    stack_set: Answer
    instances: Sequence[Answer]
    members: Collection[str]
    region: str
    call_as: str

    def check(self) -> list[Diagnosis]:
        """Are the roles everywhere, and will they come to new accounts?"""
        found = [*self._settings(), *self._several_regions(), *self._states(), *self._coverage()]
        current = {_account(one) for one in self.instances if _state(one) == "CURRENT"}
        says = f"{self._name} is current; accounts: {len(current):,}, active members: {len(self.members):,}"
        return found or [ok(ROLES, self.region, says)]

    @property
    def _name(self) -> str:
        return f"StackSet {self.stack_set['StackSetName']}"

    @property
    def _options(self) -> str:
        name = shlex.quote(str(self.stack_set["StackSetName"]))
        return f"--stack-set-name {name} --call-as {self.call_as} --region {self.region}"

    def _settings(self) -> Iterator[Diagnosis]:
        model = self.stack_set.get("PermissionModel")
        if model != "SERVICE_MANAGED":
            says = f"{self._name} is {model}: it does not follow the organization"
            yield problem(ROLES, self.region, says, _DEPLOY)
        elif not self.stack_set.get("AutoDeployment", {}).get("Enabled"):
            switch = (
                f"aws cloudformation update-stack-set {self._options} --use-previous-template "
                "--capabilities CAPABILITY_NAMED_IAM "
                "--auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false"
            )
            yield problem(ROLES, self.region, f"{self._name} has no auto-deployment: new accounts get no role", switch)

    def _several_regions(self) -> Iterator[Diagnosis]:
        regions = sorted({str(instance.get("Region")) for instance in self.instances})
        if len(regions) > 1:
            says = f"{self._name} is in {', '.join(regions)}: IAM is global, and only the first makes the role"
            yield problem(ROLES, self.region, says, f"aws cloudformation list-stack-instances {self._options}")

    def _states(self) -> Iterator[Diagnosis]:
        bad = [one for one in self.instances if _state(one) not in ("CURRENT", *_UNDER_WAY, *_PASSED_OVER)]
        waiting = [_account(one) for one in self.instances if _state(one) in _UNDER_WAY]
        if bad:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(map(_state, bad)).items()))
            reasons = sorted({str(one["StatusReason"]) for one in bad if one.get("StatusReason")})
            why = f": {reasons[0]}" if reasons else ""
            says = f"{self._name} is not current in {_listed(map(_account, bad))} ({counts}){why}"
            yield problem(ROLES, self.region, says, self._deploy_to(map(_account, bad), "update"))
        if waiting:
            says = f"{self._name} is being deployed to {_listed(waiting)}"
            show = f"aws cloudformation list-stack-set-operations {self._options}"
            yield cannot_tell(ROLES, self.region, says, show)

    def _coverage(self) -> Iterator[Diagnosis]:
        """Members without an instance are left out on purpose, unless the StackSet goes to the whole organization."""
        missing = set(self.members) - {_account(instance) for instance in self.instances}
        whole = any(str(unit).startswith("r-") for unit in self.stack_set.get("OrganizationalUnitIds", ()))
        if not self.instances:
            says = f"{self._name} has no instance: no account has the role"
            yield problem(ROLES, self.region, says, self._deploy_to((), "create"))
        elif missing and whole:
            says = f"{self._name} goes to the whole organization and is not in {_listed(missing)}"
            yield problem(ROLES, self.region, says, self._deploy_to(missing, "create"))

    def _deploy_to(self, accounts: Iterable[str], verb: str) -> str:
        units = ",".join(map(str, self.stack_set.get("OrganizationalUnitIds", ()))) or "ROOT_OR_OU_ID"
        chosen = ",".join(sorted(set(accounts)))
        only = f",Accounts={chosen},AccountFilterType=INTERSECTION" if chosen else ""
        region = next((str(one["Region"]) for one in self.instances), self.region)
        return (
            f"aws cloudformation {verb}-stack-instances {self._options} --regions {region} "
            f"--deployment-targets OrganizationalUnitIds={units}{only}"
        )


def _state(instance: Answer) -> str:
    """CURRENT, or the most exact word for what it is instead."""
    if instance.get("Status") == "CURRENT":
        return "CURRENT"
    detailed = instance.get("StackInstanceStatus", {}).get("DetailedStatus")
    return str(detailed if detailed not in (None, "SUCCEEDED") else instance.get("Status"))


def _account(instance: Answer) -> str:
    return str(instance.get("Account"))


def _listed(accounts: Iterable[str]) -> str:
    every = sorted(set(accounts))
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return f"{', '.join(every[:_NAMED])}{more}"


def widest(aggregators: Sequence[Answer], regions: Collection[str]) -> Answer | None:
    """The aggregator of the organization that gathers most of `regions`; those of single accounts do not count."""
    ours = [one for one in aggregators if "OrganizationAggregationSource" in one]
    return max(ours, key=lambda one: len(_gathered(one["OrganizationAggregationSource"], regions)), default=None)


def check_aggregator(
    aggregator: Answer | None, regions: Collection[str], region: str, account: str, partition: str
) -> Diagnosis:
    """Does the `widest` one gather the whole organization in every region?"""
    name = str(aggregator["ConfigurationAggregatorName"]) if aggregator else "rolecall"
    source = aggregator["OrganizationAggregationSource"] if aggregator else {}
    role = source.get("RoleArn", f"arn:{partition}:iam::{account}:role/AGGREGATOR_ROLE")
    put = (
        f"aws configservice put-configuration-aggregator --configuration-aggregator-name {shlex.quote(name)} "
        f"--organization-aggregation-source RoleArn={role},AllAwsRegions=true --region {region}"
    )
    if not aggregator:
        says = f"none in {region} gathers the organization, or --home-region names another"
        return problem(AGGREGATOR, region, says, put)
    missing = set(regions) - _gathered(source, regions)
    if missing:
        return problem(AGGREGATOR, region, f"{name} does not gather {', '.join(sorted(missing))}", put)
    if not source.get("AllAwsRegions"):
        return ok(AGGREGATOR, region, f"{name} gathers these regions, and will not gather those that AWS adds", put)
    return ok(AGGREGATOR, region, f"{name} gathers every region")


def _gathered(source: Answer, regions: Collection[str]) -> set[str]:
    return set(regions) if source.get("AllAwsRegions") else set(source.get("AwsRegions", ())) & set(regions)


def check_sources(failed: Sequence[Answer], name: str, region: str) -> Diagnosis:
    """Could the aggregator read what it is to gather? `failed`: the sources that it could not read."""
    if not failed:
        return ok(SOURCES, region, f"{name} could read all")
    first = failed[0]
    why = f"{first.get('LastErrorCode', 'no code')}: {first.get('LastErrorMessage', 'no message')}"
    places = _listed(f"{one.get('SourceId')} in {one.get('AwsRegion')}" for one in failed)
    show = (
        "aws configservice describe-configuration-aggregator-sources-status --update-status FAILED "
        f"--configuration-aggregator-name {shlex.quote(name)} --region {region}"
    )
    return problem(SOURCES, region, f"{name} could not read {places} ({why})", show)
