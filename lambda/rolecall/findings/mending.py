"""What to say of a resource whose finding differs: what AWS Config recorded, confirmed by judging the resource again.

A row of the inventory decides, or the newest item where the row does not agree or is not there. Only what agrees with
the recorded result is said: anything else is for the rule's next sweep, which puts the result first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rolecall.errors import AwsError, InvalidItem
from rolecall.findings.reconciling import Discrepancy, agrees, gone, restating
from rolecall.findings.shown import Place
from rolecall.items import configuration_item
from rolecall.model import ConfigurationItem, Evaluation
from rolecall.parameters import RuleParameters
from rolecall.recorded_results import Known
from rolecall.rule import evaluate

Verdict = tuple[Discrepancy, Evaluation | str]
"""A discrepancy, and what mends it or why nothing does."""


def shown_result(known: Known | None) -> str:
    """A recorded result in one word, as people are told."""
    if known is None:
        return "no result"
    return known.reason.value if known.reason else "NOT_APPLICABLE"


@dataclass(frozen=True, slots=True)
class Mender:
    """Judges by the rule's `parameters` at `now`.

    `newest_item` gives the newest item of an instance; None where there is none, or nobody can be asked. It raises
    AwsError and InvalidItem.
    """

    parameters: RuleParameters
    now: datetime
    newest_item: Callable[[str], ConfigurationItem | None]

    def verdicts(self, discrepancies: Iterable[Discrepancy], rows: Iterable[object]) -> Iterator[Verdict]:
        """One for each discrepancy, while `rows`, of the whole inventory, are read.

        An error that reading them raises leaves out those whose row was not read yet: whether they are gone is not
        known then.
        """
        waiting = {(one.place, one.resource_id): one for one in discrepancies}
        unreadable: dict[str, InvalidItem] = {}
        for row in rows if waiting else ():
            try:
                item = configuration_item(row)
            except InvalidItem as refused:
                unreadable[refused.resource] = refused
                continue
            discrepancy = waiting.pop((Place(item.account, item.region), item.resource_id), None)
            if discrepancy:
                evaluation = self._judged(item)
                agreed = agrees(discrepancy, evaluation)
                yield (
                    discrepancy,
                    restating(discrepancy, evaluation) if agreed else self._confirmed(discrepancy, evaluation),
                )
        for discrepancy in waiting.values():
            # A row that does not even say whose it is may be that of any instance.
            problem = unreadable.get(discrepancy.resource_id) or unreadable.get("")
            yield discrepancy, str(problem) if problem else self._confirmed(discrepancy, None)

    def _confirmed(self, discrepancy: Discrepancy, by_row: Evaluation | None) -> Evaluation | str:
        """By the newest item; `by_row` is what the row came to, None for what is not listed."""
        recorded = shown_result(discrepancy.recorded)
        try:
            item = self.newest_item(discrepancy.resource_id)
        except (AwsError, InvalidItem) as error:
            return str(error)
        if item is None and by_row is None:
            item = gone(discrepancy)
        evaluation = self._judged(item) if item else by_row
        if evaluation is None:
            return f"AWS Config recorded {recorded}, but lists no such instance; the rule's next sweep mends that"
        if agrees(discrepancy, evaluation):
            return restating(discrepancy, evaluation)
        return (
            f"AWS Config recorded {recorded}, but the instance comes to {evaluation.reason.value} now; "
            "the rule's next sweep mends that"
        )

    def _judged(self, item: ConfigurationItem) -> Evaluation:
        return evaluate(item, self.parameters, self.now)
