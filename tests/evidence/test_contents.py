import csv
import gzip
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import AlreadyWritten, InvalidRecord, InvalidShard, Missing
from rolecall.evidence.contents import Before, write_contents
from rolecall.evidence.episode_file import EPISODES
from rolecall.evidence.kpis import KPIS
from rolecall.evidence.manifest import RuleFacts, Totals
from rolecall.evidence.stores import FolderStore
from rolecall.model import Reason
from tests.evidence.made import DAY, RULE, evidence_row
from tests.evidence.sample_days import (
    ACCOUNTS,
    PARAMETERS,
    REGIONS,
    Organization,
    header,
    plan_of,
    put,
    put_ledger,
    put_shard,
    record_line,
)

FIRST = date(2026, 3, 1)
LAST = FIRST + timedelta(days=6)
SCOPES = [f"{account}_{region}" for account in ACCOUNTS for region in REGIONS]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    """Seven days of an organization, each with its package."""
    organization = Organization(tmp_path_factory.mktemp("week"), FIRST)
    for number in range(7):
        organization.package(number)
    yield organization
    shutil.rmtree(organization.folder)


def lines(organization: Organization, scope: str) -> list[dict[str, Any]]:
    """The rows of an account and region in the last package."""
    return [
        json.loads(line)
        for line in gzip.decompress(organization.read(LAST, f"evaluations/{scope}.jsonl.gz")).splitlines()
    ]


def document(organization: Organization, path: str) -> Any:  # noqa: ANN401 - any JSON
    """A JSON file of the last package."""
    return json.loads(organization.read(LAST, path))


def test_a_package_holds_what_its_contract_names(week: Organization) -> None:
    """Two parts for each account and region, covered or not, and six files about all of them."""
    expected = {f"evaluations/{scope}.{kind}.gz" for scope in SCOPES for kind in ("jsonl", "csv")}
    expected |= {
        "assessment-results.oscal.json",
        "coverage.json",
        "episodes.json",
        "exemptions.csv",
        "kpis.json",
        "report.html",
    }
    assert {key.split("/", 1)[1] for key in week.packages.keys(f"{LAST}/")} == expected
    assert set(week.contents.paths) == expected
    assert list(week.contents.paths) == sorted(expected)
    assert week.contents.rule == RuleFacts(RULE, PARAMETERS, "0.1.0")


def test_the_sums_are_those_of_the_rows(week: Organization) -> None:
    """Counted anew from the lines: by account and region, and in total."""
    coverage = document(week, "coverage.json")
    total: Counter[str] = Counter()
    names = {
        "COMPLIANT": "compliant", "EXEMPT": "exempt", "NON_COMPLIANT": "nonCompliant",
        "NOT_APPLICABLE": "notApplicable", "UNEVALUATED": "unevaluated",
    }  # fmt: skip
    for told in coverage["accountRegions"]:
        rows = lines(week, f"{told['account']}_{told['region']}")
        counted = Counter(names[row["verdict"]] for row in rows)
        assert told["population"] == len(rows)
        assert {name: told[name] for name in names.values()} == {name: counted[name] for name in names.values()}
        total.update(counted)
    assert coverage["total"] == {"population": total.total(), **{name: total[name] for name in names.values()}}
    assert week.contents.totals == Totals(*coverage["total"].values())


def test_what_is_not_covered_is_said_with_the_reason(week: Organization) -> None:
    """A whole account, and an account's region."""
    coverage = document(week, "coverage.json")
    assert coverage["notCovered"] == [
        {"account": "999900001111", "region": None, "why": "ACCOUNT_NOT_ACTIVE", "detail": "SUSPENDED"},
        {"account": ACCOUNTS[2], "region": REGIONS[1], "why": "NO_RECORDER", "detail": None},
    ]
    assert [one["covered"] for one in coverage["accountRegions"]] == [True] * 5 + [False]


def test_every_disagreement_is_named_and_what_is_in_flight_apart(week: Organization) -> None:
    """With what was recorded, and what the rule says."""
    told = document(week, "coverage.json")["reperformed"]
    everything = [row for scope in SCOPES for row in lines(week, scope)]
    for agreement, listed in (("DISAGREES", told["disagreements"]), ("IN_FLIGHT", told["inFlight"])):
        expected = [row["resourceId"] for row in everything if row["agreement"] == agreement]
        assert [one["resourceId"] for one in listed] == expected
        assert expected
    assert told["disagreements"][0]["recorded"]["reason"] == "PROFILE_ATTACHED"
    assert told["disagreements"][0]["reperformed"] == {"complianceType": "NON_COMPLIANT", "reason": "NO_PROFILE"}
    assert told["agreeing"] + told["disagreeing"] + told["inFlightCount"] + told["notCompared"] == len(everything)


def test_exemptions_are_those_of_the_rows(week: Organization) -> None:
    """As many as there are exempt instances, and no formula among them."""
    told = list(csv.DictReader(io.StringIO(week.read(LAST, "exemptions.csv").decode(), newline="")))
    everything = [row for scope in SCOPES for row in lines(week, scope)]
    assert [one["resource_id"] for one in told] == [row["resourceId"] for row in everything if row["exemption"]]
    assert next(one["reason"] for one in told if "HYPERLINK" in one["reason"]).startswith("'=")


def test_episodes_and_trend_are_carried_from_day_to_day(week: Organization) -> None:
    """Seven days of trend; episodes that began on the first day are in the last package."""
    kpis = document(week, KPIS)
    assert [row["day"] for row in kpis["trend"]] == [(FIRST + timedelta(days=n)).isoformat() for n in range(7)]
    episodes = document(week, EPISODES)["episodes"]
    non_compliant = [
        row["resourceId"] for scope in SCOPES for row in lines(week, scope) if row["verdict"] == "NON_COMPLIANT"
    ]
    assert sorted(one["resourceId"] for one in episodes if one["ended"] is None) == sorted(non_compliant)
    assert any(one["outcome"] == "remediated" for one in episodes)
    assert kpis["trend"][-1]["openEpisodes"] == len(non_compliant)


def test_the_same_day_again_gives_the_same_bytes(week: Organization, tmp_path: Path) -> None:
    """Into an empty store, and into the one where they are already: write-once does not object."""
    plan = week.collect(LAST, 6)
    previous = LAST - timedelta(days=1)
    before = Before(week.read(previous, EPISODES), week.read(previous, KPIS))
    again = FolderStore(tmp_path)
    for store in (again, week.packages):
        assert write_contents(store, week.shards, week.shards, plan, before) == week.contents
    for path in week.contents.paths:
        with again.open(f"{LAST}/{path}") as stream:
            assert stream.read() == week.read(LAST, path), path


def test_other_inputs_of_a_day_that_is_written_are_refused(week: Organization) -> None:
    """Nobody replaces what is there."""
    with pytest.raises(AlreadyWritten):
        write_contents(week.packages, week.shards, week.shards, week.collect(LAST, 6), Before())


def test_a_day_with_nothing_is_packaged_too(tmp_path: Path) -> None:
    """No account, no instance, no record, no package before."""
    store = FolderStore(tmp_path)
    contents = write_contents(store, store, store, plan_of(DAY, []), Before())
    assert contents.totals == Totals()
    assert len(contents.paths) == 6


def test_a_planned_shard_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """No package is made of half a population."""
    store = FolderStore(tmp_path)
    with pytest.raises(Missing, match="111122223333_eu-west-1"):
        write_contents(store, store, store, plan_of(DAY, [(ACCOUNTS[0], "eu-west-1")]), Before())
    assert list(store.keys("2026-03-02/coverage")) == []


def test_a_shard_of_somebody_else_is_an_error(tmp_path: Path) -> None:
    """A file under another's name, whole as it may be."""
    store = FolderStore(tmp_path)
    put_shard(store, header(ACCOUNTS[0], "eu-west-1", DAY), [evidence_row(Reason.NO_PROFILE)])
    with store.open(f"shards/{DAY}/{ACCOUNTS[0]}_eu-west-1.jsonl.gz") as stream:
        put(store, f"shards/{DAY}/{ACCOUNTS[1]}_eu-west-1.jsonl.gz", stream.read())
    with pytest.raises(InvalidShard, match="it is of 111122223333"):
        write_contents(store, store, store, plan_of(DAY, [(ACCOUNTS[1], "eu-west-1")]), Before())


@pytest.mark.parametrize("raw", [b"{", b"[]", b"{}", b'{"schema":"rolecall.kpis/v2"}'])
def test_a_file_of_the_package_before_that_cannot_be_read_is_an_error(raw: bytes, tmp_path: Path) -> None:
    """History is never silently begun anew."""
    store = FolderStore(tmp_path)
    for before in (Before(episodes=raw), Before(kpis=raw)):
        with pytest.raises(InvalidRecord):
            write_contents(store, store, store, plan_of(DAY, []), before)


def test_a_line_of_the_ledger_that_is_no_record_is_told_of(tmp_path: Path) -> None:
    """Counted, the first one named; the records around it count."""
    store = FolderStore(tmp_path)
    row = evidence_row(Reason.NO_PROFILE, 5)
    when = evidence_row().capture_time
    assert when
    put_ledger(store, DAY, [b"{}", record_line(Reason.NO_PROFILE, when, row), b"not json"])
    write_contents(store, store, store, plan_of(DAY, []), Before())
    with store.open(f"{DAY}/coverage.json") as stream:
        ledger = json.load(stream)["ledger"]
    assert (ledger["records"], ledger["unreadable"]) == (1, 2)
    assert ledger["firstProblem"].startswith(f"ledger/dt={DAY}/records.jsonl.gz, line 1: schema is None")
    with store.open(f"{DAY}/{EPISODES}") as stream:
        assert len(json.load(stream)["episodes"]) == 1
