"""What can go wrong, and who has to act.

    RolecallError
    ├── InvalidInput              a field of something given to us is not what it must be
    │   ├── InvalidEvent          the event that invoked the function
    │   ├── InvalidItem           a configuration item: it cannot be judged, so it gets no verdict
    │   ├── InvalidParameter      a rule parameter
    │   ├── InvalidRecord         an evaluation record, as a consumer of them received it
    │   ├── InvalidManifest       a manifest of an evidence package, its signature, or what they stand for
    │   │   └── NotCanonical      its bytes are no JSON object, or not in the only form that sealing writes
    │   ├── InvalidKey            a key that evidence is signed or verified with
    │   └── InvalidSetting        a setting of findings
    ├── StoreError                a file of the evidence is not there, or not what it must be
    │   ├── Missing               no file has this key
    │   ├── NotAFile              what is there is a link, a folder or a pipe
    │   ├── AlreadyWritten        other bytes were written there before, and they stay
    │   ├── Occupied              a package's folder holds what is none of the package that is to be put there
    │   ├── WrongChecksum         bytes do not have the SHA-256 that they came with
    │   ├── Damaged               a file ends too early, goes on too long, or its compression is broken
    │   └── InvalidShard          a shard is cut off, damaged or contradicts itself: no half of it counts
    ├── NotSealed                 a day's package cannot be sealed: what comes before it, or is in it, is wrong
    ├── IncompleteRun             a run that reported all it could, but met items it could not judge or report
    └── AwsError                  AWS refused, failed or did not answer
        ├── ServiceError          one API call failed after its retries
        ├── RoleNotAssumed        a member account has no reporter role yet, or one that does not trust us
        ├── ItemNotRecorded       Config's history does not hold the item that an event announced
        ├── ResultNotConfirmed    a sweep could not read the newest item of a resource, so its recorded result stays
        ├── EvaluationsRejected   PutEvaluations answered with FailedEvaluations after the retries
        ├── RecordsRejected       PutEvents answered with FailedEntryCount after the retries
        ├── FindingRejected       BatchImportFindings answered with this one in FailedFindings after the retries
        ├── HubNotEnabled         an account has no Security Hub in a region, so nobody looks at findings there
        ├── RowContested          others kept writing the row of a finding before us
        └── OutOfTime             not enough of the invocation's time is left for another attempt

Every one of them ends the invocation: Config ignores what a function returns, so only an error that is raised is
retried by Lambda, kept in the dead-letter queue and seen by the alarm.
"""

from collections.abc import Mapping, Sequence

SHOWN_VALUE_LENGTH = 120


def shown(value: object) -> str:
    """`value` as it may stand in a message: quoted, on one line, at most `SHOWN_VALUE_LENGTH` characters."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply to be shown"
    return text if len(text) <= SHOWN_VALUE_LENGTH else f"{text[:SHOWN_VALUE_LENGTH]}…"


def counted(number: int, noun: str) -> str:
    """A number of things, as it may stand in a message; the plural of `noun` is made by an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class RolecallError(Exception):
    """The root: whoever catches this catches all that rolecall raises on purpose."""


class InvalidInput(RolecallError):
    """Names the field, the value it has and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} is {shown(value)}; allowed: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


class InvalidEvent(InvalidInput):
    """The event that invoked the function cannot be answered."""


class InvalidParameter(InvalidInput):
    """A rule parameter is unknown, or its value is not allowed."""


class InvalidItem(InvalidInput):
    """A configuration item cannot be judged. `resource` says which: its id, or how far reading it got."""

    def __init__(self, field: str, value: object, allowed: str, resource: str = "") -> None:
        super().__init__(f"{resource}: {field}" if resource else field, value, allowed)
        self.field = field
        self.resource = resource


class InvalidRecord(InvalidInput):
    """An evaluation record cannot be read: no retry mends it."""


class InvalidManifest(InvalidInput):
    """A manifest, a signature or a file with sums in it cannot be read: it is not what sealing writes."""


class NotCanonical(InvalidManifest):
    """Whoever reads this wants to know what happened to the file, and not where a parser stopped. `why` says it."""

    def __init__(self, field: str, value: object, why: str) -> None:
        super().__init__(field, value, "canonical JSON (RFC 8785)")
        self.args = (f"{field} {why}",)
        self.why = why


class InvalidKey(InvalidInput):
    """A key cannot be read, or is of another kind. The value says in words what was given, and nothing of the key."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(field, value, allowed)
        self.args = (f"the {field} is {value}; allowed: {allowed}",)


class StoreError(RolecallError):
    """A file of the evidence. `key` says which."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class Missing(StoreError):
    """No file has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "is not there")


class NotAFile(StoreError):
    """What is there would lead somewhere else, or never end."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(key, f"is {what}, and only plain files are read")


class AlreadyWritten(StoreError):
    """Other bytes are there: what was written once is never replaced."""

    def __init__(self, key: str, sha256: str, present: str) -> None:
        super().__init__(key, f"was written before with other content: SHA-256 {present}, now {sha256}")


class Occupied(StoreError):
    """What is in a package's folder already is none of the package, which could never be finished there."""


class WrongChecksum(StoreError):
    """The bytes are not those that they were said to be."""

    def __init__(self, key: str, said: str, found: str) -> None:
        super().__init__(key, f"its SHA-256 is {found}, not {said} as it was said to be")


class Damaged(StoreError):
    """A file is not whole."""


class InvalidShard(StoreError):
    """A shard is cut off, damaged or contradicts itself: no half of it counts."""


class NotSealed(RolecallError):
    """A day's package cannot be sealed."""

    def __init__(self, day: str, why: str) -> None:
        super().__init__(f"the package of {day} was not sealed: {why}")
        self.day = day


class InvalidSetting(InvalidInput):
    """What an operator chose about findings is not allowed; the field is the setting or environment variable."""


class IncompleteRun(RolecallError):
    """Everything else was reported; these problems remain: items that cannot be judged, evaluations that AWS rejected.

    Holds the first `NAMED` problems and the number of all: a run over a whole account needs neither an endless line
    nor unbounded memory.
    """

    NAMED = 20

    def __init__(self, problems: Sequence[RolecallError], total: int) -> None:
        self.problems = tuple(problems[: self.NAMED])
        self.total = total
        named = "; ".join(str(problem) for problem in self.problems)
        more = f"; and {total - len(self.problems)} more" if total > len(self.problems) else ""
        super().__init__(f"{counted(total, 'problem')} in this run, everything else was reported: {named}{more}")


class AwsError(RolecallError):
    """AWS refused, failed or did not answer."""


class ServiceError(AwsError):
    """One API call failed, after the retries that its error allows."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation} failed: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message


class RoleNotAssumed(AwsError):
    """STS denies us a role of ours in a member account; it does not say whether the role exists."""

    def __init__(self, account: str, role_name: str, message: str) -> None:
        super().__init__(
            f"role {role_name} of account {account} cannot be assumed, so nothing can be read or reported there: the "
            "role is not there (yet), does not trust this function's role, or this one may not assume it. "
            f"STS says: {message}"
        )
        self.account = account
        self.role_name = role_name


class ItemNotRecorded(AwsError):
    """GetResourceConfigHistory, read to its last page, does not hold the item that an event announced."""

    def __init__(self, resource_type: str, resource_id: str, capture_time: str) -> None:
        super().__init__(
            f"AWS Config's history of {resource_type} {resource_id} holds no item captured at {capture_time}, "
            "which an oversized notification announced: nothing was reported for it"
        )


class ResultNotConfirmed(AwsError):
    """A sweep found a reason to doubt a recorded result, but could not read the resource's newest item."""

    def __init__(self, resource_type: str, resource_id: str, why: ServiceError) -> None:
        super().__init__(
            f"the recorded result of {resource_type} {resource_id} could not be confirmed by its newest item, "
            f"so it stays as it is: {why}"
        )
        self.resource_id = resource_id


class EvaluationsRejected(AwsError):
    """PutEvaluations did not take these evaluations. `failed`: the evaluations as AWS returned them."""

    def __init__(self, failed: Sequence[Mapping[str, object]]) -> None:
        named = ", ".join(f"{one.get('ComplianceResourceId')} ({one.get('ComplianceType')})" for one in failed)
        lost = counted(len(failed), "evaluation")
        super().__init__(f"PutEvaluations left {lost} unrecorded after its retries: {named}")
        self.failed = tuple(failed)


class RecordsRejected(AwsError):
    """PutEvents did not take these records. `failed`: pairs of resource id and AWS's error code and message."""

    def __init__(self, bus: str, failed: Sequence[tuple[str, str]]) -> None:
        named = ", ".join(f"{resource_id} ({why})" for resource_id, why in failed)
        super().__init__(f"event bus {bus} did not take {counted(len(failed), 'record')} after the retries: {named}")
        self.failed = tuple(failed)


class FindingRejected(AwsError):
    """Security Hub does not take this finding. `code` and `message` are its own words, or say which limit we keep."""

    PERMANENT = frozenset(("InvalidInput", "InvalidInputException"))

    def __init__(self, finding_id: str, code: str, message: str) -> None:
        super().__init__(f"BatchImportFindings did not take finding {finding_id}: {code}: {message}")
        self.finding_id = finding_id
        self.code = code
        self.message = message

    @property
    def is_permanent(self) -> bool:
        """Whether the finding itself is refused, so that sending it again changes nothing."""
        return self.code in self.PERMANENT


class HubNotEnabled(AwsError):
    """Security Hub is not enabled for an account in a region."""

    def __init__(self, account: str, region: str, message: str) -> None:
        super().__init__(f"Security Hub is not enabled for account {account} in {region}: {message}")
        self.account = account
        self.region = region


class RowContested(AwsError):
    """Others kept writing the row of a finding before it could be written on top of what was read; a retry may do."""

    def __init__(self, finding_id: str, rounds: int) -> None:
        super().__init__(f"the row of finding {finding_id} was written by others {rounds} times before this could be")
        self.finding_id = finding_id


class OutOfTime(AwsError):
    """The invocation's time is nearly over: stopping now says so, a time-out would say nothing."""

    def __init__(self, operation: str, seconds_left: float, last_error: str = "") -> None:
        after = f" after {last_error}" if last_error else ""
        super().__init__(
            f"{operation} was not tried again{after}: the {seconds_left:.1f} s left of this invocation are too few"
        )
