"""Files as AWS Config delivers them to a bucket, under its own keys."""

import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.builders import ACCOUNT, REGION, Json


def snapshot(folder: Path, at: datetime, items: Sequence[Json], account: str = ACCOUNT, region: str = REGION) -> Path:
    """Everything that was recorded at that time."""
    name = f"{account}_Config_{region}_ConfigSnapshot_{at:%Y%m%dT%H%M%SZ}_00000000-0000-0000-0000-000000000000.json.gz"
    document = {"fileVersion": "1.0", "configSnapshotId": "00000000", "configurationItems": list(items)}
    return _written(_folder(folder, at, account, region) / "ConfigSnapshot" / name, document)


def history(  # noqa: PLR0913 - what a file's name says
    folder: Path,
    at: datetime,
    items: Sequence[Json],
    account: str = ACCOUNT,
    region: str = REGION,
    *,
    resource_type: str = "AWS::EC2::Instance",
) -> Path:
    """The items of one type since the last such file, delivered at that time."""
    stamp = f"{at:%Y%m%dT%H%M%SZ}"
    name = f"{account}_Config_{region}_ConfigHistory_{resource_type}_{stamp}_{stamp}_1.json.gz"
    document = {"fileVersion": "1.0", "configurationItems": list(items)}
    return _written(_folder(folder, at, account, region) / "ConfigHistory" / name, document)


def _folder(folder: Path, at: datetime, account: str, region: str) -> Path:
    # Without leading zeros, as AWS Config writes them.
    return folder / "AWSLogs" / account / "Config" / region / str(at.year) / str(at.month) / str(at.day)


def _written(path: Path, document: Json) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
    return path
