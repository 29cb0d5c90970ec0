"""What is compared: rolecall's deployment package, and two yardsticks beside an untrimmed SDK.

All three run under the same interpreter with valid byte code, get the same events and talk to the same endpoint. The
SDK beside the yardsticks stands for the one that Lambda's runtime brings; it is the release that we vendor.
"""

import hashlib
import io
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import population
from infra.package import FUNCTION_PYTHON, RULE, build_package, find_interpreter
from infra.package.bytecode import compile_package
from infra.package.vendor import vendor
from local.interpreter import Interpreter, interpreter_for
from local.template import FunctionDefinition

HERE = Path(__file__).parent
FOLDER = HERE.parent / "build" / "bench"
LOCK = HERE / "requirements.txt"
RUNTIME = f"python{FUNCTION_PYTHON}"

ROLECALL = "rolecall"
FLOOR = "floor"
RDKLIB = "rdklib"

TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Candidate:
    """One function that is measured."""

    name: str
    definition: FunctionDefinition
    zipped_bytes: int
    """Of its deployment package; a yardstick's holds the SDK, too, as if it were vendored."""


@dataclass(frozen=True)
class Candidates:
    """All of them, and what they run under."""

    rolecall: Candidate
    floor: Candidate
    rdklib: Candidate
    interpreter: Interpreter

    def __iter__(self) -> Iterator[Candidate]:
        """The floor first: what the others are held against."""
        return iter((self.floor, self.rolecall, self.rdklib))


def candidates(say: Callable[[str], None]) -> Candidates:
    """Build or find them; the yardsticks come from the package index once. Raises PackageError, NoInterpreter."""
    package = build_package(RULE)
    say("yardsticks: the untrimmed SDK and rdklib")
    yardsticks = _yardsticks()
    variables = {"POWERTOOLS_SERVICE_NAME": population.RULE_NAME, "POWERTOOLS_METRICS_NAMESPACE": "Rolecall"}
    return Candidates(
        rolecall=Candidate(
            ROLECALL, _definition("rolecall.handlers.rule.handler", package.path, variables), package.zipped_size()
        ),
        floor=Candidate(FLOOR, _definition("floor.handler", yardsticks, {}), _zipped(yardsticks, without="*rdklib*")),
        rdklib=Candidate(
            RDKLIB, _definition("with_rdklib.handler", yardsticks, {}), _zipped(yardsticks, without="*floor*")
        ),
        interpreter=interpreter_for(RUNTIME),
    )


def _definition(handler: str, code: Path, environment: dict[str, str]) -> FunctionDefinition:
    name = handler.partition(".")[0]
    return FunctionDefinition(
        name=name,
        arn=f"arn:aws:lambda:{population.REGION}:{population.ACCOUNT}:function:{name}",
        handler=handler,
        runtime=RUNTIME,
        code=code,
        timeout_seconds=TIMEOUT_SECONDS,
        environment=environment,
        log_format="JSON",
    )


def _yardsticks() -> Path:
    interpreter = find_interpreter()
    handlers = [HERE / "yardsticks" / "floor.py", HERE / "yardsticks" / "with_rdklib.py"]
    digest = hashlib.sha256(f"{interpreter} {sys.platform}".encode())
    for file in (LOCK, *handlers):
        digest.update(file.read_bytes())
    folder = FOLDER / f"yardsticks-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
            made = Path(temporary) / folder.name
            vendor(LOCK, made)
            for handler in handlers:
                shutil.copy(handler, made)
            if interpreter:
                compile_package(interpreter, made)
            made.rename(folder)
    return folder


def _zipped(folder: Path, without: str) -> int:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in folder.rglob("*"):
            path = file.relative_to(folder)
            if file.is_file() and not any(Path(part).match(without) for part in path.parts):
                zipped.write(file, path)
    return len(archive.getvalue())
