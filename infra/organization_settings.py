"""Settings of the mode organization: those of one account, and what there is to know about the organization."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from infra.setting_types import Allowed, given_settings, listed, refusal, sentence
from infra.settings import Settings
from rolecall.items import partition_of

MAX_EXCLUDED_ACCOUNTS = 1000
"""Of one organization conformance pack: CloudFormation's AWS::Config::OrganizationConformancePack."""

MAX_PERMISSIONS = 60
"""Accounts that can be permitted one by one to invoke a function: a statement takes up to 341 of the 20,480 characters
of its policy."""

REGIONS_WITHOUT_RESOURCE_POLICY = frozenset(
    ["cn-north-1", "cn-northwest-1", "me-central-1", "us-gov-east-1", "us-gov-west-1"]
)
"""Where CloudFormation lacks AWS::Lambda::ResourcePolicy: the region schemas of cfn-lint 1.58 (2026-10-20)."""

LONGEST_SUFFIX = "-ManagementRole"
"""Of the names of the stacks, which begin with the setting stackName; region names are shorter than 20 characters."""

_ROLE_PATTERN = r"^[\w+=,.@*?/-]{1,512}$"


def _no_twins(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("listed twice")
    return values


def _by(pattern: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """A validator that takes the whole list, so that the error shows it."""
    matches = re.compile(pattern).fullmatch

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(matches, values)):
            raise ValueError("malformed")
        return _no_twins(values)

    return check


_ACCOUNT = r"[0-9]{12}"
_REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]"

Account = Annotated[str, Field(pattern=rf"^{_ACCOUNT}$"), Allowed("an account id of 12 digits")]
Accounts = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    AfterValidator(_by(_ACCOUNT)),
    Allowed("a list of account ids of 12 digits, each once"),
]


_Mode = Annotated[Literal["organization"], Allowed("account or organization")]


class OrganizationSettings(Settings):
    """The settings of an organization's deployment. `read_settings` reads them."""

    mode: _Mode = "organization"  # type: ignore[assignment]  # the other of two modes

    organization_id: Annotated[
        str, Field(pattern=r"^o-[a-z0-9]{10,32}$"), Allowed("an organization's id, as o-a1b2c3d4e5")
    ]
    """The organization whose accounts are judged."""

    root_or_ou_ids: Annotated[
        tuple[str, ...],
        BeforeValidator(listed),
        Field(min_length=1),
        AfterValidator(_by(r"r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}")),
        Allowed("a list of ids of the organization's root, as r-a1b2, or of organizational units, each once"),
    ]
    """Where member roles and guardrail are rolled out. The conformance pack goes to the whole organization, so accounts
    outside of these units belong into excludedAccounts."""

    audit_account_id: Account
    """The delegated administrator: the account that the rule's functions run in."""

    management_account_id: Account
    """The organization's management account, which guardrails and StackSets do not reach."""

    home_region: Annotated[str, Field(pattern=rf"^{_REGION}$"), Allowed("a region, as eu-west-1")]
    """The region of what there is only once: roles, evaluations bus, aggregator."""

    regions: Annotated[
        tuple[str, ...],
        BeforeValidator(listed),
        Field(min_length=1),
        AfterValidator(_by(_REGION)),
        Allowed("a list of regions of one partition, each once, the home region among them"),
    ]
    """The regions whose instances are judged."""

    excluded_accounts: Accounts = ()
    """Accounts that are not judged; the management account is excluded anyway, unless includeManagementAccount says
    otherwise."""

    include_management_account: Annotated[bool, Allowed("true or false")] = False
    """Whether the management account is judged as well. It then needs a recorder, and a stack of its own with the role
    that a StackSet gives to all others."""

    invoke_trust: Annotated[Literal["org", "accounts"], Allowed("org or accounts")] = "org"
    """What lets AWS Config of other accounts invoke the functions: org means aws:SourceOrgID, accounts means
    aws:SourceAccount with memberAccounts."""

    member_accounts: Accounts = ()
    """The accounts that are judged. Needed only with invokeTrust accounts, and in regions without
    AWS::Lambda::ResourcePolicy; there a new account is judged only after it was added here."""

    role_prefix: Annotated[
        str,
        Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,31}$"),
        Allowed("1 to 32 letters and digits, the first a letter"),
    ] = "rolecall"
    """The roles are named after it: <prefix>-rule in the audit account, <prefix>-reporter in each other one. For
    findings there are also <prefix>-findings and <prefix>-publisher, for evidence <prefix>-evidence-plan,
    <prefix>-evidence-collect, <prefix>-evidence-seal, <prefix>-evidence-ledger and <prefix>-collector."""

    guardrail: Annotated[bool, Allowed("true or false")] = True
    """Whether to keep all but exemptionApproverRoles from exempting instances: a service control policy and a tag
    policy, in a stack of the management account."""

    exemption_approver_roles: Annotated[
        tuple[str, ...],
        BeforeValidator(listed),
        AfterValidator(_by(_ROLE_PATTERN)),
        Allowed("a list of role names with their paths, * and ? as wildcards, but no wildcard alone"),
    ] = ()
    """Who may set and remove exemption tags, in every account: what follows `role/` in the ARN of a role, as
    `aws-reserved/sso.amazonaws.com/*AWSReservedSSO_ExemptionApprover_*`. Needed for the guardrail."""

    deployer_roles: Annotated[
        tuple[str, ...],
        BeforeValidator(listed),
        AfterValidator(_by(_ROLE_PATTERN)),
        Allowed("a list of role names with their paths, * and ? as wildcards, but no wildcard alone"),
    ] = ()
    """Who else may create and change the roles that the guardrail protects, beside StackSets and, in the audit account,
    the CDK."""

    @model_validator(mode="after")
    def _stack_names_fit(self) -> Self:
        longest = 128 - 5 - max(len(LONGEST_SUFFIX), *map(len, self.regions))
        if len(self.stack_name) > longest:
            allowed = f"at most {longest} characters, so that names of stacks can be made from it"
            raise sentence(refusal("stackName", self.stack_name, allowed))
        return self

    @model_validator(mode="after")
    def _regions_hang_together(self) -> Self:
        if self.home_region not in self.regions:
            raise sentence(refusal("homeRegion", self.home_region, f"one of regions: {', '.join(self.regions)}"))
        if len({partition_of(None, region) for region in self.regions}) > 1:
            raise sentence(refusal("regions", self.regions, "regions of one partition"))
        return self

    @model_validator(mode="after")
    def _accounts_hang_together(self) -> Self:
        if self.management_account_id == self.audit_account_id:
            allowed = "an account other than managementAccountId: service control policies do not bind that one"
            raise sentence(refusal("auditAccountId", self.audit_account_id, allowed))
        if self.management_account_id in self.excluded_accounts:
            allowed = "accounts other than managementAccountId; includeManagementAccount decides on that one"
            raise sentence(refusal("excludedAccounts", self.excluded_accounts, allowed))
        if len(self.pack_excludes) > MAX_EXCLUDED_ACCOUNTS:
            raise sentence(
                f"setting excludedAccounts makes {len(self.pack_excludes)} accounts with the management account; "
                f"allowed: {MAX_EXCLUDED_ACCOUNTS}, AWS Config's limit for one conformance pack"
            )
        return self

    @model_validator(mode="after")
    def _accounts_are_listed_where_needed(self) -> Self:
        listing = [region for region in self.regions if region in REGIONS_WITHOUT_RESOURCE_POLICY]
        if not self.member_accounts and (listing or self.invoke_trust == "accounts"):
            without = f"Lambda has no full resource policies in {', '.join(listing)}"
            allowed = f"a list of account ids, as {without if listing else 'invokeTrust is accounts'}"
            raise sentence(refusal("memberAccounts", self.member_accounts, allowed))
        if listing and len(self.invoking_accounts) > MAX_PERMISSIONS:
            raise sentence(
                f"setting memberAccounts makes {len(self.invoking_accounts)} accounts to permit one by one in "
                f"{', '.join(listing)}, where Lambda has no full resource policies; allowed: {MAX_PERMISSIONS}, "
                "as more do not fit into a function's policy. Leave these regions out, or exclude accounts"
            )
        return self

    @model_validator(mode="after")
    def _guardrail_names_somebody(self) -> Self:
        if self.guardrail and not self.exemption_approver_roles:
            allowed = "at least one role while guardrail is true, or nobody could exempt an instance"
            raise sentence(refusal("exemptionApproverRoles", self.exemption_approver_roles, allowed))
        for name, patterns in (
            ("exemptionApproverRoles", self.exemption_approver_roles),
            ("deployerRoles", self.deployer_roles),
        ):
            for pattern in patterns:
                if not pattern.strip("*?/"):
                    raise sentence(refusal(name, pattern, "a role's name: by wildcards alone it means everybody"))
        return self

    @model_validator(mode="after")
    def _bus_is_ours(self) -> Self:
        if self.event_bus:
            raise sentence(refusal("eventBus", self.event_bus, "nothing in an organization, which gets its own bus"))
        return self

    @model_validator(mode="after")
    def _topic_is_in_reach(self) -> Self:
        if self.alarm_topic.startswith("arn:") and {self.alarm_topic.split(":")[3]} != set(self.regions):
            allowed = "create or none, as an alarm notifies topics of its own region only and regions has others"
            raise sentence(refusal("alarmTopic", self.alarm_topic, allowed))
        return self

    @property
    def partition(self) -> str:
        """The partition of all regions."""
        return partition_of(None, self.home_region)

    @property
    def execution_role_name(self) -> str:
        """The role of the functions, in the audit account."""
        return f"{self.role_prefix}-rule"

    @property
    def reporter_role_name(self) -> str:
        """The role in every other account that is judged."""
        return f"{self.role_prefix}-reporter"

    @property
    def findings_role_name(self) -> str:
        """The role of the findings function, in the audit account."""
        return f"{self.role_prefix}-findings"

    @property
    def publisher_role_name(self) -> str:
        """The role by which findings get into every other account that is judged."""
        return f"{self.role_prefix}-publisher"

    @property
    def collector_role_name(self) -> str:
        """The role by which evidence is collected in every other account that is judged."""
        return f"{self.role_prefix}-collector"

    @property
    def pack_excludes(self) -> list[str]:
        """The accounts that the conformance pack leaves out."""
        management = [] if self.include_management_account else [self.management_account_id]
        return sorted({*self.excluded_accounts, *management})

    @property
    def invoking_accounts(self) -> list[str]:
        """The accounts that are judged, as far as memberAccounts names them; the audit account always is one."""
        management = [self.management_account_id] if self.include_management_account else []
        named = {*self.member_accounts, self.audit_account_id, *management}
        return sorted(named - set(self.pack_excludes))


def read_settings(context: Mapping[str, object]) -> Settings:
    """The settings of the mode that the context of a CDK app asks for. Raises InvalidSettings."""
    organization = given_settings(context).get("mode") == "organization"
    return OrganizationSettings.from_context(context) if organization else Settings.from_context(context)
