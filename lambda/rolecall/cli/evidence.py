"""`rolecall evidence`: the commands for audit evidence, each in a module of its own."""

import typer

from rolecall.cli.commands import Command, Group
from rolecall.cli.evidence_collect import collect
from rolecall.cli.evidence_export import export
from rolecall.cli.evidence_keys import keys
from rolecall.cli.evidence_replay import replay
from rolecall.cli.evidence_show import show
from rolecall.cli.evidence_verify import verify

EVIDENCE_COMMANDS = (collect, verify, show, keys, export, replay)

evidence = typer.Typer(
    name="evidence",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Audit evidence: signed daily packages of what AWS Config says of every instance.",
)
for command in EVIDENCE_COMMANDS:
    evidence.command(cls=Command)(command)
