"""Builds the package, once for each distinct set of inputs.

A package is named by its inputs: our sources, the lock, this builder and the byte code's tag. The same inputs give the
same package on any machine and in any folder, so its name is also what tells the CDK whether the function changed.
"""

import fcntl
import hashlib
import io
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.package.bytecode import (
    BYTE_CODE_TAG,
    FUNCTION_PYTHON,
    INTERPRETER_VARIABLE,
    compile_package,
    find_interpreter,
)
from infra.package.contents import PROJECT, SOURCE_ROOT, Contents
from infra.package.trim import trim
from infra.package.vendor import vendor

DEFAULT_OUTPUT = PROJECT / "build" / "package"

_SLOW = (
    f"WARNING: no Python {FUNCTION_PYTHON} found, so the deployment package carries no byte code and every cold start "
    f"takes about twice as long. Install Python {FUNCTION_PYTHON} (`pyenv install {FUNCTION_PYTHON}` or "
    f"`uv python install {FUNCTION_PYTHON}`), or name one in {INTERPRETER_VARIABLE}."
)
_UNFINISHED = ".unfinished-"
_KEPT_BUILDS = 16  # those used last; packages and dependencies count alike
_MODIFIED = 315_532_800  # 1980-01-01, the oldest time a zip archive can tell


@dataclass(frozen=True)
class Package:
    """A finished deployment package."""

    path: Path
    """The folder whose contents are unpacked into /var/task. It is not to be written to."""
    key: str
    """Hex digest of everything it was built from."""
    byte_code: bool
    """Whether it carries byte code for the function's Python."""

    def unzipped_size(self) -> int:
        """Bytes on the function's disk."""
        return sum(file.stat().st_size for file in _files(self.path))

    def zipped_size(self) -> int:
        """Bytes of the archive that is uploaded."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file in _files(self.path):
                zipped.write(file, file.relative_to(self.path))
        return len(archive.getvalue())


def build_package(
    contents: Contents, output: Path = DEFAULT_OUTPUT, *, search: Callable[[], Path | None] = find_interpreter
) -> Package:
    """Build a package into a folder of its own below `output`, or take the one that is there already.

    `search` finds the interpreter to compile with; without one the package goes without byte code, and stderr says so.
    Safe to call from several processes at once. Raises PackageError.
    """
    interpreter = search()
    if interpreter is None:
        _say(_SLOW)
    sources = _read(SOURCE_ROOT, contents.sources())
    kept = f"dependencies {' '.join(contents.services)} and {' '.join(contents.utilities)}"
    if contents.accelerated:
        kept += f", without the machine code of {' '.join(contents.accelerated)}"
    dependencies_key = _digest(kept, _read(PROJECT, [contents.lock, *Path(__file__).parent.glob("*.py")]))
    key = _digest(f"{dependencies_key} {BYTE_CODE_TAG if interpreter else 'no byte code'}", sources)

    def build_dependencies(folder: Path) -> None:
        _say(f"fetching the dependencies of the deployment package {contents.name} ...")
        vendor(contents.lock, folder, contents.accelerated)
        trim(folder, services=contents.services, utilities=contents.utilities)

    def build_whole(folder: Path) -> None:
        started = time.monotonic()
        dependencies = _cached(output, dependencies_key, build_dependencies)
        shutil.copytree(dependencies, folder, dirs_exist_ok=True)
        for name, content in sources.items():
            packaged = folder / name
            packaged.parent.mkdir(parents=True, exist_ok=True)
            packaged.write_bytes(content)
        if interpreter:
            compile_package(interpreter, folder)
        _say(f"built the deployment package {contents.name} in {time.monotonic() - started:.1f} s")

    if not (output / key).is_dir():
        with _exclusively(output):
            _cached(output, key, build_whole)
    os.utime(output / key)
    return Package(output / key, key, byte_code=interpreter is not None)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read(base: Path, files: Iterable[Path]) -> dict[Path, bytes]:
    """Files by their path below `base`, in a fixed order. Read once: an edit while we build changes nothing."""
    return {file.relative_to(base): file.read_bytes() for file in sorted(files)}


def _digest(start: str, contents: Mapping[Path, bytes]) -> str:
    """What `start` and the files' names and contents come to, as 40 hex digits."""
    digest = hashlib.sha256(start.encode())
    for name, content in contents.items():
        digest.update(f"\0{name.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:40]


@contextmanager
def _exclusively(output: Path) -> Iterator[None]:
    """Wait until no other process builds into `output`; clear what a killed one left, and what has grown old."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in output.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(abandoned)
        yield
        builds = sorted(output.glob("[0-9a-f]" * 40), key=lambda build: build.stat().st_mtime, reverse=True)
        for old in builds[_KEPT_BUILDS:]:
            shutil.rmtree(old.rename(output / f"{_UNFINISHED}{old.name}"))


def _cached(output: Path, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `key`, built if it is not there; it appears under its name only when it is whole."""
    finished = output / key
    if not finished.is_dir():
        with TemporaryDirectory(dir=output, prefix=_UNFINISHED) as unfinished:
            folder = Path(unfinished) / key
            folder.mkdir()
            build(folder)
            _normalize(folder)
            folder.rename(finished)
    os.utime(finished)  # in use: what has the oldest time is cleared away
    return finished


def _normalize(folder: Path) -> None:
    """Give every file and folder the same time and mode, whatever this machine's clock and umask are."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_MODIFIED, _MODIFIED))


def _say(message: str) -> None:
    sys.stderr.write(f"rolecall: {message}\n")
    sys.stderr.flush()
