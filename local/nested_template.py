"""A template within a template, as a conformance pack or a StackSet holds it: YAML, with parameters and conditions."""

import json
from collections.abc import Mapping
from typing import Any

# It ships no types. Only it reads CloudFormation's short forms as `!Ref`.
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from local.cloud_assembly import AssemblyError, Place, Stack

Json = dict[str, Any]


def nested_stack(name: str, body: str, given: Mapping[str, str], place: Place) -> Stack:
    """What becomes of the template `body` in `place` with the parameters that are `given`.

    Conditions are decided; resources that they leave out are not there. Raises AssemblyError.
    """
    template: Json = json.loads(json.dumps(cfn_yaml.loads(body)))
    declared: dict[str, Json] = template.get("Parameters", {})
    if unknown := given.keys() - declared.keys():
        raise AssemblyError(f"{name} is given {', '.join(sorted(unknown))}; allowed: {', '.join(declared)}")
    parameters = {key: {**one, **({"Default": given[key]} if key in given else {})} for key, one in declared.items()}
    stack = Stack(name, place, resources={}, parameters=parameters)
    conditions = {key: _holds(stack, one, key) for key, one in template.get("Conditions", {}).items()}
    resources = {
        logical_id: _decided(resource, conditions)
        for logical_id, resource in template["Resources"].items()
        if "Condition" not in resource or conditions[resource["Condition"]]
    }
    return Stack(name, place, resources, parameters)


def _holds(stack: Stack, condition: object, where: str) -> bool:
    match condition:
        case {"Fn::Not": [inner]}:
            return not _holds(stack, inner, where)
        case {"Fn::Equals": [one, other]}:
            return stack.text(one, where) == stack.text(other, where)
    raise AssemblyError(f"{stack.name}: {where} is {json.dumps(condition)}; allowed: Fn::Not and Fn::Equals")


def _decided(value: Any, conditions: Mapping[str, bool]) -> Any:  # noqa: ANN401 - JSON
    match value:
        case {"Fn::If": [str() as condition, then, otherwise]}:
            return _decided(then if conditions[condition] else otherwise, conditions)
        case dict():
            return {key: _decided(one, conditions) for key, one in value.items()}
        case list():
            return [_decided(one, conditions) for one in value]
    return value
