"""The last step of a day: plan, shards and ledger become the sealed package. It may run again at any time."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from rolecall import __version__
from rolecall.errors import AlreadyWritten, Missing, NotSealed
from rolecall.evidence.beginning import refuse_beginning
from rolecall.evidence.carried import Carried
from rolecall.evidence.contents import write_contents
from rolecall.evidence.kpis import KPIS, read_trend
from rolecall.evidence.ledger import LedgerRecords
from rolecall.evidence.packages import SealedPackage, package_before, read_package
from rolecall.evidence.sealing import seal
from rolecall.evidence.signing import Signer, Verifier
from rolecall.evidence.steps import stored_plan
from rolecall.evidence.stores import Store


def sealed(  # noqa: PLR0913 - one argument for each thing that decides
    working: Store,
    packages: Store,
    day: date,
    signer: Signer,
    older_keys: Sequence[Verifier] = (),
    *,
    begins_chain: bool = False,
) -> SealedPackage:
    """The package of `day`: the one that is there, or the one that its plan, shards and ledger make.

    `older_keys`: those that the signer took the place of. With `begins_chain` it is the first of a chain, whatever was
    collected before (`beginning.refuse_beginning`).

    Raises Missing for a plan or shard that is not there, NotSealed for a day that does not follow the last one, may not
    begin a chain, or was begun with other content, and whatever `contents.write_contents` and `sealing.seal` raise.
    """
    with suppress(Missing):
        package = read_package(packages, day)
        if not any(package.is_signed_by(key) for key in (signer, *older_keys)):
            raise NotSealed(f"{day}", f"it is sealed already, but not by key {signer.fingerprint}")
        return package
    previous = package_before(packages, day)
    refuse_beginning(working, day, previous, asked=begins_chain)
    plan = stored_plan(working, day)
    ledger = LedgerRecords(working, plan.ledger_keys)
    before = _carried(packages, previous) if previous else None
    try:
        contents = write_contents(packages, working, ledger, plan, before)
    except AlreadyWritten as error:
        versions = f"it was planned by version {plan.rolecall_version}, this is {__version__}"
        raise NotSealed(
            f"{day}",
            f"it was begun with other content, so finish it with the version that began it ({versions}): {error}",
        ) from error
    return seal(
        packages, day, contents.files, rule=contents.rule, previous=previous, signer=signer, older_keys=older_keys
    )


def figures_of(packages: Store, package: SealedPackage) -> Mapping[str, Any]:
    """The figures of a sealed package's day, as `kpis.json` has them in its trend. Raises as `sealed` does."""
    day = package.manifest.day.isoformat()
    with _carried(packages, package).open(KPIS) as stream:
        trend = read_trend(stream.read())
    return next((figures for figures in reversed(trend) if figures["day"] == day), {})


def _carried(packages: Store, package: SealedPackage) -> Carried:
    return Carried(packages, package.manifest.day, package.manifest.files)
