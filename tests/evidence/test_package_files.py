import csv
import gzip
import io
import json
import tempfile
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import AlreadyWritten, Occupied
from rolecall.evidence.measuring import measure
from rolecall.evidence.package_files import CsvRows, JsonSpool, PackageFiles, guarded, json_texts, remove_leftovers
from rolecall.evidence.stores import FolderStore
from tests.evidence.made import DAY
from tests.strategies import anything, texts


def csv_of(rows: list[list[Any]], header: list[str]) -> bytes:
    """What `CsvRows` writes of these rows."""
    stream = io.BytesIO()
    table = CsvRows(stream, header)
    for row in rows:
        table.write(row)
    return stream.getvalue()


@given(st.lists(st.lists(texts | st.none() | st.integers(), min_size=2, max_size=2), max_size=5))
def test_a_csv_file_reads_back_as_it_was_written(rows: list[list[str | int | None]]) -> None:
    """Quotes, commas, line breaks and control characters; half a surrogate pair is told by its escape."""
    read = list(csv.reader(io.StringIO(csv_of(rows, ["a", "b"]).decode(), newline="")))

    def told(cell: str | int | None) -> str:
        text = guarded(cell) if isinstance(cell, str) else "" if cell is None else str(cell)
        return text.encode(errors="backslashreplace").decode()

    assert read == [["a", "b"], *([told(cell) for cell in row] for row in rows)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_as_a_formula_does(start: str) -> None:
    """A tag's text gets an apostrophe before it; a number of ours stays one, below zero too."""
    assert csv_of([[f"{start}1+1", -3]], ["a", "b"]).split(b"\r\n", 1)[1].strip(b'"').startswith(b"'" + start.encode())
    assert csv_of([["plain", -3]], ["a", "b"]) == b"a,b\r\nplain,-3\r\n"


def test_a_row_is_as_rfc_4180_has_it() -> None:
    """CRLF at the end of each record, quotes where they are needed and doubled within."""
    assert csv_of([['say "no", or\nnot', None]], ["a", "b"]) == b'a,b\r\n"say ""no"", or\nnot",\r\n'


@given(anything)
def test_json_in_pieces_is_the_same_json(value: object) -> None:
    """Mappings and lists are taken apart, whatever is in them."""
    try:
        whole = json.dumps(value, allow_nan=False)
    except ValueError:
        return
    assert json.loads("".join(json_texts(value))) == json.loads(whole)


def test_an_iterator_in_a_document_is_an_array() -> None:
    """Empty, nested in lists, and of what a spool holds."""
    spool = JsonSpool()
    for number in range(3):
        spool.add({"n": number})
    document = {"none": iter(()), "nested": [{"all": iter(spool), "texts": spool.texts()}], "empty": {}, "list": []}
    listed = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert json.loads("".join(json_texts(document))) == {
        "none": [],
        "nested": [{"all": listed, "texts": listed}],
        "empty": {},
        "list": [],
    }
    assert len(spool) == 3
    spool.close()


def test_a_compressed_file_depends_on_its_content_alone(tmp_path: Path) -> None:
    """No name and no time in it; stored a second time, it is the same file, and other content is refused."""
    store = FolderStore(tmp_path)
    for _ in range(2):
        with closing(PackageFiles()) as files:
            with files.writing("a/b.jsonl.gz") as stream:
                stream.write(b'{"x":1}\n' * 5)
            (listed,) = files.stored_in(store, DAY)
    stored = (tmp_path / "2026-03-02/a/b.jsonl.gz").read_bytes()
    assert listed == measure(io.BytesIO(stored), "a/b.jsonl.gz")
    assert gzip.decompress(stored) == b'{"x":1}\n' * 5
    assert stored[3:8] == bytes(5)  # flags: no name; and no time
    with closing(PackageFiles()) as files:
        files.write_json("a/b.jsonl.gz", {"other": True})
        with pytest.raises(Occupied):
            files.stored_in(store, DAY)
    assert (tmp_path / "2026-03-02/a/b.jsonl.gz").read_bytes() == stored


MADE = {"a.json": b"{}\n", "b.json": b'{"x":1}\n', "c/d.json": b"{}\n"}
"""What is made by those who look at a folder first."""

HOLDS = f"{DAY}: holds "


class Bucket(FolderStore):
    """A folder that is asked by many at once, as a bucket is."""

    at_once = 10


@pytest.mark.parametrize("store_class", [FolderStore, Bucket])
@pytest.mark.parametrize(
    ("there", "says"),
    [
        (
            {"notes.txt": b"", "c/e.json": b"{}\n"},
            "2 files that no package of this day has: c/e.json, notes.txt",
        ),
        (
            {f"{number}.txt": b"" for number in range(1, 8)},
            "7 files that no package of this day has: 1.txt, 2.txt, 3.txt, 4.txt, 5.txt and 2 more",
        ),
        ({"a.json": b""}, "1 file with other content than is to be put there: a.json"),
        (
            {**MADE, "b.json": b"{}\n", "c/d.json": b""},
            "2 files with other content than is to be put there: b.json, c/d.json",
        ),
        (
            {"a.json": b"{}\n", "manifest.json": b"{}"},
            "1 file too early, as the rest of the package is not there: manifest.json",
        ),
        (
            {**MADE, "manifest.sig": b"{}"},
            "1 file too early, as the rest of the package is not there: manifest.sig",
        ),
        (
            {"manifest.json": b"{}", "manifest.sig": b"{}"},
            "2 files too early, as the rest of the package is not there: manifest.json, manifest.sig",
        ),
    ],
)
def test_nothing_is_put_beside_what_is_none_of_the_package(
    tmp_path: Path, store_class: type[FolderStore], there: dict[str, bytes], says: str
) -> None:
    """Leftovers, another version's files, planted ones: all are named at once, and nobody says that he begins."""
    store = store_class(tmp_path)
    for path, content in there.items():
        store.put_once(f"{DAY}/{path}", content, sha256=sha256(content).hexdigest())
    before, announced = sorted(store.keys()), Counter[str]()
    with closing(PackageFiles()) as files:
        make(files)
        with pytest.raises(Occupied) as refused:
            files.stored_in(store, DAY, lambda: announced.update(["begun"]))
    assert (str(refused.value), announced) == (HOLDS + says, Counter())
    assert sorted(store.keys()) == before


@pytest.mark.parametrize("store_class", [FolderStore, Bucket])
@pytest.mark.parametrize("there", [[], ["a.json"], ["b.json", "c/d.json"], list(MADE)])
def test_what_is_there_already_is_not_put_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_class: type[FolderStore], there: list[str]
) -> None:
    """A run that was killed goes on with the rest; it says so once, unless there is none."""
    store, put = store_class(tmp_path), list[str]()
    putting = store.put_once

    def watched(key: str, content: BinaryIO | bytes, *, sha256: str) -> None:
        put.append(key)
        putting(key, content, sha256=sha256)

    for path in there:
        store.put_once(f"{DAY}/{path}", MADE[path], sha256=sha256(MADE[path]).hexdigest())

    monkeypatch.setattr(store, "put_once", watched)
    with closing(PackageFiles()) as files:
        make(files)
        stored = files.stored_in(store, DAY, lambda: put.append("begun"))
    rest = sorted(MADE.keys() - set(there))
    assert sorted(put[1:]) == [f"{DAY}/{path}" for path in rest]
    assert put[:1] == (["begun"] if rest else [])
    assert [file.path for file in stored] == sorted(MADE)
    assert {path: (tmp_path / f"{DAY}" / path).read_bytes() for path in MADE} == MADE


def test_a_file_that_comes_from_elsewhere_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    """Between the look and the put: it stays, and whoever comes second is told."""
    store = FolderStore(tmp_path)
    with closing(PackageFiles()) as files:
        make(files)
        with pytest.raises(AlreadyWritten, match=r"b\.json: was written before with other content"):
            files.stored_in(store, DAY, lambda: store.put_once(f"{DAY}/b.json", b"", sha256=sha256(b"").hexdigest()))


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder alone: no file, no link of that name and no other folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, alive = PackageFiles(), tmp_path / "another"
    make(killed)
    alive.mkdir()
    [left] = [path for path in tmp_path.iterdir() if path != alive]
    (alive / "kept").write_bytes(b"")
    (tmp_path / "rolecall-sealing-file").write_bytes(b"")
    (tmp_path / "rolecall-sealing-link").symlink_to(alive)
    remove_leftovers()
    assert not left.exists()
    assert {path.name for path in tmp_path.rglob("*")} == {
        "another", "kept", "rolecall-sealing-file", "rolecall-sealing-link"
    }  # fmt: skip
    killed.close()
    remove_leftovers()


def make(files: PackageFiles) -> None:
    """All of `MADE`."""
    for path, content in MADE.items():
        with files.writing(path) as stream:
            stream.write(content)


def test_nothing_is_stored_before_everything_is_made(tmp_path: Path) -> None:
    """Nobody finds half a package, nor half a file; what was made beside is gone."""
    store = FolderStore(tmp_path / "packages")
    with closing(PackageFiles()) as files:
        files.write_json("whole.json", {"fine": 1})
        with pytest.raises(TypeError):
            files.write_json("half.json", {"fine": 1, "not": object()})
        assert list(store.keys()) == []
        assert [file.path for file in files.stored_in(store, DAY)] == ["whole.json"]


def test_files_may_be_made_side_by_side(tmp_path: Path) -> None:
    """Each has its own content, and they are listed by path."""
    store = FolderStore(tmp_path)
    with closing(PackageFiles()) as files:
        with files.writing("b.csv") as second, files.writing("a.csv") as first:
            second.write(b"x\r\n1\r\n2\r\n")
            first.write(b"x\r\n1\r\n")
        assert [(file.path, file.records) for file in files.stored_in(store, DAY)] == [("a.csv", 1), ("b.csv", 2)]
