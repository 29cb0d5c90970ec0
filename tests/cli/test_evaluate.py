import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rolecall import __version__
from rolecall.cli import app
from rolecall.cli.rows import FIELDS
from rolecall.parameters import PARAMETERS
from tests import builders
from tests.builders import ACCOUNT, INSTANCE_ARN, INSTANCE_ID, PROFILE_ARN, exemption_tags, notification_item

AS_OF = ("--as-of", "2026-03-02T12:00Z")


def evaluate(*arguments: object, given: str | bytes | None = None) -> Result:
    """`rolecall evaluate` on the tests' day, with `given` piped in."""
    return CliRunner().invoke(app, ["evaluate", *AS_OF, *map(str, arguments)], input=given)


def file(folder: Path, name: str, *items: object) -> Path:
    """A snapshot file of these items."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"fileVersion": "1.0", "configSnapshotId": "invented", "configurationItems": items}).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def item(last_digit: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field's value
    """An item of an instance of its own."""
    return notification_item(resourceId=f"i-{last_digit:017x}", **changes)


GOOD = item(1)
BARE = item(2, profile=None)
EXEMPT = item(3, profile=None, tags=exemption_tags(expires="2026-03-31"))
GONE = builders.deleted_item(resourceId="i-00000000000000004")
VOLUME = notification_item(
    resourceType="AWS::EC2::Volume", resourceId="vol-1", ARN="arn:aws:ec2:eu-west-1::volume/vol-1"
)
MALFORMED = item(5, configuration=None)

NO_PROFILE = (
    "NO_PROFILE: attach an instance profile with a least-privilege role or, if having no role is intended, "
    "set tag intentional-no-role to the reason."
)

EXIT_CODES = [
    ("all is fine", [GOOD, EXEMPT, GONE, VOLUME], 0),
    ("nothing is there", [], 0),
    ("one is NON_COMPLIANT", [GOOD, BARE], 1),
    ("one cannot be judged", [GOOD, MALFORMED], 2),
    ("what cannot be judged prevails", [BARE, MALFORMED], 2),
]


@pytest.mark.parametrize(("promise", "items", "code"), EXIT_CODES, ids=[case[0] for case in EXIT_CODES])
def test_the_exit_code_tells_the_result(promise: str, items: list[object], code: int, tmp_path: Path) -> None:
    """So that a pipeline can act on it."""
    assert evaluate(file(tmp_path, "a.json", *items)).exit_code == code, promise


def test_the_table_lists_what_needs_a_look_and_the_summary_counts_everything(tmp_path: Path) -> None:
    """In a pipe each evaluation is one line, so that grep finds all of it."""
    result = evaluate(file(tmp_path, "a.json.gz", GOOD, BARE, EXEMPT, GONE, VOLUME))
    assert result.stdout == (
        "Compliance      Instance             Account       Region          Annotation\n"
        f"NON_COMPLIANT   i-00000000000000002  111122223333  eu-west-1       {NO_PROFILE}\n"
        "COMPLIANT       i-00000000000000003  111122223333  eu-west-1       "
        "EXEMPT: no role is intended through 2026-03-31: licensed appliance, calls no AWS API\n"
        "\n"
        "NON_COMPLIANT   1  NO_PROFILE 1\n"
        "COMPLIANT       2  PROFILE_ATTACHED 1, EXEMPT 1\n"
        "NOT_APPLICABLE  2  DELETED 1, OTHER_RESOURCE 1\n"
        "5 configuration items judged; 3 of them not listed (--all lists them).\n"
    )
    assert result.stderr == ""


def test_all_lists_everything(tmp_path: Path) -> None:
    """The table and the machine formats then have a line for each item that was judged."""
    snapshot = file(tmp_path, "a.json", GOOD, BARE, VOLUME)
    table = evaluate("--all", snapshot).stdout.splitlines()
    assert [line.split()[1] for line in table[1:4]] == ["i-00000000000000001", "i-00000000000000002", "vol-1"]
    assert table[-1] == "3 configuration items judged."
    lines = evaluate("--all", "--format", "jsonl", snapshot).stdout.splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["PROFILE_ATTACHED", "NO_PROFILE", "OTHER_RESOURCE"]


def test_quiet_prints_the_evaluations_alone(tmp_path: Path) -> None:
    """No summary, anywhere; problems are still named."""
    result = evaluate("-q", "-f", "jsonl", file(tmp_path, "a.json", GOOD, MALFORMED))
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert "judged." not in result.stderr


EXEMPT_ROW = {
    "account": ACCOUNT,
    "region": "eu-west-1",
    "resource_type": "AWS::EC2::Instance",
    "resource_id": INSTANCE_ID,
    "arn": INSTANCE_ARN,
    "compliance_type": "COMPLIANT",
    "reason": "EXEMPT",
    "annotation": "EXEMPT: no role is intended through 2026-03-31: =cmd|'/C calc'!A0",
    "profile_arn": None,
    "exemption_state": "valid",
    "exemption_reason": "=cmd|'/C calc'!A0",
    "exemption_approved_by": "@security",
    "exemption_ticket": "SEC-7",
    "exemption_granted": "2026-01-01",
    "exemption_expires": "2026-03-31",
    "exemption_problem": None,
    "instance_state": "stopped",
    "capture_time": "2026-03-01T09:30:00.123Z",
    "evaluated_at": "2026-03-02T12:00:00.000Z",
    "source": "standard input",
}
PLAIN_ROW = EXEMPT_ROW | {
    "reason": "PROFILE_ATTACHED",
    "annotation": "PROFILE_ATTACHED: instance profile app-web is attached.",
    "profile_arn": PROFILE_ARN,
    "instance_state": "running",
    **{name: None for name in FIELDS if name.startswith("exemption_")},
}
BOTH = "\n".join(
    json.dumps(one)
    for one in (
        notification_item(
            profile=None,
            state="stopped",
            tags=exemption_tags(
                "=cmd|'/C calc'!A0",
                expires="2026-03-31",
                granted="2026-01-01",
                approved_by="@security",
                ticket="SEC-7",
            ),
        ),
        notification_item(),
        VOLUME,
    )
)


def test_json_is_one_array_and_lines_are_the_same_objects() -> None:
    """Every instance is in it, whatever the verdict; other resources are not. The summary stays out of the way."""
    as_array, as_lines = evaluate("-f", "json", given=BOTH), evaluate("-f", "jsonl", given=BOTH)
    assert json.loads(as_array.stdout) == [EXEMPT_ROW, PLAIN_ROW]
    assert [json.loads(line) for line in as_lines.stdout.splitlines()] == [EXEMPT_ROW, PLAIN_ROW]
    assert as_array.stderr == as_lines.stderr
    assert as_array.stderr.endswith("3 configuration items judged; 1 of them not listed (--all lists them).\n")


def test_csv_has_the_same_fields_and_runs_no_formulas() -> None:
    """Whoever may tag an instance must not be able to run a formula in the auditor's spreadsheet."""
    header, exempt, plain = csv.reader(io.StringIO(evaluate("-f", "csv", given=BOTH).stdout))
    assert tuple(header) == FIELDS
    assert exempt == [
        {"exemption_reason": "'=cmd|'/C calc'!A0", "exemption_approved_by": "'@security"}.get(name, value or "")
        for name, value in EXEMPT_ROW.items()
    ]
    assert plain == [value or "" for value in PLAIN_ROW.values()]


def test_an_empty_json_array_is_still_json() -> None:
    """A pipe that goes on with jq gets something to read."""
    assert evaluate("-f", "json", given="[]").stdout == "[]\n"


def test_a_lone_surrogate_is_written_as_json_escapes_it() -> None:
    """JSON can hold half a character, UTF-8 cannot: the output must be readable all the same."""
    text = json.dumps(notification_item(profile=None, tags={"intentional-no-role": "x"})).replace('"x"', '"a\\ud800b"')
    result = evaluate("-f", "jsonl", given=text)
    assert json.loads(result.stdout)["exemption_reason"] == "a\ud800b"


def test_control_characters_do_not_reach_the_terminal() -> None:
    """A name must not be able to move the cursor or change the title."""
    result = evaluate(given=json.dumps(item(1, profile=None) | {"resourceId": "i-\x1b[2J"}))
    assert "\x1b" not in result.stdout
    assert "i-\ufffd[2J" in result.stdout
    assert "i-1 2 " in evaluate(given=json.dumps(item(1, profile=None) | {"resourceId": "i-1\r\n 2"})).stdout


def test_output_goes_to_a_file_and_the_summary_to_the_screen(tmp_path: Path) -> None:
    """The file holds what standard output would have held."""
    for form in ("table", "json", "jsonl", "csv"):
        written = tmp_path / form
        result = evaluate("-f", form, "-o", written, given=BOTH)
        assert result.stdout == ""
        assert "3 configuration items judged" in result.stderr
        printed = evaluate("-f", form, given=BOTH).stdout
        assert written.read_text(encoding="utf-8") == printed.partition("COMPLIANT       2  ")[0]


def test_every_input_is_named_that_cannot_be_read_and_the_rest_is_judged(tmp_path: Path) -> None:
    """Truncated, broken, empty, missing, malformed: each with its place, none of them silent, and none fatal."""
    good = file(tmp_path, "1.json", GOOD, BARE)
    whole = good.read_bytes()
    (tmp_path / "2-truncated.json").write_bytes(whole[: len(whole) - 100])
    (tmp_path / "3-truncated.json.gz").write_bytes(gzip.compress(whole * 200)[:-9])
    (tmp_path / "4-damaged.json.gz").write_bytes(gzip.compress(whole)[:60] + b"\0" * 60)
    (tmp_path / "5-empty.json").touch()
    (tmp_path / "6-lines.jsonl").write_text(f"{json.dumps(GOOD)}\nno json\n{json.dumps(BARE)}\n")
    (tmp_path / "7-html.json").write_text("<html>")
    (tmp_path / "8-latin.jsonl").write_bytes(b'{"Name": "\xe9"}\n' + json.dumps(GOOD).encode())
    file(tmp_path, "9.json", MALFORMED, GOOD)
    (tmp_path / "notes.txt").touch()
    result = evaluate(tmp_path, tmp_path / "missing.json", "-f", "jsonl")
    assert result.exit_code == 2
    second = whole.index(b'{"relatedEvents', 200) + 1
    lines = result.stderr.replace(f"{tmp_path}/", "").splitlines()
    ends_inside = "the input ends inside the value that begins here"
    cut_short = (
        "the compressed file is truncated or damaged (Compressed file ended before the end-of-stream marker was "
        "reached); the rest was not read"
    )
    no_text = "bytes that are no text in the input's encoding; went on at line 2"
    malformed = (
        "i-00000000000000005: configuration is null or missing; allowed: an object, as the item's status is not a "
        "deletion"
    )
    assert lines[:-4] == [
        f"error: 2-truncated.json: line 1, column {second:,}: not JSON: {ends_inside}",
        f"error: 3-truncated.json.gz: {cut_short}",
        lines[2],
        "error: 5-empty.json: is empty",
        "error: 6-lines.jsonl: line 2, column 1: not JSON: Expecting value; went on at line 3",
        "error: 7-html.json: line 1, column 1: not JSON: Expecting value; the rest was not read",
        f"error: 8-latin.jsonl: line 1, column 11: not JSON: {no_text}",
        f"error: 9.json: line 1, column {second_of(MALFORMED):,}: {malformed}",
        f"note: {tmp_path}: nothing was read of 1 other file in it, by name no JSON",
        "error: missing.json: No such file or directory",
    ]
    assert lines[2].startswith("error: 4-damaged.json.gz: ")
    assert lines[-1] == "9 problems: what is named above was not judged."
    sources = [Path(json.loads(line)["source"]).name for line in result.stdout.splitlines()]
    names = ("1.json", "2-truncated.json", "6-lines.jsonl", "8-latin.jsonl", "9.json")
    assert [sources.count(name) for name in names] == [2, 1, 2, 1, 1]
    assert sources.count("3-truncated.json.gz") >= 2


def second_of(first: object) -> int:
    """The column at which a snapshot's first item begins."""
    return (
        json.dumps({"fileVersion": "1.0", "configSnapshotId": "invented", "configurationItems": [first]}).index("[") + 2
    )


INPUT_WAYS = [
    ("a pipe", (), True),
    ("a dash", ("-",), True),
    ("a file", ("a.json",), False),
    ("a folder", ("",), False),
]


@pytest.mark.parametrize(("promise", "names", "piped"), INPUT_WAYS, ids=[case[0] for case in INPUT_WAYS])
def test_input_comes_from_everywhere(promise: str, names: tuple[str, ...], piped: bool, tmp_path: Path) -> None:
    """The same items, the same result."""
    path = file(tmp_path, "a.json", GOOD, EXEMPT)
    paths = [name if name == "-" else tmp_path / name for name in names]
    result = evaluate(*paths, given=path.read_bytes() if piped else None)
    assert "2 configuration items judged" in result.stdout, promise
    assert result.exit_code == 0, promise


def test_a_compressed_pipe_is_read_too(tmp_path: Path) -> None:
    """`aws s3 cp s3://…/snapshot.json.gz - | rolecall evaluate` needs no gunzip."""
    assert "2 configuration items" in evaluate(given=file(tmp_path, "a.json.gz", GOOD, EXEMPT).read_bytes()).stdout


TIMES = [
    ("2026-03-31", 0),
    ("2026-03-31T23:59:59.999Z", 0),
    ("2026-04-01", 1),
    ("2026-04-01T00:30+02:00", 0),
]


@pytest.mark.parametrize(("moment", "code"), TIMES)
def test_exemptions_are_held_against_the_given_time(moment: str, code: int) -> None:
    """An exemption holds through the end of its last day in UTC."""
    assert evaluate("--as-of", moment, given=json.dumps(EXEMPT)).exit_code == code


OPTIONS = [
    ("exemptionTagKey", "no-role", "NO_PROFILE"),
    ("exemptionReasonRequired", "true", "EXEMPT"),
    ("exemptionExpiryRequired", "true", "EXEMPT"),
    ("exemptionMaxDays", "30", "EXEMPTION_INVALID"),
    ("exemptionApproverRequired", "true", "EXEMPTION_INVALID"),
    ("allowedInstanceProfileArns", "arn:aws:iam::*:instance-profile/other", "EXEMPT"),
    ("evaluateStopped", "false", "STOPPED"),
]


def option(name: str) -> str:
    """The option of a rule parameter."""
    return f"--{PARAMETERS[name].attribute.replace('_', '-')}"


@pytest.mark.parametrize(("name", "text", "reason"), OPTIONS, ids=[case[0] for case in OPTIONS])
def test_each_rule_parameter_has_an_option(name: str, text: str, reason: str, tmp_path: Path) -> None:
    """The option, JSON text and a file of JSON mean the same."""
    stopped = json.dumps(item(1, profile=None, state="stopped", tags=exemption_tags(expires="2026-03-31")))
    saved = tmp_path / "parameters.json"
    saved.write_text(json.dumps({name: text}))
    for arguments in ((option(name), text), ("--parameters", json.dumps({name: text})), ("--parameters", saved)):
        result = evaluate("-f", "jsonl", *arguments, given=stopped)
        assert json.loads(result.stdout)["reason"] == reason


def test_every_rule_parameter_is_in_the_options_table() -> None:
    """A new parameter needs a row above."""
    assert {name for name, _, _ in OPTIONS} == set(PARAMETERS)


USAGE = [
    ("a bad parameter", ("--exemption-max-days", "soon"),
     "--exemption-max-days: rule parameter exemptionMaxDays is 'soon'; allowed: a whole number of days from 0 (no"),
    ("an unknown parameter", ("--parameters", '{"maxDays": "1"}'),
     "Invalid value for --parameters: rule parameter maxDays is '1'; allowed: the parameters exemptionTagKey,"),
    ("a parameter file that is not there", ("--parameters", "missing.json"),
     "--parameters is 'missing.json'; allowed: a JSON object of names and values, or a file that holds one"),
    ("parameters that are no JSON", ("--parameters", "x=1"), "--parameters is 'x=1'; allowed: a JSON object of names"),
    ("broken JSON", ("--parameters", '{"a"'), """--parameters is '{"a"'; allowed: a JSON object of names and values"""),
    ("a list of parameters", ("--parameters", "[1]"), "--parameters is '[1]'; allowed: a JSON object of names and"),
    ("a long list of them", ("--parameters", f"[{'1,' * 300}1]"), "…; allowed: a JSON object of names and values,"),
    ("blank parameters", ("--parameters", ""), "--parameters is ''; allowed: a JSON object of names and values"),
    ("parameters in a folder", ("--parameters", "/"), "Invalid value for --parameters: /: [Errno 21] Is a directory"),
    ("a blank output", ("--output", ""), "--output is blank"),
    ("a region that is none", ("--live", "--region", "eu west"),
     "--region: region is 'eu west'; allowed: as eu-west-1"),
    ("no day", ("--as-of", "soon"), "Invalid value for --as-of: 'soon' is no day or time; allowed: 2026-03-31,"),
    ("a day before time began", ("--as-of", "0001-01-01T00:00+14:00"), "is no day or time"),
    ("an unknown format", ("--format", "xml"), "Invalid value for '--format' / '-f': 'xml' is not one of"),
    ("live and files", ("--live", "a.json"), "Invalid value for --live: judges an account, not files"),
    ("a source without --live", ("--source", "ec2"), "Invalid value for --source: needs --live"),
    ("a profile without --live", ("--profile", "audit"), "Invalid value for --profile: needs --live"),
    ("a region without --live", ("--region", "eu-west-1"), "Invalid value for --region: needs --live"),
    ("all regions without --live", ("--all-regions",), "Invalid value for --all-regions: needs --live"),
    ("one region and all", ("--live", "--region", "eu-west-1", "--all-regions"), "leave it out beside --all-regions"),
    ("an unknown option", ("--fromat", "csv"), "No such option: --fromat"),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "arguments", "message"), USAGE, ids=[case[0] for case in USAGE])
def test_wrong_options_are_said_before_anything_is_read(promise: str, arguments: tuple[str, ...], message: str) -> None:
    """Each names the option, its value and what is allowed."""
    result = evaluate(*arguments, given=json.dumps(BARE))
    assert result.exit_code == 2, promise
    # The message stands in a box, which breaks its lines.
    assert message in " ".join(result.stderr.replace("│", " ").split()), promise
    assert result.stdout == ""


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    """Opening it would destroy what was to be judged."""
    path = file(tmp_path, "a.json", GOOD)
    before = path.read_bytes()
    for paths in ((path,), (tmp_path,)):
        result = evaluate(*paths, "-o", path)
        assert result.exit_code == 2
        assert "which it would overwrite" in " ".join(result.stderr.replace("│", " ").split())
    assert path.read_bytes() == before


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Without a traceback."""
    result = evaluate("-o", tmp_path / "no" / "such.csv", given="[]")
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path}/no/such.csv: cannot be written: No such file or directory\n"


def test_an_output_that_is_there_is_replaced_as_it_is(tmp_path: Path) -> None:
    """Its mode stays, a link stays a link, a device stays a device, and nothing is left beside it."""
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    assert evaluate("-q", "-f", "jsonl", "-o", link, given=json.dumps(GOOD)).exit_code == 0
    assert (json.loads(real.read_text())["reason"], real.stat().st_mode & 0o777) == ("PROFILE_ATTACHED", 0o640)
    assert link.is_symlink()
    assert evaluate("-q", "-o", "/dev/null", given=json.dumps(GOOD)).exit_code == 0
    assert Path("/dev/null").is_char_device()
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_part_that_is_an_input_is_refused(tmp_path: Path) -> None:
    """An output is written there first."""
    part = file(tmp_path, "a.json.part", GOOD)
    before = part.read_bytes()
    result = evaluate(part, "-o", tmp_path / "a.json")
    assert (result.exit_code, part.read_bytes()) == (2, before)


def test_a_result_token_is_never_printed() -> None:
    """Neither with a verdict nor with an error about the event that holds it."""
    events = [
        builders.change_event(),
        builders.oversized_event(),
        builders.change_event(configRuleName=7),
        builders.change_event(ruleParameters="{"),
        builders.change_event(evaluationMode="PROACTIVE"),
    ]
    text = "\n".join(json.dumps(event) for event in events)
    for form in ("table", "jsonl"):
        result = evaluate("--all", "-f", form, given=f"{text}\n{json.dumps(json.dumps(events[0])[:-1])}\n{text[:-1]}")
        assert builders.RESULT_TOKEN not in result.output


def test_help_says_what_to_give() -> None:
    """A flag takes nothing, PATH may be given several times, and parameters may come from a file."""
    for command in ([], ["evaluate"], ["doctor"], ["redrive"]):
        assert "<bool>" not in CliRunner().invoke(app, [*command, "--help"]).output
    text = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "200"}).output
    assert "rolecall evaluate [OPTIONS] [PATH...] " in text
    assert "PATH... " in text.partition("Arguments")[2]
    assert "a JSON object, or a file that holds one" in text


NULLS = [
    ("all of it", "null", "the value is null; allowed: an invocation event"),
    ("a field", json.dumps(MALFORMED), "configuration is null or missing; allowed: an object"),
]


@pytest.mark.parametrize(("what", "given", "message"), NULLS, ids=[case[0] for case in NULLS])
def test_json_is_spoken_of_in_its_own_words(what: str, given: str, message: str) -> None:
    """It has no None."""
    assert message in evaluate(given=given).stderr, what


def test_the_version_and_help_are_there() -> None:
    """The help names examples, exit codes and every option."""
    assert CliRunner().invoke(app, ["--version"]).output == f"rolecall {__version__}\n"
    text = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "80"}).output
    for expected in ("Examples", "Exit codes", "--live", "--as-of", *map(option, PARAMETERS)):
        assert expected in text
    assert "evaluate" in CliRunner().invoke(app, []).output
