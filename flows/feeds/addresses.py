"""Addresses of venues, for messages and logs."""

from urllib.parse import urlsplit, urlunsplit


def public_address(url: str) -> str:
    """Return an address without what may be secret in it, its user and its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
