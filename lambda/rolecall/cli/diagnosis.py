"""What `rolecall doctor` found: one line for each thing that it looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it is. What could not be looked at is never ok."""

    OK = "ok"
    PROBLEM = "problem"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line: what was looked at, where, how it is, and the command that mends it."""

    check: str
    where: str
    """A region, or `organization` or `account`."""
    status: Status
    says: str
    mend: str = ""
    """A command for a POSIX shell, or what else to do; words in capitals are yours to fill in."""
    mend_in: str = ""
    """Where to run it, if not with the credentials that the doctor was given."""


def ok(check: str, where: str, says: str, mend: str = "") -> Diagnosis:
    """All is well; `mend` says how to have what is not needed but may be wanted."""
    return Diagnosis(check, where, Status.OK, says, mend)


def problem(check: str, where: str, says: str, mend: str, mend_in: str = "") -> Diagnosis:
    """Something keeps rolecall from working."""
    return Diagnosis(check, where, Status.PROBLEM, says, mend, mend_in)


def cannot_tell(check: str, where: str, says: str, mend: str, mend_in: str = "") -> Diagnosis:
    """Nobody knows from here."""
    return Diagnosis(check, where, Status.CANNOT_TELL, says, mend, mend_in)
