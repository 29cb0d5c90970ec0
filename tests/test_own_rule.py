import pytest

from rolecall.errors import InvalidEvent
from rolecall.events import parse_invocation
from rolecall.own_rule import OwnRule
from rolecall.parameters import parse_parameters
from tests.builders import RULE_NAME, change_event

OWN = OwnRule(RULE_NAME, parse_parameters({"exemptionMaxDays": "90"}))


@pytest.mark.parametrize("name", [RULE_NAME, f"{RULE_NAME}-conformance-pack-x7k2qd"])
@pytest.mark.parametrize("days", ["90", 90])
def test_the_deployed_rule_is_answered(name: str, days: object) -> None:
    """Alone, and under the name that a conformance pack gives it."""
    OWN.check(parse_invocation(change_event(configRuleName=name, parameters={"exemptionMaxDays": days})))


@pytest.mark.parametrize("name", ["my-own-rule", f"{RULE_NAME}2", f"x-{RULE_NAME}", f"{RULE_NAME}-conformance"])
def test_another_rule_is_refused(name: str) -> None:
    """Any account of the organization can point a rule at the function."""
    with pytest.raises(InvalidEvent) as refused:
        OWN.check(parse_invocation(change_event(configRuleName=name, parameters={"exemptionMaxDays": "90"})))
    assert str(refused.value) == (
        f"configRuleName is '{name}'; allowed: {RULE_NAME}, alone or with the suffix of a conformance pack"
    )


@pytest.mark.parametrize("parameters", [{}, {"exemptionTagKey": "Name", "exemptionMaxDays": "90"}])
def test_other_parameters_are_refused(parameters: dict[str, object]) -> None:
    """Whoever imitates the name could otherwise exempt by a tag that everything carries."""
    with pytest.raises(InvalidEvent, match=r"^ruleParameters is .*; allowed: {'exemptionMaxDays': '90'}, as deployed"):
        OWN.check(parse_invocation(change_event(parameters=parameters)))
