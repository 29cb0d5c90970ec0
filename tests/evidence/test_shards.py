import gzip
import io
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidShard
from rolecall.evidence.rows import Agreement, EvidenceVerdict
from rolecall.evidence.shard_header import KeyCounts, Recorder, ShardHeader, WhyNot
from rolecall.evidence.shards import ShardFooter, ShardReader, shard_key
from tests.builders import ACCOUNT, REGION
from tests.evidence.shard_builders import COLLECTED, DAY, evidence_row, shard_bytes, shard_header

ROWS = [evidence_row(resource_id=f"i-{number}") for number in range(5)]
SHARD = shard_bytes(rows=ROWS)

HEADERS = {
    "a covered account and region": shard_header(),
    "one with all that can be known": shard_header(
        recorder=Recorder(
            recording=True,
            records_instances=True,
            frequency="DAILY",
            last_status="FAILURE",
            last_error="AccessDenied",
            last_status_change=COLLECTED,
        ),
        keys=KeyCounts(COLLECTED, 12, 3, 4, 1, COLLECTED - timedelta(days=400)),
    ),
    "one that is not covered": shard_header(
        rule_name=None, rule_arn=None, why_not=WhyNot.RULE_MISSING, detail="2 instances"
    ),
    "one where nobody may look": shard_header(
        why_not=WhyNot.RECORDER_UNKNOWN, detail="denied", recorder_problem="denied", keys_problem="denied"
    ),
}


def test_the_documentation_has_every_reason() -> None:
    """In the code's own order, which is that in which they are looked for, but for the last one."""
    text = (Path(__file__).parents[2] / "docs" / "evidence-contents.md").read_text()
    (table,) = re.findall(r"<!-- reasons: begin .*?-->\n(.*?)\n<!-- reasons: end -->", text, re.DOTALL)
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == [why_not.value for why_not in WhyNot]


def read(content: bytes) -> ShardReader:
    """A reader of a shard's bytes."""
    return ShardReader(io.BytesIO(content), "shards/x")


def test_a_shard_is_read_as_it_was_written() -> None:
    """Header, rows and counts."""
    reader = read(shard_bytes(rows=ROWS, unlisted=2))
    assert reader.header == shard_header()
    assert reader.footer is None
    assert list(reader.rows()) == ROWS
    assert reader.footer == ShardFooter(
        rows=5,
        sha256=reader.footer.sha256 if reader.footer else "",
        verdicts={verdict: 5 if verdict is EvidenceVerdict.COMPLIANT else 0 for verdict in EvidenceVerdict},
        agreements={one: 5 if one is Agreement.AGREES else 0 for one in Agreement},
        unlisted=2,
    )


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_is_read_as_it_was_written(header: ShardHeader) -> None:
    """Every field of it, known or not; a shard without rows is a shard."""
    reader = read(shard_bytes(header))
    assert reader.header == header
    assert reader.read_to_end().rows == 0


def test_the_same_rows_give_the_same_bytes() -> None:
    """No clock, no name and no chance in it."""
    assert shard_bytes(rows=ROWS) == SHARD


@given(cut=st.integers(0, len(SHARD) - 1))
def test_a_shard_that_was_cut_off_is_refused(cut: int) -> None:
    """Wherever: no half of it counts."""
    with pytest.raises(InvalidShard, match=r"^shards/x: "):
        read(SHARD[:cut]).read_to_end()


@given(at=st.integers(0, len(SHARD) - 1), byte=st.integers(0, 255))
def test_a_damaged_shard_is_refused_or_means_the_same(at: int, byte: int) -> None:
    """One changed byte: what gzip's checksum does not notice changes nothing."""
    damaged = SHARD[:at] + bytes([byte]) + SHARD[at + 1 :]
    try:
        reader = read(damaged)
        rows = list(reader.rows())
    except InvalidShard:
        return
    assert (reader.header, rows) == (shard_header(), ROWS)


def lines(content: bytes) -> list[bytes]:
    """The lines of a shard."""
    return gzip.decompress(content).splitlines(keepends=True)


OTHER = lines(shard_bytes(rows=[evidence_row(verdict=EvidenceVerdict.UNEVALUATED, resource_id="i-1")]))
LINES = lines(SHARD)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (LINES[:-1], "it is cut off, before its footer"),
        ([LINES[0][:-1]], "it is cut off, before its header"),
        (LINES[1:], "schema is None; allowed: rolecall.shard/v1"),
        ([*LINES[:2], *LINES[3:]], "its footer speaks of 5 rows"),
        ([*LINES[:2], LINES[1], *LINES[3:]], "row i-0 comes after i-0: ids ascend"),
        ([LINES[0], LINES[2], LINES[1], *LINES[3:]], "row i-0 comes after i-1: ids ascend"),
        ([*LINES, LINES[-1]], "something follows its footer"),
        ([*LINES[:3], b"{\n", *LINES[3:]], "a line of it is no JSON"),
        ([*LINES[:3], b"[]\n", *LINES[3:]], "evidence row is []; allowed: a JSON object"),
        ([LINES[0].replace(b"eu-west-1", b"eu-west-2"), *LINES[1:]], "row i-0 is of 111122223333 in eu-west-1"),
        ([LINES[0].replace(b'"covered":true', b'"covered":false'), *LINES[1:]], "covered is False; allowed: true"),
        ([*LINES[:-1], OTHER[-1]], "its footer speaks of 1 rows"),
        (
            [*LINES[:-1], LINES[-1].replace(b'"COMPLIANT":5', b'"COMPLIANT":4')],
            "the verdicts of its rows are not those that its footer counts",
        ),
        (
            [*LINES[:-1], LINES[-1].replace(b'"AGREES":5', b'"AGREES":4')],
            "the agreements of its rows are not those that its footer counts",
        ),
        ([*LINES[:-1], LINES[-1].replace(b'"rows":5', b'"rows":-5')], "rows is -5; allowed: a whole number"),
        ([b" " * (1024 * 1024 + 1), *LINES], "a line is longer than 1048576 bytes, before its header"),
    ],
)
def test_a_shard_that_contradicts_itself_is_refused(changed: list[bytes], problem: str) -> None:
    """With one clear error that names the file."""
    with pytest.raises(InvalidShard) as refused:
        list(read(gzip.compress(b"".join(changed), mtime=0)).rows())
    assert str(refused.value).startswith(f"shards/x: {problem}")


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"")])
def test_what_is_no_shard_is_refused(content: bytes) -> None:
    """Whatever lies where a shard should be."""
    with pytest.raises(InvalidShard, match=r"^shards/x: it is cut off[a-z, ]*$"):
        read(content)


def test_the_header_of_another_day_is_another_header() -> None:
    """The day stands in it, not in the file's name alone."""
    other = shard_header(day=DAY + timedelta(days=1))
    assert read(shard_bytes(other)).header == replace(shard_header(), day=other.day)


def test_a_shard_lies_below_its_day() -> None:
    """Sorted by account, then region."""
    assert shard_key(DAY, ACCOUNT, REGION) == "shards/2026-03-01/111122223333_eu-west-1.jsonl.gz"
