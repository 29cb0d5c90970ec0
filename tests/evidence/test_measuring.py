import csv
import gzip
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import Damaged
from rolecall.evidence.manifest import PackagedFile
from rolecall.evidence.measuring import measure
from tests.evidence.chains import gzipped


class Dripping(io.BytesIO):
    """A stream that never gives much at once, as a network does."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Three bytes at most."""
        return super().read(min(3, size if size is not None and size >= 0 else 3))


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("path", "content", "records"),
    [
        ("a.json", b"{}", None),
        ("a.json", b"", None),
        ("a.html", b"a\nb\n", None),
        ("a.jsonl", b"", 0),
        ("a.jsonl", b"{}\n{}\n", 2),
        ("a.csv", b"a,b\r\n", 0),
        ("a.csv", b"a\n1\n2\n", 2),
        ("a.csv", b'a\r\n"1\r\n2"\r\n"""\n"""\r\n', 2),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_measured(path: str, content: bytes, records: int | None, *, compressed: bool) -> None:
    """Size and hash of what is stored and of the content, and rows where there are any."""
    stored = gzipped(content) if compressed else content
    path = f"{path}.gz" if compressed else path
    expected = PackagedFile(path, len(stored), digest(stored), len(content), digest(content), records)
    assert measure(io.BytesIO(stored), path) == expected
    assert measure(Dripping(stored), path) == expected


@pytest.mark.parametrize(
    ("path", "stored", "problem"),
    [
        ("a.gz", b"", "its compressed content is cut off"),
        ("a.gz", b"no gzip", "cannot be decompressed: "),
        ("a.gz", gzipped(b"x")[:-1], "its compressed content is cut off"),
        ("a.gz", gzipped(b"x") + b"\0", "something follows its compressed content"),
        ("a.gz", gzipped(b"x") * 2, "something follows its compressed content"),
        ("a.gz", gzipped(b"x")[:-8] + b"\0" * 8, "cannot be decompressed: "),
        ("a.jsonl", b"{}", "its last row does not end"),
        ("a.csv", b"", "it has no header"),
        ("a.csv", b"a\n1", "its last row does not end"),
        ("a.csv", b'a\n"1\n', "its last row does not end"),
    ],
)
def test_a_file_that_is_not_whole_is_damaged(path: str, stored: bytes, problem: str) -> None:
    """Whether it comes at once or in drops."""
    for stream in (io.BytesIO(stored), Dripping(stored)):
        with pytest.raises(Damaged) as raised:
            measure(stream, path)
        assert str(raised.value).startswith(f"{path}: {problem}")


def test_content_longer_than_its_limit_is_not_read_to_the_end() -> None:
    """Of a gibibyte in a megabyte, no more is decompressed than a block beyond the limit."""
    taken = []
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9, mtime=0)
    with pytest.raises(Damaged, match="longer than the 1,000,000 bytes"):
        measure(io.BytesIO(bomb), "a.gz", content_limit=1_000_000, take=lambda block: taken.append(len(block)))
    assert sum(taken) <= 1_000_000
    assert max(taken) <= 256 * 1024


CELLS = st.text(st.sampled_from("ab\",\r\n'="), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8), st.integers(1, 7))
def test_rows_of_csv_are_counted_as_a_reader_of_csv_counts_them(table: list[list[str]], size: int) -> None:
    """Whatever is in the cells, and wherever blocks end."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(table)
    content = written.getvalue().encode()

    class Pieces(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            return super().read(size)

    assert measure(Pieces(content), "a.csv").records == len(table) - 1


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_content_is_taken_whole(content: bytes, size: int) -> None:
    """All of it, in order, compressed or not."""

    class Pieces(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            return super().read(size)

    for path, stored in (("a", content), ("a.gz", gzipped(content))):
        taken: list[bytes] = []
        measured = measure(Pieces(stored), path, take=taken.append)
        assert b"".join(taken) == content
        assert (measured.size, measured.content_size) == (len(stored), len(content))
