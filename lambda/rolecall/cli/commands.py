"""Commands whose help and errors say what people need, and not what typer's own types are called."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_PREFIX = "Value error, "
"""What pydantic, which typer reads values with, puts before each message."""


def _without_types(params: list[Any]) -> list[Any]:
    """A flag takes no value, so its help names no type of one."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class Command(TyperCommand):
    """One subcommand."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]  # typer names no public types
        """The parameters, for help and for reading them."""
        return _without_types(list(super().get_params(ctx)))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer names no public type
        """What the usage line says; `PATH...` says itself that there may be several."""
        return [piece.replace("...]...", "...]") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer names no public type
        """Read the arguments. Raises BadParameter."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(_PREFIX)
            raise


class Group(TyperGroup):
    """All of them."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]  # typer names no public types
        """The parameters, for help and for reading them."""
        return _without_types(list(super().get_params(ctx)))
