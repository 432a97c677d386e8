"""By which names a server of this machine may be asked: what keeps foreign pages out of loopback.

A page of ``evil.example`` can let its own name lead to 127.0.0.1 once it is loaded (DNS rebinding).
The browser then takes a server on loopback for a part of that page, and lets it read the answers.
What gives it away is the name in the ``Host`` header. An address there cannot be made to lead
elsewhere, and some names are nobody's to lead anywhere: ``localhost``, those without a dot, and
those below the endings that the public name system keeps free.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

ANY_NAME: Final = "*"
REFUSED: Final = "{name!r} is no name to ask this server by; VOLTICK_ALLOWED_HOSTS may name more"
"""What is said to who asks by another name."""

_LOCAL = "localhost"
_PRIVATE = (f".{_LOCAL}", ".test", ".internal")  # RFC 6761, and ICANN's resolution of 2024-07-29
_HOST_HEADER = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?")
_REMEMBERED = 256


def is_address(name: str) -> bool:
    """Whether it is an address of IPv4 or IPv6, without brackets and port."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a name or an address to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        name = host.lower()
        return name == _LOCAL or name.endswith(f".{_LOCAL}")


class ServerNames:
    """Tells by which names a server may be asked.

    Addresses, private names (see above) and the name that the server listens on always are among
    them.

    Parameters
    ----------
    named
        Further names in lower case; ``*.example.com`` for all below one, ``*`` for all that
        there are. Empty: none on loopback, all elsewhere.
    listens_on
        Name or address of the server.
    behind_proxy
        Whether a proxy passes requests on, by names of its own: empty then means all, too.
    """

    def __init__(
        self, named: Sequence[str], listens_on: str, *, behind_proxy: bool = False
    ) -> None:
        is_open = behind_proxy or not is_loopback(listens_on)
        self._all = ANY_NAME in named or (is_open and not named)
        self._names = {listens_on.lower(), *named}
        self._endings = tuple(name[1:] for name in named if name.startswith("*."))
        self.allow = lru_cache(_REMEMBERED)(self._allow)

    def _allow(self, header: str) -> bool:
        """Whether a ``Host`` header, with or without a port, has a name that is taken."""
        if self._all:
            return True
        match = _HOST_HEADER.fullmatch(header.strip().lower())
        if match is None:
            return False
        name = match["name"].removesuffix(".")
        return (
            name in self._names
            or name.endswith(self._endings)
            or _is_private(name)
            or is_address(name.strip("[]"))
        )


def _is_private(name: str) -> bool:
    return bool(name) and ("." not in name or name.endswith(_PRIVATE))
