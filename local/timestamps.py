"""Points in time as Config keeps them: whole milliseconds since 1970, in UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Gives the current time in milliseconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_ms() -> int:
    """The system's clock."""
    return time.time_ns() // 1_000_000


def epoch_ms(moment: str | datetime | float) -> int:
    """From ISO 8601 text or a datetime, both with a zone, or epoch seconds."""
    if isinstance(moment, int | float):
        return round(moment * 1000)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """As configuration items write it: 2026-01-31T12:00:00.000Z."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def wire(milliseconds: int) -> float:
    """As AWS's JSON protocol writes it: epoch seconds with a fraction."""
    return milliseconds / 1000
