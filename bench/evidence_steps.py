"""The steps of a day's package as a process of its own, so that what they take can be told from what answers them.

    python -m bench.evidence_steps collect FOLDER    plan, and every shard, one after the other
    python -m bench.evidence_steps seal FOLDER       contents and manifest, signed by a key in memory
    python -m bench.evidence_steps next FOLDER       the same for the next day, after `evidence_next_day.add_next_day`

The code is that of the functions in AWS, but for the stores, which are folders, and the key.
"""

import os
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from bench import population
from bench.evidence_next_day import NEXT_DAY
from bench.evidence_organization import DAY, REGIONS
from rolecall import __version__
from rolecall.aws.aggregator import Aggregator
from rolecall.aws.clients import Deadline, client, own_session
from rolecall.aws.evidence_environment import EvidenceEnvironment
from rolecall.aws.evidence_sources import aggregated_sources, organization_accounts
from rolecall.evidence.collecting import Collector
from rolecall.evidence.keys import LocalKey
from rolecall.evidence.packaging import sealed
from rolecall.evidence.plan import Deployed, Plan, plan_organization
from rolecall.evidence.steps import PACKAGES, planned
from rolecall.evidence.stores import FolderStore
from rolecall.parameters import RuleParameters

PUBLIC_KEY = "public-key.pem"
"""In the folder of the packages."""

_PRIVATE_KEY = "private-key.pem"

_COLLECTED_AT = datetime.combine(DAY + timedelta(days=1), time(0, 30), UTC)
_HOME_REGION = "eu-west-1"
_AGGREGATOR = "rolecall"

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
    "AWS_REGION": _HOME_REGION,
    "AWS_DEFAULT_REGION": _HOME_REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "ROLECALL_AGGREGATOR": _AGGREGATOR,
    "ROLECALL_COLLECTOR_ROLE": "rolecall-collector",
    "ROLECALL_REGIONS": ",".join(REGIONS),
    "ROLECALL_RULE_NAME": population.RULE_NAME,
}
"""What the steps find in their environment, besides where the endpoint is."""


def collect(folder: Path) -> None:
    """Plan the day, and write every shard. Raises what collecting raises."""
    store = FolderStore(folder)
    environment = EvidenceEnvironment(os.environ)
    environment.started(f"arn:aws:lambda:{_HOME_REGION}:{population.ACCOUNT}:function:collect", float("inf"))
    collector = Collector(environment.evidence, store, lambda: _COLLECTED_AT)
    for item in planned(store, DAY, _plan).shards:
        collector.collect(item)


def seal(folder: Path) -> None:
    """Write the package, and sign it. Raises what sealing raises."""
    key = LocalKey.generate()
    packages = folder / PACKAGES
    packages.mkdir()
    (packages / PUBLIC_KEY).write_text(key.public.pem(), encoding="utf-8")
    (folder / _PRIVATE_KEY).write_text(key.pem(), encoding="utf-8")
    sealed(FolderStore(folder), FolderStore(packages), DAY, key)


def seal_next(folder: Path) -> None:
    """The package of the next day, which hangs on the first."""
    key = LocalKey.from_pem((folder / _PRIVATE_KEY).read_bytes())
    sealed(FolderStore(folder), FolderStore(folder / PACKAGES), NEXT_DAY, key)


def _plan() -> Plan:
    """As `EvidenceEnvironment.plan` does, without a ledger: that would be in a bucket."""
    session, deadline = own_session(), Deadline()
    aggregator = Aggregator(client("config", deadline, session), _AGGREGATOR, deadline)
    deployed = Deployed(DAY, _HOME_REGION, population.RULE_NAME, RuleParameters().to_strings(), __version__)
    accounts = organization_accounts(client("organizations", deadline, session), deadline)
    sources, rules = aggregated_sources(aggregator), aggregator.rules(population.RULE_NAME)
    return plan_organization(deployed, accounts, sources, REGIONS, rules)


STEPS = {"collect": collect, "seal": seal, "next": seal_next}

if __name__ == "__main__":
    STEPS[sys.argv[1]](Path(sys.argv[2]))
