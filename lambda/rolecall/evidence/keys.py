"""Keys of ECDSA on P-256 outside KMS: the public one that an auditor pins, a private one for laptops and tests.

Only the command line needs this: sealing in AWS leaves signing and verifying to KMS.
"""

import hashlib
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rolecall.errors import InvalidKey

_ALLOWED = "the PEM of a public key on P-256, as `rolecall evidence keys` writes it"


def _kind(key: object) -> str:
    """What sort of key it is, without anything of the key."""
    curve = getattr(key, "curve", None)
    if isinstance(curve, ec.EllipticCurve):
        return f"a key on another curve, {curve.name}"
    return f"a key of another kind, {re.sub('(Public|Private)Key$', '', type(key).__name__)}"


class PublicKey:
    """A pinned key: a `signing.Verifier`."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def from_pem(cls, pem: bytes) -> "PublicKey":
        """Read a key. Raises InvalidKey, which shows nothing of what was given: it may be the private one."""
        try:
            return cls._of(serialization.load_pem_public_key(pem))
        except (ValueError, UnsupportedAlgorithm):
            given = (
                "not in there, but a private key is, which nobody else should have"
                if b"PRIVATE KEY" in pem
                else "in no file of that form (PEM)"
            )
            raise InvalidKey("public key", given, _ALLOWED) from None

    @classmethod
    def from_der(cls, der: bytes) -> "PublicKey":
        """Read a key as KMS gives it. Raises InvalidKey."""
        try:
            return cls._of(serialization.load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm):
            raise InvalidKey("public key", "not readable (DER)", "a public key on P-256") from None

    @classmethod
    def _of(cls, key: object) -> "PublicKey":
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidKey("public key", _kind(key), "a key on P-256 (ECDSA): no other key signs packages")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key in DER, in hex."""
        return hashlib.sha256(self._der).hexdigest()

    def pem(self) -> str:
        """The key as a file."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether this key signed `text`."""
        try:
            self._key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class LocalKey:
    """A private key in memory: a `signing.Signer` for one account on a laptop. In AWS, no one ever holds the key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())
        """What verifies."""

    @classmethod
    def generate(cls) -> "LocalKey":
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> "LocalKey":
        """Read a key. Raises InvalidKey, which shows nothing of it."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            given = _kind(key) if key else "in no file of that form (PEM), or has a password"
            raise InvalidKey("private key", given, "the PEM of a private key on P-256, without a password")
        return cls(key)

    def pem(self) -> str:
        """The key as a file, which only its owner may read."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def fingerprint(self) -> str:
        """Of the public key."""
        return self.public.fingerprint

    def sign(self, text: bytes) -> bytes:
        """A signature of `text`, in DER."""
        return self._key.sign(text, ec.ECDSA(hashes.SHA256()))

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether this key signed `text`."""
        return self.public.verifies(text, signature)
