"""`episodes.json`: the book of episodes, carried from one package to the next."""

import json
from collections.abc import Mapping
from typing import Any

from rolecall.errors import InvalidRecord
from rolecall.evidence.episode_book import EpisodeBook, Scope
from rolecall.evidence.episodes import WINDOW_DAYS, Episode, EpisodeKey, Kind, Outcome
from rolecall.evidence.known_instances import KnownInstances
from rolecall.evidence.manifest import Period
from rolecall.model import Reason
from rolecall.received_fields import (
    read_account,
    read_flag,
    read_member,
    read_object,
    read_optional_time,
    read_text,
    read_time,
)
from rolecall.record import timestamp

SCHEMA = "rolecall.episodes/v1"
EPISODES = "episodes.json"


def book_document(book: EpisodeBook, period: Period) -> Mapping[str, Any]:
    """`episodes.json`, for `PackageFiles.write_json`.

    `known`: by account and region, which instances ever had a verdict (`known_instances`).
    """
    return {
        "schema": SCHEMA,
        "day": period.start.date().isoformat(),
        "windowDays": WINDOW_DAYS,
        "episodes": (_episode_object(episode) for episode in book.episodes()),
        "known": {f"{account}_{region}": known.to_text() for (account, region), known in sorted(book.known().items())},
    }


def read_book(raw: bytes, period: Period) -> EpisodeBook:
    """Yesterday's `episodes.json`, continued on the day of `period`. Raises InvalidRecord, which names the field."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidRecord(EPISODES, raw[:64], "JSON text of an object") from None
    if not isinstance(document, dict):
        raise InvalidRecord(EPISODES, document, "a JSON object")
    if document.get("schema") != SCHEMA:
        raise InvalidRecord("schema", document.get("schema"), SCHEMA)
    listed = document.get("episodes")
    if not isinstance(listed, list):
        raise InvalidRecord("episodes", listed, "a list")
    known = read_object(document, "known")
    return EpisodeBook(
        period,
        (_episode(one) for one in listed),
        {_scope(name): KnownInstances.from_text(text) for name, text in known.items()},
    )


def _scope(name: str) -> Scope:
    account, separator, region = name.partition("_")
    if not separator:
        raise InvalidRecord("known", name, "an account and a region as 111122223333_eu-west-1")
    return account, region


def _episode_object(episode: Episode) -> dict[str, Any]:
    return {
        "account": episode.key.account,
        "region": episode.key.region,
        "rule": episode.key.rule,
        "resourceId": episode.key.resource_id,
        "kind": episode.kind.value,
        "began": timestamp(episode.began),
        "opened": timestamp(episode.opened),
        "knownSince": timestamp(episode.known_since),
        "confirmed": timestamp(episode.confirmed),
        "reason": episode.reason.value if episode.reason else None,
        "ended": timestamp(episode.ended) if episode.ended else None,
        "outcome": episode.outcome.value if episode.outcome else None,
        "inferred": episode.inferred,
        "flaps": [{"from": timestamp(since), "to": timestamp(until)} for since, until in episode.flaps],
    }


def _episode(raw: object) -> Episode:
    if not isinstance(raw, dict):
        raise InvalidRecord("episode", raw, "a JSON object")
    ended = read_optional_time(raw, "ended")
    outcome = None if raw.get("outcome") is None else read_member(Outcome, raw, "outcome")
    if (ended is None) is not (outcome is None):
        raise InvalidRecord("outcome", raw.get("outcome"), "what ended the episode, if it ended")
    flaps = raw.get("flaps")
    if not isinstance(flaps, list) or not all(isinstance(flap, dict) for flap in flaps):
        raise InvalidRecord("flaps", flaps, "a list of objects")
    return Episode(
        key=EpisodeKey(
            read_account(raw), read_text(raw, "region"), read_text(raw, "rule"), read_text(raw, "resourceId")
        ),
        kind=read_member(Kind, raw, "kind"),
        began=read_time(raw, "began"),
        opened=read_time(raw, "opened"),
        known_since=read_time(raw, "knownSince"),
        confirmed=read_time(raw, "confirmed"),
        reason=None if raw.get("reason") is None else read_member(Reason, raw, "reason"),
        ended=ended,
        outcome=outcome,
        inferred=read_flag(raw, "inferred"),
        flaps=tuple((read_time(flap, "from", "flaps."), read_time(flap, "to", "flaps.")) for flap in flaps),
    )
