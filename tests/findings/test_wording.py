import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.cutting import units
from rolecall.findings import wording
from rolecall.model import Reason
from tests.builders import ACCOUNT, INSTANCE_ID, NO_ROLE, REGION
from tests.findings.records import raw_record, record
from tests.strategies import texts

KEYS = (
    "Software on it that calls AWS most likely does so with long-term access keys, which lie on the instance, do not "
    "expire and are not rotated by themselves."
)
ATTACH = (
    f"The instance need not be restarted: aws ec2 associate-iam-instance-profile --region {REGION} "
    f"--instance-id {INSTANCE_ID} --iam-instance-profile Name=NAME"
)
SUBJECT = f"EC2 instance {INSTANCE_ID}"
WHERE = f"of account {ACCOUNT} in {REGION}"
WEB = f"{SUBJECT} (web-1) {WHERE}"

SAID = [
    (
        Reason.NO_PROFILE,
        f"{SUBJECT} has no IAM instance profile",
        (
            f"{WEB} has no IAM instance profile. {KEYS} "
            "Attach an instance profile with a least-privilege role or, if having no role is intended, "
            f"set tag {NO_ROLE} to the reason."
        ),
        (
            "Attach an instance profile with a least-privilege role or, if having no role is intended, "
            f"set tag {NO_ROLE} to the reason. {ATTACH}"
        ),
    ),
    (
        Reason.PROFILE_NOT_ALLOWED,
        f"{SUBJECT} has an IAM instance profile that is not allowed",
        (
            f"{WEB} has an IAM instance profile that is not allowed. "
            "Software on it works with permissions that nobody chose for such instances. "
            "Replace instance profile app-web by one that the rule parameter allowedInstanceProfileArns allows; "
            "an exemption tag does not help here."
        ),
        (
            "Replace instance profile app-web by one that the rule parameter allowedInstanceProfileArns allows; "
            "an exemption tag does not help here. The instance need not be restarted: "
            f"aws ec2 replace-iam-instance-profile-association --region {REGION} --iam-instance-profile Name=NAME "
            "--association-id with what describe-iam-instance-profile-associations says."
        ),
    ),
    (
        Reason.EXEMPTION_EXPIRED,
        f"{SUBJECT} has no IAM instance profile, and its exemption has expired",
        (
            f"{SUBJECT} {WHERE} has no IAM instance profile, and its exemption has expired. {KEYS} "
            "The exemption ended after 2026-02-28. Attach an instance profile, or have it renewed: "
            f"set tag {NO_ROLE}:expires to its new last day."
        ),
        (
            "The exemption ended after 2026-02-28. Attach an instance profile, or have it renewed: "
            f"set tag {NO_ROLE}:expires to its new last day. {ATTACH}"
        ),
    ),
    (
        Reason.EXEMPTION_INVALID,
        f"{SUBJECT} has no IAM instance profile, and its exemption is not valid",
        (
            f"{SUBJECT} {WHERE} has no IAM instance profile, and its exemption is not valid. {KEYS} "
            f"Tag {NO_ROLE} must say why no role is needed, but is blank. "
            "Correct it, or attach an instance profile."
        ),
        (
            f"Tag {NO_ROLE} must say why no role is needed, but is blank. "
            f"Correct it, or attach an instance profile. {ATTACH}"
        ),
    ),
    (
        Reason.PROFILE_ATTACHED,
        f"{SUBJECT} has an IAM instance profile",
        f"{WEB} has an IAM instance profile. Instance profile app-web is attached.",
        "Instance profile app-web is attached.",
    ),
    (
        Reason.TERMINATING,
        f"{SUBJECT} is terminated or about to be",
        (f"{WEB} is terminated or about to be. The instance is terminated or about to be; nothing is to be done."),
        "The instance is terminated or about to be; nothing is to be done.",
    ),
    (
        Reason.DELETED,
        f"{SUBJECT} no longer exists",
        f"{SUBJECT} {WHERE} no longer exists. The instance no longer exists.",
        "The instance no longer exists.",
    ),
    (
        Reason.OTHER_RESOURCE,
        "Resource a-bucket is of a type that is not judged",
        (f"Resource a-bucket {WHERE} is of a type that is not judged. This rule judges AWS::EC2::Instance only."),
        "This rule judges AWS::EC2::Instance only.",
    ),
]


@pytest.mark.parametrize(("reason", "title", "description", "next_step"), SAID, ids=[case[0] for case in SAID])
def test_each_reason_says_what_is_wrong_why_it_matters_and_what_to_do(
    reason: Reason, title: str, description: str, next_step: str
) -> None:
    """On which instance, in words that its owner can act on."""
    one = record(reason)
    assert (wording.title(one), wording.description(one), wording.next_step(one)) == (title, description, next_step)


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        (Reason.LEFT_SCOPE, f"{SUBJECT} is no longer in the rule's scope"),
        (Reason.NOT_RECORDED, f"{SUBJECT} is not recorded by AWS Config"),
        (Reason.STOPPED, f"{SUBJECT} is stopped, and stopped instances are not judged"),
        (Reason.EXEMPT, f"{SUBJECT} intentionally has no IAM instance profile"),
    ],
)
def test_whatever_else_is_the_case_has_a_title(reason: Reason, title: str) -> None:
    """The rest of these is in the tests of whole findings, or is the annotation."""
    assert wording.title(record(reason)) == title


@pytest.mark.parametrize("name", ["EC2", "ec2-", "EC2 instance", "E", "On", "On AWS, EC2", "Resource", "R"])
@pytest.mark.parametrize("reason", [Reason.NO_PROFILE, Reason.OTHER_RESOURCE])
def test_a_title_never_begins_with_the_rules_name(name: str, reason: Reason) -> None:
    """In whatever case: an automation rule that suppresses Config's own findings looks for such titles."""
    assert not wording.title(record(reason, rule_name=name)).casefold().startswith(name.casefold())


@given(name=texts.filter(lambda text: text.strip()) | st.text("EC2On A", min_size=1), resource=texts.filter(bool))
def test_no_rule_name_begins_a_title(name: str, resource: str) -> None:
    """For any name and any resource, within 256 characters."""
    one = record(resourceId=resource, rule={**raw_record()["rule"], "name": name})
    title = wording.title(one)
    assert not one.own_rule_name or not title.casefold().startswith(one.own_rule_name.casefold())
    assert 1 <= units(title) <= 256


TITLE_ROOM = 256 - len("EC2 instance  has no IAM instance profile")


@pytest.mark.parametrize(
    ("resource_id", "shown"),
    [
        ("x" * TITLE_ROOM, "x" * TITLE_ROOM),
        ("x" * (TITLE_ROOM + 1), "x" * (TITLE_ROOM - 1) + "…"),
        ("😀" * TITLE_ROOM, "😀" * ((TITLE_ROOM - 1) // 2) + "…"),
    ],
)
def test_a_title_has_at_most_256_characters_and_always_says_what_is_wrong(resource_id: str, shown: str) -> None:
    """At the limit and one beyond it, it is the resource's id that is cut."""
    title = wording.title(record(resourceId=resource_id))
    assert title == f"EC2 instance {shown} has no IAM instance profile"
    assert units(title) <= 256


DESCRIPTION_ROOM = 1024 - len(f"{WEB} has no IAM instance profile. {KEYS} .")
NEXT_STEP_ROOM = 512 - len(f". {ATTACH}")


@pytest.mark.parametrize(("excess", "end"), [(0, "x."), (1, "x…")])
def test_a_description_has_at_most_1024_characters(excess: int, end: str) -> None:
    """At the limit it is whole, one beyond it is cut."""
    text = wording.description(record(annotation="x" * (DESCRIPTION_ROOM + excess)))
    assert (len(text), text[-2:]) == (1024, end)


@pytest.mark.parametrize(
    ("excess", "length", "end"), [(0, 512, ATTACH), (1, 512 - len("Name=NAME") + 1, f"{ATTACH.rpartition(' ')[0]}…")]
)
def test_a_recommendation_has_at_most_512_characters(excess: int, length: int, end: str) -> None:
    """At the limit it is whole, one beyond it is cut at a word."""
    text = wording.next_step(record(annotation="x" * (NEXT_STEP_ROOM + excess)))
    assert (len(text), text[-len(end) :]) == (length, end)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("NO_PROFILE: attach one.", "Attach one."),
        ("NO_PROFILE: attach one", "Attach one."),
        ("NO_PROFILE: attach…", "Attach…"),
        ("NO_PROFILE:", "NO_PROFILE:."),
        ("EXEMPT: attach one.", "EXEMPT: attach one."),
        ("ǆ", "Ǆ."),
        (" ", " ."),
    ],
)
def test_advice_is_the_annotation_as_a_sentence(annotation: str, expected: str) -> None:
    """Without its code, which is told apart; another one is no code of this record."""
    assert wording.advice(record(annotation=annotation)) == expected


def test_the_page_fits_the_reason() -> None:
    """About tags where they are the matter, else about attaching a role; both are of AWS's documentation."""
    about_tags = {reason for reason in Reason if wording.page(reason) == wording.TAGS_PAGE}
    assert about_tags == {Reason.EXEMPT, Reason.EXEMPTION_EXPIRED, Reason.EXEMPTION_INVALID}
    assert {wording.page(reason) for reason in Reason} == {wording.TAGS_PAGE, wording.ATTACH_PAGE}
