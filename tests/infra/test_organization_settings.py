import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.organization_settings import LONGEST_SUFFIX, REGIONS_WITHOUT_RESOURCE_POLICY, OrganizationSettings
from infra.setting_types import InvalidSettings
from infra.settings import Settings, documented
from tests.infra.organization import AUDIT, MANAGEMENT, MEMBER, accounts, organization_settings
from tests.infra.synthesis import ROOT

ACCOUNT_LIST = "a list of account ids of 12 digits, each once"
ROLE_LIST = "a list of role names with their paths, * and ? as wildcards, but no wildcard alone"
REGION_LIST = "a list of regions of one partition, each once, the home region among them"
CHINA: dict[str, object] = {"homeRegion": "cn-north-1", "regions": "cn-north-1"}
TOPIC = "arn:aws:sns:eu-west-1:222233334444:on-call"


def test_the_example() -> None:
    """The settings of one account with their defaults, and those of the organization."""
    settings = dict(organization_settings())
    own = {name: value for name, value in settings.items() if name not in Settings.model_fields}
    assert own == {
        "organization_id": "o-a1b2c3d4e5",
        "root_or_ou_ids": ("r-a1b2",),
        "audit_account_id": AUDIT,
        "management_account_id": MANAGEMENT,
        "home_region": "eu-west-1",
        "regions": ("eu-west-1", "eu-central-1", "us-east-1"),
        "excluded_accounts": (),
        "include_management_account": False,
        "invoke_trust": "org",
        "member_accounts": (),
        "role_prefix": "rolecall",
        "guardrail": True,
        "exemption_approver_roles": ("aws-reserved/sso.amazonaws.com/*AWSReservedSSO_ExemptionApprover_*",),
        "deployer_roles": (),
    }
    assert settings["mode"] == "organization"
    assert {name: settings[name] for name in Settings.model_fields} == dict(Settings()) | {
        "mode": "organization",
        "companion_rules": (
            "ec2-imdsv2-check",
            "ec2-launch-template-imdsv2-check",
            "access-keys-rotated",
            "iam-user-unused-credentials-check",
        ),
        "security_hub": True,
    }


REFUSED: Mapping[str, tuple[dict[str, object], str, str]] = {
    "an organization's id in capitals": (
        {"organizationId": "O-A1B2C3D4E5"},
        "setting organizationId is 'O-A1B2C3D4E5'",
        "an organization's id, as o-a1b2c3d4e5",
    ),
    "no unit": (
        {"rootOrOuIds": []},
        "setting rootOrOuIds is []",
        "a list of ids of the organization's root, as r-a1b2, or of organizational units, each once",
    ),
    "an account among the units": (
        {"rootOrOuIds": f"r-a1b2,{MEMBER}"},
        f"setting rootOrOuIds is 'r-a1b2,{MEMBER}'",
        "a list of ids of the organization's root, as r-a1b2, or of organizational units, each once",
    ),
    "an account id of 11 digits": (
        {"auditAccountId": "22223333444"},
        "setting auditAccountId is '22223333444'",
        "an account id of 12 digits",
    ),
    "an account id that JSON made a number": (
        {"managementAccountId": 111122223333},
        "setting managementAccountId is 111122223333",
        "an account id of 12 digits",
    ),
    "the management account as audit account": (
        {"auditAccountId": MANAGEMENT},
        f"setting auditAccountId is '{MANAGEMENT}'",
        "an account other than managementAccountId: service control policies do not bind that one",
    ),
    "a home region that is none": (
        {"homeRegion": "Ireland"},
        "setting homeRegion is 'Ireland'",
        "a region, as eu-west-1",
    ),
    "a home region that is not judged": (
        {"homeRegion": "eu-west-3"},
        "setting homeRegion is 'eu-west-3'",
        "one of regions: eu-west-1, eu-central-1, us-east-1",
    ),
    "an availability zone": (
        {"regions": "eu-west-1,eu-west-1a"},
        "setting regions is 'eu-west-1,eu-west-1a'",
        REGION_LIST,
    ),
    "a region twice": (
        {"regions": "eu-west-1,eu-west-1"},
        "setting regions is 'eu-west-1,eu-west-1'",
        REGION_LIST,
    ),
    "regions of two partitions": (
        {"regions": "eu-west-1,cn-north-1"},
        "setting regions is ('eu-west-1', 'cn-north-1')",
        "regions of one partition",
    ),
    "an excluded account that is none": (
        {"excludedAccounts": "sandbox"},
        "setting excludedAccounts is 'sandbox'",
        ACCOUNT_LIST,
    ),
    "the management account among the excluded": (
        {"excludedAccounts": [MANAGEMENT]},
        f"setting excludedAccounts is ('{MANAGEMENT}',)",
        "accounts other than managementAccountId; includeManagementAccount decides on that one",
    ),
    "1,000 excluded accounts and the management account": (
        {"excludedAccounts": accounts(1000)},
        "setting excludedAccounts makes 1001 accounts with the management account",
        "1000, AWS Config's limit for one conformance pack",
    ),
    "another trust": ({"invokeTrust": "anybody"}, "setting invokeTrust is 'anybody'", "org or accounts"),
    "trust in accounts that are not named": (
        {"invokeTrust": "accounts"},
        "setting memberAccounts is ()",
        "a list of account ids, as invokeTrust is accounts",
    ),
    "a region where accounts must be named, and are not": (
        CHINA,
        "setting memberAccounts is ()",
        "a list of account ids, as Lambda has no full resource policies in cn-north-1",
    ),
    "a region where 61 accounts are too many": (
        {**CHINA, "memberAccounts": accounts(60)},
        (
            "setting memberAccounts makes 61 accounts to permit one by one in cn-north-1, where Lambda has no full "
            "resource policies"
        ),
        "60, as more do not fit into a function's policy. Leave these regions out, or exclude accounts",
    ),
    "a prefix with a hyphen, by which it could begin another's": (
        {"rolePrefix": "role-call"},
        "setting rolePrefix is 'role-call'",
        "1 to 32 letters and digits, the first a letter",
    ),
    "a guardrail without approvers": (
        {"exemptionApproverRoles": ""},
        "setting exemptionApproverRoles is ()",
        "at least one role while guardrail is true, or nobody could exempt an instance",
    ),
    "everybody as approver": (
        {"exemptionApproverRoles": "*"},
        "setting exemptionApproverRoles is '*'",
        "a role's name: by wildcards alone it means everybody",
    ),
    "a role by its ARN": (
        {"deployerRoles": "arn:aws:iam::222233334444:role/deployer"},
        "setting deployerRoles is 'arn:aws:iam::222233334444:role/deployer'",
        ROLE_LIST,
    ),
    "everybody as deployer": (
        {"deployerRoles": "deployer,*/*"},
        "setting deployerRoles is '*/*'",
        "a role's name: by wildcards alone it means everybody",
    ),
    "a bus, beside that of the organization": (
        {"eventBus": "evaluations"},
        "setting eventBus is 'evaluations'",
        "nothing in an organization, which gets its own bus",
    ),
    "a topic that other regions cannot reach": (
        {"alarmTopic": TOPIC},
        f"setting alarmTopic is '{TOPIC}'",
        "create or none, as an alarm notifies topics of its own region only and regions has others",
    ),
    "a name of which no stack names can be made": (
        {"stackName": "R" * (128 - 5 - len(LONGEST_SUFFIX) + 1)},
        f"setting stackName is '{'R' * 109}'",
        "at most 108 characters, so that names of stacks can be made from it",
    ),
}


@pytest.mark.parametrize(("given", "what", "allowed"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_one_line(given: dict[str, object], what: str, allowed: str) -> None:
    """Its name, its value and what is allowed, before anything is synthesized."""
    with pytest.raises(InvalidSettings) as refused:
        organization_settings(**given)
    assert str(refused.value) == f"{what}; allowed: {allowed}"


def test_what_an_organization_must_tell_is_asked_for_at_once() -> None:
    """One line for each setting that has no default."""
    with pytest.raises(InvalidSettings) as refused:
        OrganizationSettings.from_context({"mode": "organization"})
    required = [name for name, default, *_ in documented(OrganizationSettings, Settings) if default == "required"]
    lines = str(refused.value).splitlines()
    assert [line.split(";")[0] for line in lines] == [f"setting {name} is missing" for name in required]


AT_THE_LIMIT: Mapping[str, dict[str, object]] = {
    "999 excluded accounts and the management account": {"excludedAccounts": accounts(999)},
    "1,000 excluded accounts while the management account is judged": {
        "excludedAccounts": accounts(1000),
        "includeManagementAccount": True,
    },
    "60 accounts, the audit account among them": {**CHINA, "memberAccounts": accounts(59)},
    "more accounts, of which enough are excluded": {
        **CHINA,
        "memberAccounts": accounts(70),
        "excludedAccounts": accounts(11),
    },
    "the longest stack name": {"stackName": "R" * 108},
    "a topic in the only region": {"regions": "eu-west-1", "alarmTopic": TOPIC},
    "no guardrail and no approvers": {"guardrail": False, "exemptionApproverRoles": ""},
}


@pytest.mark.parametrize("given", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_what_is_just_allowed_is_taken(given: dict[str, object]) -> None:
    """So that each limit is where the errors say."""
    organization_settings(**given)


@pytest.mark.parametrize("region", sorted(REGIONS_WITHOUT_RESOURCE_POLICY))
def test_regions_without_full_resource_policies_ask_for_accounts(region: str) -> None:
    """All five, which cfn-lint's schemas are held against in test_organization."""
    with pytest.raises(InvalidSettings, match=f"no full resource policies in {region}"):
        organization_settings(homeRegion=region, regions=region)
    assert organization_settings(homeRegion=region, regions=region, memberAccounts=MEMBER).invoking_accounts == [
        AUDIT,
        MEMBER,
    ]


def test_who_is_judged_may_invoke() -> None:
    """The audit account always, the management account if it is included, excluded accounts never."""
    given = organization_settings(
        memberAccounts=[MEMBER, MANAGEMENT, "444455556666"], excludedAccounts=["444455556666"]
    )
    assert given.invoking_accounts == [AUDIT, MEMBER]
    included = organization_settings(memberAccounts=[MEMBER], includeManagementAccount=True)
    assert included.invoking_accounts == [MANAGEMENT, AUDIT, MEMBER]
    assert included.pack_excludes == []


def test_the_guide_documents_every_setting() -> None:
    """When this fails, paste what it expects between the two comments."""
    text = (Path(ROOT) / "docs" / "organization.md").read_text()
    (found,) = re.findall(r"<!-- settings: begin .*?-->\n(.*?)\n<!-- settings: end -->", text, re.DOTALL)
    assert found == setting_table()


def setting_table() -> str:
    """The table of the settings that only an organization has."""
    rows = [
        f"| `{name}` | {default if default == 'required' else f'`{default}`'} | {allowed} | {meaning} |"
        for name, default, allowed, meaning in documented(OrganizationSettings, Settings)
    ]
    return "\n".join(["| setting | default | allowed | meaning |", "|---|---|---|---|", *rows])
