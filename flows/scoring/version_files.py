"""A version's files: their names, how large they may be, and what must hold of them."""

from collections.abc import Mapping
from pathlib import Path

from flows.errors import ModelRejectedError
from flows.host.files import sync_folder
from flows.scoring.durable import write_file
from flows.scoring.names import check_name, check_target, check_version, sha256_of
from schemas.models import ModelManifest

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
SUMS_FILE = "SHA256SUMS"
_RESERVED = frozenset({MODEL_FILE, MANIFEST_FILE, SUMS_FILE})

# Larger files are others in their place. ONNX's own limit for one file is two gigabytes.
_FILE_BYTES = (1 << 31) - 1
_MOST_BYTES = {MANIFEST_FILE: 1 << 26, SUMS_FILE: 1 << 20}


def most_bytes(name: str) -> int:
    """Return how many bytes a file of this name may have."""
    return _MOST_BYTES.get(name, _FILE_BYTES)


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Make a folder of files, all durable; its name is the caller's to sync."""
    folder.mkdir()
    for name in sorted(content):
        write_file(folder / name, content[name])
    sync_folder(folder)


def check_publication(
    manifest: ModelManifest, onnx_bytes: bytes, files: Mapping[str, bytes]
) -> str:
    """Return the reference of what is to be published.

    Raises
    ------
    ModelRejectedError
        A name is not usable, or version or hash do not belong to ``onnx_bytes``.
    """
    check_name(manifest.name)
    check_target(manifest.target.name)
    found = sha256_of(onnx_bytes)
    if manifest.sha256 != found:
        raise tampered(manifest.ref, MODEL_FILE, found, manifest.sha256)
    check_version(manifest.version, manifest.sha256)
    for name in files:
        check_name(name, "file")
        if name in _RESERVED:
            message = f"model {manifest.ref}: {name} is no report file; choose another name"
            raise ModelRejectedError(message)
    return manifest.ref


def tampered(ref: str, name: str, found: str, expected: str) -> ModelRejectedError:
    """Return the error for a file that is not what was published."""
    message = (
        f"model {ref} is refused: {name} has sha256 {found}, published was {expected}; the file"
        " is damaged or was tampered with"
    )
    return ModelRejectedError(message)
