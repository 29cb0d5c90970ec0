"""The verdicts that the ledger has for a day, by account and region, then by instance: sorted on disk."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from rolecall.evidence.episodes import WINDOW_DAYS, Outcome, Verdict, Version, verdict_of
from rolecall.evidence.manifest import Period
from rolecall.evidence.scratch import scratch_database
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord
from rolecall.record import VERDICT

_TABLES = """
CREATE TABLE verdicts (
    account TEXT NOT NULL, region TEXT NOT NULL, id BLOB NOT NULL, verdict TEXT NOT NULL,
    PRIMARY KEY (account, region, id, verdict)
) WITHOUT ROWID;
"""

_OF_SCOPE = "SELECT id, verdict FROM verdicts WHERE account = ? AND region = ? ORDER BY id"


class DayVerdicts:
    """Filled first, then asked; `close` ends it."""

    def __init__(self, rule: str, period: Period) -> None:
        """`rule`: the own name of the rule whose verdicts count."""
        self._rule = rule
        self._end = period.end
        self._oldest = period.end - timedelta(days=WINDOW_DAYS)
        self._database = scratch_database(_TABLES)
        self.later = 0
        """Records whose item was captured, or whose verdict was made, after the day: they are the next day's."""
        self.of_other_rules = 0

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, records: Iterable[EvaluationRecord]) -> None:
        """Add records, in any order, with duplicates."""
        self._database.executemany(
            "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)",
            # SQLite's texts can hold no half of a surrogate pair; its bytes sort as Python's texts do.
            (
                (one.account, one.region, one.resource_id.encode("utf-8", "surrogatepass"), _to_text(verdict_of(one)))
                for one in records
                if self._counts(one)
            ),
        )

    def scopes(self) -> list[tuple[str, str]]:
        """Every account and region that has any, sorted."""
        return self._database.execute(
            "SELECT DISTINCT account, region FROM verdicts ORDER BY account, region"
        ).fetchall()

    def of(self, account: str, region: str) -> Iterator[tuple[str, list[Verdict]]]:
        """The verdicts of each instance there, by the order of resource ids; those of one in no order."""
        found = self._database.execute(_OF_SCOPE, (account, region))
        for identity, rows in groupby(found, key=itemgetter(0)):
            yield identity.decode("utf-8", "surrogatepass"), [_from_text(text) for _, text in rows]

    def _counts(self, record: EvaluationRecord) -> bool:
        if record.own_rule_name != self._rule:
            self.of_other_rules += 1
            return False
        if max(record.version) >= self._end:
            self.later += 1
            return False
        # One that was made before the window was delivered before, and what it said is forgotten since.
        return record.kind == VERDICT and record.evaluated_at > self._oldest


def _to_text(verdict: Verdict) -> str:
    return json.dumps(
        [
            *(moment.isoformat() for moment in verdict.version),
            verdict.id,
            verdict.outcome,
            verdict.reason,
            verdict.first_launch and verdict.first_launch.isoformat(),
            verdict.exempt_until and verdict.exempt_until.isoformat(),
        ]
    )


def _from_text(text: str) -> Verdict:
    ordered, evaluated, identity, outcome, reason, launched, until = json.loads(text)
    return Verdict(
        version=Version(datetime.fromisoformat(ordered), datetime.fromisoformat(evaluated)),
        id=identity,
        known_at=datetime.fromisoformat(evaluated),
        outcome=outcome and Outcome(outcome),
        reason=reason and Reason(reason),
        first_launch=launched and datetime.fromisoformat(launched),
        exempt_until=until and datetime.fromisoformat(until),
    )
