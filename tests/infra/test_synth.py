import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aws_cdk import aws_lambda, aws_s3
from constructs import Construct

import app
from infra import stacks
from infra.package import Contents
from infra.settings import Settings
from infra.stacks import AccountStack
from tests.infra.cdk_cli import cdk
from tests.infra.synthesis import Json, assembly, synthesized, template

SUBPROCESS_FAILED = ".venv/bin/python app.py: Subprocess exited with error 1"
"""What the CDK adds, whatever an app fails of."""


def without_tools_metadata(found: Json) -> Json:
    """A template without the keys by which a test's template and that of the command line may differ."""
    for resource in found["Resources"].values():
        resource.pop("Metadata", None)
        if resource["Type"] == "AWS::Lambda::Function":
            del resource["Properties"]["Code"]
    return found


def test_synth_writes_the_template_that_the_other_tests_look_at(tmp_path: Path) -> None:
    """By the command line, with the real deployment package, without credentials; and it says nothing but that."""
    done = cdk("synth", "--quiet", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("rolecall:")] == []
    written = json.loads((tmp_path / "Rolecall.template.json").read_text())
    code = written["Resources"]["RuleFunction"]["Properties"]["Code"]
    assert (tmp_path / f"asset.{code['S3Key'].removesuffix('.zip')}" / "rolecall" / "handlers" / "rule.py").exists()
    assert without_tools_metadata(written) == without_tools_metadata(template())


def test_findings_come_with_a_package_and_a_stack_of_their_own(tmp_path: Path) -> None:
    """The example environment security-hub; each function's package holds its own handler alone."""
    environment = "environment=security-hub"
    done = cdk("synth", "--quiet", "--output", str(tmp_path), "-c", environment)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "Rolecall.template.json").read_text())
    for function, handlers in (("RuleFunction", {"rule"}), ("FindingsFunction", {"findings"})):
        key = written["Resources"][function]["Properties"]["Code"]["S3Key"]
        packaged = tmp_path / f"asset.{key.removesuffix('.zip')}" / "rolecall" / "handlers"
        assert {path.stem for path in packaged.glob("*.py")} - {"__init__"} == handlers
    given: Json = {"securityHub": True, "suppressNativeFindings": True}
    assert without_tools_metadata(written) == without_tools_metadata(template(**given))
    assert (tmp_path / "Rolecall-SecurityHub.template.json").exists()


def test_a_wrong_setting_ends_synth_in_one_line(tmp_path: Path) -> None:
    """As a user sees it: what is wrong, what is allowed, no traceback, and a failing exit code."""
    refused = cdk("synth", "--quiet", "--output", str(tmp_path), "-c", "memoryMb=64")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.splitlines() == [
        "setting memoryMb is '64'; allowed: a whole number of megabytes from 128 to 10240",
        SUBPROCESS_FAILED,
    ]
    assert not list(tmp_path.glob("*.template.json"))


def test_a_finding_of_cdk_nag_fails_synth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app that the command line runs, with a bucket in its stack that anybody may read in plain text."""

    class CarelessStack(AccountStack):
        def __init__(
            self, scope: Construct, *, settings: Settings, code: Callable[[Contents], aws_lambda.Code]
        ) -> None:
            super().__init__(scope, settings=settings, code=code)
            aws_s3.Bucket(self, "Bucket")

    monkeypatch.setattr(stacks, "AccountStack", CarelessStack)
    monkeypatch.setattr(app, "packaged_code", lambda _: aws_lambda.Code.from_asset(str(Path(__file__).parent)))
    with pytest.raises(RuntimeError, match="ValidationFailed") as failed:
        app.main()
    report = json.loads(Path(str(failed.value).rpartition("found in: ")[2].split()[0]).read_text())
    (found,) = report["pluginReports"]
    assert found["pluginName"] == "AwsSolutions"
    assert [violation["ruleName"] for violation in found["violations"]] == ["AwsSolutions-S1", "AwsSolutions-S10"]


def test_the_same_settings_give_the_same_template() -> None:
    """Nothing in it depends on the time, the machine or chance."""
    again = synthesized.__wrapped__("{}") / "Rolecall.template.json"
    assert again.read_bytes() == (assembly() / "Rolecall.template.json").read_bytes()
