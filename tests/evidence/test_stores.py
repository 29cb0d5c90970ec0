import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from rolecall.errors import AlreadyWritten, Missing, NotAFile, WrongChecksum
from rolecall.evidence.stores import FolderStore


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def put(store: FolderStore, key: str, content: bytes = b"content") -> None:
    """Write a file."""
    store.put_once(key, content, sha256=sha256(content))


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_what_is_written_is_read(store: FolderStore) -> None:
    """From bytes and from a stream, in folders that are made on the way."""
    put(store, "a/b/c", b"0123")
    store.put_once("d", io.BytesIO(b"45"), sha256=sha256(b"45"))
    with store.open("a/b/c") as stream:
        assert (stream.read(3), stream.read(3), stream.read(3)) == (b"012", b"3", b"")
    with store.open("d") as stream:
        assert stream.read() == b"45"


def test_a_file_is_written_once(store: FolderStore) -> None:
    """The same content again is fine; other content is refused, and what is there stays."""
    put(store, "a")
    put(store, "a")
    with pytest.raises(AlreadyWritten, match="a: was written before with other content"):
        put(store, "a", b"other")
    with store.open("a") as stream:
        assert stream.read() == b"content"


def test_a_file_is_whole_or_not_there(store: FolderStore, tmp_path: Path) -> None:
    """Bytes that are not what they were said to be leave nothing behind, and so does a source that breaks."""

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(f"no {size} bytes")

    with pytest.raises(WrongChecksum, match="its SHA-256 is"):
        store.put_once("a", b"x", sha256=sha256(b"y"))
    with pytest.raises(OSError, match="no 262144 bytes"):
        store.put_once("a", Breaking(), sha256=sha256(b""))
    assert list((tmp_path / "store").iterdir()) == []


def test_what_a_killed_writer_left_is_no_key(store: FolderStore, tmp_path: Path) -> None:
    """It has no name yet that anybody asks for."""
    put(store, "a")
    (tmp_path / "store" / ".unfinished-x").write_bytes(b"half")
    assert list(store.keys()) == ["a"]


def test_a_file_can_be_read_by_others(store: FolderStore, tmp_path: Path) -> None:
    """Evidence is made to be handed over."""
    put(store, "a")
    assert stat.S_IMODE((tmp_path / "store" / "a").stat().st_mode) == 0o644


def test_keys_are_sorted_as_a_bucket_sorts_them(store: FolderStore) -> None:
    """By their characters, the slash being one."""
    keys = ["a!/x", "a", "a-b", "a/b", "a/b.c/d", "a/c/d", "a0", "é/x", "b"]
    for key in set(keys) - {"a"}:
        put(store, key)
    assert list(store.keys()) == sorted(set(keys) - {"a"})


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a/b", "a/c/d", "ab", "b"]),
        ("a", ["a/b", "a/c/d", "ab"]),
        ("a/", ["a/b", "a/c/d"]),
        ("a/c", ["a/c/d"]),
        ("a/c/d", ["a/c/d"]),
        ("a/c/d/", []),
        ("c", []),
    ],
)
def test_a_prefix_is_any_beginning_of_a_key(store: FolderStore, prefix: str, expected: list[str]) -> None:
    """As in a bucket."""
    for key in ("a/b", "a/c/d", "ab", "b"):
        put(store, key)
    assert list(store.keys(prefix)) == expected


def test_a_folder_that_is_not_there_has_no_keys(store: FolderStore) -> None:
    """Nothing was written yet."""
    assert list(store.keys()) == []


@pytest.mark.parametrize(
    "key", ["nothing", "a/nothing", "a/b", "../outside", "/etc/passwd", "", "a//b", ".", "a\0", "a\\b"]
)
def test_a_file_that_is_not_there_is_missing(store: FolderStore, tmp_path: Path, key: str) -> None:
    """And so is whatever lies outside of the store."""
    put(store, "a")
    (tmp_path / "outside").write_bytes(b"")
    with pytest.raises(Missing):
        store.open(key)


def test_links_folders_and_pipes_are_no_files(store: FolderStore, tmp_path: Path) -> None:
    """They are listed, so that whoever verifies sees them, but never opened."""
    put(store, "folder/file")
    root = tmp_path / "store"
    (root / "link").symlink_to(root / "folder" / "file")
    (root / "linked").symlink_to(root / "folder")
    os.mkfifo(root / "pipe")
    assert list(store.keys()) == ["folder/file", "link", "linked", "pipe"]
    for key in ("link", "linked", "linked/file", "pipe", "folder"):
        with pytest.raises(NotAFile, match="only plain files are read"):
            store.open(key)


def test_the_store_itself_may_be_a_link(store: FolderStore, tmp_path: Path) -> None:
    """Whoever names it knows where it leads."""
    put(store, "a")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with FolderStore(tmp_path / "link").open("a") as stream:
        assert stream.read() == b"content"
