"""AWS Security Hub of one account in one region: import findings, list them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rolecall.aws.clients import RESENDS, Deadline, calling, pause
from rolecall.errors import FindingRejected, HubNotEnabled, OutOfTime, RolecallError, ServiceError

FINDINGS_PER_CALL = 100
"""Of one BatchImportFindings: the Security Hub API's `BatchImportFindingsRequestFindingList`."""

CALL_MAX_BYTES = 6_000_000
"""Of one BatchImportFindings: AWS Security Hub User Guide, "Security Hub quotas": 6 MB."""

FINDING_MAX_BYTES = 240_000
"""Documentation of BatchImportFindings: 240 Kb."""

FINDINGS_PER_PAGE = 100
"""The most that GetFindings gives at once."""

IMPORTS_PER_SECOND, IMPORTS_AT_ONCE = 10, 30
"""Of BatchImportFindings for each account and region: its documentation."""

PAGES_PER_SECOND, PAGES_AT_ONCE = 3, 6
"""Of GetFindings: AWS Security Hub User Guide, "Security Hub quotas"."""

WRITING_SECONDS = 15
"""What importing keeps of the invocation's time: what was imported is to be written down, too."""

_BATCH_BYTES = 2_000
"""What the call's JSON needs around its findings."""

_NOT_ENABLED = frozenset(("InvalidAccess", "InvalidAccessException"))
_MALFORMED = frozenset(("InvalidInput", "InvalidInputException", "ValidationException"))

Finding = Mapping[str, Any]


class TokenBucket:
    """Keeps calls within a rate, by waiting before one that would come too soon."""

    def __init__(
        self,
        per_second: float,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._sleep = sleep
        self._left: float = at_once
        self._at = clock()

    def take(self, operation: str, deadline: Deadline) -> None:
        """Wait for one call's turn. Raises OutOfTime, and then takes none."""
        now = self._clock()
        left = min(self._at_once, self._left + (now - self._at) * self._per_second)
        wait = max(0.0, (1 - left) / self._per_second)
        deadline.check(operation, wait)
        self._left, self._at = left - 1, now
        if wait:
            self._sleep(wait)


class SecurityHub:
    """Of one account in one region, whose credentials `hub_client` holds."""

    def __init__(self, hub_client: Any, deadline: Deadline, account: str, region: str) -> None:  # noqa: ANN401 - made by boto3
        self._client = hub_client
        self._deadline = deadline
        self._account = account
        self._region = region
        self._imports = TokenBucket(IMPORTS_PER_SECOND, IMPORTS_AT_ONCE)
        self._pages = TokenBucket(PAGES_PER_SECOND, PAGES_AT_ONCE)

    def import_findings(self, findings: Sequence[Finding]) -> dict[str, RolecallError]:
        """Send every finding; answers, by id, why each that is not there now is not. Ids must differ.

        FindingRejected speaks of one finding. HubNotEnabled, ServiceError and OutOfTime end the work: they
        are the answer for all that were not sent yet as well.
        """
        with self._deadline.keeping(WRITING_SECONDS):
            return self._import_all(findings)

    def _import_all(self, findings: Sequence[Finding]) -> dict[str, RolecallError]:
        failures: dict[str, RolecallError] = {}
        waiting = list(_calls(findings, failures))
        while waiting:
            call = waiting.pop(0)
            try:
                failures |= self._import(call)
            except ServiceError as error:
                if error.code in _MALFORMED and len(call) > 1:
                    # One of them spoils the call, and AWS need not say which.
                    middle = len(call) // 2
                    waiting[:0] = [call[:middle], call[middle:]]
                elif error.code in _MALFORMED:
                    failures[call[0]["Id"]] = FindingRejected(call[0]["Id"], "InvalidInput", error.message)
                else:
                    failures |= self._all_fail([call, *waiting], self._explained(error))
                    break
            except OutOfTime as error:
                failures |= self._all_fail([call, *waiting], error)
                break
        return failures

    def findings(self, filters: Mapping[str, Any]) -> Iterator[Finding]:
        """Every finding that `filters`, as GetFindings takes them, ask for.

        Raises HubNotEnabled, ServiceError, OutOfTime.
        """
        request: dict[str, Any] = {"Filters": filters, "MaxResults": FINDINGS_PER_PAGE}
        followed: set[str] = set()
        while True:
            self._pages.take("GetFindings", self._deadline)
            try:
                with calling("GetFindings"):
                    answer = self._client.get_findings(**request)
            except ServiceError as error:
                raise self._explained(error) from error
            yield from answer.get("Findings", ())
            token = answer.get("NextToken")
            if not token:
                return
            if token in followed:
                page = len(followed) + 1
                raise ServiceError("GetFindings", "EndlessPages", f"page {page} leads back to an earlier one")
            followed.add(token)
            request["NextToken"] = token

    def _import(self, findings: list[Finding]) -> dict[str, RolecallError]:
        """One call, and those for what it leaves out. Raises ServiceError, OutOfTime when nothing was imported."""
        failed = self._send(findings)
        for resend in range(RESENDS):
            again = [one for one in findings if (failure := failed.get(one["Id"])) and not _is_settled(failure)]
            if not again:
                break
            try:
                pause("BatchImportFindings", resend, self._deadline)
                left = self._send(again)
            except (ServiceError, OutOfTime) as error:
                # What was imported stays imported: this answers for the others alone.
                return {**failed, **{one["Id"]: error for one in again}}
            failed = {finding_id: why for finding_id, why in failed.items() if _is_settled(why)} | left
        return failed

    def _send(self, findings: list[Finding]) -> dict[str, RolecallError]:
        self._imports.take("BatchImportFindings", self._deadline)
        with calling("BatchImportFindings"):
            answer = self._client.batch_import_findings(Findings=findings)
        failed = {one["Id"]: self._failure(one) for one in answer.get("FailedFindings", ())}
        if answer["FailedCount"] != len(failed) or not failed.keys() <= {one["Id"] for one in findings}:
            what = f"{answer['FailedCount']} findings failed, and it names {len(failed)}: {', '.join(failed)[:200]}"
            raise ServiceError("BatchImportFindings", "UnreadableAnswer", what)
        return failed

    def _failure(self, failed: Mapping[str, str]) -> RolecallError:
        code, message = failed.get("ErrorCode", "Unknown"), failed.get("ErrorMessage", "")
        if code in _NOT_ENABLED:
            return HubNotEnabled(self._account, self._region, message)
        return FindingRejected(failed["Id"], code, message)

    def _explained(self, error: ServiceError) -> RolecallError:
        if error.code in _NOT_ENABLED:
            return HubNotEnabled(self._account, self._region, error.message)
        return error

    @staticmethod
    def _all_fail(calls: Sequence[Sequence[Finding]], error: RolecallError) -> dict[str, RolecallError]:
        return {finding["Id"]: error for call in calls for finding in call}


def _is_settled(failure: RolecallError) -> bool:
    """Whether sending again cannot change it."""
    return not isinstance(failure, FindingRejected) or failure.is_permanent


def _calls(findings: Sequence[Finding], failures: dict[str, RolecallError]) -> Iterator[list[Finding]]:
    """Cut findings into calls that keep every limit; one that none can hold becomes a failure."""
    call: list[Finding] = []
    size = _BATCH_BYTES
    for finding in findings:
        finding_size = len(json.dumps(finding)) + 2
        if finding_size > FINDING_MAX_BYTES:
            message = f"it has {finding_size} bytes, more than {FINDING_MAX_BYTES}"
            failures[finding["Id"]] = FindingRejected(finding["Id"], "InvalidInput", message)
            continue
        if call and (len(call) == FINDINGS_PER_CALL or size + finding_size > CALL_MAX_BYTES):
            yield call
            call, size = [], _BATCH_BYTES
        call.append(finding)
        size += finding_size
    if call:
        yield call
