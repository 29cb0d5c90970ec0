"""Whatever happens to the bytes of a package, verifying ends in order, and passes only if they are what was sealed."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolecall.evidence.canonical import canonical_bytes
from rolecall.evidence.findings import Outcome
from rolecall.evidence.stores import FolderStore
from rolecall.evidence.verifying import verify
from tests.evidence.chains import FIRST_DAY, KEY, build

LAST_DAY = FIRST_DAY + timedelta(days=1)


@pytest.fixture(scope="module", name="sealed")
def _sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sealed")
    build(FolderStore(folder), 2)
    yield folder
    shutil.rmtree(folder)


def outcome(folder: Path) -> Outcome:
    """Of verifying both days."""
    return verify(FolderStore(folder), [KEY.public], until=LAST_DAY).outcome


def files_of(folder: Path) -> list[Path]:
    """Every file, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` with something done to it."""
    at = draw(st.integers(0, len(content)))
    piece = draw(
        st.one_of(
            st.binary(min_size=0, max_size=40),
            st.sampled_from(
                [b"0", b"1", b"9" * 400, b"null", b'"', b"{", b"}", b"\n", b",", b"..", b"\x00", b"\xff", b"="]
            ),
        )
    )
    cut = draw(st.integers(0, 8))
    return content[:at] + piece + content[at + cut :]


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_package_never_passes_and_never_crashes_verifying(sealed: Path, data: st.DataObject) -> None:
    """Bytes of one or several files are changed, inserted, removed, or taken from another file."""
    chosen = data.draw(st.lists(st.sampled_from(files_of(sealed)), min_size=1, max_size=3, unique=True))
    original = {path: path.read_bytes() for path in chosen}
    changed = {}
    for path, content in original.items():
        if data.draw(st.integers(0, 9)) == 0:
            changed[path] = data.draw(st.sampled_from(files_of(sealed))).read_bytes()
        else:
            changed[path] = data.draw(st.composite(mutated)(content))
    try:
        for path, content in changed.items():
            path.write_bytes(content)
        found = outcome(sealed)
    finally:
        for path, content in original.items():
            path.write_bytes(content)
    assert (found is Outcome.OK) == (changed == original)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_seal_of_any_json_never_passes_and_never_crashes_verifying(sealed: Path, data: st.DataObject) -> None:
    """Manifests and signatures of the right shape and of none."""
    path = (
        sealed
        / f"{data.draw(st.sampled_from([FIRST_DAY, LAST_DAY]))}"
        / data.draw(st.sampled_from(["manifest.json", "manifest.sig"]))
    )
    original = path.read_bytes()
    changed = data.draw(changed_json(original))
    try:
        path.write_bytes(changed)
        found = outcome(sealed)
    finally:
        path.write_bytes(original)
    assert (found is Outcome.OK) == (changed == original)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("../../x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed_json(draw: st.DrawFn, raw: bytes) -> bytes:
    """A document in which one value, anywhere, is another one; canonical as far as it can be."""
    document = json.loads(raw)
    places = list(_places(document))
    holder, key = draw(st.sampled_from(places))
    holder[key] = draw(VALUES)  # type: ignore[index]  # a dict or a list
    try:
        return canonical_bytes(document)
    except ValueError:
        return json.dumps(document).encode()


def _places(value: object) -> Iterator[tuple[object, object]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_package_with_other_files_never_passes(sealed: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Files are removed, copied, swapped and renamed."""
    folder = tmp_path / "chain"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sealed, folder)
    path = data.draw(st.sampled_from(files_of(folder)))
    target = data.draw(st.sampled_from(files_of(folder))) if data.draw(st.booleans()) else path.with_name("other")
    kind = data.draw(st.sampled_from(["remove", "copy", "move"]))
    same = kind != "remove" and target.exists() and path.read_bytes() == target.read_bytes()
    if kind == "remove":
        path.unlink()
    elif kind == "copy" and path != target:
        shutil.copy(path, target)
    elif kind == "move":
        path.replace(target)
    unchanged = kind != "remove" and (path == target or (kind == "copy" and same))
    assert (outcome(folder) is Outcome.OK) == unchanged
