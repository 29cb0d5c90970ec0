"""Where evidence is: a folder or a bucket, a whole chain of packages or a single one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from rolecall.errors import shown
from rolecall.evidence.packages import day_of
from rolecall.evidence.stores import FolderStore, Store

S3 = "s3://"

KMS_KEY = re.compile(
    r"alias/[A-Za-z0-9/_-]+|arn:[a-z-]+:kms:\S+|mrk-[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""An alias, an ARN or an id, as AWS KMS takes them."""

PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH|s3://BUCKET/PREFIX",
        help="The folder that holds the packages, one folder for each day; or a single package's own folder.",
        show_default=False,
    ),
]

ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration, for what is in AWS.")
]

RegionOption = Annotated[
    str | None,
    typer.Option(metavar="REGION", help="Default: your profile's.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class Place:
    """What the argument names. `root` is the folder or the URL above the packages."""

    root: str
    day: date | None
    """Of the single package that it names; None if it names all of them."""

    @contextmanager
    def opened(self, profile: str | None, region: str | None) -> Iterator[Store]:
        """The packages there. Raises AwsError."""
        if not self.root.startswith(S3):
            yield FolderStore(Path(self.root))
            return
        from rolecall.aws.evidence_account import EvidenceAccount  # noqa: PLC0415 - boto3 loads slowly

        bucket, _, prefix = self.root.removeprefix(S3).partition("/")
        with EvidenceAccount(profile).packages(bucket, prefix, region) as store:
            yield store


def read_place(text: str) -> Place:
    """Read the argument. Raises BadParameter for a folder that is not there and a URL without a bucket."""
    hint = "PATH"
    if text.startswith(S3):
        trimmed = text.rstrip("/")
        above, _, name = trimmed.rpartition("/")
        if len(trimmed) <= len(S3) or trimmed[len(S3)] == "/":
            raise typer.BadParameter(
                f"{shown(text)} names no bucket; allowed: as s3://bucket/packages", param_hint=hint
            )
        if (day := day_of(name)) and len(above) >= len(S3):
            return Place(above, day)
        return Place(trimmed, None)
    # A path such as `.` gets its name only so; links in it stay what they are.
    path = Path(text).absolute() if text.strip() else Path(text)
    if not text.strip() or not path.is_dir():
        raise typer.BadParameter(f"{shown(text)} is no folder", param_hint=hint)
    day = day_of(path.name)
    return Place(str(path.parent), day) if day else Place(str(path), None)


def read_day(text: str | None, option: str) -> date | None:
    """The value of an option that is a day. Raises BadParameter."""
    if text is None:
        return None
    day = day_of(text)
    if day is None:
        raise typer.BadParameter(f"{shown(text)} is no day; allowed: as 2026-01-31", param_hint=option)
    return day


def refuse_no_folder(path: Path, option: str) -> None:
    """Raise BadParameter for what can be no folder: it is something else already, or lies in such."""
    there = next(above for above in (path.absolute(), *path.absolute().parents) if above.exists())
    if not there.is_dir():
        raise typer.BadParameter(f"{there} is no folder", param_hint=option)
