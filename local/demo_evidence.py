"""How `make demo` ends: the day becomes a signed package, which is taken along and verified as an auditor would."""

import hashlib
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.aws import LocalAws
from local.demonstration import table
from local.evidence_deployment import EvidenceDeployment
from local.timestamps import epoch_ms
from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.manifest import Totals
from rolecall.evidence.packages import read_package
from rolecall.evidence.steps import PACKAGES
from rolecall.evidence.stores import FolderStore

PUBLIC_KEY = "public-key.pem"


class DemoClock:
    """The time in the demo, where a night is over at once."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def advance(self, by: timedelta) -> None:
        """It is later by this much."""
        self._ahead += by

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC) + self._ahead

    def now_ms(self) -> int:
        """The same, as AWS Config keeps it."""
        return epoch_ms(self.now())


@dataclass(frozen=True, slots=True)
class TakenAlong:
    """A sealed package in a folder, its public key beside it."""

    folder: Path
    day: date
    totals: Totals
    files: int

    @property
    def report(self) -> Path:
        """What a person reads."""
        return self.folder / f"{self.day}" / "report.html"

    @property
    def verify_command(self) -> str:
        """What verifies it from the project's folder. The night passed in the demo alone, so the last day is named."""
        key = self.folder / PUBLIC_KEY
        words = ["evidence", "verify", self.folder, "--public-key", key, "--until", self.day]
        return shlex.join([".venv/bin/rolecall", *map(str, words)])


def take_along(aws: LocalAws, evidence: EvidenceDeployment, day: date, folder: Path) -> TakenAlong:
    """Have the state machine package `day`, and copy what it sealed to `folder`, in place of what is there.

    Raises SystemExit if the state machine fails.
    """
    execution = evidence.package(day)
    if execution.status != "SUCCEEDED":
        raise SystemExit(f"the state machine {execution.status}: {execution.error}: {execution.cause}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    packages, copy = ObjectStore(aws.client("s3"), evidence.bucket("Packages"), PACKAGES), FolderStore(folder)
    for key in packages.keys():  # noqa: SIM118 - a store is no dictionary
        with packages.open(key) as stream:
            content = stream.read()
        copy.put_once(key, content, sha256=hashlib.sha256(content).hexdigest())
    public = PublicKey.from_der(SigningKey(aws.client("kms"), evidence.key_arn).public_key_der)
    (folder / PUBLIC_KEY).write_text(public.pem(), encoding="ascii")
    manifest = read_package(copy, day).manifest
    return TakenAlong(folder, day, manifest.totals, len(manifest.files))


def verified(command: str) -> str:
    """Type the command, as anybody would; the last line that it prints, which says how it ended.

    Raises SystemExit if it is not content.
    """
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()[-1]


def show(console: Console, package: TakenAlong) -> None:
    """What is in the package, where its report is, and how to verify it; does so, too."""
    console.print(_totals(package))
    for line in (
        "Open the report in a browser:",
        f"  {package.report}",
        "Verify the package as an auditor would, offline, with the key alone:",
        f"  {package.verify_command}",
        f"  {verified(package.verify_command)}",
    ):
        # Whatever is to be copied stays on one line.
        console.print(line, markup=False, soft_wrap=True)


def _totals(package: TakenAlong) -> Table:
    totals = package.totals
    shown = table("day", "instances", "with a role", "exempt", "non-compliant", "other", "signed files")
    other = totals.not_applicable + totals.unevaluated
    numbers = (totals.population, totals.compliant, totals.exempt, totals.non_compliant, other, package.files)
    shown.add_row(f"{package.day}", *map(str, numbers))
    return shown
