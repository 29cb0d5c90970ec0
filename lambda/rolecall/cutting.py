"""Texts made to fit where a service counts: one line, cut at a word, never inside a character.

Services whose strings are UTF-16 count a character beyond the basic plane twice, and so does everything here: what fits
in UTF-16 units fits in characters as well.
"""

import re

ELLIPSIS = "…"


def units(text: str) -> int:
    """UTF-16 units of `text`."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def sendable(text: str) -> str:
    """`text` without lone surrogates: they can arrive in JSON, but not leave in UTF-8."""
    return text if text.isascii() else re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def shortened(text: str, limit: int) -> str:
    """The longest beginning of a sendable `text` that has at most `limit` units."""
    if units(text) <= limit:
        return text
    # Half of a surrogate pair at the end is no character: it is left out.
    return text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", "ignore")


def fitted(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` units, cut at a word and then ended by an ellipsis."""
    if not text.isprintable() or "  " in text:
        # Control characters would break the line.
        text = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", sendable(text))
    line = text.strip()
    if units(line) <= limit:
        return line
    kept = shortened(line, limit - 1)
    whole_words = kept.rpartition(" ")[0]
    # One word longer than half a line is cut inside: better a part of it than almost nothing.
    return (whole_words if len(whole_words) > len(kept) // 2 else kept).rstrip(" ,.;:") + ELLIPSIS
