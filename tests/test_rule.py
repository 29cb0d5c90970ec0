import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from rolecall.errors import InvalidItem
from rolecall.model import ConfigurationItem, Evaluation, Exemption, ExemptionState, Reason
from rolecall.parameters import ProfilePattern, RuleParameters
from rolecall.rule import evaluate
from tests.builders import CAPTURED, NO_ROLE, NOW, PROFILE_ARN, exemption_tags, instance_item

DEFAULTS = RuleParameters()
RUNNING_ONLY = RuleParameters(evaluate_stopped=False)
DB_ONLY = RuleParameters(allowed_instance_profile_arns=(ProfilePattern("arn:aws:iam::*:instance-profile/db-*"),))
DB_OR_APP = RuleParameters(
    allowed_instance_profile_arns=(
        ProfilePattern("arn:aws:iam::*:instance-profile/db-*"),
        ProfilePattern("arn:aws:iam::*:instance-profile/app-*"),
    )
)

REASON = "licensed appliance"
EXEMPT = exemption_tags(REASON)
EXPIRED = exemption_tags(REASON, expires="2026-03-01")
INVALID = exemption_tags(REASON, expires="soon")
NOT_A_DAY = f"tag {NO_ROLE}:expires must be a date as YYYY-MM-DD, not 'soon'"

HOLDS = Exemption(state=ExemptionState.VALID, problem="", reason=REASON)
OVER = Exemption(state=ExemptionState.EXPIRED, problem="", reason=REASON, expires=date(2026, 3, 1))
NEVER_HELD = Exemption(state=ExemptionState.MALFORMED, problem=NOT_A_DAY, reason=REASON)

OUT_OF_SCOPE = "LEFT_SCOPE: the resource is no longer in this rule's scope."
GONE = "DELETED: the instance no longer exists."
UNRECORDED = "NOT_RECORDED: AWS Config does not record this resource."
OTHER = "OTHER_RESOURCE: this rule judges AWS::EC2::Instance only."
TERMINATING = "TERMINATING: the instance is terminated or about to be; nothing is to be done."
STOPPED = "STOPPED: stopped instances are not judged, as the rule parameter evaluateStopped is false."
NOT_ALLOWED = (
    "PROFILE_NOT_ALLOWED: replace instance profile app-web by one that the rule parameter allowedInstanceProfileArns "
    "allows; an exemption tag does not help here."
)
ATTACHED = "PROFILE_ATTACHED: instance profile app-web is attached."
STALE = f"{ATTACHED} Remove tag {NO_ROLE}: it is stale, an instance with a profile is not exempt."
EXEMPTED = f"EXEMPT: no role is intended: {REASON}"
ENDED = (
    "EXEMPTION_EXPIRED: the exemption ended after 2026-03-01. Attach an instance profile, or have it renewed: "
    f"set tag {NO_ROLE}:expires to its new last day."
)
MALFORMED = f"EXEMPTION_INVALID: {NOT_A_DAY}. Correct it, or attach an instance profile."
NONE = (
    "NO_PROFILE: attach an instance profile with a least-privilege role or, if having no role is intended, "
    f"set tag {NO_ROLE} to the reason."
)


def has(state: str, profile: str | None = PROFILE_ARN, tags: dict[str, str] | None = None) -> ConfigurationItem:
    """An instance in `state`, with or without profile and exemption tags."""
    return instance_item(state=state, profile=profile, tags=tags or {})


@pytest.mark.parametrize(
    ("item", "parameters", "reason", "annotation", "exemption"),
    [
        # Row 1: whatever the item says, a resource out of scope is nobody's business.
        (instance_item(left_scope=True), DEFAULTS, Reason.LEFT_SCOPE, OUT_OF_SCOPE, None),
        (instance_item(left_scope=True, profile=None), DEFAULTS, Reason.LEFT_SCOPE, OUT_OF_SCOPE, None),
        (
            instance_item(left_scope=True, configurationItemStatus="ResourceDeleted", configuration=None),
            DEFAULTS,
            Reason.LEFT_SCOPE,
            OUT_OF_SCOPE,
            None,
        ),
        (
            instance_item(left_scope=True, resourceType="AWS::S3::Bucket"),
            DEFAULTS,
            Reason.LEFT_SCOPE,
            OUT_OF_SCOPE,
            None,
        ),
        # Row 2: deleted, of whichever type.
        *(
            (
                instance_item(configurationItemStatus=status, configuration=configured, resourceType=resource_type),
                DEFAULTS,
                Reason.DELETED,
                GONE,
                None,
            )
            for status in ("ResourceDeleted", "ResourceDeletedNotRecorded")
            for configured in (None, {"state": {"name": "terminated"}})
            for resource_type in ("AWS::EC2::Instance", "AWS::EC2::Volume")
        ),
        # Row 3: not recorded, of whichever type.
        *(
            (
                instance_item(
                    configurationItemStatus="ResourceNotRecorded", configuration=None, resourceType=resource_type
                ),
                DEFAULTS,
                Reason.NOT_RECORDED,
                UNRECORDED,
                None,
            )
            for resource_type in ("AWS::EC2::Instance", "AWS::EC2::Volume")
        ),
        # Row 4: another type, near as it may sound.
        *(
            (
                instance_item(resourceType=resource_type, configuration=None, configurationItemStatus=status),
                DEFAULTS,
                Reason.OTHER_RESOURCE,
                OTHER,
                None,
            )
            for resource_type in ("AWS::EC2::Volume", "AWS::IAM::InstanceProfile", "aws::ec2::instance")
            for status in ("OK", "ResourceDiscovered")
        ),
        # Row 5: on its way out, the profile may be gone first.
        *(
            (has(state, profile), parameters, Reason.TERMINATING, TERMINATING, None)
            for state in ("shutting-down", "terminated")
            for profile in (PROFILE_ARN, None)
            for parameters in (DEFAULTS, RUNNING_ONLY, DB_ONLY)
        ),
        (has("terminated", None, EXPIRED), DEFAULTS, Reason.TERMINATING, TERMINATING, OVER),
        # Row 6: stopped, where stopped instances are not judged.
        *(
            (has(state, profile), RUNNING_ONLY, Reason.STOPPED, STOPPED, None)
            for state in ("stopped", "stopping")
            for profile in (PROFILE_ARN, None)
        ),
        (has("stopped", None, EXEMPT), RUNNING_ONLY, Reason.STOPPED, STOPPED, HOLDS),
        # Rows 7 to 12 in every state in which an instance is judged.
        *(
            row
            for state in ("pending", "running", "stopping", "stopped")
            for row in (
                (has(state), DB_ONLY, Reason.PROFILE_NOT_ALLOWED, NOT_ALLOWED, None),
                (has(state, tags=EXEMPT), DB_ONLY, Reason.PROFILE_NOT_ALLOWED, NOT_ALLOWED, HOLDS),
                (has(state), DEFAULTS, Reason.PROFILE_ATTACHED, ATTACHED, None),
                (has(state), DB_OR_APP, Reason.PROFILE_ATTACHED, ATTACHED, None),
                (has(state, tags=EXEMPT), DEFAULTS, Reason.PROFILE_ATTACHED, STALE, HOLDS),
                (has(state, tags=EXPIRED), DEFAULTS, Reason.PROFILE_ATTACHED, STALE, OVER),
                (has(state, tags=INVALID), DB_OR_APP, Reason.PROFILE_ATTACHED, STALE, NEVER_HELD),
                (has(state, None, EXEMPT), DEFAULTS, Reason.EXEMPT, EXEMPTED, HOLDS),
                (has(state, None, EXEMPT), DB_ONLY, Reason.EXEMPT, EXEMPTED, HOLDS),
                (has(state, None, EXPIRED), DEFAULTS, Reason.EXEMPTION_EXPIRED, ENDED, OVER),
                (has(state, None, INVALID), DEFAULTS, Reason.EXEMPTION_INVALID, MALFORMED, NEVER_HELD),
                (has(state, None), DEFAULTS, Reason.NO_PROFILE, NONE, None),
                (has(state, None), DB_ONLY, Reason.NO_PROFILE, NONE, None),
                (has(state, None, {"Name": "web-1"}), DEFAULTS, Reason.NO_PROFILE, NONE, None),
            )
        ),
        # A running instance is judged whatever is said of stopped ones.
        (has("running"), RUNNING_ONLY, Reason.PROFILE_ATTACHED, ATTACHED, None),
        (has("pending", None), RUNNING_ONLY, Reason.NO_PROFILE, NONE, None),
        # A newly discovered item is judged like any other.
        (
            instance_item(profile=None, configurationItemStatus="ResourceDiscovered"),
            DEFAULTS,
            Reason.NO_PROFILE,
            NONE,
            None,
        ),
    ],
)
def test_the_first_row_of_the_table_that_matches_decides(
    item: ConfigurationItem, parameters: RuleParameters, reason: Reason, annotation: str, exemption: Exemption | None
) -> None:
    """The verdict table, row for row: reason, annotation, and the exemption that was read on the way."""
    evaluation = evaluate(item, parameters, NOW)
    assert evaluation == Evaluation(
        item=item,
        reason=reason,
        annotation=annotation,
        evaluated_at=NOW,
        ordering_timestamp=CAPTURED,
        exemption=exemption,
    )
    assert evaluation.compliance_type is reason.compliance_type


@pytest.mark.parametrize(
    ("partition", "path"),
    [
        (partition, path)
        for partition in ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc")
        for path in ("", "team/", "a/b/c/")
    ],
)
def test_profiles_of_every_partition_with_and_without_a_path(partition: str, path: str) -> None:
    """A profile counts wherever it lives, and only a list of allowed ones restricts that."""
    item = has("running", f"arn:{partition}:iam::111122223333:instance-profile/{path}app-web")
    anywhere = RuleParameters(allowed_instance_profile_arns=(ProfilePattern("arn:*:iam::*:instance-profile/*app-web"),))
    elsewhere = RuleParameters(allowed_instance_profile_arns=(ProfilePattern("arn:aws-x:iam::*:instance-profile/*"),))
    assert [
        (evaluation.reason, evaluation.annotation)
        for evaluation in (evaluate(item, parameters, NOW) for parameters in (DEFAULTS, anywhere, elsewhere))
    ] == [
        (Reason.PROFILE_ATTACHED, ATTACHED),
        (Reason.PROFILE_ATTACHED, ATTACHED),
        (Reason.PROFILE_NOT_ALLOWED, NOT_ALLOWED),
    ]


def test_the_ordering_timestamp_is_the_capture_time_whenever_the_item_is_judged() -> None:
    """Judging an item again much later does not make it newer."""
    late = datetime(2027, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    evaluation = evaluate(has("running"), DEFAULTS, late)
    assert evaluation.ordering_timestamp == CAPTURED
    assert evaluation.evaluated_at == late
    assert evaluation.evaluated_at.tzinfo is UTC


def test_an_instance_that_nobody_read_is_no_verdict() -> None:
    """An item that was put together by hand without its instance is an error, not a missing profile."""
    item = replace(has("running"), instance=None)
    message = "i-0a1b2c3d4e5f60718: configuration is None; allowed: an object: the item is not a deletion"
    with pytest.raises(InvalidItem, match=f"^{re.escape(message)}$"):
        evaluate(item, DEFAULTS, NOW)
