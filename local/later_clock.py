"""Starts AWS's runtime client in a process whose clock is ahead: `python later_clock.py SECONDS HANDLER`.

What depends on the day, such as an exemption that expires tonight, can so be shown today. Only `datetime` is ahead,
which is what functions ask; time-outs and time stamps of the runtime client are not.
"""

import datetime  # noqa: ICN001 - its class is replaced in the module, under its own name
import runpy
import sys
from pathlib import Path

_REAL = datetime.datetime


class _KnowsRealOnes(type):
    """Instances of the real class count as instances of the one that takes its place."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


class _Later(_REAL, metaclass=_KnowsRealOnes):
    ahead = datetime.timedelta(0)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]  # a real one
        return _REAL.now(tz) + cls.ahead


def main() -> None:
    """Move the clock, then become the runtime client."""
    _Later.ahead = datetime.timedelta(seconds=float(sys.argv[1]))
    datetime.datetime = _Later  # type: ignore[misc]  # the point of this module
    del sys.argv[1]
    sys.path.insert(0, str(Path.cwd()))  # the function's package, as with `python -m`
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
