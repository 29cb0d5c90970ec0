"""One account and region becomes a shard, once: a shard that is there already stays as it is, and counts.

A listing that fails fails the shard, so there is never half of one. The account's recorder and its access keys are
another matter: where nobody may look, the shard is made all the same, and says so. As nobody knows then whether the
recorder runs, the place is not covered.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Protocol

from rolecall import __version__
from rolecall.errors import AlreadyWritten, AwsError, InvalidRecord, Missing, RoleNotAssumed, ServiceError, counted
from rolecall.evidence.comparing import Comparison, RuleDefinition
from rolecall.evidence.credential_report import count_keys
from rolecall.evidence.manifest import Period
from rolecall.evidence.plan import ShardItem
from rolecall.evidence.population import Population
from rolecall.evidence.rows import Agreement, EvidenceRow
from rolecall.evidence.shard_header import KeyCounts, Recorder, ShardHeader, WhyNot
from rolecall.evidence.shards import ShardFooter, ShardReader, shard_key, write_shard
from rolecall.evidence.stores import Store
from rolecall.items import partition_of
from rolecall.recorded_results import RecordedResult
from rolecall.recording import failed

_MILLISECOND = timedelta(milliseconds=1)
_DENIALS = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "InvalidClientTokenId",
        "OptInRequired",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    )
)
"""What stays so, however often it is asked. The two about clients are what a region says that is not enabled for the
account; for a session that is no longer welcome, a new one was asked before."""
_DETAIL_MAX_LENGTH = 500
_SPOOLED_BYTES = 8 * 1024 * 1024
"""Of a shard that is being written: what is larger goes to the disk."""


class Account(Protocol):
    """What is asked in the account itself; both raise RoleNotAssumed and ServiceError."""

    def recorder(self) -> Recorder | None:
        """The configuration recorder of the region; None if there is none."""

    def credential_report(self) -> tuple[bytes, datetime]:
        """The IAM credential report, and when it was made."""


class Evidence(Protocol):
    """Whom to ask about the shards: an aggregator, or AWS Config in the account itself. All raise ServiceError."""

    own_rule_name: str

    def rules(self, item: ShardItem) -> Mapping[str, RuleDefinition]:
        """The rules of ours there, by name."""

    def deployed(self) -> RuleDefinition:
        """The rule by its own name, for instances of which nothing is recorded."""

    def inventory(self, item: ShardItem) -> Iterator[object]:
        """The rows of the recorded instances."""

    def results(self, item: ShardItem, rule_name: str) -> Iterator[RecordedResult]:
        """What is recorded for a rule."""

    def account(self, item: ShardItem) -> Account:
        """The account itself. Raises RoleNotAssumed, too."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A shard that is there, whoever wrote it."""

    key: str
    header: ShardHeader
    footer: ShardFooter

    def to_json(self) -> dict[str, Any]:
        """A small summary."""
        return {
            "key": self.key,
            "account": self.header.account,
            "region": self.header.region,
            "covered": self.header.covered,
            "whyNot": self.header.why_not.value if self.header.why_not else None,
            "rows": self.footer.rows,
            "verdicts": {verdict.value: count for verdict, count in self.footer.verdicts.items()},
            "disagreements": self.footer.agreements[Agreement.DISAGREES],
        }


class Collector:
    """Collects shards into a store."""

    def __init__(self, evidence: Evidence, store: Store, now: Callable[[], datetime]) -> None:
        self._evidence = evidence
        self._store = store
        self._now = now

    def collect(self, item: ShardItem) -> Collected:
        """The shard of `item`; nothing is asked of AWS if it is there.

        Raises AwsError for a listing that fails, InvalidItem for a row of which nobody can say whose it is, and
        InvalidShard if something else lies where the shard should be.
        """
        return self._present(item) or self._written(item, self._write)

    def give_up(self, item: ShardItem, failure: str) -> Collected:
        """A shard that says that it could not be collected, and why, unless there is one."""
        header = self._bare_header(item, self._now())
        header = replace(header, why_not=WhyNot.NOT_COLLECTED, detail=_detail(failure))
        return self._present(item) or self._written(item, lambda _, output: write_shard(output, header, ()))

    def _present(self, item: ShardItem) -> Collected | None:
        key = _key(item)
        try:
            stream = self._store.open(key)
        except Missing:
            return None
        with stream:
            reader = ShardReader(stream, key)
            footer = reader.read_to_end()
        return Collected(key, reader.header, footer)

    def _written(self, item: ShardItem, write: Callable[[ShardItem, BinaryIO], object]) -> Collected:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as file:
            output: Any = file
            write(item, output)
            output.seek(0)
            sha256 = hashlib.file_digest(output, "sha256").hexdigest()
            output.seek(0)
            # Another run may have been quicker. Its shard is as good, and the only one.
            with suppress(AlreadyWritten):
                self._store.put_once(_key(item), output, sha256=sha256)
        present = self._present(item)
        if present is None:
            raise Missing(_key(item))
        return present

    def _write(self, item: ShardItem, output: BinaryIO) -> None:
        collected_at = self._now()
        rules = self._evidence.rules(item)
        with closing(Population()) as population:
            population.add_listed(self._evidence.inventory(item))
            for name in rules:
                population.add_recorded(name, self._evidence.results(item, name))
            header = self._header(item, collected_at, rules, population.size)
            deployed = next(iter(rules.values()), self._evidence.deployed())
            judged_at = min(collected_at, Period.of_day(item.day).end - _MILLISECOND)
            comparison = Comparison(item.account, item.region, rules, deployed, __version__, judged_at, collected_at)
            write_shard(output, header, _rows(population, comparison), population.unlisted)

    def _header(
        self, item: ShardItem, collected_at: datetime, rules: Mapping[str, RuleDefinition], instances: int
    ) -> ShardHeader:
        header = self._bare_header(item, collected_at)
        rule = next(iter(rules.values()), None)
        if rule:
            header = replace(header, rule_name=rule.name, rule_arn=rule.arn, parameters=rule.parameters.to_strings())
        recorder, recorder_problem = self._recorder(item)
        keys, keys_problem = self._keys(item)
        header = replace(
            header,
            recorder=recorder,
            recorder_problem=recorder_problem,
            keys=keys,
            keys_problem=keys_problem,
        )
        if item.why_not:
            return replace(header, why_not=item.why_not, detail=item.detail)
        why_not, detail = _why_not(recorder, recorder_problem)
        if why_not is None and not rules and instances:
            why_not, detail = WhyNot.RULE_MISSING, counted(instances, "instance")
        return replace(header, why_not=why_not, detail=detail)

    def _bare_header(self, item: ShardItem, collected_at: datetime) -> ShardHeader:
        return ShardHeader(
            account=item.account,
            region=item.region,
            partition=partition_of(None, item.region),
            day=item.day,
            collected_at=collected_at.astimezone(UTC),
            own_rule_name=self._evidence.own_rule_name,
            rule_name=None,
            rule_arn=None,
            parameters=self._evidence.deployed().parameters.to_strings(),
            rolecall_version=__version__,
        )

    def _recorder(self, item: ShardItem) -> tuple[Recorder | None, str]:
        try:
            return self._evidence.account(item).recorder(), ""
        except AwsError as error:
            return None, _denied(error)

    def _keys(self, item: ShardItem) -> tuple[KeyCounts | None, str]:
        if not item.credential_report:
            return None, ""
        try:
            return count_keys(*self._evidence.account(item).credential_report()), ""
        except InvalidRecord as unreadable:  # no retry mends it, and no instance depends on it
            return None, str(unreadable)[:_DETAIL_MAX_LENGTH]
        except AwsError as error:
            return None, _denied(error)


def _rows(population: Population, comparison: Comparison) -> Iterable[EvidenceRow]:
    return (comparison.row(*listed) for listed in population.instances())


def _key(item: ShardItem) -> str:
    return shard_key(item.day, item.account, item.region)


def _why_not(recorder: Recorder | None, problem: str) -> tuple[WhyNot | None, str]:
    """What keeps the recorder from covering the place, and what is known of it."""
    if recorder is None:
        return (WhyNot.RECORDER_UNKNOWN, problem) if problem else (WhyNot.NO_RECORDER, "")
    if not recorder.recording:
        return WhyNot.RECORDER_STOPPED, ""
    if not recorder.records_instances:
        return WhyNot.INSTANCES_NOT_RECORDED, ""
    if failed(recorder.last_status):
        return WhyNot.RECORDER_FAILING, _detail(recorder.last_error or "")
    return None, ""


def _detail(text: str) -> str:
    """On one line, and no longer than anybody reads."""
    return " ".join(text.split())[:_DETAIL_MAX_LENGTH]


def _denied(error: AwsError) -> str:
    """Why nobody may look; any other error is raised again, as another attempt may mend it."""
    if isinstance(error, RoleNotAssumed) or (isinstance(error, ServiceError) and error.code in _DENIALS):
        return str(error)[:_DETAIL_MAX_LENGTH]
    raise error
