import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import interpreter
from local.interpreter import LOCK_FILE, RUNTIME_CLIENT, NoInterpreter, interpreter_for, locked_runtime_client
from tests.local.functions import RUNNING_PYTHON

RUNNING = ".".join(str(part) for part in sys.version_info[:3])


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    interpreter_for.cache_clear()
    yield
    interpreter_for.cache_clear()


def test_the_running_python_runs_its_own_version(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is searched or installed for the version that runs already."""
    caplog.set_level(logging.INFO)
    found = interpreter_for(RUNNING_PYTHON)
    assert (found.executable, found.matches_runtime) == (Path(sys.executable), True)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", f"{RUNNING_PYTHON} runs under Python {RUNNING}")
    ]


def test_the_runtime_client_stands_alone() -> None:
    """Its folder holds what it needs to be imported, and no other package."""
    folder = interpreter_for(RUNNING_PYTHON).runtime_client
    names = {file.name.partition(".")[0] for file in folder.iterdir() if not file.name.endswith(".dist-info")}
    assert names == {"__pycache__", "awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"}


def test_another_version_falls_back_to_the_running_python(caplog: pytest.LogCaptureFixture) -> None:
    """Without a Python of the runtime's version the running one is used, and one line says so."""
    found = interpreter_for("python3.99")
    assert (found.executable, found.matches_runtime) == (Path(sys.executable), False)
    expected = f"python3.99 runs under Python {RUNNING} instead: no Python 3.99 found"
    assert found.description == expected
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", expected)]


def test_a_python_without_its_runtime_client_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What keeps a Python of the right version from being used is in the line."""
    monkeypatch.setattr(interpreter, "FUNCTION_PYTHON", "3.99")
    monkeypatch.setattr(interpreter, "find_interpreter", lambda: Path("/nowhere/python3.99"))
    monkeypatch.setattr(interpreter, "CLIENT_FOLDERS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    description = interpreter_for("python3.99").description
    prefix = f"python3.99 runs under Python {RUNNING} instead: the runtime client for Python 3.99 cannot be installed: "
    assert description.startswith(prefix)
    assert "\n" not in description


def test_no_python_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When not even the running Python works with the runtime client, the error says what fails."""
    monkeypatch.setattr(interpreter, "CLIENT_FOLDERS", tmp_path)
    monkeypatch.setattr(interpreter, "RUNTIME_CLIENT", ("awslambdaric",))
    missing = r"No module named '(simplejson|snapshot_restore_py)'"
    with pytest.raises(
        NoInterpreter, match=rf"^{RUNNING_PYTHON} cannot be run here: the runtime client in .*{missing}$"
    ):
        interpreter_for(RUNNING_PYTHON)


def test_the_runtime_client_is_locked() -> None:
    """The lock file pins the runtime client and what it requires, each with hashes."""
    entries = locked_runtime_client(LOCK_FILE.read_text(encoding="utf-8"))
    assert re.findall(r"^([a-z-]+)==", entries, re.MULTILINE) == list(RUNTIME_CLIENT)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entries)) > len(RUNTIME_CLIENT)
    assert "--hash" in entries.splitlines()[-1]
