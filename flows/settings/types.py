"""The shapes a setting's value can have, each refusing what it cannot use with a reason."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from schemas.feeds import FEEDS, REPLAY_PREFIX, split_feeds
from schemas.topics import ARCHIVED

_REDIS_OPTION = re.compile(
    r"db|client_name|health_check_interval|socket_keepalive|socket_timeout|socket_connect_timeout"
    r"|retry_on_timeout|ssl_[a-z_]+"
)
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_NOT_IN_A_NAME = re.compile(r"[\s;#'\"\[\]{}]")
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:,/\[\]]+)(:(?P<port>\d{1,5}))?")


def whole_number(value: str) -> object:
    """Return the integer that a text such as ``1e3`` means; the text itself if it is none."""
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() and "e" in value.lower() else value


def _split(value: str) -> tuple[str, ...]:
    """Split at commas, or at blanks where there is no comma; quotes around a part go."""
    parts = value.split(",") if "," in value else value.split()
    names = [_unquoted(part.strip()) for part in parts]
    if "" in names:
        message = "one of the comma-separated names is empty"
        raise ValueError(message)
    if len(set(names)) != len(names):
        message = "a name appears twice"
        raise ValueError(message)
    return tuple(names)


def _names(value: object) -> object:
    """Split a list of names, which may be written as JSON or YAML do, in brackets."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    names = _split(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    wrong = next((name for name in names if _NOT_IN_A_NAME.search(name)), None)
    if wrong is not None:
        message = f"{wrong!r} is no name; write names with commas between, such as A,B"
        raise ValueError(message)
    return names


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"" else name


def _some_names(value: object) -> object:
    names = _names(value)
    if names == ():
        message = "name at least one"
        raise ValueError(message)
    return names


def _symbols(value: object) -> object:
    """Split the symbols that a feed is asked for, which venues write in capitals."""
    upper = value.upper() if isinstance(value, str) else value
    return _some_names(upper)


def _brokers(value: str) -> str:
    is_list = value[:2] in {'["', "['"}  # an address in brackets begins with a digit or a colon
    names = _split(value.strip("[]") if is_list else value)
    for broker in names:
        match = _BROKER.fullmatch(broker)
        if match is None or not 0 < int(match["port"] or 9092) < 65536:
            message = f"{broker!r} is not host:port"
            raise ValueError(message)
    return ",".join(names)


def _security_protocol(value: str) -> str:
    if value.upper() not in SECURITY_PROTOCOLS:
        message = f"it is one of {', '.join(SECURITY_PROTOCOLS)}"
        raise ValueError(message)
    return value.upper()


def _readable_file(value: str) -> str:
    if not (Path(value).is_file() and os.access(value, os.R_OK)):
        message = "there is no readable file of this name"
        raise ValueError(message)
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    # No message repeats any part of it: an unescaped password ends up in every other part.
    url = value.get_secret_value()
    if not url.startswith(("redis://", "rediss://", "unix://")):
        message = "a Redis URL starts with redis://, rediss:// or unix://"
        raise ValueError(message)
    try:
        parts = urlsplit(url)
        readable = parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        readable = False
    if not readable:
        message = "its host or port cannot be read; in a password, write / # ? @ [ as %2F %23 ..."
        raise ValueError(message)
    _check_redis_options(url)
    return value


def _check_redis_options(url: str) -> None:
    import redis  # not above: what has no Redis need not load it

    options = parse_qs(urlsplit(url).query, keep_blank_values=True)
    try:
        # Others would change what is read or how, or belong to another client.
        if not all(_REDIS_OPTION.fullmatch(name) for name in options):
            raise ValueError
        redis.ConnectionPool.from_url(url).make_connection()  # connects to nothing yet
    except (ValueError, TypeError):
        message = (
            "the database after the address or an option after `?` is unknown or unusable; options"
            " are db, client_name, health_check_interval, socket_keepalive, socket_timeout,"
            " socket_connect_timeout, retry_on_timeout, and ssl_* with rediss://"
        )
        raise ValueError(message) from None


def _feed_spec(value: str) -> str:
    feeds = split_feeds(value)
    for feed in feeds:
        if feed not in FEEDS and (not feed.startswith(REPLAY_PREFIX) or feed == REPLAY_PREFIX):
            message = f"a feed is one of {', '.join(FEEDS)} or replay:FILE"
            raise ValueError(message)
    if len(set(feeds)) != len(feeds):
        message = "a feed appears twice"
        raise ValueError(message)
    return ",".join(feeds)


def _websocket_url(value: str) -> str:
    if not value.startswith(("ws://", "wss://")):
        message = "a WebSocket address starts with ws:// or wss://"
        raise ValueError(message)
    if _address(value) is None:
        message = "a WebSocket address has a host and, if any, a port from 1 to 65535"
        raise ValueError(message)
    return value


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        message = "a REST address starts with http:// or https://"
        raise ValueError(message)
    address = _address(value)
    if address is None or address.query or address.fragment:
        message = "a REST address has a host and, if any, a port and a path; nothing after it"
        raise ValueError(message)
    return value.rstrip("/")


def _address(value: str) -> SplitResult | None:
    """Return an address by its parts; None where its host is missing or its port is none."""
    try:
        address = urlsplit(value)
        return address if address.hostname and address.port != 0 else None
    except ValueError:
        return None


def _replay_speed(value: str) -> str:
    try:
        usable = value == "max" or 0 < float(value) < float("inf")
    except ValueError:
        usable = False
    if not usable:
        message = "a speed is `max` or a number above 0"
        raise ValueError(message)
    return value


def _root_path(value: str) -> str:
    path = value.rstrip("/")
    if path and _PATH.fullmatch(path) is None:
        message = "a path starts with / and holds letters, digits and . _ ~ - between its slashes"
        raise ValueError(message)
    return path


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value != "*":
            try:
                ipaddress.ip_network(value)
            except ValueError as error:
                message = f"{value!r} is no address, no network and not *: {error}"
                raise ValueError(message) from None
    return values


def _folder(value: object) -> object:
    if not isinstance(value, str):
        return value
    if "://" in value:
        message = "it is the path of a folder, not a URL"
        raise ValueError(message)
    try:
        return Path(value).expanduser()
    except RuntimeError:  # there is no home
        message = "no home folder is known for ~; write the whole path"
        raise ValueError(message) from None


def _archive_topics(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = next((name for name in names if name not in ARCHIVED), None)
    if unknown is not None:
        message = f"{unknown!r} is not archived; topics are {', '.join(ARCHIVED)}"
        raise ValueError(message)
    return names


def _token(value: SecretStr) -> SecretStr:
    if re.fullmatch(r"[!-~]+", value.get_secret_value()) is None:
        message = "a header can carry a token of letters, digits and signs of ASCII without blanks"
        raise ValueError(message)
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
SomeNames = Annotated[tuple[str, ...], BeforeValidator(_some_names)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(_symbols)]
Folder = Annotated[Path, BeforeValidator(_folder)]
ArchiveTopics = Annotated[SomeNames, AfterValidator(_archive_topics)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Brokers = Annotated[str, AfterValidator(_brokers)]
UpperCase = Annotated[str, AfterValidator(str.upper)]
SecurityProtocol = Annotated[str, AfterValidator(_security_protocol)]
ReadableFile = Annotated[str, AfterValidator(_readable_file)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
FeedSpec = Annotated[str, AfterValidator(_feed_spec)]
WebSocketUrl = Annotated[str, AfterValidator(_websocket_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ReplaySpeed = Annotated[str, AfterValidator(_replay_speed)]
RootPath = Annotated[str, AfterValidator(_root_path)]
Networks = Annotated[Names, AfterValidator(_networks)]


def plain_value(value: object) -> str:
    """Return a setting's value as it is written in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
