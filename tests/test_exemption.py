from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from rolecall.exemption import near_misses, read_exemption
from rolecall.model import Exemption, ExemptionState
from rolecall.parameters import RuleParameters
from tests.builders import NO_ROLE, NOW, exemption_tags

WHY = "licensed appliance"
TODAY, YESTERDAY, TOMORROW = "2026-03-02", "2026-03-01", "2026-03-03"
"""The days around `NOW`."""

DEFAULTS = RuleParameters()
LIMITED = RuleParameters(exemption_max_days=90)
EXPIRING = RuleParameters(exemption_expiry_required=True)
APPROVED = RuleParameters(exemption_approver_required=True)
ANY_REASON = RuleParameters(exemption_reason_required=False)


def valid(reason: str = WHY, **facts: str) -> Exemption:
    """The exemption that holds, with what else it declares."""
    return _exemption(ExemptionState.VALID, "", reason, **facts)


def expired(reason: str = WHY, **facts: str) -> Exemption:
    """The exemption that held until its last day."""
    return _exemption(ExemptionState.EXPIRED, "", reason, **facts)


def malformed(problem: str, reason: str = WHY, **facts: str) -> Exemption:
    """The exemption that never held, and why."""
    return _exemption(ExemptionState.MALFORMED, problem, reason, **facts)


def _exemption(state: ExemptionState, problem: str, reason: str, **facts: str) -> Exemption:
    return Exemption(
        state=state,
        problem=problem,
        reason=reason,
        approved_by=facts.get("approved_by"),
        ticket=facts.get("ticket"),
        granted=date.fromisoformat(facts["granted"]) if "granted" in facts else None,
        expires=date.fromisoformat(facts["expires"]) if "expires" in facts else None,
    )


@pytest.mark.parametrize(
    ("tags", "parameters", "expected"),
    [
        (exemption_tags(WHY), DEFAULTS, valid()),
        (exemption_tags(f"  {WHY}\n"), DEFAULTS, valid()),
        (exemption_tags(WHY) | {"Name": "web-1", "expires": "never"}, DEFAULTS, valid()),
        (exemption_tags("", key="no-role"), RuleParameters("no-role", exemption_reason_required=False), valid("")),
        (exemption_tags(""), ANY_REASON, valid("")),
        (exemption_tags("   "), ANY_REASON, valid("")),
        (exemption_tags(WHY, expires=TODAY), DEFAULTS, valid(expires=TODAY)),
        (exemption_tags(WHY, expires=f" {TOMORROW} "), EXPIRING, valid(expires=TOMORROW)),
        (exemption_tags(WHY, granted=TODAY), DEFAULTS, valid(granted=TODAY)),
        (exemption_tags(WHY, granted=TODAY, expires=TODAY), DEFAULTS, valid(granted=TODAY, expires=TODAY)),
        (exemption_tags(WHY, granted="1999-01-01"), DEFAULTS, valid(granted="1999-01-01")),
        (exemption_tags(WHY, granted=TODAY, expires="2026-05-31"), LIMITED, valid(granted=TODAY, expires="2026-05-31")),
        (
            exemption_tags(WHY, granted="2024-02-29", expires="2026-03-02"),
            RuleParameters(exemption_max_days=732),
            valid(granted="2024-02-29", expires="2026-03-02"),
        ),
        (exemption_tags(WHY, approved_by=" Kim Doe "), APPROVED, valid(approved_by="Kim Doe")),
        (exemption_tags(WHY, approved_by=" "), DEFAULTS, valid()),
        (exemption_tags(WHY, ticket=" "), DEFAULTS, valid()),
        (exemption_tags(WHY, ticket="OPS-7"), DEFAULTS, valid(ticket="OPS-7")),
        (
            exemption_tags(WHY, granted=YESTERDAY, expires=TOMORROW, approved_by="Kim Doe", ticket="OPS-7"),
            RuleParameters(exemption_expiry_required=True, exemption_max_days=2, exemption_approver_required=True),
            valid(granted=YESTERDAY, expires=TOMORROW, approved_by="Kim Doe", ticket="OPS-7"),
        ),
        # The main tag alone has look-alikes that neither add nor take anything.
        (exemption_tags(WHY) | {"Intentional-No-Role": "x"}, DEFAULTS, valid()),
        (exemption_tags(WHY) | {"intentional-no-roles:owner": "x"}, DEFAULTS, valid()),
    ],
)
def test_an_exemption_that_holds(tags: Mapping[str, str], parameters: RuleParameters, expected: Exemption) -> None:
    """Everything that the parameters ask for is there and can be read; blanks around values do not matter."""
    assert read_exemption(tags, parameters, NOW) == expected


@pytest.mark.parametrize(
    ("tags", "parameters", "expected"),
    [
        (exemption_tags(WHY, expires=YESTERDAY), DEFAULTS, expired(expires=YESTERDAY)),
        (exemption_tags(WHY, expires=YESTERDAY), EXPIRING, expired(expires=YESTERDAY)),
        (exemption_tags(WHY, expires="0001-01-01"), DEFAULTS, expired(expires="0001-01-01")),
        (
            exemption_tags(WHY, granted="2025-12-01", expires=YESTERDAY),
            LIMITED,
            expired(granted="2025-12-01", expires=YESTERDAY),
        ),
    ],
)
def test_an_exemption_that_is_over(tags: Mapping[str, str], parameters: RuleParameters, expected: Exemption) -> None:
    """Its last day has passed, wherever that day comes from."""
    assert read_exemption(tags, parameters, NOW) == expected


BLANK = f"tag {NO_ROLE} must say why no role is needed, but is blank"
EXPIRES_MISSING = f"tag {NO_ROLE}:expires is missing, it must say a date as YYYY-MM-DD"
GRANTED_MISSING = f"tag {NO_ROLE}:granted is missing, it must say a date as YYYY-MM-DD"
APPROVER_MISSING = f"tag {NO_ROLE}:approved-by is missing, it must say who agreed"


def not_a_day(companion: str, value: str) -> str:
    """The problem of a date that cannot be read."""
    return f"tag {NO_ROLE}:{companion} must be a date as YYYY-MM-DD, not '{value}'"


def unknown(tag: str) -> str:
    """The problem of a companion that nobody knows."""
    return f"tag '{tag}' is unknown: only :expires, :granted, :approved-by, :ticket count beside {NO_ROLE}"


@pytest.mark.parametrize(
    ("tags", "parameters", "expected"),
    [
        (exemption_tags(""), DEFAULTS, malformed(BLANK, "")),
        (exemption_tags(" \t\u00a0"), DEFAULTS, malformed(BLANK, "")),
        # The reason is asked for first, whatever else is wrong with the companions that are missing.
        (exemption_tags(""), RuleParameters(exemption_max_days=1), malformed(BLANK, "")),
        (exemption_tags(WHY), EXPIRING, malformed(EXPIRES_MISSING)),
        (exemption_tags(WHY), LIMITED, malformed(EXPIRES_MISSING)),
        (exemption_tags(WHY), RuleParameters(exemption_max_days=1), malformed(EXPIRES_MISSING)),
        (exemption_tags(WHY, granted=TODAY), LIMITED, malformed(EXPIRES_MISSING, granted=TODAY)),
        (exemption_tags(WHY, expires=TOMORROW), LIMITED, malformed(GRANTED_MISSING, expires=TOMORROW)),
        (exemption_tags(WHY), APPROVED, malformed(APPROVER_MISSING)),
        (exemption_tags(WHY, approved_by="  "), APPROVED, malformed(APPROVER_MISSING)),
        *(
            (exemption_tags(WHY, expires=text), DEFAULTS, malformed(not_a_day("expires", text)))
            for text in ("", "never", "2026-02-30", "20260401", "2026-W14-1", "01.04.2026", "2026-4-1", "2026-04-01Z")
        ),
        *(
            (exemption_tags(WHY, granted=text), DEFAULTS, malformed(not_a_day("granted", text)))
            for text in ("", "today", "2026-03-02T10:00:00Z", "\uff12026-03-02", "0000-01-01")
        ),
        # What cannot be read is named before what is missing.
        (exemption_tags("", expires="soon"), LIMITED, malformed(not_a_day("expires", "soon"), "")),
        (
            exemption_tags(WHY, granted=TOMORROW),
            DEFAULTS,
            malformed(f"tag {NO_ROLE}:granted is {TOMORROW}, which is in the future (days are UTC)", granted=TOMORROW),
        ),
        (
            exemption_tags(WHY, granted=TODAY, expires=YESTERDAY),
            DEFAULTS,
            malformed(
                f"tag {NO_ROLE}:expires is {YESTERDAY}, before {NO_ROLE}:granted, {TODAY}",
                granted=TODAY,
                expires=YESTERDAY,
            ),
        ),
        (
            exemption_tags(WHY, granted=TODAY, expires="2026-06-01"),
            LIMITED,
            malformed(
                f"tag {NO_ROLE}:expires is 2026-06-01, 91 days after {NO_ROLE}:granted: the limit is 90",
                granted=TODAY,
                expires="2026-06-01",
            ),
        ),
        (
            exemption_tags(WHY, granted=YESTERDAY, expires=TOMORROW),
            RuleParameters(exemption_max_days=1),
            malformed(
                f"tag {NO_ROLE}:expires is {TOMORROW}, 2 days after {NO_ROLE}:granted: the limit is 1",
                granted=YESTERDAY,
                expires=TOMORROW,
            ),
        ),
        # Measured from the day of granting: waiting does not make a too long exemption valid.
        (
            exemption_tags(WHY, granted="2025-12-01", expires=TOMORROW),
            LIMITED,
            malformed(
                f"tag {NO_ROLE}:expires is {TOMORROW}, 92 days after {NO_ROLE}:granted: the limit is 90",
                granted="2025-12-01",
                expires=TOMORROW,
            ),
        ),
        # Malformed comes before expired: it never held.
        (
            exemption_tags(WHY, granted="2025-01-01", expires=YESTERDAY),
            LIMITED,
            malformed(
                f"tag {NO_ROLE}:expires is {YESTERDAY}, 424 days after {NO_ROLE}:granted: the limit is 90",
                granted="2025-01-01",
                expires=YESTERDAY,
            ),
        ),
        *(
            (
                exemption_tags(WHY) | {tag: TOMORROW},
                DEFAULTS,
                malformed(f"tag '{tag}' must be spelled {NO_ROLE}:expires"),
            )
            for tag in (
                f"{NO_ROLE}:Expires",
                f"{NO_ROLE}: expires",
                f"{NO_ROLE}:expires ",
                f"{NO_ROLE}-expires",
                f"{NO_ROLE}/expires",
                "Intentional_No_Role:expires",
                "IntentionalNoRole:Expires",
            )
        ),
        (
            exemption_tags(WHY, approved_by="Kim Doe") | {f"{NO_ROLE}:approved_by": "x"},
            APPROVED,
            malformed(f"tag '{NO_ROLE}:approved_by' must be spelled {NO_ROLE}:approved-by", approved_by="Kim Doe"),
        ),
        *(
            (exemption_tags(WHY) | {tag: TOMORROW}, DEFAULTS, malformed(unknown(tag)))
            for tag in (
                f"{NO_ROLE}:expiry",
                f"{NO_ROLE}:",
                f"{NO_ROLE}:expires-on",
                "INTENTIONAL-NO-ROLE:until",
                f"{NO_ROLE}-expiry",
                f"{NO_ROLE}.expiry",
                f"{NO_ROLE}/expires-on",
                f"{NO_ROLE} valid until",
                f"{NO_ROLE} :expiry",
                "intentional_no_role:expiry",
                "Intentional No Role : note",
            )
        ),
        (exemption_tags("\u200b\u00ad"), DEFAULTS, malformed(BLANK, "")),
        (exemption_tags("—"), DEFAULTS, malformed(BLANK, "")),
        (exemption_tags(WHY, approved_by="\u200b"), APPROVED, malformed(APPROVER_MISSING)),
    ],
)
def test_an_exemption_that_cannot_hold(
    tags: Mapping[str, str], parameters: RuleParameters, expected: Exemption
) -> None:
    """Whatever cannot be read, is missing or contradicts itself does not exempt, and the problem names the tag."""
    assert read_exemption(tags, parameters, NOW) == expected


@pytest.mark.parametrize(
    "tag", [f"{NO_ROLE}-team", f"{NO_ROLE}2", f"{NO_ROLE}s", "no-role:until", "Intentional-No-Role"]
)
def test_a_tag_that_limits_nothing_does_no_harm_beside_the_exemption(tag: str) -> None:
    """Only what may have been meant as a limit is refused."""
    found = read_exemption(exemption_tags(WHY) | {tag: TOMORROW}, DEFAULTS, NOW)
    assert found == read_exemption(exemption_tags(WHY), DEFAULTS, NOW)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Name": "web-1"},
        {"Intentional-No-Role": WHY},
        {"intentional_no_role": WHY},
        {f" {NO_ROLE}": WHY},
        exemption_tags(None, expires=TOMORROW, granted=TODAY, approved_by="Kim Doe", ticket="OPS-7"),
    ],
)
def test_without_the_exact_tag_nothing_is_declared(tags: Mapping[str, str]) -> None:
    """Another case, another spelling or companions alone are no exemption, and not a malformed one either."""
    assert read_exemption(tags, DEFAULTS, NOW) is None


def test_an_unknown_companion_of_another_key_in_another_case_is_still_unknown() -> None:
    """Capitals, in the key or in the tag, are no way to an exemption without end."""
    tags = exemption_tags(WHY, key="No-Role") | {"no-role:until": TOMORROW}
    assert read_exemption(tags, RuleParameters(exemption_tag_key="No-Role"), NOW) == malformed(
        "tag 'no-role:until' is unknown: only :expires, :granted, :approved-by, :ticket count beside No-Role"
    )


def test_another_key_is_another_tag() -> None:
    """The parameter replaces the default key, it does not add to it."""
    parameters = RuleParameters(exemption_tag_key="no-role")
    assert read_exemption(exemption_tags(WHY), parameters, NOW) is None
    tags = exemption_tags(WHY, key="no-role", expires=TOMORROW, granted=TODAY, approved_by="Kim Doe", ticket="OPS-7")
    assert read_exemption(tags, parameters, NOW) == valid(
        expires=TOMORROW, granted=TODAY, approved_by="Kim Doe", ticket="OPS-7"
    )


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (datetime(2026, 3, 2, 0, 0, tzinfo=UTC), ExemptionState.VALID),
        (datetime(2026, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC), ExemptionState.VALID),
        (datetime(2026, 3, 3, 0, 0, tzinfo=UTC), ExemptionState.EXPIRED),
        # The same last instant and the first one after it, on other clocks.
        (datetime(2026, 3, 3, 12, 59, 59, tzinfo=timezone(timedelta(hours=13))), ExemptionState.VALID),
        (datetime(2026, 3, 3, 13, 0, tzinfo=timezone(timedelta(hours=13))), ExemptionState.EXPIRED),
        (datetime(2026, 3, 2, 12, 59, 59, tzinfo=timezone(-timedelta(hours=11))), ExemptionState.VALID),
        (datetime(2026, 3, 2, 13, 0, tzinfo=timezone(-timedelta(hours=11))), ExemptionState.EXPIRED),
    ],
)
def test_the_last_day_ends_at_midnight_utc(now: datetime, state: ExemptionState) -> None:
    """The expiry day is valid through its end, in UTC, whatever zone `now` is given in."""
    exemption = read_exemption(exemption_tags(WHY, expires="2026-03-02"), DEFAULTS, now)
    assert exemption is not None
    assert exemption.state is state


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC), ExemptionState.MALFORMED),
        (datetime(2026, 3, 2, 0, 0, tzinfo=UTC), ExemptionState.VALID),
        (datetime(2026, 3, 2, 12, 59, tzinfo=timezone(timedelta(hours=13))), ExemptionState.MALFORMED),
    ],
)
def test_the_day_of_granting_begins_at_midnight_utc(now: datetime, state: ExemptionState) -> None:
    """What is granted today holds today; east of Greenwich, today may still be tomorrow."""
    exemption = read_exemption(exemption_tags(WHY, granted="2026-03-02"), DEFAULTS, now)
    assert exemption is not None
    assert exemption.state is state


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, []),
        ({"Name": "web-1", "role": "none", "no-role": "x"}, []),
        ({NO_ROLE: WHY, f"{NO_ROLE}:expires": TOMORROW}, []),
        ({"Intentional-No-Role": WHY}, [("Intentional-No-Role", NO_ROLE)]),
        ({"intentional no role ": WHY}, [("intentional no role ", NO_ROLE)]),
        ({"IntentionalNoRole": WHY}, [("IntentionalNoRole", NO_ROLE)]),
        ({f"{NO_ROLE}:expires": TOMORROW}, [(f"{NO_ROLE}:expires", f"{NO_ROLE}:expires")]),
        ({f"{NO_ROLE}:Ticket": "OPS-7"}, [(f"{NO_ROLE}:Ticket", f"{NO_ROLE}:ticket")]),
        (
            {f"{NO_ROLE}:Expires": TOMORROW, f"{NO_ROLE}:granted": TODAY, "intentional_no_role": WHY},
            [
                ("intentional_no_role", NO_ROLE),
                (f"{NO_ROLE}:Expires", f"{NO_ROLE}:expires"),
                (f"{NO_ROLE}:granted", f"{NO_ROLE}:granted"),
            ],
        ),
        ({NO_ROLE: WHY, f"{NO_ROLE}:Expires": TOMORROW}, [(f"{NO_ROLE}:Expires", f"{NO_ROLE}:expires")]),
    ],
)
def test_near_misses_are_told_with_what_was_meant(tags: Mapping[str, str], expected: list[tuple[str, str]]) -> None:
    """The main tag's look-alikes come first: without it, correcting a companion is no help."""
    assert near_misses(tags, NO_ROLE) == expected
