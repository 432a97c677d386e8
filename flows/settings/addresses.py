"""Addresses of servers: each is usable as it stands, or refused with the reason."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import SecretStr

from flows.host.server_names import is_address

_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:,/\[\]<>{}()$;]+)(:(?P<port>[0-9]{1,5}))?")
_HOST = re.compile(r"[\w.:%-]+")
# Beside names proper, addresses, which are taken without being named.
_HOST_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d+)?")
_DATABASE = re.compile(r"/?|/\d+")
_YES_OR_NO = frozenset(("0", "1", "true", "false", "yes", "no"))


def brokers(names: Sequence[str]) -> str:
    """Return Kafka brokers, ``host:port`` each, with commas between.

    Raises
    ------
    ValueError
        One of them is no such address.
    """
    for broker in names:
        match = _BROKER.fullmatch(broker)
        if match is None or not broker.isprintable() or not 0 < int(match["port"] or 9092) < 65536:
            cure = "; write it without what ends in ://" if "://" in broker else ""
            message = f"{broker!r} is not host:port{cure}"
            raise ValueError(message)
    return ",".join(names)


def host(value: str) -> str:
    """Return a name or an address to listen on; that of IPv6 without its brackets.

    Raises
    ------
    ValueError
        It is empty, or has a port or a scheme with it.
    """
    name = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not name:
        message = "write 127.0.0.1 for this machine alone, 0.0.0.0 for all that reach it"
        raise ValueError(message)
    if _HOST.fullmatch(name) is None or (":" in name and not is_address(name)):
        message = "it is a host's name or address alone, such as 0.0.0.0, without scheme and port"
        raise ValueError(message)
    return name


def host_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of hosts in lower case, without a dot at the end.

    Raises
    ------
    ValueError
        One is neither ``*`` nor a name, which may begin with ``*.``.
    """
    for value in values:
        if value != "*" and _HOST_NAME.fullmatch(value) is None:
            message = (
                f"{value!r} is no host's name: write desk.example.com, *.example.com or *, without"
                " scheme, port and path"
            )
            raise ValueError(message)
    return tuple(value.lower().removesuffix(".") for value in values)


def networks(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks as they are.

    Raises
    ------
    ValueError
        One of them is neither, and not ``*``.
    """
    for value in values:
        if value != "*":
            try:
                ipaddress.ip_network(value)
            except ValueError as error:
                message = f"{value!r} is no address, no network and not *: {error}"
                raise ValueError(message) from None
    return values


def websocket_url(value: str) -> str:
    """Return the address of a live feed as it is.

    Raises
    ------
    ValueError
        It is no WebSocket address.
    """
    if not value.startswith(("ws://", "wss://")):
        message = "a WebSocket address starts with ws:// or wss://"
        raise ValueError(message)
    address = _address(value)
    if address is None or address.fragment:
        message = (
            "a WebSocket address has a host and, if any, a port from 1 to 65535, no blanks and no #"
        )
        raise ValueError(message)
    return value


def http_url(value: str) -> str:
    """Return an address for requests without a slash at its end.

    Raises
    ------
    ValueError
        It is no HTTP address, or one with options.
    """
    if not value.startswith(("http://", "https://")):
        message = "a REST address starts with http:// or https://"
        raise ValueError(message)
    address = _address(value)
    if address is None or address.query or address.fragment:
        message = "a REST address has a host and, if any, a port and a path; nothing after it"
        raise ValueError(message)
    return value.rstrip("/")


def origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return web origins as browsers send them.

    Raises
    ------
    ValueError
        One is neither ``*`` nor scheme, host and, if any, port.
    """
    for value in values:
        address = _address(value) if value.startswith(("http://", "https://")) else None
        plain = address is not None and value == f"{address.scheme}://{address.netloc}"
        if value != "*" and (not plain or "@" in value):
            message = f"{value!r} is no origin: write https://host or https://host:port, or *"
            raise ValueError(message)
    return values


def is_readable_file(path: str) -> bool:
    """Whether there is a file of this name that may be read."""
    try:
        return Path(path).is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):  # the name is too long, or holds a zero
        return False


def secret_url(value: SecretStr) -> SecretStr:
    """Return an HTTP address that is a secret: a webhook's path is its password.

    Raises
    ------
    ValueError
        It is none; no part of it is repeated.
    """
    url = value.get_secret_value()
    if not url.startswith(("http://", "https://")) or _address(url) is None:
        message = "an address starts with http:// or https:// and has a host"
        raise ValueError(message)
    return value


def _address(value: str) -> SplitResult | None:
    """Return an address by its parts; None where its host is missing or its port is none."""
    if re.search(r"\s", value):
        return None
    try:
        address = urlsplit(value)
        usable = address.hostname and _HOST.fullmatch(address.hostname) and address.port != 0
    except ValueError:
        return None
    return address if usable else None


def redis_url(value: SecretStr) -> SecretStr:
    """Return the address of Redis as it is.

    Raises
    ------
    ValueError
        It is no such address, or an option in it is not the client's. No message repeats any part
        of it: an unescaped password ends up in every other part.
    """
    url = value.get_secret_value()
    if not url.startswith(("redis://", "rediss://", "unix://")):
        message = "a Redis URL starts with redis://, rediss:// or unix://"
        raise ValueError(message)
    is_socket = url.startswith("unix:")
    try:
        parts = urlsplit(url)
        readable = parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        readable = False
    if not readable or (parts.hostname and not _HOST.fullmatch(parts.hostname)):
        message = "its host or port cannot be read; in a password, write / # ? @ [ as %2F %23 ..."
        raise ValueError(message)
    if not (parts.path if is_socket else parts.hostname):
        message = "it names no host: write redis://host:6379/0, or unix:///path for a socket"
        raise ValueError(message)
    if parts.fragment or not (is_socket or _DATABASE.fullmatch(parts.path)):
        message = "after the address comes the number of the database, such as /0, or nothing"
        raise ValueError(message)
    _check_redis_options(url, parts)
    return value


def _check_redis_options(url: str, parts: SplitResult) -> None:
    """Refuse what would change how Redis is read, belongs to another client or has no meaning."""
    import redis  # not above: what has no Redis need not load it

    given = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    if len(options) < len(given) or not options.keys() <= _REDIS_OPTIONS.keys():
        raise ValueError(_UNKNOWN_OPTION)
    for name, text in options.items():
        is_usable, meant = _REDIS_OPTIONS[name]
        if not is_usable(text):
            message = f"its option {name} takes {meant}"
            raise ValueError(message)
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # connects to nothing yet
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(_UNKNOWN_OPTION) from None


def _is_seconds(text: str) -> bool:
    return _SECONDS.fullmatch(text) is not None and float(text) > 0


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_yes_or_no(text: str) -> bool:
    return text.lower() in _YES_OR_NO


def _is_readable(text: str) -> bool:
    return is_readable_file(text)


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # the name is too long
        return False


def _is_anything(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


_Check = tuple[Callable[[str], bool], str]
_REDIS_OPTIONS: Mapping[str, _Check] = {
    "db": (_is_whole, "the number of a database"),
    "client_name": (_is_anything, "a name without blanks"),
    "health_check_interval": (_is_whole, "a whole number of seconds"),
    "socket_keepalive": (_is_yes_or_no, "true or false"),
    "socket_timeout": (_is_seconds, "a number of seconds above 0"),
    "socket_connect_timeout": (_is_seconds, "a number of seconds above 0"),
    "retry_on_timeout": (_is_yes_or_no, "true or false"),
    "ssl_cert_reqs": (
        frozenset(("none", "optional", "required")).__contains__,
        "none, optional or required",
    ),
    "ssl_check_hostname": (_is_yes_or_no, "true or false"),
    "ssl_ca_certs": (_is_readable, "a file that can be read"),
    "ssl_ca_path": (_is_folder, "a folder of certificates"),
    "ssl_ca_data": (bool, "certificates"),
    "ssl_certfile": (_is_readable, "a file that can be read"),
    "ssl_keyfile": (_is_readable, "a file that can be read"),
    "ssl_password": (bool, "the key's password"),
    "ssl_ciphers": (bool, "names of ciphers"),
}
_UNKNOWN_OPTION = (
    "an option after `?` is unknown, given twice or unusable; options are db, client_name,"
    " health_check_interval, socket_keepalive, socket_timeout, socket_connect_timeout,"
    " retry_on_timeout, and ssl_* with rediss://"
)
