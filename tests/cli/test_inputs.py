import gzip
import os
from pathlib import Path

import pytest

from rolecall.cli.inputs import Ignored, Input, Unreadable, find_inputs

TEXT = '{"Name": "Ärger 東京"}\n' * 30_000
"""Longer than a chunk, with characters that a chunk's end cuts in two."""


def text_of(path: Path) -> tuple[str, int]:
    """The text of a file and the bytes that were counted while it was read."""
    counted = 0

    def advance(size: int) -> None:
        nonlocal counted
        counted += size

    [one] = find_inputs([path])
    assert isinstance(one, Input)
    return "".join(one.text(advance)), counted


@pytest.mark.parametrize(
    ("promise", "content"),
    [
        ("UTF-8", TEXT.encode()),
        ("UTF-8 with a byte order mark", TEXT.encode("utf-8-sig")),
        ("UTF-16, as Windows PowerShell writes it", TEXT.encode("utf-16")),
        ("gzip, recognized by its content", gzip.compress(TEXT.encode(), 1)),
        ("several gzip files in one", gzip.compress(TEXT[:20].encode(), 1) + gzip.compress(TEXT[20:].encode(), 1)),
        ("gzip of UTF-16", gzip.compress(TEXT.encode("utf-16"), 1)),
    ],
)
def test_text_is_read_in_every_encoding_and_its_bytes_are_counted(promise: str, content: bytes, tmp_path: Path) -> None:
    """The counted bytes are what a progress bar shows: those of the file, not those of the text."""
    file = tmp_path / "whatever"
    file.write_bytes(content)
    assert text_of(file) == (TEXT, len(content)), promise


@pytest.mark.parametrize("content", [b"", b"1", b"\x1f"])
def test_files_shorter_than_any_mark_are_read(content: bytes, tmp_path: Path) -> None:
    """Neither an empty file nor a single byte confuses the recognition of encodings."""
    file = tmp_path / "short"
    file.write_bytes(content)
    assert text_of(file) == (content.decode(), len(content))


def test_bytes_that_are_no_text_become_nul() -> None:
    """JSON allows NUL nowhere, so the value that holds them cannot be taken for a good one."""
    assert b"a\xff\xfeb".decode(errors="rolecall.nul") == "a\0\0b"


def touch(folder: Path, *names: str) -> None:
    """Empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, found: list[Input | Unreadable | Ignored]) -> list[str]:
    """The files to read, relative to `folder`."""
    return [str(Path(one.name).relative_to(folder)) for one in found if isinstance(one, Input)]


def test_a_bucket_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    """Config's keys hold months and days without leading zeros: the ninth comes before the tenth."""
    region = "AWSLogs/111122223333/Config/eu-west-1"
    keys = [
        f"{region}/2025/12/31/ConfigSnapshot/a.json.gz",
        f"{region}/2026/2/9/ConfigHistory/a.json.gz",
        f"{region}/2026/2/9/ConfigSnapshot/a.json.gz",
        f"{region}/2026/2/10/ConfigHistory/a.json.gz",
        f"{region}/2026/10/1/ConfigHistory/a.json.gz",
    ]
    touch(tmp_path, *reversed(keys))
    assert names(tmp_path, list(find_inputs([tmp_path]))) == keys


def test_a_folder_says_what_it_left_alone(tmp_path: Path) -> None:
    """Config writes a file of its own into the bucket, which is no JSON; and people keep notes beside their files."""
    touch(tmp_path, "ConfigWritabilityCheckFile", "b.JSON", "c.jsonl", "d.ndjson.gz", "sub/e.json", "sub/notes.txt")
    found = list(find_inputs([tmp_path]))
    assert names(tmp_path, found) == ["b.JSON", "c.jsonl", "d.ndjson.gz", "sub/e.json"]
    assert found[-1] == Ignored(str(tmp_path), 2)


def test_a_folder_without_json_is_unreadable(tmp_path: Path) -> None:
    """A mistyped folder must not pass for one in which everything is fine."""
    touch(tmp_path, "notes.txt")
    assert list(find_inputs([tmp_path])) == [
        Ignored(str(tmp_path), 1),
        Unreadable(str(tmp_path), "no file in this folder ends in .json, .jsonl, .ndjson, with or without .gz"),
    ]


def test_a_missing_path_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    """What cannot be read does not keep from reading the rest."""
    touch(tmp_path, "a.json")
    missing, there = tmp_path / "missing.json", tmp_path / "a.json"
    assert list(find_inputs([missing, there])) == [
        Unreadable(str(missing), "No such file or directory"),
        Input(str(there), there, 0),
    ]


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    """A folder that is linked into itself is read once."""
    touch(tmp_path, "logs/a.json")
    (tmp_path / "logs" / "again").symlink_to(tmp_path / "logs", target_is_directory=True)
    (tmp_path / "linked").symlink_to(tmp_path / "logs", target_is_directory=True)
    assert names(tmp_path, list(find_inputs([tmp_path]))) == ["linked/a.json"]


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    """It may stand for a file that somebody moved."""
    (tmp_path / "gone.json").symlink_to(tmp_path / "elsewhere.json")
    assert list(find_inputs([tmp_path])) == [Unreadable(str(tmp_path / "gone.json"), "No such file or directory")]


def test_a_folder_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it would be missing from the result."""
    touch(tmp_path, "a.json", "secret/b.json")
    scandir = os.scandir

    def refusing(path: str) -> "os._ScandirIterator[str]":
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list(find_inputs([tmp_path]))[1:] == [Unreadable(str(tmp_path / "secret"), "Permission denied")]
