"""The real CDK command line, as `make synth` runs it: pinned in package-lock.json, on the Node.js of the virtualenv."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.infra.synthesis import ROOT

_CDK = ROOT / "node_modules" / ".bin" / "cdk"


def cdk(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `cdk` in the project's folder; without credentials, unless `environment` brings some."""
    assert _CDK.exists(), "the CDK command line is not installed: run `npm ci` (make test does)"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with TemporaryDirectory() as home:  # its own caches, or it would remember our invented account for its user
        return subprocess.run(  # noqa: S603  # our own arguments
            [_CDK, "--no-notices", *arguments],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "CDK_HOME": home, "CI": "true", "NO_COLOR": "1", **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
