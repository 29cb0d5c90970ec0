"""`python -m local`: a local AWS until Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from local.aws import DEFAULT_ACCOUNT, DEFAULT_REGION, LocalAws
from local.cloud_assembly import AssemblyError
from local.deployment import Deployment
from local.journal import Call
from local.recorder import Recorded, RecorderThread

app = typer.Typer(add_completion=False)

_ROOT = Path(__file__).resolve().parents[1]


@app.command()
def main(  # noqa: PLR0913 - one parameter for each option
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 takes a free port.")] = 0,
    region: Annotated[str, typer.Option(help="The region in which instances are recorded.")] = DEFAULT_REGION,
    account: Annotated[str, typer.Option(help="The account in which instances are recorded.")] = DEFAULT_ACCOUNT,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at EC2.")] = 1.0,
    assembly: Annotated[
        Path | None,
        typer.Option(help="The synthesized stacks whose rule is to run. [default: cdk.out, if it is there]"),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show all that the rule's function logs.")] = False,
) -> None:
    """Start a local AWS and keep it running until Ctrl-C.

    What you change in EC2 becomes configuration items; with a synthesized assembly (make synth), the rule in it judges
    them, and its verdicts are shown here; with the setting securityHub, so are the findings that come of them. AWS
    Config and Security Hub are strict about their limits, everything else is moto.

    In another terminal, export the lines that this prints, then for example:

        aws ec2 run-instances --image-id ami-0123456789abcdef0 --count 1

        aws configservice get-compliance-details-by-config-rule --config-rule-name <as shown at the start>
    """
    if len(account) != 12 or not account.isdecimal():  # noqa: PLR2004 - an account id
        raise typer.BadParameter(f"{account!r}; allowed: 12 digits", param_hint="--account")
    with ExitStack() as running:
        stop = running.enter_context(_stopped_by_signals())
        try:
            aws = running.enter_context(LocalAws(account, region, port=port))
        except OSError as error:
            typer.echo(f"port {port} cannot be used: {error.strerror}; choose another with --port", err=True)
            raise typer.Exit(2) from error
        _deploy(running, aws, assembly, show_logs=logs)
        aws.config.journal.on_call = _show_call
        aws.security_hub.journal.on_call = _show_import
        for name, value in aws.environment().items():
            typer.echo(f"export {name}={value}")
        _say("A local AWS is running; Ctrl-C stops it.")
        running.enter_context(RecorderThread(aws.recorder, interval, _show_recorded))
        stop.wait()
        _say("Stopping.")


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a polite kill set; afterwards they do again what they did before."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _deploy(running: ExitStack, aws: LocalAws, assembly: Path | None, *, show_logs: bool) -> None:
    """Run the rule of the assembly that was asked for, or of the project's own if that has been synthesized."""
    cdk_out = assembly or _ROOT / "cdk.out"
    if assembly is None and not cdk_out.is_dir():
        _say("No cdk.out here (`make synth` writes it): no rule judges what is recorded.")
        return
    try:
        deployment = running.enter_context(
            Deployment(aws, cdk_out, on_log=lambda line: _show_log(line, everything=show_logs))
        )
    except AssemblyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    _say(f"{deployment.function.name} answers for: {', '.join(deployment.rule_names) or 'no rule'}")
    if deployment.findings:
        aws.security_hub.enable(aws.account, aws.region)
        _say(f"{deployment.findings.function.name} keeps the findings of Security Hub, which is on")


def _show_recorded(recorded: Recorded) -> None:
    item = recorded.item
    state = ((item["configuration"] or {}).get("state") or {}).get("name", "")
    profile = ((item["configuration"] or {}).get("iamInstanceProfile") or {}).get("arn", "no profile") if state else ""
    sent = f"→ {len(recorded.events)} event(s)"
    _say(
        "  ".join(
            part for part in ("item", item["resourceId"], item["configurationItemStatus"], state, profile, sent) if part
        )
    )


def _show_call(call: Call) -> None:
    if call.error is not None:
        _say(f"{call.operation}  refused: {call.error}")
    elif call.operation == "PutEvaluations":
        for one in call.input["Evaluations"]:
            _say(f"verdict  {one['ComplianceResourceId']}  {one['ComplianceType']}  {one.get('Annotation', '')}")


def _show_import(call: Call) -> None:
    if call.operation == "BatchImportFindings":
        for finding_id in call.input["Findings"]:
            _say(f"finding  {finding_id}  {call.error or 'imported'}")


def _show_log(line: str, *, everything: bool) -> None:
    if everything or "ERROR" in line:
        _say(f"log  {line}")


def _say(text: str) -> None:
    """To the error output: the standard output holds nothing but the lines to export."""
    # In one piece: items and verdicts come from different threads.
    sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S}  {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    app(prog_name="python -m local")
