"""The pinned dependencies, as pip unpacks them for the function and not for this machine."""

import os
import subprocess
import sys
from pathlib import Path

from infra.package.bytecode import FUNCTION_PYTHON
from infra.package.errors import PackageError

# Only wheels without machine code match these tags, so the package runs on arm64, on x86 and on this machine alike.
_PURE_PYTHON = ("--platform=any", "--implementation=py", "--abi=none", f"--python-version={FUNCTION_PYTHON}")

_MACHINE_CODE = {".so", ".pyd", ".dylib", ".dll"}


def vendor(lock: Path, target: Path) -> None:
    """Unpack what `lock` (a hash-pinned requirements file) names into `target`, and nothing else.

    Raises PackageError when a distribution has no pure-Python wheel, does not match its hash, or cannot be fetched.
    """
    # fmt: off
    pip = [
        sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:",
        "--no-compile", *_PURE_PYTHON, f"--target={target}", f"--requirement={lock}",
    ]
    # fmt: on
    quiet = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    outcome = subprocess.run(pip, env=os.environ | quiet, capture_output=True, text=True, check=False)  # noqa: S603 -- our own interpreter, no shell
    if outcome.returncode:
        raise PackageError(f"cannot vendor {lock}: {_cause(outcome.stderr)}")
    compiled = sorted(str(file.relative_to(target)) for file in target.rglob("*") if file.suffix in _MACHINE_CODE)
    if compiled:
        raise PackageError(
            f"cannot vendor {lock}: only pure Python runs on every machine, but this is machine code: "
            + ", ".join(compiled)
        )


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
