"""`rolecall evidence export`: a package's evaluations in the format of other tools."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from rolecall.cli.evidence_place import PlaceArgument, ProfileOption, RegionOption, read_place
from rolecall.cli.evidence_show import newest_day
from rolecall.cli.output import UNUSABLE, opened, output_path
from rolecall.cli.screen import complain, say
from rolecall.errors import AwsError, InvalidManifest, StoreError, counted
from rolecall.evidence.ocsf_export import evidence_rows, ocsf_finding
from rolecall.evidence.packages import read_package
from rolecall.findings.settings import DEFAULTS


class ExportFormat(StrEnum):
    """What can be written."""

    OCSF = "ocsf"
    """OCSF 1.8.0, Compliance Finding (class 2003)."""


def export(
    place: PlaceArgument,
    *,
    chosen: Annotated[
        ExportFormat,
        typer.Option("--format", "-f", help="`ocsf`: one Compliance Finding of OCSF 1.8.0 on each line."),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.", show_default=False),
    ] = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Write what a package says of every instance in another format; of many packages, the newest one's.

    An instance without a recorded verdict of rolecall has no finding; how many there are is said. It believes the
    package: `rolecall evidence verify` tells whether that is right.

    **Example**

    ```
    rolecall evidence export evidence/2026-03-31 --format ocsf --output findings.jsonl
    ```

    **Exit codes**

    - `0` it was written
    - `2` an option is wrong, or there is no package that can be read
    """
    where = read_place(place)
    target = output_path(output) if output is not None else None
    written = without = 0
    try:
        with where.opened(profile, region) as store, opened(target) as out:
            package = read_package(store, where.day or newest_day(store, where.root))
            for row in evidence_rows(store, package):
                finding = {ExportFormat.OCSF: ocsf_finding}[chosen](row, DEFAULTS)
                if finding is None:
                    without += 1
                else:
                    out.write(f"{json.dumps(finding, ensure_ascii=False)}\n")
                    written += 1
    except (AwsError, StoreError, InvalidManifest) as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None
    have = "has" if without == 1 else "have"
    say(f"{counted(written, 'finding')}; {counted(without, 'instance')} without a recorded verdict {have} none")
