"""The one form in which a signature is kept: DER, with the smaller of its two possible values of s.

Of each ECDSA signature (r, s) anybody can make (r, n - s), which is as good: without this rule, that of the newest
package could be changed, and no next package would tell. KMS gives either.
"""

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n, the number of points on P-256: FIPS 186-5, NIST SP 800-186."""

_SEQUENCE, _INTEGER = b"\x30", b"\x02"


def kept_form(signature: bytes) -> bytes:
    """The same signature with the smaller s. Raises ValueError for what is no signature on P-256 in DER."""
    r, s = _numbers(signature)
    return _der(r, min(s, ORDER - s))


def is_kept_form(signature: bytes) -> bool:
    """Whether it is a signature, and in this form."""
    try:
        return kept_form(signature) == signature
    except ValueError:
        return False


def _numbers(signature: bytes) -> tuple[int, int]:
    """The numbers r and s. DER is the only way to write them, so writing them again tells whether it was DER."""
    length = int.from_bytes(signature[3:4], "big")
    r, s = int.from_bytes(signature[4 : 4 + length], "big"), int.from_bytes(signature[6 + length :], "big")
    if not (0 < r < ORDER and 0 < s < ORDER) or _der(r, s) != signature:
        raise ValueError("no ECDSA signature on P-256 in DER")
    return r, s


def _der(r: int, s: int) -> bytes:
    return _tagged(_SEQUENCE, _tagged(_INTEGER, _signed(r)) + _tagged(_INTEGER, _signed(s)))


def _signed(number: int) -> bytes:
    """In as few bytes as leave one bit for the sign."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _tagged(tag: bytes, content: bytes) -> bytes:
    """On P-256 nothing is long enough for more than one byte of length."""
    return tag + bytes([len(content)]) + content
