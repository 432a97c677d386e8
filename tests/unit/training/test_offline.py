"""Features, labels and scores of a recording, offline, as the flow would have them."""

import errno
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.codec.batch import DUPLICATE
from flows.errors import ModelRejectedError, TrainingError
from flows.scoring.baseline import build_zscore
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.registry import ModelStore
from flows.settings import load_settings
from schemas.features import FEATURE_SET, NAMES
from tests.support.frames import exchange_ticker, write_capture
from tests.support.models import tiny
from training import features, frames, infer
from training.data.build import compute_features
from training.data.sources import read_sources


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    texts = [exchange_ticker(number) for number in range(900)]
    texts.insert(500, texts[499])
    return write_capture(tmp_path_factory.mktemp("frames") / "a.frames.ndjson.gz", texts)


@pytest.fixture
def log(recording):
    return read_sources([str(recording)], load_settings({}))[0]


def call(app, *arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def test_features_as_parquet_are_the_kernels(recording, log, tmp_path):
    result = call(features.app, "--from", recording, "--out", tmp_path / "out", "--labels")
    assert '"rows":900' in result.stdout
    (file,) = (tmp_path / "out").iterdir()
    assert pq.read_schema(file).metadata[b"feature_set"] == str(FEATURE_SET).encode()
    frame = frames.parquet_frame(tmp_path / "out")
    table = compute_features(log.batch)
    kept = (table.flags & DUPLICATE) == 0
    np.testing.assert_array_equal(
        frame[list(NAMES)].to_numpy(np.float32), table.values[kept].astype(np.float32)
    )
    assert frame["symbol"].unique().tolist() == ["BTC-USD"]
    assert frame["label_volatility_ratio"].notna().sum() > 700
    assert frame["label_volatility_ratio"].isna().tail(60).all()


def test_a_full_folder_is_not_written_into(recording, tmp_path):
    (tmp_path / "something").touch()
    with pytest.raises(TrainingError, match="is not empty"):
        call(features.app, "--from", recording, "--out", tmp_path)


def test_scores_are_those_of_the_flows_own_model(recording, log, tmp_path):
    store = ModelStore(tmp_path / "store")
    manifest, onnx_bytes = build_zscore()
    ref = store.publish(manifest, onnx_bytes)
    out = tmp_path / "scores.parquet"
    arguments = ("--from", recording, "--model", ref, "--out", out, "--store", store.root)
    assert f'"model":"{ref}"' in call(infer.app, *arguments).stdout
    frame = frames.parquet_frame(out)
    table = compute_features(log.batch)
    values = table.values[(table.flags & DUPLICATE) == 0]
    np.testing.assert_allclose(
        frame["score"], OnnxModel(manifest, onnx_bytes).score(values), atol=1e-6
    )
    assert (frame["decision"] == (frame["score"] >= manifest.threshold)).all()
    assert list(frame["offset"]) == list(log.batch.offset[(table.flags & DUPLICATE) == 0])


def test_an_unknown_model_is_refused_by_name(recording, tmp_path):
    with pytest.raises(ModelRejectedError, match="nobody@20260101T000000Z-00000000"):
        call(
            infer.app,
            *("--from", recording, "--model", "nobody@20260101T000000Z-00000000"),
            *("--out", tmp_path / "x.parquet", "--store", tmp_path / "store"),
        )


def test_a_tick_without_a_score_has_no_decision_either(log):
    table = compute_features(log.batch)
    model = OnnxModel(*tiny(0.6))
    known = np.arange(np.count_nonzero(table.scored)) % 2 == 0
    model.score = lambda rows: np.where(known[: len(rows)], 0.6, np.nan)
    found = infer.score_table(log, table, model)
    assert found["score"].to_pylist() == [0.6 if one else None for one in known]
    assert found["decision"].to_pylist() == [True if one else None for one in known]


def test_features_that_end_half_way_leave_nothing_to_read_as_whole(
    recording, tmp_path, monkeypatch
):
    write, out = features.write_table, tmp_path / "out"

    def write_one(table, path):
        if any(out.iterdir()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(table, path)

    other = write_capture(
        tmp_path / "b.frames.ndjson.gz", [exchange_ticker(number + 5_000) for number in range(400)]
    )
    monkeypatch.setattr(features, "write_table", write_one)
    with pytest.raises(OSError, match="No space left"):
        call(features.app, "--from", recording, "--from", other, "--out", out)
    assert list(out.iterdir()) == []
    with pytest.raises(TrainingError, match="holds no Parquet file"):
        frames.parquet_frame(out)
    monkeypatch.setattr(features, "write_table", write)
    call(features.app, "--from", recording, "--from", other, "--out", out)
    assert len(list(out.iterdir())) == 2
