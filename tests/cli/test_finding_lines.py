import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from typer.testing import CliRunner, Result

from infra.settings import Settings
from rolecall.cli import app
from rolecall.cli.finding_lines import DEFAULT_RULE_NAME, RULE_NAME_MAX_LENGTH
from tests import builders
from tests.builders import ACCOUNT, INSTANCE_ARN, INSTANCE_ID, REGION, RULE_ARN, RULE_NAME, exemption_tags
from tests.findings.asff_contract import violations

NOW = "2026-03-02T12:00:00.000Z"
NOW_IN_MILLISECONDS = 1772452800000
BARE = builders.notification_item(profile=None)
EXEMPT = builders.notification_item(profile=None, tags=exemption_tags(expires="2026-03-31"))
GOOD = builders.notification_item()
GONE = builders.deleted_item()
VOLUME = builders.notification_item(resourceType="AWS::EC2::Volume", resourceId="vol-1", ARN=None)


def evaluate(*arguments: object, given: object) -> Result:
    """`rolecall evaluate` on the tests' day, with the JSON of `given` piped in."""
    values = given if isinstance(given, list) else [given]
    text = "\n".join(json.dumps(value) for value in values)
    return CliRunner().invoke(app, ["evaluate", "--as-of", "2026-03-02T12:00Z", *map(str, arguments)], input=text)


def findings(*arguments: object, given: object) -> list[dict[str, Any]]:
    """What it prints, line by line."""
    return [json.loads(line) for line in evaluate(*arguments, given=given).stdout.splitlines()]


def test_asff_is_what_a_first_import_would_send() -> None:
    """An instance that passes has a PASSED finding, which is archived; each line breaks no rule of Security Hub."""
    printed = findings("-f", "asff", given=[BARE, EXEMPT, GOOD, GONE, VOLUME])
    assert [
        (one["Compliance"]["StatusReasons"][0]["ReasonCode"], one["Compliance"]["Status"], one["RecordState"])
        for one in printed
    ] == [
        ("NO_PROFILE", "FAILED", "ACTIVE"),
        ("EXEMPT", "WARNING", "ACTIVE"),
        ("PROFILE_ATTACHED", "PASSED", "ARCHIVED"),
        ("DELETED", "NOT_AVAILABLE", "ARCHIVED"),
    ]
    assert [violations(one) for one in printed] == [[]] * 4
    assert {(one["CreatedAt"], one["UpdatedAt"]) for one in printed} == {(NOW, NOW)}


def test_ocsf_is_the_same_findings_in_the_other_format() -> None:
    """With the same uids, created at the moment of the evaluation."""
    given = [BARE, EXEMPT, GOOD, GONE, VOLUME]
    printed = findings("-f", "ocsf", given=given)
    assert [one["compliance"]["status"] for one in printed] == ["Fail", "Warning", "Pass", "Unknown"]
    assert [one["activity_name"] for one in printed] == ["Create", "Create", "Close", "Close"]
    assert {one["time"] for one in printed} == {NOW_IN_MILLISECONDS}
    assert [one["finding_info"]["uid"] for one in printed] == [one["Id"] for one in findings("-f", "asff", given=given)]


def test_all_prints_a_finding_for_whatever_was_judged() -> None:
    """Other resources too, which no deployment would send."""
    assert [one["Resources"] for one in findings("--all", "-f", "asff", given=VOLUME)] == [
        [{"Type": "Other", "Id": "vol-1", "Partition": "aws", "Region": REGION}]
    ]


def test_an_event_names_the_rule() -> None:
    """Its name and ARN; what a conformance pack appended is no part of the finding's id."""
    packed = f"{RULE_NAME}-conformance-pack-szsm1uv0w"
    event = builders.change_event(BARE, configRuleName=packed, parameters={"exemptionMaxDays": "30"})
    (finding,) = findings("-f", "asff", "--rule-name", "another", given=event)
    assert (finding["Id"], finding["GeneratorId"]) == (
        f"rolecall/{RULE_NAME}/{ACCOUNT}/{REGION}/{INSTANCE_ID}",
        f"rolecall/{RULE_NAME}",
    )
    fields = finding["ProductFields"]
    assert (fields["rolecall/RuleName"], fields["rolecall/RuleArn"]) == (RULE_NAME, RULE_ARN)
    assert json.loads(fields["rolecall/RuleParameters"])["exemptionMaxDays"] == "30"


@pytest.mark.parametrize(
    ("options", "name"), [((), "rolecall-ec2-instance-profile"), (("--rule-name", "our-rule"), "our-rule")]
)
def test_without_an_event_the_rule_is_the_stacks_or_the_one_named(options: tuple[str, ...], name: str) -> None:
    """What only a deployed rule has, its ARN and the ids of its records, is not invented."""
    (in_asff,), (in_ocsf,) = (findings("-f", form, *options, given=BARE) for form in ("asff", "ocsf"))
    assert in_asff["Id"] == in_ocsf["finding_info"]["uid"] == f"rolecall/{name}/{ACCOUNT}/{REGION}/{INSTANCE_ID}"
    assert in_asff["Resources"][0]["Id"] == INSTANCE_ARN
    assert not {"rolecall/RuleArn", "rolecall/RecordId"} & in_asff["ProductFields"].keys()
    assert "uid" not in in_ocsf["finding_info"]["analytic"]
    assert "uid" not in in_ocsf["metadata"]


def test_the_default_name_is_the_deployments() -> None:
    """So that findings printed offline have the ids that the deployment gives them."""
    assert Settings.model_fields["rule_name"].default == DEFAULT_RULE_NAME


def test_a_rules_name_is_as_long_as_config_takes_it() -> None:
    """The limit is in AWS's own service model."""
    name = botocore.session.get_session().get_service_model("config").shape_for("ConfigRuleName")
    assert name.metadata["max"] == RULE_NAME_MAX_LENGTH


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-f", "csv", "--rule-name", "x"), "Invalid value for --rule-name: needs --format asff or ocsf"),
        (
            ("-f", "asff", "--rule-name", " "),
            "Invalid value for --rule-name: rule name is ' '; allowed: 1 to 128 characters, not all of them spaces",
        ),
        (("-f", "ocsf", "--rule-name", "x" * 129), "Invalid value for --rule-name: rule name is"),
    ],
)
def test_a_bad_rule_name_is_refused(options: tuple[str, ...], message: str) -> None:
    """Before anything is read."""
    result = evaluate(*options, given=BARE)
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_longest_rule_name_is_taken() -> None:
    """At the limit; one beyond it is refused above."""
    (finding,) = findings("-f", "asff", "--rule-name", "x" * 128, given=BARE)
    assert finding["GeneratorId"] == f"rolecall/{'x' * 128}"


def test_an_account_that_is_none_gets_no_finding_and_is_named() -> None:
    """The rest is printed, and the exit code says that something could not be."""
    result = evaluate("-f", "asff", "-q", given=[{**BARE, "awsAccountId": "1234"}, GOOD])
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == (
        f"error: standard input: {INSTANCE_ID}: no finding can be made: account is '1234'; allowed: 12 digits\n"
    )
    assert result.exit_code == 2


def test_the_exit_code_is_the_verdicts(tmp_path: Path) -> None:
    """As with every other format; and a file holds what standard output would have held."""
    written = tmp_path / "findings.jsonl"
    assert evaluate("-f", "asff", "-o", written, given=[BARE, GOOD]).exit_code == 1
    assert written.read_text() == evaluate("-f", "asff", given=[BARE, GOOD]).stdout
    assert evaluate("-f", "ocsf", given=[GOOD]).exit_code == 0
