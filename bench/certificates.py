"""A certificate for the endpoint, and the bundle of authorities that a function loads before its first call.

The bundle is botocore's own with one authority more: reading it takes as long as reading botocore's own does, and
that is a good part of a first call.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import botocore.httpsession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

_VALID = timedelta(days=1)
_KEY_BITS = 2048  # what AWS's endpoints have

# Python 3.13 verifies strictly: without this and the two key identifiers it refuses the chain.
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Certificates:
    """Files in PEM."""

    server: Path
    """The server's key and certificate."""
    bundle: Path
    """For AWS_CA_BUNDLE."""


def certificates(folder: Path) -> Certificates:
    """Make an authority and a certificate for 127.0.0.1, valid for a day. The authority's key is not kept."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key = _key(), _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rolecall benchmark")])
    authority = (
        _builder(name, name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _builder(x509.Name([]), name, server_key)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    made = Certificates(server=folder / "server.pem", bundle=folder / "authorities.pem")
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.server.touch(mode=0o600)
    made.server.write_bytes(key + _pem(server))
    shipped = Path(botocore.httpsession.__file__).with_name("cacert.pem")
    made.bundle.write_bytes(shipped.read_bytes() + b"\n" + _pem(authority))
    return made


def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _builder(subject: x509.Name, issuer: x509.Name, key: RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
