"""`coverage.json`: the population, what became of it, and what nobody looked at.

For each account and region, and in total: population = compliant + exempt + non-compliant + not applicable +
unevaluated. The rule's verdict on the same items, re-performed, stands beside what AWS Config recorded, and every
disagreement has a name. Where the control did not run, and what no inventory can show, is said.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.evidence.collection_times import CollectionTimes
from rolecall.evidence.day_verdicts import DayVerdicts
from rolecall.evidence.ledger import LedgerRecords
from rolecall.evidence.manifest import Period, Totals
from rolecall.evidence.package_files import JsonSpool
from rolecall.evidence.plan import Gap
from rolecall.evidence.rows import IN_FLIGHT_HOURS, Agreement, EvidenceRow, EvidenceVerdict
from rolecall.evidence.shard_header import ShardHeader, recorder_object
from rolecall.record import optional_timestamp, timestamp

SCHEMA = "rolecall.coverage/v1"
COVERAGE = "coverage.json"

NOT_SEEN = (
    "Instances in accounts and regions that are listed as not covered, beyond those that were known there last.",
    "Instances that were launched and terminated between two recordings: a recorder may record once a day only.",
    "Instances that the inventory does not have yet: an aggregator lags behind its accounts by hours.",
    "Results of NOT_APPLICABLE: AWS Config drops them. Where nothing is recorded, the rule itself is asked.",
    "Who set an exemption's tags: they say who approved it; AWS CloudTrail knows who set them.",
    "Whether an instance uses its role, and what the role permits: the control asks whether there is one.",
)
"""What this evidence cannot show, in words."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One account and region, counted."""

    header: ShardHeader
    verdicts: Mapping[EvidenceVerdict, int]
    agreements: Mapping[Agreement, int]
    unlisted: int
    """Recorded results whose instance is not in the inventory (any more)."""

    @property
    def totals(self) -> Totals:
        """Its share of the population."""
        return totals_of(self.verdicts)


def totals_of(verdicts: Mapping[EvidenceVerdict, int]) -> Totals:
    """The population that is the sum of these verdicts."""
    return Totals(
        population=sum(verdicts.values()),
        compliant=verdicts.get(EvidenceVerdict.COMPLIANT, 0),
        exempt=verdicts.get(EvidenceVerdict.EXEMPT, 0),
        non_compliant=verdicts.get(EvidenceVerdict.NON_COMPLIANT, 0),
        not_applicable=verdicts.get(EvidenceVerdict.NOT_APPLICABLE, 0),
        unevaluated=verdicts.get(EvidenceVerdict.UNEVALUATED, 0),
    )


def in_words(totals: Totals) -> str:
    """What the population is the sum of."""
    return (
        f"{totals.compliant:,} compliant, {totals.exempt:,} exempt, {totals.non_compliant:,} non-compliant, "
        f"{totals.not_applicable:,} not applicable, {totals.unevaluated:,} not evaluated"
    )


class Coverage:
    """Takes every row, then what each scope came to; holds a few numbers for each scope, and the rest on disk."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self._verdicts: Counter[EvidenceVerdict] = Counter()
        self._agreements: Counter[Agreement] = Counter()
        self.disagreements = JsonSpool()
        self.in_flight = JsonSpool()
        self._unjudged = JsonSpool()

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population."""
        self._verdicts[row.verdict] += 1
        self._agreements[row.agreement] += 1
        if row.agreement is Agreement.DISAGREES:
            self.disagreements.add(_compared(row))
        elif row.agreement is Agreement.IN_FLIGHT:
            self.in_flight.add(_compared(row))
        elif row.problem:
            self._unjudged.add(_compared(row))

    def close_scope(self, header: ShardHeader, unlisted: int) -> None:
        """All rows since the last one were of this account and region."""
        self.scopes.append(Scope(header, self._verdicts, self._agreements, unlisted))
        self._verdicts, self._agreements = Counter(), Counter()

    @property
    def totals(self) -> Totals:
        """The whole population."""
        verdicts: Counter[EvidenceVerdict] = Counter()
        for scope in self.scopes:
            verdicts.update(scope.verdicts)
        return totals_of(verdicts)

    @property
    def collected(self) -> CollectionTimes | None:
        """None if the plan has no account and region."""
        return CollectionTimes.of(scope.header.collected_at for scope in self.scopes)

    @property
    def agreements(self) -> Mapping[Agreement, int]:
        """Of the whole population."""
        agreements: Counter[Agreement] = Counter()
        for scope in self.scopes:
            agreements.update(scope.agreements)
        return agreements

    def document(
        self, period: Period, gaps: Iterable[Gap], ledger: LedgerRecords, verdicts: DayVerdicts
    ) -> Mapping[str, Any]:
        """`coverage.json`, for `PackageFiles.write_json`.

        `gaps`: accounts that nobody could look into at all. `ledger` and `verdicts`: what was read, and what counted.
        """
        return {
            "schema": SCHEMA,
            "day": period.start.date().isoformat(),
            "period": period.to_json(),
            "total": self.totals.to_json(),
            "accountRegions": [_scope_object(scope) for scope in self.scopes],
            "notCovered": [
                *({"account": gap.account, "region": None, "why": gap.why_not, "detail": gap.detail} for gap in gaps),
                *(
                    {
                        "account": scope.header.account,
                        "region": scope.header.region,
                        "why": scope.header.why_not,
                        "detail": scope.header.detail or None,
                    }
                    for scope in self.scopes
                    if not scope.header.covered
                ),
            ],
            "reperformed": {
                **agreements_object(self.agreements),
                "inFlightHours": IN_FLIGHT_HOURS,
                "disagreements": self.disagreements.texts(),
                "inFlight": self.in_flight.texts(),
                "notJudged": self._unjudged.texts(),
            },
            "ledger": {
                "records": ledger.read,
                "ofNextDay": verdicts.later,
                "ofOtherRules": verdicts.of_other_rules,
                "unreadable": ledger.unreadable,
                "damagedFiles": ledger.damaged_files,
                "firstProblem": ledger.first_problem or None,
            },
            "notSeen": list(NOT_SEEN),
        }

    def close(self) -> None:
        """Give the disk's room back."""
        for spool in (self.disagreements, self.in_flight, self._unjudged):
            spool.close()


def agreements_object(agreements: Mapping[Agreement, int]) -> dict[str, Any]:
    """How many verdicts, re-performed, are what is recorded."""
    return {
        "agreeing": agreements.get(Agreement.AGREES, 0),
        "disagreeing": agreements.get(Agreement.DISAGREES, 0),
        "inFlightCount": agreements.get(Agreement.IN_FLIGHT, 0),
        "notCompared": agreements.get(Agreement.UNEVALUATED, 0),
    }


def _scope_object(scope: Scope) -> dict[str, Any]:
    header = scope.header
    return {
        "account": header.account,
        "region": header.region,
        **scope.totals.to_json(),
        "covered": header.covered,
        "whyNot": header.why_not,
        "detail": header.detail or None,
        "ruleName": header.rule_name,
        "ruleArn": header.rule_arn,
        "recorder": recorder_object(header.recorder) if header.recorder else None,
        "recorderProblem": header.recorder_problem or None,
        "reperformed": agreements_object(scope.agreements),
        "recordedButNotListed": scope.unlisted,
        "collectedAt": timestamp(header.collected_at),
    }


def _compared(row: EvidenceRow) -> dict[str, Any]:
    """An instance with both verdicts."""
    recorded, reperformed = row.recorded, row.reperformed
    return {
        "account": row.account,
        "region": row.region,
        "resourceId": row.resource_id,
        "recorded": recorded
        and {
            "complianceType": recorded.compliance_type,
            "reason": recorded.reason,
            "orderingTimestamp": timestamp(recorded.ordering_timestamp),
        },
        "reperformed": reperformed and {"complianceType": reperformed.compliance_type, "reason": reperformed.reason},
        "captureTime": optional_timestamp(row.capture_time),
        "problem": row.problem or None,
    }
