"""`exemptions.csv`: who declared which instance exempt, why, and until when.

Everything in it is what the instance's tags say; rolecall does not know who set them.
"""

from datetime import date
from typing import BinaryIO

from rolecall.evidence.package_files import CsvRows
from rolecall.evidence.rows import EvidenceRow
from rolecall.model import Exemption

EXEMPTIONS = "exemptions.csv"

CSV_HEADER = (
    "account", "region", "resource_id", "reason", "approved_by", "ticket", "granted", "expires", "days_left", "age",
    "state", "problem", "verdict",
)  # fmt: skip


class ExemptionRows:
    """Takes every row and writes those with an exemption, whether it holds or not, and used or not."""

    def __init__(self, stream: BinaryIO, day: date) -> None:
        self._table = CsvRows(stream, CSV_HEADER)
        self._day = day

    def take_row(self, row: EvidenceRow) -> None:
        """One instance of the population."""
        exemption = row.exemption
        if exemption is None:
            return
        self._table.write(
            [
                row.account,
                row.region,
                row.resource_id,
                exemption.reason,
                exemption.approved_by,
                exemption.ticket,
                exemption.granted.isoformat() if exemption.granted else None,
                exemption.expires.isoformat() if exemption.expires else None,
                days_left(exemption, self._day),
                age(exemption, self._day),
                exemption.state.value,
                exemption.problem,
                row.verdict.value,
            ]
        )


def days_left(exemption: Exemption, day: date) -> int | None:
    """Days after `day` on which it still holds; 0: `day` is the last, below 0: it is over. None: it has no end."""
    return (exemption.expires - day).days if exemption.expires else None


def age(exemption: Exemption, day: date) -> int | None:
    """Days from granting to `day`; None where no tag says when it was granted."""
    return (day - exemption.granted).days if exemption.granted else None
