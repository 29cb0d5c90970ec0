import json
from datetime import date
from typing import Any

import pytest

from rolecall.errors import InvalidRecord
from rolecall.evidence.plan import (
    Deployed,
    Gap,
    OrganizationAccount,
    Plan,
    ShardItem,
    Source,
    is_named,
    item_object,
    plan_account,
    plan_object,
    plan_organization,
    read_item,
    read_plan,
)
from rolecall.evidence.shard_header import WhyNot
from tests.builders import changed

DAY = date(2026, 11, 24)
HOME, OTHER = "eu-west-1", "us-east-1"
ONE, TWO, THREE = "111122223333", "222233334444", "333344445555"
RULE = "rolecall"
DEPLOYED = Deployed(DAY, HOME, RULE, {"exemptionMaxDays": "90"}, "0.1.0", (f"ledger/dt={DAY}/1.jsonl.gz",))


def account(number: str, status: str = "ACTIVE") -> OrganizationAccount:
    """An account of the organization."""
    return OrganizationAccount(number, f"name of {number}", status)


def source(number: str, region: str = HOME, status: str = "SUCCEEDED", error: str = "") -> Source:
    """An account and region of the aggregator."""
    return Source(number, region, status, error)


def shard(number: str, region: str = HOME, **changes: Any) -> ShardItem:  # noqa: ANN401 - fields of an item
    """What is planned for a place about which all is well."""
    return ShardItem(DAY, number, region, **{"credential_report": region == HOME, **changes})


@pytest.mark.parametrize(
    ("accounts", "sources", "regions", "rules", "shards", "gaps"),
    [
        pytest.param(
            [account(ONE)],
            [source(ONE)],
            [HOME],
            [(ONE, HOME, f"{RULE}-conformance-pack-x1")],
            [shard(ONE, rule_names=(f"{RULE}-conformance-pack-x1",))],
            [],
            id="an account whose pack gave the rule a suffix",
        ),
        pytest.param(
            [account(ONE)],
            [source(ONE)],
            [HOME],
            [(ONE, HOME, RULE), (ONE, HOME, f"{RULE}-conformance-pack-x1"), (ONE, HOME, f"{RULE}-of-others")],
            [shard(ONE, rule_names=(RULE, f"{RULE}-conformance-pack-x1"))],
            [],
            id="two rules of ours, and one that only begins like ours",
        ),
        pytest.param(
            [account(ONE)],
            [source(ONE, HOME), source(ONE, OTHER)],
            [HOME],
            [],
            [shard(ONE), shard(ONE, OTHER)],
            [],
            id="a region where the aggregator looks, though nobody configured it",
        ),
        pytest.param(
            [account(ONE)],
            [source(ONE, HOME)],
            [HOME, OTHER],
            [],
            [shard(ONE), shard(ONE, OTHER, why_not=WhyNot.NO_SOURCE)],
            [],
            id="a configured region where the aggregator does not look",
        ),
        pytest.param(
            [account(ONE), account(TWO)],
            [source(ONE, HOME, "FAILED", "NoAuthorization: not authorized"), source(TWO, HOME, "OUTDATED")],
            [HOME],
            [],
            [
                shard(ONE, why_not=WhyNot.SOURCE_FAILED, detail="NoAuthorization: not authorized"),
                shard(TWO, why_not=WhyNot.SOURCE_OUTDATED),
            ],
            [],
            id="sources that failed or are outdated",
        ),
        pytest.param(
            [account(TWO, "SUSPENDED"), account(ONE), account(THREE, "PENDING_CLOSURE")],
            [source(ONE), source(TWO), source("999999999999")],
            [HOME],
            [],
            [shard(ONE)],
            [
                Gap(TWO, WhyNot.ACCOUNT_NOT_ACTIVE, "SUSPENDED"),
                Gap(THREE, WhyNot.ACCOUNT_NOT_ACTIVE, "PENDING_CLOSURE"),
                Gap("999999999999", WhyNot.ACCOUNT_NOT_ACTIVE, "not in the organization"),
            ],
            id="accounts that are not active, or not in the organization any more",
        ),
        pytest.param(
            [account(ONE)],
            [],
            [OTHER, "ap-south-1"],
            [],
            [
                shard(ONE, "ap-south-1", why_not=WhyNot.NO_SOURCE, credential_report=True),
                shard(ONE, OTHER, why_not=WhyNot.NO_SOURCE),
            ],
            [],
            id="keys are counted once, also where the home region is not planned",
        ),
    ],
)
def test_an_organization_is_planned(  # noqa: PLR0913, PLR0917 - columns
    accounts: list[OrganizationAccount],
    sources: list[Source],
    regions: list[str],
    rules: list[tuple[str, str, str]],
    shards: list[ShardItem],
    gaps: list[Gap],
) -> None:
    """Every active account in every region that is configured or looked at, and why something is not covered."""
    plan = plan_organization(DEPLOYED, accounts, sources, regions, rules)
    assert plan == Plan(
        day=DAY,
        home_region=HOME,
        rule_name=RULE,
        parameters=DEPLOYED.parameters,
        rolecall_version="0.1.0",
        accounts=tuple(sorted(accounts, key=lambda one: one.id)),
        shards=tuple(shards),
        gaps=tuple(gaps),
        ledger_keys=DEPLOYED.ledger_keys,
    )
    assert read_plan(json.loads(json.dumps(plan_object(plan)))) == plan


def test_one_account_is_planned_in_its_regions() -> None:
    """There is no aggregator that could know anything."""
    plan = plan_account(DEPLOYED, ONE, [OTHER, HOME, OTHER])
    assert plan.shards == (shard(ONE, HOME), shard(ONE, OTHER))
    assert plan.accounts == ()
    assert plan.gaps == ()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("rolecall", True),
        ("rolecall-conformance-pack-abc123xyz", True),
        ("rolecall-2", False),
        ("rolecall-conformance-pac", False),
        ("Rolecall", False),
        ("OrgConfigRule-rolecall-abc", False),
    ],
)
def test_a_rule_is_known_by_its_name(name: str, ours: bool) -> None:
    """Alone, or with what a conformance pack appends; nothing else is documented."""
    assert is_named("rolecall", name) is ours


ITEM = shard(ONE, rule_names=(RULE,), why_not=WhyNot.NO_SOURCE, detail="x")


def test_an_item_is_read_as_it_was_written() -> None:
    """The state machine carries it as JSON."""
    assert read_item(json.loads(json.dumps(item_object(ITEM)))) == ITEM


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"account": "1"}, "account is '1'"),
        ({"region": "eu-west-1' OR 1=1"}, "region is"),
        ({"region": "../x"}, "region is '../x'"),
        ({"day": None}, "day is None"),
        ({"day": "soon"}, "day is 'soon'"),
        ({"ruleNames": "rolecall"}, "ruleNames is 'rolecall'"),
        ({"ruleNames": [""]}, "ruleNames is ['']"),
        ({"whyNot": "BECAUSE"}, "whyNot is 'BECAUSE'"),
        ({"credentialReport": "yes"}, "credentialReport is 'yes'"),
    ],
)
def test_an_item_that_cannot_be_is_refused(change: dict[str, Any], error: str) -> None:
    """Queries, roles and file names are made of it."""
    with pytest.raises(InvalidRecord) as refused:
        read_item(changed(item_object(ITEM), change))
    assert str(refused.value).startswith(error)


@pytest.mark.parametrize("raw", [None, [], {}, {"schema": "rolecall.plan/v2"}, {"schema": "rolecall.plan/v1"}])
def test_what_is_no_plan_is_refused(raw: object) -> None:
    """Whatever lies where the plan should be."""
    with pytest.raises(InvalidRecord):
        read_plan(raw)
