"""Verifying one package: its manifest and signature, then every file, each read once, then whether it all adds up.

Nothing in a package is believed before the pinned key vouches for it: without a good signature its files stay shut.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from rolecall.errors import AwsError, Damaged, InvalidManifest, Missing, NotCanonical, StoreError
from rolecall.evidence.collection_times import CollectionTimes
from rolecall.evidence.findings import Findings, Outcome, PackageReport
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, PackagedFile
from rolecall.evidence.measuring import measure
from rolecall.evidence.packages import SealedPackage, package_of, seal_of
from rolecall.evidence.reconciling import Reconciliation
from rolecall.evidence.signing import Verifier
from rolecall.evidence.stores import BLOCK_BYTES, Store

_OTHER_SCHEMA = re.compile(r"rolecall\.evidence/v[0-9]+")

Progress = Callable[[], None]
"""Called after each file."""


class PackageCheck:
    """Of the package of one day. `run` once; what is there after it is what the chain needs."""

    def __init__(self, store: Store, day: date, keys: Sequence[Verifier]) -> None:
        self._store = store
        self._day = day
        self._verifiers = {key.fingerprint: key for key in keys}
        self._findings = Findings(day)
        self._read = self._present = 0
        self.package: SealedPackage | None = None
        """What was read of manifest and signature, proven or not; None if it cannot be read."""
        self.proven = False
        """Whether a pinned key vouches for it."""
        self.doubted = 0
        self.collected_late: CollectionTimes | None = None
        """If it was collected late."""

    def run(self, present: Iterable[str], progress: Progress) -> PackageReport:
        """Look at everything; `present` are the paths of the files in the package's folder."""
        found = set(present)
        self._read_seal()
        if self.package and self.proven:
            self._check_files(self.package, found, progress)
        return self._report()

    def _read_seal(self) -> None:
        try:
            manifest, signature = seal_of(self._store, self._day)
        except Missing as error:
            self._findings.add(Outcome.INCOMPLETE, self._path(error.key), "is missing: the package is not sealed")
        except StoreError as error:
            self._findings.add(Outcome.TAMPERED, self._path(error.key), error.problem)
        except (AwsError, OSError) as error:
            self._findings.add(Outcome.CANNOT_VERIFY, None, f"cannot be read: {error}")
        else:
            try:
                self.package = package_of(manifest, signature)
            except InvalidManifest as error:
                self._refuse_seal(error, manifest)
            else:
                self._check_seal(self.package)

    def _refuse_seal(self, error: InvalidManifest, manifest: bytes) -> None:
        if error.field == "schema" and _OTHER_SCHEMA.fullmatch(str(error.value)):
            # Whether it was signed so, only a version that knows the schema can tell.
            says = f"is in the form {error.value}, which this version of rolecall cannot verify"
            self._findings.add(Outcome.CANNOT_VERIFY, MANIFEST, says)
            return
        says = error.why if isinstance(error, NotCanonical) else str(error)
        if error.field.startswith(SIGNATURE):
            self._findings.add(Outcome.TAMPERED, SIGNATURE, says)
        else:
            sha256 = hashlib.sha256(manifest).hexdigest()
            self._findings.add(Outcome.TAMPERED, MANIFEST, f"{says}; its SHA-256 is {sha256}")

    def _check_seal(self, package: SealedPackage) -> None:
        theirs = package.signature.key_fingerprint
        key = self._verifiers.get(theirs)
        if key is None:
            says = f"is by another key than the pinned one; of the package's key, the fingerprint is {theirs}"
            self._findings.add(Outcome.TAMPERED, SIGNATURE, says)
        elif not package.is_signed_by(key):
            says = (
                f"is no signature of this manifest, whose SHA-256 is {package.manifest_sha256}, by key "
                f"{key.fingerprint}: one of the two was changed"
            )
            self._findings.add(Outcome.TAMPERED, SIGNATURE, says)
        elif package.manifest.day != self._day:
            self._findings.add(Outcome.TAMPERED, MANIFEST, f"is of {package.manifest.day}, its folder is {self._day}")
        else:
            self.proven = True

    def _check_files(self, package: SealedPackage, found: set[str], progress: Progress) -> None:
        listed = {file.path for file in package.manifest.files}
        for path in sorted(found - listed - {MANIFEST, SIGNATURE}):
            self._findings.add(Outcome.TAMPERED, path, "is not listed in the manifest: it was added")
        self._present = len(listed & found)
        reconciliation = Reconciliation(package.manifest)
        for file in package.manifest.files:
            if file.path in found:
                self._check_file(file, reconciliation)
            else:
                self._findings.add(Outcome.INCOMPLETE, file.path, "is missing")
            progress()
        if not self._findings.total:
            # Only of what is as it was sealed: the sums of a changed file would say nothing more.
            for path, says in reconciliation.problems():
                self._findings.add(Outcome.INCOMPLETE, path, says)
        self.doubted = reconciliation.doubted
        collected = reconciliation.collected
        self.collected_late = collected if collected and collected.is_late(package.manifest.period) else None

    def _check_file(self, file: PackagedFile, reconciliation: Reconciliation) -> None:
        try:
            with self._store.open(f"{self._day}/{file.path}") as stream:
                measured = measure(
                    stream,
                    file.path,
                    content_limit=file.content_size,
                    rows=reconciliation.rows_of(file),
                    take=reconciliation.taking(file),
                )
        except Missing:
            self._findings.add(Outcome.INCOMPLETE, file.path, "is missing")
        except Damaged as error:
            self._findings.add(Outcome.TAMPERED, file.path, self._measured_again(file) or error.problem)
        except StoreError as error:
            self._findings.add(Outcome.TAMPERED, file.path, error.problem)
        except (AwsError, OSError) as error:
            self._findings.add(Outcome.CANNOT_VERIFY, file.path, f"cannot be read: {error}")
        else:
            self._read += measured.size
            if measured != file:
                self._findings.add(Outcome.TAMPERED, file.path, _difference(measured, file))

    def _measured_again(self, file: PackagedFile) -> str:
        """How the stored bytes of a file that cannot be measured differ, in words; empty if they do not."""
        stored, size = hashlib.sha256(), 0
        try:
            with self._store.open(f"{self._day}/{file.path}") as stream:
                while size <= file.size and (block := stream.read(BLOCK_BYTES)):
                    stored.update(block)
                    size += len(block)
        except (StoreError, AwsError, OSError):
            return ""  # it was read a moment ago, and what was wrong with it then is said
        if size > file.size:
            return f"is longer than the {file.size:,} bytes that the manifest says"
        return _stored_difference(size, stored.hexdigest(), file)

    def _path(self, key: str) -> str:
        return key.removeprefix(f"{self._day}/")

    def _report(self) -> PackageReport:
        manifest = self.package.manifest if self.package and self.proven else None
        return PackageReport(
            day=self._day,
            sequence=manifest.sequence if manifest else None,
            manifest_sha256=self.package.manifest_sha256 if self.package and self.proven else None,
            files=len(manifest.files) if manifest else 0,
            files_present=self._present,
            stored_bytes=self._read,
            totals=manifest.totals if manifest else None,
            findings=tuple(self._findings.kept),
            found=self._findings.total,
            outcomes=frozenset(self._findings.outcomes),
        )


def _difference(measured: PackagedFile, file: PackagedFile) -> str:
    """The first thing in which they differ, in words."""
    if stored := _stored_difference(measured.size, measured.sha256, file):
        return stored
    if measured.content_size != file.content_size or measured.content_sha256 != file.content_sha256:
        return f"has content of SHA-256 {measured.content_sha256}; the manifest says {file.content_sha256}"
    return f"has {measured.records} rows; the manifest says {file.records}"


def _stored_difference(size: int, sha256: str, file: PackagedFile) -> str:
    if size != file.size:
        return f"was changed: it has {size:,} bytes; the manifest says {file.size:,}"
    if sha256 != file.sha256:
        return f"was changed: its SHA-256 is {sha256}; the manifest says {file.sha256}"
    return ""
