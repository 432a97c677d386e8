"""Trainings told to a real MLflow server, models fetched back from its registry, and trouble."""

import contextlib
import dataclasses
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from flows.errors import ConfigurationError
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from schemas.models import ModelManifest, TargetSpec
from tests.support import processes
from tests.support.mlflow_server import MlflowServer
from tests.support.polling import free_ports
from tests.support.synthetic import dataset
from training.experiments.experiment import ExperimentOptions, ExperimentResult, run_experiment
from training.mlflow_link import tracking
from training.mlflow_link.importing import download_from_mlflow, import_mlflow
from training.mlflow_link.tracking import CLIENT_SETTINGS, EXPERIMENT, mlflow_client, track

# The first test also waits for the server and two trainings.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

VARIANTS = {"last_minute", "zscore", "ewma", "har", "anchored"}
NAME = "volatility_spike-anchored"
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}  # seconds; the server shares two busy cores
SPIKE = TargetSpec(name="volatility_spike", kind="classification", definition="relative")


@pytest.fixture(scope="module", autouse=True)
def _patience():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PATIENCE.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def mlflow():
    with mlflow_client():
        return pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


@pytest.fixture(scope="module")
def server(mlflow, tmp_path_factory):
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture
def client(mlflow, server):
    with mlflow_client():
        yield mlflow.MlflowClient(tracking_uri=server.url, registry_uri=server.url)


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run Python as an operator would, without any setting of MLflow's but these."""
    ours = {
        "VOLTICK_MODEL_STORE": str(folder / "models"),
        "VOLTICK_SIMULATE_RATE_HZ": "4",
        **PATIENCE,
    }
    return processes.run(arguments, folder, {**ours, **settings}, deadline_s=170)


def retrain(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(
        folder,
        *("-m", "training.retrain", "--from", "simulate:2h", "--models", "anchored"),
        *("--no-pictures", "--mlflow", url, *arguments),
    )


@pytest.fixture(scope="module")
def told(server, tmp_path_factory):
    """Two trainings that publish into one store, and the lines they ended with."""
    folder = tmp_path_factory.mktemp("told")
    done = [retrain(folder, server.url, "--publish") for _ in range(2)]
    for one in done:
        assert one.returncode == 5, one.stderr
        # Nothing of MLflow's own on either stream: both are read by programs.
        (said,) = one.stderr.splitlines()
        assert said.startswith("stays a challenger: trained on simulated data")
    return ModelStore(folder / "models"), [json.loads(one.stdout) for one in done]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> ExperimentResult:
    """What a training found whose candidate became champion."""
    store = ModelStore(tmp_path_factory.mktemp("store"))
    options = ExperimentOptions(models=("logreg",), folds=2, publish=True, pictures=False)
    found = run_experiment(
        dataset(), SPIKE, options, store=store, created_ns=1_750_000_000 * NS_PER_S
    )
    assert found.publication is not None
    assert found.publication.champion
    return found


def run_named(client, ref: str):
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (found,) = client.search_runs([experiment], f"attributes.run_name = '{ref}'")
    return found


def test_a_run_holds_what_was_asked_and_every_variants_figures(client, told):
    store, (line, _) = told
    found = run_named(client, line["version"])
    assert found.info.status == "FINISHED"
    assert found.data.tags["provenance"] == "simulated"
    asked = found.data.params
    assert (asked["sources"], asked["models"], asked["horizon_s"]) == (
        *("simulate:2h", "anchored", "60"),
    )
    assert "level" not in asked, "a parameter without a value says nothing"
    assert set(line["variants"]) == VARIANTS
    wanted = {
        f"{variant}.{figure}": value
        for variant, one in line["variants"].items()
        for figure, value in store.manifest(one["version"]).metrics.items()
    }
    assert found.data.metrics == wanted
    assert "anchored.pr_auc" in wanted


def test_a_runs_artifacts_are_the_stores_files(client, told, tmp_path):
    store, (_, line) = told
    found = run_named(client, line["version"])
    folder = Path(client.download_artifacts(found.info.run_id, "", str(tmp_path)))
    assert json.loads((folder / "parameters.json").read_bytes())["models"] == ["anchored"]
    for variant, one in line["variants"].items():
        manifest, onnx_bytes = store.read(one["version"])
        assert (folder / variant / "model.onnx").read_bytes() == onnx_bytes
        told_manifest = (folder / variant / "manifest.json").read_bytes()
        assert msgspec.json.decode(told_manifest, type=ModelManifest) == manifest
        for file in ("report.html", "metrics.json", "model_card.md"):
            assert (folder / variant / file).read_bytes() == store.file(one["version"], file)


def test_each_training_registers_a_version_that_says_what_it_is(client, told):
    store, lines = told
    for number, line in enumerate(lines, start=1):
        version = client.get_model_version(NAME, str(number))
        manifest = store.manifest(line["version"])
        assert version.tags == {
            "version": manifest.version,
            "sha256": manifest.sha256,
            "variant": "anchored",
            "provenance": "simulated",
        }
        assert version.run_id == run_named(client, line["version"]).info.run_id
        assert "never champion of a live feed" in version.description
    aliases = client.get_registered_model(NAME).aliases
    assert {alias: str(number) for alias, number in aliases.items()} == {"challenger": "2"}


def test_a_registered_version_comes_back_as_the_same_file(server, told, tmp_path):
    store, (_, line) = told
    done = run(
        tmp_path,
        *("-m", "training.models", "import", f"mlflow:{NAME}/challenger"),
        MLFLOW_TRACKING_URI=server.url,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{line['version']}\n", "")
    assert ModelStore(tmp_path / "models").read(line["version"]) == store.read(line["version"])


def test_an_older_version_is_fetched_by_its_number(server, told, tmp_path, monkeypatch):
    store, (line, _) = told
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    imported = ModelStore(tmp_path / "models")
    assert import_mlflow(imported, f"mlflow:{NAME}/1", None) == line["version"]
    assert imported.manifest(line["version"]).sha256 == store.manifest(line["version"]).sha256


def test_a_version_that_cannot_be_had_is_one_line(server, told, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with pytest.raises(ConfigurationError, match=r"version=99\) not found") as unknown:
        download_from_mlflow(NAME, "99", tmp_path)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:hunter2@{address}")
    with pytest.raises(ConfigurationError, match=rf"http://\*\*\*@{address} does not") as absent:
        download_from_mlflow(NAME, "1", tmp_path)
    for caught in (unknown, absent):
        assert len(str(caught.value).splitlines()) == 1
        assert "hunter2" not in str(caught.value)


def test_a_champion_gets_the_champions_alias(client, server, outcome):
    assert track(server.url, outcome, {}, "logreg")
    model = client.get_registered_model("volatility_spike-logreg")
    assert {alias: str(number) for alias, number in model.aliases.items()} == {"champion": "1"}


def test_without_a_gate_there_is_a_version_but_no_alias(client, server, outcome):
    unpublished = dataclasses.replace(outcome, decision=None, publication=None)
    assert track(server.url, unpublished, {}, "har")
    assert client.get_registered_model("volatility_spike-har").aliases == {}
    assert client.get_model_version("volatility_spike-har", "1").status == "READY"


def test_long_parameters_are_cut_and_undefined_figures_left_out(client, server, outcome):
    version = outcome.versions["ewma"]
    figures = {"pr_auc": 0.25, "lift": float("nan"), "brier_skill": float("-inf")}
    odd = msgspec.structs.replace(
        version.manifest, metrics=figures, version="20250615T150640Z-00000001"
    )
    changed = {**outcome.versions, "ewma": dataclasses.replace(version, manifest=odd)}
    sources = [f"recording-{number:04}.ndjson" for number in range(1_000)]
    asked = {"sources": sources, "level": None, "publish": False}
    assert track(server.url, dataclasses.replace(outcome, versions=changed), asked, "ewma")
    found = run_named(client, odd.ref)
    assert found.data.params["publish"] == "False"
    assert found.data.params["sources"].startswith("recording-0000.ndjson,recording-0001")
    assert found.data.params["sources"].endswith("…")
    mine = {name for name in found.data.metrics if name.startswith("ewma.")}
    assert mine == {"ewma.pr_auc"}


def test_a_run_that_could_not_be_told_whole_is_marked_as_failed(
    client, server, outcome, monkeypatch
):
    def refuse(*_):
        message = "the registry is full"
        raise OSError(message)

    monkeypatch.setattr(tracking, "_register", refuse)
    with capture_logs() as logs:
        assert not track(server.url, outcome, {}, "zscore")
    assert [entry["cause"] for entry in logs] == ["the registry is full"]
    ref = outcome.versions["zscore"].manifest.ref
    assert run_named(client, ref).info.status == "FAILED"


EXPERIMENT_ANSWER = json.dumps(
    {"experiment": {"experiment_id": "1", "name": EXPERIMENT, "lifecycle_stage": "active"}}
)
HANG_UP, SAY_NOTHING = "hang up", "say nothing"


@contextlib.contextmanager
def impostor(answers):
    """Serve these answers, one a request and the last for ever, and yield the address."""
    over = threading.Event()
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer == SAY_NOTHING:
                over.wait(60)
            if isinstance(answer, str):
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    [port] = free_ports(1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            over.set()
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([(403, "no")], id="refuses"),
        pytest.param([(500, "")], id="fails"),
        pytest.param([(200, "<html>another service</html>")], id="is another service"),
        pytest.param([(200, EXPERIMENT_ANSWER), HANG_UP], id="dies in the middle"),
        pytest.param([SAY_NOTHING], id="says nothing"),
    ],
)
def test_a_server_in_trouble_is_one_warning(mlflow, outcome, answers, monkeypatch, caplog, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # the operator's word is kept
    with impostor(answers) as url, capture_logs() as logs:
        assert not track(url, outcome, {}, "logreg")
    assert [entry["event"] for entry in logs] == ["not tracked: MLflow failed"]
    assert logs[0]["cause"]
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


def test_a_server_that_is_not_there_leaves_the_training_as_it_is(mlflow, tmp_path):
    done = retrain(tmp_path, f"http://127.0.0.1:{free_ports(1)[0]}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"].startswith(NAME)
    (warning,) = done.stderr.splitlines()
    assert "not tracked: MLflow failed" in warning


def test_an_absent_package_is_one_warning_that_names_the_extra(outcome, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with capture_logs() as logs:
        assert not track("http://127.0.0.1:1", outcome, {}, "logreg")
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert "pip install -e '.[mlflow]'" in warning["cause"]


def test_the_client_reports_nothing_to_its_makers(mlflow, tmp_path):
    # In CI and under pytest it would not anyway, so without their variables.
    code = (
        "import os\n"
        "os.environ.pop('CI', None), os.environ.pop('PYTEST_CURRENT_TEST', None)\n"
        "from training.mlflow_link.tracking import mlflow_client\n"
        "with mlflow_client():\n"
        "    import mlflow\n"
        "    from mlflow.telemetry import get_telemetry_client\n"
        "    print(get_telemetry_client())\n"
    )
    done = run(tmp_path, "-c", code)
    assert done.stdout == "None\n", done.stderr


def test_the_clients_settings_last_no_longer_than_its_use(monkeypatch):
    for name in CLIENT_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    before = dict(tracking.os.environ)
    with mlflow_client():
        assert tracking.os.environ.items() >= {**CLIENT_SETTINGS, "DO_NOT_TRACK": "0"}.items()
    assert dict(tracking.os.environ) == before


def test_nothing_that_streams_serves_or_trains_imports_the_extras(tmp_path):
    code = (
        "import sys\n"
        "import flows.pipeline, flows.outcomes, flows.ingest, serving.app\n"
        "import training.retrain, training.models\n"
        "print({'mlflow', 'xgboost'} & set(sys.modules))\n"
    )
    done = run(tmp_path, "-c", code)
    assert done.stdout == "set()\n", done.stderr
