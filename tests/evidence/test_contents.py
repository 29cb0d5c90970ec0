import csv
import gzip
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import Damaged, InvalidRecord, InvalidShard, Missing, NotSealed, Occupied
from rolecall.evidence.carried import Carried
from rolecall.evidence.contents import Contents, write_contents
from rolecall.evidence.episode_file import episodes_path
from rolecall.evidence.kpis import KPIS
from rolecall.evidence.ledger import LedgerRecords, ledger_prefix
from rolecall.evidence.manifest import RuleFacts, Totals
from rolecall.evidence.measuring import measure
from rolecall.evidence.plan import Plan
from rolecall.evidence.shard_header import WhyNot
from rolecall.evidence.steps import ledger_keys
from rolecall.evidence.stores import FolderStore
from rolecall.model import Reason
from tests.evidence.chains import gzipped
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


def carried(organization: Organization) -> Carried:
    """What goes on from the last package but one."""
    day = LAST - timedelta(days=1)
    files = []
    for key in organization.packages.keys(f"{day}/"):
        path = key.removeprefix(f"{day}/")
        with organization.packages.open(key) as stream:
            files.append(measure(stream, path))
    return Carried(organization.packages, day, files)


def written(store: FolderStore, plan: Plan, before: Carried | None = None) -> Contents:
    """A package of which everything lies in one folder."""
    return write_contents(store, store, LedgerRecords(store, plan.ledger_keys), plan, before)


def test_a_package_holds_what_its_contract_names(week: Organization) -> None:
    """Three parts for each account and region, covered or not, and five files about all of them."""
    expected = {f"evaluations/{scope}.{kind}.gz" for scope in SCOPES for kind in ("jsonl", "csv")}
    expected |= {f"episodes/{scope}.jsonl.gz" for scope in SCOPES}
    expected |= {
        "assessment-results.oscal.json",
        "coverage.json",
        "exemptions.csv",
        "kpis.json",
        "report.html",
    }
    assert {key.split("/", 1)[1] for key in week.packages.keys(f"{LAST}/")} == expected
    assert [file.path for file in week.contents.files] == sorted(expected)
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
    episodes = week.episodes(LAST)
    non_compliant = [
        row["resourceId"] for scope in SCOPES for row in lines(week, scope) if row["verdict"] == "NON_COMPLIANT"
    ]
    assert sorted(one["resourceId"] for one in episodes if one["ended"] is None) == sorted(non_compliant)
    assert any(one["outcome"] == "remediated" for one in episodes)
    assert kpis["trend"][-1]["openEpisodes"] == len(non_compliant)


def test_the_same_day_again_gives_the_same_bytes(week: Organization, tmp_path: Path) -> None:
    """Into an empty store, and into the one where they are already: write-once does not object."""
    plan = week.collect(LAST, 6)
    again = FolderStore(tmp_path)
    for store in (again, week.packages):
        assert week.write(store, plan, carried(week)) == week.contents
    for file in week.contents.files:
        with again.open(f"{LAST}/{file.path}") as stream:
            assert stream.read() == week.read(LAST, file.path), file.path


def test_other_inputs_of_a_day_that_is_written_are_refused(week: Organization) -> None:
    """Nobody replaces what is there."""
    with pytest.raises(Occupied):
        week.write(week.packages, week.collect(LAST, 6), None)


def test_a_day_with_nothing_is_packaged_too(tmp_path: Path) -> None:
    """No account, no instance, no record, no package before."""
    contents = written(FolderStore(tmp_path), plan_of(DAY, []))
    assert contents.totals == Totals()
    assert len(contents.files) == 5


def test_a_planned_shard_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """No package is made of half a population: nothing at all is stored."""
    store = FolderStore(tmp_path)
    put_shard(store, header(ACCOUNTS[0], "eu-central-1", DAY), [evidence_row(Reason.NO_PROFILE, region="eu-central-1")])
    with pytest.raises(Missing, match="111122223333_eu-west-1"):
        written(store, plan_of(DAY, [(ACCOUNTS[0], "eu-central-1"), (ACCOUNTS[0], "eu-west-1")]))
    assert list(store.keys("2026-03-02/")) == []


def test_a_shard_of_somebody_else_is_an_error(tmp_path: Path) -> None:
    """A file under another's name, whole as it may be."""
    store = FolderStore(tmp_path)
    put_shard(store, header(ACCOUNTS[0], "eu-west-1", DAY), [evidence_row(Reason.NO_PROFILE)])
    with store.open(f"shards/{DAY}/{ACCOUNTS[0]}_eu-west-1.jsonl.gz") as stream:
        put(store, f"shards/{DAY}/{ACCOUNTS[1]}_eu-west-1.jsonl.gz", stream.read())
    with pytest.raises(InvalidShard, match="it is of 111122223333"):
        written(store, plan_of(DAY, [(ACCOUNTS[1], "eu-west-1")]))


def read(store: FolderStore, key: str) -> bytes:
    """A file."""
    with store.open(key) as stream:
        return stream.read()


def episode_lines(stored: bytes) -> list[dict[str, Any]]:
    """A file of episodes without its first line: instances, each before its episodes."""
    return [json.loads(line) for line in gzip.decompress(stored).splitlines()[1:]]


def before_with(store: FolderStore, path: str, stored: bytes) -> Carried:
    """A package of the day before that has a trend, and this file."""
    day = DAY - timedelta(days=1)
    kpis = json.dumps({"schema": "rolecall.kpis/v1", "trend": []}).encode()
    files = []
    for name, content in {KPIS: kpis, path: stored}.items():
        put(store, f"{day}/{name}", content)
        files.append(measure(io.BytesIO(content), name))
    return Carried(store, day, files)


@pytest.mark.parametrize(
    ("path", "stored", "error"),
    [
        (KPIS, b"{", InvalidRecord),
        (KPIS, b"[]", InvalidRecord),
        (KPIS, b"{}", InvalidRecord),
        (KPIS, b'{"schema":"rolecall.kpis/v2"}', InvalidRecord),
        (episodes_path(ACCOUNTS[0], "eu-west-1"), gzipped(b"{}\n"), Damaged),
    ],
)
def test_a_file_of_the_package_before_that_cannot_be_read_is_an_error(
    path: str, stored: bytes, error: type[Exception], tmp_path: Path
) -> None:
    """History is never silently begun anew."""
    store = FolderStore(tmp_path)
    with pytest.raises(error):
        written(store, plan_of(DAY, []), before_with(store, path, stored))


def test_what_is_known_of_a_place_that_is_not_planned_any_more_goes_on(tmp_path: Path) -> None:
    """An account leaves the organization: nobody looks there, so what was open stays open, and what was known is."""
    organization = Organization(tmp_path, FIRST)
    organization.package(0)
    plan = organization.collect(FIRST + timedelta(days=1), 1)
    left = replace(plan, shards=tuple(one for one in plan.shards if one.account != ACCOUNTS[0]), ledger_keys=())
    files = organization.contents.files
    contents = organization.write(organization.packages, left, Carried(organization.packages, FIRST, files))
    paths = [file.path for file in contents.files]
    second, still_open = FIRST + timedelta(days=1), 0
    for region in REGIONS:
        path = episodes_path(ACCOUNTS[0], region)
        assert path in paths
        assert f"evaluations/{ACCOUNTS[0]}_{region}.jsonl.gz" not in paths
        before, now = (episode_lines(organization.read(day, path)) for day in (FIRST, second))
        assert now == [one | {"missingSince": f"{second}"} if "missingSince" in one else one for one in before]
        still_open += sum("kind" in one and one["ended"] is None for one in now)
    kpis = json.loads(organization.read(second, KPIS))
    times = kpis["timeToRemediate"].values()
    assert sum(kind["openUnobserved"] for kind in times) == still_open > 0
    assert sum(kind["open"] for kind in times) == kpis["trend"][-1]["nonCompliant"]


def test_episodes_that_cannot_be_carried_on_are_an_error(tmp_path: Path) -> None:
    """A package without any, though it has instances, is another version's: its history is not begun anew."""
    store = FolderStore(tmp_path)
    path = f"evaluations/{ACCOUNTS[0]}_eu-west-1.jsonl.gz"
    with pytest.raises(NotSealed, match="no episodes that this version could carry on"):
        written(store, plan_of(DAY, []), before_with(store, path, gzipped(b"{}\n")))


@pytest.mark.parametrize("why_not", WhyNot)
def test_where_the_control_is_not_known_to_have_run_nothing_is_taken_for_gone(why_not: WhyNot, tmp_path: Path) -> None:
    """An instance that is missing from the inventory of a place that is not covered keeps its episode."""
    store, place = FolderStore(tmp_path), (ACCOUNTS[0], "eu-west-1")
    first, plan = DAY - timedelta(days=1), plan_of(DAY, [place])
    put_shard(store, header(*place, first), [evidence_row(Reason.NO_PROFILE, account=place[0])])
    before = written(store, plan_of(first, [place]))
    put_shard(store, header(*place, DAY, why_not=why_not), [])
    written(store, plan, Carried(store, first, before.files))
    told = [episode_lines(read(store, f"{day}/{episodes_path(*place)}")) for day in (first, DAY)]
    assert [one["missingSince"] for one, _ in told] == [None, f"{DAY}"]
    assert [episode for _, episode in told] == [told[0][1]] * 2
    assert told[0][1]["ended"] is None


def test_a_line_of_the_ledger_that_is_no_record_is_told_of(tmp_path: Path) -> None:
    """Counted, the first one named; the records around it count, of a place that nobody planned, too."""
    store = FolderStore(tmp_path)
    row = evidence_row(Reason.NO_PROFILE, 5)
    when = evidence_row().capture_time
    assert when
    line = record_line(Reason.NO_PROFILE, when, row)
    another = replace(row, rule_name="another-rule", resource_id="i-other")
    lines = [
        b"{}",
        line,
        b"not json",
        line.replace(row.region.encode(), b"../../up"),
        record_line(Reason.NO_PROFILE, when, another),
        record_line(Reason.NO_PROFILE, when + timedelta(days=2), row),
    ]
    put_ledger(store, DAY, lines)
    whole = gzipped(line + b"\n")
    put(store, f"{ledger_prefix(DAY)}zz-cut-off.jsonl.gz", whole[: len(whole) // 2])
    written(store, replace(plan_of(DAY, []), ledger_keys=ledger_keys(store, DAY)))
    with store.open(f"{DAY}/coverage.json") as stream:
        ledger = json.load(stream)["ledger"]
    assert ledger.pop("firstProblem").startswith(f"ledger/dt={DAY}/records.jsonl.gz, line 1: schema is None")
    assert ledger == {"records": 3, "ofNextDay": 1, "ofOtherRules": 1, "unreadable": 3, "damagedFiles": 1}
    told = episode_lines(read(store, f"{DAY}/{episodes_path(row.account, row.region)}"))
    assert [(one["resourceId"], "kind" in one) for one in told] == [(row.resource_id, False), (row.resource_id, True)]
