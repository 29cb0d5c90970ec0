"""The manifest as whoever verifies a package reads it: every byte of it checked and typed, whoever wrote it.

Its paths become paths on the reader's machine, its numbers become limits: nothing in it is believed before it was
looked at.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from rolecall.errors import InvalidManifest
from rolecall.evidence.canonical import canonical_object
from rolecall.evidence.manifest import (
    MANIFEST,
    SCHEMA,
    SIGNATURE,
    Manifest,
    PackagedFile,
    Period,
    Previous,
    RuleFacts,
    Totals,
)
from rolecall.evidence.signing import refuse_no_signature
from rolecall.record import timestamp

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""A file takes some 300 bytes of a manifest: enough for 200,000 of them."""

MAX_PATH_LENGTH = 512

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
"""No part begins with a dot: a path never leaves its package. No character that a file system reads otherwise."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_KEYS = frozenset(("schema", "period", "sequence", "previous", "files", "rule", "totals", "generatedAt"))


def read_manifest(raw: bytes) -> Manifest:
    """Read the file's bytes. Raises InvalidManifest, which names the field.

    What it returns gives the very same bytes again, so nothing in them went unread.
    """
    given = canonical_object(raw, MANIFEST)
    if given.get("schema") != SCHEMA:
        raise InvalidManifest("schema", given.get("schema"), SCHEMA)
    if given.keys() != _KEYS:
        raise InvalidManifest("the manifest's keys", sorted(given), ", ".join(sorted(_KEYS)))
    period = _period(given)
    sequence = _count(given, "sequence")
    previous = _previous(given)
    if (sequence == 1) != (previous is None) or sequence == 0:
        raise InvalidManifest("sequence", sequence, "1 for the first package, which has no previous one, and above it")
    manifest = Manifest(period, sequence, previous, _files(given), _rule(given), totals(_object(given, "totals")))
    if manifest.to_json() != given:
        raise InvalidManifest("the manifest", raw[:64], "what sealing writes: some object in it holds another key")
    return manifest


def totals(given: Mapping[str, Any], within: str = "totals.") -> Totals:
    """Counts by verdict, as manifests and `coverage.json` hold them; other keys are left alone."""
    return Totals(
        population=_count(given, "population", within),
        compliant=_count(given, "compliant", within),
        exempt=_count(given, "exempt", within),
        non_compliant=_count(given, "nonCompliant", within),
        not_applicable=_count(given, "notApplicable", within),
        unevaluated=_count(given, "unevaluated", within),
    )


def refuse_bad_path(path: str, field: str) -> None:
    """Raise InvalidManifest for a path that is none of a package's files."""
    if len(path) > MAX_PATH_LENGTH or not _PATH.fullmatch(path) or path in (MANIFEST, SIGNATURE):
        raise InvalidManifest(field, path, "a path within the package, of letters, digits, `.`, `_`, `-` and `/`")


def _period(given: Mapping[str, Any]) -> Period:
    raw = _object(given, "period")
    start = _text(raw, "from", "period.")
    try:
        moment = datetime.strptime(start, "%Y-%m-%dT00:00:00.000Z").replace(tzinfo=UTC)
        period = Period(moment, moment + timedelta(days=1))
    except (ValueError, OverflowError):
        raise InvalidManifest("period.from", start, "the beginning of a day, as 2026-01-31T00:00:00.000Z") from None
    if period.to_json() != raw:
        raise InvalidManifest("period", raw, f"one whole day: to is {timestamp(period.end)}")
    if given["generatedAt"] != timestamp(period.end):
        raise InvalidManifest("generatedAt", given["generatedAt"], f"the end of the period, {timestamp(period.end)}")
    return period


def _previous(given: Mapping[str, Any]) -> Previous | None:
    if given["previous"] is None:
        return None
    raw, within = _object(given, "previous"), "previous."
    signature = _text(raw, "signature", within)
    refuse_no_signature(signature, f"{within}signature")
    return Previous(_sha256(raw, "manifestSha256", within), signature)


def _files(given: Mapping[str, Any]) -> list[PackagedFile]:
    raw = given["files"]
    if not isinstance(raw, list):
        raise InvalidManifest("files", raw, "a list")
    files = [_file(one, f"files[{number}]") for number, one in enumerate(raw)]
    for before, after in pairwise(files):
        if before.path >= after.path:
            raise InvalidManifest("files", after.path, f"sorted, each once: it comes after {before.path}")
    return files


def _file(raw: object, name: str) -> PackagedFile:
    if not isinstance(raw, dict):
        raise InvalidManifest(name, raw, "a JSON object")
    within = f"{name}."
    path = _text(raw, "path", within)
    refuse_bad_path(path, f"{within}path")
    return PackagedFile(
        path=path,
        size=_count(raw, "bytes", within),
        sha256=_sha256(raw, "sha256", within),
        content_size=_count(raw, "contentBytes", within),
        content_sha256=_sha256(raw, "contentSha256", within),
        records=None if raw.get("records") is None else _count(raw, "records", within),
    )


def _rule(given: Mapping[str, Any]) -> RuleFacts:
    raw, within = _object(given, "rule"), "rule."
    parameters = _object(raw, "parameters", within)
    return RuleFacts(
        name=_text(raw, "name", within),
        parameters={name: _text(parameters, name, "rule.parameters.", empty=True) for name in parameters},
        rolecall_version=_text(raw, "rolecallVersion", within),
    )


def _object(raw: Mapping[str, Any], name: str, within: str = "") -> Mapping[str, Any]:
    value = raw.get(name)
    if not isinstance(value, dict):
        raise InvalidManifest(f"{within}{name}", value, "a JSON object")
    return value


def _text(raw: Mapping[str, Any], name: str, within: str = "", *, empty: bool = False) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise InvalidManifest(f"{within}{name}", value, "a text" if empty else "a text that is not empty")
    return value


def _sha256(raw: Mapping[str, Any], name: str, within: str) -> str:
    value = _text(raw, name, within)
    if not _SHA256.fullmatch(value):
        raise InvalidManifest(f"{within}{name}", value, "a SHA-256 in hex: 64 digits and small letters")
    return value


def _count(raw: Mapping[str, Any], name: str, within: str = "") -> int:
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidManifest(f"{within}{name}", value, "a number of at least 0")
    return value
