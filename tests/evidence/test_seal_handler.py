import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rolecall import __version__
from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey
from rolecall.errors import NotSealed
from rolecall.evidence.findings import Finding, Outcome
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.verifying import verify
from tests.evidence.local_organization import LEDGER, PACKAGES, LocalOrganization, sealed_since

FIRST, SECOND, THIRD = (datetime.now(UTC).date() - timedelta(days=ago) for ago in (3, 2, 1))


@pytest.fixture(name="organization", scope="module")
def _organization() -> Iterator[LocalOrganization]:
    """Its first day is sealed."""
    with sealed_since(FIRST) as organization:
        yield organization


def test_a_planted_object_blocks_its_day_and_no_later_one(organization: LocalOrganization) -> None:
    """In buckets: nothing is put beside it; asked by name, the next day begins a chain, and each verifies alone."""
    s3 = organization.aws.client("s3")
    s3.put_object(Bucket=PACKAGES, Key=f"packages/{SECOND}/planted.txt", Body=b"x")
    with pytest.raises(NotSealed, match=f"{SECOND}: holds 1 file that no package of this day has: planted.txt"):
        organization.run(SECOND)
    listed = s3.list_objects_v2(Bucket=PACKAGES, Prefix=f"packages/{SECOND}/")["Contents"]
    assert [found["Key"] for found in listed] == [f"packages/{SECOND}/planted.txt"]
    with pytest.raises(NotSealed, match=f"the newest package before it is of {FIRST}: seal {SECOND} first"):
        organization.run(THIRD)
    with organization.functions() as functions:
        for _ in range(2):
            plan = functions["plan"]({"day": f"{THIRD}", "beginsChain": True})
            assert functions["seal"](plan)["sequence"] == 1
    key = PublicKey.from_der(SigningKey(organization.aws.client("kms"), organization.signing_key).public_key_der)
    packages = ObjectStore(s3, PACKAGES, "packages")
    report = verify(packages, [key], until=THIRD)
    says = "a new chain begins here, with number 1: it does not vouch for what comes before"
    assert list(report.all_findings()) == [
        Finding(Outcome.INCOMPLETE, "is missing: the package is not sealed", SECOND, "manifest.json"),
        Finding(Outcome.GAP, says, THIRD, "manifest.json"),
    ]
    assert verify(packages, [key], until=FIRST).outcome is Outcome.OK
    assert verify(packages, [key], until=THIRD, first=THIRD).outcome is Outcome.OK


def test_what_the_seal_says_before_its_first_file_is_kept(organization: LocalOrganization) -> None:
    """Which day begins the chain, and which version begins the package."""
    listed = organization.aws.client("s3").list_objects_v2(Bucket=LEDGER, Prefix="sealing/")["Contents"]
    begun = [f"sealing/{day}/{__version__}.json" for day in (FIRST, THIRD)]
    assert [found["Key"] for found in listed] == [*begun, "sealing/beginning.json"]


def test_a_killed_seal_leaves_no_room_taken_for_the_next(organization: LocalOrganization) -> None:
    """Lambda keeps /tmp; whatever else lies there stays."""
    with organization.functions() as functions:
        killed, another = (Path(tempfile.mkdtemp(prefix=prefix)) for prefix in ("rolecall-sealing-", "another-"))
        (killed / "0").write_bytes(b"x")
        assert functions["seal"]({"day": f"{FIRST}"})["sequence"] == 1
        assert (killed.exists(), another.exists()) == (False, True)
