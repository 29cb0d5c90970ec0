"""When a package's evidence was collected: soon after its day, or so late that it shows another time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolecall.evidence.manifest import Period

LATE_AFTER = timedelta(days=1)
"""After the day's end: a run by the schedule, and one that is mended the same day, are earlier."""


@dataclass(frozen=True, slots=True)
class CollectionTimes:
    """Of all accounts and regions of a package."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, moments: Iterable[datetime]) -> "CollectionTimes | None":
        """From the earliest to the latest of them; None if there is none."""
        known = sorted(moments)
        return cls(known[0], known[-1]) if known else None

    def is_late(self, period: Period) -> bool:
        """Whether something of it shows what there was long after the period, and not in it."""
        return self.last - period.end > LATE_AFTER

    def days_late(self, period: Period) -> int:
        """Whole days between the period's end and the latest of it."""
        return (self.last - period.end) // timedelta(days=1)

    def in_words(self) -> str:
        """`2026-01-31 02:00 to 02:25 (UTC)`."""
        first, last = to_the_minute(self.first), to_the_minute(self.last)
        if first == last:
            return f"{last} (UTC)"
        return f"{first} to {last.removeprefix(f'{self.first.date()} ')} (UTC)"


def to_the_minute(moment: datetime) -> str:
    """A moment of UTC as people read it."""
    return f"{moment:%Y-%m-%d %H:%M}"
