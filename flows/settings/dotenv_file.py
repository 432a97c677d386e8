"""Read a ``.env`` file as whatever wrote it meant it."""

import codecs
import io
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

from flows.errors import ConfigurationError

# That of UTF-32 begins as that of UTF-16 does.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZEROS = {"utf-32-le": (1, 2, 3), "utf-32-be": (0, 1, 2), "utf-16-le": (1,), "utf-16-be": (0,)}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENT = re.compile(r"\s*(;|//|--)")
_WRONG = "\ufffd"


def read_dotenv(path: Path, ours: re.Pattern[str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file; none where there is no such file.

    A later line wins over an earlier one with the same name. Lines that cannot be read are passed
    over where they name no setting. ``${NAME}`` and ``${NAME:-default}`` are replaced, as a shell
    does it: not within single quotes. Where nothing has the name, and there is no default, they
    stay: a password has them, and any other setting is refused with them.

    Parameters
    ----------
    ours
        Matches the whole name of a variable that is, or looks like, a setting.
    env
        The process's environment; what a file says wins within the file.

    Raises
    ------
    ConfigurationError
        The file cannot be opened, or the line of a setting cannot be read.
    """
    try:
        if not path.is_file():  # a folder of this name is usually a virtual environment
            return {}
    except PermissionError:  # this user may not look into the folder: it holds nothing for them
        return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}; let this user read it, or remove it"
        raise ConfigurationError(message) from error
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_text(content), newline=None)):
        broken = binding.error or _WRONG in (binding.value or "")
        name = _setting_in(binding, ours) if broken else None
        if name is not None:
            line = binding.original.line + binding.original.string[:-1].count("\n")
            cause = (
                "save the file as UTF-8"
                if _WRONG in binding.original.string
                else "write NAME=value, and close each quote in its line"
            )
            message = f"{path}, line {line}: {name} cannot be read; {cause}"
            raise ConfigurationError(message)
        if not broken and binding.key is not None and binding.value is not None:
            is_literal = binding.original.string.partition("=")[2].lstrip().startswith("'")
            text = binding.value if is_literal else _expanded(binding.value, {**env, **values})
            values[binding.key] = text
    return values


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """Return a text with the variables in it replaced, as far as they are known."""
    parts = []
    for atom in parse_variables(text):
        if isinstance(atom, Variable) and atom.name not in known and atom.default is None:
            parts.append(f"${{{atom.name}}}")
        else:
            parts.append(atom.resolve(known))
    return "".join(parts)


def _text(content: bytes) -> str:
    """Return the text; bytes that are in no known encoding become replacement characters."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    # Without a mark, they show themselves by the zeros beside their ASCII.
    for encoding, places in _ZEROS.items():
        width = 4 if "32" in encoding else 2
        if all(_is_mostly_zero(content[place::width]) for place in places):
            return content.decode(encoding, errors="replace")
    return content.decode(errors="replace")


def _is_mostly_zero(content: bytes) -> bool:
    return len(content) > 1 and content.count(0) > len(content) // 2


def _setting_in(binding: Binding, ours: re.Pattern[str]) -> str | None:
    """Return the setting that a line is about, whatever stands before its name."""
    if binding.key is not None:
        key = str(binding.key)
        return key if ours.fullmatch(key) else None
    line = binding.original.string
    if _COMMENT.match(line):
        return None
    return next((name for name in _NAME.findall(line) if ours.fullmatch(name)), None)
