import base64
import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import InvalidKey, InvalidManifest
from rolecall.evidence.canonical import canonical_bytes
from rolecall.evidence.keys import LocalKey, PublicKey
from rolecall.evidence.manifest import Manifest, Period, Previous, RuleFacts, Totals
from rolecall.evidence.received_manifest import read_manifest
from rolecall.evidence.signature_form import ORDER
from rolecall.evidence.signing import Signature, read_signature, signature_by, text_to_sign
from rolecall.evidence.stores import FolderStore
from tests.evidence.chains import ANOTHER_KEY, KEY, build

SHA256 = "5e" * 32
NUMBERS = bytes.fromhex("3006020107020109")
"""A signature's r and s, if there were one with such small ones."""
PREVIOUS = Previous(SHA256, base64.b64encode(NUMBERS).decode())
MANIFEST = Manifest(Period.of_day(date(2026, 11, 24)), 2, PREVIOUS, (), RuleFacts("rolecall", {}, "0.1.0"), Totals())
FIRST = Manifest(Period.of_day(date(2026, 11, 23)), 1, None, (), RuleFacts("rolecall", {}, "0.1.0"), Totals())


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (
            MANIFEST,
            b"rolecall.evidence/v1\n2026-11-24T00:00:00.000Z\n2026-11-25T00:00:00.000Z\n2\n"
            + SHA256.encode()
            + b"\nMAYCAQcCAQk=",
        ),
        (
            FIRST,
            b"rolecall.evidence/v1\n2026-11-23T00:00:00.000Z\n2026-11-24T00:00:00.000Z\n1\n"
            + SHA256.encode()
            + b"\nnull",
        ),
    ],
)
def test_what_is_signed_is_short_and_says_where_in_the_chain_it_belongs(manifest: Manifest, expected: bytes) -> None:
    """KMS signs at most 4,096 bytes."""
    text = text_to_sign(manifest, SHA256)
    assert text == expected
    assert len(text) < 4096


def test_a_local_key_signs_what_its_public_key_alone_verifies() -> None:
    """Through PEM files, as they are handed over."""
    public = PublicKey.from_pem(KEY.public.pem().encode())
    private = LocalKey.from_pem(KEY.pem().encode())
    signature = private.sign(b"text")
    assert public.fingerprint == private.fingerprint == KEY.fingerprint
    assert public.verifies(b"text", signature)
    assert private.verifies(b"text", signature)
    assert not public.verifies(b"another", signature)
    assert not public.verifies(b"text", b"no signature")
    assert not ANOTHER_KEY.public.verifies(b"text", signature)


def test_a_fingerprint_is_what_openssl_says() -> None:
    """SHA-256 over the key in DER: `openssl pkey -pubin -outform der | sha256sum`."""
    lines = KEY.public.pem().splitlines()
    assert KEY.fingerprint == hashlib.sha256(base64.b64decode("".join(lines[1:-1]))).hexdigest()


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Of any key."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        KEY.pem().encode(),
        public_pem(ec.generate_private_key(ec.SECP384R1())),
        public_pem(ed25519.Ed25519PrivateKey.generate()),
        public_pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["nothing", "an empty key", "a private key", "P-384", "Ed25519", "RSA"],
)
def test_another_kind_of_key_is_refused(pem: bytes) -> None:
    """Only what signs packages can be pinned, and only that can be a private key."""
    with pytest.raises(InvalidKey, match="public key is"):
        PublicKey.from_pem(pem)
    if pem != KEY.pem().encode():
        with pytest.raises(
            InvalidKey, match=r"^the private key is in no file of that form \(PEM\), or has a password; "
        ):
            LocalKey.from_pem(pem)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_that_is_given_for_the_public_one_is_not_shown(form: serialization.PrivateFormat) -> None:
    """The two are easily mixed up, and messages end up in logs."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    with pytest.raises(InvalidKey) as refused:
        PublicKey.from_pem(pem)
    secret = pem.decode().splitlines()[1:-1]
    shown = f"{refused.value} {refused.value.value!r}"
    assert "but a private key is, which nobody else should have" in shown
    assert not [line for line in secret if line[:8] in shown]


@pytest.mark.parametrize(
    ("key", "kind"),
    [(rsa.generate_private_key(65537, 2048), "RSA"), (ed25519.Ed25519PrivateKey.generate(), "Ed25519")],
    ids=["RSA", "Ed25519"],
)
def test_a_key_of_another_kind_says_which(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, kind: str) -> None:
    """In the words of whoever made it."""
    with pytest.raises(InvalidKey) as refused:
        PublicKey.from_pem(public_pem(key))
    assert str(refused.value) == (
        f"the public key is a key of another kind, {kind}; allowed: a key on P-256 (ECDSA): no other key signs packages"
    )


def test_a_key_of_another_curve_says_which() -> None:
    """In either half."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(InvalidKey, match="private key is a key on another curve, secp384r1; allowed: "):
        LocalKey.from_pem(pem)
    with pytest.raises(InvalidKey, match="public key is a key on another curve, secp384r1; allowed: "):
        PublicKey.from_pem(public_pem(key))


def test_a_signature_file_is_read_back() -> None:
    """And is the only way to write the same."""
    signature = signature_by(KEY, b"text")
    raw = signature.to_bytes()
    assert read_signature(raw) == signature
    assert KEY.verifies(b"text", read_signature(raw).raw)


def twin(signature: bytes) -> bytes:
    """The other signature that is as good, with n - s."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, ORDER - s)


SIGNATURE = Signature("f" * 64, base64.b64encode(NUMBERS).decode())


@pytest.mark.parametrize(
    "raw",
    [
        SIGNATURE.to_bytes() + b"\n",
        SIGNATURE.to_bytes().replace(b":", b": "),
        SIGNATURE.to_bytes().replace(b"ECDSA_SHA_256", b"ECDSA_SHA_512"),
        SIGNATURE.to_bytes().replace(b"signature/v1", b"signature/v2"),
        SIGNATURE.to_bytes().replace(b"}", b',"x":1}'),
        SIGNATURE.to_bytes().replace(b"CAQk=", b"CAQl="),
        SIGNATURE.to_bytes().replace(b"CAQk=", b"CAQk"),
        SIGNATURE.to_bytes().replace(b"CAQk=", b"CAQk= "),
        Signature("f" * 64, "").to_bytes(),
        Signature("f" * 64, base64.b64encode(NUMBERS + b"\0").decode()).to_bytes(),
        Signature("f" * 64, base64.b64encode(twin(NUMBERS)).decode()).to_bytes(),
        b'{"signature":7}',
        b"[]",
    ],
)
def test_another_form_of_a_signature_is_refused(raw: bytes) -> None:
    """Not a bit of the file can change: base64 that decodes to the same is another text, too."""
    with pytest.raises(InvalidManifest):
        read_signature(raw)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"rolecall.evidence/v1"', b'"rolecall.evidence/v2"', "schema"),
        (b'"sequence":2', b'"sequence":0', "sequence"),
        (b'"sequence":2', b'"sequence":1', "sequence"),
        (b'"sequence":2', b'"sequence":"2"', "sequence"),
        (b'"sequence":2', b'"sequence":true', "sequence"),
        (b'"sequence":2', b'"sequence":-1', "sequence"),
        (b'"from":"2026-11-24T00:00:00.000Z"', b'"from":"2026-11-24T00:00:00.001Z"', "period.from"),
        (b'"from":"2026-11-24T00:00:00.000Z"', b'"from":"9999-12-31T00:00:00.000Z"', "period.from"),
        (b'"from":"2026-11-24T00:00:00.000Z"', b'"from":7', "period.from"),
        (b'"to":"2026-11-25', b'"to":"2026-11-26', "period"),
        (b'"generatedAt":"2026-11-25', b'"generatedAt":"2026-11-26', "generatedAt"),
        (b'"files":[]', b'"files":{}', "files"),
        (b'"files":[]', b'"files":[7]', "files[0]"),
        (b'"files":[]', b'"files":[{"path":7}]', "files[0].path"),
        (b'"files":[]', b'"files":null', "files"),
        (b'"manifestSha256":"5e', b'"manifestSha256":"5E', "previous.manifestSha256"),
        (b'"signature":"MAY', b'"signature":"*AY', "previous.signature"),
        (b'"compliant":0', b'"compliant":null', "totals.compliant"),
        (b'"compliant":0', b'"compliant":0,"compliantx":0', "the manifest"),
        (b'"name":"rolecall"', b'"name":""', "rule.name"),
        (b'"parameters":{}', b'"parameters":{"a":7}', "rule.parameters.a"),
        (b'"parameters":{}', b'"parameters":[]', "rule.parameters"),
        (b'"files":[]', b'"files":[],"generated":1', "the manifest's keys"),
        (b'"files":[]', b'"files": []', "manifest.json"),
        (b'"files":[],', b'"files":[],"files":[],', "manifest.json"),
    ],
)
def test_a_manifest_that_sealing_does_not_write_is_refused(old: bytes, new: bytes, field: str) -> None:
    """The message names the field."""
    raw = canonical_bytes(MANIFEST.to_json())
    assert old in raw
    changed = raw.replace(old, new)
    with pytest.raises(InvalidManifest) as raised:
        read_manifest(changed)
    assert raised.value.field == field


def test_the_schema_of_manifests_takes_what_is_sealed_and_no_more(tmp_path: Path) -> None:
    """`schemas/evidence-manifest-v1.schema.json` says the same as the reader, in the language of schemas."""
    import jsonschema  # noqa: PLC0415 - for this alone

    schema = json.loads((Path(__file__).parents[2] / "schemas" / "evidence-manifest-v1.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for package in build(FolderStore(tmp_path), 2):
        validator.validate(package.manifest.to_json())
    sealed = package.manifest.to_json()
    for changed in (
        sealed | {"extra": 1},
        sealed | {"sequence": 0},
        sealed | {"schema": "rolecall.evidence/v2"},
        sealed | {"files": [sealed["files"][0] | {"path": "../x"}]},
        sealed | {"files": [sealed["files"][0] | {"records": -1}]},
        sealed | {"totals": {}},
    ):
        assert not validator.is_valid(changed)


class Giving:
    """A signer that gives this."""

    fingerprint = KEY.fingerprint

    def __init__(self, signature: bytes) -> None:
        self._signature = signature

    def sign(self, text: bytes) -> bytes:  # noqa: ARG002 - whatever the text is
        """What it was told."""
        return self._signature

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """As the key says."""
        return KEY.verifies(text, signature)


def test_of_two_signatures_that_are_as_good_one_is_kept() -> None:
    """KMS may give either: the same one is written, and it verifies."""
    given_one = KEY.sign(b"text")
    kept = signature_by(Giving(given_one), b"text")
    assert kept == signature_by(Giving(twin(given_one)), b"text")
    assert KEY.public.verifies(b"text", kept.raw)
    assert KEY.public.verifies(b"text", twin(kept.raw)), "or there would be nothing to refuse"


def test_what_is_no_signature_is_not_kept() -> None:
    """Whoever signs has to give one."""
    with pytest.raises(InvalidManifest, match=r"manifest\.sig: signature is b'none'"):
        signature_by(Giving(b"none"), b"text")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), VALUES, max_size=5))
def test_canonical_json_is_the_same_whatever_the_order_was(value: dict[str, object]) -> None:
    """And every JSON reader gives the value back."""
    raw = canonical_bytes(value)
    assert canonical_bytes(dict(reversed(value.items()))) == raw
    assert json.loads(raw) == value
