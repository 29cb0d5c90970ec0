"""What `make demo` and `make demo-org` share: instances of an account, their verdicts, and how both are shown."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from local.aws import LocalAws
from local.deployment import Deployment
from rolecall.model import ComplianceType

KEY = "intentional-no-role"

Verdict = tuple[str, str]
"""Compliance type and annotation, as AWS Config shows them."""

GONE: Verdict = (ComplianceType.NOT_APPLICABLE.value, "gone, so Config forgets its result.")

_IMAGE = "ami-0123456789abcdef0"
_SEVERITY_STYLES = {"CRITICAL": "bold red", "HIGH": "bold red", "MEDIUM": "yellow"}
_STYLES = {
    ComplianceType.COMPLIANT: "bold cyan",
    ComplianceType.NON_COMPLIANT: "bold red",
    ComplianceType.NOT_APPLICABLE: "dim",
}
_UNBROKEN = {"account", "instance", "verdict", "severity", "status"}
_WAIT_SECONDS = 60
_WIDTH = 120


@dataclass(frozen=True)
class Scene:
    """One instance: its Name tag, what is special about it, and what it is launched with."""

    name: str
    what: str
    profile: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


class Account:
    """The instances of one account, by their Name tag; `rule` is the name of its Config rule."""

    def __init__(self, aws: LocalAws, account: str, rule: str) -> None:
        self.account = account
        self.rule = rule
        self.ids: dict[str, str] = {}
        self._ec2 = aws.client("ec2", account)
        self._iam = aws.client("iam", account)
        self._config = aws.client("config", account)
        self._security_hub = aws.client("securityhub", account)

    def launch(self, scene: Scene) -> None:
        """Run an instance, as anybody would."""
        tags = [{"Key": key, "Value": value} for key, value in {"Name": scene.name, **scene.tags}.items()]
        answer = self._ec2.run_instances(
            ImageId=_IMAGE,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        instance_id = self.ids[scene.name] = answer["Instances"][0]["InstanceId"]
        if scene.profile:
            self.attach(scene.name, scene.profile)
        if scene.stopped:
            self._ec2.stop_instances(InstanceIds=[instance_id])

    def attach(self, name: str, profile: str) -> None:
        """Attach an instance profile, in place of the one that may be there."""
        self._iam.create_instance_profile(InstanceProfileName=profile)
        self.detach(name)
        self._ec2.associate_iam_instance_profile(InstanceId=self.ids[name], IamInstanceProfile={"Name": profile})

    def detach(self, name: str) -> None:
        """Take the instance profile away, if there is one."""
        known = self._ec2.describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [self.ids[name]]}]
        )["IamInstanceProfileAssociations"]
        for association in known:
            self._ec2.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])

    def tag(self, name: str, tags: dict[str, str]) -> None:
        """Set tags."""
        self._ec2.create_tags(
            Resources=[self.ids[name]], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )

    def terminate(self, name: str) -> None:
        """End an instance."""
        self._ec2.terminate_instances(InstanceIds=[self.ids[name]])

    def verdicts(self) -> dict[str, Verdict]:
        """By name, what this account's Config has recorded; what is not applicable it does not list."""
        names = {instance_id: name for name, instance_id in self.ids.items()}
        recorded = {}
        paginator = self._config.get_paginator("get_compliance_details_by_config_rule")
        for page in paginator.paginate(ConfigRuleName=self.rule):
            for result in page["EvaluationResults"]:
                resource_id = result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]
                if resource_id not in names:
                    raise SystemExit(f"{self.account} has a result of {resource_id}, which is not an instance of its")
                recorded[names[resource_id]] = (result["ComplianceType"], result["Annotation"])
        return recorded

    def findings(self) -> list[dict[str, Any]]:
        """What this account's Security Hub holds."""
        pages = self._security_hub.get_paginator("get_findings").paginate()
        return [finding for page in pages for finding in page["Findings"]]


def wait_for_functions(deployment: Deployment, may_fail: Collection[str] = ()) -> None:
    """Let the functions answer all events and records. Raises SystemExit if one fails, but of `may_fail`."""
    deployment.wait_idle(_WAIT_SECONDS)
    failed = [entry for entry in deployment.invocations.dead_letters if entry.event["accountId"] not in may_fail]
    if failed:
        raise SystemExit("\n".join(["the function failed:", *(str(entry.last_error) for entry in failed)]))
    if deployment.findings and (letters := deployment.findings.dead_letters()):
        given_up = [letter["MessageAttributes"]["ErrorMessage"]["StringValue"] for letter in letters]
        raise SystemExit("\n".join(["records became no findings:", *given_up]))


def terminal() -> Console:
    """Where it is all shown; as wide as the terminal, if it is one."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


@contextmanager
def told(console: Console, what: str) -> Iterator[None]:
    """Say what is going on, and afterwards how long it took."""
    began = perf_counter()
    with console.status(f"{what} …"):
        yield
    console.print(f"[dim]{what}: {perf_counter() - began:.1f} s[/dim]")


def table(*headings: str) -> Table:
    """An empty table; names and verdicts are never broken into lines."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading in _UNBROKEN)
    return made


def styled(verdict: Verdict) -> str:
    """Its compliance type, in colour."""
    return f"[{_STYLES[ComplianceType(verdict[0])]}]{verdict[0]}[/]"


def findings_table(names: Mapping[str, str], findings: Iterable[Mapping[str, Any]]) -> Table:
    """What Security Hub shows of each finding, open ones first; `names` are those of the instances, by their ids."""
    shown = table("instance", "severity", "status", "reason", "what to do")
    order = {resource_id: index for index, resource_id in enumerate(names)}
    by_id = {finding["Resources"][0]["Id"].rpartition("/")[2]: finding for finding in findings}
    for resource_id, finding in sorted(
        by_id.items(), key=lambda one: (one[1]["RecordState"], one[1]["Compliance"]["Status"], order[one[0]])
    ):
        severity = finding["Severity"]["Label"]
        closed = finding["RecordState"] == "ARCHIVED"
        shown.add_row(
            names[resource_id],
            f"[{_SEVERITY_STYLES.get(severity, 'default')}]{severity}[/]",
            finding["Compliance"]["Status"] + ("\narchived" if closed else ""),
            finding["Compliance"]["StatusReasons"][0]["ReasonCode"],
            "" if closed else finding["Remediation"]["Recommendation"]["Text"],
            style="dim" if closed else None,
        )
    return shown
