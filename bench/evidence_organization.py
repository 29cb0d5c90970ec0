"""An organization of which evidence is collected: 5 regions in each account, as many instances in each of them.

Every instance follows from its number alone, so nothing of it is kept: ids come in no order, and what differs between
real instances (ids, times, profiles, images, networks) differs here, as files would shrink too well otherwise.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from bench import population
from rolecall.evidence.manifest import Totals
from rolecall.model import INSTANCE_TYPE, Reason

DAY = date(2026, 11, 24)
REGIONS = ("eu-central-1", "eu-north-1", "eu-west-1", "us-east-1", "us-west-2")
PACK_RULE = f"{population.RULE_NAME}-conformance-pack-a1b2c3d4e"

_FIRST_CAPTURE_MS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
_CAPTURED_WITHIN_MS = 22 * 24 * 3600 * 1000
_SPREAD = 0x9E3779B97F4A7C15
"""Odd, so that no two numbers get the same id."""

_TEMPLATE: dict[str, Any] = json.loads(population.query_rows(1)[0])
_TAGS: list[dict[str, str]] = _TEMPLATE["tags"]
_CONFIGURATION: dict[str, Any] = _TEMPLATE["configuration"]

_EXEMPTION = {
    "intentional-no-role": "licence server without any call of AWS",
    "intentional-no-role:approved-by": "ciso",
    "intentional-no-role:expires": "2027-06-30",
    "intentional-no-role:ticket": "SEC-7",
}
_EXEMPT_TAGS = [*_TAGS, *({"key": key, "value": text, "tag": f"{key}={text}"} for key, text in _EXEMPTION.items())]


@dataclass(frozen=True)
class Kind:
    """Of instances."""

    below: int
    """Of each 1,000 instances, those from where the kind before ends up to this one."""
    total: str
    """The field of `Totals` that counts it."""
    recorded: Reason | None
    profile: bool = False
    exempt: bool = False
    state: str = "running"


KINDS = (
    Kind(800, "compliant", Reason.PROFILE_ATTACHED, profile=True),
    Kind(850, "exempt", Reason.EXEMPT, exempt=True),
    Kind(969, "non_compliant", Reason.NO_PROFILE),
    Kind(
        970, "non_compliant", Reason.NO_PROFILE, profile=True
    ),  # a profile was attached, which the rule never heard of
    Kind(990, "not_applicable", None, state="terminated"),
    Kind(1000, "unevaluated", None, profile=True),
)
_KIND_OF = [next(kind for kind in KINDS if number < kind.below) for number in range(KINDS[-1].below)]


@dataclass(frozen=True)
class Place:
    """An account and region, and the numbers of its instances."""

    account: str
    region: str
    numbers: range

    def recorded(self) -> list[int]:
        """The numbers of those of which a result is recorded."""
        return [number for number in self.numbers if kind_of(number).recorded]

    def query_row(self, number: int) -> str:
        """As SelectAggregateResourceConfig answers it."""
        mixed, kind = _mixed(number), kind_of(number)
        identifier, launched = instance_id(number), _moment(_captured(mixed) - 60_000)
        configuration = _CONFIGURATION | {
            "imageId": f"ami-0{mixed % 97:016x}",
            "instanceType": ("m7g.large", "c7i.xlarge", "t3.micro")[mixed % 3],
            "launchTime": launched,
            "networkInterfaces": [{"attachment": {"attachTime": launched, "deviceIndex": 0}}],
            "state": {"name": kind.state},
            "subnetId": f"subnet-0{mixed % 31:016x}",
            "vpcId": f"vpc-0{mixed % 11:016x}",
            "iamInstanceProfile": {"arn": self._profile(mixed)} if kind.profile else None,
        }
        if not kind.profile:
            del configuration["iamInstanceProfile"]
        row = _TEMPLATE | {
            "accountId": self.account,
            "arn": f"arn:aws:ec2:{self.region}:{self.account}:instance/{identifier}",
            "awsRegion": self.region,
            "configurationItemCaptureTime": _moment(_captured(mixed)),
            "resourceId": identifier,
            "tags": _EXEMPT_TAGS if kind.exempt else _TAGS,
            "configuration": configuration,
        }
        return json.dumps(row)

    def result(self, number: int) -> dict[str, Any]:
        """As GetAggregateComplianceDetailsByConfigRule answers it; of an instance that is `recorded`."""
        mixed, reason = _mixed(number), kind_of(number).recorded or Reason.NO_PROFILE
        captured = _captured(mixed) / 1000
        qualifier = {"ConfigRuleName": PACK_RULE, "ResourceType": INSTANCE_TYPE, "ResourceId": instance_id(number)}
        profile = f" {self._profile(mixed)}" if reason is Reason.PROFILE_ATTACHED else ""
        return {
            "EvaluationResultIdentifier": {"EvaluationResultQualifier": qualifier, "OrderingTimestamp": captured},
            "ComplianceType": reason.compliance_type.value,
            "ResultRecordedTime": captured + mixed % 9000 / 1000,
            "ConfigRuleInvokedTime": captured,
            "Annotation": f"{reason.value}: as it was put{profile}",
            "AccountId": self.account,
            "AwsRegion": self.region,
        }

    def _profile(self, mixed: int) -> str:
        return f"arn:aws:iam::{self.account}:instance-profile/app/service-{mixed % 307}"


def places(accounts: int, per_place: int) -> list[Place]:
    """All of an organization, sorted."""
    pairs = [(f"{222200000000 + number:012d}", region) for number in range(accounts) for region in REGIONS]
    return [Place(*pair, range(at * per_place, (at + 1) * per_place)) for at, pair in enumerate(pairs)]


def expected_totals(of: Sequence[Place]) -> Totals:
    """What the package of these places has to sum up to."""
    counted = Counter(kind_of(number).total for place in of for number in place.numbers)
    return Totals(counted.total(), **counted)


def kind_of(number: int) -> Kind:
    """Of the instance with that number."""
    return _KIND_OF[(_mixed(number) >> 20) % len(_KIND_OF)]


def instance_id(number: int) -> str:
    """Of the instance with that number."""
    return f"i-0{_mixed(number):016x}"


def _mixed(number: int) -> int:
    return (number + 1) * _SPREAD % (1 << 64)


def _captured(mixed: int) -> int:
    """Milliseconds of the epoch."""
    return _FIRST_CAPTURE_MS + (mixed >> 24) % _CAPTURED_WITHIN_MS


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
