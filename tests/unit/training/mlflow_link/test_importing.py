import json
import sys
import types

import msgspec
import numpy as np
import pytest
from onnx import helper

from flows.errors import ConfigurationError, ModelRejectedError
from flows.scoring.names import sha256_of
from flows.scoring.promotion import prove
from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET, NAMES
from tests.support.models import graph_bytes, linear_graph, tiny
from training.mlflow_link.importing import (
    MLFLOW_SERVERS,
    download_from_mlflow,
    import_file,
    import_mlflow,
)

NOW_NS = 1_791_000_000_000_000_000


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


@pytest.fixture
def written():
    """A hand-written manifest: only what nobody can find out."""
    return {
        "name": "elsewhere",
        "variant": "logreg",
        "target": {
            "name": "volatility_spike",
            "kind": "classification",
            "definition": "relative",
            "level": 1.6,
        },
        "feature_set": FEATURE_SET,
        "features": ["vol_ratio_60_3600"],
        "threshold": 0.4,
    }


@pytest.fixture
def files(tmp_path, written):
    """Write graph and manifest; return their paths."""

    def write(onnx_bytes=None, **changes):
        graph, manifest = tmp_path / "m.onnx", tmp_path / "m.json"
        graph.write_bytes(linear_graph([0.5], 0.0) if onnx_bytes is None else onnx_bytes)
        fields = {**written, **changes}
        manifest.write_text(json.dumps({k: v for k, v in fields.items() if v is not ...}))
        return graph, manifest

    return write


def test_hash_opset_time_and_version_are_found_out(store, files):
    graph, manifest_path = files()
    ref = import_file(store, graph, manifest_path, clock_ns=lambda: NOW_NS)
    manifest, onnx_bytes = store.read(ref)
    assert onnx_bytes == graph.read_bytes()
    assert (manifest.opset, manifest.created_ns, manifest.provenance) == (17, NOW_NS, "imported")
    assert ref.startswith("elsewhere@20261003T")


def test_two_imports_of_one_second_are_two_versions(store, files):
    refs = [import_file(store, *files(notes=note), clock_ns=lambda: NOW_NS) for note in "ab"]
    assert [store.manifest(ref).notes for ref in refs] == ["a", "b"]
    assert len(set(refs)) == 2


def test_version_of_another_store_keeps_its_name(store, tmp_path):
    manifest, onnx_bytes = tiny(0.3, provenance="simulated")
    (tmp_path / "m.onnx").write_bytes(onnx_bytes)
    (tmp_path / "m.json").write_bytes(msgspec.json.encode(manifest))
    ref = import_file(store, tmp_path / "m.onnx", tmp_path / "m.json")
    assert store.read(ref) == (manifest, onnx_bytes)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"sha256": "0" * 64}, ModelRejectedError, "0" * 64),
        ({"feature_set": FEATURE_SET + 1}, ModelRejectedError, "FEATURE_SET"),
        ({"features": ["moon_phase"]}, ModelRejectedError, "moon_phase"),
        ({"features": ["spread", "imbalance"]}, ModelRejectedError, "2 features"),
        ({"opset": 12}, ModelRejectedError, "opset"),
        ({"version": "1"}, ModelRejectedError, "version '1'"),
        ({"name": "../up"}, ModelRejectedError, "up"),
        ({"treshold": 0.5}, ConfigurationError, "treshold"),
        ({"name": ...}, ConfigurationError, "name"),
        ({"threshold": "high"}, ConfigurationError, "threshold"),
        ({"created_ns": "today"}, ConfigurationError, "created_ns"),
        ({"provenance": "found"}, ConfigurationError, "provenance"),
    ],
)
def test_manifest_that_is_not_true_publishes_nothing(store, files, changes, error, match):
    with pytest.raises(error, match=match):
        import_file(store, *files(**changes))
    assert store.refs() == []


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x00" * 50])
def test_file_that_is_no_graph_is_refused(store, files, content):
    with pytest.raises(ModelRejectedError):
        import_file(store, *files(onnx_bytes=content))
    assert store.refs() == []


def test_graph_without_imputation_is_refused(store, files):
    with pytest.raises(ModelRejectedError, match="imputation"):
        import_file(store, *files(onnx_bytes=linear_graph([1.0], 0.0, impute=False)))
    assert store.refs() == []


def test_missing_files_are_named(store, files, tmp_path):
    graph, manifest = files()
    with pytest.raises(ConfigurationError, match=r"gone\.onnx"):
        import_file(store, tmp_path / "gone.onnx", manifest)
    with pytest.raises(ConfigurationError, match=r"gone\.json"):
        import_file(store, graph, tmp_path / "gone.json")
    manifest.write_text("[]")
    with pytest.raises(ConfigurationError, match="not a model manifest"):
        import_file(store, graph, manifest)


def registry_with(contents):
    """A download that gives these files, and notes what was asked for."""
    asked = []

    def download(name, version, folder):
        asked.append((name, version))
        for path, content in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return folder

    return download, asked


def test_registered_version_is_imported_with_its_own_manifest(store, files):
    graph, manifest = files()
    download, asked = registry_with(
        {"model/model.onnx": graph.read_bytes(), "model/manifest.json": manifest.read_bytes()}
    )
    ref = import_mlflow(store, "mlflow:team/spikes/champion", None, download=download)
    assert asked == [("team/spikes", "champion")]
    assert store.read(ref)[1] == graph.read_bytes()


def test_registered_version_can_take_another_manifest(store, files):
    graph, manifest = files()
    download, _ = registry_with({"model.onnx": graph.read_bytes()})
    with pytest.raises(ConfigurationError, match="--manifest"):
        import_mlflow(store, "mlflow:spikes/3", None, download=download)
    assert import_mlflow(store, "mlflow:spikes/3", manifest, download=download) in store.refs()


def test_registered_version_without_one_graph_is_refused(store, files):
    graph, manifest = files()
    for contents in ({}, {"a.onnx": graph.read_bytes(), "b.onnx": graph.read_bytes()}):
        download, _ = registry_with(contents)
        with pytest.raises(ConfigurationError, match="ONNX files"):
            import_mlflow(store, "mlflow:spikes/3", manifest, download=download)


@pytest.mark.parametrize("source", ["mlflow:", "mlflow:spikes", "mlflow:/3", "mlflow:spikes/"])
def test_source_without_name_or_version_is_refused(store, source):
    with pytest.raises(ConfigurationError, match="names no MLflow version"):
        import_mlflow(store, source, None)


def test_without_mlflow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match="needs the extra mlflow"):
        download_from_mlflow("spikes", "3", tmp_path)


def test_without_a_server_named_mlflow_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", types.ModuleType("mlflow"))
    for name in MLFLOW_SERVERS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="Set MLFLOW_TRACKING_URI"):
        download_from_mlflow("spikes", "3", tmp_path)


@pytest.mark.parametrize(
    "created_ns", [10**30, -1, 1.5, "now"], ids=["huge", "negative", "fraction", "word"]
)
def test_a_time_of_creation_that_is_none_is_refused(store, files, created_ns):
    graph, manifest = files(created_ns=created_ns)
    with pytest.raises(ConfigurationError, match=r"created_ns is .*, no nanoseconds since 1970"):
        import_file(store, graph, manifest)


def two_columns():
    return graph_bytes(
        [
            helper.make_node("IsNaN", ["x"], ["u"]),
            helper.make_node("Where", ["u", "zero", "x"], ["k"]),
            helper.make_node("Sigmoid", ["k"], ["p"]),
            helper.make_node("Sub", ["one", "p"], ["q"]),
            helper.make_node("Concat", ["q", "p"], ["score"], axis=1),
        ],
        {"zero": np.float32(0), "one": np.float32(1)},
        width=1,
        output_shape=(None, 2),
    )


def test_a_column_of_an_output_is_imported_as_the_score(store, files):
    paths = files(two_columns())
    with pytest.raises(ModelRejectedError, match=r"m\.onnx: .*--column N"):
        import_file(store, *paths)
    ref = import_file(store, *paths, output="score", column=1)
    model = prove(store, ref)
    rows = np.full((2, len(NAMES)), 0.5, np.float32)
    assert model.score(rows) == pytest.approx([1 / (1 + np.exp(-0.5))] * 2)


def test_a_hash_is_that_of_the_file_whose_output_is_chosen(store, files):
    given = two_columns()
    right, wrong = sha256_of(given), sha256_of(b"another")
    with pytest.raises(ModelRejectedError, match=right):
        import_file(store, *files(given, sha256=wrong), output="score", column=1)
    assert import_file(store, *files(given, sha256=right), output="score", column=1)
