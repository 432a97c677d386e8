"""Addresses of venues: for messages and logs, and without the credentials in them."""

from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit


def public_address(url: str) -> str:
    """Return an address without what may be secret in it, its user and its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_credentials(url: str) -> tuple[str, str | None]:
    """Return an address without its user and password, and the ``Authorization`` that these make.

    ``%40`` and its like stand for the signs that an address cannot hold; they are sent as UTF-8.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}".encode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {b64encode(pair).decode()}"
