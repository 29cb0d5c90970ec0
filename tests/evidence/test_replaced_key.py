from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey
from rolecall.errors import NotSealed, ServiceError
from rolecall.evidence.findings import Outcome
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.verifying import verify
from tests.evidence.local_organization import PACKAGES, LocalOrganization, sealed_since

FIRST, SECOND, THIRD, FOURTH = (datetime.now(UTC).date() - timedelta(days=ago) for ago in (4, 3, 2, 1))

NO_KEY = "arn:aws:kms:eu-west-1:111122223333:key/none"


@pytest.fixture(name="organization", scope="module")
def _organization() -> Iterator[LocalOrganization]:
    """Its first day is sealed, and now it has another key."""
    with sealed_since(FIRST) as organization:
        yield organization


def test_a_deployment_goes_on_with_another_key(organization: LocalOrganization) -> None:
    """Once it is told the old one; the day after, that one may be disabled. Whoever verifies pins both."""
    kms = organization.aws.client("kms")
    old = kms.describe_key(KeyId=organization.signing_key)["KeyMetadata"]["Arn"]
    new = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    keys = [PublicKey.from_der(SigningKey(kms, key).public_key_der) for key in (old, new)]
    organization.environment["ROLECALL_SIGNING_KEY"] = new
    with pytest.raises(NotSealed, match=f"the package before it is not signed by key {keys[1].fingerprint}"):
        organization.run(SECOND)
    organization.environment["ROLECALL_OLDER_KEYS"] = old
    assert organization.run(SECOND)["sequence"] == 2
    # Sealed by the old key, and looked at again.
    assert organization.run(FIRST)["sequence"] == 1
    kms.disable_key(KeyId=organization.signing_key)
    assert organization.run(THIRD)["sequence"] == 3
    packages = ObjectStore(organization.aws.client("s3"), PACKAGES, "packages")
    assert verify(packages, keys, until=THIRD).outcome is Outcome.OK
    for one in keys:
        assert verify(packages, [one], until=THIRD).outcome is Outcome.TAMPERED


def test_an_older_key_that_is_not_there_is_told_when_its_turn_comes(organization: LocalOrganization) -> None:
    """It is no reason not to seal a day that follows one of the key's own."""
    organization.environment["ROLECALL_OLDER_KEYS"] = NO_KEY
    assert organization.run(THIRD)["sequence"] == 3
    with pytest.raises(ServiceError, match="GetPublicKey failed"):
        organization.run(FIRST)


def test_a_second_replacement_does_not_need_the_first_key(organization: LocalOrganization) -> None:
    """It is gone, and the one after it vouches. Only a day that the first one signed cannot be looked at again."""
    kms = organization.aws.client("kms")
    first, second = organization.signing_key, organization.environment["ROLECALL_SIGNING_KEY"]
    third = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    organization.environment |= {"ROLECALL_SIGNING_KEY": third, "ROLECALL_OLDER_KEYS": f"{NO_KEY},{second}"}
    assert organization.run(FOURTH)["sequence"] == 4
    assert organization.run(SECOND)["sequence"] == 2
    with pytest.raises(ServiceError, match="GetPublicKey failed"):
        organization.run(FIRST)
    organization.environment["ROLECALL_OLDER_KEYS"] = f"{first},{second}"
    assert organization.run(FIRST)["sequence"] == 1
