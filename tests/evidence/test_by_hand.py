import re
import subprocess
from pathlib import Path

import pytest

from rolecall.evidence.stores import FolderStore
from tests.evidence.chains import ANOTHER_KEY, FIRST_DAY, KEY, build

DOCUMENTS = Path(__file__).parents[2] / "docs"


def by_hand(folder: Path) -> subprocess.CompletedProcess[str]:
    """Verify a package in its folder."""
    return run_from("evidence-integrity.md", "by hand", folder)


def run_from(document: str, what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what the documentation says, in a folder."""
    text = (DOCUMENTS / document).read_text()
    (script,) = re.findall(rf"<!-- {what}: begin .*?-->\n```shell\n(.*?)```", text, re.DOTALL)
    return subprocess.run(  # noqa: S603 - our own documentation
        ["bash", "-e", "-c", script],  # noqa: S607 - whichever shell there is
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_fingerprint_is_known_without_rolecall(tmp_path: Path) -> None:
    """By the line that the documentation has for it."""
    (tmp_path / "public-key.pem").write_text(KEY.public.pem())
    done = run_from("evidence.md", "fingerprint", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{KEY.fingerprint}  -\n")


@pytest.mark.parametrize("number", [0, 1])
def test_a_package_verifies_without_rolecall(tmp_path: Path, number: int) -> None:
    """With tools that an auditor trusts, as the documentation has it; the first of a chain, and one after it."""
    sealed = build(FolderStore(tmp_path), 2)[number]
    (tmp_path / "public-key.pem").write_text(KEY.public.pem())
    done = by_hand(tmp_path / f"{sealed.manifest.day}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Verified OK\n", "")


def test_a_changed_package_does_not_verify_without_rolecall(tmp_path: Path) -> None:
    """Neither a changed file nor another key passes."""
    build(FolderStore(tmp_path), 1)
    folder = tmp_path / f"{FIRST_DAY}"
    (tmp_path / "public-key.pem").write_text(ANOTHER_KEY.public.pem())
    assert by_hand(folder).returncode == 1
    (tmp_path / "public-key.pem").write_text(KEY.public.pem())
    (folder / "report.html").write_text("")
    done = by_hand(folder)
    assert (done.returncode, done.stdout.splitlines()) == (1, ["Verified OK", "report.html: FAILED"])
