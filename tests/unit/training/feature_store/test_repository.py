"""The repository's text and rows are the contract's and the archive's."""

import ast
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from flows.errors import TrainingError
from schemas import topics
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from tests.support.archives import archive
from training.feast import app
from training.feature_store import environment
from training.feature_store.data import export_rows
from training.feature_store.definitions import definitions, store_file

DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS


def row(number: int, ts_ns: int, feature_set: int = FEATURE_SET) -> FeatureRow:
    values = np.linspace(0.1, number + 1, len(NAMES), dtype=np.float32).tolist()
    return FeatureRow(
        symbol="BTC-USD",
        venue="test",
        ts_event_ns=ts_ns,
        feature_set=feature_set,
        warm=number > 2,
        values=[None if at == number else value for at, value in enumerate(values)],
        partition=0,
        offset=number,
    )


def test_the_view_has_every_feature_in_the_contracts_order() -> None:
    tree = ast.parse(definitions())
    fields = [
        {each.arg: each.value for each in node.keywords}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field"
    ]
    names = [ast.literal_eval(field["name"]) for field in fields]
    assert names == ["warm", *NAMES]


def test_no_password_is_in_the_repository() -> None:
    assert "connection_string: ${FEAST_REDIS}" in store_file()


def test_rows_are_exported_by_day_and_of_one_moment_the_last(tmp_path: Path) -> None:
    times = [START_NS, START_NS + 5, START_NS + 5, START_NS + 3, START_NS + DAY_NS]
    rows = [row(number, ts_ns) for number, ts_ns in enumerate(times)]
    archive(tmp_path / "a", topics.TICKS_FEATURES, [*rows, row(9, START_NS + 7, FEATURE_SET + 1)])
    out = tmp_path / "rows"
    out.mkdir()
    (out / "2001-01-01.parquet").write_bytes(b"of an older archive")
    exported = export_rows(tmp_path / "a", out)
    assert exported is not None
    assert (exported.rows, exported.first_ns, exported.last_ns) == (4, times[0], times[-1])
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["2024-10-04.parquet", "2024-10-05.parquet"]
    table = pa.concat_tables([pq.read_table(file) for file in files])
    kept = [rows[0], rows[3], rows[2], rows[4]]
    assert table.column("event_timestamp").cast(pa.int64()).to_pylist() == [
        each.ts_event_ns for each in kept
    ]
    for name, position in zip(NAMES, range(len(NAMES)), strict=True):
        assert table.column(name).to_pylist() == [each.values[position] for each in kept]
    assert table.column("warm").to_pylist() == [each.warm for each in kept]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h:1/2", "h:1,db=2"),
        ("redis://h", "h:6379"),
        ("rediss://u:p%40@h:1/0", "h:1,username=u,password=p@,db=0,ssl=true"),
    ],
    ids=["plain", "shortest", "secured"],
)
def test_a_redis_url_becomes_feasts_address(url: str, address: str) -> None:
    assert environment.redis_address(url) == address


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match=r"training\.feast install"):
        environment.find(tmp_path)
    with pytest.raises(TrainingError, match=r"training\.feast generate"):
        environment.run("feast", tmp_path, ["apply"], SecretStr("redis://h"))
    (tmp_path / "feature_store.yaml").write_text(store_file())
    with pytest.raises(TrainingError, match="REDIS_URL"):
        environment.run("feast", tmp_path, ["apply"], None)
    archive(tmp_path / "a", topics.TICKS_FEATURES, [row(1, START_NS, FEATURE_SET + 1)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match=f"FEATURE_SET {FEATURE_SET}"):
        app(["generate", "--from", "a"], standalone_mode=False)


def test_the_environment_is_pinned() -> None:
    lines = environment.PINS.read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pins)
    assert any(line.startswith("feast==") for line in pins)
