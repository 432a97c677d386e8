"""Models from elsewhere: an ONNX file with a manifest, or a version of an MLflow registry."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flows.errors import ConfigurationError, ModelRejectedError, needs_extra
from flows.logs import hide_in_text
from flows.scoring.names import sha256_of, version_of
from flows.scoring.promotion import publish
from flows.scoring.registry import MANIFEST_FILE, MODEL_FILE, ModelStore
from schemas.models import ModelManifest
from training.mlflow_link.tracking import mlflow_client, one_line
from training.publishing.adapting import check_score_first, with_the_score

MLFLOW_PREFIX = "mlflow:"
MLFLOW_SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")

Download = Callable[[str, str, Path], Path]


def import_file(
    store: ModelStore,
    onnx_path: Path,
    manifest_path: Path,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    output: str | None = None,
    column: int | None = None,
) -> str:
    """Prove an ONNX file against its manifest, publish it, and return its reference.

    Parameters
    ----------
    output, column
        Which output, and which of its columns, is the score; see
        :func:`training.publishing.adapting.with_the_score`. None: the first one, which is it.

    The manifest has the fields of :class:`schemas.models.ModelManifest`. ``sha256``, ``opset``,
    ``created_ns`` and ``version`` are found out where they are left out, and must be true where
    they are not; ``provenance`` is ``imported`` unless it says otherwise.

    Raises
    ------
    ConfigurationError
        A file cannot be read, or the manifest is none.
    ModelRejectedError
        The model does not fit its manifest or cannot serve; nothing is published.
    """
    onnx_bytes = _read(onnx_path)
    fields = _fields(manifest_path)
    _check_graph(onnx_path, onnx_bytes)
    if output is None:
        check_score_first(onnx_bytes, str(onnx_path))
    else:
        given = sha256_of(onnx_bytes)
        if fields.pop("sha256", given) != given:
            message = f"{onnx_path} has sha256 {given}, {manifest_path} says another"
            raise ModelRejectedError(message)
        onnx_bytes = with_the_score(onnx_bytes, output, column)
    fields.setdefault("sha256", sha256_of(onnx_bytes))
    fields.setdefault("provenance", "imported")
    if "created_ns" not in fields:
        fields["created_ns"] = store.creation_ns(clock_ns())
    if "opset" not in fields:
        fields["opset"] = _opset(onnx_bytes)
    if "version" not in fields:
        created_ns = fields["created_ns"]
        if not isinstance(created_ns, int) or not 0 <= created_ns < 1 << 63:
            message = f"{manifest_path}: created_ns is {created_ns!r}, no nanoseconds since 1970"
            raise ConfigurationError(message)
        fields["version"] = version_of(created_ns, onnx_bytes)
    try:
        manifest = msgspec.convert(fields, ModelManifest)
    except msgspec.ValidationError as error:
        message = f"{manifest_path} is not a model manifest: {error}"
        raise ConfigurationError(message) from error
    return publish(store, manifest, onnx_bytes)


def import_mlflow(
    store: ModelStore,
    source: str,
    manifest_path: Path | None,
    *,
    download: Download | None = None,
    output: str | None = None,
    column: int | None = None,
) -> str:
    """Fetch ``mlflow:NAME/VERSION_OR_ALIAS``, prove and publish it, and return its reference.

    The registered version holds one ``.onnx`` file; a ``manifest.json`` beside it is used unless
    ``manifest_path`` names another.

    Raises
    ------
    ConfigurationError
        MLflow is not installed, its server does not answer or does not know the version, or the
        version has no ONNX file or no manifest.
    ModelRejectedError
        As :func:`import_file`.
    """
    name, slash, version = source.removeprefix(MLFLOW_PREFIX).rpartition("/")
    if not (name and slash and version):
        message = f"{source!r} names no MLflow version: write {MLFLOW_PREFIX}NAME/VERSION_OR_ALIAS"
        raise ConfigurationError(message)
    fetch = download_from_mlflow if download is None else download
    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch(name, version, Path(scratch))
        graphs = sorted(folder.rglob("*.onnx"))
        if len(graphs) != 1:
            message = f"{source} holds {len(graphs)} ONNX files; exactly one is needed"
            raise ConfigurationError(message)
        manifests = [manifest_path] if manifest_path else sorted(folder.rglob(MANIFEST_FILE))
        if len(manifests) != 1:
            message = (
                f"{source} holds {len(manifests)} files {MANIFEST_FILE}; give one by --manifest"
            )
            raise ConfigurationError(message)
        return import_file(store, graphs[0], manifests[0], output=output, column=column)


def download_from_mlflow(name: str, version: str, folder: Path) -> Path:
    """Download a registered version's files; ``version`` is a number or an alias.

    The registry is the one that MLflow's own settings name (``MLFLOW_TRACKING_URI``,
    ``MLFLOW_REGISTRY_URI``).
    """
    selector = f"models:/{name}/{version}" if version.isdigit() else f"models:/{name}@{version}"
    with mlflow_client():
        try:
            import mlflow
        except ImportError as error:
            message = needs_extra("importing from MLflow", "mlflow")
            raise ConfigurationError(message) from error
        if not any(os.environ.get(setting) for setting in MLFLOW_SERVERS):
            # MLflow would make an empty database of its own in the working folder and look there.
            message = f"which MLflow server? Set {MLFLOW_SERVERS[0]} to its address"
            raise ConfigurationError(message)
        try:
            found: str = mlflow.artifacts.download_artifacts(
                artifact_uri=selector, dst_path=str(folder)
            )
        except Exception as error:  # no common class: the client passes on what its parts raise
            where = mlflow.get_registry_uri()
            message = f"MLflow at {where} does not give {selector}: {one_line(error)}"
            # The address may hold a password, and the client repeats it.
            raise ConfigurationError(hide_in_text(message)) from error
    return Path(found)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigurationError(message) from error


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(_read(path), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        message = f"{path} is not a model manifest: {error}"
        raise ConfigurationError(message) from error
    known = {field.name for field in msgspec.structs.fields(ModelManifest)}
    unknown = sorted(set(fields) - known)
    if unknown:
        # In the store unknown fields are ignored, as a newer writer's. A hand-written manifest
        # with one is a misspelling.
        message = f"{path}: unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}"
        raise ConfigurationError(message)
    return fields


def _opset(onnx_bytes: bytes) -> int:
    import onnx

    graph = onnx.load_model_from_string(onnx_bytes)
    return next((item.version for item in graph.opset_import if item.domain in {"", "ai.onnx"}), 0)


def _check_graph(path: Path, onnx_bytes: bytes) -> None:
    import onnx
    from onnx.onnx_cpp2py_export.checker import ValidationError

    try:
        graph = onnx.load_model_from_string(onnx_bytes)
        onnx.checker.check_model(graph)
    except (ValidationError, ValueError) as error:
        message = f"{path} is not a valid ONNX model: {str(error).splitlines()[0]}"
        raise ModelRejectedError(message) from error
    except Exception as error:
        # The parser's own error class belongs to protobuf, which has no types to import.
        if type(error).__name__ != "DecodeError":
            raise
        message = f"{path} is not an ONNX file ({MODEL_FILE} of the store, or an export)"
        raise ModelRejectedError(message) from error
