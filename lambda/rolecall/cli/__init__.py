"""The command `rolecall`. It is no part of the deployment package.

Each subcommand is a module of its own with a function that typer reads; `COMMANDS` is the list of them. A group of
subcommands (`findings`) is an app of its own.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from rolecall import __version__
from rolecall.cli.commands import Command, Group
from rolecall.cli.doctor import doctor
from rolecall.cli.evaluate import evaluate
from rolecall.cli.evidence import evidence
from rolecall.cli.findings import findings
from rolecall.cli.output import UNUSABLE
from rolecall.cli.redrive import redrive
from rolecall.cli.screen import complain

COMMANDS = (evaluate, doctor, redrive)

app = typer.Typer(
    name="rolecall",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    # A traceback with the values of variables might show a result token.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command(cls=Command)(command)
app.add_typer(findings)
app.add_typer(evidence)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if asked:
        typer.echo(f"rolecall {__version__}")
        raise typer.Exit


@app.callback()
def _rolecall(
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Does every EC2 instance carry an IAM instance profile, or a documented reason not to?"""


def main() -> None:
    """Run the command that the arguments name.

    Whatever nobody expected ends it with UNUSABLE, as the interpreter's own 1 means NON_COMPLIANT; the environment
    variable ROLECALL_TRACEBACK=1 shows where it happened.
    """
    if sys.stderr is None:  # it was closed: nobody wants to hear
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    try:
        app(prog_name="rolecall")
    except Exception as error:  # noqa: BLE001 - the last resort: an exit code that is not taken for a verdict
        if os.environ.get("ROLECALL_TRACEBACK") == "1":
            traceback.print_exc()
        complain(f"unexpected {type(error).__name__}: {error}; please report it")
        sys.exit(UNUSABLE)
