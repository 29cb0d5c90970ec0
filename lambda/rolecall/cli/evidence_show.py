"""`rolecall evidence show`: what a package says of itself."""

import json
from datetime import date
from enum import StrEnum
from typing import Annotated, TextIO

import typer
from rich.text import Text

from rolecall.cli.evidence_place import PlaceArgument, ProfileOption, RegionOption, read_place
from rolecall.cli.output import UNUSABLE, opened
from rolecall.cli.screen import complain, console, printable, say
from rolecall.errors import AwsError, InvalidManifest, StoreError
from rolecall.evidence.manifest import PackagedFile
from rolecall.evidence.packages import SealedPackage, by_day, read_package
from rolecall.evidence.received_coverage import COVERAGE, CoverageReader
from rolecall.evidence.stores import BLOCK_BYTES, Store


class SummaryFormat(StrEnum):
    """How the summary is written."""

    TEXT = "text"
    JSON = "json"


def show(
    place: PlaceArgument,
    *,
    profile: ProfileOption = None,
    region: RegionOption = None,
    chosen: Annotated[
        SummaryFormat, typer.Option("--format", "-f", help="`json` is the manifest, with the signature beside it.")
    ] = SummaryFormat.TEXT,
) -> None:
    """Print a package's summary: its day, its rule, its population by verdict, its files; of many, the newest.

    It believes what the manifest says: `rolecall evidence verify` tells whether that is true.

    **Example**

    ```
    rolecall evidence show evidence/2026-03-31
    ```

    **Exit codes**

    - `0` it was printed
    - `2` an option is wrong, or there is no package that can be read
    """
    where = read_place(place)
    try:
        with where.opened(profile, region) as store:
            day = where.day or newest_day(store, where.root)
            package = read_package(store, day)
            collected = _collected(store, package) if chosen is SummaryFormat.TEXT else ""
    except (AwsError, StoreError, InvalidManifest, OSError) as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None
    with opened(None) as out:
        if chosen is SummaryFormat.JSON:
            described = package.manifest.to_json() | {
                "manifestSha256": package.manifest_sha256,
                "signature": package.signature.value,
                "keyFingerprint": package.signature.key_fingerprint,
            }
            out.write(f"{json.dumps(described, indent=2, ensure_ascii=False)}\n")
        else:
            _write_text(out, package, collected)
    say("nothing of this was verified: see rolecall evidence verify --help")


def newest_day(store: Store, root: str) -> date:
    """The day of the newest package. Raises StoreError, which names `root`, if there is none."""
    newest = max((day for _, day, _ in by_day(store) if day), default=None)
    if newest is None:
        raise StoreError(root, "there is no package in it: a folder named for its day, as 2026-01-31")
    return newest


def _collected(store: Store, package: SealedPackage) -> str:
    """When it was, as its coverage says; why nobody knows, if that cannot be read. Raises AwsError."""
    reader = CoverageReader()
    try:
        with store.open(f"{package.manifest.day}/{COVERAGE}") as stream:
            while block := stream.read(BLOCK_BYTES):
                reader.take(block)
        collected = reader.coverage().collected
    except (StoreError, InvalidManifest) as error:
        return f"not known: {error}"
    if collected is None:
        return "there was no account and region to collect"
    late = "; late, so it shows what there was then" if collected.is_late(package.manifest.period) else ""
    return f"{collected.in_words()}{late}"


def _write_text(output: TextIO, package: SealedPackage, collected: str) -> None:
    manifest = package.manifest
    rule = manifest.rule
    parameters = ", ".join(f"{name}={value}" for name, value in sorted(rule.parameters.items()))
    previous = manifest.previous.manifest_sha256 if manifest.previous else "none: this is the first package"
    facts = {
        "day": f"{manifest.day} (UTC)",
        "collected": collected,
        "number": f"{manifest.sequence:,}",
        "rule": f"{rule.name}, rolecall {rule.rolecall_version}",
        "parameters": parameters or "none",
        **{_words(name): f"{count:,}" for name, count in manifest.totals.to_json().items()},
        "manifest": package.manifest_sha256,
        "previous": previous,
        "signed by key": package.signature.key_fingerprint,
    }
    out = console(output)
    width = max(map(len, facts))
    for name, fact in facts.items():
        out.print(Text(f"{name:<{width}}", style="bold").append(f"  {printable(fact)}", style="not bold"))
    out.print()
    paths = max((len(file.path) for file in manifest.files), default=0)
    for file in manifest.files:
        out.print(Text(f"{file.path:<{paths}}  {file.size:>12,} bytes{_rows(file)}"))


def _rows(file: PackagedFile) -> str:
    return "" if file.records is None else f"  {file.records:>10,} rows"


def _words(name: str) -> str:
    """`nonCompliant` as `non-compliant`."""
    return {"nonCompliant": "non-compliant", "notApplicable": "not applicable"}.get(name, name)
