"""Comparing two lists of exemptions without holding either: each exemption is hashed, and the hashes are summed up.

The order of a list does not change its sum, and an exemption more, less or twice does.
"""

import hashlib
from dataclasses import dataclass, field

_MODULUS = 2**256


@dataclass(slots=True)
class ExemptionSum:
    """Of the exemptions of one account and region."""

    count: int = 0
    total: int = 0

    def add(self, resource_id: str, granted: str | None, expires: str | None) -> None:
        """One more; days are YYYY-MM-DD, None and empty are the same."""
        text = "\0".join((resource_id, granted or "", expires or ""))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self.count += 1
        self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS


@dataclass(slots=True)
class ExemptionSums:
    """By account and region."""

    by_home: dict[tuple[str, str], ExemptionSum] = field(default_factory=dict)

    def of(self, account: str, region: str) -> ExemptionSum:
        """The sum to add to."""
        return self.by_home.setdefault((account, region), ExemptionSum())

    def differences(self, other: "ExemptionSums") -> list[tuple[str, str]]:
        """The accounts and regions whose exemptions are not the same in both, sorted."""
        homes = self.by_home.keys() | other.by_home.keys()
        empty = ExemptionSum()
        return sorted(home for home in homes if self.by_home.get(home, empty) != other.by_home.get(home, empty))
