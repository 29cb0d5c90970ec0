"""The single-account stack as `make synth` writes it: default settings, and the real deployment package."""

import tempfile
from functools import cache
from pathlib import Path

from aws_cdk import App

from infra.package import RULE
from infra.package.asset import packaged_code
from infra.settings import Settings
from infra.stacks import AccountStack
from tests.infra.synthesis import context


@cache
def rule_assembly() -> Path:
    """The cloud assembly, synthesized once; its function's package is built if need be."""
    app = App(context=context(), outdir=tempfile.mkdtemp(prefix="rolecall-assembly-"))
    AccountStack(app, settings=Settings.from_context(context()), code=packaged_code(RULE))
    return Path(app.synth().directory)
