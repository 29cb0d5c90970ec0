"""Which Python runs a function here, and AWS's runtime client for that Python, apart from everything else installed.

In Lambda the runtime client lies beside the function's package, not in it. Here it gets a folder of its own with
nothing but what it imports: a function that runs only thanks to this project's virtual environment fails once deployed.
"""

import functools
import importlib.metadata
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.package import FUNCTION_PYTHON, find_interpreter

ROOT = Path(__file__).resolve().parents[1]
CLIENT_FOLDERS = ROOT / "build" / "runtime-client"
LOCK_FILE = ROOT / "requirements-dev.txt"

RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
"""The runtime client, and what it requires."""

_PROBE = "import awslambdaric.bootstrap, runtime_client, sys; print(*sys.version_info[:3], sep='.')"
_PROBE_SECONDS = 60
_INSTALL_SECONDS = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Interpreter:
    """A Python and the folder of the runtime client that works with it. `description` is one line for people."""

    executable: Path
    runtime_client: Path
    description: str
    matches_runtime: bool = True


class NoInterpreter(Exception):
    """Not even the running Python can run the function; the message says why."""


@functools.cache
def interpreter_for(runtime: str) -> Interpreter:
    """A Python of the version that Lambda's `runtime` (`python3.13`) names; without one that works, the running Python.

    The runtime client for another Python than the running one is installed once, with the lock file's version and
    hashes, into `build/`. Which Python it became is logged: as a warning when it is not the runtime's version.
    Raises NoInterpreter, and PackageError as `infra.package.find_interpreter` does.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = runtime.removeprefix("python")
    problem = ""
    if wanted != running:
        executable = find_interpreter() if wanted == FUNCTION_PYTHON else None
        try:
            if executable:
                client, version = _runtime_client(executable, wanted)
                return _chosen(Interpreter(executable, client, f"{runtime} runs under Python {version}"))
            problem = f"no Python {wanted} found"
        except _Unusable as unusable:
            problem = str(unusable)
    try:
        client, version = _runtime_client(Path(sys.executable), running)
    except _Unusable as unusable:
        raise NoInterpreter(f"{runtime} cannot be run here: {unusable}") from unusable
    description = f"{runtime} runs under Python {version}" + (f" instead: {problem}" if problem else "")
    return _chosen(Interpreter(Path(sys.executable), client, description, matches_runtime=not problem))


class _Unusable(Exception):
    pass


def _chosen(interpreter: Interpreter) -> Interpreter:
    _log.log(logging.INFO if interpreter.matches_runtime else logging.WARNING, "%s", interpreter.description)
    return interpreter


def _runtime_client(executable: Path, version: str) -> tuple[Path, str]:
    """The folder of the runtime client for that Python, made if need be, and the Python's full version."""
    release = importlib.metadata.version(RUNTIME_CLIENT[0])
    folder = CLIENT_FOLDERS / f"python{version}-{release}"
    if not folder.is_dir():
        _make(folder, executable, version)
    probe = _run([executable, "-S", "-c", _PROBE], _PROBE_SECONDS, {"PYTHONPATH": str(folder)})
    if probe.returncode:
        raise _Unusable(f"the runtime client in {folder} does not work with {executable}: {_last_line(probe.stderr)}")
    return folder, probe.stdout.strip()


def _make(folder: Path, executable: Path, version: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        if executable == Path(sys.executable):
            _copy_installed(made)
        else:
            _install(made, version)
        _run([executable, "-S", "-m", "compileall", "-q", "-s", made, "-p", folder, made], _INSTALL_SECONDS)
        try:
            made.rename(folder)
        except OSError:  # another process was faster; what it made is the same
            if not folder.is_dir():
                raise


def _copy_installed(folder: Path) -> None:
    for name in RUNTIME_CLIENT:
        for file in importlib.metadata.files(name) or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)


def _install(folder: Path, version: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        requirements = Path(temporary) / "requirements.txt"
        requirements.write_text(locked_runtime_client(LOCK_FILE.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        command += ["--target", str(folder), "--python-version", version, "--only-binary", ":all:", "--no-deps"]
        installed = _run([*command, "--require-hashes", "--requirement", requirements], _INSTALL_SECONDS, os.environ)
    if installed.returncode:
        raise _Unusable(f"the runtime client for Python {version} cannot be installed: {_last_line(installed.stderr)}")


def locked_runtime_client(lock: str) -> str:
    """The lock file's entries for the runtime client, hashes and all."""
    entries = [re.search(rf"^{name}==(?:.*\\\n)*.*$", lock, re.MULTILINE) for name in RUNTIME_CLIENT]
    return "\n".join(entry[0] for entry in entries if entry)


def _run(
    command: list[str | Path], seconds: float, environment: "os._Environ[str] | dict[str, str] | None" = None
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 - our own commands, no shell
            command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -9, "", f"it took more than {seconds} s")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
