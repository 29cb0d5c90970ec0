"""The rule: does this instance carry an instance profile, or a valid reason not to?

Pure: the same item, parameters and time always give the same evaluation. The first question that says yes decides,
in the order of the table in the README.
"""

from datetime import UTC, datetime

from rolecall.annotations import annotation
from rolecall.errors import InvalidItem
from rolecall.exemption import read_exemption
from rolecall.model import (
    INSTANCE_TYPE,
    ConfigurationItem,
    Evaluation,
    Exemption,
    ExemptionState,
    Instance,
    InstanceState,
    ItemStatus,
    Reason,
)
from rolecall.parameters import RuleParameters

_EXEMPTION_REASONS = {
    ExemptionState.VALID: Reason.EXEMPT,
    ExemptionState.EXPIRED: Reason.EXEMPTION_EXPIRED,
    ExemptionState.MALFORMED: Reason.EXEMPTION_INVALID,
}


def evaluate(item: ConfigurationItem, parameters: RuleParameters, now: datetime) -> Evaluation:
    """Judge one item at `now` (aware), which only exemption dates are held against.

    The ordering timestamp is the item's capture time. Raises InvalidItem for an item that needs judging but carries
    no instance, which `items.configuration_item` never makes.
    """
    exemption = None
    reason = _reason_of_item(item)
    if reason is None:
        if item.instance is None:
            raise InvalidItem("configuration", None, "an object: the item is not a deletion", item.resource_id)
        exemption = read_exemption(item.instance.tags, parameters, now)
        reason = _reason_of_instance(item.instance, exemption, parameters)
    return Evaluation(
        item=item,
        reason=reason,
        annotation=annotation(reason, parameters, item.instance, exemption),
        evaluated_at=now.astimezone(UTC),
        ordering_timestamp=item.capture_time,
        exemption=exemption,
    )


def _reason_of_item(item: ConfigurationItem) -> Reason | None:
    """Rows 1 to 4: decided by the item's header alone."""
    if item.left_scope:
        return Reason.LEFT_SCOPE
    if item.status in (ItemStatus.RESOURCE_DELETED, ItemStatus.RESOURCE_DELETED_NOT_RECORDED):
        return Reason.DELETED
    if item.status is ItemStatus.RESOURCE_NOT_RECORDED:
        return Reason.NOT_RECORDED
    if item.resource_type != INSTANCE_TYPE:
        return Reason.OTHER_RESOURCE
    return None


def _reason_of_instance(instance: Instance, exemption: Exemption | None, parameters: RuleParameters) -> Reason:
    """Rows 5 to 12."""
    if instance.state in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED):
        return Reason.TERMINATING
    if instance.state in (InstanceState.STOPPING, InstanceState.STOPPED) and not parameters.evaluate_stopped:
        return Reason.STOPPED
    if instance.profile_arn:
        allowed = parameters.allows_profile(instance.profile_arn)
        return Reason.PROFILE_ATTACHED if allowed else Reason.PROFILE_NOT_ALLOWED
    return _EXEMPTION_REASONS[exemption.state] if exemption else Reason.NO_PROFILE
