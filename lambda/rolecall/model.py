"""The words of the domain: configuration item, instance, exemption, evaluation.

Limits are AWS's own, each with its source; `tests/test_model.py` holds them against botocore's service model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

INSTANCE_TYPE = "AWS::EC2::Instance"
"""The one resource type that rolecall judges."""

ANNOTATION_MAX_LENGTH = 256
"""Characters of an annotation; at least 1. PutEvaluations, `Evaluation.Annotation`."""

EVALUATIONS_PER_CALL = 100
"""Evaluations in one PutEvaluations call."""


class ComplianceType(StrEnum):
    """What PutEvaluations accepts. It refuses INSUFFICIENT_DATA, so that one is not here."""

    COMPLIANT = "COMPLIANT"
    NON_COMPLIANT = "NON_COMPLIANT"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class Reason(StrEnum):
    """Why the verdict is what it is, in the order in which the rule asks. Every annotation begins with one."""

    LEFT_SCOPE = "LEFT_SCOPE"
    DELETED = "DELETED"
    NOT_RECORDED = "NOT_RECORDED"
    OTHER_RESOURCE = "OTHER_RESOURCE"
    TERMINATING = "TERMINATING"
    STOPPED = "STOPPED"
    PROFILE_NOT_ALLOWED = "PROFILE_NOT_ALLOWED"
    PROFILE_ATTACHED = "PROFILE_ATTACHED"
    EXEMPT = "EXEMPT"
    EXEMPTION_EXPIRED = "EXEMPTION_EXPIRED"
    EXEMPTION_INVALID = "EXEMPTION_INVALID"
    NO_PROFILE = "NO_PROFILE"

    @property
    def compliance_type(self) -> ComplianceType:
        """An exempt instance is COMPLIANT, not NOT_APPLICABLE: an aggregator drops the latter from its counts."""
        return _COMPLIANCE_TYPES[self]


_COMPLIANCE_TYPES = {
    Reason.LEFT_SCOPE: ComplianceType.NOT_APPLICABLE,
    Reason.DELETED: ComplianceType.NOT_APPLICABLE,
    Reason.NOT_RECORDED: ComplianceType.NOT_APPLICABLE,
    Reason.OTHER_RESOURCE: ComplianceType.NOT_APPLICABLE,
    Reason.TERMINATING: ComplianceType.NOT_APPLICABLE,
    Reason.STOPPED: ComplianceType.NOT_APPLICABLE,
    Reason.PROFILE_NOT_ALLOWED: ComplianceType.NON_COMPLIANT,
    Reason.PROFILE_ATTACHED: ComplianceType.COMPLIANT,
    Reason.EXEMPT: ComplianceType.COMPLIANT,
    Reason.EXEMPTION_EXPIRED: ComplianceType.NON_COMPLIANT,
    Reason.EXEMPTION_INVALID: ComplianceType.NON_COMPLIANT,
    Reason.NO_PROFILE: ComplianceType.NON_COMPLIANT,
}


class ItemStatus(StrEnum):
    """`configurationItemStatus`: all values of the Config API's ConfigurationItemStatus."""

    OK = "OK"
    RESOURCE_DISCOVERED = "ResourceDiscovered"
    RESOURCE_NOT_RECORDED = "ResourceNotRecorded"
    RESOURCE_DELETED = "ResourceDeleted"
    RESOURCE_DELETED_NOT_RECORDED = "ResourceDeletedNotRecorded"


class InstanceState(StrEnum):
    """`state.name` of an instance: all values of the EC2 API's InstanceStateName."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Source(StrEnum):
    """What made rolecall look at an item."""

    CHANGE = "change"
    OVERSIZED = "oversized"
    SWEEP = "sweep"
    RECONCILE = "reconcile"
    """`rolecall findings reconcile`, which only refreshes."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What an item's `configuration` and tags say of an EC2 instance.

    The first three fields decide the verdict; the others inform whoever reads it, and are None when the item does
    not carry them.
    """

    state: InstanceState
    profile_arn: str | None
    tags: Mapping[str, str]
    instance_type: str | None = None
    image_id: str | None = None
    first_launch: datetime | None = None
    """When the network interface at device index 0 was attached: `launchTime` moves at every stop and start."""
    last_launch: datetime | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None
    metadata_options: Mapping[str, str | int] | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationItem:
    """One configuration item, whichever source it came from. `items.configuration_item` makes it.

    `instance` is None exactly when the item needs no judging (`needs_judging`), and such an item's `configuration`
    was not even read: a deleted resource has none.
    """

    resource_type: str
    resource_id: str
    status: ItemStatus
    capture_time: datetime
    account: str
    region: str
    partition: str
    arn: str
    instance: Instance | None
    left_scope: bool = False

    @property
    def needs_judging(self) -> bool:
        """Whether the verdict depends on the instance: false for whatever left, is gone or is no instance."""
        return needs_judging(self.resource_type, self.status, left_scope=self.left_scope)


def needs_judging(resource_type: str, status: ItemStatus, *, left_scope: bool) -> bool:
    """The same for an item of which only the header is known, as in an oversized notification."""
    recorded = status in (ItemStatus.OK, ItemStatus.RESOURCE_DISCOVERED)
    return recorded and resource_type == INSTANCE_TYPE and not left_scope


class ExemptionState(StrEnum):
    """Only VALID exempts."""

    VALID = "valid"
    EXPIRED = "expired"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Exemption:
    """What the exemption tags of one instance declare. Nothing in it is verified: whoever may tag may claim."""

    state: ExemptionState
    problem: str
    """Which tag is wrong and what it should be; empty unless the state is MALFORMED."""
    reason: str
    approved_by: str | None = None
    ticket: str | None = None
    granted: date | None = None
    expires: date | None = None
    """The last day on which the exemption holds, until its end in UTC."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict on one item, with the facts that decided it."""

    item: ConfigurationItem
    reason: Reason
    annotation: str
    evaluated_at: datetime
    ordering_timestamp: datetime
    exemption: Exemption | None = None

    @property
    def compliance_type(self) -> ComplianceType:
        """Follows from the reason alone."""
        return self.reason.compliance_type
