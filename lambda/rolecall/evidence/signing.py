"""What is signed, by what, and the file that a signature is kept in.

The manifest may be longer than KMS signs (4,096 bytes), so a short text that holds its hash is signed. The text also
says what the chain hangs on, so that a signature of one day can never stand under another.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol

from rolecall.errors import InvalidManifest
from rolecall.evidence.canonical import canonical_bytes, canonical_object
from rolecall.evidence.manifest import SCHEMA, SIGNATURE, Manifest
from rolecall.evidence.signature_form import is_kept_form, kept_form
from rolecall.record import timestamp

ALGORITHM = "ECDSA_SHA_256"
"""On the curve P-256; KMS's name for it."""

SIGNATURE_SCHEMA = "rolecall.evidence.signature/v1"


class Verifier(Protocol):
    """Whoever can tell whether a signature is of one key."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key (DER, SubjectPublicKeyInfo), in hex."""

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the key made this signature of `text`."""


class Signer(Verifier, Protocol):
    """Whoever can use the private key, too."""

    def sign(self, text: bytes) -> bytes:
        """A signature of `text` (at most 4,096 bytes), in DER. Another one each time, which is as good."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What `manifest.sig` holds. Nothing in it can be changed without being noticed: it names no more than it needs."""

    key_fingerprint: str
    value: str
    """Base64 of the signature."""

    @property
    def raw(self) -> bytes:
        """The signature itself."""
        return base64.b64decode(self.value)

    def to_bytes(self) -> bytes:
        """The file."""
        return canonical_bytes(
            {
                "schema": SIGNATURE_SCHEMA,
                "algorithm": ALGORITHM,
                "keyFingerprint": self.key_fingerprint,
                "signature": self.value,
            }
        )


def text_to_sign(manifest: Manifest, manifest_sha256: str) -> bytes:
    """The text that a package's signature is of. `manifest_sha256`: of the manifest file's bytes, in hex."""
    lines = (
        SCHEMA,
        timestamp(manifest.period.start),
        timestamp(manifest.period.end),
        str(manifest.sequence),
        manifest_sha256,
        manifest.previous.signature if manifest.previous else "null",
    )
    return "\n".join(lines).encode()


def signature_by(signer: Signer, text: bytes) -> Signature:
    """Have `text` signed. Raises InvalidManifest for what is no signature."""
    signed = signer.sign(text)
    try:
        kept = kept_form(signed)
    except ValueError:
        raise InvalidManifest(f"{SIGNATURE}: signature", signed, "a signature on P-256 in DER") from None
    return Signature(signer.fingerprint, base64.b64encode(kept).decode())


def read_signature(raw: bytes) -> Signature:
    """Read the file. Raises InvalidManifest unless these are the very bytes that `Signature.to_bytes` writes."""
    given = canonical_object(raw, SIGNATURE)
    signature = Signature(str(given.get("keyFingerprint")), str(given.get("signature")))
    refuse_no_signature(signature.value, f"{SIGNATURE}: signature")
    if signature.to_bytes() != raw:
        raise InvalidManifest(SIGNATURE, given, f"{SIGNATURE_SCHEMA}, with algorithm {ALGORITHM}, and nothing else")
    return signature


def refuse_no_signature(value: str, field: str) -> None:
    """Raise InvalidManifest for what is no base64 of a signature, or another way to write the same."""
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not is_kept_form(decoded) or base64.b64encode(decoded).decode() != value:
        raise InvalidManifest(field, value, "the base64 of a signature on P-256 in DER, with the smaller s")
