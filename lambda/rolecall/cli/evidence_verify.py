"""`rolecall evidence verify`: is the evidence what was sealed, and is all of it there?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.text import Text

from rolecall.cli.evidence_key_files import public_key as pinned_key
from rolecall.cli.evidence_place import PlaceArgument, ProfileOption, RegionOption, read_day, read_place
from rolecall.cli.output import opened
from rolecall.cli.screen import ProgressBar, complain, console, printable
from rolecall.errors import AwsError, counted
from rolecall.evidence import verifying
from rolecall.evidence.findings import Finding, Outcome, PackageReport, Report
from rolecall.evidence.signing import Verifier

EXIT_CODES = {
    Outcome.OK: 0,
    # 1 and 2 mean something else already: the interpreter's own, and an option that is wrong.
    Outcome.TAMPERED: 3,
    Outcome.INCOMPLETE: 4,
    Outcome.GAP: 5,
    Outcome.STALE: 6,
    Outcome.CANNOT_VERIFY: 7,
}

_STYLES = {Outcome.OK: "cyan", Outcome.CANNOT_VERIFY: "bold yellow"}
_WIDTH = max(map(len, Outcome))


class ReportFormat(StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"


def verify(  # noqa: PLR0913 - one argument for each option
    place: PlaceArgument,
    *,
    public_key: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="The key that you trust, as PEM: from `rolecall evidence keys`, by a way of your own, never from "
            "beside the packages. Several times if the key was replaced.",
            show_default=False,
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(
            metavar="DAY",
            help="The last day that must be there; later packages are left alone. Default: yesterday, in UTC.",
            show_default=False,
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DAY",
            help="Begin with the package of this day, whatever came before it; the report says what it hangs on. "
            "Default: the first package must be the first one ever sealed.",
            show_default=False,
        ),
    ] = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    chosen: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="How to write the report.")
    ] = ReportFormat.TABLE,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only what is not ok; no summary and no progress.")
    ] = False,
) -> None:
    """Verify packages of audit evidence: offline if they are in a folder, and whoever gave them to you.

    Looks at every byte: the signature of each manifest by the key that you name, every file's size, SHA-256 and
    rows, that no file was added or is missing, that each package hangs on the one before it, that the days follow one
    another up to the last, that all instances of the population are accounted for, and that every exempt instance has
    its exemption. Reads only, and holds no more of a file than a block.

    Given a single package's own folder, it verifies that one and says which package must come before it.

    **Examples**

    ```
    rolecall evidence verify evidence/ --public-key public-key.pem
    rolecall evidence verify evidence/ --public-key public-key.pem --from 2026-01-01 --until 2026-03-31
    rolecall evidence verify s3://example-packages/packages --public-key public-key.pem --format json
    ```

    **Exit codes**

    - `0` all is as it was sealed, and all of it is there
    - `2` an option is wrong
    - `3` tampered: something was changed, added or re-signed
    - `4` incomplete: a file is missing, or what was sealed does not account for every instance
    - `5` gap: days are missing before or between packages, or a new chain begins between them
    - `6` stale: the last days are missing
    - `7` cannot verify: there is no package, or something could not be read

    With several findings, the lowest code of theirs.
    """
    where = read_place(place)
    first_day, last_day = _period(where.day, first, until)
    keys = [pinned_key(path, "--public-key") for path in public_key]
    bar = ProgressBar("files", None, wanted=not quiet)
    try:
        with where.opened(profile, region) as store:
            report = verifying.verify(
                store,
                keys,
                until=last_day,
                first=first_day,
                describe=bar.describe,
                progress=lambda: bar.advance(1),
            )
    except AwsError as error:
        bar.hide()
        complain(str(error))
        raise typer.Exit(EXIT_CODES[Outcome.CANNOT_VERIFY]) from None
    finally:
        bar.hide()
    with opened(None) as out:
        if chosen is ReportFormat.JSON:
            _write_json(out, report, keys, first_day, last_day)
        else:
            _write_table(out, report, dict(zip(public_key, keys, strict=True)), last_day, quiet=quiet)
    if code := EXIT_CODES[report.outcome]:
        raise typer.Exit(code)


def _period(day: date | None, first: str | None, until: str | None) -> tuple[date | None, date]:
    first_day, last_day = read_day(first, "--from"), read_day(until, "--until")
    if day:
        if first_day or last_day:
            raise typer.BadParameter(
                "leave it out: PATH is a single package", param_hint="--from" if first_day else "--until"
            )
        return day, day
    last_day = last_day or (datetime.now(UTC) - timedelta(days=1)).date()
    if first_day and first_day > last_day:
        raise typer.BadParameter(f"{first_day} is later than the last day, {last_day}", param_hint="--from")
    return first_day, last_day


def _write_json(output: TextIO, report: Report, keys: Sequence[Verifier], first: date | None, until: date) -> None:
    described = {
        "outcome": report.outcome,
        "exitCode": EXIT_CODES[report.outcome],
        "publicKeys": [key.fingerprint for key in keys],
        "from": first and first.isoformat(),
        "until": until.isoformat(),
        "begins": report.begins and report.begins.isoformat(),
        "signedSince": {key: day.isoformat() for key, day in report.signed_since.items()},
        "anchor": report.anchor and report.anchor.to_json(),
        "packages": [_package_object(package) for package in report.packages],
        "findings": [_finding_object(finding) for finding in report.all_findings()],
        "notes": list(report.notes),
    }
    output.write(f"{json.dumps(described, indent=2, ensure_ascii=False)}\n")


def _package_object(package: PackageReport) -> dict[str, Any]:
    return {
        "day": package.day.isoformat(),
        "outcome": package.outcome,
        "sequence": package.sequence,
        "manifestSha256": package.manifest_sha256,
        "files": package.files,
        "filesPresent": package.files_present,
        "bytes": package.stored_bytes,
        "totals": package.totals and package.totals.to_json(),
        "findings": package.found,
    }


def _finding_object(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"day": finding.day and finding.day.isoformat()}


def _write_table(output: TextIO, report: Report, keys: Mapping[Path, Verifier], until: date, *, quiet: bool) -> None:
    out = console(output)
    for package in report.packages:
        if quiet and package.outcome is Outcome.OK:
            continue
        out.print(_line(package.outcome, f"{package.day}  {_contents(package)}"))
        for finding in package.findings:
            out.print(Text(f"{'':<{_WIDTH}}  → {_place(finding)}{printable(finding.says)}"))
        if package.found > len(package.findings):
            out.print(Text(f"{'':<{_WIDTH}}  → and {package.found - len(package.findings):,} more"))
    for finding in report.findings:
        day = f"{finding.day}  " if finding.day else ""
        out.print(_line(finding.outcome, f"{day}{_place(finding)}{printable(finding.says)}"))
    if quiet:
        return
    for path, key in keys.items():
        out.print(Text(f"{'pinned key':<{_WIDTH}}  {key.fingerprint}, from {printable(str(path))}"))
    for note in report.notes:
        out.print(Text(f"{'note':<{_WIDTH}}  {printable(note)}"))
    out.print(_line(report.outcome, _summary(report, until)))


def _line(outcome: Outcome, says: str) -> Text:
    style = _STYLES.get(outcome, "bold red")
    return Text(f"{outcome.value:<{_WIDTH}}", style=style).append(f"  {says}", style="not bold default")


def _place(finding: Finding) -> str:
    return f"{printable(finding.path)}: " if finding.path else ""


def _contents(package: PackageReport) -> str:
    if package.totals is None:
        return "not proven, so its files were not opened"
    return (
        f"number {package.sequence:,}: {_files(package)}, {package.stored_bytes:,} bytes, "
        f"{counted(package.totals.population, 'instance')}"
    )


def _files(package: PackageReport) -> str:
    listed = counted(package.files, "file")
    return listed if package.files_present == package.files else f"{package.files_present:,} of {listed}"


def _summary(report: Report, until: date) -> str:
    count = len(report.packages)
    packages = counted(count, "package")
    if report.outcome is not Outcome.OK:
        wrong = sum(package.found for package in report.packages) + len(report.findings)
        return f"{packages} up to {until}: {counted(wrong, 'finding')}."
    days = f"of {until}" if count == 1 else f"from {report.packages[0].day} to {until}, without a gap"
    return f"{packages} {days}: every file is as it was sealed, every instance is accounted for."
