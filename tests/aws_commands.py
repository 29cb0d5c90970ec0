"""Commands of the AWS command line, checked against botocore's service models: `check` raises what is wrong with one.

The command line makes its services, commands and options from these same models.
"""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

_SERVICES = {"configservice": "config", "s3api": "s3"}
"""Services that the command line calls by another name than botocore."""

_GLOBAL = ("--region", "--profile", "--query", "--output")
_SPLIT_OFF = {("config", "PutConfigurationRecorder", "--recording-group"): "RecordingGroup"}
"""Options that the command line adds of its own."""

_SESSION = botocore.session.Session()


Model = Any
"""Of botocore: a service, or the shape of a value. Attributes differ with its kind, which its types do not tell."""

Value = Any
"""What a request holds: as JSON, and bytes and times."""


class BadCommand(AssertionError):
    """AWS's command line would refuse it."""


@cache
def _model(service: str) -> Model:
    return _SESSION.get_service_model(_SERVICES.get(service, service))


def commands_in(text: str) -> list[str]:
    """Every `aws …` command of a shell script, also those in `$(…)` and behind `&&`."""
    lines = text.replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r"\$\(|\)$|\s&&\s|\s\|\s", line.strip())]
    return [part for part in parts if part.startswith("aws ")]


def check(command: str) -> None:
    """Raise BadCommand unless service, command, options and the shapes of all values are right."""
    words = shlex.split(command)
    if words.pop(0) != "aws":
        raise BadCommand(f"no command of aws: {command}")
    words = list(_without_global_options(words))
    service, name, *words = words
    model = _model(service)
    if name == "wait":
        waiters = _SESSION.get_waiter_model(model.service_name).waiter_names
        waits = {xform_name(waiter, "-"): waiter for waiter in waiters}
        if words[0] not in waits:
            raise BadCommand(f"{service} cannot wait for {words[0]}")
        waiter = _SESSION.get_waiter_model(model.service_name).get_waiter(waits[words[0]])
        name, words = xform_name(waiter.operation, "-"), words[1:]
    operations = {xform_name(operation, "-"): operation for operation in model.operation_names}
    if name not in operations:
        raise BadCommand(f"{service} has no command {name}")
    shape = model.operation_model(operations[name]).input_shape
    request: dict[str, Any] = {}
    for option, values in _options(words):
        if (model.service_name, operations[name], option) in _SPLIT_OFF:
            outer = request["ConfigurationRecorder"]
            member = model.shape_for(_SPLIT_OFF[model.service_name, operations[name], option])
            outer["recordingGroup"] = _value(member, values, option)
            continue
        key, member = _member(shape, option)
        request[key] = not option.startswith("--no-") if not values else _value(member, values, option)
    report = ParamValidator().validate(request, shape) if shape else None
    if report is not None and report.has_errors():
        raise BadCommand(f"{command}\n{report.generate_report()}")


def _without_global_options(words: list[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _GLOBAL:
            skip = True
        else:
            yield word


def _options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    if words and not words[0].startswith("--"):
        raise BadCommand(f"stray word {words[0]}")
    option = ""
    values: list[str] = []
    for word in words:
        if word.startswith("--"):
            if option:
                yield option, values
            option, values = word, []
        else:
            values.append(word)
    if option:
        yield option, values


def _member(shape: Model, option: str) -> tuple[str, Model]:
    for key, member in (shape.members if shape else {}).items():
        name = f"--{xform_name(key, '-')}"
        if option == name or (member.type_name == "boolean" and option == name.replace("--", "--no-", 1)):
            return key, member
    raise BadCommand(f"no option {option}")


def _value(shape: Model, values: list[str], option: str) -> Value:
    if shape.type_name == "list":
        if len(values) == 1 and values[0].startswith("["):
            return json.loads(values[0])
        return [_one(shape.member, value, option) for value in values]
    if len(values) != 1:
        raise BadCommand(f"{option} takes one value, not {values}")
    return _one(shape, values[0], option)


def _one(shape: Model, value: str, option: str) -> Value:
    match shape.type_name:
        case "structure" | "map":
            return json.loads(value) if value.startswith("{") else _shorthand(shape, value, option)
        case "integer" | "long":
            return int(value)
        case "double" | "float":
            return float(value)
        case "boolean":
            return {"true": True, "false": False}[value]
        case "list":
            return [_one(shape.member, each, option) for each in value.split(",")]
    if getattr(shape, "enum", ()) and value not in shape.enum:
        raise BadCommand(f"{option} is {value}; allowed: {', '.join(shape.enum)}")
    return value


def _shorthand(shape: Model, text: str, option: str) -> dict[str, Any]:
    """`a=1,b=2,3`: what has no = belongs to the key before it."""
    found: dict[str, list[str]] = {}
    key = ""
    for token in text.split(","):
        name, equals, value = token.partition("=")
        if equals:
            key = name
            found[key] = [value]
        else:
            found[key].append(token)
    unknown = found.keys() - shape.members.keys()
    if unknown:
        raise BadCommand(f"{option} has no {', '.join(sorted(unknown))}")
    return {key: _value(shape.members[key], values, option) for key, values in found.items()}
