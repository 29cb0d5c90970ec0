"""An evaluation record as the rule makes it, to be told of other instances."""

from bench import population
from rolecall.events import parse_invocation
from rolecall.model import Source
from rolecall.record import evaluation_record
from rolecall.rule import evaluate

_INVOCATION = parse_invocation(population.change_event(1))

RECORD = evaluation_record(
    evaluate(
        _INVOCATION.notification.item,  # type: ignore[union-attr]  # a change
        _INVOCATION.parameters,
        _INVOCATION.notified_at,  # type: ignore[arg-type]  # there is one
    ),
    _INVOCATION,
    Source.SWEEP,
)
"""Of an instance without a profile."""
