"""The shapes a setting's value can have, each refusing what it cannot use with a reason."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from flows.settings.addresses import (
    brokers,
    host,
    host_names,
    http_url,
    is_readable_file,
    networks,
    origins,
    redis_url,
    secret_url,
    websocket_url,
)
from schemas.feeds import FEEDS, REPLAY_PREFIX, split_feeds
from schemas.topics import ARCHIVED

_QUOTES = ("'", '"')
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
# Letters of any alphabet, and the signs that markets, files and networks have in their names.
_NAME = re.compile(r"[\w./:@*+&=~^!%-]+")
_TARGET = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MODEL_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}@\d{8}T\d{6}Z-[0-9a-f]{8}")
# One slash is easily lost; a single letter in front is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|.*://")
_QUOTED_LIST = re.compile(r"""(["'])[^"']*\1(\s*,\s*(["'])[^"']*\3)+""")


def whole_number(value: str) -> object:
    """Return the integer that a text such as ``1e3`` means; the text itself if it is none."""
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() and "e" in value.lower() else value


def _split(value: str) -> tuple[str, ...]:
    """Split at commas, or at blanks where there is no comma; quotes around a part go."""
    for quote in _QUOTES:  # of "A","B" the outer two went as if they were around the whole
        if _QUOTED_LIST.fullmatch(f"{quote}{value}{quote}"):
            value = f"{quote}{value}{quote}"
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
    """Split a list of names: with commas, in brackets as JSON has it, in lines as YAML has it."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    lines = [line.strip() for line in text.splitlines()]
    if text and all(line.startswith("- ") for line in lines):
        text = ",".join(line[2:] for line in lines)
    names = _split(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        message = f"{wrong!r} is no name; write names with commas between, such as A,B"
        raise ValueError(message)
    return names


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in _QUOTES else name


def _some_names(value: object) -> object:
    names = _names(value)
    if names == ():
        message = "name at least one"
        raise ValueError(message)
    return names


def _targets(names: tuple[str, ...]) -> tuple[str, ...]:
    wrong = next((name for name in names if not _TARGET.fullmatch(name)), None)
    if wrong is not None:
        message = (
            f"{wrong!r} names no target; a name has small letters, digits and _, such as"
            " volatility_spike"
        )
        raise ValueError(message)
    return names


def _model_ref(value: str) -> str:
    if not _MODEL_REF.fullmatch(value):
        message = (
            "write name@version, such as zscore@20261121T094500Z-ab12cd34; `python -m"
            " training.models list` shows them"
        )
        raise ValueError(message)
    return value


def _symbols(value: object) -> object:
    """Split the symbols that a feed is asked for, which venues write in capitals."""
    upper = value.upper() if isinstance(value, str) else value
    return _some_names(upper)


def _brokers(value: str) -> str:
    is_list = value[:2] in {'["', "['"}  # an address in brackets begins with a digit or a colon
    return brokers(_split(value.strip("[]") if is_list else value))


def _security_protocol(value: str) -> str:
    if value.upper() not in SECURITY_PROTOCOLS:
        message = f"it is one of {', '.join(SECURITY_PROTOCOLS)}"
        raise ValueError(message)
    return value.upper()


def _readable_file(value: str) -> str:
    if not is_readable_file(value):
        message = "there is no readable file of this name"
        raise ValueError(message)
    return value


def _feed_spec(value: str) -> str:
    feeds = split_feeds(value)
    for feed in feeds:
        if feed not in FEEDS and (not feed.startswith(REPLAY_PREFIX) or feed == REPLAY_PREFIX):
            message = f"a feed is one of {', '.join(FEEDS)} or replay:PATH"
            raise ValueError(message)
    if len(set(feeds)) != len(feeds):
        message = "a feed appears twice"
        raise ValueError(message)
    return ",".join(feeds)


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


def _folder(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value:
        message = "name a folder; the working folder is written as ."
        raise ValueError(message)
    if _URL.match(value):
        message = "it is the path of a folder, not a URL"
        raise ValueError(message)
    if not value.isprintable():
        message = "a path has no line breaks and no control characters"
        raise ValueError(message)
    try:
        return Path(value).expanduser()
    except RuntimeError:  # there is no home
        message = "no home folder is known for ~; write the whole path"
        raise ValueError(message) from None


def _archive_place(value: object) -> object:
    """Return a folder's path, or an address in S3, as text."""
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if text.startswith("s3://"):
        if re.fullmatch(r"s3://[A-Za-z0-9][A-Za-z0-9._-]+(/[^/?#\s]+)*/?", text) is None:
            message = "an address in S3 is s3://BUCKET or s3://BUCKET/PREFIX"
            raise ValueError(message)
        return text.rstrip("/")
    if _URL.match(text):
        message = "it is the path of a folder, or s3://BUCKET/PREFIX"
        raise ValueError(message)
    return str(_folder(text))


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
Targets = Annotated[SomeNames, AfterValidator(_targets)]
ModelRef = Annotated[str, AfterValidator(_model_ref)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(_symbols)]
Folder = Annotated[Path, BeforeValidator(_folder)]
ArchivePlace = Annotated[str, BeforeValidator(_archive_place)]
ArchiveTopics = Annotated[SomeNames, AfterValidator(_archive_topics)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Host = Annotated[str, AfterValidator(host)]
Brokers = Annotated[str, AfterValidator(_brokers)]
UpperCase = Annotated[str, AfterValidator(str.upper)]
SecurityProtocol = Annotated[str, AfterValidator(_security_protocol)]
ReadableFile = Annotated[str, AfterValidator(_readable_file)]
RedisUrl = Annotated[SecretStr, AfterValidator(redis_url)]
FeedSpec = Annotated[str, AfterValidator(_feed_spec)]
WebSocketUrl = Annotated[str, AfterValidator(websocket_url)]
Origins = Annotated[Names, AfterValidator(origins)]
SecretUrl = Annotated[SecretStr, AfterValidator(secret_url)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
ReplaySpeed = Annotated[str, AfterValidator(_replay_speed)]
RootPath = Annotated[str, AfterValidator(_root_path)]
HostNames = Annotated[Names, AfterValidator(host_names)]
Networks = Annotated[Names, AfterValidator(networks)]


def plain_value(value: object) -> str:
    """Return a setting's value as it is written in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
