"""From an environment, as shells and deployment tools make it, to the values of settings (pure)."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from flows.errors import ConfigurationError

PREFIX = "VOLTICK_"
# The test suite's own variables share the prefix and are none of the product's business.
FOREIGN_PREFIX = "VOLTICK_TEST_"
# Other programs may have variables of these names in lower case.
_COMMON = ("MODEL_VARIANT", "MODEL_VERSION")
_BROKERS, _REDIS = "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"
OTHER_NAMES = {
    **dict.fromkeys(
        (
            *("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP", "KAFKA_BROKERS", "KAFKA_BROKER"),
            *("KAFKA_BROKER_LIST", "KAFKA_BROKER_URL", "KAFKA_SERVERS", "KAFKA_URL"),
            *("KAFKA_HOSTS", "BOOTSTRAP_SERVERS"),
        ),
        _BROKERS,
    ),
    **dict.fromkeys(
        ("REDIS_URI", "REDIS_ADDR", "REDIS_ADDRESS", "REDIS_DSN", "VALKEY_URL"), _REDIS
    ),
    "KAFKA_SASL_MECHANISMS": "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USER": "KAFKA_SASL_USERNAME",
    "KAFKA_USERNAME": "KAFKA_SASL_USERNAME",
    "KAFKA_PASSWORD": "KAFKA_SASL_PASSWORD",
}
"""What other programs call a setting: passed over, it would start a broker that nobody wants."""

_FILE_SUFFIX = "_FILE"
_QUOTES = ("'", '"')
_AROUND_A_NAME = re.compile(r"^\W*(env:)?|\W*$", re.IGNORECASE)

# A Kubernetes Service named voltick-api gives every pod of its namespace VOLTICK_API_PORT=tcp://...
# beside these; links between Docker containers do the same.
_LINK = re.compile(r"(?P<stem>VOLTICK\w*?)_(SERVICE_HOST|PORT_\d+_(TCP|UDP|SCTP))", re.ASCII)
_LINK_NAMES = r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?|NAME|ENV_\w+)"
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")
_LINK_PORT = re.compile(r"VOLTICK(_\w+)?_PORT", re.ASCII)


def without_service_links(env: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the environment without the variables that announce services named voltick-...

    Parameters
    ----------
    known
        Variables of settings: one with an address for a port is left to be refused, unless other
        variables announce its service.
    """
    stems = {found["stem"] for name in env if (found := _LINK.fullmatch(name))}
    alone = {name for name in env if _LINK_PORT.fullmatch(name) and name not in known}
    if not stems and not alone:
        return dict(env)
    either = "|".join(sorted(map(re.escape, stems)))
    announced = re.compile(rf"({either})_{_LINK_NAMES}" if stems else r"(?!)", re.ASCII)
    ports = {f"{stem}_PORT" for stem in stems} | alone
    return {
        name: value
        for name, value in env.items()
        if not announced.fullmatch(name)
        and not (name in ports and _LINK_ADDRESS.fullmatch(value.strip()))
    }


def with_secret_files(
    env: Mapping[str, str], secrets: Collection[str], read: Callable[[Path], bytes]
) -> dict[str, str]:
    """Return the environment with ``NAME_FILE=path`` replaced by ``NAME=content``, for secrets.

    Parameters
    ----------
    secrets
        Variables that may be given so.
    read
        Returns a file's bytes.

    Raises
    ------
    ConfigurationError
        A file cannot be read or holds no single line of text, or the variable is set too.
    """
    found = dict(env)
    for name in secrets:
        path = found.pop(name + _FILE_SUFFIX, "").strip()
        if not path:
            continue
        if found.get(name, "").strip():
            message = f"{name} and {name}{_FILE_SUFFIX} are both set; remove one of them"
            raise ConfigurationError(message)
        try:
            text = plain_text(name, read(Path(path)).decode())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "its name holds a zero"
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else why
            message = f"{name}{_FILE_SUFFIX}={path!r} cannot be read: {why}"
            raise ConfigurationError(message) from None
        if not text:
            message = f"{name}{_FILE_SUFFIX}={path!r} is unusable: the file is empty"
            raise ConfigurationError(message)
        if any(letter in text for letter in "\r\n\0"):
            message = f"{name}{_FILE_SUFFIX}={path!r} is unusable: a secret is one line of text"
            raise ConfigurationError(message)
        found[name] = text
    return found


def plain_text(name: str, value: str) -> str:
    """Return a value without the blanks and the quotes around it that a tool has passed on.

    ``docker --env-file`` and Kubernetes keep quotes, ``echo`` adds a newline. One pair of quotes is
    removed, so that a value that needs blanks or quotes at its ends is written within another pair.

    Raises
    ------
    ConfigurationError
        It holds bytes that are not UTF-8.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        message = f"{name} is unusable: its value is not UTF-8; write it in UTF-8"
        raise ConfigurationError(message)
    value = value.strip().strip("\ufeff")
    if len(value) > 1 and value[0] in _QUOTES and value[0] == value[-1]:
        return value[1:-1]
    return value


def protected_text(value: str) -> str:
    """Return a value so that :func:`plain_text` gives it back."""
    return f'"{value}"' if value != plain_text("", value) else value


def refuse_unknown(names: Collection[str], known: Collection[str]) -> None:
    """Refuse variables that look like settings and are none.

    Another program's name of a setting is passed over where the setting is there, too.

    Raises
    ------
    ConfigurationError
        It names the first one and the setting that is probably meant.
    """
    for name in sorted(names):
        if name in known or name.upper().startswith(FOREIGN_PREFIX):
            continue
        upper = _as_variable(name)
        if upper in known and upper not in _COMMON:
            message = f"{name!r} is not read; write {upper}"
            if name.upper() == upper:
                message = f"{name} is not read; write {upper} in capitals"
            raise ConfigurationError(message)
        meant = OTHER_NAMES.get(upper)
        if meant is not None and meant not in names:
            message = f"{name} is not read; write {meant}, or remove it"
            raise ConfigurationError(message)
        if upper.startswith(PREFIX):
            near = difflib.get_close_matches(upper, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "flows/README.md lists all settings"
            message = f"{_shown(name)} is not a setting of Voltick; {hint}"
            raise ConfigurationError(message)


def _as_variable(name: str) -> str:
    """Return a name in capitals, as shells allow it: without the signs that are around or in it.

    Kubernetes allows dots and dashes; a byte order mark, a blank or ``$env:`` gets in front.
    """
    return re.sub(r"[.-]", "_", _AROUND_A_NAME.sub("", name)).upper()


def _shown(name: str) -> str:
    return name if name.isprintable() and name == name.strip() else repr(name)
