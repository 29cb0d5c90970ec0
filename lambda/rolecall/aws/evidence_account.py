"""The account whose bucket and key an evidence command is told of. For the command line alone."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from rolecall.aws.clients import Deadline, client
from rolecall.aws.live import LiveAccount, making_client, told_from_strangers
from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey

_ANY_REGION = "us-east-1"
"""S3 tells where a bucket really is, and botocore goes there."""


class EvidenceAccount(LiveAccount):
    """Credentials for reading packages or using the signing key. Everything raises ServiceError."""

    def unknown(self, regions: Iterable[str]) -> list[str]:
        """Those that botocore does not know. It may be older than a region, so none is refused for it."""
        partitions = self._core.get_available_partitions()
        known = {name for partition in partitions for name in self._core.get_available_regions("ec2", partition)}
        return [region for region in regions if region not in known]

    @contextmanager
    def packages(self, bucket: str, prefix: str, region: str | None) -> Iterator[ObjectStore]:
        """The packages below a prefix of a bucket, to be read."""
        with self._client("s3", region or self.default_region or _ANY_REGION) as s3:
            yield ObjectStore(s3, bucket, prefix)

    @contextmanager
    def signing_key(self, key_id: str, region: str | None) -> Iterator[SigningKey]:
        """A KMS key. Raises InvalidKey, too. The region is the one in the key's ARN, `region` or the profile's."""
        of_arn = key_id.split(":")[3] if key_id.startswith("arn:") and key_id.count(":") >= 5 else None  # noqa: PLR2004 - parts of an ARN
        with self._client("kms", of_arn or region or self.default_region) as kms:
            yield SigningKey(kms, key_id)

    @contextmanager
    def _client(self, service: str, region: str | None) -> Iterator[Any]:
        with making_client():
            # Without any region, botocore says so.
            made = told_from_strangers(client(service, Deadline(), self._session(region or ""), region=region))
        with closing(made):
            yield made
