"""The stacks, synthesized as `cdk synth` does it, without the command line and without building the package."""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from aws_cdk import App, Validations, aws_lambda
from cdk_nag import AwsSolutionsChecks

from infra.organization_settings import read_settings
from infra.stacks import add_stacks

ROOT = Path(__file__).parents[2]

Json = dict[str, Any]

TOPIC_ARN = "arn:aws:sns:eu-west-1:111122223333:on-call"
BUS_ARN = "arn:aws:events:eu-west-1:111122223333:event-bus/evaluations"

VARIANTS: dict[str, Json] = {
    "defaults": {},
    "everything set": {
        "ruleName": "x" * 37,
        "ruleParameters": {"exemptionMaxDays": 90, "evaluateStopped": False},
        "scheduleFrequency": "Three_Hours",
        "memoryMb": 1024,
        "timeoutSeconds": 900,
        "reservedConcurrency": 10,
        "logRetentionDays": 30,
        "logLevel": "DEBUG",
        "eventBus": "evaluations",
        "alarmEmail": "on-call@example.com",
        "dashboard": False,
    },
    "a topic and a bus that exist": {"alarmTopic": TOPIC_ARN, "eventBus": BUS_ARN},
    "no alarm topic": {"alarmTopic": "none"},
    "findings": {"securityHub": True, "suppressNativeFindings": True},
    "findings from a bus that exists, without insights": {
        "securityHub": True,
        "eventBus": "evaluations",
        "findingSeverities": {"NO_PROFILE": "HIGH"},
        "keepPassedFindings": True,
        "remediationUrl": "https://wiki.example.com/roles",
        "findingsConcurrency": 10,
        "insights": False,
    },
    "a conformance pack": {"conformancePack": True, "companionRules": "ec2-imdsv2-check,access-keys-rotated"},
}
"""Settings under which the template differs as a whole."""


def context() -> Json:
    """The context of cdk.json."""
    return dict(json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"])


@cache
def synthesized(overrides: str) -> Path:
    """The cloud assembly for `overrides`, a JSON object; `assembly` is the way to it."""
    # pytest's own temporary folders end with a test; a template is shared by many.
    folder = Path(tempfile.mkdtemp(prefix="rolecall-synthesis-"))
    code = folder / "code"
    code.mkdir()
    (code / "code.py").write_text("", encoding="utf-8")
    settings = context() | json.loads(overrides)
    app = App(context=settings, outdir=str(folder / "cdk.out"))
    add_stacks(app, read_settings(settings), lambda _: aws_lambda.Code.from_asset(str(code)))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return folder / "cdk.out"


def assembly(**overrides: object) -> Path:
    """The cloud assembly with `overrides` given as by `-c name=value`. A finding of cdk-nag raises RuntimeError."""
    return synthesized(json.dumps(overrides, sort_keys=True))


def template(stack: str = "Rolecall", **overrides: object) -> Json:
    """The template of one stack."""
    return dict(json.loads((assembly(**overrides) / f"{stack}.template.json").read_text(encoding="utf-8")))


def resources(resource_type: str, stack: str = "Rolecall", **overrides: object) -> dict[str, Json]:
    """The template's resources of one type by logical id, without the metadata that only tools read."""
    return {
        logical_id: {key: value for key, value in resource.items() if key not in ("Type", "Metadata")}
        for logical_id, resource in template(stack, **overrides)["Resources"].items()
        if resource["Type"] == resource_type
    }


def properties(resource_type: str, stack: str = "Rolecall", **overrides: object) -> Json:
    """The properties of the only resource of that type."""
    ((_, resource),) = resources(resource_type, stack, **overrides).items()
    return dict(resource["Properties"])


def statements(value: Any) -> list[Json]:  # noqa: ANN401  # any part of a template
    """Every policy statement within a part of a template, wherever it stands."""
    if isinstance(value, list):
        return [statement for one in value for statement in statements(one)]
    if not isinstance(value, dict):
        return []
    inner = [statement for key, one in value.items() if key != "Statement" for statement in statements(one)]
    return [*value.get("Statement", []), *inner]


def all_statements(stack: str = "Rolecall", **settings: object) -> dict[str, list[Json]]:
    """The statements of every resource of a stack that has any."""
    found = {name: statements(resource) for name, resource in template(stack, **settings)["Resources"].items()}
    return {name: own for name, own in found.items() if own}
