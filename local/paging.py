"""Pages over a listing that does not change while it is read, however much is written meanwhile."""

import base64
import binascii
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from local.service_errors import ServiceError

Row = TypeVar("Row")


class Pages(Generic[Row]):
    """The listings being read. A token leads to the same page however often it is used.

    Tokens belong to the call that issued them: with other parameters they are refused, as they are once `kept` newer
    listings have been begun.
    """

    def __init__(self, kept: int = 256) -> None:
        self._kept = kept
        self._listings: OrderedDict[str, tuple[Hashable, Sequence[Row]]] = OrderedDict()

    def page(
        self, call: Hashable, rows: Callable[[], Sequence[Row]], limit: int, token: str | None, *, empty: bool = False
    ) -> tuple[Sequence[Row], str | None]:
        """At most `limit` rows from where `token` leads (from the first one without a token), and the next token.

        `rows` is asked for the listing when there is no token. An `empty` page has no rows, but a token. Raises
        ServiceError for a token that leads nowhere.
        """
        if token is None:
            listing, offset, empties, found = secrets.token_hex(8), 0, 0, rows()
            self._listings[listing] = (call, found)
            while len(self._listings) > self._kept:
                self._listings.popitem(last=False)
        else:
            listing, offset, empties, found = self._continued(call, token)
        end = offset if empty else offset + limit
        # The token of an empty page is a new one, too: the same one again would lead nowhere.
        following = _token(listing, end, empties + empty)
        return found[offset:end], following if end < len(found) or empty else None

    def _continued(self, call: Hashable, token: str) -> tuple[str, int, int, Sequence[Row]]:
        try:
            listing, offset, empties = base64.urlsafe_b64decode(token).decode("ascii").split(":")
            known_call, rows = self._listings[listing]
            if known_call == call:
                return listing, int(offset), int(empties), rows
        except (binascii.Error, ValueError, KeyError):
            pass
        raise ServiceError("InvalidNextTokenException", "The nextToken provided is invalid")


def _token(listing: str, offset: int, empties: int) -> str:
    return base64.urlsafe_b64encode(f"{listing}:{offset}:{empties}".encode("ascii")).decode("ascii")
