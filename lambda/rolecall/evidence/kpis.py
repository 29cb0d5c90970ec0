"""`kpis.json`: the figures of a day, each with its written definition, and those of the days before for the trend."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.evidence.episodes import History, Kind
from rolecall.evidence.exemptions import age, days_left
from rolecall.evidence.manifest import Period, Totals
from rolecall.evidence.remediation_times import RemediationTimes
from rolecall.evidence.rows import EvidenceRow, EvidenceVerdict
from rolecall.evidence.shard_header import ShardHeader
from rolecall.model import ExemptionState
from rolecall.received_fields import read_day
from rolecall.record import optional_timestamp

SCHEMA = "rolecall.kpis/v1"
KPIS = "kpis.json"

TREND_DAYS = 400
"""A day's figures are carried for so long: a year, and the same season once more."""

SOON_DAYS = 30
"""An exemption that holds for so many days more, or fewer, is about to expire."""

EXEMPTION_AGES = (("upTo30Days", 30), ("upTo90Days", 90), ("upTo180Days", 180), ("upTo365Days", 365))
OLDER, UNKNOWN = "longer", "unknown"


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure means. `key` is its name in `kpis.json`."""

    key: str
    title: str
    text: str


DEFINITIONS = (
    Definition(
        "shareWithRole.ofAll",
        "Instances with a role",
        "Compliant instances, divided by all that the rule applies to: compliant, exempt and non-compliant. An exempt "
        "instance counts as one without a role. Instances that are not applicable or not evaluated are left out; "
        "coverage counts them.",
    ),
    Definition(
        "shareWithRole.ofNotExempt",
        "Instances with a role, exemptions aside",
        "Compliant instances, divided by compliant and non-compliant ones: exempt instances are left out of both. An "
        "instance whose profile is not an allowed one is non-compliant.",
    ),
    Definition(
        "timeToRemediate.launched-without-role",
        "Time to remediate: launched without a role",
        "From the first launch (when the network interface at device index 0 was attached) to the first verdict of "
        "COMPLIANT with a role, of instances whose first verdict is NON_COMPLIANT. Kaplan-Meier over the last 90 days: "
        "open episodes count as lasting until now; being exempted, terminated, out of scope or missing from the "
        "inventory ends the observation and is counted apart, and so is what is open where nobody could look (it "
        "counts until the instance was last seen); an episode counts from the moment at which it could be observed. "
        "Median and 90th percentile are 'not reached' while too many are open. The restricted mean is the mean time "
        "within the first 30 days. The share remediated within 1, 7 and 30 days is read from the same curve. Less than "
        "10 minutes without NON_COMPLIANT interrupt no episode. Detection, from when it was NON_COMPLIANT to the "
        "verdict on it, is told apart.",
    ),
    Definition(
        "timeToRemediate.drift",
        "Time to remediate: drift",
        "The same for instances that had another verdict before: their role was taken away, or replaced by one that is "
        "not allowed. It begins with the configuration item that is NON_COMPLIANT, or with the verdict on it where the "
        "rule's parameters changed and the item did not.",
    ),
    Definition(
        "timeToRemediate.exemption-lapsed",
        "Time to remediate: exemption over",
        "The same for instances that were exempt and whose exemption has expired or is malformed. Where it expired, it "
        "begins with the end of its last day.",
    ),
    Definition(
        "accessKeys",
        "Active long-term access keys",
        "Access keys of IAM users that are active, and those of root users, from each account's IAM credential report; "
        "AWS makes it anew every four hours at most. Accounts whose report could not be read are named, not counted.",
    ),
    Definition(
        "exemptions.byAge",
        "Exemptions by age",
        "Instances whose verdict is exempt, by the days since the exemption was granted, as its tag declares; "
        "'unknown' where no tag says so.",
    ),
    Definition(
        "exemptions.aboutToExpire",
        "Exemptions about to expire",
        "Instances whose verdict is exempt and whose exemption holds for 30 days more, or fewer.",
    ),
    Definition("trend", "Trend", "The figures of each day as its own package states them, at most 400 days back."),
)
"""Every figure, in the order in which the report shows them."""


class DayFigures:
    """Takes every row, every shard's header and every history; holds numbers alone. `close` ends it."""

    def __init__(self, period: Period) -> None:
        self._day = period.start.date()
        self._end = period.end
        self._times = {kind: RemediationTimes(period.end) for kind in Kind}
        self._by_age: Counter[str] = Counter()
        self._states: Counter[ExemptionState] = Counter()
        self._soon = 0
        self._endless = 0
        self._headers_with_keys: dict[str, ShardHeader] = {}
        self._without_keys: dict[str, str] = {}
        self._accounts: set[str] = set()

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population."""
        if row.exemption:
            self._states[row.exemption.state] += 1
        if row.verdict is not EvidenceVerdict.EXEMPT:
            return
        granted_for = age(row.exemption, self._day) if row.exemption else None
        self._by_age[_age_group(granted_for)] += 1
        left = days_left(row.exemption, self._day) if row.exemption else None
        self._endless += left is None
        self._soon += left is not None and 0 <= left <= SOON_DAYS

    def take_header(self, header: ShardHeader) -> None:
        """One account and region."""
        self._accounts.add(header.account)
        if header.keys:
            self._headers_with_keys[header.account] = header
        elif header.keys_problem:
            self._without_keys[header.account] = header.keys_problem

    def take_history(self, history: History) -> None:
        """Of one instance: what is open, or was closed within the window."""
        since = history.missing_since
        seen_until = Period.of_day(since).start if since else self._end
        for episode in history.episodes:
            self._times[episode.kind].take(episode, seen_until)

    def close(self) -> None:
        """Give the disk's room back."""
        for times in self._times.values():
            times.close()

    def times_to_remediate(self) -> Mapping[str, Mapping[str, Any]]:
        """By kind: they are never mixed."""
        return {kind.value: times.figures() for kind, times in self._times.items()}

    def access_keys(self) -> Mapping[str, Any]:
        """Sums over the accounts whose report was read."""
        counted = [header.keys for header in self._headers_with_keys.values() if header.keys]
        oldest = min((keys.oldest_rotation for keys in counted if keys.oldest_rotation), default=None)
        missing = sorted(self._accounts - set(self._headers_with_keys))
        return {
            "accountsCounted": len(counted),
            "accountsNotCounted": [
                {"account": account, "why": self._without_keys.get(account) or None} for account in missing
            ],
            "users": sum(keys.users for keys in counted),
            "usersWithActiveKeys": sum(keys.users_with_active_keys for keys in counted),
            "activeKeys": sum(keys.active_keys for keys in counted),
            "rootActiveKeys": sum(keys.root_active_keys for keys in counted),
            "oldestRotation": optional_timestamp(oldest),
        }

    def exemptions(self) -> Mapping[str, Any]:
        """By age and by what is left of them."""
        return {
            "inForce": self._by_age.total(),
            "declared": {state.value: self._states[state] for state in ExemptionState},
            "withoutExpiry": self._endless,
            "aboutToExpire": self._soon,
            "byAge": {name: self._by_age[name] for name in (*(name for name, _ in EXEMPTION_AGES), OLDER, UNKNOWN)},
        }


def kpi_document(
    period: Period, totals: Totals, figures: DayFigures, trend: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """`kpis.json`. `trend`: the rows of the days before (`read_trend`)."""
    day = period.start.date().isoformat()
    share, keys, exemptions = share_with_role(totals), figures.access_keys(), figures.exemptions()
    times = figures.times_to_remediate()
    today = {
        "day": day,
        **totals.to_json(),
        "ofAll": share["ofAll"],
        "ofNotExempt": share["ofNotExempt"],
        "aboutToExpire": exemptions["aboutToExpire"],
        "openEpisodes": sum(of_kind["open"] for of_kind in times.values()),
        "launchedWithoutRoleMedianHours": times[Kind.LAUNCHED_WITHOUT_ROLE]["medianHours"],
        "driftMedianHours": times[Kind.DRIFT]["medianHours"],
        "activeKeys": keys["activeKeys"] if keys["accountsCounted"] else None,
        "rootActiveKeys": keys["rootActiveKeys"] if keys["accountsCounted"] else None,
    }
    return {
        "schema": SCHEMA,
        "day": day,
        "shareWithRole": share,
        "timeToRemediate": times,
        "accessKeys": keys,
        "exemptions": exemptions,
        "trend": [*(row for row in trend if row["day"] < day), today][-TREND_DAYS:],
        "definitions": {definition.key: definition.text for definition in DEFINITIONS},
    }


def share_with_role(totals: Totals) -> Mapping[str, Any]:
    """Of the instances that the rule applies to; None where there is none."""
    applicable = totals.compliant + totals.exempt + totals.non_compliant
    return {
        "withRole": totals.compliant,
        "exempt": totals.exempt,
        "nonCompliant": totals.non_compliant,
        "ofAll": _share(totals.compliant, applicable),
        "ofNotExempt": _share(totals.compliant, applicable - totals.exempt),
    }


def read_trend(raw: bytes) -> Sequence[Mapping[str, Any]]:
    """The rows of an earlier `kpis.json`. Raises InvalidRecord."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidRecord(KPIS, raw[:64], "JSON text of an object") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InvalidRecord("schema", document.get("schema") if isinstance(document, dict) else document, SCHEMA)
    rows = document.get("trend")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and read_day(row, "day") for row in rows):
        raise InvalidRecord("trend", rows, "a list of objects, each with its day")
    return rows


def _age_group(days: int | None) -> str:
    if days is None:
        return UNKNOWN
    return next((name for name, most in EXEMPTION_AGES if days <= most), OLDER)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
