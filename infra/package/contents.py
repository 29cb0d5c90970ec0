"""What goes into a package: one for each family of functions, so that none carries what only another one needs.

Our own sources are found, not listed: every module that a handler imports, at the top or inside a function, with the
files that lie beside a package's modules, such as templates.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.package.errors import PackageError

PROJECT = Path(__file__).resolve().parents[2]
SOURCE_ROOT = PROJECT / "lambda"

_NEVER_PACKAGED = ("*.pyc", ".*", "*~", "*.in")


@dataclass(frozen=True, slots=True)
class Contents:
    """One package. Everything here decides its key."""

    name: str
    handlers: tuple[str, ...]
    """The modules that Lambda is told to import."""
    services: tuple[str, ...]
    """The services that these call, as boto3 names them."""
    utilities: tuple[str, ...]
    """The subpackages of aws_lambda_powertools.utilities in use."""
    lock: Path = SOURCE_ROOT / "requirements.txt"
    """The hash-pinned requirements that are vendored."""
    accelerated: tuple[str, ...] = ()
    """Those of them whose wheels all hold machine code, and which run without it."""

    def sources(self) -> list[Path]:
        """Our own files, sorted. Raises PackageError for a handler that is not there."""
        modules = {name for handler in self.handlers for name in reached_from(handler)}
        python = {_file_of(name) for name in modules if _file_of(name).is_file()}
        beside = {file for module in python if module.name == "__init__.py" for file in _beside(module.parent)}
        return sorted(python | beside)


RULE = Contents(
    "rule",
    handlers=("rolecall.handlers.rule",),
    services=("config", "events", "sts"),
    utilities=("jmespath_utils", "typing"),  # the Logger needs both
)

EVIDENCE = Contents(
    "evidence",
    handlers=(
        "rolecall.handlers.evidence_plan",
        "rolecall.handlers.evidence_collect",
        "rolecall.handlers.evidence_seal",
    ),
    services=("config", "iam", "kms", "organizations", "s3", "sts"),
    utilities=("jmespath_utils", "typing"),  # the Logger needs both
    lock=SOURCE_ROOT / "evidence-requirements.txt",
    accelerated=("markupsafe",),  # of jinja2: without its _speedups it takes its own _native
)

FINDINGS = Contents(
    "findings",
    handlers=("rolecall.handlers.findings",),
    services=("dynamodb", "securityhub", "sqs", "sts"),
    utilities=("batch", "data_classes", "jmespath_utils", "typing"),
)

PACKAGES = (RULE, FINDINGS, EVIDENCE)
"""All there are."""


@cache
def reached_from(module: str) -> frozenset[str]:
    """The modules of rolecall that importing and running `module` may load, itself and parent packages included.

    Raises PackageError when `module` is not there.
    """
    if not _file_of(module).is_file():
        raise PackageError(f"{module} is to be packaged, but {_file_of(module)} is not there")
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        parent = {name.rpartition(".")[0]} - {""}
        waiting |= ({*_imported_by(_file_of(name))} | parent) - reached
    return frozenset(reached)


def _imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] == "rolecall" and _file_of(name).is_file())


def _file_of(module: str) -> Path:
    path = SOURCE_ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _beside(folder: Path) -> Iterator[Path]:
    """What is no module: read at run time by those that are."""
    for file in folder.iterdir():
        if file.is_file() and file.suffix != ".py" and not any(file.match(pattern) for pattern in _NEVER_PACKAGED):
            yield file
