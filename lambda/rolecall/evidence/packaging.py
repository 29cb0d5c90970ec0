"""The last step of a day: plan, shards and ledger become the sealed package. It may run again at any time."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from rolecall.errors import AlreadyWritten, InvalidManifest, Missing, NotSealed, Occupied
from rolecall.evidence.beginning import claim_beginning, package_to_follow
from rolecall.evidence.begun import say_begun, who_began
from rolecall.evidence.carried import Carried
from rolecall.evidence.contents import write_contents
from rolecall.evidence.kpis import KPIS, read_trend
from rolecall.evidence.ledger import LedgerRecords
from rolecall.evidence.packages import SealedPackage, read_package
from rolecall.evidence.sealing import refuse_gap, seal
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

    `older_keys`: those that the signer took the place of, the oldest first. With `begins_chain` it is the first of a
    chain, whatever came before (`beginning.package_to_follow`).

    Raises Missing for a plan or shard that is not there, NotSealed for a day that does not follow the last one, may not
    begin a chain, or whose folder holds other content, and whatever `contents.write_contents` and `sealing.seal` raise.
    """
    keys = (*older_keys, signer)
    with suppress(Missing):
        return _sealed_before(packages, day, keys, begins_chain=begins_chain)
    previous = package_to_follow(working, packages, day, asked=begins_chain)
    # `seal` asks it, too; but nothing is carried on, and nothing put, from a package that nobody vouches for.
    refuse_gap(day, previous, keys)
    plan = stored_plan(working, day)
    ledger = LedgerRecords(working, plan.ledger_keys)
    before = _carried(packages, previous) if previous else None

    def announce() -> None:
        if previous is None:
            claim_beginning(working, day, asked=begins_chain)
        say_begun(working, day)

    try:
        contents = write_contents(packages, working, ledger, plan, before, announce=announce)
        return seal(
            packages, day, contents.files, rule=contents.rule, previous=previous, signer=signer, older_keys=older_keys
        )
    except (AlreadyWritten, Occupied) as error:
        raise NotSealed(f"{day}", f"{error}; {who_began(working, day)}") from error


def figures_of(packages: Store, package: SealedPackage) -> Mapping[str, Any]:
    """The figures of a sealed package's day, as `kpis.json` has them in its trend. Raises as `sealed` does."""
    day = package.manifest.day.isoformat()
    with _carried(packages, package).open(KPIS) as stream:
        trend = read_trend(stream.read())
    return next((figures for figures in reversed(trend) if figures["day"] == day), {})


def _sealed_before(packages: Store, day: date, keys: Sequence[Verifier], *, begins_chain: bool) -> SealedPackage:
    """The package that is there. Raises Missing if it is not sealed, NotSealed if it is not the one that is asked for.

    `keys`: the signer, and before it those that it took the place of.
    """
    try:
        package = read_package(packages, day)
    except InvalidManifest as error:
        raise NotSealed(f"{day}", f"what is there in its place cannot be read: {error}") from error
    if not package.is_signed_by_one_of(keys):
        raise NotSealed(f"{day}", f"it is sealed already, but not by key {keys[-1].fingerprint}")
    if begins_chain and package.manifest.previous:
        raise NotSealed(f"{day}", f"it is sealed already, as number {package.manifest.sequence:,} of a chain")
    return package


def _carried(packages: Store, package: SealedPackage) -> Carried:
    return Carried(packages, package.manifest.day, package.manifest.files)
