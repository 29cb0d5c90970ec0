"""`assessment-results.oscal.json`: the day as OSCAL 1.2.1 Assessment Results (NIST).

One observation for each account and region, whose subjects are its non-compliant and its exempt instances. A valid
exemption is a risk whose deviation is approved, by whom its tag declares, until the day its tag names; where no tag
names an approver, the deviation is requested only. Every UUID is a version 5 one of what it stands for.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rolecall.errors import counted
from rolecall.evidence.coverage import NOT_SEEN, Coverage, Scope, in_words
from rolecall.evidence.manifest import Period
from rolecall.evidence.oscal_controls import finding_targets, reviewed_controls
from rolecall.evidence.package_files import JsonSpool
from rolecall.evidence.plan import Gap
from rolecall.evidence.rows import EvidenceRow, EvidenceVerdict
from rolecall.evidence.shard_header import ShardHeader
from rolecall.model import Exemption
from rolecall.record import timestamp

OSCAL = "assessment-results.oscal.json"
OSCAL_VERSION = "1.2.1"

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:rolecall:oscal")
_NS = "urn:rolecall:oscal"
"""Of our own props: what OSCAL has no word for."""

_YEARS = range(1900, 3000)
"""Of the times that OSCAL can tell. A tag may say 9999; a prop then holds it."""

_APPROVER = "exemption-approver"
_ASSESSOR = "assessor"


def identified(*what: str) -> str:
    """The UUID of something: always the same for the same."""
    return str(uuid5(_NAMESPACE, "/".join(what)))


class AssessmentResults:
    """Takes every row, then closes each scope; holds the subjects of one account and region, the rest is on disk."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self._day = period.start.date().isoformat()
        self._subjects: list[dict[str, Any]] = []
        self._observations = JsonSpool()
        self._items = JsonSpool()
        self._risks = JsonSpool()
        self._approvers: dict[str, str] = {}

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population."""
        if row.verdict not in (EvidenceVerdict.NON_COMPLIANT, EvidenceVerdict.EXEMPT):
            return
        instance = identified("instance", row.account, row.region, row.resource_id)
        title = f"{row.resource_id} in {row.account}, {row.region}"
        verdict = {"name": "verdict", "ns": _NS, "value": row.verdict.value}
        reason = row.recorded.reason if row.recorded else None
        props = [verdict, *([{"name": "reason", "ns": _NS, "value": reason.value}] if reason else [])]
        self._subjects.append({"subject-uuid": instance, "type": "inventory-item", "title": title, "props": props})
        self._items.add(
            {
                "uuid": instance,
                "description": f"EC2 instance {title}",
                "props": [
                    {"name": "asset-id", "value": printable(row.resource_arn or row.resource_id)},
                    {"name": "asset-type", "value": "virtual-machine"},
                ],
            }
        )
        if row.verdict is EvidenceVerdict.EXEMPT:
            self._risks.add(self._deviation(row, title))

    def close_scope(self, scope: Scope) -> None:
        """All rows since the last one were of this account and region."""
        header, totals = scope.header, scope.totals
        of_it = f"{header.account} in {header.region}"
        instances = counted(totals.population, "EC2 instance")
        gap = f" Not covered: {header.why_not}. {header.detail}".rstrip() if header.why_not else ""
        observation: dict[str, Any] = {
            "uuid": self._observation(header),
            "title": f"EC2 instances of account {of_it}",
            "description": printable(
                f"{instances} of account {of_it}, by what AWS Config recorded: {in_words(totals)}.{gap}"
            ),
            "props": [
                {"name": name, "ns": _NS, "value": value}
                for name, value in (
                    ("account", header.account),
                    ("region", header.region),
                    ("covered", "true" if header.covered else "false"),
                    *((name, str(count)) for name, count in totals.to_json().items()),
                )
            ],
            "methods": ["TEST"],
            "types": ["control-objective"],
            "origins": [{"actors": [{"type": "tool", "actor-uuid": identified("component", "rolecall")}]}],
            "relevant-evidence": [
                {
                    "href": f"evaluations/{header.account}_{header.region}.jsonl.gz",
                    "description": "Every instance of the population with its verdict, as JSON lines.",
                }
            ],
            "collected": timestamp(header.collected_at),
        }
        if self._subjects:
            observation["subjects"] = self._subjects
        self._observations.add(observation)
        self._subjects = []

    def document(self, coverage: Coverage, gaps: Iterable[Gap]) -> Mapping[str, Any]:
        """The whole document, for `PackageFiles.write_json`, when all scopes are closed."""
        gaps = list(gaps)
        result: dict[str, Any] = {
            "uuid": identified("result", self._day),
            "title": f"IAM instance profiles of EC2 instances on {self._day}",
            "description": "Does every EC2 instance carry an IAM instance profile, or a valid, documented reason not "
            "to? AWS Config evaluated every recorded instance; this is what it had recorded for the day.",
            "start": timestamp(self._period.start),
            "end": timestamp(self._period.end),
            "reviewed-controls": reviewed_controls(),
            "attestations": [_attestation(coverage, gaps)],
        }
        inventory = {"inventory-items": self._items.texts()} if len(self._items) else {}
        result["local-definitions"] = {"components": [_rolecall()], **inventory}
        if len(self._observations):
            result["observations"] = self._observations.texts()
        if len(self._risks):
            result["risks"] = self._risks.texts()
        result["findings"] = self._findings(coverage, gaps)
        return {
            "assessment-results": {
                "uuid": identified("assessment-results", self._day),
                "metadata": self._metadata(),
                "import-ap": {"href": f"#{_plan()['uuid']}"},
                "results": [result],
                "back-matter": {"resources": [_plan()]},
            }
        }

    def close(self) -> None:
        """Give the disk's room back."""
        for spool in (self._observations, self._items, self._risks):
            spool.close()

    def _observation(self, header: ShardHeader) -> str:
        return identified("observation", self._day, header.account, header.region)

    def _deviation(self, row: EvidenceRow, title: str) -> dict[str, Any]:
        """An exempt instance."""
        exemption = row.exemption
        approver = exemption.approved_by if exemption else None
        risk: dict[str, Any] = {
            "uuid": identified("risk", self._day, row.account, row.region, row.resource_id),
            "title": f"No IAM instance profile by intention: {title}",
            "description": f"Instance {title} carries no IAM instance profile; its tags declare an exemption.",
            "statement": printable(exemption.reason if exemption else "", "No reason is on record."),
            "status": "deviation-approved" if approver else "deviation-requested",
            "props": _facts(exemption),
            "related-observations": [
                {"observation-uuid": identified("observation", self._day, row.account, row.region)}
            ],
            "remediations": [
                {
                    "uuid": identified("remediation", self._day, row.account, row.region, row.resource_id),
                    "lifecycle": "recommendation",
                    "title": "Accept until the exemption is over",
                    "description": "The instance needs no role, as declared. Afterwards: attach an instance profile.",
                    "props": [{"name": "type", "value": "accept"}],
                }
            ],
        }
        if not risk["props"]:
            del risk["props"]
        if exemption and exemption.expires and exemption.expires.year in _YEARS:
            risk["deadline"] = timestamp(datetime.combine(exemption.expires, time(23, 59, 59), UTC))
        if exemption and approver:
            risk["risk-log"] = {"entries": [self._approval(row, exemption, approver)]}
        return risk

    def _approval(self, row: EvidenceRow, exemption: Exemption, approver: str) -> dict[str, Any]:
        name = printable(approver, "unknown")
        party = self._approvers.setdefault(name, identified("party", name))
        # Of a granting day that nobody told, the day of the evidence is the first on which it is known.
        granted = exemption.granted if exemption.granted and exemption.granted.year in _YEARS else None
        start = datetime.combine(granted, time(), UTC) if granted else self._period.start
        return {
            "uuid": identified("approval", self._day, row.account, row.region, row.resource_id),
            "title": "Exemption, as the instance's tags declare it",
            "start": timestamp(start),
            "logged-by": [{"party-uuid": party, "role-id": _APPROVER}],
            "status-change": "deviation-approved",
        }

    def _findings(self, coverage: Coverage, gaps: list[Gap]) -> list[dict[str, Any]]:
        """One for each requirement. Satisfied: nothing is non-compliant, unevaluated or out of sight."""
        totals = coverage.totals
        complete = not gaps and not totals.unevaluated and all(scope.header.covered for scope in coverage.scopes)
        status: dict[str, Any] = {"state": "satisfied", "reason": "pass"}
        if totals.non_compliant:
            status = {"state": "not-satisfied", "reason": "fail"}
        elif not complete:
            status = {
                "state": "not-satisfied",
                "reason": "other",
                "remarks": "Nothing is known to be non-compliant, but not everything is covered and evaluated.",
            }
        related = [{"observation-uuid": self._observation(scope.header)} for scope in coverage.scopes]
        return [
            {
                "uuid": identified("finding", self._day, str(requirement)),
                "title": str(requirement),
                "description": f"{totals.non_compliant} of {totals.population} instances are non-compliant, "
                f"{totals.exempt} exempt. One technical control supports the requirement; it does not prove it.",
                "target": {**target, "status": status},
                **({"related-observations": related} if related else {}),
            }
            for requirement, target in finding_targets()
        ]

    def _metadata(self) -> dict[str, Any]:
        return {
            "title": f"Rolecall: IAM instance profiles of EC2 instances, {self._day}",
            "last-modified": timestamp(self._period.end),
            "version": self._day,
            "oscal-version": OSCAL_VERSION,
            "roles": [
                {"id": _ASSESSOR, "title": "The tool that assessed"},
                {"id": _APPROVER, "title": "Whoever approved an exemption, as the instance's tag declares"},
            ],
            "parties": [
                {"uuid": identified("assessor"), "type": "organization", "name": "rolecall"},
                *({"uuid": uuid, "type": "person", "name": name} for name, uuid in sorted(self._approvers.items())),
            ],
            "responsible-parties": [{"role-id": _ASSESSOR, "party-uuids": [identified("assessor")]}],
        }


def printable(text: str, otherwise: str = "-") -> str:
    """One line that OSCAL takes for a string: no line breaks, nothing at its ends, not empty, no half characters."""
    return " ".join(text.encode(errors="replace").decode().split()) or otherwise


def _facts(exemption: Exemption | None) -> list[dict[str, str]]:
    declared = (
        ("ticket", exemption.ticket or ""),
        ("granted", exemption.granted.isoformat() if exemption.granted else ""),
        ("expires", exemption.expires.isoformat() if exemption.expires else ""),
    ) if exemption else ()  # fmt: skip
    return [{"name": name, "ns": _NS, "value": printable(value)} for name, value in declared if value.strip()]


def _rolecall() -> dict[str, Any]:
    return {
        "uuid": identified("component", "rolecall"),
        "type": "software",
        "title": "rolecall",
        "description": "A custom AWS Config rule, and the export of its evidence.",
        "status": {"state": "operational"},
    }


def _plan() -> dict[str, Any]:
    return {
        "uuid": identified("assessment-plan"),
        "title": "Assessment plan",
        "description": "Every day, every EC2 instance of every account and region in the plan is taken from AWS "
        "Config's inventory, with what the rule recorded for it; the rule's verdict is computed once more.",
    }


def _attestation(coverage: Coverage, gaps: list[Gap]) -> dict[str, Any]:
    """What is complete, and what is not."""
    totals = coverage.totals
    missing = [f"{gap.account}: {gap.why_not}" for gap in gaps]
    missing += [
        f"{scope.header.account} in {scope.header.region}: {scope.header.why_not}"
        for scope in coverage.scopes
        if not scope.header.covered
    ]
    gaps_told = f"Not covered: {'; '.join(missing)}." if missing else "Every planned account and region is covered."
    return {
        "responsible-parties": [{"role-id": _ASSESSOR, "party-uuids": [identified("assessor")]}],
        "parts": [
            {
                "name": "completeness",
                "ns": _NS,
                "title": "Completeness",
                "prose": printable(
                    f"The population is {counted(totals.population, 'instance')}: {in_words(totals)}. {gaps_told}"
                ),
            },
            {"name": "limits", "ns": _NS, "title": "Not seen", "prose": printable(" ".join(NOT_SEEN))},
        ],
    }
