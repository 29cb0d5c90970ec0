"""Annotations: one line that tells the instance's owner what to do.

Config keeps only the compliance type and the annotation of an evaluation, so each annotation begins with the reason
code and a colon. Nothing in them depends on the day, or two equal verdicts would read differently.
"""

from rolecall import cutting
from rolecall.exemption import near_misses, required_companions
from rolecall.model import ANNOTATION_MAX_LENGTH, Exemption, Instance, Reason
from rolecall.parameters import RuleParameters

_NOT_APPLICABLE = {
    Reason.LEFT_SCOPE: "the resource is no longer in this rule's scope.",
    Reason.DELETED: "the instance no longer exists.",
    Reason.NOT_RECORDED: "AWS Config does not record this resource.",
    Reason.OTHER_RESOURCE: "this rule judges AWS::EC2::Instance only.",
    Reason.TERMINATING: "the instance is terminated or about to be; nothing is to be done.",
    Reason.STOPPED: "stopped instances are not judged, as the rule parameter evaluateStopped is false.",
}


def annotation(
    reason: Reason, parameters: RuleParameters, instance: Instance | None = None, exemption: Exemption | None = None
) -> str:
    """1 to 256 characters, beginning with the reason code, cut at a word."""
    text = _NOT_APPLICABLE[reason] if reason in _NOT_APPLICABLE else _advice(reason, parameters, instance, exemption)
    return fitted(f"{reason}: {text}")


def fitted(text: str) -> str:
    """`text` on one line of at most 256 characters, cut at a word."""
    return cutting.fitted(text, ANNOTATION_MAX_LENGTH)


def _advice(reason: Reason, parameters: RuleParameters, instance: Instance | None, exemption: Exemption | None) -> str:
    key = parameters.exemption_tag_key
    arn = (instance.profile_arn or "") if instance else ""
    # The name alone: it is unique in an account, and a path of 512 characters would leave no room for the advice.
    profile = arn.rpartition("/")[2] or arn
    match reason:
        case Reason.PROFILE_ATTACHED:
            stale = f" Remove tag {key}: it is stale, an instance with a profile is not exempt." if exemption else ""
            return f"instance profile {profile} is attached.{stale}"
        case Reason.PROFILE_NOT_ALLOWED:
            return (
                f"replace instance profile {profile} by one that the rule parameter allowedInstanceProfileArns allows; "
                "an exemption tag does not help here."
            )
        case Reason.EXEMPT if exemption:
            until = f" through {exemption.expires}" if exemption.expires else ""
            return f"no role is intended{until}: {exemption.reason or 'no reason is given'}"
        case Reason.EXEMPTION_EXPIRED if exemption:
            granted = f" and {key}:granted to the day of renewal" if parameters.exemption_max_days else ""
            return (
                f"the exemption ended after {exemption.expires}. Attach an instance profile, or have it renewed: "
                f"set tag {key}:expires to its new last day{granted}."
            )
        case Reason.EXEMPTION_INVALID if exemption:
            return f"{exemption.problem}. Correct it, or attach an instance profile."
        case _:
            return _no_profile(parameters, instance)


def _no_profile(parameters: RuleParameters, instance: Instance | None) -> str:
    key = parameters.exemption_tag_key
    advice = "attach an instance profile with a least-privilege role"
    missed = near_misses(instance.tags, key) if instance else []
    if not missed:
        needed = ", ".join((f"tag {key} to the reason", *(f"{key}:{name}" for name in required_companions(parameters))))
        return f"{advice} or, if having no role is intended, set {needed}."
    tag, meant = missed[0]
    because = (
        f"tag keys match exactly, {meant} was probably meant"
        if meant == key
        else f"it counts only beside tag {key}, whose value says why"
    )
    return f"{advice}. Tag '{tag}' does not exempt: {because}."
