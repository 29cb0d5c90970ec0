"""Leaves out of the vendored dependencies what no function uses.

Cold start pays for botocore's data: it scans one folder for each service and reads the endpoints of all of them.
Python modules cost nothing until they are imported, so only those that bring weight are named here. No module is
changed, and what stays behaves as untrimmed (tests/infra/test_package.py compares them).
"""

import gzip
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from infra.package.errors import PackageError

UNUSED = (
    "bin",  # jmespath's command; its first line names this machine's interpreter
    "boto3/data",  # resources (boto3.resource)
    "boto3/examples",
    "aws_lambda_powertools/event_handler",  # web APIs
    "dateutil/zoneinfo/dateutil-zoneinfo.tar.gz",  # time zones by name
    "urllib3/contrib/emscripten",  # browsers
)

# Of what says how a distribution was installed, only these are the same on every machine and of use later.
_KEPT_METADATA = ("METADATA", "LICENSE*", "NOTICE*", "licenses")


def trim(root: Path, *, services: Collection[str], utilities: Collection[str]) -> None:
    """Trim the dependencies unpacked in `root`: of botocore's services and Powertools' utilities, these stay.

    Raises PackageError when something named here is not there: the lists have to follow the lock.
    """
    for name in UNUSED:
        _remove(_existing(root / name))
    _trim_powertools(_existing(root / "aws_lambda_powertools"), utilities)
    for dist_info in root.glob("*.dist-info"):
        kept = {file for pattern in _KEPT_METADATA for file in dist_info.glob(pattern)}
        _remove_others(dist_info, kept)
    trim_botocore(_existing(root / "botocore/data"), services)


def _trim_powertools(package: Path, utilities: Collection[str]) -> None:
    folder = _existing(package / "utilities")
    _remove_others(folder, {_existing(folder / name) for name in ("__init__.py", *utilities)})
    if "data_classes" not in utilities:  # whose decorator alone is made by it
        _remove(_existing(package / "middleware_factory"))


def trim_botocore(models: Path, services: Collection[str]) -> None:
    """Keep of botocore's data folder what the clients of `services` read, for every partition."""
    endpoint_prefixes = {_trim_service(_existing(models / service)) for service in services}
    folders = {path for path in models.iterdir() if path.is_dir()}
    for folder in folders - {models / service for service in services}:
        shutil.rmtree(folder)

    endpoints = _existing(models / "endpoints.json")
    content = json.loads(endpoints.read_bytes())
    for partition in content["partitions"]:
        known = partition["services"].items()
        partition["services"] = {prefix: service for prefix, service in known if prefix in endpoint_prefixes}
    _write_json(endpoints, content)


def _trim_service(service: Path) -> str:
    """Keep the newest API version, without documentation; return the service's endpoint prefix.

    The files are stored unpacked: Lambda's archive is compressed anyway, botocore reads both forms, and what gzip
    writes differs from one machine's zlib to another's.
    """
    *older, newest = sorted(service.iterdir())
    for version in older:
        shutil.rmtree(version)
    for examples in newest.glob("examples-*.json*"):
        examples.unlink()
    for packed in newest.glob("*.json.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    file = _existing(newest / "service-2.json")
    model = json.loads(file.read_bytes())
    parts = {
        # botocore insists on the documentation of client context parameters.
        name: part if name == "clientContextParams" else _undocumented(part)
        for name, part in model.items()
    }
    _write_json(file, parts)
    return str(model["metadata"]["endpointPrefix"])


def _undocumented(part: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """The part of a model without its documentation texts; a *member* of that name is an object and stays."""
    if isinstance(part, dict):
        return {
            key: _undocumented(value)
            for key, value in part.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    if isinstance(part, list):
        return [_undocumented(value) for value in part]
    return part


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise PackageError(f"infra/package/trim.py names {path}, which the pinned dependencies do not bring")
    return path


def _remove_others(folder: Path, kept: set[Path]) -> None:
    for path in set(folder.iterdir()) - kept:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
