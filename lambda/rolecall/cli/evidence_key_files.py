"""Keys of evidence in files: those that options name, and the public one that is left beside the packages."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import typer

from rolecall.cli.screen import say
from rolecall.errors import AlreadyWritten, InvalidKey
from rolecall.evidence.signing import Signer
from rolecall.evidence.stores import FolderStore

if TYPE_CHECKING:  # its library loads slowly, and --help needs none
    from rolecall.evidence.keys import LocalKey, PublicKey

PUBLIC_KEY = "public-key.pem"
"""Beside the packages: the first key's name."""

_MAX_KEY_BYTES = 64 * 1024

_PRIVATE = b"PRIVATE KEY-----"
"""What the first line of any private key as PEM ends with."""


class KmsSigner(Signer, Protocol):
    """A key of KMS."""

    @property
    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo."""


def private_key(path: Path, option: str) -> "LocalKey":
    """A key that signs. Raises BadParameter, which shows nothing of the file."""
    return _private(_read(path, option), path, option)


def public_key(path: Path, option: str) -> "PublicKey":
    """A key that verifies. Raises BadParameter, which shows nothing of the file."""
    return _public(_read(path, option), path, option)


def either_key(path: Path, option: str) -> "PublicKey":
    """What verifies, from a public key or from a private one. Raises BadParameter, as the others do."""
    pem = _read(path, option)
    return _private(pem, path, option).public if _PRIVATE in pem else _public(pem, path, option)


def write_public_keys(output: Path, signer: Signer, older_keys: Sequence["PublicKey"]) -> list[Path]:
    """Leave public keys beside the packages, for whoever has no other copy: older ones, then the signer's.

    Returns where they are, and no other that lies there: anybody may have put it. A key that is there stays: the one
    that took its place gets a name of its own, and is told of.
    """
    from rolecall.evidence.keys import LocalKey, PublicKey  # noqa: PLC0415 - its library loads slowly

    if isinstance(signer, LocalKey):
        public = signer.public
    else:
        # The only other signer.
        public = PublicKey.from_der(cast("KmsSigner", signer).public_key_der)
    names = [_left_beside(output, key) for key in (*older_keys, public)]
    if names[-1] != PUBLIC_KEY:
        say(f"{output / PUBLIC_KEY} is another key than the one that signs, {public.fingerprint}: see {names[-1]}")
    return [output / name for name in dict.fromkeys(names)]


def other_public_keys(output: Path, known: Sequence[Path]) -> list[Path]:
    """What lies beside the packages under such a name, and is none of those that are known; sorted."""
    return sorted(path for path in output.glob("public-key*.pem") if path not in known)


def _left_beside(output: Path, public: "PublicKey") -> str:
    """The name that the key has there."""
    pem = public.pem().encode()
    store, sha256 = FolderStore(output), hashlib.sha256(pem).hexdigest()
    try:
        store.put_once(PUBLIC_KEY, pem, sha256=sha256)
    except AlreadyWritten:
        name = f"public-key-{public.fingerprint[:16]}.pem"
        store.put_once(name, pem, sha256=sha256)
        return name
    return PUBLIC_KEY


def _read(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror or error}", param_hint=option) from None


def _private(pem: bytes, path: Path, option: str) -> "LocalKey":
    from rolecall.evidence.keys import LocalKey  # noqa: PLC0415 - its library loads slowly

    try:
        return LocalKey.from_pem(pem)
    except InvalidKey as refused:
        raise typer.BadParameter(f"{path}: {refused}", param_hint=option) from None


def _public(pem: bytes, path: Path, option: str) -> "PublicKey":
    from rolecall.evidence.keys import PublicKey  # noqa: PLC0415 - its library loads slowly

    try:
        return PublicKey.from_pem(pem)
    except InvalidKey as refused:
        raise typer.BadParameter(f"{path}: {refused}", param_hint=option) from None
