"""Sealing many places with few instances, from and into a store whose every call takes a while, as a bucket's does."""

import io
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

from bench import population
from bench.candidates import FOLDER
from bench.evidence_organization import DAY, places
from bench.figures import Measure, Part
from bench.progress import Progress
from rolecall import __version__
from rolecall.aws.object_store import ObjectStore
from rolecall.evidence.keys import LocalKey
from rolecall.evidence.manifest import Period
from rolecall.evidence.packaging import sealed
from rolecall.evidence.plan import Deployed, OrganizationAccount, Source, plan_organization
from rolecall.evidence.shard_header import Recorder, ShardHeader
from rolecall.evidence.shards import shard_key, write_shard
from rolecall.evidence.steps import planned
from rolecall.evidence.stores import FolderStore

ACCOUNTS = 60
CALL_SECONDS = 0.02
"""Of each call. What S3 takes differs by the hour; it is not measured here."""


class _Distant:
    """A folder that takes its time."""

    def __init__(self, folder: Path, at_once: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.at_once = at_once
        self._store = FolderStore(folder)

    def open(self, key: str) -> BinaryIO:
        """As the folder does."""
        time.sleep(CALL_SECONDS)
        return self._store.open(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """As the folder does."""
        time.sleep(CALL_SECONDS)
        return self._store.keys(prefix)

    def put_once(self, key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        """As the folder does."""
        time.sleep(CALL_SECONDS)
        self._store.put_once(key, content, sha256=sha256)


def measure_evidence_places(progress: Progress) -> Part:
    """One run with a call at a time, one with as many as a bucket gets."""
    folder = FOLDER / "evidence-places"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count = _collect(folder)
    seconds = {}
    for name, at_once in (("one call at a time", 1), ("as deployed", ObjectStore.at_once)):
        progress.say(f"evidence: seal {count} places, {name}")
        start = perf_counter()
        sealed(_Distant(folder, at_once), _Distant(folder / name, at_once), DAY, LocalKey.generate())
        seconds[name] = [perf_counter() - start]
    return Part(
        "evidence, many places",
        f"{count} account-regions without an instance, sealed; each call of a store takes {CALL_SECONDS * 1000:.0f} ms",
        [
            Measure("wall", "s", seconds),
            Measure("wall for 1,000", "s", {name: [one / count * 1000] for name, (one,) in seconds.items()}),
        ],
    )


def _collect(folder: Path) -> int:
    """Plan and shards; how many."""
    store = FolderStore(folder)
    pairs = [(place.account, place.region) for place in places(ACCOUNTS, 0)]
    accounts = [OrganizationAccount(account, "", "ACTIVE") for account in sorted({pair[0] for pair in pairs})]
    deployed = Deployed(DAY, pairs[0][1], population.RULE_NAME, {}, __version__)
    sources = [Source(*pair, "SUCCEEDED") for pair in pairs]
    plan = planned(store, DAY, lambda: plan_organization(deployed, accounts, sources, (), ()))
    for item in plan.shards:
        output = io.BytesIO()
        header = ShardHeader(
            account=item.account,
            region=item.region,
            partition="aws",
            day=DAY,
            collected_at=Period.of_day(DAY).end + timedelta(hours=1),
            own_rule_name=population.RULE_NAME,
            rule_name=None,
            rule_arn=None,
            parameters={},
            rolecall_version=__version__,
            recorder=Recorder(recording=True, records_instances=True, frequency="CONTINUOUS"),
        )
        write_shard(output, header, ())
        stored = output.getvalue()
        store.put_once(shard_key(DAY, item.account, item.region), stored, sha256=sha256(stored).hexdigest())
    return len(plan.shards)
