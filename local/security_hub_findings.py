"""One account's findings in one region: how an import and a customer's update change them.

AWS documents who owns which field; what it does not is decided by `Behaviour`, so that both ways can be tried.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.timestamps import Clock, iso

Finding = dict[str, Any]

CUSTOMERS = ("Note", "UserDefinedFields", "VerificationState", "Workflow")
"""What an import never changes once the finding is there: documentation of BatchImportFindings."""

SHARED = ("Confidence", "Criticality", "RelatedFindings", "Severity", "Types")
"""What comes from FindingProviderFields until the customer has changed it: the same."""

UPDATED = (*CUSTOMERS, *SHARED)
"""What BatchUpdateFindings changes."""

_NORMALIZED = {"INFORMATIONAL": 0, "LOW": 1, "MEDIUM": 40, "HIGH": 70, "CRITICAL": 90}
"""Of each label: AWS Security Hub User Guide, "Severity"."""

_RESET = frozenset(("NOTIFIED", "RESOLVED"))
"""Workflow statuses that become NEW when the finding comes back; SUPPRESSED stays: "Workflow" in the same guide."""


@dataclass(frozen=True, slots=True)
class _Stored:
    text: str
    """JSON: a parsed finding takes five times the memory."""
    updated_at: datetime
    changed: frozenset[str]
    """The shared fields that the customer has set."""


class Findings:
    """The findings of one account and region, by product and id. Not safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stored: dict[tuple[str, str], _Stored] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._stored)

    def __iter__(self) -> Iterator[Finding]:
        """Every finding, in the order in which they came."""
        for stored in list(self._stored.values()):
            yield json.loads(stored.text)

    def imported(self, finding: Finding, region: str) -> bool:
        """Take a valid finding; False if it is no newer than what is there, which AWS ignores."""
        key, updated_at = (finding["ProductArn"], finding["Id"]), datetime.fromisoformat(finding["UpdatedAt"])
        stored = self._stored.get(key)
        if stored is None:
            self._keep(key, {"Workflow": {"Status": "NEW"}, **self._completed(finding, region)}, frozenset())
            return True
        if updated_at <= stored.updated_at:
            return False
        before: Finding = json.loads(stored.text)
        after = self._completed(finding, region)
        after |= {name: before[name] for name in (*CUSTOMERS, *stored.changed) if name in before}
        for name in CUSTOMERS:
            if name not in before:
                after.pop(name, None)
        if _comes_back(before, after) and after["Workflow"]["Status"] in _RESET:
            after["Workflow"] = {"Status": "NEW"}
        self._keep(key, after, stored.changed)
        return True

    def updated(self, product_arn: str, finding_id: str, changes: Mapping[str, Any]) -> bool:
        """Change what is the customer's, as the customer; False if there is no such finding."""
        stored = self._stored.get((product_arn, finding_id))
        if stored is None:
            return False
        finding: Finding = json.loads(stored.text)
        for name, value in changes.items():
            match name:
                case "Note":
                    finding[name] = {**value, "UpdatedAt": iso(self._clock())}
                case "Severity":
                    finding[name] = _severity({**finding.get(name, {}), **value}, value)
                case "UserDefinedFields":
                    finding[name] = {**finding.get(name, {}), **value}
                case _:
                    finding[name] = value
        # UpdatedAt belongs to the provider: an import with a later one than its last must still count as newer.
        text = json.dumps(finding, separators=(",", ":"))
        changed = stored.changed | (changes.keys() & set(SHARED))
        self._stored[product_arn, finding_id] = _Stored(text, stored.updated_at, frozenset(changed))
        return True

    def _completed(self, finding: Finding, region: str) -> Finding:
        """With what Security Hub fills in: the top level from FindingProviderFields, and the other way round."""
        provided = dict(finding.get("FindingProviderFields", {}))
        complete = {"RecordState": "ACTIVE", "ProductName": "Default", "CompanyName": "Personal", **finding}
        for name in SHARED:
            if name in provided:
                complete[name] = provided[name]
            elif name in complete:
                provided[name] = complete[name]
        complete["Severity"] = _severity(complete["Severity"], complete["Severity"])
        return complete | {"FindingProviderFields": provided, "Region": region, "ProcessedAt": iso(self._clock())}

    def _keep(self, key: tuple[str, str], finding: Finding, changed: frozenset[str]) -> None:
        text = json.dumps(finding, separators=(",", ":"))
        self._stored[key] = _Stored(text, datetime.fromisoformat(finding["UpdatedAt"]), changed)


def _severity(severity: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """With both Label and Normalized; the label decides if it is given."""
    if "Label" in given:
        return {**severity, "Normalized": _NORMALIZED[given["Label"]]}
    if "Normalized" not in given:
        return dict(severity)
    label = max((least, name) for name, least in _NORMALIZED.items() if least <= given["Normalized"])[1]
    return {**severity, "Label": label}


def _comes_back(before: Finding, after: Finding) -> bool:
    """Whether it was closed and is not any more."""
    was, now = (one.get("Compliance", {}).get("Status") for one in (before, after))
    return (before["RecordState"], after["RecordState"]) == ("ARCHIVED", "ACTIVE") or (
        was == "PASSED" and now in ("FAILED", "WARNING", "NOT_AVAILABLE")
    )
