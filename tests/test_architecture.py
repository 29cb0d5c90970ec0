import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "lambda"
CORE = ("errors", "model", "parameters", "exemption", "items", "cutting", "annotations", "rule")
"""The judgement: no I/O, nothing beyond the standard library."""

PURE_FINDINGS = ("identity", "limits", "severity", "settings", "wording", "asff", "ocsf", "lifecycle")
"""What a record means for a finding: no I/O and no clock of their own either."""

MODULES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCES / "rolecall").rglob("*.py"))
}

AWS = {name for name in MODULES if f"{name}.".startswith("rolecall.aws.")}
"""What speaks to AWS: for the function, and (`live`) for the command line alone."""


def imported_by(module: str, *, only_at_import: bool = False) -> set[str]:
    """The modules that `module` names in its import statements, those inside functions too unless told otherwise."""
    found = set()
    for node in _statements(ast.parse(MODULES[module].read_text()), into_functions=not only_at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            source = node.module or ""
            found |= {
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source for alias in node.names
            }
    return found


def _statements(tree: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        yield node
        if into_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(node, into_functions=into_functions)


def reached_from(module: str, *, only_at_import: bool = False) -> set[str]:
    """Everything that importing `module` may load, by name; what others than rolecall load is not followed."""
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        if name in MODULES:
            parents = {name.rpartition(".")[0]} - {""}
            waiting |= (imported_by(name, only_at_import=only_at_import) | parents) - reached
    return reached


def packages(modules: set[str]) -> set[str]:
    """The top-level packages of these modules."""
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("module", MODULES)
def test_only_the_aws_modules_speak_to_aws(module: str) -> None:
    """boto3 and botocore are imported there and nowhere else, not even inside a function."""
    speaks = bool(packages(imported_by(module)) & {"boto3", "botocore"})
    assert not speaks or module in AWS


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_the_standard_library_and_itself(module: str) -> None:
    """Nothing that could do I/O, cost start-up time or come from somebody else."""
    others = {
        name for name in imported_by(f"rolecall.{module}") if name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert others <= {f"rolecall.{name}" for name in CORE}


@pytest.mark.parametrize("module", PURE_FINDINGS)
def test_findings_are_made_by_the_standard_library_and_rolecall_alone(module: str) -> None:
    """Nothing that they reach speaks to AWS, logs or comes from somebody else."""
    reached = reached_from(f"rolecall.findings.{module}")
    assert packages(reached) - set(sys.stdlib_module_names) == {"rolecall"}
    assert not AWS & reached


def test_the_core_judges_without_any_installed_package() -> None:
    """Started without site-packages, where boto3 and everything else is missing, the rule still judges."""
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCES)!r}, {str(ROOT)!r}]\n"
        "from tests.builders import NOW, notification_item\n"
        "from rolecall.items import configuration_item\n"
        "from rolecall.parameters import RuleParameters\n"
        "from rolecall.rule import evaluate\n"
        "print(evaluate(configuration_item(notification_item()), RuleParameters(), NOW).reason)\n"
        "try:\n"
        "    import boto3\n"
        "except ImportError:\n"
        "    print('no boto3')\n"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter, with a program written above
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split("\n") == ["PROFILE_ATTACHED", "no boto3", ""]


def test_whatever_does_not_speak_to_aws_imports_without_boto3() -> None:
    """Only the modules that need AWS at import need its SDK: an offline evaluation must not load it."""
    offline = sorted(name for name in MODULES if not AWS & reached_from(name, only_at_import=True))
    assert {f"rolecall.{name}" for name in CORE} < set(offline)
    offline = [name for name in offline if not name.endswith("__main__")]  # to import these is to run them
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCES)!r}]\n"
        "sys.modules.update(boto3=None, botocore=None)\n"
        "import importlib\n"
        f"for name in {offline!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)  # noqa: S603 - as above


def test_the_command_line_loads_the_sdk_for_a_live_account_only() -> None:
    """`rolecall evaluate` on files starts without boto3."""
    assert "rolecall.cli" in MODULES
    assert not AWS & reached_from("rolecall.cli", only_at_import=True)
    assert "rolecall.aws.live" in reached_from("rolecall.cli")


@pytest.mark.parametrize("module", [name for name in MODULES if not f"{name}.".startswith("rolecall.cli.")])
def test_only_the_command_line_draws_on_terminals(module: str) -> None:
    """Its libraries are not in the function's package: a module that imported them would fail there."""
    assert not packages(imported_by(module)) & {"typer", "rich", "click"}


def test_the_function_loads_nothing_that_judging_one_item_does_not_need() -> None:
    """Start-up time is paid by every cold start: no command line, no tables, no telemetry that is not used."""
    reached = reached_from("rolecall.handlers.rule")
    assert "rolecall.rule" in reached
    others = ("rolecall.cli", "rolecall.aws.live", "rolecall.findings", "rolecall.evidence", "rolecall.received_record")
    assert not [name for name in reached if name.startswith(others)]
    assert packages(reached) - set(sys.stdlib_module_names) == {
        "rolecall",
        "boto3",
        "botocore",
        "aws_lambda_powertools",
        "urllib3",  # what boto3 needs anyway, imported early
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_in_the_head(module: str) -> None:
    """At most 300 lines."""
    assert len(MODULES[module].read_text().splitlines()) <= 300


def test_tests_stay_on_this_machine() -> None:
    """A connection to the outside is refused before a packet leaves, and so fails the test that tries."""
    with socket.socket() as outside, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 443))
