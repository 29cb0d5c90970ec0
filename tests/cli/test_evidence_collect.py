import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local.aws import LocalAws
from local.faults import FaultKind
from rolecall.cli import app
from rolecall.evidence.keys import LocalKey
from tests.builders import exemption_tags, iso, notification_item
from tests.local.members import add_member

RULE = "rolecall-ec2-instance-profile"
REGIONS = ("eu-west-1", "us-east-1")
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """An account with four instances in two regions; in the second one the rule is missing."""
    with LocalAws() as running:
        config = running.config.region(running.account, running.region)
        add_member(running, running.account, "arn:aws:lambda:eu-west-1:111122223333:function:f", RULE)
        different: list[dict[str, Any]] = [{}, {"profile": None}, {"profile": None, "tags": exemption_tags()}]
        for number, changes in enumerate(different):
            config.record(item(f"i-{number}", **changes))
        other = running.config.region(running.account, REGIONS[1])
        other.start_recording()
        other.record(item("i-other", awsRegion=REGIONS[1]))
        running.client("iam").create_user(UserName="robot")
        running.client("iam").create_access_key(UserName="robot")
        yield running


def item(resource_id: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of an item
    """An instance of the account."""
    return notification_item(resourceId=resource_id, configurationItemCaptureTime=iso(LONG_AGO), **changes)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key in a file."""
    path = tmp_path / "key.pem"
    path.write_text(LocalKey.generate().pem())
    return path


def run(aws: LocalAws, *arguments: object) -> Result:
    """The command in an environment whose AWS is the local one."""
    environment = {**aws.environment(), "AWS_CONFIG_FILE": "/dev/null", "COLUMNS": "200"}
    return CliRunner(env=environment).invoke(app, ["evidence", *map(str, arguments)])


def collect(aws: LocalAws, output: Path, key: object, *arguments: object) -> Result:
    """Collect two regions."""
    return run(
        aws, "collect", "--output", output, "--key", key, "--region", REGIONS[0], "--region", REGIONS[1], *arguments
    )


def test_an_account_is_collected_sealed_and_verified(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Every instance of both regions is in it, what is not covered is said, and verify accepts it as printed."""
    output = tmp_path / "evidence"
    done = collect(aws, output, key)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        0,
        (f"{YESTERDAY}: 4 instances: 0 with a role, 0 exempt, 0 non-compliant, 0 not applicable, 4 unevaluated."),
    ), done.output
    assert "us-east-1: not covered: RULE_MISSING: 1 instance" in done.stderr
    coverage = json.loads((output / str(YESTERDAY) / "coverage.json").read_text())
    assert [one["covered"] for one in coverage["accountRegions"]] == [True, False]
    assert json.loads((output / str(YESTERDAY) / "kpis.json").read_text())["accessKeys"]["activeKeys"] == 1
    command = done.stdout.splitlines()[-1].removeprefix("Verify: rolecall evidence ").split()
    verified = run(aws, *command)
    assert verified.exit_code == 0, verified.output


def test_collected_again_nothing_changes(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Neither is AWS asked for rows, nor is a byte written."""
    output = tmp_path / "evidence"
    first = collect(aws, output, key)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    aws.config.journal.clear()
    assert collect(aws, output, key).stdout == first.stdout
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert not aws.config.journal.calls("SelectResourceConfig")


def test_a_key_is_replaced_once_the_old_one_is_named(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """As a private or a public one; both public keys lie beside the packages, and verify takes them as printed."""
    output, new = tmp_path / "evidence", tmp_path / "new.pem"
    new.write_text(LocalKey.generate().pem())
    assert collect(aws, output, key, "--day", YESTERDAY - timedelta(days=1)).exit_code == 0
    refused = collect(aws, output, new)
    assert (refused.exit_code, "the package before it is not signed by key" in refused.stderr) == (2, True)
    for older in (key, output / "public-key.pem"):
        done = collect(aws, output, new, "--older-key", older)
        assert done.exit_code == 0, done.output
        assert "public-key.pem is another key than the one that signs" in done.stderr
        assert len(list(output.glob("public-key*.pem"))) == 2
        command = done.stdout.splitlines()[-1].removeprefix("Verify: rolecall evidence ").split()
        assert run(aws, *command).exit_code == 0
    assert run(aws, "verify", output, "--public-key", output / "public-key.pem").exit_code == 3


def test_a_key_that_nobody_named_is_not_pinned(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Whoever plants a public key beside the packages gets no place in the command that is printed."""
    output = tmp_path / "evidence"
    assert collect(aws, output, key).exit_code == 0
    planted = output / "public-key-planted.pem"
    planted.write_text(LocalKey.generate().public.pem())
    done = collect(aws, output, key)
    assert f"{planted} is not pinned below, as no --older-key names it" in done.stderr
    command = done.stdout.splitlines()[-1].removeprefix("Verify: rolecall evidence ").split()
    assert [part for part in command if part.endswith(".pem")] == [str(output / "public-key.pem")]
    assert run(aws, *command).exit_code == 0


def test_a_region_that_fails_is_named_and_the_next_run_goes_on(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """What was collected stays; nothing is sealed until all is there."""
    output = tmp_path / "evidence"
    aws.config.faults.inject(FaultKind.OUTAGE, "SelectResourceConfig", times=5)
    failed = collect(aws, output, key)
    assert failed.exit_code == 2
    assert "eu-west-1: SelectResourceConfig failed" in failed.stderr
    assert "1 of 2 regions could not be collected: run it again to go on" in failed.stderr
    assert not (output / str(YESTERDAY)).exists()
    assert collect(aws, output, key).exit_code == 0


def test_a_key_of_kms_signs_too(aws: LocalAws, tmp_path: Path) -> None:
    """By its id; what is written beside is its public half."""
    made = aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    output = tmp_path / "evidence"
    assert collect(aws, output, made, "--quiet").exit_code == 0
    verified = run(aws, "verify", output, "--public-key", output / "public-key.pem")
    assert verified.exit_code == 0, verified.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--day", str(YESTERDAY + timedelta(days=1))], "is not over"),
        (["--day", "2026-3-1"], "is no day"),
        (["--key", "no/such/key.pem"], "is no file"),
        (["--all-regions"], "leave it out beside --all-regions"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    aws: LocalAws, tmp_path: Path, key: Path, arguments: list[str], message: str
) -> None:
    """With one clear error, before anything is written."""
    done = collect(aws, tmp_path / "evidence", key, *arguments)
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "FILE"], "Invalid value for --output:"),
        (["--output", "FILE/evidence"], "file is no folder"),
        (["--key", "FILE"], "the private key is in no file of that form (PEM), or has a password; allowed:"),
        (["--older-key", "FILE"], "the public key is in no file of that form (PEM); allowed:"),
        (["--older-key", "FOLDER/none.pem"], "No such file or directory"),
        (["--rule-name", ""], "Invalid value for --rule-name: is blank"),
        (["--key", "no/such/key.pem"], "is no file, and no id, ARN or alias of a KMS key"),
    ],
)
def test_what_needs_no_account_is_looked_at_first(
    tmp_path: Path, key: Path, arguments: list[str], message: str
) -> None:
    """Nobody signs in to be told of a typing error."""
    (tmp_path / "file").write_text("secret")
    named = [one.replace("FILE", str(tmp_path / "file")).replace("FOLDER", str(tmp_path)) for one in arguments]
    environment = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "COLUMNS": "300"}
    options = ["--output", str(tmp_path / "evidence"), "--key", str(key), "--region", "eu-west-1", *named]
    done = CliRunner(env=environment).invoke(app, ["evidence", "collect", *options])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "secret" not in done.stderr


def test_a_region_that_nobody_knows_is_told(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """It may be new, so it is asked all the same."""
    done = run(aws, "collect", "--output", tmp_path / "evidence", "--key", key, "--region", "eu-west-9")
    assert "eu-west-9 is no region that boto3 knows: unless it is a new one, look at --region" in done.stderr
    known = run(aws, "collect", "--output", tmp_path / "other", "--key", key, "--region", "eu-west-1")
    assert "boto3" not in known.stderr


def test_a_sealed_day_that_has_lost_a_file_is_told(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Even if nothing else is said: there is no report to be pointed to."""
    output = tmp_path / "evidence"
    assert collect(aws, output, key).exit_code == 0
    (output / str(YESTERDAY) / "report.html").unlink()
    again = collect(aws, output, key, "--quiet")
    assert (again.exit_code, again.stdout) == (2, "")
    assert f"{YESTERDAY} is sealed, but report.html of it is missing: see rolecall evidence verify" in again.stderr


def test_what_is_no_key_is_refused(aws: LocalAws, tmp_path: Path) -> None:
    """Nothing of the file is shown."""
    wrong = tmp_path / "key.pem"
    wrong.write_text("secret")
    done = collect(aws, tmp_path / "evidence", wrong)
    assert done.exit_code == 2
    assert "secret" not in done.output


def test_a_rule_that_is_nowhere_seals_nothing_and_leaves_nothing(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """A typing error must not take the day: the right options seal it afterwards, even if nothing else is said."""
    output = tmp_path / "evidence"
    refused = collect(aws, output, key, "--rule-name", "typo", "--quiet")
    assert refused.exit_code == 2
    assert (
        f"{YESTERDAY}: nothing is sealed, as no region is covered and none has the rule typo: "
        "look at --rule-name and --region\n"
    ) in refused.stderr
    assert "us-east-1: not covered: RULE_MISSING" in refused.stderr
    assert not (output / str(YESTERDAY)).exists()
    assert collect(aws, output, key).exit_code == 0


@pytest.fixture
def nobody_may_look(aws: LocalAws) -> Iterator[None]:
    """Our credentials have no right to any recorder."""
    aws.config.faults.inject(FaultKind.DENY, "DescribeConfigurationRecorders", times=None)
    yield
    aws.config.faults.clear()


@pytest.mark.usefixtures("nobody_may_look")
def test_where_nobody_may_look_at_the_recorder_the_package_says_so(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """On standard error, in coverage, OSCAL and report; all the rest of the evidence is as good as ever."""
    output = tmp_path / "evidence"
    done = collect(aws, output, key)
    denied = "DescribeConfigurationRecorders failed: AccessDeniedException: You are not authorized to perform this"
    assert done.exit_code == 0, done.output
    assert [line for line in done.stderr.splitlines() if "RECORDER_UNKNOWN" in line] == [
        f"note: {region}: not covered: RECORDER_UNKNOWN: {denied} action." for region in REGIONS
    ]
    assert done.stdout.startswith(f"{YESTERDAY}: 4 instances:")
    package = output / str(YESTERDAY)
    told = json.loads((package / "coverage.json").read_text())["notCovered"]
    assert [(one["region"], one["why"], one["detail"]) for one in told] == [
        (region, "RECORDER_UNKNOWN", f"{denied} action.") for region in REGIONS
    ]
    [results] = json.loads((package / "assessment-results.oscal.json").read_text())["assessment-results"]["results"]
    assert all(f"Not covered: RECORDER_UNKNOWN. {denied}" in one["description"] for one in results["observations"])
    assert {one["target"]["status"]["state"] for one in results["findings"]} == {"not-satisfied"}
    assert (package / "report.html").read_text().count(denied) >= len(REGIONS)
    verified = run(aws, "verify", output, "--public-key", output / "public-key.pem")
    assert verified.exit_code == 0, verified.output


@pytest.mark.usefixtures("nobody_may_look")
def test_a_rule_that_is_nowhere_and_no_right_to_the_recorder_are_both_named(
    aws: LocalAws, tmp_path: Path, key: Path
) -> None:
    """Nobody knows then which of them it is: in a region without instances, the recorder's state alone would do."""
    output = tmp_path / "evidence"
    refused = collect(aws, output, key, "--rule-name", "typo")
    assert refused.exit_code == 2
    assert (
        "no region is covered and none has the rule typo: look at --rule-name, --region and the right to read the"
        in (refused.stderr.replace("\n", " "))
    )
    assert not (output / str(YESTERDAY)).exists()


def test_a_recorder_that_fails_keeps_no_day_from_being_sealed(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Nor does one that is stopped: where the rule is, the options are right, and the package says what is wrong."""
    output = tmp_path / "evidence"
    client, recorders = aws.client("config"), aws.config.region(aws.account, aws.region).recorders
    recorders.fail("InsufficientDeliveryPolicyException", "the bucket takes nothing")
    try:
        failing = collect(aws, output / "failing", key)
        client.stop_configuration_recorder(ConfigurationRecorderName="default")
        stopped = collect(aws, output / "stopped", key)
    finally:
        client.start_configuration_recorder(ConfigurationRecorderName="default")
    assert (failing.exit_code, stopped.exit_code) == (0, 0)
    why = "RECORDER_FAILING: InsufficientDeliveryPolicyException: the bucket takes nothing"
    assert f"eu-west-1: not covered: {why}" in failing.stderr
    assert "eu-west-1: not covered: RECORDER_STOPPED\n" in stopped.stderr


def test_a_day_that_was_planned_for_another_rule_is_told(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """What was collected for one rule is not sealed for another."""
    output = tmp_path / "evidence"
    assert collect(aws, output, key).exit_code == 0
    refused = collect(aws, output, key, "--rule-name", "another")
    assert refused.exit_code == 2
    assert f"{YESTERDAY} was planned for rule {RULE} in eu-west-1, us-east-1, not rule another in" in refused.stderr


def test_no_day_is_put_before_the_first(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Both packages would call themselves the first of their chain."""
    output = tmp_path / "evidence"
    assert collect(aws, output, key).exit_code == 0
    refused = collect(aws, output, key, "--day", YESTERDAY - timedelta(days=1))
    assert refused.exit_code == 2
    assert f"packages begin on {YESTERDAY}, and none can be put before the first" in refused.stderr
    # Nothing of it is kept, which would be a day that was collected before all packages.
    assert list((output / ".collecting" / "plans").iterdir()) == [output / ".collecting" / "plans" / f"{YESTERDAY}"]
    assert collect(aws, output, key).exit_code == 0


def test_no_chain_begins_anew_unless_it_is_asked_for(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """Packages that were collected once and are gone were hidden, or lie elsewhere."""
    output = tmp_path / "evidence"
    assert collect(aws, output, key, "--day", YESTERDAY - timedelta(days=1)).exit_code == 0
    shutil.rmtree(output / str(YESTERDAY - timedelta(days=1)))
    refused = collect(aws, output, key)
    assert refused.exit_code == 2
    assert f"it would be number 1 of a chain, but {YESTERDAY - timedelta(days=1)} was collected" in refused.stderr
    assert not (output / str(YESTERDAY)).exists()
    begun = collect(aws, output, key, "--begin")
    assert begun.exit_code == 0, begun.output
    assert "Sealed as number 1;" in begun.stdout
    verified = run(aws, "verify", output, "--public-key", output / "public-key.pem")
    assert (verified.exit_code, f"the chain begins on {YESTERDAY}, with number 1" in verified.stdout) == (0, True)


def test_a_chain_begins_anew_where_the_one_before_cannot_go_on(aws: LocalAws, tmp_path: Path, key: Path) -> None:
    """What is lost of the package before is not carried on; verify names the day, and takes each chain alone."""
    output, before = tmp_path / "evidence", YESTERDAY - timedelta(days=1)
    assert collect(aws, output, key, "--day", before).exit_code == 0
    (output / f"{before}" / "kpis.json").unlink()
    refused = collect(aws, output, key)
    assert (refused.exit_code, f"{before}/kpis.json: is not there" in refused.stderr) == (2, True)
    begun = collect(aws, output, key, "--begin")
    assert (begun.exit_code, "Sealed as number 1;" in begun.stdout) == (0, True), begun.output
    pinned = ("--public-key", output / "public-key.pem")
    both = run(aws, "verify", output, *pinned, "--format", "json")
    assert both.exit_code == 4
    assert [finding["outcome"] for finding in json.loads(both.stdout)["findings"]] == ["incomplete", "gap"]
    assert run(aws, "verify", output, *pinned, "--from", YESTERDAY).exit_code == 0
