"""The rule's parameters as options of the command line, one for each."""

import errno
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from rolecall.errors import InvalidParameter
from rolecall.parameters import ALIASES, PARAMETERS, RuleParameters, parse_parameters

PANEL = "Rule parameters"

Command = TypeVar("Command", bound=Callable[..., object])


def with_rule_parameters(command: Command) -> Command:
    """Give `command` an option for each rule parameter, in place of its `**` argument.

    The command is called with the text of each, or None, under the names of RuleParameters' fields.
    """
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    defaults = RuleParameters().to_strings()
    options = [
        inspect.Parameter(
            spec.attribute,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    _option(name),
                    metavar="BOOL" if spec.allowed == "true or false" else "TEXT",
                    help=f"{spec.meaning} Default: {defaults[name] or 'empty'}.",
                    rich_help_panel=PANEL,
                ),
            ],
        )
        for name, spec in PARAMETERS.items()
    ]
    command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]  # PEP 362
    return command


class ParameterChoice:
    """The parameters to judge with: what the options say, else what an event's own rule says, else the defaults."""

    def __init__(self, text: str | None, options: Mapping[str, object]) -> None:
        """`text`: JSON, or the name of a file with JSON. Raises BadParameter, which names the option."""
        self._given = _from_text(text) if text is not None else {}
        for name, spec in PARAMETERS.items():
            if (value := options[spec.attribute]) is not None:
                self._given[name] = _checked(name, value)
        self._without_event = parse_parameters(self._given)

    def __call__(self, of_rule: RuleParameters | None) -> RuleParameters:
        """`of_rule`: the parameters that an event carries, None when there is no event."""
        if of_rule is None:
            return self._without_event
        return parse_parameters(of_rule.to_strings() | self._given) if self._given else of_rule


def _option(name: str) -> str:
    return f"--{PARAMETERS[name].attribute.replace('_', '-')}"


def _checked(name: str, value: object) -> object:
    try:
        parse_parameters({name: value})
    except InvalidParameter as error:
        raise typer.BadParameter(str(error), param_hint=_option(name)) from None
    return value


def _from_text(text: str) -> dict[str, Any]:
    try:
        content = text if text.lstrip().startswith("{") else _from_file(text)
        # Checked as it stands, so that an alias beside the parameter it stands for is seen.
        parse_parameters(content)
    except InvalidParameter as error:
        if error.field == "ruleParameters":  # the whole of it is meant
            raise _neither_json_nor_file(text) from None
        raise typer.BadParameter(str(error), param_hint="--parameters") from None
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{text}: {error}", param_hint="--parameters") from None
    given = json.loads(content) if content.strip() else None
    return {ALIASES.get(name, name): value for name, value in (given or {}).items()}


def _from_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise
    except (OSError, ValueError) as error:
        is_there = isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
        if is_there and name:  # a blank name would be the folder itself
            raise
        raise _neither_json_nor_file(name) from None


def _neither_json_nor_file(text: str) -> typer.BadParameter:
    allowed = "a JSON object of names and values, or a file that holds one"
    return typer.BadParameter(str(InvalidParameter("--parameters", text, allowed)))
