"""Chains of small packages, made by hand in the form that the exporter writes, and sealed by the real sealing."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from rolecall.evidence.evaluation_rows import VERDICTS
from rolecall.evidence.keys import LocalKey, PublicKey
from rolecall.evidence.manifest import PackagedFile, RuleFacts, Totals
from rolecall.evidence.measuring import measure
from rolecall.evidence.packages import SealedPackage, package_before
from rolecall.evidence.sealing import seal
from rolecall.evidence.stores import Store

FIRST_DAY = date(2026, 11, 20)

KEY = LocalKey(ec.derive_private_key(1, ec.SECP256R1()))
"""Always the same, and nobody's."""

ANOTHER_KEY = LocalKey(ec.derive_private_key(2, ec.SECP256R1()))

RULE = RuleFacts("rolecall-ec2-instance-profile", {"exemptionTagKey": "intentional-no-role"}, "0.1.0")


@dataclass(frozen=True)
class Row:
    """One instance of a population."""

    resource_id: str
    verdict: str = "COMPLIANT"
    exemption: Mapping[str, Any] | None = None
    agreement: str = "AGREES"


def exempt(resource_id: str, **changes: object) -> Row:
    """An instance with an exemption that holds."""
    exemption = {
        "state": "valid",
        "problem": None,
        "reason": 'licence server, "old"\n=1+1',
        "approvedBy": "ciso@example.com",
        "ticket": "SEC-7",
        "granted": "2026-01-01",
        "expires": "2026-12-31",
    }
    return Row(resource_id, "EXEMPT", exemption | changes)


def gzipped(content: bytes) -> bytes:
    """One member, without a name and a time."""
    return gzip.compress(content, mtime=0)


@dataclass(frozen=True)
class Day:
    """What a package is made of; change a field to make one that contradicts itself."""

    day: date = FIRST_DAY
    collected: date | None = None
    """When, at two in the night; None: in the night after the day."""
    parts: Mapping[tuple[str, str], Sequence[Row]] = field(default_factory=dict)
    others: Mapping[str, bytes] = field(
        default_factory=lambda: {
            "kpis.json": b'{"schema":"rolecall.kpis/v1"}\n',
            "episodes/111122223333_eu-west-1.jsonl.gz": gzipped(b'{"schema":"rolecall.episodes/v1"}\n'),
            "assessment-results.oscal.json": b"{}\n",
            "report.html": b"<!doctype html><title>Evidence</title>\n",
        }
    )

    def files(self) -> dict[str, bytes]:
        """Path and stored bytes of each file."""
        found = dict(self.others)
        found["coverage.json"] = json_bytes(self.coverage())
        found["exemptions.csv"] = self.exemptions()
        for (account, region), rows in self.parts.items():
            lines = b"".join(json_bytes(row_object(account, region, row)) for row in rows)
            found[f"evaluations/{account}_{region}.jsonl.gz"] = gzipped(lines)
            table = csv_bytes(["account", "region", "resource_id", "verdict"],
                              [[account, region, row.resource_id, row.verdict] for row in rows])  # fmt: skip
            found[f"evaluations/{account}_{region}.csv.gz"] = gzipped(table)
        return found

    def coverage(self) -> dict[str, Any]:
        """`coverage.json`."""
        counted = {home: totals(rows) for home, rows in self.parts.items()}
        return {
            "schema": "rolecall.coverage/v1",
            "day": self.day.isoformat(),
            "total": totals([row for rows in self.parts.values() for row in rows]).to_json(),
            "accountRegions": [
                {"account": account, "region": region, **one.to_json(), "covered": True,
                 "collectedAt": f"{self.collected or self.day + timedelta(days=1)}T02:00:00.000Z"}
                for (account, region), one in counted.items()
            ],
        }  # fmt: skip

    def exemptions(self) -> bytes:
        """`exemptions.csv`."""
        return csv_bytes(
            ["account", "region", "resource_id", "reason", "approved_by", "ticket", "granted", "expires", "days_left",
             "age", "state", "problem", "verdict"],
            [
                [account, region, row.resource_id, f"'{row.exemption['reason']}", row.exemption["approvedBy"],
                 row.exemption["ticket"], row.exemption["granted"], row.exemption["expires"], "7", "7",
                 row.exemption["state"], row.exemption["problem"], row.verdict]
                for (account, region), rows in self.parts.items() for row in rows if row.exemption
            ],
        )  # fmt: skip


A_DAY = Day(
    parts={
        ("111122223333", "eu-west-1"): [
            Row("i-01"),
            exempt("i-02"),
            Row("i-03", "NON_COMPLIANT"),
            Row("i-04", "NOT_APPLICABLE"),
            Row("i-05", "UNEVALUATED", agreement="UNEVALUATED"),
            exempt("i-06", expires=None),
        ],
        ("111122223333", "us-east-1"): [],
        ("444455556666", "eu-west-1"): [Row("i-01"), Row("i-02", exemption=exempt("i-02").exemption)],
    }
)
"""Every verdict, an exemption that nothing needs, and a region without an instance."""

EMPTY_DAY = Day()
"""Nothing at all."""


def build(
    store: Store, days: int = 3, *, first: date = FIRST_DAY, content: Day = A_DAY, key: LocalKey = KEY
) -> list[SealedPackage]:
    """A chain of packages with the same content."""
    return [add(store, replace(content, day=first + timedelta(days=number)), key=key) for number in range(days)]


def add(
    store: Store,
    content: Day,
    *,
    files: Mapping[str, bytes] | None = None,
    key: LocalKey = KEY,
    older_keys: Sequence[PublicKey] = (),
) -> SealedPackage:
    """Write and seal the package of one day."""
    files = content.files() if files is None else files
    for path, stored in files.items():
        store.put_once(f"{content.day}/{path}", stored, sha256=hashlib.sha256(stored).hexdigest())
    previous = package_before(store, content.day)
    return seal(store, content.day, measured(files), rule=RULE, previous=previous, signer=key, older_keys=older_keys)


def measured(files: Mapping[str, bytes]) -> list[PackagedFile]:
    """What a manifest says of them."""
    return [measure(io.BytesIO(stored), path) for path, stored in files.items()]


def totals(rows: Sequence[Row]) -> Totals:
    """The rows by verdict."""
    return Totals(len(rows), *(sum(row.verdict == verdict for row in rows) for verdict in VERDICTS))


def row_object(account: str, region: str, row: Row) -> dict[str, Any]:
    """A row of evaluations, without what verifying does not look at."""
    return {
        "account": account,
        "region": region,
        "partition": "aws",
        "resourceId": row.resource_id,
        "resourceArn": f"arn:aws:ec2:{region}:{account}:instance/{row.resource_id}",
        "verdict": row.verdict,
        "recorded": {"annotation": 'a text with "quotes", and "verdict" in it'},
        "agreement": row.agreement,
        "exemption": row.exemption,
    }


def json_bytes(value: object) -> bytes:
    """JSON as the exporter writes it."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bytes:
    """CSV as the exporter writes it."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows([header, *rows])
    return written.getvalue().encode()
