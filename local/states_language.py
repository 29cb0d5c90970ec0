"""The part of Amazon States Language that rolecall's state machine uses, and nothing else.

A definition with a field, a path or a state that is not known here is refused before anything runs: what is passed over
in silence would be tested in no way. https://states-language.net/spec.html and the AWS Step Functions Developer Guide.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DATA_MAX_BYTES = 256 * 1024
"""Of a state's input or output: AWS Step Functions Developer Guide, "Service quotas"."""

LAMBDA_INVOKE = re.compile(r"arn:aws[a-z-]*:states:::lambda:invoke")
S3_GET_OBJECT = re.compile(r"arn:aws[a-z-]*:states:::s3:getObject")
S3_PUT_OBJECT = re.compile(r"arn:aws[a-z-]*:states:::s3:putObject")

_PATH = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*)*")

_FLOW = frozenset(("Type", "Next", "End"))
_TASK = _FLOW | {"Resource", "Parameters", "OutputPath", "Retry"}
_MAP = _FLOW | {
    "Label",
    "MaxConcurrency",
    "ToleratedFailureCount",
    "ItemReader",
    "ItemProcessor",
    "ResultWriter",
    "ResultPath",
}
_RETRIER = frozenset(
    ("ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy")
)
_LABEL_MAX_LENGTH = 40


class UnknownLanguage(Exception):
    """The definition says something that is not understood here: where, and what."""


class StateFailed(Exception):
    """A state failed with an error that retriers can name."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class Retrier:
    """When a task is tried again."""

    errors: tuple[str, ...]
    interval_seconds: float = 1
    max_attempts: int = 3
    backoff_rate: float = 2
    max_delay_seconds: float = float("inf")
    full_jitter: bool = False

    def matches(self, error: str) -> bool:
        """Whether it is meant for an error. Neither wildcard stands for what Step Functions itself never retries."""
        if "States.ALL" in self.errors and error not in ("States.DataLimitExceeded", "States.Runtime"):
            return True
        task_failed = "States.TaskFailed" in self.errors and error != "States.Timeout"
        return error in self.errors or (task_failed and not error.startswith("States."))

    def delay(self, attempt: int) -> float:
        """Seconds before the attempt with this number, 1 being the first retry; without jitter."""
        return float(min(self.interval_seconds * self.backoff_rate ** (attempt - 1), self.max_delay_seconds))


def check_machine(definition: Mapping[str, Any], where: str = "definition") -> None:
    """Raise UnknownLanguage unless everything in a state machine is understood, and each state can be reached."""
    allowed = {"Comment", "StartAt", "TimeoutSeconds", "States", "ProcessorConfig"}
    _known_fields(definition, allowed, where)
    states = definition["States"]
    reached, name = set(), definition["StartAt"]
    while name not in reached:
        if name not in states:
            raise UnknownLanguage(f"{where}: there is no state {name}")
        reached.add(name)
        state = states[name]
        if ("Next" in state) == (state.get("End") is True):
            raise UnknownLanguage(f"{where}.{name}: either Next or End")
        if "Next" in state:
            name = state["Next"]
    if unreached := sorted(set(states) - reached):
        raise UnknownLanguage(f"{where}: nothing leads to {', '.join(unreached)}")
    for name, state in states.items():
        _check_state(state, f"{where}.{name}")


def _check_state(state: Mapping[str, Any], where: str) -> None:
    match state.get("Type"):
        case "Task":
            _known_fields(state, _TASK, where)
            _must_match(LAMBDA_INVOKE, state["Resource"], f"{where}.Resource")
            _known_fields(state["Parameters"], {"FunctionName", "Payload", "Payload.$"}, f"{where}.Parameters")
            retriers(state, where)
        case "Map":
            _check_map(state, where)
        case other:
            raise UnknownLanguage(f"{where}.Type is {other!r}; understood are Task and Map")


def _check_map(state: Mapping[str, Any], where: str) -> None:
    _known_fields(state, _MAP, where)
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{_LABEL_MAX_LENGTH}}}", state.get("Label", "x")):
        raise UnknownLanguage(f"{where}.Label is {state['Label']!r}")
    reader, processor, writer = state["ItemReader"], state["ItemProcessor"], state["ResultWriter"]
    _known_fields(reader, {"Resource", "ReaderConfig", "Parameters"}, f"{where}.ItemReader")
    _must_match(S3_GET_OBJECT, reader["Resource"], f"{where}.ItemReader.Resource")
    if reader["ReaderConfig"] != {"InputType": "JSON"}:
        raise UnknownLanguage(f"{where}.ItemReader.ReaderConfig is {reader['ReaderConfig']}")
    _known_fields(writer, {"Resource", "Parameters"}, f"{where}.ResultWriter")
    _must_match(S3_PUT_OBJECT, writer["Resource"], f"{where}.ResultWriter.Resource")
    if processor.get("ProcessorConfig") != {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}:
        raise UnknownLanguage(f"{where}.ItemProcessor.ProcessorConfig is {processor.get('ProcessorConfig')}")
    check_machine(processor, f"{where}.ItemProcessor")


def retriers(state: Mapping[str, Any], where: str = "") -> list[Retrier]:
    """The retriers of a state, in order. Raises UnknownLanguage."""
    found = []
    given: Sequence[Mapping[str, Any]] = state.get("Retry", ())
    for index, one in enumerate(given):
        _known_fields(one, _RETRIER, f"{where}.Retry[{index}]")
        if "States.ALL" in one["ErrorEquals"] and (len(one["ErrorEquals"]) > 1 or index < len(given) - 1):
            raise UnknownLanguage(f"{where}.Retry[{index}]: States.ALL stands alone, and last")
        found.append(
            Retrier(
                errors=tuple(one["ErrorEquals"]),
                interval_seconds=one.get("IntervalSeconds", Retrier.interval_seconds),
                max_attempts=one.get("MaxAttempts", Retrier.max_attempts),
                backoff_rate=one.get("BackoffRate", Retrier.backoff_rate),
                max_delay_seconds=one.get("MaxDelaySeconds", Retrier.max_delay_seconds),
                full_jitter=one.get("JitterStrategy", "NONE") == "FULL",
            )
        )
    return found


def at_path(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON value
    """What a reference path names in a JSON value. Raises StateFailed where there is nothing."""
    if not _PATH.fullmatch(path):
        raise UnknownLanguage(f"path {path!r}; understood are $ and $.name.name")
    for name in path.split(".")[1:]:
        if not isinstance(value, Mapping) or name not in value:
            raise StateFailed("States.Runtime", f"the path {path} is not in {json.dumps(value)[:200]}")
        value = value[name]
    return value


def with_result(state_input: Any, path: str, result: object) -> Any:  # noqa: ANN401 - any JSON value
    """A state's input with its result put in at `ResultPath`: `$`, which replaces it, or `$.name`."""
    if path == "$":
        return result
    _, _, name = path.partition("$.")
    if not name or "." in name or not _PATH.fullmatch(path):
        raise UnknownLanguage(f"ResultPath {path!r}; understood are $ and $.name")
    if not isinstance(state_input, Mapping):
        raise StateFailed("States.ResultPathMatchFailure", f"{path} cannot be put into {json.dumps(state_input)[:200]}")
    return {**state_input, name: result}


def parameters(template: Mapping[str, Any], state_input: object) -> dict[str, Any]:
    """`Parameters`: what ends in `.$` is a path into the state's input."""
    filled: dict[str, Any] = {}
    for name, value in template.items():
        if name.endswith(".$"):
            filled[name.removesuffix(".$")] = at_path(state_input, value)
        elif isinstance(value, Mapping):
            raise UnknownLanguage(f"Parameters.{name} is an object")
        else:
            filled[name] = value
    return filled


def limited(value: Any, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """`value`, unless it is larger than a state may hand on. Raises StateFailed."""
    size = len(json.dumps(value).encode())
    if size > DATA_MAX_BYTES:
        raise StateFailed("States.DataLimitExceeded", f"{what} is {size} bytes; allowed: {DATA_MAX_BYTES}")
    return value


def _known_fields(given: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    if unknown := sorted(set(given) - known):
        raise UnknownLanguage(f"{where}.{unknown[0]}; understood are {', '.join(sorted(known))}")


def _must_match(pattern: re.Pattern[str], value: object, where: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UnknownLanguage(f"{where} is {value!r}; understood is {pattern.pattern}")
