"""Every page of a listing, however AWS cuts it."""

from collections.abc import Callable, Iterator
from typing import Any

from rolecall.aws.clients import Deadline, calling
from rolecall.errors import ServiceError


def pages(  # noqa: PLR0913 - what a listing consists of
    operation: str,
    call: Callable[..., Any],
    request: dict[str, Any],
    deadline: Deadline,
    *,
    following: str = "NextToken",
    keeping: float = 0,
) -> Iterator[Any]:
    """Every answer up to the one without a token; pages may be empty.

    While it reads, `keeping` seconds are left for what comes after, and then the first page is not begun without
    time either; a change's is, because nothing could be reported without it. Raises ServiceError, OutOfTime.
    """
    followed: set[str] = set()
    while True:
        with deadline.keeping(keeping), calling(operation):
            if keeping or followed:
                deadline.check(operation)
            answer = call(**request)
        yield answer
        token = answer.get(following)
        if not token:
            return
        if token in followed:
            raise ServiceError(operation, "EndlessPages", f"page {len(followed) + 1} leads back to an earlier one")
        followed.add(token)
        request[following] = token
