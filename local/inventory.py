"""What the recorder of one account and region has recorded: GetResourceConfigHistory and SelectResourceConfig."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, overload

from local import query
from local.configuration_items import Item, Key, api_item, capture_ms, check, is_deleted, key_of, query_document
from local.paging import Pages
from local.service_errors import ServiceError
from local.timestamps import epoch_ms

_HISTORY_DEFAULT_LIMIT = 10
QUERY_DEFAULT_LIMIT = 25
_LISTINGS_KEPT = 8
"""Of queries, which may be large."""


class Inventory:
    """All configuration items, by resource. Not safe to use from many threads: its region holds the lock."""

    def __init__(self) -> None:
        self._items: dict[Key, list[Item]] = {}
        self._version = 0
        self._listings: OrderedDict[str, tuple[int, Rows]] = OrderedDict()
        self._history_pages: Pages[Item] = Pages()
        self._query_pages: Pages[str] = Pages(_LISTINGS_KEPT)

    def add(self, item: Item) -> Item | None:
        """Keep an item; returns the one before it. Raises ValueError unless it is the newest of its resource."""
        check(item)
        items = self._items.setdefault(key_of(item), [])
        previous = items[-1] if items else None
        if previous is not None and capture_ms(item) <= capture_ms(previous):
            raise ValueError(
                f"{item['resourceId']}: configurationItemCaptureTime is {item['configurationItemCaptureTime']}; "
                f"allowed: later than that of the newest item, {previous['configurationItemCaptureTime']}"
            )
        items.append(item)
        self._version += 1
        return previous

    def newest(self, key: Key) -> Item | None:
        """The last known item of a resource, even if it says that the resource is gone."""
        items = self._items.get(key)
        return items[-1] if items else None

    def current(self) -> list[Item]:
        """The last known item of every resource that is not deleted."""
        return [items[-1] for items in self._items.values() if not is_deleted(items[-1])]

    def history(self, request: dict[str, Any], *, empty: bool) -> dict[str, Any]:
        """GetResourceConfigHistory, newest first unless asked otherwise."""
        resource_type, resource_id = request["resourceType"], request["resourceId"]
        if (resource_type, resource_id) not in self._items:
            raise ServiceError(
                "ResourceNotDiscoveredException",
                f"Resource {resource_id} of resourceType:{resource_type} is unknown or has not been discovered",
            )
        later, earlier, order = (request.get(name) for name in ("laterTime", "earlierTime", "chronologicalOrder"))
        if later is not None and earlier is not None and earlier >= later:
            raise ServiceError(
                "InvalidTimeRangeException",
                "The specified time range is invalid. The earlier time is not chronologically before the later time.",
            )

        def rows() -> list[Item]:
            found = [
                item
                for item in self._items[resource_type, resource_id]
                if (later is None or capture_ms(item) <= epoch_ms(later))
                and (earlier is None or capture_ms(item) >= epoch_ms(earlier))
            ]
            return found if order == "Forward" else found[::-1]

        limit = request.get("limit") or _HISTORY_DEFAULT_LIMIT
        call = (resource_type, resource_id, later, earlier, order)
        page, token = self._history_pages.page(call, rows, limit, request.get("nextToken"), empty=empty)
        answer: dict[str, Any] = {"configurationItems": [api_item(item) for item in page]}
        return answer | ({"nextToken": token} if token else {})

    def select(self, request: dict[str, Any], *, empty: bool) -> bytes:
        """SelectResourceConfig. The answer's JSON is put together from rows that are rendered only once."""
        expression = request["Expression"]
        understood = query.parse(expression)
        limit = request.get("Limit") or QUERY_DEFAULT_LIMIT
        page, token = self._query_pages.page(
            expression, lambda: self._listing(expression, understood), limit, request.get("NextToken"), empty=empty
        )
        return answer_of_query(understood, page, token)

    def _listing(self, expression: str, understood: query.Query) -> "Rows":
        """What a query finds now; rendered rows live on until something changes."""
        version, rows = self._listings.get(expression, (-1, None))
        if rows is None or version != self._version:
            found = [item for item in self.current() if understood.matches(query_document(item))]
            rows = Rows(understood, sorted(found, key=itemgetter("resourceId")))
            self._listings[expression] = (self._version, rows)
            while len(self._listings) > _LISTINGS_KEPT:
                self._listings.popitem(last=False)
        return rows


def answer_of_query(understood: query.Query, page: Sequence[str], token: str | None) -> bytes:
    """The answer of SelectResourceConfig and SelectAggregateResourceConfig, from rows that are JSON texts already."""
    fields = json.dumps({"SelectFields": [{"Name": path} for path in understood.paths]})
    following = f',"NextToken":{json.dumps(token)}' if token else ""
    return f'{{"Results":[{",".join(page)}],"QueryInfo":{fields}{following}}}'.encode()


class Rows(Sequence[str]):
    """The rows of a query's answer as JSON texts, each made when its page is first asked for."""

    def __init__(self, understood: query.Query, items: list[Item]) -> None:
        self._query = understood
        self._items = items
        self._rendered: list[str | None] = [None] * len(items)

    def __len__(self) -> int:
        """All rows, rendered or not."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """One row, or those of a page."""
        if isinstance(index, slice):
            return [self._row(number) for number in range(*index.indices(len(self)))]
        return self._row(range(len(self))[index])

    def _row(self, number: int) -> str:
        row = self._rendered[number]
        if row is None:
            text = json.dumps(self._query.row(query_document(self._items[number])), separators=(",", ":"))
            row = self._rendered[number] = json.dumps(text)
        return row
