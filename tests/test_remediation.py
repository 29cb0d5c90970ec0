import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.package.contents import PROJECT
from tests import aws_commands

DOCUMENT = (PROJECT / "docs/remediation.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every command of AWS's command line: in the blocks, and within sentences."""
    inline = re.findall(r"`(aws [^`]+)`", DOCUMENT)
    return [*(command for block in blocks("shell") for command in aws_commands.commands_in(block)), *inline]


def test_the_document_shows_each_way() -> None:
    """As code in three languages, on the command line, and in the console."""
    assert [len(blocks(language)) for language in ("hcl", "yaml", "python", "json")] == [1, 1, 1, 1]
    assert len(commands()) > 25
    assert "### Console" in DOCUMENT


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_that_the_command_line_takes(command: str) -> None:
    """Service, command, options and the shapes of their values; what runs after it is the shell's."""
    aws_commands.check(re.sub(r"\s*(&& break|;.*)$", "", command))


@pytest.mark.parametrize("block", blocks("shell"), ids=lambda block: block.split("\n", 1)[0][:50])
def test_every_script_is_one_that_a_shell_reads(block: str) -> None:
    """Quotes and loops are closed."""
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run([shell, "-n"], input=block, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - only reads our own document
    assert done.stderr == ""


def test_the_trust_policy_trusts_ec2_alone() -> None:
    """A role that others may assume as well is more than an instance needs."""
    [policy] = map(json.loads, blocks("json"))
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_the_template_is_clean(tmp_path: Path) -> None:
    """By cfn-lint."""
    template = tmp_path / "template.yaml"
    template.write_text(blocks("yaml")[0], encoding="utf-8")
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(  # noqa: S603 - the linter beside this interpreter
        [linter, "--regions", "eu-west-1", "--", template], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_app_synthesizes_an_instance_with_a_profile(tmp_path: Path) -> None:
    """Run as it stands there, without credentials."""
    program = tmp_path / "app.py"
    program.write_text(
        blocks("python")[0].replace("App()", f"App(outdir={str(tmp_path / 'cdk.out')!r})"), encoding="utf-8"
    )
    subprocess.run([sys.executable, program], check=True, capture_output=True, timeout=120)  # noqa: S603 - our own document
    template = json.loads((tmp_path / "cdk.out/Web.template.json").read_text(encoding="utf-8"))
    resources = template["Resources"]
    [instance] = [one for one in resources.values() if one["Type"] == "AWS::EC2::Instance"]
    profile = resources[instance["Properties"]["IamInstanceProfile"]["Ref"]]
    [role] = profile["Properties"]["Roles"]
    assert profile["Type"] == "AWS::IAM::InstanceProfile"
    assert resources[role["Ref"]]["Type"] == "AWS::IAM::Role"
