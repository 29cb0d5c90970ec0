"""`make demo`: a dozen EC2 instances, judged by the rule as it would be deployed, without AWS.

Instances are launched and changed through boto3; AWS Config records them and invokes the function of the synthesized
template, under AWS's own runtime client; what is shown is what Config has recorded afterwards. In the end the evidence
of the day is sealed, and verified.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local.aws import LocalAws
from local.config_service import ConfigService
from local.demo_evidence import DemoClock, show, take_along
from local.demonstration import (
    GONE,
    KEY,
    Account,
    Scene,
    Verdict,
    findings_table,
    styled,
    table,
    terminal,
    told,
    wait_for_functions,
)
from local.deployment import Deployment
from local.evidence_deployment import EvidenceDeployment

OVERSIZED = "ledger"


def scenes(today: datetime) -> list[Scene]:
    """The cast, on the day of `today`."""
    last_year = f"{today - timedelta(days=365):%Y-%m-%d}"
    return [
        Scene("web", "has a role", profile="app-web"),
        Scene("batch", "stopped, has a role", profile="app-batch", stopped=True),
        Scene(OVERSIZED, "its item is too large for events", profile="app-ledger"),
        Scene("admin-jump", "has a role that is not allowed", profile="admin"),
        Scene("legacy-ftp", "has none"),
        Scene("license-server", "exempt, and says why", tags={KEY: "vendor appliance, calls no AWS API"}),
        Scene(
            "scanner",
            "exempt until tonight",
            tags={KEY: "penetration test", f"{KEY}:expires": f"{today:%Y-%m-%d}", f"{KEY}:approved-by": "security"},
        ),
        Scene("old-proxy", "exempt until last year", tags={KEY: "to be replaced", f"{KEY}:expires": last_year}),
        Scene("kiosk", "exempt, but does not say why", tags={KEY: ""}),
        Scene("printer", "exempt until an unreadable date", tags={KEY: "no SDK", f"{KEY}:expires": "31.12.2030"}),
        Scene("sandbox", "a tag that almost exempts", tags={"Intentional-No-Role": "playground"}),
        Scene("ci-runner", "has none, and is terminated soon"),
    ]


class Demo:
    """The local account while the demo runs."""

    def __init__(self, aws: LocalAws, deployment: Deployment, evidence: EvidenceDeployment, clock: DemoClock) -> None:
        self.aws = aws
        self.deployment = deployment
        self.evidence = evidence
        self.clock = clock
        (rule,) = deployment.rule_names
        self.account = Account(aws, aws.account, rule)

    def launch(self, scene: Scene) -> None:
        """Run an instance; one of them is too large for events."""
        self.account.launch(scene)
        if scene.name == OVERSIZED:
            self.aws.recorder.force_oversized(self.account.ids[scene.name])

    def settle(self) -> None:
        """Let Config see what changed, the function answer, and the ledger have it."""
        self.aws.recorder.record_now()
        wait_for_functions(self.deployment)
        self.evidence.relay.deliver()

    def pass_a_night(self) -> None:
        """It is tomorrow, nothing changed, and Config sends the rule its daily notification."""
        night = timedelta(days=1)
        self.clock.advance(night)
        self.deployment.runtime.advance_clock(night)
        self.evidence.advance_clock(night)
        self.aws.config_region.run_schedule(self.account.rule)
        self.settle()

    def verdicts(self) -> dict[str, Verdict]:
        """Of all instances by name, as Config has them."""
        return dict.fromkeys(self.account.ids, GONE) | self.account.verdicts()


def main() -> None:
    """Tell the story; `sys.argv[1]` is the synthesized assembly, beside which the evidence is left."""
    console, clock, assembly = terminal(), DemoClock(), Path(sys.argv[1])
    today = clock.now()
    with told(console, "Starting a local AWS and the rule in it"):
        aws = LocalAws(config=ConfigService(clock=clock.now_ms))
        aws.client("securityhub").enable_security_hub(EnableDefaultStandards=False)
        deployment = Deployment(aws, assembly, time_scale=0.01)
        evidence = EvidenceDeployment(aws, assembly, clock=clock.now, time_scale=0.01)
    with aws, deployment, evidence:
        demo = Demo(aws, deployment, evidence, clock)
        cast = scenes(today)
        with told(console, f"Launching {len(cast)} EC2 instances; the rule judges each"):
            for scene in cast:
                demo.launch(scene)
            demo.settle()
        before = demo.verdicts()
        console.print(_launched(cast, before))
        with told(console, "Changing some of them, then letting a night pass"):
            changes = _change(demo.account)
            demo.settle()
            demo.pass_a_night()
        console.print(_changed(changes, before, demo.verdicts()))
        console.print("Meanwhile the findings function told Security Hub what each verdict means:")
        console.print(findings_table({one: name for name, one in demo.account.ids.items()}, demo.account.findings()))
        _sum_up(console, demo)
        with told(console, "The state machine collects the evidence of the day that is over, and seals it"):
            package = take_along(aws, evidence, today.date(), assembly.parent / "evidence")
        show(console, package)
    console.print(
        "Next: [bold]make local[/] keeps such an AWS running; "
        "[bold].venv/bin/rolecall evaluate --help[/] judges your own items; README.md tells how to deploy."
    )


def _change(account: Account) -> dict[str, str]:
    """What is done to whom."""
    account.attach("legacy-ftp", "app-ftp")
    account.attach("admin-jump", "app-jump")
    account.tag("kiosk", {KEY: "shows one web page, calls no AWS API"})
    account.tag("web", {KEY: "set by mistake"})
    account.terminate("ci-runner")
    return {
        "legacy-ftp": "a role is attached",
        "admin-jump": "its role is replaced",
        "kiosk": "its tag now says why",
        "web": "an exemption tag is set",
        "ci-runner": "is terminated",
        "scanner": "midnight passes",
    }


def _launched(cast: list[Scene], verdicts: dict[str, Verdict]) -> Table:
    shown = table("instance", "what it is", "verdict", "what AWS Config shows its owner")
    for scene in cast:
        shown.add_row(scene.name, scene.what, styled(verdicts[scene.name]), verdicts[scene.name][1])
    return shown


def _changed(changes: dict[str, str], before: dict[str, Verdict], after: dict[str, Verdict]) -> Table:
    shown = table("instance", "what happens", "verdict", "what AWS Config shows its owner")
    for name, what in changes.items():
        shown.add_row(name, what, f"{styled(before[name])}\n→ {styled(after[name])}", after[name][1])
    return shown


def _sum_up(console: Console, demo: Demo) -> None:
    calls: dict[str, int] = {}
    for call in demo.aws.config.journal.calls():
        if call.operation in {"PutEvaluations", "GetResourceConfigHistory", "SelectResourceConfig"}:
            calls[call.operation] = calls.get(call.operation, 0) + 1
    events: list[Any] = [entry.event for entry in demo.deployment.invocations.journal]
    told = ", ".join(f"{count} {operation}" for operation, count in sorted(calls.items()))
    imports = len(demo.aws.security_hub.journal.calls("BatchImportFindings"))
    console.print(
        f"{len(events)} events from AWS Config, answered by {told}, and {imports} BatchImportFindings; none failed.\n"
        f"The functions ran as they would be deployed: {demo.deployment.runtime.interpreter.description}."
    )


if __name__ == "__main__":
    main()
