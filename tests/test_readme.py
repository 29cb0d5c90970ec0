import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

NEEDS_AWS = ("--live", "cdk bootstrap", "cdk deploy")
"""What these commands do is tested elsewhere: against local stand-ins, and by a deployment to an emulator."""

ELSEWHERE = ("make test", 'export PATH="$PWD/.venv/bin:$PATH"')
"""The first is what runs this test; the second does nothing by itself."""

DEMO = "make demo"
DEMOS = (DEMO, "make demo-org")
"""The README shows a part of what they print."""


@dataclass(frozen=True)
class Example:
    """A command of the README, and the output that it shows for it, if it shows any."""

    command: str
    output: str


def examples() -> list[Example]:
    """Every command behind a `$` in a console block, without its comment."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append(Example(re.sub(r"\s+# .*", "", command), output.rstrip()))
    return found


def runnable() -> list[Example]:
    """Those that need no AWS account."""
    return [
        example
        for example in examples()
        if example.command not in ELSEWHERE and not any(word in example.command for word in NEEDS_AWS)
    ]


def run(command: str) -> subprocess.CompletedProcess[str]:
    """Type it into a shell in the project's folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(  # noqa: S602 - our own README, typed as a reader would
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def trimmed(text: str) -> str:
    """Without blanks at the ends of lines, which no Markdown file should hold."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def test_there_are_commands_to_run() -> None:
    """Those that a newcomer types first, and an offline evaluation, are among them."""
    commands = [example.command for example in runnable()]
    assert {*DEMOS} <= {*commands}
    assert "make synth" in commands
    assert any(command.startswith(".venv/bin/rolecall evaluate") for command in commands)


@pytest.mark.parametrize("example", runnable(), ids=lambda example: example.command)
def test_every_command_of_the_readme_works_as_printed(example: Example) -> None:
    """Exit code 1 is for something NON_COMPLIANT; the output is the one that the README shows."""
    done = run(example.command)
    assert done.returncode == (1 if "NON_COMPLIANT" in example.output else 0), done.stderr
    if example.output:
        assert trimmed(done.stdout + done.stderr) == example.output
    if example.command in DEMOS:
        assert_shown_in_readme(example.command, done.stdout)
    if example.command == DEMO:
        assert_leaves_evidence(done.stdout)


def assert_shown_in_readme(command: str, output: str) -> None:
    """The README leaves out some rows of a demo, and shows another day; what it shows is all in the output."""
    _, _, after = README.partition(f"```console\n$ {command}\n```")
    shown = re.findall(r"```text\n(.*?)```", after, re.DOTALL)[0]
    lines = {comparable(line) for line in output.splitlines()}
    assert [line for line in shown.splitlines() if comparable(line) not in lines] == []


def assert_leaves_evidence(output: str) -> None:
    """The report that the demo names is there, and the command that it prints verifies the package, as printed."""
    (report,) = re.findall(r"^  (build/demo/evidence/\S+/report\.html)$", output, re.MULTILINE)
    assert (ROOT / report).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (command,) = re.findall(r"^  (\.venv/bin/rolecall evidence verify .*)$", output, re.MULTILINE)
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"  {done.stdout.splitlines()[-1]}" in output.splitlines()


def comparable(line: str) -> str:
    """Days and durations differ from run to run, and so do how many records make a batch and the Python at hand."""
    passing = r"python3\.13 runs under .*|\d+\.\d s$|(?<=SelectResourceConfig, and )\d+$"
    return re.sub(passing, "…", re.sub(r"\d{4}-\d{2}-\d{2}", "…", line.rstrip()))
