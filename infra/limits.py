"""AWS's limits on the size of what is synthesized: a deployment must not be what finds out."""

from dataclasses import dataclass

from infra.setting_types import InvalidSettings


@dataclass(frozen=True, slots=True)
class Limit:
    """How large one document may be, by whose limit."""

    document: str
    size: int
    unit: str
    owner: str

    def check(self, text: str, remedy: str) -> str:
        """`text` itself, if it is within the limit. Raises InvalidSettings with what to do about it."""
        size = len(text.encode() if self.unit == "bytes" else text)
        if size > self.size:
            raise InvalidSettings(
                f"{self.document} is {size} {self.unit}; allowed: at most {self.size}, {self.owner}. {remedy}"
            )
        return text


CONFORMANCE_PACK = Limit("the conformance pack's template", 51_200, "bytes", "AWS Config's limit for TemplateBody")
STACK_SET = Limit("the member roles' template", 51_200, "bytes", "CloudFormation's limit for TemplateBody")
RESOURCE_POLICY = Limit("the function's resource policy", 20_480, "characters", "AWS Lambda's limit")
SERVICE_CONTROL_POLICY = Limit("the service control policy", 5_120, "characters", "AWS Organizations' limit")
TAG_POLICY = Limit("the tag policy", 10_000, "characters", "AWS Organizations' limit")
