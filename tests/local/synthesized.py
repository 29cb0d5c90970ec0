"""Stacks as `make synth` writes them, with the real deployment packages."""

import json
import tempfile
from functools import cache
from pathlib import Path

from aws_cdk import App

from infra.organization_settings import read_settings
from infra.package.asset import packaged_code
from infra.stacks import add_stacks
from tests.infra.synthesis import context


@cache
def _assembly(overrides: str) -> Path:
    settings = context() | json.loads(overrides)
    app = App(context=settings, outdir=tempfile.mkdtemp(prefix="rolecall-assembly-"))
    add_stacks(app, read_settings(settings), packaged_code)
    return Path(app.synth().directory)


def packaged_assembly(**overrides: object) -> Path:
    """The cloud assembly with `overrides` as by `-c name=value`, synthesized once; packages are built if need be."""
    return _assembly(json.dumps(overrides, sort_keys=True))


def rule_assembly() -> Path:
    """That of one account, with default settings."""
    return packaged_assembly()
