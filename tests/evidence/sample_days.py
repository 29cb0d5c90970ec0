"""Days of an organization of three accounts, collected: stores with plan, shards and ledger, as sealing finds them."""

import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from rolecall.evidence.carried import Carried
from rolecall.evidence.contents import Contents, write_contents
from rolecall.evidence.episode_file import EPISODES, scope_of
from rolecall.evidence.ledger import LedgerRecords, ledger_prefix
from rolecall.evidence.manifest import Period
from rolecall.evidence.plan import Gap, OrganizationAccount, Plan, ShardItem
from rolecall.evidence.rows import Agreement, EvidenceRow, EvidenceVerdict, ReperformedVerdict
from rolecall.evidence.shard_header import KeyCounts, Recorder, ShardHeader, WhyNot
from rolecall.evidence.shards import shard_key, write_shard
from rolecall.evidence.steps import ledger_keys
from rolecall.evidence.stores import FolderStore
from rolecall.model import Reason
from rolecall.record import SCHEMA, timestamp
from tests.evidence.made import RULE, evidence_row, exemption, recorded

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
REGIONS = ("eu-central-1", "eu-west-1")
PARAMETERS = {"exemptionTagKey": "intentional-no-role", "allowedInstanceProfileArns": ""}


def header(account: str, region: str, day: date, **changes: object) -> ShardHeader:
    """A shard's header of an account that is covered, and has three keys and one of the root user."""
    base: dict[str, object] = {
        "account": account,
        "region": region,
        "partition": "aws",
        "day": day,
        "collected_at": Period.of_day(day).end + timedelta(hours=2),
        "own_rule_name": RULE,
        "rule_name": f"{RULE}-conformance-pack-abc123",
        "rule_arn": f"arn:aws:config:{region}:{account}:config-rule/config-rule-x7k2qd",
        "parameters": PARAMETERS,
        "rolecall_version": "0.1.0",
        "recorder": Recorder(recording=True, records_instances=True, frequency="CONTINUOUS", last_status="SUCCESS"),
        "keys": KeyCounts(Period.of_day(day).end, 4, 2, 3, 1, datetime.fromisoformat("2024-05-01T00:00:00Z"))
        if region == REGIONS[0]
        else None,
    }
    return ShardHeader(**{**base, **changes})  # type: ignore[arg-type] # a builder's fields are the dataclass's


def plan_of(day: date, pairs: Sequence[tuple[str, str]], gaps: Sequence[Gap] = ()) -> Plan:
    """The plan of a day with these accounts and regions."""
    return Plan(
        day=day,
        home_region=REGIONS[0],
        rule_name=RULE,
        parameters=PARAMETERS,
        rolecall_version="0.1.0",
        accounts=tuple(OrganizationAccount(account, f"team-{account[:3]}", "ACTIVE") for account in ACCOUNTS),
        shards=tuple(ShardItem(day, account, region) for account, region in sorted(pairs)),
        gaps=tuple(gaps),
    )


def put_shard(store: FolderStore, head: ShardHeader, rows: Iterable[EvidenceRow]) -> None:
    """Write a shard where sealing looks for it."""
    output = io.BytesIO()
    write_shard(output, head, sorted(rows, key=lambda row: row.resource_id))
    put(store, shard_key(head.day, head.account, head.region), output.getvalue())


def put(store: FolderStore, key: str, content: bytes) -> None:
    """Write a file."""
    store.put_once(key, content, sha256=hashlib.sha256(content).hexdigest())


def record_line(reason: Reason, when: datetime, row: EvidenceRow) -> bytes:
    """An evaluation record of the instance of `row`, as the ledger keeps it."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "id": f"{row.account}{row.region}{row.resource_id}{timestamp(when)}{reason}",
            "kind": "verdict",
            "source": "change",
            "account": row.account,
            "region": row.region,
            "partition": "aws",
            "resourceType": "AWS::EC2::Instance",
            "resourceId": row.resource_id,
            "resourceArn": row.resource_arn,
            "complianceType": reason.compliance_type,
            "reason": reason,
            "annotation": f"{reason}: told",
            "orderingTimestamp": timestamp(when),
            "evaluatedAt": timestamp(when + timedelta(seconds=30)),
            "notifiedAt": None,
            "rule": {
                "name": row.rule_name,
                "arn": row.rule_arn,
                "parameters": PARAMETERS,
                "rolecallVersion": "0.1.0",
            },
            "profileArn": row.profile_arn,
            "exemption": None,
            "instance": {
                "state": "running",
                "type": "t3.small",
                "imageId": "ami-1",
                "firstLaunch": timestamp(when - timedelta(minutes=4)),
                "lastLaunch": None,
                "vpcId": None,
                "subnetId": None,
                "metadataOptions": None,
                "tags": {},
            },
        }
    ).encode()


def put_ledger(store: FolderStore, day: date, lines: Iterable[bytes]) -> None:
    """Write the day's records, as one file."""
    content = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
    put(store, f"{ledger_prefix(day)}records.jsonl.gz", content)


class Organization:
    """Three accounts in two regions, of which every day some instances lose their role and others get theirs."""

    def __init__(self, folder: Path, first: date, *, instances: int = 12) -> None:
        self.folder = folder
        self.contents: Contents
        """Of the newest package."""
        self.shards = FolderStore(folder / "collected")
        self.packages = FolderStore(folder / "packages")
        self._first = first
        self._instances = instances
        self._before: Carried | None = None

    def package(self, number: int) -> Contents:
        """Collect and write the package of the day `number` (0: the first). Days are made in order."""
        day = self._first + timedelta(days=number)
        plan = self.collect(day, number)
        self.contents = self.write(self.packages, plan, self._before)
        self._before = Carried(self.packages, day, self.contents.files)
        return self.contents

    def write(self, packages: FolderStore, plan: Plan, before: Carried | None) -> Contents:
        """The package of a plan."""
        return write_contents(packages, self.shards, LedgerRecords(self.shards, plan.ledger_keys), plan, before)

    def episodes(self, day: date) -> list[dict[str, Any]]:
        """Every episode that a package tells of, with its account and region."""
        found = []
        for key in self.packages.keys(f"{day}/{EPISODES}"):
            path = key.removeprefix(f"{day}/")
            account, region = scope_of(path)
            lines = [json.loads(line) for line in gzip.decompress(self.read(day, path)).splitlines()]
            found += [{"account": account, "region": region, **line} for line in lines if "kind" in line]
        return found

    def collect(self, day: date, number: int) -> Plan:
        """Shards and ledger of a day."""
        pairs = [(account, region) for account in ACCOUNTS for region in REGIONS]
        lines = []
        for position, (account, region) in enumerate(pairs):
            if position == len(pairs) - 1:
                put_shard(self.shards, header(account, region, day, why_not=WhyNot.NO_RECORDER, recorder=None), [])
                continue
            rows = [self._row(account, region, day, number, index + 100 * position) for index in range(self._instances)]
            put_shard(self.shards, header(account, region, day), rows)
            lines += [
                record_line(row.recorded.reason, row.recorded.ordering_timestamp, row)
                for row in rows
                if row.recorded and row.recorded.reason and row.recorded.ordering_timestamp >= Period.of_day(day).start
            ]
        put_ledger(self.shards, day, lines)
        gaps = [Gap("999900001111", WhyNot.ACCOUNT_NOT_ACTIVE, "SUSPENDED")]
        return replace(plan_of(day, pairs, gaps), ledger_keys=ledger_keys(self.shards, day))

    def read(self, day: date, path: str) -> bytes:
        """A file of a package."""
        with self.packages.open(f"{day}/{path}") as stream:
            return stream.read()

    def _row(self, account: str, region: str, day: date, number: int, index: int) -> EvidenceRow:
        start = Period.of_day(self._first).start
        row = evidence_row(Reason.PROFILE_ATTACHED, index + 1, account=account, region=region)
        row = replace(row, recorded=recorded(Reason.PROFILE_ATTACHED, start + timedelta(hours=1)))
        match index % 12:
            case 3 | 7:  # its role is lost on one day, and found on a later one
                lost, found = index % 5, index % 5 + 1 + index % 3
                if lost <= number < found:
                    row = _judged(row, Reason.NO_PROFILE, start + timedelta(days=lost, hours=5))
                elif number >= found:
                    row = _judged(row, Reason.PROFILE_ATTACHED, start + timedelta(days=found, hours=6 + index % 7))
            case 4:  # never had one
                row = _judged(row, Reason.NO_PROFILE, start + timedelta(minutes=index))
            case 5:
                row = self._exempt(_judged(row, Reason.EXEMPT, start + timedelta(hours=2)), day, index)
            case 6 if index > 300:
                row = replace(row, verdict=EvidenceVerdict.UNEVALUATED, recorded=None, agreement=Agreement.UNEVALUATED)
            case 8 if index < 200:
                agreement = Agreement.DISAGREES if index < 100 else Agreement.IN_FLIGHT
                row = replace(row, agreement=agreement, reperformed=ReperformedVerdict(Reason.NO_PROFILE, "attach one"))
            case 9:
                row = replace(_judged(row, Reason.STOPPED, start + timedelta(hours=2)), profile_arn=None)
        return row

    def _exempt(self, row: EvidenceRow, day: date, index: int) -> EvidenceRow:
        declared = exemption(
            reason='=HYPERLINK("http://evil.example","<b>free</b>")' if index == 5 else "licensed appliance",
            expires=day + timedelta(days=index % 40),
            granted=self._first - timedelta(days=index),
            approved_by=("Kim Doe", "Ada Roe", None)[index // 100 % 3],
        )
        return replace(row, exemption=declared)


def _judged(row: EvidenceRow, reason: Reason, when: datetime) -> EvidenceRow:
    number = int(row.resource_id.removeprefix("i-"), base=16)
    made = evidence_row(reason, number, account=row.account, region=row.region)
    return replace(made, recorded=recorded(reason, when), capture_time=when)
