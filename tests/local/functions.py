"""Small Lambda functions, written as packages, for the tests of the local runtime."""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.template import FunctionDefinition

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:111122223333:function:sample"
RUNNING_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def write_function(folder: Path, source: str, **changes: Any) -> FunctionDefinition:  # noqa: ANN401 - any field
    """The definition of a function whose package is `folder` with `source` as app.py; `changes` to its fields."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(textwrap.dedent(source), encoding="utf-8")
    definition = FunctionDefinition(
        name="sample", arn=FUNCTION_ARN, handler="app.handler", runtime=RUNNING_PYTHON, code=folder
    )
    return replace(definition, **changes)
