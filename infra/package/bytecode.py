"""Byte code for the function's own Python version.

Without it Lambda compiles every module at every cold start, which then takes about twice as long: /var/task is
read-only. Byte code is checked against its source's time by default, and deployment resets the times, so it is made
*unchecked* here. Another minor version ignores it.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from infra.package.errors import PackageError

FUNCTION_PYTHON = "3.13"
"""The minor version of Lambda's Python that the function runs on."""

BYTE_CODE_TAG = f"cpython-{FUNCTION_PYTHON.replace('.', '')}"
"""What marks byte code of that version in a file's name."""

FUNCTION_ROOT = "/var/task"
"""Where Lambda unpacks the package; tracebacks name files below it."""

INTERPRETER_VARIABLE = "ROLECALL_PYTHON"
"""The environment variable that names the interpreter to compile with."""

_NAME = f"python{FUNCTION_PYTHON}"
_QUESTION = "import sys; print(sys.implementation.cache_tag, sys.version_info.releaselevel)"
_ANSWER_WITHIN = 10  # seconds

# Where version managers and installers put interpreters without changing PATH: (folder, pattern below it).
_INSTALLATIONS = (
    ("~/.pyenv/versions", f"{FUNCTION_PYTHON}.*/bin"),
    ("~/.local/share/uv/python", f"cpython-{FUNCTION_PYTHON}.*/bin"),
    ("~/.local/share/mise/installs/python", f"{FUNCTION_PYTHON}.*/bin"),
    ("~/.asdf/installs/python", f"{FUNCTION_PYTHON}.*/bin"),
    ("/usr", "bin"),
    ("/usr/local", "bin"),
    ("/opt", "*/bin"),
    ("/opt/python", "*/bin"),
    ("/opt/hostedtoolcache/Python", f"{FUNCTION_PYTHON}.*/*/bin"),
    ("/Library/Frameworks/Python.framework/Versions", f"{FUNCTION_PYTHON}/bin"),
)


def find_interpreter(environ: Mapping[str, str] = os.environ) -> Path | None:
    """An interpreter of the function's version that really answers, or None when this machine has none.

    The one that ROLECALL_PYTHON names is taken or refused (PackageError), never passed over.
    """
    named = environ.get(INTERPRETER_VARIABLE)
    if named:
        if not _is_the_functions(Path(named)):
            raise PackageError(f"{INTERPRETER_VARIABLE}={named} is not a working Python {FUNCTION_PYTHON} interpreter")
        return Path(named)
    return first_working(candidates(environ))


def first_working(candidates: Iterable[Path]) -> Path | None:
    """The first candidate that runs and is a released CPython of the function's version."""
    return next((candidate for candidate in candidates if _is_the_functions(candidate)), None)


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Files that may be such an interpreter, likeliest first: this one, those on PATH, those of version managers."""
    if sys.implementation.cache_tag == BYTE_CODE_TAG:
        yield Path(sys.executable)
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    installations = list(_INSTALLATIONS)
    if "PYENV_ROOT" in environ:
        installations.append((f"{environ['PYENV_ROOT']}/versions", f"{FUNCTION_PYTHON}.*/bin"))
    for base, pattern in installations:
        folders += sorted(Path(base).expanduser().glob(pattern), reverse=True)
    yield from (folder / _NAME for folder in dict.fromkeys(folders) if (folder / _NAME).is_file())


def _is_the_functions(interpreter: Path) -> bool:
    """Whether it runs (a version manager's shim may be on PATH and fail) and compiles for the function."""
    try:
        answer = subprocess.run(  # noqa: S603 -- the user's own interpreters, no shell
            [interpreter, "-I", "-S", "-c", _QUESTION],
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_WITHIN,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.split() == [BYTE_CODE_TAG, "final"]


def compile_package(interpreter: Path, root: Path) -> None:
    """Compile every module of the package at `root`. Raises PackageError when one does not compile."""
    # fmt: off
    compileall = [
        str(interpreter), "-P", "-S", "-m", "compileall", "-q", "-j0", "--invalidation-mode=unchecked-hash",
        "-s", str(root), "-p", FUNCTION_ROOT, str(root),
    ]
    # fmt: on
    # Our own settings of Python (optimization, where byte code goes) must not leak in; hash order must not vary.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    outcome = subprocess.run(  # noqa: S603 -- an interpreter found above, no shell
        compileall, env=environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )
    if outcome.returncode:
        raise PackageError(f"cannot compile {root} with {interpreter}:\n{outcome.stdout}{outcome.stderr}".rstrip())
