"""An organization lives seven days, which all become packages.

Once with the handlers in this process and in two regions, once with all that the synthesized stacks deploy.
"""

import html
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey
from rolecall.errors import InvalidRecord
from rolecall.evidence.findings import Outcome
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.packages import package_before, read_whole
from rolecall.evidence.shard_header import ShardHeader
from rolecall.evidence.shards import ShardReader
from rolecall.evidence.stores import Store
from rolecall.evidence.verifying import verify
from tests.builders import Json
from tests.evidence.deployed_organization import DeployedOrganization
from tests.evidence.living_organization import COLLECTOR, HOME, LivingOrganization
from tests.evidence.local_organization import RULE, LocalOrganization
from tests.evidence.week import DAYS, RECORDER_FAILED, Week
from tests.local.roles import sts_as

MAKERS: Mapping[str, Callable[[date], LivingOrganization]] = {
    "in this process": LocalOrganization,
    "as deployed": DeployedOrganization,
}

FOURTH, SIXTH = 3, 5
"""Of the days, from 0 on: when evidence is hard to get, and when a recorder fails."""

in_this_process = pytest.mark.parametrize("week", ["in this process"], indirect=True)
as_deployed = pytest.mark.parametrize("week", ["as deployed"], indirect=True)


@pytest.fixture(scope="module", params=[*MAKERS])
def week(request: pytest.FixtureRequest) -> Iterator[Week[LivingOrganization]]:
    """Lived through once."""
    lived = Week(MAKERS[request.param])
    try:
        lived.live()
        yield lived
    finally:
        lived.organization.close()


def test_every_day_has_a_package_that_follows_the_one_before(week: Week[LivingOrganization]) -> None:
    """Signed by the key, numbered from 1, each hanging on the one before."""
    aws = week.organization.aws
    key = SigningKey(aws.client("kms"), week.organization.signing_key)
    packages = [week.sealed(day) for day in week.days]
    assert [package.manifest.sequence for package in packages] == list(range(1, DAYS + 1))
    assert [package.manifest.day for package in packages] == week.days
    assert all(package.is_signed_by(key) for package in packages)
    store: Store = week.packages()
    assert [package_before(store, day) for day in week.days] == [None, *packages[:-1]]
    report = verify(store, [PublicKey.from_der(key.public_key_der)], until=week.days[-1])
    assert report.outcome is Outcome.OK, list(report.all_findings())


def test_the_counts_are_those_of_the_configs(week: Week[LivingOrganization]) -> None:
    """Instances and what is recorded of them, as counted in the local Config each day without rolecall."""
    for day in week.days:
        known = week.known[day]
        totals = week.sealed(day).manifest.totals
        assert totals.to_json() == {
            "population": known["population"],
            "compliant": known.get("COMPLIANT", 0),
            "exempt": known.get("exempt", 0),
            "nonCompliant": known.get("NON_COMPLIANT", 0),
            "notApplicable": 0,
            "unevaluated": 0,
        }
        assert totals.accounted_for == totals.population
        assert week.answers[day]["totals"] == totals.to_json()


def test_the_story_shows_in_the_totals(week: Week[LivingOrganization]) -> None:
    """Exempt until its last day is over, remediated, terminated, drifted: as it was told above."""
    shown = [(t.population, t.compliant, t.exempt, t.non_compliant) for t in map(_totals(week), week.days)]
    assert shown == [
        (3, 1, 1, 1),
        (4, 2, 1, 1),
        (5, 2, 1, 2),
        (5, 2, 0, 3),
        (4, 2, 0, 2),
        (4, 1, 0, 3),
        (5, 2, 0, 3),
    ]


def _totals(week: Week[LivingOrganization]) -> Any:  # noqa: ANN401 - a function of a day
    return lambda day: week.sealed(day).manifest.totals


def test_what_was_recorded_is_what_the_rule_says_again(week: Week[LivingOrganization]) -> None:
    """On every day, of every instance; and every record of the ledger was read."""
    for day in week.days:
        coverage = week.document(day, "coverage.json")
        reperformed = coverage["reperformed"]
        assert reperformed["disagreements"] == reperformed["inFlight"] == reperformed["notJudged"] == []
        assert (
            sum(one["reperformed"]["agreeing"] for one in coverage["accountRegions"]) == week.known[day]["population"]
        )
        assert coverage["ledger"]["unreadable"] == 0
    assert week.document(week.days[0], "coverage.json")["ledger"]["records"] == 3


def test_what_is_not_covered_is_named_every_day(week: Week[LivingOrganization]) -> None:
    """The closed account has no shard; a source cannot be read, a recorder not be looked at, or it fails."""
    closed = {
        "account": week.organization.closed,
        "region": None,
        "why": "ACCOUNT_NOT_ACTIVE",
        "detail": "SUSPENDED",
    }
    _, shop, research = week.organization.accounts
    of_shop = {"account": shop, "region": HOME}
    unread = {**of_shop, "why": "SOURCE_FAILED", "detail": "AccessDenied: Config may not be read there"}
    unknown = [
        {
            "account": research,
            "region": one["region"],
            "why": "RECORDER_UNKNOWN",
            "detail": one["recorderProblem"],
        }
        for one in _scopes(week, FOURTH, research)
    ]
    failing = {**of_shop, "why": "RECORDER_FAILING", "detail": ": ".join(RECORDER_FAILED)}
    expected = {FOURTH: [closed, unread, *unknown], SIXTH: [closed, failing]}
    for number, day in enumerate(week.days):
        told = week.document(day, "coverage.json")["notCovered"]
        assert sorted(told, key=str) == sorted(expected.get(number, [closed]), key=str), day
    text = html.unescape(read_whole(week.packages(), f"{week.days[FOURTH]}/report.html", 10_000_000).decode())
    assert all(one["detail"] in text for one in unknown)


def test_what_a_failed_source_has_shown_last_still_counts(week: Week[LivingOrganization]) -> None:
    """The instance that it copied when it could; that this may be old is why it is not covered."""
    _, shop, _ = week.organization.accounts
    [scope] = [one for one in _scopes(week, FOURTH, shop) if one["region"] == HOME]
    assert (scope["covered"], scope["whyNot"], scope["recorder"]["recording"]) == (False, "SOURCE_FAILED", True)
    assert (scope["population"], scope["reperformed"]["agreeing"]) == (2, 2)


def test_a_member_without_the_collectors_role_says_so(week: Week[LivingOrganization]) -> None:
    """Its instances are those that the aggregator knows; neither its recorder nor its keys are claimed to be known."""
    _, _, research = week.organization.accounts
    refused = f"role {COLLECTOR} of account {research} cannot be assumed"
    for number in range(DAYS):
        scopes = _scopes(week, number, research)
        if number == FOURTH:
            assert [(one["covered"], one["whyNot"]) for one in scopes] == [(False, "RECORDER_UNKNOWN")] * len(scopes)
            assert [one["recorder"] for one in scopes] == [None] * len(scopes)
            assert all(one["recorderProblem"].startswith(refused) for one in scopes)
            assert sum(one["population"] for one in scopes) == 2
        else:
            assert [one["recorderProblem"] for one in scopes] == [None] * len(scopes)
            assert all(one["covered"] and one["recorder"]["recording"] for one in scopes)
    [without] = week.document(week.days[FOURTH], "kpis.json")["accessKeys"]["accountsNotCounted"]
    assert without["account"] == research
    assert without["why"].startswith(refused)


def _scopes(week: Week[LivingOrganization], number: int, account: str) -> list[Json]:
    coverage = week.document(week.days[number], "coverage.json")
    return [one for one in coverage["accountRegions"] if one["account"] == account]


def test_access_keys_are_counted_in_every_account(week: Week[LivingOrganization]) -> None:
    """With the collector role of each; the key that was made on the fifth day shows from then on."""
    active = [week.document(day, "kpis.json")["accessKeys"] for day in week.days]
    assert [one["activeKeys"] for one in active] == [0, 0, 0, 0, 1, 1, 1]
    assert [one["accountsCounted"] for one in active] == [3, 3, 3, 2, 3, 3, 3]


def test_a_day_that_is_sealed_again_stays_as_it_is(week: Week[LivingOrganization]) -> None:
    """Every step answers the same, and nothing is written."""
    s3 = week.organization.aws.client("s3")

    def versions() -> set[tuple[str, str]]:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=week.organization.packages)
        return {(one["Key"], one["VersionId"]) for page in pages for one in page.get("Versions", ())}

    before = versions()
    for day in (week.days[0], week.days[-1]):
        assert week.organization.run(day) == week.answers[day]
    assert versions() == before


def test_a_ledger_file_that_comes_late_changes_nothing(week: Week[LivingOrganization]) -> None:
    """The plan took down which files there are."""
    day = week.days[-1]
    firehose, bucket = week.organization.firehose, week.organization.ledger
    firehose.put_object(Bucket=bucket, Key=f"ledger/dt={day}/late.jsonl.gz", Body=b"no gzip")
    assert week.organization.run(day) == week.answers[day]


@in_this_process
def test_the_days_figures_become_metrics(
    week: Week[LocalOrganization], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One package sealed, which an alarm waits for, and the key figures of its report; no account is a dimension."""
    week.organization.run(week.days[-2])
    assert '"_aws"' not in capsys.readouterr().out, "only yesterday's package may keep the alarm silent"
    caplog.clear()
    week.organization.run(week.days[-1])
    [metrics] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    [declared] = metrics["_aws"]["CloudWatchMetrics"]
    assert declared["Dimensions"] == [["service"]]
    figures = {one["Name"]: metrics[one["Name"]] for one in declared["Metrics"]}
    assert figures == {
        "PackagesSealed": [1.0],
        "Instances": [5.0],
        "InstancesWithRole": [2.0],
        "InstancesExempt": [0.0],
        "InstancesNonCompliant": [3.0],
        "InstancesNotApplicable": [0.0],
        "InstancesUnevaluated": [0.0],
        "ShareWithRole": [40.0],
        "ShareWithRoleOfNotExempt": [40.0],
        "OpenEpisodes": [3.0],
        "ActiveAccessKeys": [1.0],
        "ActiveRootAccessKeys": [0.0],
    }
    assert [one.getMessage() for one in caplog.records if one.name == RULE] == [
        "planned",
        *["collected"] * 6,
        "sealed",
    ]


def shard_of(week: Week[LocalOrganization], key: str) -> ShardHeader:
    """The header of a shard that the collecting function wrote."""
    store = ObjectStore(week.organization.aws.client("s3"), week.organization.ledger)
    with store.open(key) as stream:
        reader = ShardReader(stream, key)
        reader.read_to_end()
    return reader.header


def item_of(week: Week[LocalOrganization], account: str, before: int, **changes: object) -> Json:
    """A shard item of a day before that week, which nobody planned."""
    day = week.days[0] - timedelta(days=before)
    names = [week.organization.rule(account)]
    item: Json = {"day": str(day), "account": account, "region": HOME, "ruleNames": names, "credentialReport": True}
    return {**item, **changes}


@in_this_process
def test_an_account_without_its_role_is_collected_all_the_same(week: Week[LocalOrganization]) -> None:
    """The aggregator knows its instances; what only the role may read is said to be missing, and why."""
    account = week.organization.accounts[2]
    week.organization.withdraw_role(account)
    try:
        with week.organization.functions() as functions:
            answer = functions["collect"](item_of(week, account, 1))
    finally:
        week.organization.give_role(account)
    header = shard_of(week, answer["key"])
    assert (answer["covered"], answer["whyNot"], answer["rows"]) == (False, "RECORDER_UNKNOWN", 2)
    assert (header.recorder, header.keys) == (None, None)
    assert header.detail == header.recorder_problem == header.keys_problem
    assert header.keys_problem.startswith(f"role {COLLECTOR} of account {account} cannot be assumed")


@in_this_process
def test_a_shard_may_be_given_up(week: Week[LocalOrganization]) -> None:
    """By whoever runs the day again with a reason; the package is going to say it."""
    item = item_of(week, week.organization.accounts[1], 2, failure="the account's owner is on it: INC-7")
    with week.organization.functions() as functions:
        answer = functions["collect"](item)
    assert (answer["covered"], answer["whyNot"], answer["rows"]) == (False, "NOT_COLLECTED", 0)
    assert shard_of(week, answer["key"]).detail == "the account's owner is on it: INC-7"


@in_this_process
@pytest.mark.parametrize("step", ["plan", "collect", "seal"])
def test_an_event_that_cannot_be_is_refused_and_logged(
    week: Week[LocalOrganization], caplog: pytest.LogCaptureFixture, step: str
) -> None:
    """The error is raised, so that the run fails, and stands in the function's own log."""
    with week.organization.functions() as functions, pytest.raises(InvalidRecord) as refused:
        functions[step]({})
    [line] = [one for one in caplog.records if one.name == RULE]
    assert (line.levelname, line.getMessage()) == ("ERROR", str(refused.value))


@as_deployed
def test_no_step_fails(week: Week[DeployedOrganization]) -> None:
    """One shard for each member and the audit account, each collected at once, also after a role was made anew."""
    for day in week.days:
        attempts = week.organization.executions[day].attempts
        assert [(one.state, one.error) for one in attempts] == [
            ("Plan", None),
            *[("CollectShard", None)] * 3,
            ("Seal", None),
        ]


@as_deployed
@pytest.mark.parametrize(
    ("role", "error"),
    [
        ("rolecall-evidence-collect", None),
        ("rolecall-evidence-plan", "AccessDenied"),
        ("rolecall-evidence-seal", "AccessDenied"),
        ("rolecall-rule", "AccessDenied"),
    ],
)
def test_the_collector_lets_in_the_collecting_function_alone(
    week: Week[DeployedOrganization], role: str, error: str | None
) -> None:
    """As the StackSet's template says."""
    audit, shop, _ = week.organization.accounts
    sts = sts_as(week.organization.aws, f"arn:aws:iam::{audit}:role/{role}")
    answered = None
    try:
        sts.assume_role(RoleArn=f"arn:aws:iam::{shop}:role/{COLLECTOR}", RoleSessionName="seven-days")
    except ClientError as refused:
        answered = refused.response["Error"]["Code"]
    assert answered == error
