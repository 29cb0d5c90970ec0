"""Which instances ever had a verdict, in 8 bytes each: it tells one that was launched without a role from drift."""

import base64
import binascii
import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from rolecall.errors import InvalidRecord

_WIDTH = 8


class KnownInstances:
    """Resource ids of one account, region and rule, each as the first 8 bytes of its SHA-256.

    Of a million instances two share those bytes with a probability of 3 in 100 million; one of them would then be
    taken for drift.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._sorted = array("Q", sorted(set(numbers)))

    def __contains__(self, resource_id: str) -> bool:
        """Whether it had a verdict."""
        wanted = number_of(resource_id)
        position = bisect_left(self._sorted, wanted)
        return position < len(self._sorted) and self._sorted[position] == wanted

    def __iter__(self) -> Iterator[int]:
        """What stands for each, ascending."""
        return iter(self._sorted)

    def __len__(self) -> int:
        """How many."""
        return len(self._sorted)

    def with_numbers(self, numbers: Iterable[int]) -> "KnownInstances":
        """These, and those that `numbers` stand for."""
        return KnownInstances((*self._sorted, *numbers))

    def to_text(self) -> str:
        """The numbers in ascending order, big-endian, in base64."""
        return base64.b64encode(_big_endian(self._sorted).tobytes()).decode()

    @classmethod
    def from_text(cls, text: object) -> "KnownInstances":
        """Read what `to_text` made. Raises InvalidRecord."""
        try:
            packed = base64.b64decode(text if isinstance(text, str) else "!", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRecord("known", text, "base64") from None
        if len(packed) % _WIDTH:
            raise InvalidRecord("known", text, f"base64 of {_WIDTH} bytes for each instance")
        numbers = array("Q")
        numbers.frombytes(packed)
        return cls(_big_endian(numbers))


def number_of(resource_id: str) -> int:
    """What stands for a resource id."""
    return int.from_bytes(hashlib.sha256(resource_id.encode(errors="surrogatepass")).digest()[:_WIDTH])


def _big_endian(numbers: "array[int]") -> "array[int]":
    """To the order in which they are stored, and back."""
    turned = array("Q", numbers)
    if sys.byteorder == "little":
        turned.byteswap()
    return turned
