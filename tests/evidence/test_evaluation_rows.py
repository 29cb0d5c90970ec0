import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import Damaged
from rolecall.evidence.evaluation_rows import MAX_ROW_BYTES, VERDICTS, EvaluationRows
from rolecall.evidence.exemption_sums import ExemptionSum
from rolecall.evidence.manifest import Totals
from tests.evidence.chains import Row, exempt, json_bytes, row_object

DAY = date(2026, 11, 20)
HOME = ("111122223333", "eu-west-1")


def read(content: bytes, size: int = 1 << 20) -> EvaluationRows:
    """The rows of a part, given in blocks of a size."""
    rows = EvaluationRows(*HOME, DAY)
    for start in range(0, len(content), size):
        rows.add(content[start : start + size])
    return rows


def lines(*rows: Row | dict[str, Any]) -> bytes:
    """As the exporter writes them."""
    return b"".join(json_bytes(row_object(*HOME, row) if isinstance(row, Row) else row) for row in rows)


def test_rows_are_counted_by_verdict() -> None:
    """And exemptions are summed up, for whoever compares them."""
    rows = read(
        lines(
            Row("i-1"),
            exempt("i-2"),
            Row("i-3", "NON_COMPLIANT"),
            Row("i-4", "NOT_APPLICABLE"),
            Row("i-5", "UNEVALUATED"),
        )
    )
    expected = ExemptionSum()
    expected.add("i-2", "2026-01-01", "2026-12-31")
    assert (rows.problem, rows.totals, rows.exemptions, rows.doubted, rows.total("a")) == (
        None,
        Totals(5, 1, 1, 1, 1, 1),
        expected,
        0,
        5,
    )


ODD = {"account": HOME[0], "region": HOME[1], "resourceId": "i-2", "verdict": "COMPLIANT"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lines(Row("i-2"), Row("i-1")), "its rows are not sorted by resource id, each once"),
        (lines(Row("i-1"), Row("i-1")), "its rows are not sorted by resource id, each once"),
        (lines(Row("i-1"), ODD | {"resourceId": "i-0"}), "its rows are not sorted by resource id, each once"),
        (lines(Row("i-1"), ODD | {"resourceId": 7}), "its rows are not sorted by resource id, each once"),
        (lines(Row("i-1"), Row("i-2", "PERHAPS")), "a row's verdict is 'PERHAPS'; allowed: " + ", ".join(VERDICTS)),
        (lines(Row("i-1"), {"a": 1}), "a row is of None in None"),
        (lines(Row("i-1"), ODD | {"account": "444455556666"}), "a row is of '444455556666' in 'eu-west-1'"),
        (lines(Row("i-1"), ODD | {"region": ["x"]}), "a row is of '111122223333' in ['x']"),
        (lines(Row("i-1")) + b"\n", "a row is b''; allowed: a JSON object in UTF-8 (JSONDecodeError: "),
        (b"\n", "a row is b''; allowed: a JSON object in UTF-8"),
        (lines(Row("i-1")) + b"[" * 5000 + b"\n", "a row is b'[[["),
        (lines(Row("i-1")) + b'{"a":' + b"9" * 5000 + b"}\n", 'a row is b\'{"a":999'),
        (b'\xff{"verdict":1}\n', "a row is b'\\xff"),
        (
            lines(Row("i-1")).replace(b'"agreement"', b'"verdict":"EXEMPT","agreement"'),
            'a row is b\'{"account":"111122223333"',
        ),
        (lines(Row("i-1", "EXEMPT")), "'i-1' is exempt without an exemption"),
        (lines(exempt("i-1", state="expired")), "'i-1' is exempt, and its exemption's state is 'expired', not valid"),
        (lines(exempt("i-1", expires="2026-11-19")), "'i-1' is exempt, and its exemption expired on '2026-11-19'"),
        (lines(exempt("i-1", expires=7)), "the exemption of 'i-1' cannot be read"),
        (lines(ODD | {"verdict": "EXEMPT"}), "'i-2' is exempt without an exemption"),
        (b"x" * (MAX_ROW_BYTES + 1), "a row is longer than 1,048,576 bytes"),
    ],
)
def test_the_first_wrong_row_is_said(content: bytes, problem: str) -> None:
    """In words, whatever it is."""
    for size in (1 << 20, 1000):
        assert (read(content, size).problem or "").startswith(problem)


@pytest.mark.parametrize("expires", ["2026-11-20", None, ""])
def test_an_exemption_holds_through_its_last_day(expires: str | None) -> None:
    """Or for ever."""
    assert read(lines(exempt("i-1", expires=expires))).problem is None


def test_an_exempt_row_that_the_rule_does_not_agree_with_is_counted_as_doubted() -> None:
    """Its tags may have gone since it was judged; coverage.json names it."""
    rows = read(
        lines(
            Row("i-1", "EXEMPT", None, "IN_FLIGHT"),
            Row("i-2", "EXEMPT", exempt("i-2", state="expired", expires="2026-01-01").exemption, "DISAGREES"),
        )
    )
    assert (rows.problem, rows.doubted, rows.exemptions.count, rows.totals.exempt) == (None, 2, 1, 2)


def test_a_part_whose_last_row_does_not_end_is_damaged() -> None:
    """Even behind a problem, which is not looked at then."""
    for content in (lines(Row("i-1")) + b"{", lines(Row("i-2"), Row("i-1")) + b"{", b"{"):
        with pytest.raises(Damaged, match="its last row does not end"):
            read(content, 100).total("a")


def test_all_rows_are_counted_behind_a_problem_too() -> None:
    """Their number is in the manifest, whatever is wrong with them."""
    content = lines(Row("i-2"), *(Row(f"i-{number}") for number in range(9)))
    for size in (1 << 20, 300, 7):
        assert read(content, size).total("a") == 10


VALUES = st.none() | st.text(max_size=5) | st.integers(0, 9) | st.just({"verdict": "EXEMPT"}) | st.just('"verdict"')
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.just(HOME[0]),
            "region": st.just(HOME[1]),
            "resourceId": st.text(st.characters(codec="utf-8"), min_size=1, max_size=3),
            "verdict": st.sampled_from([verdict for verdict in VERDICTS if verdict != "EXEMPT"]),
        },
        optional={"a": VALUES, "verdicts": VALUES, "z": VALUES},
    ),
    max_size=8,
    unique_by=lambda row: str(row["resourceId"]),
)


@given(ROWS, st.integers(1, 200), st.booleans(), st.booleans(), st.data())
def test_counts_are_those_of_decoding_every_row(
    found: Sequence[dict[str, Any]], size: int, ascii_only: bool, compact: bool, data: st.DataObject
) -> None:
    """Whatever the keys' order, the texts and the white space are, and wherever blocks end."""
    content = b""
    for row in sorted(found, key=lambda row: str(row["resourceId"]).encode()):
        names = data.draw(st.permutations(list(row))) if data.draw(st.booleans()) else list(row)
        separators = (",", ":") if compact else (", ", ": ")
        content += json.dumps(
            {name: row[name] for name in names}, ensure_ascii=ascii_only, separators=separators
        ).encode()
        content += b"\n"
    counted = Counter(json.loads(line)["verdict"] for line in content.decode().split("\n") if line)
    rows = read(content, size)
    assert (rows.problem, rows.total("a")) == (None, len(found))
    assert rows.totals == Totals(len(found), *(counted[verdict] for verdict in VERDICTS))
