"""What a server says where it refuses: its own words, out of JSON, a page or plain text."""

import re
from typing import Any

import msgspec

from schemas.decoding import UNREADABLE

_MOST_WORDS = 200
# Where venues put their words: Coinbase, Binance, and what proxies and Yahoo answer.
_WORD_FIELDS = ("message", "msg", "error", "description")
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


def words_of(body: bytes | None) -> str:
    """Return what a server's error says, in one short line; empty where it says nothing.

    Of a page, such as that of a proxy or of a venue under maintenance, it is the title.
    """
    text = (body or b"").decode("utf-8", "replace")
    title = _TITLE.search(text)
    found = _words(body or b"")
    if found is None:
        found = text if title is None else title[1]
    return " ".join(found.split())[:_MOST_WORDS]


def said_of(status: int, body: bytes | None) -> str:
    """Return a status with the words that came with it: ``451: Service unavailable ...``."""
    words = words_of(body)
    return f"{status}: {words}" if words else str(status)


def _words(body: bytes) -> str | None:
    try:
        said: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    while isinstance(said, dict):
        inner = next((said[name] for name in _WORD_FIELDS if said.get(name)), None)
        if inner is None and len(said) == 1:
            [inner] = said.values()  # Yahoo: {"chart": {"error": {...}}}
        if inner is None:
            return None
        said = inner
    return said if isinstance(said, str) else None
