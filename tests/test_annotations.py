from collections.abc import Mapping

import pytest

from rolecall.annotations import fitted
from rolecall.parameters import ProfilePattern, RuleParameters
from rolecall.rule import evaluate
from tests.builders import NO_ROLE, NOW, exemption_tags, instance_item

DEFAULTS = RuleParameters()
STRICT = RuleParameters(exemption_max_days=90, exemption_approver_required=True)
DB_ONLY = RuleParameters(allowed_instance_profile_arns=(ProfilePattern("arn:aws:iam::*:instance-profile/db-*"),))
LEAST_PRIVILEGE = "NO_PROFILE: attach an instance profile with a least-privilege role"
LONG_NAME = "n" * 128
"""As long as IAM lets an instance profile's name be; its path may have 512 characters."""
LONG_ARN = f"arn:aws:iam::111122223333:instance-profile/{'path/' * 102}{LONG_NAME}"


@pytest.mark.parametrize(
    ("tags", "parameters", "annotation"),
    [
        (
            {},
            DEFAULTS,
            f"{LEAST_PRIVILEGE} or, if having no role is intended, set tag {NO_ROLE} to the reason.",
        ),
        (
            {},
            RuleParameters(exemption_tag_key="no-role", exemption_expiry_required=True),
            f"{LEAST_PRIVILEGE} or, if having no role is intended, set tag no-role to the reason, no-role:expires.",
        ),
        (
            {},
            STRICT,
            (
                f"{LEAST_PRIVILEGE} or, if having no role is intended, set tag {NO_ROLE} to the reason, "
                f"{NO_ROLE}:expires, {NO_ROLE}:granted, {NO_ROLE}:approved-by."
            ),
        ),
        (
            {"Intentional-No-Role": "appliance"},
            DEFAULTS,
            (
                f"{LEAST_PRIVILEGE}. Tag 'Intentional-No-Role' does not exempt: tag keys match exactly, "
                f"{NO_ROLE} was probably meant."
            ),
        ),
        (
            {f"{NO_ROLE}:expires": "2026-12-31", "intentional_no_role": "appliance"},
            DEFAULTS,
            (
                f"{LEAST_PRIVILEGE}. Tag 'intentional_no_role' does not exempt: tag keys match exactly, "
                f"{NO_ROLE} was probably meant."
            ),
        ),
        (
            {f"{NO_ROLE}:expires": "2026-12-31"},
            DEFAULTS,
            (
                f"{LEAST_PRIVILEGE}. Tag '{NO_ROLE}:expires' does not exempt: it counts only beside tag {NO_ROLE}, "
                "whose value says why."
            ),
        ),
        (
            {f"{NO_ROLE}:Approved_By": "Kim Doe"},
            DEFAULTS,
            (
                f"{LEAST_PRIVILEGE}. Tag '{NO_ROLE}:Approved_By' does not exempt: it counts only beside tag {NO_ROLE}, "
                "whose value says why."
            ),
        ),
        (
            exemption_tags("appliance", expires="2026-12-31"),
            DEFAULTS,
            "EXEMPT: no role is intended through 2026-12-31: appliance",
        ),
        (
            exemption_tags(""),
            RuleParameters(exemption_reason_required=False),
            "EXEMPT: no role is intended: no reason is given",
        ),
        (
            exemption_tags("an\tappliance\r\nof  a\u2028vendor"),
            DEFAULTS,
            "EXEMPT: no role is intended: an appliance of a vendor",
        ),
        (
            exemption_tags("because " * 32),
            DEFAULTS,
            f"EXEMPT: no role is intended: {'because ' * 27}because…",
        ),
        (
            exemption_tags("x" + ":" * 255),
            DEFAULTS,
            "EXEMPT: no role is intended: x…",
        ),
        (
            exemption_tags("appliance", granted="2025-12-01", expires="2026-02-28", approved_by="Kim Doe"),
            STRICT,
            (
                "EXEMPTION_EXPIRED: the exemption ended after 2026-02-28. "
                "Attach an instance profile, or have it renewed: "
                f"set tag {NO_ROLE}:expires to its new last day and {NO_ROLE}:granted to the day of renewal."
            ),
        ),
        (
            exemption_tags("appliance", expires="x" * 256),
            DEFAULTS,
            (
                f"EXEMPTION_INVALID: tag {NO_ROLE}:expires must be a date as YYYY-MM-DD, not '{'x' * 119}…. "
                "Correct it, or attach an instance profile."
            ),
        ),
    ],
)
def test_the_owner_of_an_instance_without_a_profile_is_told_what_to_do(
    tags: Mapping[str, str], parameters: RuleParameters, annotation: str
) -> None:
    """What to attach, which tags an exemption needs here, and why the tags that are there do not count."""
    assert evaluate(instance_item(profile=None, tags=tags), parameters, NOW).annotation == annotation


@pytest.mark.parametrize(
    ("tags", "parameters", "annotation"),
    [
        ({}, DEFAULTS, f"PROFILE_ATTACHED: instance profile {LONG_NAME} is attached."),
        (
            exemption_tags("appliance"),
            DEFAULTS,
            (
                f"PROFILE_ATTACHED: instance profile {LONG_NAME} is attached. Remove tag {NO_ROLE}: it is stale, "
                "an instance with a profile is…"
            ),
        ),
        (
            {},
            DB_ONLY,
            (
                f"PROFILE_NOT_ALLOWED: replace instance profile {LONG_NAME} by one that the rule parameter "
                "allowedInstanceProfileArns allows; an exemption…"
            ),
        ),
    ],
)
def test_a_long_profile_leaves_room_for_the_advice(
    tags: Mapping[str, str], parameters: RuleParameters, annotation: str
) -> None:
    """A profile's name is told without its path, so that what to do is never cut away."""
    assert evaluate(instance_item(profile=LONG_ARN, tags=tags), parameters, NOW).annotation == annotation


def test_a_profile_that_is_no_arn_is_told_as_it_is() -> None:
    """Nothing is shown as nothing."""
    evaluation = evaluate(instance_item(profile="odd/"), DEFAULTS, NOW)
    assert evaluation.annotation == "PROFILE_ATTACHED: instance profile odd/ is attached."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A: b", "A: b"),
        ("  A: \n b\x00\x1b[31m\x85 c ", "A: b [31m c"),
        ("A: lone \ud800 surrogate", "A: lone \ufffd surrogate"),
        ("A" * 256, "A" * 256),
        ("A" * 257, "A" * 255 + "…"),
        ("A " * 128, ("A " * 128).strip()),
        ("A " * 129, "A " * 126 + "A…"),
        ("A: " + "b" * 200 + " " + "c" * 100, "A: " + "b" * 200 + "…"),
        ("A: b " + "c" * 300, "A: b " + "c" * 250 + "…"),
        ("\uffff" * 256, "\uffff" * 256),
        # An emoji is two units of UTF-16, and is never cut in half.
        ("😀" * 128, "😀" * 128),
        ("😀" * 129, "😀" * 127 + "…"),
        ("a" + "😀" * 128, "a" + "😀" * 127 + "…"),
    ],
)
def test_a_text_is_fitted_into_one_line_of_256_units(text: str, expected: str) -> None:
    """Cut at a word where there is one, and marked as cut."""
    assert fitted(text) == expected
