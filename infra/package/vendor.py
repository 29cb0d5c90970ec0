"""The pinned dependencies, as pip unpacks them for the function and not for this machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.package.bytecode import FUNCTION_PYTHON
from infra.package.errors import PackageError

_PURE_PYTHON = ("--platform=any", "--implementation=py", "--abi=none", f"--python-version={FUNCTION_PYTHON}")
"""Only wheels without machine code match these, so the package runs on arm64, on x86 and on this machine alike."""

_OF_THE_FUNCTION = (
    "--platform=manylinux2014_aarch64",
    "--implementation=cp",
    f"--abi=cp{FUNCTION_PYTHON.replace('.', '')}",
    f"--python-version={FUNCTION_PYTHON}",
)
"""The same wheel on every machine, whatever else the distribution offers."""

_MACHINE_CODE = {".so", ".pyd", ".dylib", ".dll"}

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def vendor(lock: Path, target: Path, accelerated: Collection[str] = ()) -> None:
    """Unpack what `lock` (a hash-pinned requirements file) names into `target`, and nothing else.

    `accelerated` are distributions that come with machine code alone, and run without it: it is left out.
    Raises PackageError when a distribution has no pure-Python wheel, does not match its hash, or cannot be fetched.
    """
    requirements = _requirements(lock)
    if missing := sorted(set(accelerated) - requirements.keys()):
        raise PackageError(f"cannot vendor {lock}: it does not name {', '.join(missing)}")
    with TemporaryDirectory(prefix="rolecall-vendor-") as folder:
        pure, compiled = Path(folder) / "pure.txt", Path(folder) / "accelerated.txt"
        pure.write_text("".join(text for name, text in requirements.items() if name not in accelerated))
        _install(lock, pure, target, _PURE_PYTHON)
        if accelerated:
            compiled.write_text("".join(requirements[name] for name in accelerated))
            unpacked = Path(folder) / "accelerated"
            _install(lock, compiled, unpacked, _OF_THE_FUNCTION)
            for file in _machine_code(unpacked):
                file.unlink()
            shutil.copytree(unpacked, target, dirs_exist_ok=True)
    if found := [str(file.relative_to(target)) for file in _machine_code(target)]:
        raise PackageError(
            f"cannot vendor {lock}: only pure Python runs on every machine, but this is machine code: "
            + ", ".join(found)
        )


def _requirements(lock: Path) -> dict[str, str]:
    """The lines of each requirement by its name: the first begins with it, the others, its hashes, with a space."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.read_text(encoding="utf-8").splitlines(keepends=True):
        if match := _NAME.match(line):
            name = match[0].lower()
            found[name] = ""
        if name and not line.startswith("#"):
            found[name] += line
    return found


def _machine_code(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in _MACHINE_CODE)


def _install(lock: Path, requirements: Path, target: Path, platform: Sequence[str]) -> None:
    # fmt: off
    pip = [
        sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:",
        "--no-compile", *platform, f"--target={target}", f"--requirement={requirements}",
    ]
    # fmt: on
    quiet = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    outcome = subprocess.run(pip, env=os.environ | quiet, capture_output=True, text=True, check=False)  # noqa: S603 -- our own interpreter, no shell
    if outcome.returncode:
        raise PackageError(f"cannot vendor {lock}: {_cause(outcome.stderr)}")


def _cause(stderr: str) -> str:
    """What pip's complaint comes to, and what to do; pip's own words follow."""
    complaint = "\n".join(line for line in stderr.splitlines() if not line.startswith("WARNING: Location"))
    if "No module named pip" in stderr:
        advice = f"{sys.executable} has no pip; `{sys.executable} -m ensurepip` installs it"
    elif "DO NOT MATCH THE HASHES" in stderr:
        advice = "what was fetched is not what the lock pins; fetch again, or find out who changed it"
    elif "Hashes are required" in stderr:
        advice = "every requirement needs its hashes"
    elif "after connection broken by" in stderr or "not a trusted or secure host" in stderr:
        advice = "the package index cannot be reached; check the network, the proxy and pip's configuration"
    elif "No matching distribution found" in stderr:
        advice = "no pure-Python wheel (py3-none-any) of it was found, and nothing else is vendored"
    else:
        advice = "pip failed"
    return f"{advice}\n{complaint.strip()}"
