"""Log a run to an MLflow tracking server, after the decision.

Nothing here can fail a training: an absent package, an unreachable or refusing server is a warning.
The model store alone decides which version serves; the registry's aliases repeat the gate's
decision on each version when it was trained.
"""

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from flows.errors import TrainingError, needs_extra

if TYPE_CHECKING:  # imports of an extra's client should not cost those of a whole training
    from training.experiments.experiment import ExperimentResult

EXPERIMENT = "voltick"
CHAMPION, CHALLENGER = "champion", "challenger"
PARAMETERS_FILE = "parameters.json"
# Of one value; servers refuse longer ones. The file beside the run holds all of it.
LONGEST_PARAMETER = 6_000
# Set for the client where the operator has not. It retries for minutes by default, which a training
# that is done should not wait for; it reports its use to its makers; and it writes links to stdout
# and its own format to stderr, where programs read ours.
CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
# Their complaints come back as errors, of which we report one.
_CHATTY = ("mlflow", "urllib3")


def check_address(uri: str) -> None:
    """Refuse an address that is empty, as of a variable that is not set.

    MLflow would take it for a database of its own in the working folder.

    Raises
    ------
    TrainingError
        It is empty.
    """
    if not uri.strip():
        msg = "--mlflow is empty: give a server's address, such as http://127.0.0.1:5000"
        raise TrainingError(msg)


def track(
    uri: str, outcome: "ExperimentResult", parameters: Mapping[str, Any], candidate: str
) -> bool:
    """Log a run, its variants' figures, reports and graphs, and register the candidate.

    Parameters
    ----------
    uri
        Tracking server, ``http://host:port``.
    parameters
        What the run was asked to do.
    candidate
        The variant that becomes a registered model's new version. It gets an alias only where the
        gate was asked.

    Returns
    -------
    Whether all of it is there.
    """
    log = structlog.get_logger()
    try:
        with mlflow_client():
            _track(uri, outcome, parameters, candidate)
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            log.warning("not tracked: MLflow is broken", uri=uri, cause=one_line(error))
        else:
            log.warning("not tracked", cause=needs_extra("--mlflow", "mlflow"))
        return False
    except Exception as error:  # whatever the client raises, the training stands
        log.warning("not tracked: MLflow failed", uri=uri, cause=one_line(error))
        return False
    return True


@contextlib.contextmanager
def mlflow_client() -> Iterator[None]:
    """Make MLflow's client brief, silent and private; import and use it inside the block."""
    added = [name for name in CLIENT_SETTINGS if name not in os.environ]
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    os.environ.update({name: CLIENT_SETTINGS[name] for name in added})
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in added:
            os.environ.pop(name, None)


def one_line(error: Exception) -> str:
    """Return the start of an error's message, or its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _track(
    uri: str, outcome: "ExperimentResult", parameters: Mapping[str, Any], candidate: str
) -> None:
    import mlflow

    client: Any = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
    manifest = outcome.versions[candidate].manifest
    tags = {"provenance": manifest.provenance, "candidate": candidate}
    run = client.create_run(experiment, run_name=manifest.ref, tags=tags)
    try:
        _log(client, run.info.run_id, outcome, parameters)
        _register(client, run.info, outcome, candidate)
    except Exception:
        # Else it would seem to be running for ever. The server may be gone; the cause matters more.
        with contextlib.suppress(Exception):
            client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id)


def _log(client: Any, run: str, outcome: "ExperimentResult", parameters: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    metrics = [
        Metric(f"{name}.{figure}", value, version.manifest.created_ns // 1_000_000, 0)
        for name, version in outcome.versions.items()
        for figure, value in version.manifest.metrics.items()
        if math.isfinite(value)
    ]
    params = [Param(name, _short(value)) for name, value in parameters.items() if value is not None]
    client.log_batch(run, metrics=metrics, params=params)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), outcome, parameters)
        client.log_artifacts(run, folder)


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= LONGEST_PARAMETER else text[: LONGEST_PARAMETER - 1] + "…"


def _write(folder: Path, outcome: "ExperimentResult", parameters: Mapping[str, Any]) -> None:
    (folder / PARAMETERS_FILE).write_bytes(_json(dict(parameters)))
    for name, version in outcome.versions.items():
        part = folder / name
        part.mkdir()
        (part / "model.onnx").write_bytes(version.onnx_bytes)
        (part / "manifest.json").write_bytes(_json(version.manifest))
        for file, content in outcome.reports[name].items():
            (part / file).write_bytes(content)


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def _register(client: Any, run: Any, outcome: "ExperimentResult", candidate: str) -> None:
    from mlflow.exceptions import MlflowException

    manifest = outcome.versions[candidate].manifest
    try:
        client.create_registered_model(manifest.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {
        "version": manifest.version,
        "sha256": manifest.sha256,
        "variant": manifest.variant,
        "provenance": manifest.provenance,
    }
    version = client.create_model_version(
        manifest.name,
        f"{run.artifact_uri}/{candidate}",
        run_id=run.run_id,
        tags=tags,
        description=None if outcome.decision is None else "; ".join(outcome.decision.reasons),
        await_creation_for=None,
    )
    if outcome.publication is not None:
        alias = CHAMPION if outcome.publication.champion else CHALLENGER
        client.set_registered_model_alias(manifest.name, alias, version.version)
