"""The plan of a day: every account and region of which there is evidence to collect, and what is not covered, and why.

In an organization these are the active accounts, in the configured regions and wherever else the aggregator looks: an
instance in a region that nobody thought of must not be missing from the population. In one account it is that account
in its regions. Each pair becomes one shard, whether it is covered or not; an account that is not active has none, as
nobody can look into it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.evidence.shard_header import WhyNot
from rolecall.received_fields import (
    read_account,
    read_day,
    read_flag,
    read_member,
    read_object,
    read_optional_text,
    read_parameters,
    read_region,
    read_text,
)
from rolecall.received_record import PACK_SUFFIX

SCHEMA = "rolecall.plan/v1"

ACTIVE = "ACTIVE"
"""The status of an account in AWS Organizations that is neither suspended nor being closed."""

SUCCEEDED, OUTDATED = "SUCCEEDED", "OUTDATED"
"""Of an aggregator's source; the third one is FAILED."""


@dataclass(frozen=True, slots=True)
class OrganizationAccount:
    """An account as AWS Organizations lists it."""

    id: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Source:
    """One account and region of an aggregator."""

    account: str
    region: str
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class ShardItem:
    """One shard to collect: what the state machine hands to each run of the collecting function."""

    day: date
    account: str
    region: str
    rule_names: tuple[str, ...] = ()
    """Of our rule as the aggregator knows it there, usually one. Empty: it knows none, or there is no aggregator."""
    why_not: WhyNot | None = None
    """What is known already to keep it from being covered."""
    detail: str = ""
    credential_report: bool = False
    """Whether this shard counts the access keys of the account: one of each account does."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An account of which there is no shard."""

    account: str
    why_not: WhyNot
    detail: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a day covers."""

    day: date
    home_region: str
    rule_name: str
    """The rule's own name."""
    parameters: Mapping[str, str]
    """As deployed; in one account each shard has those of the rule that it finds."""
    rolecall_version: str
    accounts: tuple[OrganizationAccount, ...]
    """All of the organization; empty where there is none."""
    shards: tuple[ShardItem, ...]
    """Sorted by account and region."""
    gaps: tuple[Gap, ...] = ()
    ledger_keys: tuple[str, ...] = ()
    """The files of the ledger whose records count. One that comes later would change a package that is half written."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is the same for a whole plan."""

    day: date
    home_region: str
    rule_name: str
    parameters: Mapping[str, str]
    rolecall_version: str
    ledger_keys: tuple[str, ...] = ()


def plan_key(day: date) -> str:
    """Where the plan of a day is kept."""
    return f"plans/{day.isoformat()}/plan.json"


def items_key(day: date) -> str:
    """Where its shard items are kept, as the list of which the state machine takes one for each run."""
    return f"plans/{day.isoformat()}/shards.json"


def is_named(own_name: str, full_name: str) -> bool:
    """Whether a rule is ours: a conformance pack appends `-conformance-pack-` and an id to its name."""
    return full_name == own_name or full_name.startswith(f"{own_name}{PACK_SUFFIX}")


def plan_account(deployed: Deployed, account: str, regions: Iterable[str]) -> Plan:
    """One account in its regions, at least one."""
    pairs = [(account, region) for region in sorted(set(regions))]
    return _plan(deployed, (), [_shard(deployed, pair, pairs) for pair in pairs], ())


def plan_organization(
    deployed: Deployed,
    accounts: Sequence[OrganizationAccount],
    sources: Iterable[Source],
    regions: Iterable[str],
    rules: Iterable[tuple[str, str, str]],
) -> Plan:
    """The accounts of an organization. `rules`: account, region and name of each rule of ours that is known."""
    known = {(one.account, one.region): one for one in sources}
    active = {one.id for one in accounts if one.status == ACTIVE}
    named: dict[tuple[str, str], set[str]] = {}
    for account, region, name in rules:
        if is_named(deployed.rule_name, name):
            named.setdefault((account, region), set()).add(name)
    pairs = {(account, region) for account in active for region in regions}
    pairs |= {pair for pair in known if pair[0] in active}
    ordered = sorted(pairs)
    shards = [_shard(deployed, pair, ordered, named.get(pair, ()), _state(known.get(pair))) for pair in ordered]
    gone = {account for account, _ in known} - {one.id for one in accounts}
    gaps = [
        *(Gap(one.id, WhyNot.ACCOUNT_NOT_ACTIVE, one.status) for one in accounts if one.status != ACTIVE),
        *(Gap(account, WhyNot.ACCOUNT_NOT_ACTIVE, "not in the organization") for account in gone),
    ]
    return _plan(deployed, accounts, shards, gaps)


def _plan(
    deployed: Deployed, accounts: Iterable[OrganizationAccount], shards: Iterable[ShardItem], gaps: Iterable[Gap]
) -> Plan:
    return Plan(
        day=deployed.day,
        home_region=deployed.home_region,
        rule_name=deployed.rule_name,
        parameters=deployed.parameters,
        rolecall_version=deployed.rolecall_version,
        accounts=tuple(sorted(accounts, key=lambda one: one.id)),
        shards=tuple(shards),
        gaps=tuple(sorted(gaps, key=lambda one: one.account)),
        ledger_keys=deployed.ledger_keys,
    )


def _shard(
    deployed: Deployed,
    pair: tuple[str, str],
    ordered: Sequence[tuple[str, str]],
    rule_names: Iterable[str] = (),
    state: tuple[WhyNot | None, str] = (None, ""),
) -> ShardItem:
    account, region = pair
    home = (account, deployed.home_region)
    # An account that has nothing to do with the home region still has keys.
    counting = home if home in ordered else next(one for one in ordered if one[0] == account)
    return ShardItem(deployed.day, account, region, tuple(sorted(rule_names)), *state, pair == counting)


def _state(source: Source | None) -> tuple[WhyNot | None, str]:
    if source is None:
        return WhyNot.NO_SOURCE, ""
    if source.status == SUCCEEDED:
        return None, ""
    return WhyNot.SOURCE_OUTDATED if source.status == OUTDATED else WhyNot.SOURCE_FAILED, source.error


def plan_object(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON object."""
    return {
        "schema": SCHEMA,
        "day": plan.day.isoformat(),
        "homeRegion": plan.home_region,
        "rule": {
            "name": plan.rule_name,
            "parameters": dict(plan.parameters),
            "rolecallVersion": plan.rolecall_version,
        },
        "accounts": [{"account": one.id, "name": one.name, "status": one.status} for one in plan.accounts],
        "gaps": [{"account": one.account, "whyNot": one.why_not.value, "detail": one.detail} for one in plan.gaps],
        "shards": [item_object(item) for item in plan.shards],
        "ledgerKeys": list(plan.ledger_keys),
    }


def read_plan(raw: object) -> Plan:
    """Read what `plan_object` made. Raises InvalidRecord, which names the field."""
    if not isinstance(raw, dict):
        raise InvalidRecord("plan", raw, "a JSON object")
    if raw.get("schema") != SCHEMA:
        raise InvalidRecord("schema", raw.get("schema"), SCHEMA)
    rule = read_object(raw, "rule")
    return Plan(
        day=_day(raw),
        home_region=read_text(raw, "homeRegion"),
        rule_name=read_text(rule, "name", "rule."),
        parameters=read_parameters(rule, "rule."),
        rolecall_version=read_text(rule, "rolecallVersion", "rule."),
        accounts=tuple(
            OrganizationAccount(read_account(one), read_optional_text(one, "name") or "", read_text(one, "status"))
            for one in _objects(raw, "accounts")
        ),
        shards=tuple(read_item(one) for one in _objects(raw, "shards")),
        gaps=tuple(
            Gap(read_account(one), read_member(WhyNot, one, "whyNot"), read_optional_text(one, "detail") or "")
            for one in _objects(raw, "gaps")
        ),
        ledger_keys=_texts(raw, "ledgerKeys"),
    )


def item_object(item: ShardItem) -> dict[str, Any]:
    """A shard item as a JSON object."""
    return {
        "day": item.day.isoformat(),
        "account": item.account,
        "region": item.region,
        "ruleNames": list(item.rule_names),
        "whyNot": item.why_not.value if item.why_not else None,
        "detail": item.detail or None,
        "credentialReport": item.credential_report,
    }


def read_item(raw: object) -> ShardItem:
    """Read what `item_object` made. Raises InvalidRecord, which names the field."""
    if not isinstance(raw, dict):
        raise InvalidRecord("shard item", raw, "a JSON object")
    return ShardItem(
        day=_day(raw),
        account=read_account(raw),
        region=read_region(raw),
        rule_names=_texts(raw, "ruleNames"),
        why_not=None if raw.get("whyNot") is None else read_member(WhyNot, raw, "whyNot"),
        detail=read_optional_text(raw, "detail") or "",
        credential_report=read_flag(raw, "credentialReport"),
    )


def _day(raw: Mapping[str, Any]) -> date:
    day = read_day(raw, "day")
    if day is None:
        raise InvalidRecord("day", None, "a day as 2026-01-31")
    return day


def _objects(raw: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    values = raw.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidRecord(name, values, "a list of JSON objects")
    return values


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = raw.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise InvalidRecord(name, values, "a list of texts that are not empty")
    return tuple(values)
