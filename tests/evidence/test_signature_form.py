import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from rolecall.evidence.signature_form import ORDER, is_kept_form, kept_form

SMALL = st.integers(1, 300)
NUMBERS = st.one_of(
    SMALL,
    st.integers(1, ORDER - 1),
    SMALL.map(lambda less: ORDER - less),
    st.integers(0, 255).map(lambda bits: 2**bits),
)
"""Of all lengths, with and without a byte for the sign."""


def test_the_order_is_that_of_the_curve() -> None:
    """As the library has it: n - 1 is the largest private key there is."""
    ec.derive_private_key(ORDER - 1, ec.SECP256R1())
    with pytest.raises(ValueError, match="out of range"):
        ec.derive_private_key(ORDER, ec.SECP256R1())


@given(NUMBERS, NUMBERS)
@example(1, ORDER // 2)
@example(1, ORDER // 2 + 1)
def test_a_signature_keeps_its_r_and_the_smaller_s(r: int, s: int) -> None:
    """As the library reads and writes it; its twin is kept as the same."""
    kept = encode_dss_signature(r, min(s, ORDER - s))
    assert kept_form(encode_dss_signature(r, s)) == kept
    assert kept_form(encode_dss_signature(r, ORDER - s)) == kept
    assert is_kept_form(kept)
    assert is_kept_form(encode_dss_signature(r, s)) == (s <= ORDER // 2)


@given(NUMBERS, NUMBERS, st.data())
def test_no_other_bytes_are_the_same_signature(r: int, s: int, data: st.DataObject) -> None:
    """Whatever is changed, put in or left out: it is another r or s, or no signature."""
    signature = encode_dss_signature(r, min(s, ORDER - s))
    at = data.draw(st.integers(0, len(signature)))
    changed = signature[:at] + data.draw(st.binary(max_size=3)) + signature[at + data.draw(st.integers(0, 3)) :]
    if is_kept_form(changed):
        assert (decode_dss_signature(changed) == decode_dss_signature(signature)) == (changed == signature)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_signature_or_not(raw: bytes) -> None:
    """And never a crash."""
    if is_kept_form(raw):
        assert encode_dss_signature(*decode_dss_signature(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x30",
        bytes.fromhex("300602010102"),
        bytes.fromhex("3006020101020101") + b"\0",
        bytes.fromhex("308106020101020101"),
        bytes.fromhex("300702020001020101"),
        bytes.fromhex("3006020100020101"),
        bytes.fromhex("3006020101020100"),
        bytes.fromhex("3006020181020101"),
        bytes.fromhex("3106020101020101"),
        bytes.fromhex("3080020101020101") + b"\0\0",
        encode_dss_signature(ORDER, 1),
        encode_dss_signature(1, ORDER),
        encode_dss_signature(2**600, 1),
    ],
    ids=["nothing", "a tag", "cut off", "a byte more", "a long length", "a zero before r", "r is 0", "s is 0",
         "r below 0", "no sequence", "an open end", "r is n", "s is n", "an endless r"],
)  # fmt: skip
def test_what_is_no_signature_in_der_has_no_form(raw: bytes) -> None:
    """BER knows more ways than one; DER knows one."""
    assert not is_kept_form(raw)
    with pytest.raises(ValueError, match="no ECDSA signature on P-256 in DER"):
        kept_form(raw)
