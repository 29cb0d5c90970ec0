"""An organization in a local AWS: what its stacks give to each member account, read from the synthesized assembly."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws import LocalAws
from local.cloud_assembly import AssemblyError, Place, Stack, mapping, read_stacks
from local.nested_template import nested_stack
from local.recorder import Recorder
from local.template import config_rules
from rolecall.items import partition_of

_STACK_SET = "AWS::CloudFormation::StackSet"
_PACK = "AWS::Config::OrganizationConformancePack"
_AGGREGATOR = "AWS::Config::ConfigurationAggregator"


@dataclass(frozen=True)
class OrganizationAssembly:
    """What `cdk synth` wrote for an organization: the member roles' StackSet, and the conformance pack of one region.

    Role ARNs, account and region are those of the assembly, so a `LocalAws` for it must be of `audit_account` and
    `region`.
    """

    cdk_out: Path
    audit_account: str
    region: str
    organization_id: str
    role_template: str
    role_parameters: Mapping[str, str]

    def pack(self, place: Place) -> tuple[str, dict[str, str]]:
        """The pack's template and its parameters, of which one is the function's ARN."""
        audit = Place(self.audit_account, self.region, place.partition)
        stack, properties = _only(read_stacks(self.cdk_out, audit), _PACK)
        given = _listed(stack.resolve(properties["ConformancePackInputParameters"], _PACK))
        return (
            stack.text(properties["TemplateBody"], _PACK),
            {one["ParameterName"]: one["ParameterValue"] for one in given},
        )

    def aggregator(self, place: Place) -> dict[str, Any]:
        """The aggregator of the audit account, as PutConfigurationAggregator takes it."""
        stack, properties = _only(read_stacks(self.cdk_out, place), _AGGREGATOR)
        return dict(mapping(stack.resolve(properties, _AGGREGATOR), _AGGREGATOR))


def read_organization(cdk_out: Path) -> OrganizationAssembly:
    """Raises AssemblyError for an assembly that is not an organization's, or one of several regions."""
    stack, properties = _only(read_stacks(cdk_out, Place()), _STACK_SET)
    parameters = {
        one["ParameterKey"]: one["ParameterValue"]
        for one in _listed(stack.resolve(properties["Parameters"], _STACK_SET))
    }
    (instances,) = _listed(stack.resolve(properties["StackInstancesGroup"], _STACK_SET))
    (home,) = instances["Regions"]
    return OrganizationAssembly(
        cdk_out,
        parameters["AuditAccountId"],
        home,
        parameters["OrganizationId"],
        stack.text(properties["TemplateBody"], _STACK_SET),
        parameters,
    )


class Organization:
    """The accounts around an audit account whose function `deployment.Deployment` runs."""

    def __init__(self, aws: LocalAws, assembly: OrganizationAssembly) -> None:
        self._aws = aws
        self._assembly = assembly
        self._pack_template, self._pack_parameters = assembly.pack(self._place(assembly.audit_account))
        aws.sts.organizations[assembly.audit_account] = assembly.organization_id

    def join(self, account: str) -> str:
        """A member with a recorder and the pack's rule; returns the rule's name, which AWS Config makes up."""
        self._aws.sts.organizations[account] = self._assembly.organization_id
        self._aws.config.region(account, self._aws.region).start_recording()
        stack = nested_stack("conformance pack", self._pack_template, self._pack_parameters, self._place(account))
        (rule,) = config_rules(stack, self._pack_parameters["FunctionArn"])
        # A suffix of a pack's own, as AWS adds one.
        name = f"{rule['ConfigRuleName']}-conformance-pack-{hashlib.sha256(account.encode()).hexdigest()[:9]}"
        self._aws.client("config", account).put_config_rule(ConfigRule={**rule, "ConfigRuleName": name})
        return name

    def aggregate(self) -> None:
        """From now on the audit account sees what is recorded in all accounts, those that join later too."""
        aggregator = self._assembly.aggregator(self._place(self._assembly.audit_account))
        self._aws.client("config").put_configuration_aggregator(**aggregator)

    def roll_out_role(self, account: str) -> None:
        """What the StackSet does whenever it gets to the account: roles that are there stay as they are."""
        body, given = self._assembly.role_template, self._assembly.role_parameters
        stack = nested_stack("member roles", body, given, self._place(account))
        iam = self._aws.client("iam", account)
        present = {role["RoleName"] for role in iam.list_roles()["Roles"]}
        for logical_id, unresolved in stack.of_type("AWS::IAM::Role").items():
            role: Any = stack.resolve(unresolved, logical_id)
            if role["RoleName"] in present:
                continue
            trust = json.dumps(role["AssumeRolePolicyDocument"])
            iam.create_role(RoleName=role["RoleName"], Description=role["Description"], AssumeRolePolicyDocument=trust)
            for policy in role["Policies"]:
                iam.put_role_policy(
                    RoleName=role["RoleName"],
                    PolicyName=policy["PolicyName"],
                    PolicyDocument=json.dumps(policy["PolicyDocument"]),
                )

    def recorder(self, account: str) -> Recorder:
        """Records the account's instances whenever it is told to."""
        return Recorder(self._aws.client("ec2", account), self._aws.config.region(account, self._aws.region))

    def _place(self, account: str) -> Place:
        return Place(account, self._aws.region, partition_of(None, self._aws.region))


def _only(stacks: list[Stack], resource_type: str) -> tuple[Stack, Mapping[str, object]]:
    found = [(stack, properties) for stack in stacks for properties in stack.of_type(resource_type).values()]
    if len(found) != 1:
        raise AssemblyError(f"the assembly holds {len(found)} resources of type {resource_type}; allowed: one")
    return found[0]


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if not isinstance(value, list):
        raise AssemblyError(f"{json.dumps(value)[:200]} is no list")
    return value
