"""Names of models: ``name@version``, where the version commits to the content."""

import hashlib
import re
from datetime import UTC, datetime

from flows.errors import ModelRejectedError
from flows.numeric.time import NS_PER_S

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_TARGET = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HASH_DIGITS = 8


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def version_of(created_ns: int, onnx_bytes: bytes) -> str:
    """Return ``20261121T094500Z-ab12cd34``: time of creation (UTC) and start of the hash."""
    moment = datetime.fromtimestamp(created_ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{sha256_of(onnx_bytes)[:_HASH_DIGITS]}"


def check_name(name: str, what: str = "model") -> str:
    """Return ``name`` if it can be a folder or file name of the store, else refuse it."""
    if _NAME.fullmatch(name) is None:
        message = (
            f"{what} name {name!r} is not usable: letters, digits, '_', '.', '-', at most 100,"
            " the first a letter or digit"
        )
        raise ModelRejectedError(message)
    return name


def check_target(target: str) -> str:
    """Return ``target`` if it can name an alias file, else refuse it."""
    if _TARGET.fullmatch(target) is None:
        message = f"target name {target!r} is not usable: lower-case letters, digits and '_'"
        raise ModelRejectedError(message)
    return target


def is_target(name: str) -> bool:
    """Return whether an alias file can have this name."""
    return _TARGET.fullmatch(name) is not None


def is_version_folder(name: str, version: str) -> bool:
    """Return whether ``models/name/version`` can be a version's folder."""
    return _NAME.fullmatch(name) is not None and _VERSION.fullmatch(version) is not None


def check_version(version: str, sha256: str) -> str:
    """Return ``version`` if it is well formed and names the content with this hash."""
    if _VERSION.fullmatch(version) is None:
        message = (
            f"model version {version!r} is not usable: it reads like"
            " 20261121T094500Z-ab12cd34 (time of creation and start of the file's SHA-256)"
        )
        raise ModelRejectedError(message)
    if not sha256.startswith(version[-_HASH_DIGITS:]):
        message = f"model version {version} does not belong to content with sha256 {sha256}"
        raise ModelRejectedError(message)
    return version


def split_ref(ref: str) -> tuple[str, str]:
    """Split ``name@version``; neither part can leave the store's folder."""
    name, at, version = ref.partition("@")
    if not at or _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
        message = (
            f"{ref!r} names no model: write name@version, such as zscore@20261121T094500Z-ab12cd34"
        )
        raise ModelRejectedError(message)
    return name, version
