import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.aws import LocalAws
from rolecall.model import Evaluation, Reason
from tests.builders import RULE_NAME
from tests.cli.reconciled import BUS, Member, World, new_account

FAILING, EXEMPT, ATTACHED = Reason.NO_PROFILE, Reason.EXEMPT, Reason.PROFILE_ATTACHED
AGGREGATOR = "rolecall"
APPLY = ("--apply", "--bus", BUS)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """Accounts enough."""
    with LocalAws() as running:
        yield running


class Organization(World):
    """An audit account with aggregator, aggregated Security Hub and the bus; members have copies of the rule."""

    def __init__(self, aws: LocalAws) -> None:
        super().__init__(aws, rule_name=f"{RULE_NAME}-conformance-pack-audit1")
        self.organization = f"o-{self.account}"
        aws.sts.organizations[self.account] = self.organization
        source = {"RoleArn": f"arn:aws:iam::{self.account}:role/aggregator", "AwsRegions": ["eu-west-1", "us-east-1"]}
        aws.client("config", self.account).put_configuration_aggregator(
            ConfigurationAggregatorName=AGGREGATOR, OrganizationAggregationSource=source
        )
        self.members: list[Member] = []

    def join(self, region: str = "eu-west-1", *, account: str | None = None, record: bool = True) -> Member:
        """An account of the organization, whose findings the audit account sees."""
        number = account or new_account()
        self.aws.sts.organizations[number] = self.organization
        joined = self.member(number, region, f"{RULE_NAME}-conformance-pack-{number[-4:]}")
        self.members.append(joined)
        self.aws.security_hub.aggregates(self.account, "eu-west-1", [number], [region])
        if record:  # a rule without a result is not listed
            joined.record(joined.instance("i-attached", ATTACHED))
        return joined

    def hold(self, member: Member, *status: str) -> None:
        """From now on the aggregator's copy of that account stays as it is."""
        self.aws.config.aggregators.sources.hold(member.account, member.region, *status)

    def rows(self, *arguments: str) -> tuple[int, list[tuple[str | None, ...]]]:
        """Exit code; difference, account, region, resource id, outcome and why of each row."""
        result = self.reconcile("--aggregator", AGGREGATOR, "--format", "json", *arguments)
        fields = ("difference", "account", "region", "resource_id", "outcome", "why")
        self.said = result.stderr
        return result.exit_code, sorted(tuple(row[name] for name in fields) for row in json.loads(result.stdout))


@pytest.fixture
def organization(aws: LocalAws) -> Organization:
    """The audit account alone."""
    return Organization(aws)


def _differing(member: Member, world: World) -> list[Evaluation]:
    missing, stale, orphan = (member.instance(f"i-{name}", FAILING) for name in ("missing", "stale", "orphan"))
    gone = member.instance("i-gone", FAILING)
    world.show(stale, orphan, gone)
    changed = member.instance("i-stale", EXEMPT, after=1)
    closed = member.instance("i-orphan", ATTACHED, after=1)
    member.instance("i-gone", Reason.DELETED, after=1)
    member.record(missing, changed, closed)
    return [missing, changed, closed]


def test_an_organization_is_mended(organization: Organization) -> None:
    """All accounts and regions through one aggregator and one Security Hub; each finding in its own account."""
    members = [organization.join(), organization.join("us-east-1")]
    for member in members:
        _differing(member, organization)
    expected = [
        (difference, member.account, member.region, f"i-{name}", "published", None)
        for difference, name in (
            ("missing", "missing"),
            ("orphaned", "gone"),
            ("orphaned", "orphan"),
            ("stale", "stale"),
        )
        for member in members
    ]
    assert organization.rows(*APPLY) == (0, sorted(expected)), organization.said
    assert organization.deliver() == 8
    for member in members:
        assert member.findings() == {
            "i-gone": ("ARCHIVED", "NOT_AVAILABLE", "DELETED"),
            "i-missing": ("ACTIVE", "FAILED", "NO_PROFILE"),
            "i-orphan": ("ARCHIVED", "PASSED", "PROFILE_ATTACHED"),
            "i-stale": ("ACTIVE", "WARNING", "EXEMPT"),
        }
    assert organization.rows(*APPLY) == (0, [])


def test_every_page_of_an_organization_is_read(organization: Organization) -> None:
    """Empty ones lead on, in every listing."""
    member = organization.join()
    there = [member.instance(f"i-{number:03}", FAILING) for number in range(110)]
    organization.show(*there[:100])
    for start in (0, 60):
        member.record(*there[start : start + 60])
    for operation in (
        "DescribeAggregateComplianceByConfigRules",
        "DescribeConfigurationAggregatorSourcesStatus",
        "GetAggregateComplianceDetailsByConfigRule",
        "SelectAggregateResourceConfig",
    ):
        organization.aws.config.faults.inject("empty-page", operation, 2)
    organization.aws.security_hub.faults.inject("empty-page", "GetFindings", 2)
    code, rows = organization.rows(*APPLY)
    assert (code, len(rows), {row[0] for row in rows}, {row[4] for row in rows}) == (0, 10, {"missing"}, {"published"})


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (("FAILED", "AccessDenied", "no authorization"), "FAILED (AccessDenied: no authorization)"),
        (("OUTDATED",), "OUTDATED"),
    ],
)
def test_a_source_that_did_not_succeed_archives_nothing(
    organization: Organization, status: tuple[str, ...], said: str
) -> None:
    """It is named, and what is orphaned there is not judged; elsewhere it is."""
    members = [organization.join(), organization.join()]
    for member in members:
        organization.show(member.instance("i-gone", FAILING))
        member.instance("i-gone", Reason.DELETED, after=1)
    organization.hold(members[0], *status)
    why = f"the aggregator's source is {said}"
    assert organization.rows(*APPLY) == (
        2,
        [
            ("orphaned", members[1].account, "eu-west-1", "i-gone", "published", None),
            (
                "unjudged",
                members[0].account,
                "eu-west-1",
                None,
                "skipped",
                f"1 active finding has no result, which may be because the results are not complete: {why}",
            ),
        ],
    )
    assert organization.said.splitlines()[0] == f"error: {members[0].account} in eu-west-1: {why}"


def test_where_no_result_is_shown_nothing_is_judged(organization: Organization) -> None:
    """A rule without results is not listed: it may have been deleted, or the recorder may be off."""
    member = organization.join(record=False)
    organization.show(member.instance("i-1", FAILING))
    [row] = organization.rows(*APPLY)[1]
    assert row[:5] == ("unjudged", member.account, "eu-west-1", None, "skipped")
    assert str(row[5]).endswith(
        "not complete: the aggregator shows no result of the rule there; reconcile that account and region by itself"
    )
    assert organization.received() == []


def test_a_copy_that_lags_behind_archives_nothing(organization: Organization) -> None:
    """An instance that was launched a moment ago is in Security Hub before the aggregator shows it."""
    member = organization.join()
    organization.hold(member)
    member.captured += timedelta(hours=23)
    launched = member.instance("i-new", FAILING)
    organization.show(launched)
    member.record(launched)
    assert organization.rows(*APPLY) == (
        0,
        [
            (
                "unjudged",
                member.account,
                "eu-west-1",
                "i-new",
                "skipped",
                "its finding may be newer than the results that AWS Config shows",
            )
        ],
    )


def test_an_old_copy_never_replaces_what_is_newer(organization: Organization) -> None:
    """Even one that lags for a day: its record is older than that of the finding, and changes nothing."""
    member = organization.join()
    attached = member.instance("i-1", ATTACHED)
    member.record(attached)
    organization.hold(member)
    member.captured += timedelta(hours=20)
    organization.show(member.instance("i-1", FAILING))
    assert [row[0] for row in organization.rows(*APPLY)[1]] == ["unjudged"]
    assert member.findings() == {"i-1": ("ACTIVE", "FAILED", "NO_PROFILE")}


def test_parameters_are_those_of_the_own_copy(organization: Organization) -> None:
    """An aggregator does not tell a rule's parameters; the pack gives all copies the same."""
    _differing(organization.join(), organization)
    home = organization.home.config
    home.delete_config_rule({"ConfigRuleName": organization.home.rule_name})
    code, rows = organization.rows(*APPLY)
    assert (code, {row[4:] for row in rows}) == (2, {("skipped", "not reached")})
    assert organization.said.splitlines()[0] == (
        "error: aggregator rolecall: an aggregator does not tell a rule's parameters, and its own account and region "
        f"has no copy of rule {RULE_NAME}; give them as --parameters"
    )
    code, rows = organization.rows(*APPLY, "--parameters", "{}")
    assert (code, {row[4] for row in rows}) == (0, {"published"})


def test_two_copies_in_one_account(organization: Organization) -> None:
    """They would be compared with the same findings: nothing is judged there, but elsewhere."""
    member, other = organization.join(), organization.join()
    second = organization.member(member.account, "eu-west-1", f"{RULE_NAME}-conformance-pack-zzzz")
    for one in (member, second, other):
        one.record(one.instance("i-1", FAILING) if one is not second else member.instance("i-1", FAILING, after=1))
    code, rows = organization.rows()
    assert (code, [row[:2] for row in rows]) == (2, [("missing", other.account)])
    assert organization.said.splitlines()[0] == (
        f"error: {member.account} in eu-west-1: there are 2 copies of rule {RULE_NAME} in {member.account} in "
        f"eu-west-1; --rule-name takes one of {member.rule_name}, {second.rule_name}"
    )


def test_an_aggregator_that_is_not_there(organization: Organization) -> None:
    """AWS's own words say what to do."""
    result = organization.reconcile("--aggregator", "other")
    assert (result.exit_code, result.stderr) == (
        2,
        (
            "error: aggregator other: DescribeConfigurationAggregatorSourcesStatus failed: "
            "NoSuchConfigurationAggregatorException: The configuration aggregator does not exist. Check the "
            "configuration aggregator name and try again.\n"
        ),
    )


def test_the_arn_of_a_rule_is_kept_where_a_finding_tells_it(organization: Organization) -> None:
    """An aggregator does not; a place without a finding gets the ARN without the rule's id."""
    members = [organization.join(), organization.join()]
    stale = members[0].instance("i-stale", FAILING)
    organization.show(stale)
    members[0].record(members[0].instance("i-stale", EXEMPT, after=1))
    members[1].record(members[1].instance("i-missing", FAILING))
    organization.rows(*APPLY)
    told = {record["resourceId"]: record["rule"] for record in organization.received()}
    assert told["i-stale"]["arn"].startswith("arn:aws:config:eu-west-1:111122223333:config-rule/config-rule-")
    assert told["i-missing"]["arn"] == f"arn:aws:config:eu-west-1:{members[1].account}:config-rule/*"
    assert told["i-missing"]["name"] == members[1].rule_name
