import json
import re
from collections.abc import Mapping

import pytest

from rolecall.errors import InvalidParameter
from rolecall.exemption import COMPANIONS
from rolecall.parameters import (
    ALIASES,
    MAX_JSON_LENGTH,
    PARAMETERS,
    TAG_KEY_MAX_LENGTH,
    ProfilePattern,
    RuleParameters,
    parse_parameters,
)

APP = "arn:aws:iam::111122223333:instance-profile/app-web"
ANY_APP = "arn:aws:iam::*:instance-profile/app-*"
LONGEST_KEY = "k" * TAG_KEY_MAX_LENGTH

STRICTEST = RuleParameters(
    exemption_tag_key="acme/no role",
    exemption_reason_required=False,
    exemption_expiry_required=True,
    exemption_max_days=90,
    exemption_approver_required=True,
    allowed_instance_profile_arns=(ProfilePattern(APP), ProfilePattern(ANY_APP)),
    evaluate_stopped=False,
)
STRICTEST_TEXTS = {
    "exemptionTagKey": "acme/no role",
    "exemptionReasonRequired": "false",
    "exemptionExpiryRequired": "true",
    "exemptionMaxDays": "90",
    "exemptionApproverRequired": "true",
    "allowedInstanceProfileArns": f"{APP},{ANY_APP}",
    "evaluateStopped": "false",
}


def test_the_defaults_are_those_of_the_documentation() -> None:
    """What a rule without parameters does; a change here changes verdicts everywhere."""
    assert RuleParameters().to_strings() == {
        "exemptionTagKey": "intentional-no-role",
        "exemptionReasonRequired": "true",
        "exemptionExpiryRequired": "false",
        "exemptionMaxDays": "0",
        "exemptionApproverRequired": "false",
        "allowedInstanceProfileArns": "",
        "evaluateStopped": "true",
    }


@pytest.mark.parametrize(
    "given",
    [None, "", "  ", "null", "{}", " {} ", {}, *({name: ""} for name in PARAMETERS), *({n: None} for n in PARAMETERS)],
    ids=repr,
)
def test_what_says_nothing_means_the_defaults(given: object) -> None:
    """Config leaves parameters out in several ways, and so do people."""
    assert parse_parameters(given) == RuleParameters()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"exemptionTagKey": "no-role"}, RuleParameters(exemption_tag_key="no-role")),
        ({"exemptionTagKey": "  no-role "}, RuleParameters(exemption_tag_key="no-role")),
        ({"exemptionTagKey": "Acme: no_role/v1.0+x=y@z"}, RuleParameters(exemption_tag_key="Acme: no_role/v1.0+x=y@z")),
        ({"exemptionTagKey": "ohne-Rolle-für-Geräte"}, RuleParameters(exemption_tag_key="ohne-Rolle-für-Geräte")),
        ({"exemptionTagKey": LONGEST_KEY}, RuleParameters(exemption_tag_key=LONGEST_KEY)),
        ({"exemptionReasonRequired": "false"}, RuleParameters(exemption_reason_required=False)),
        ({"exemptionReasonRequired": "False"}, RuleParameters(exemption_reason_required=False)),
        ({"exemptionReasonRequired": False}, RuleParameters(exemption_reason_required=False)),
        ({"exemptionReasonRequired": "true"}, RuleParameters()),
        ({"exemptionExpiryRequired": "true"}, RuleParameters(exemption_expiry_required=True)),
        ({"exemptionExpiryRequired": " TRUE "}, RuleParameters(exemption_expiry_required=True)),
        ({"exemptionExpiryRequired": True}, RuleParameters(exemption_expiry_required=True)),
        ({"exemptionExpiryRequired": "false"}, RuleParameters()),
        ({"exemptionMaxDays": "90"}, RuleParameters(exemption_max_days=90)),
        ({"exemptionMaxDays": 90}, RuleParameters(exemption_max_days=90)),
        ({"exemptionMaxDays": "0"}, RuleParameters()),
        ({"exemptionMaxDays": "36500"}, RuleParameters(exemption_max_days=36_500)),
        ({"exemptionApproverRequired": "true"}, RuleParameters(exemption_approver_required=True)),
        ({"exemptionApproverRequired": "false"}, RuleParameters()),
        ({"allowedInstanceProfileArns": APP}, RuleParameters(allowed_instance_profile_arns=(ProfilePattern(APP),))),
        ({"IamInstanceProfileArnList": APP}, RuleParameters(allowed_instance_profile_arns=(ProfilePattern(APP),))),
        (
            {"allowedInstanceProfileArns": f" {APP} , ,\n{ANY_APP}, "},
            RuleParameters(allowed_instance_profile_arns=(ProfilePattern(APP), ProfilePattern(ANY_APP))),
        ),
        (
            {"allowedInstanceProfileArns": "", "IamInstanceProfileArnList": APP},
            RuleParameters(allowed_instance_profile_arns=(ProfilePattern(APP),)),
        ),
        ({"evaluateStopped": "false"}, RuleParameters(evaluate_stopped=False)),
        ({"evaluateStopped": "true"}, RuleParameters()),
        (STRICTEST_TEXTS, STRICTEST),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, Mapping) else "",
)
def test_every_spelling_that_is_allowed(given: Mapping[str, object], expected: RuleParameters) -> None:
    """Texts as Config sends them; numbers and truth values as settings may hold them; blanks around do not matter."""
    assert parse_parameters(given) == expected
    assert parse_parameters(json.dumps(given)) == expected


NAMES = (
    "the parameters exemptionTagKey, exemptionReasonRequired, exemptionExpiryRequired, exemptionMaxDays, "
    "exemptionApproverRequired, allowedInstanceProfileArns, evaluateStopped"
)
TAG_KEY = "a tag key of 1 to 116 letters, digits, spaces or _.:/=+-@ that does not begin with aws:"
DAYS = "a whole number of days from 0 (no limit) to 36500"
ARNS = "comma-separated instance profile ARNs, * and ? as wildcards, as arn:aws:iam::*:instance-profile/app-*"
OBJECT = "a JSON object of names and values"
ROLE = "arn:aws:iam::111122223333:role/app-web"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exemptionTagkey": "x"}, f"rule parameter exemptionTagkey is 'x'; allowed: {NAMES}"),
        ({"": "x"}, f"rule parameter  is 'x'; allowed: {NAMES}"),
        ({"exemptionTagKey": "aws:no-role"}, f"rule parameter exemptionTagKey is 'aws:no-role'; allowed: {TAG_KEY}"),
        ({"exemptionTagKey": "AWS:no-role"}, f"rule parameter exemptionTagKey is 'AWS:no-role'; allowed: {TAG_KEY}"),
        ({"exemptionTagKey": "no*role"}, f"rule parameter exemptionTagKey is 'no*role'; allowed: {TAG_KEY}"),
        ({"exemptionTagKey": "no\nrole"}, f"rule parameter exemptionTagKey is 'no\\nrole'; allowed: {TAG_KEY}"),
        (
            {"exemptionTagKey": LONGEST_KEY + "k"},
            f"rule parameter exemptionTagKey is '{LONGEST_KEY}k'; allowed: {TAG_KEY}",
        ),
        ({"exemptionTagKey": ["x"]}, f"rule parameter exemptionTagKey is ['x']; allowed: {TAG_KEY}"),
        *(
            ({name: value}, f"rule parameter {name} is {shown}; allowed: true or false")
            for name in (
                "exemptionReasonRequired",
                "exemptionExpiryRequired",
                "exemptionApproverRequired",
                "evaluateStopped",
            )
            for value, shown in (("yes", "'yes'"), ("1", "'1'"), (1, "'1'"), (0.5, "0.5"), ({}, "{}"))
        ),
        ({"exemptionMaxDays": "36501"}, f"rule parameter exemptionMaxDays is '36501'; allowed: {DAYS}"),
        ({"exemptionMaxDays": "-1"}, f"rule parameter exemptionMaxDays is '-1'; allowed: {DAYS}"),
        ({"exemptionMaxDays": -1}, f"rule parameter exemptionMaxDays is '-1'; allowed: {DAYS}"),
        ({"exemptionMaxDays": "90 days"}, f"rule parameter exemptionMaxDays is '90 days'; allowed: {DAYS}"),
        ({"exemptionMaxDays": "9.5"}, f"rule parameter exemptionMaxDays is '9.5'; allowed: {DAYS}"),
        ({"exemptionMaxDays": 9.5}, f"rule parameter exemptionMaxDays is 9.5; allowed: {DAYS}"),
        ({"exemptionMaxDays": "٩٠"}, f"rule parameter exemptionMaxDays is '٩٠'; allowed: {DAYS}"),
        ({"exemptionMaxDays": True}, f"rule parameter exemptionMaxDays is 'true'; allowed: {DAYS}"),
        (
            {"allowedInstanceProfileArns": "app-*"},
            f"rule parameter allowedInstanceProfileArns is 'app-*'; allowed: {ARNS}",
        ),
        ({"allowedInstanceProfileArns": "*"}, f"rule parameter allowedInstanceProfileArns is '*'; allowed: {ARNS}"),
        ({"allowedInstanceProfileArns": " , "}, f"rule parameter allowedInstanceProfileArns is ','; allowed: {ARNS}"),
        (
            {"allowedInstanceProfileArns": f"{APP},{ROLE},{ANY_APP}"},
            f"rule parameter allowedInstanceProfileArns is '{ROLE}'; allowed: {ARNS}",
        ),
        (
            {"allowedInstanceProfileArns": f"{APP} {ANY_APP}"},
            f"rule parameter allowedInstanceProfileArns is '{APP} {ANY_APP}'; allowed: {ARNS}",
        ),
        (
            {"allowedInstanceProfileArns": [APP]},
            f"rule parameter allowedInstanceProfileArns is ['{APP}']; allowed: {ARNS}",
        ),
        ({"IamInstanceProfileArnList": "x"}, f"rule parameter IamInstanceProfileArnList is 'x'; allowed: {ARNS}"),
        (
            {"allowedInstanceProfileArns": APP, "IamInstanceProfileArnList": ANY_APP},
            (
                f"rule parameter IamInstanceProfileArnList is '{ANY_APP}'; allowed: "
                "only one of allowedInstanceProfileArns, IamInstanceProfileArnList"
            ),
        ),
        (
            {"IamInstanceProfileArnList": ANY_APP, "allowedInstanceProfileArns": APP},
            (
                f"rule parameter allowedInstanceProfileArns is '{APP}'; allowed: "
                "only one of allowedInstanceProfileArns, IamInstanceProfileArnList"
            ),
        ),
        ("{", f"ruleParameters is '{{'; allowed: {OBJECT}"),
        ("true", f"ruleParameters is True; allowed: {OBJECT}"),
        ('"{}"', f"ruleParameters is '{{}}'; allowed: {OBJECT}"),
        ("[]", f"ruleParameters is []; allowed: {OBJECT}"),
        ([], f"ruleParameters is []; allowed: {OBJECT}"),
        (7, f"ruleParameters is 7; allowed: {OBJECT}"),
        ("[" * 100_000, f"ruleParameters is '{'[' * 119}…; allowed: {OBJECT}"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_every_refusal_names_the_parameter_its_value_and_what_is_allowed(given: object, message: str) -> None:
    """A rule with a parameter that is not understood must not judge anything."""
    with pytest.raises(InvalidParameter, match=f"^{re.escape(message)}$"):
        parse_parameters(given)


def test_a_long_list_is_refused_for_the_one_arn_that_is_wrong() -> None:
    """The message shows a limited number of characters, and they must be those that help."""
    with pytest.raises(InvalidParameter) as refused:
        parse_parameters({"allowedInstanceProfileArns": ",".join([*[APP] * 10, ROLE, APP])})
    assert refused.value.value == ROLE


def test_parameters_survive_the_way_through_config() -> None:
    """What is written into InputParameters is read back as the same parameters, whole or only where it differs."""
    assert STRICTEST.to_strings() == STRICTEST_TEXTS
    assert STRICTEST.changed() == STRICTEST_TEXTS
    assert RuleParameters().changed() == {}
    assert RuleParameters(exemption_max_days=30).changed() == {"exemptionMaxDays": "30"}
    assert parse_parameters(RuleParameters().to_strings()) == RuleParameters()


def test_an_account_of_the_longest_parameters_fits_into_config() -> None:
    """The longest tag key and half a dozen ARNs stay below what PutConfigRule takes."""
    longest = RuleParameters(
        exemption_tag_key=LONGEST_KEY,
        exemption_reason_required=False,
        exemption_expiry_required=True,
        exemption_max_days=36_500,
        exemption_approver_required=True,
        allowed_instance_profile_arns=tuple(ProfilePattern(f"{APP}-{number}") for number in range(6)),
        evaluate_stopped=False,
    )
    assert len(json.dumps(longest.changed())) <= MAX_JSON_LENGTH


def test_the_longest_companion_tag_of_the_longest_key_is_still_a_tag_key() -> None:
    """EC2 takes 128 characters: a key whose companions cannot be set would make every exemption malformed."""
    assert max(len(f"{LONGEST_KEY}:{companion}") for companion in COMPANIONS) == 128


def test_every_alias_is_of_a_parameter_and_none_hides_one() -> None:
    """An alias is another name for something that exists."""
    assert set(ALIASES.values()) <= set(PARAMETERS)
    assert not set(ALIASES) & set(PARAMETERS)


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        (APP, APP, True),
        (APP, APP + "2", False),
        (APP, APP.upper(), False),
        (APP, APP.replace("app-web", "team/app-web"), False),
        (ANY_APP, APP, True),
        (ANY_APP, "arn:aws:iam::444455556666:instance-profile/app-", True),
        (ANY_APP, "arn:aws:iam::444455556666:instance-profile/team/app-web", False),
        (ANY_APP, "arn:aws-cn:iam::444455556666:instance-profile/app-web", False),
        ("arn:*:iam::*:instance-profile/app-*", "arn:aws-us-gov:iam::111122223333:instance-profile/app-web", True),
        ("arn:aws*:iam::*:instance-profile/*", "arn:aws-cn:iam::111122223333:instance-profile/a/b/c", True),
        ("arn:aws:iam::*:instance-profile/*/app-web", "arn:aws:iam::111122223333:instance-profile/team/app-web", True),
        ("arn:aws:iam::*:instance-profile/team/*", "arn:aws:iam::111122223333:instance-profile/team/x/app-web", True),
        ("arn:aws:iam::11112222333?:instance-profile/app-web", APP, True),
        ("arn:aws:iam::1111222233?:instance-profile/app-web", APP, False),
        ("arn:aws:iam::*:instance-profile/app?web", APP, True),
        ("arn:aws:iam::*:instance-profile/app.web", APP, False),
        ("arn:aws:iam::*:instance-profile/app-[vw]eb", APP, False),
        ("arn:aws:iam::*:instance-profile/app+web", "arn:aws:iam::111122223333:instance-profile/app+web", True),
        # A name cannot contain a colon, so nothing to the right may stand in for another account's profile.
        (
            "arn:aws:iam::*:instance-profile/app-*",
            "arn:aws:iam::444455556666:instance-profile/other:instance-profile/app-web",
            False,
        ),
        ("arn:aws:iam::*:instance-profile/a:b*", "arn:aws:iam::111122223333:instance-profile/a:b:c", True),
        ("arn:aws:iam::*:instance-profile/app,web", "arn:aws:iam::111122223333:instance-profile/app,web", True),
    ],
)
def test_wildcards_stand_for_characters_of_one_part_of_an_arn(pattern: str, arn: str, *, matches: bool) -> None:
    """`*` and `?` mean what they mean in IAM, everything else means itself, and the whole ARN must match."""
    assert ProfilePattern(pattern).matches(arn) is matches


@pytest.mark.parametrize(
    ("parameters", "arn", "allowed"),
    [
        (RuleParameters(), APP, True),
        (RuleParameters(), "anything", True),
        (STRICTEST, APP, True),
        (STRICTEST, "arn:aws:iam::444455556666:instance-profile/app-db", True),
        (STRICTEST, "arn:aws:iam::444455556666:instance-profile/db", False),
    ],
)
def test_one_of_several_patterns_suffices_and_none_allows_any(
    parameters: RuleParameters, arn: str, *, allowed: bool
) -> None:
    """An empty list is no restriction; a list is a choice."""
    assert parameters.allows_profile(arn) is allowed
