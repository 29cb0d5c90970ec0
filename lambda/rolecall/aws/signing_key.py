"""AWS KMS: the asymmetric key that evidence is signed with. Its private half never leaves KMS."""

import hashlib
from functools import cached_property
from typing import Any

from rolecall.aws.clients import calling
from rolecall.errors import InvalidKey, ServiceError
from rolecall.evidence.signing import ALGORITHM

KEY_SPEC = "ECC_NIST_P256"
KEY_USAGE = "SIGN_VERIFY"

_ON_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What every public key on P-256 begins with, in DER: id-ecPublicKey on prime256v1 (RFC 5480), and its length."""

_INVALID_SIGNATURE = "KMSInvalidSignatureException"


class SigningKey:
    """A `signing.Signer`. Needs kms:GetPublicKey, kms:Sign and kms:Verify on the key, and no library for signatures."""

    def __init__(self, kms_client: Any, key_id: str) -> None:  # noqa: ANN401 - made by boto3
        """`key_id`: of the key, its ARN, or an alias. Raises ServiceError, and InvalidKey for a key of another kind."""
        self._client = kms_client
        with calling("GetPublicKey"):
            answer = kms_client.get_public_key(KeyId=key_id)
        usage = answer.get("KeyUsage")
        # The key's own bytes say of what kind it is; stand-ins for KMS leave the field KeySpec out.
        if usage != KEY_USAGE or not answer["PublicKey"].startswith(_ON_P256):
            spec = answer.get("KeySpec") or answer.get("CustomerMasterKeySpec") or "unknown"
            raise InvalidKey(
                f"KMS key {key_id}", f"a key of spec {spec} for {usage}", f"a key of spec {KEY_SPEC} for {KEY_USAGE}"
            )
        # What an alias leads to may change at any time; one package is signed by one key.
        self._key_arn: str = answer["KeyId"]
        self.public_key_der: bytes = answer["PublicKey"]
        """SubjectPublicKeyInfo."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key in DER, in hex."""
        return hashlib.sha256(self.public_key_der).hexdigest()

    def sign(self, text: bytes) -> bytes:
        """A signature of `text` (at most 4,096 bytes), in DER. Raises ServiceError."""
        with calling("Sign"):
            # RAW: KMS hashes the text. Given a digest instead, stand-ins for KMS do not agree with it.
            answer = self._client.sign(KeyId=self._key_arn, Message=text, MessageType="RAW", SigningAlgorithm=ALGORITHM)
        signature: bytes = answer["Signature"]
        return signature

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether this key signed `text`, as KMS says. Raises ServiceError."""
        try:
            with calling("Verify"):
                answer = self._client.verify(
                    KeyId=self._key_arn,
                    Message=text,
                    MessageType="RAW",
                    Signature=signature,
                    SigningAlgorithm=ALGORITHM,
                )
        except ServiceError as error:
            if error.code == _INVALID_SIGNATURE:
                return False
            raise
        return answer.get("SignatureValid") is True


class OlderKey:
    """A `signing.Verifier`: a key that another one took the place of. Needs kms:GetPublicKey and kms:Verify on it.

    KMS is asked about it only when its turn comes: once a package of the new key is there, the old one may be disabled.
    """

    def __init__(self, kms_client: Any, key_id: str) -> None:  # noqa: ANN401 - made by boto3
        self._client = kms_client
        self._key_id = key_id

    @cached_property
    def _key(self) -> SigningKey:
        return SigningKey(self._client, self._key_id)

    @property
    def fingerprint(self) -> str:
        """As of a SigningKey. Raises ServiceError, InvalidKey."""
        return self._key.fingerprint

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the key signed `text`, as KMS says. Raises ServiceError, InvalidKey."""
        return self._key.verifies(text, signature)
