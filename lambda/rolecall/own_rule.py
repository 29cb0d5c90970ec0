"""Which rule is answered in an organization.

The function has to admit AWS Config of every account, so any account could point a rule of its own at it, with
parameters of its own choice, and have the verdicts published as ours: `exemptionTagKey` = `Name` exempts everything.
"""

from dataclasses import dataclass

from rolecall.errors import InvalidEvent
from rolecall.events import Invocation
from rolecall.parameters import RuleParameters


@dataclass(frozen=True, slots=True)
class OwnRule:
    """The deployed rule. A conformance pack appends `-conformance-pack-` and an id to its name."""

    name: str
    parameters: RuleParameters

    def check(self, invocation: Invocation) -> None:
        """Raise InvalidEvent for any other rule, and for ours while an account still has its old parameters."""
        name = invocation.rule.name
        if name != self.name and not name.startswith(f"{self.name}-conformance-pack-"):
            raise InvalidEvent("configRuleName", name, f"{self.name}, alone or with the suffix of a conformance pack")
        if invocation.parameters != self.parameters:
            raise InvalidEvent(
                "ruleParameters",
                invocation.parameters.changed(),
                f"{self.parameters.changed()}, as deployed; when these change, the conformance pack takes a while to "
                "reach every account, and the next sweep repairs what was refused meanwhile",
            )
