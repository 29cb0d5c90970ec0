"""Who began to put a package's files: each version of rolecall says so in the working store, before its first file.

What was put stays, and another version may make other files of the same shards: it then says who can finish them.
"""

import json
from datetime import date
from hashlib import sha256

from rolecall import __version__
from rolecall.evidence.stores import Store

_SUFFIX = ".json"


def say_begun(working: Store, day: date) -> None:
    """Say that this version is about to put files of the package of `day`. Raises what the store does."""
    raw = json.dumps({"rolecallVersion": __version__}).encode() + b"\n"
    working.put_once(f"{_prefix(day)}{__version__}{_SUFFIX}", raw, sha256=sha256(raw).hexdigest())


def who_began(working: Store, day: date) -> str:
    """Who put files of the package of `day`, in words: as far as they said so, and no further."""
    prefix = _prefix(day)
    versions = [key.removeprefix(prefix).removesuffix(_SUFFIX) for key in working.keys(prefix)]
    if not versions:
        return f"no version of rolecall said that it began it (this is {__version__}): find out who put that there"
    if versions == [__version__]:
        return (
            f"this version, {__version__}, began it: either its build, its Python or what the package is made of is no "
            "longer the same, or somebody else put that there"
        )
    began = " and ".join(versions)
    return (
        f"it was begun by version {began}, this is {__version__}: finish it with the version that began it, unless "
        "somebody else put that there"
    )


def _prefix(day: date) -> str:
    return f"sealing/{day}/"
