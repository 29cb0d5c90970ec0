import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from local.aws import LocalAws
from rolecall.aws.evaluations_bus import EvaluationsBus
from rolecall.cli import app
from rolecall.errors import RecordsRejected
from rolecall.model import Reason
from rolecall.parameters import RuleParameters
from rolecall.received_record import read_record
from tests.builders import RULE_NAME
from tests.cli.reconciled import BUS, World

SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "schemas" / "evaluation-v1.schema.json").read_text())
)

FAILING, EXEMPT, ATTACHED = Reason.NO_PROFILE, Reason.EXEMPT, Reason.PROFILE_ATTACHED
APPLY = ("--apply", "--bus", BUS)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """Accounts enough."""
    with LocalAws() as running:
        yield running


@pytest.fixture
def world(aws: LocalAws) -> World:
    """An account in which nothing is recorded yet."""
    return World(aws)


def _differing(world: World) -> None:
    """One of each difference, and two that agree."""
    home = world.home
    agreeing = [home.instance("i-agrees", FAILING), home.instance("i-attached", ATTACHED)]
    missing, shown_before = home.instance("i-missing", FAILING), home.instance("i-stale", FAILING)
    orphan = home.instance("i-orphan", FAILING)
    gone = home.instance("i-gone", EXEMPT)
    world.show(agreeing[0], shown_before, orphan, gone)
    stale = home.instance("i-stale", EXEMPT, after=1)
    closed = home.instance("i-orphan", ATTACHED, after=1)
    home.instance("i-gone", Reason.DELETED, after=1)
    home.record(*agreeing, missing, stale, closed)


def test_what_differs_is_listed(world: World) -> None:
    """With what Config recorded and what Security Hub shows; nothing is changed."""
    _differing(world)
    before = world.home.findings()
    assert world.rows() == (
        1,
        [
            ("missing", "i-missing", "NO_PROFILE", None, "found", None),
            ("orphaned", "i-gone", None, "EXEMPT", "found", None),
            ("orphaned", "i-orphan", "PROFILE_ATTACHED", "NO_PROFILE", "found", None),
            ("stale", "i-stale", "EXEMPT", "NO_PROFILE", "found", None),
        ],
    )
    assert (world.received(), world.home.findings()) == ([], before)


def test_what_differs_is_mended(world: World) -> None:
    """Through the bus and the findings function; then nothing differs any more, and nothing is published again."""
    _differing(world)
    result = world.reconcile(*APPLY)
    assert result.exit_code == 0, result.output
    assert world.deliver() == 4
    assert world.home.findings() == {
        "i-agrees": ("ACTIVE", "FAILED", "NO_PROFILE"),
        "i-gone": ("ARCHIVED", "NOT_AVAILABLE", "DELETED"),
        "i-missing": ("ACTIVE", "FAILED", "NO_PROFILE"),
        "i-orphan": ("ARCHIVED", "PASSED", "PROFILE_ATTACHED"),
        "i-stale": ("ACTIVE", "WARNING", "EXEMPT"),
    }
    assert world.rows(*APPLY) == (0, [])
    assert world.received() == []


def test_the_table(world: World) -> None:
    """One line for each, then what they amount to."""
    _differing(world)
    result = world.reconcile(*APPLY)
    header, *rows, empty, first, second = result.stdout.splitlines()
    assert header.split("  ") != []
    assert [row.split() for row in rows] == [
        ["missing", world.account, "eu-west-1", "i-missing", "NO_PROFILE", "-", "published"],
        ["orphaned", world.account, "eu-west-1", "i-orphan", "PROFILE_ATTACHED", "FAILED", "NO_PROFILE", "published"],
        ["stale", world.account, "eu-west-1", "i-stale", "EXEMPT", "FAILED", "NO_PROFILE", "published"],
        ["orphaned", world.account, "eu-west-1", "i-gone", "-", "WARNING", "EXEMPT", "published"],
    ]
    assert (empty, first, second) == (
        "",
        (
            "4 findings differ from what AWS Config recorded: 1 missing, 1 stale, 2 orphaned; 4 are active in "
            "Security Hub."
        ),
        "4 published. The findings function mends what was published.",
    )
    assert result.stderr == ""


def test_formats_for_machines(world: World) -> None:
    """The same rows; the summary stays on standard error."""
    world.home.record(world.home.instance("i-missing", FAILING))
    expected = {
        "difference": "missing",
        "account": world.account,
        "region": "eu-west-1",
        "resource_id": "i-missing",
        "recorded": "NO_PROFILE",
        "shown_status": None,
        "shown_reason": None,
        "outcome": "found",
        "why": None,
    }
    assert json.loads(world.reconcile("-f", "json").stdout) == [expected]
    lines = world.reconcile("-f", "jsonl")
    assert [json.loads(line) for line in lines.stdout.splitlines()] == [expected]
    assert lines.stderr == (
        "1 finding differs from what AWS Config recorded: 1 missing; 0 are active in Security Hub.\n"
    )
    assert world.reconcile("-f", "csv", "--quiet").output == (
        "difference,account,region,resource_id,recorded,shown_status,shown_reason,outcome,why\n"
        f"missing,{world.account},eu-west-1,i-missing,NO_PROFILE,,,found,\n"
    )


def test_nothing_differs(world: World) -> None:
    """That is good news, and no table."""
    agreeing = world.home.instance("i-agrees", FAILING)
    world.show(agreeing)
    world.home.record(agreeing)
    result = world.reconcile()
    assert (result.exit_code, result.output) == (
        0,
        "0 findings differ from what AWS Config recorded; 1 is active in Security Hub.\n",
    )


def test_a_record_as_it_is_published(world: World) -> None:
    """A refresh of the recorded verdict, by the rule's own parameters."""
    missing = world.home.instance("i-missing", FAILING)
    world.home.record(missing)
    world.reconcile(*APPLY)
    [record] = world.received()
    read = read_record(record)
    assert (read.kind, record["source"], read.reason, read.rule_name) == ("refresh", "reconcile", FAILING, RULE_NAME)
    assert (read.account, read.region, read.resource_id) == (world.account, "eu-west-1", "i-missing")
    assert read.ordering_timestamp == missing.ordering_timestamp
    assert read.rule_arn.startswith(f"arn:aws:config:eu-west-1:{world.account}:config-rule/config-rule-")
    assert record["rule"]["parameters"] == RuleParameters().to_strings()
    SCHEMA.validate(record)


def test_every_page_is_read(world: World) -> None:
    """Empty ones lead on, and a page is not all there is."""
    there = [world.home.instance(f"i-{number:03}", FAILING) for number in range(120)]
    world.show(*there)
    world.home.record(*there[:60])
    world.home.record(*there[60:])
    for operation in ("GetComplianceDetailsByConfigRule", "DescribeConfigRules"):
        world.aws.config.faults.inject("empty-page", operation, 2)
    world.aws.security_hub.faults.inject("empty-page", "GetFindings", 2)
    assert world.rows() == (0, [])


def test_throttling_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any passing failure."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    world.home.record(world.home.instance("i-missing", FAILING))
    for operation in ("GetComplianceDetailsByConfigRule", "SelectResourceConfig"):
        world.aws.config.faults.inject("throttle", operation, 2)
    world.aws.security_hub.faults.inject("throttle", "GetFindings", 2)
    code, [row] = world.rows(*APPLY)
    assert (code, row[4]) == (0, "published")


def test_a_listing_that_fails_in_its_midst_archives_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is judged; a finding without a result is named, and stays."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    there = [world.home.instance(f"i-{number:03}", FAILING) for number in range(3)]
    world.show(*there)
    world.home.record(*there)
    world.aws.config.faults.inject("outage", "GetComplianceDetailsByConfigRule", 5, status=503)
    result = world.reconcile(*APPLY, "-f", "json")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"error: {world.account} in eu-west-1: GetComplianceDetailsByConfigRule failed: InternalFailure: "
    )
    [row] = json.loads(result.stdout)
    assert (row["difference"], row["resource_id"]) == ("unjudged", None)
    assert row["why"] == (
        "3 active findings have no result, which may be because the results are not complete: reading them failed"
    )
    assert world.received() == []


def test_what_a_sweep_has_to_mend_first_is_skipped(world: World) -> None:
    """Config recorded a failure, but the instance has a profile by now, and its event was lost."""
    failing = world.home.instance("i-changed", FAILING)
    world.home.record(failing)
    world.home.instance("i-changed", ATTACHED, after=1)
    assert world.rows(*APPLY) == (
        1,
        [
            (
                "missing",
                "i-changed",
                "NO_PROFILE",
                None,
                "skipped",
                (
                    "AWS Config recorded NO_PROFILE, but the instance comes to PROFILE_ATTACHED now; "
                    "the rule's next sweep mends that"
                ),
            )
        ],
    )
    assert world.received() == []


def test_security_hub_that_is_off(world: World) -> None:
    """There it cannot be told what is missing; another region is compared all the same."""
    other = world.member(region="us-east-1")
    other.record(other.instance("i-missing", FAILING))
    world.aws.security_hub.disable(world.account, "eu-west-1")
    result = world.reconcile("--region", "eu-west-1", "--region", "us-east-1", "-f", "json")
    assert result.exit_code == 2
    told, off, summary = result.stderr.splitlines()
    assert off == f"Security Hub is off in {world.account} in eu-west-1: nothing could be compared there."
    assert summary.startswith("1 finding differs from what AWS Config recorded: 1 missing;")
    assert told == (
        f"error: {world.account} in eu-west-1: Security Hub is not enabled for account {world.account} in eu-west-1: "
        f"Account {world.account} is not subscribed to AWS Security Hub"
    )
    assert [(row["region"], row["difference"]) for row in json.loads(result.stdout)] == [("us-east-1", "missing")]


def test_security_hub_that_is_off_everywhere(world: World) -> None:
    """Nothing was compared, which is not the same as that nothing differs."""
    world.aws.security_hub.disable(world.account, "eu-west-1")
    result = world.reconcile("--region", "eu-west-1")
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        f"Security Hub is off in {world.account} in eu-west-1: nothing could be compared there.",
        "Nothing was compared.",
    ]


def test_a_blank_rule_name_is_refused(world: World) -> None:
    """As an unset variable gives it; the option is named."""
    result = world.reconcile("--rule-name", "")
    assert (result.exit_code, "Invalid value for --rule-name: is blank" in result.stderr) == (2, True)


def test_a_recorder_that_is_stopped(world: World) -> None:
    """What it left behind proves nothing."""
    world.show(world.home.instance("i-1", FAILING))
    world.home.config.recorders.stop({"ConfigurationRecorderName": "default"})
    result = world.reconcile(*APPLY)
    assert (result.exit_code, world.received()) == (2, [])
    assert result.stderr == (
        f"error: {world.account} in eu-west-1: the configuration recorder is stopped, so its results may be old, and "
        "nothing can be held against them\n"
    )


def test_a_rule_in_a_conformance_pack(aws: LocalAws) -> None:
    """It is found by its own name; its findings carry that name."""
    world = World(aws, rule_name=f"{RULE_NAME}-conformance-pack-szsm1uv0w")
    world.home.record(world.home.instance("i-missing", FAILING))
    assert world.rows(*APPLY)[0] == 0
    world.deliver()
    [finding] = aws.security_hub.findings(world.account, "eu-west-1")
    assert finding["GeneratorId"] == f"rolecall/{RULE_NAME}"
    assert world.rows() == (0, [])


def test_no_rule(world: World) -> None:
    """A wrong name must not look as if every finding were an orphan."""
    world.show(world.home.instance("i-1", FAILING))
    result = world.reconcile("--rule-name", "ec2-instance-profil")
    assert (result.exit_code, result.stderr) == (
        2,
        (
            f"error: {world.account} in eu-west-1: there is no rule ec2-instance-profil in {world.account} in "
            "eu-west-1, nor a copy of it in a conformance pack\n"
        ),
    )


def test_several_copies_of_the_rule(aws: LocalAws) -> None:
    """They judge the same instances for the same findings: one has to be named."""
    names = [f"{RULE_NAME}-conformance-pack-{suffix}" for suffix in ("a", "b")]
    world = World(aws, rule_name=names[0])
    second = world.member(rule_name=names[1])
    result = world.reconcile()
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {world.account} in eu-west-1: there are 2 copies of rule {RULE_NAME} in {world.account} in eu-west-1; "
        f"--rule-name takes one of {', '.join(names)}\n"
    )
    second.record(second.instance("i-missing", FAILING))
    assert [row[1] for row in world.rows("--rule-name", names[1])[1]] == ["i-missing"]


def test_a_finding_that_rolecall_did_not_make_is_left_alone(world: World) -> None:
    """Somebody borrowed the generator's name."""
    world.show(world.home.instance("i-1", FAILING))
    [finding] = world.aws.security_hub.findings(world.account, "eu-west-1")
    left_out = ("Workflow", "Severity", "Types", "Region", "ProcessedAt")
    foreign = {name: value for name, value in finding.items() if name not in left_out} | {"Id": "by-hand"}
    hub = world.aws.client("securityhub", world.account)
    assert hub.batch_import_findings(Findings=[foreign])["SuccessCount"] == 1
    world.home.record(world.home.instance("i-1", FAILING, after=1))
    result = world.reconcile(*APPLY)
    assert (result.exit_code, world.received()) == (0, [])
    assert result.stderr == (
        "note: 1 active finding with rolecall's GeneratorId was not made by rolecall, and is left alone: by-hand\n"
    )


@pytest.mark.parametrize("bus", ["no-such-bus", "arn:aws:events:eu-west-1:111122223333:event-bus/no-such-bus"])
def test_a_bus_that_is_not_there(world: World, bus: str) -> None:
    """Nothing may be lost there: it is looked for before anything is read."""
    world.home.record(world.home.instance("i-missing", FAILING))
    result = world.reconcile("--apply", "--bus", bus)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: DescribeEventBus failed: ResourceNotFoundException: Event bus ")


def test_a_bus_by_its_arn(world: World) -> None:
    """In whatever region the command runs."""
    world.home.record(world.home.instance("i-missing", FAILING))
    world.reconcile("--region", "eu-west-1", "--apply", "--bus", world.bus_arn, AWS_REGION="us-east-1")
    assert [record["resourceId"] for record in world.received()] == ["i-missing"]


def test_a_bus_that_does_not_take_records(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is skipped with AWS's reason, and a later run finds it again."""
    world.home.record(world.home.instance("i-missing", FAILING))
    rejected = RecordsRejected(BUS, [("i-missing", "AccessDenied: no")])

    def refuse(_bus: EvaluationsBus, _records: object) -> None:
        raise rejected

    monkeypatch.setattr(EvaluationsBus, "publish", refuse)
    result = world.reconcile(*APPLY, "-f", "json")
    [row] = json.loads(result.stdout)
    assert (result.exit_code, row["outcome"], row["why"]) == (2, "skipped", "AccessDenied: no")
    assert result.stderr.splitlines()[0] == f"error: {rejected}"


OPTIONS: list[tuple[str, tuple[str, ...], str]] = [
    ("--apply without a bus", ("--apply",), "name the evaluations bus: its records mend findings"),
    ("a bus without --apply", ("--bus", BUS), "belongs to --apply: nothing is published without it"),
    ("parameters for one account", ("--parameters", "{}", *APPLY), "belongs to --aggregator with --apply"),
    ("an aggregator of two regions", ("--aggregator", "a", "--region", "eu-west-1", "--region", "us-east-1"),
     "name one: that of the aggregator"),
    ("what is no region", ("--region", "Ireland"), "region is 'Ireland'; allowed: as eu-west-1"),
    ("parameters that are none", ("--aggregator", "a", "--parameters", '{"exemptionMaxDays": "x"}', *APPLY),
     "rule parameter exemptionMaxDays is 'x'; allowed: "),
]  # fmt: skip


@pytest.mark.parametrize(("what", "options", "message"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_options_that_do_not_go_together(what: str, options: tuple[str, ...], message: str) -> None:
    """Said at once, before anything is asked of AWS."""
    result = CliRunner().invoke(app, ["findings", "reconcile", *options], env={"COLUMNS": "200"})
    words = " ".join(result.output.replace("│", " ").split())
    assert (result.exit_code, message in words) == (2, True), what
