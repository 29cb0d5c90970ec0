from datetime import date
from pathlib import Path

import pytest

from rolecall import __version__
from rolecall.evidence import begun
from rolecall.evidence.begun import say_begun, who_began
from rolecall.evidence.stores import FolderStore

DAY, ANOTHER = date(2026, 3, 1), date(2026, 3, 2)


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ((), f"no version of rolecall said that it began it (this is {__version__}): find out who put that there"),
        (
            (__version__,),
            (
                f"this version, {__version__}, began it: either its build, its Python or what the package is made of "
                "is no longer the same, or somebody else put that there"
            ),
        ),
        (
            ("9.0.0",),
            (
                f"it was begun by version 9.0.0, this is {__version__}: finish it with the version that began it, "
                "unless somebody else put that there"
            ),
        ),
        (
            ("9.1.0", "9.0.0"),
            (
                f"it was begun by version 9.0.0 and 9.1.0, this is {__version__}: finish it with the version that "
                "began it, unless somebody else put that there"
            ),
        ),
    ],
    ids=["nobody", "this one", "another one", "two"],
)
def test_every_version_that_began_a_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: tuple[str, ...], says: str
) -> None:
    """As it said itself, however often; of another day, nothing is said."""
    store = FolderStore(tmp_path)
    with monkeypatch.context() as deployed:
        for version in versions:
            deployed.setattr(begun, "__version__", version)
            for _ in range(2):
                say_begun(store, DAY)
    assert who_began(store, DAY) == says
    assert who_began(store, ANOTHER).startswith("no version of rolecall")
