"""`make demo-org`: an organization's rule at work in its member accounts, without AWS.

The function of the synthesized stacks runs in the audit account, the pack's rule and the StackSet's role stand in each
member account, and credentials belong to one account: what is shown is what each account's own AWS Config has recorded.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local.aws import LocalAws
from local.demonstration import GONE, KEY, Account, Scene, Verdict, styled, table, terminal, told, wait_for_functions
from local.deployment import Deployment
from local.organization import Organization, read_organization
from local.recorder import Recorder
from rolecall.model import ComplianceType

NEW = "newcomer"
ACCOUNTS = {
    "payments": "333344445555",
    "research": "444455556666",
    "website": "555566667777",
    NEW: "666677778888",
}

Verdicts = Mapping[tuple[str, str], Verdict]
"""By the names of account and instance."""

NEW_SCENES = (Scene("crm", "has none"), Scene("mail", "has a role", profile="app-mail"))

_NONE = "[dim]none yet[/]"


def scenes(today: datetime) -> dict[str, list[Scene]]:
    """The cast of each account, on the day of `today`."""
    until_tonight = {KEY: "penetration test", f"{KEY}:expires": f"{today:%Y-%m-%d}"}
    return {
        "payments": [
            Scene("ledger", "has a role", profile="app-ledger"),
            Scene("legacy-ftp", "has none"),
            Scene("scanner", "exempt until tonight", tags=until_tonight),
        ],
        "research": [
            Scene("notebook", "has a role", profile="app-notebook"),
            Scene("license-server", "exempt, and says why", tags={KEY: "vendor appliance, calls no AWS API"}),
            Scene("ci-runner", "has none"),
        ],
        "website": [
            Scene("shop", "has a role", profile="app-shop"),
            Scene("admin-jump", "has a role that is not allowed", profile="admin"),
        ],
    }


@dataclass(frozen=True)
class Member:
    """One member account."""

    account: Account
    recorder: Recorder


class Demo:
    """The organization while the demo runs."""

    def __init__(self, aws: LocalAws, deployment: Deployment, organization: Organization) -> None:
        self.aws = aws
        self.deployment = deployment
        self.organization = organization
        self.members: dict[str, Member] = {}

    def join(self, name: str) -> Account:
        """A new account, in which the pack's rule is already and the role is not."""
        number = ACCOUNTS[name]
        self.aws.client("securityhub", number).enable_security_hub(EnableDefaultStandards=False)
        account = Account(self.aws, number, self.organization.join(number))
        self.members[name] = Member(account, self.organization.recorder(number))
        return account

    def launch(self, name: str, launched: Sequence[Scene]) -> None:
        """Run instances in an account, let its AWS Config see them, and the function answer."""
        member = self.members[name]
        for scene in launched:
            member.account.launch(scene)
        member.recorder.record_now()
        self.wait()

    def wait(self) -> None:
        """Let the function answer; for an account without its role it cannot."""
        wait_for_functions(self.deployment, may_fail={ACCOUNTS[NEW]})

    def redrive_one(self) -> None:
        """What an operator types, for one dead letter."""
        _, _, _, _, account, queue = str(self.deployment.function.dead_letter_arn).split(":")
        url = self.aws.client("sqs").get_queue_url(QueueName=queue, QueueOwnerAWSAccountId=account)["QueueUrl"]
        options = ["--queue", url, "--function", self.deployment.function.name, "--limit", "1"]
        command = [sys.executable, "-m", "rolecall", "redrive", *options]
        done = subprocess.run(command, env=self.aws.environment(), capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise SystemExit(f"rolecall redrive ended with {done.returncode}: {done.stderr}")
        self.wait()

    def pass_a_night(self) -> Counter[str]:
        """It is tomorrow, and each account's rule gets its daily notification; the sums of the sweeps' metrics."""
        self.deployment.runtime.advance_clock(timedelta(days=1))
        answered = len(self.deployment.invocations.journal)
        for member in self.members.values():
            self.aws.config.region(member.account.account, self.aws.region).run_schedule(member.account.rule)
        self.wait()
        sums: Counter[str] = Counter()
        for entry in self.deployment.invocations.journal[answered:]:
            for line in (line for attempt in entry.attempts for line in attempt.json_log()):
                for metric, value in line.items():
                    if metric.startswith("Sweep") and isinstance(value, list):
                        sums[metric] += round(value[0])
        return sums

    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """Of all accounts, each as its own AWS Config has them."""
        return {
            (name, instance): verdict
            for name, member in self.members.items()
            for instance, verdict in member.account.verdicts().items()
        }


def main() -> None:
    """Tell the story; `sys.argv[1]` is the synthesized assembly."""
    console = terminal()
    cdk_out = Path(sys.argv[1])
    assembly = read_organization(cdk_out)
    cast = scenes(datetime.now(UTC))
    with ExitStack() as running:
        with told(console, f"Starting a local AWS: the rule in an audit account, and {len(cast)} member accounts"):
            aws = running.enter_context(LocalAws(assembly.audit_account, assembly.region))
            deployment = running.enter_context(Deployment(aws, cdk_out, time_scale=0.002))
            demo = Demo(aws, deployment, Organization(aws, assembly))
            for name in cast:
                demo.join(name)
                demo.organization.roll_out_role(ACCOUNTS[name])
        with told(console, "Launching EC2 instances in each; the function in the audit account judges them all"):
            for name, launched in cast.items():
                demo.launch(name, launched)
        console.print(_launched(cast, demo.verdicts()))
        _newcomer(console, demo)
        _night(console, demo)
        _sum_up(console, demo)


def _newcomer(console: Console, demo: Demo) -> None:
    """An account that has the rule already, but not yet the role."""
    with told(console, "A new account joins, and its instances come before its role"):
        demo.join(NEW)
        for scene in NEW_SCENES:
            demo.launch(NEW, [scene])
    letters = demo.deployment.invocations.dead_letters
    attempts = sum(len(letter.attempts) for letter in letters)
    console.print(f"{attempts} attempts, {len(letters)} dead letters; the reason stands in each:", style="dim")
    console.print(letters[0].last_error.message if letters[0].last_error else "", style="dim italic")
    with told(console, "Its role arrives, and rolecall redrive --limit 1 hands one of them back"):
        demo.organization.roll_out_role(ACCOUNTS[NEW])
        demo.redrive_one()
    console.print(_launched({NEW: NEW_SCENES}, demo.verdicts()))


def _night(console: Console, demo: Demo) -> None:
    """What no event told of, and what the sweep makes of it."""
    before = demo.verdicts()
    with told(console, "Two events are lost, then a night passes, and each account is swept"):
        research = demo.members["research"]
        research.account.detach("notebook")
        research.account.terminate("ci-runner")
        research.recorder.record_now(lose_events=True)
        sums = demo.pass_a_night()
    after = demo.verdicts()
    shown = table("account", "instance", "what happened", "verdict", "reason")
    for (account, instance), what in {
        ("payments", "scanner"): "its exemption ended at midnight",
        ("research", "notebook"): "its role was detached; event lost",
        ("research", "ci-runner"): "was terminated; event lost",
        (NEW, "mail"): "its event became a dead letter",
    }.items():
        now = after.get((account, instance), GONE)
        was = before.get((account, instance))
        moved = f"{styled(was) if was else _NONE}\n→ {styled(now)}"
        shown.add_row(account, instance, what, moved, _reason(now))
    console.print(shown)
    console.print(
        f"The sweeps of {len(demo.members)} accounts saw {sums['SweepSeen']} instances, found "
        f"{sums['SweepDifferences']} results that differed, and put these {sums['SweepRepaired']} alone."
    )


def _launched(cast: Mapping[str, Sequence[Scene]], verdicts: Verdicts) -> Table:
    shown = table("account", "instance", "what it is", "verdict", "reason")
    for name, launched in cast.items():
        for scene in launched:
            verdict = verdicts.get((name, scene.name))
            shown.add_row(
                name,
                scene.name,
                scene.what,
                styled(verdict) if verdict else _NONE,
                _reason(verdict) if verdict else "",
            )
    return shown


def _reason(verdict: Verdict) -> str:
    """The annotation's reason code, without the advice to the owner."""
    return verdict[1].partition(":")[0]


def _active(findings: Sequence[Mapping[str, Any]]) -> str:
    """How many of each status."""
    active = Counter(one["Compliance"]["Status"] for one in findings if one["RecordState"] == "ACTIVE")
    return ", ".join(f"{count} {status}" for status, count in sorted(active.items()))


def _sum_up(console: Console, demo: Demo) -> None:
    config = Counter((call.account, call.operation) for call in demo.aws.config.journal.calls())
    assumed = Counter(
        (call.input["RoleArn"].split(":")[4], call.error is None) for call in demo.aws.sts.journal.calls()
    )
    results = Counter((account, verdict[0]) for (account, _), verdict in demo.verdicts().items())
    kinds = (ComplianceType.COMPLIANT.value, ComplianceType.NON_COMPLIANT.value)
    shown = table("account", "its number", "AssumeRole", "refused", "PutEvaluations", *kinds, "active findings")
    for name, number in ACCOUNTS.items():
        counts = [assumed[number, True], assumed[number, False], config[number, "PutEvaluations"]]
        verdicts = [str(results[name, kind]) for kind in kinds]
        shown.add_row(name, number, *map(str, counts), *verdicts, _active(demo.members[name].account.findings()))
    console.print(shown)
    imports = len(demo.aws.security_hub.journal.calls("BatchImportFindings"))
    sessions = sum(assumed[number, True] for number in ACCOUNTS.values())
    puts = sum(config[number, "PutEvaluations"] for number in ACCOUNTS.values())
    console.print(
        f"{len(demo.deployment.invocations.journal)} events from {len(ACCOUNTS)} accounts, answered by {sessions} "
        f"AssumeRole, for each role one in each execution environment, {puts} PutEvaluations and {imports} "
        "BatchImportFindings, each in the account of the instance.\n"
        f"The functions ran as they would be deployed: {demo.deployment.runtime.interpreter.description}.\n"
        "Next: docs/organization.md tells how to deploy to an organization."
    )


if __name__ == "__main__":
    main()
