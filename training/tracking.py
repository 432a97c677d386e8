"""MLflow as an extra: what a run found, told to a tracking server after it is all decided.

Nothing here can fail a training: an absent package, an unreachable or refusing server is a warning.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from training.job import Outcome

EXPERIMENT = "voltick"
ALIAS = "champion"
# The client retries for minutes by default; a training that is done should not wait for it.
CLIENT_LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def track(uri: str, outcome: Outcome, parameters: Mapping[str, Any], candidate: str) -> bool:
    """Log a run, its variants' figures, reports and graphs, and register the candidate.

    Parameters
    ----------
    uri
        Tracking server, ``http://host:port``.
    parameters
        What the run was asked to do.

    Returns
    -------
    Whether all of it is there.
    """
    log = structlog.get_logger()
    try:
        import mlflow
    except ImportError:
        log.warning("not tracked: the extra is missing", cure="pip install 'voltick[mlflow]'")
        return False
    try:
        with _environment(CLIENT_LIMITS):
            _track(mlflow, uri, outcome, parameters, candidate)
    except Exception as error:  # whatever the client raises, the training stands
        log.warning("not tracked: MLflow failed", uri=uri, cause=str(error).splitlines()[0][:300])
        return False
    return True


def _track(
    mlflow: Any, uri: str, outcome: Outcome, parameters: Mapping[str, Any], candidate: str
) -> None:
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
    manifest = outcome.versions[candidate].manifest
    run = client.create_run(experiment, run_name=manifest.ref).info.run_id
    for name, value in parameters.items():
        client.log_param(run, name, value)
    for name, version in outcome.versions.items():
        for figure, value in version.manifest.metrics.items():
            client.log_metric(run, f"{name}.{figure}", value)
    with tempfile.TemporaryDirectory() as folder:
        for name, version in outcome.versions.items():
            part = Path(folder) / name
            part.mkdir()
            (part / "model.onnx").write_bytes(version.onnx_bytes)
            encoded = msgspec.json.format(msgspec.json.encode(version.manifest), indent=2)
            (part / "manifest.json").write_bytes(encoded)
            for file, content in outcome.reports[name].items():
                (part / file).write_bytes(content)
        client.log_artifacts(run, folder)
    _register(mlflow, client, run, outcome, candidate)
    client.set_terminated(run)


def _register(mlflow: Any, client: Any, run: str, outcome: Outcome, candidate: str) -> None:
    manifest = outcome.versions[candidate].manifest
    try:
        client.create_registered_model(manifest.name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run).info.artifact_uri}/{candidate}"
    tags = {"version": manifest.version, "sha256": manifest.sha256, "variant": manifest.variant}
    version = client.create_model_version(manifest.name, source, run_id=run, tags=tags)
    champion = outcome.publication is not None and outcome.publication.champion
    alias = ALIAS if champion else "challenger"
    client.set_registered_model_alias(manifest.name, alias, version.version)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that the operator has not set, for the time of the block."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
