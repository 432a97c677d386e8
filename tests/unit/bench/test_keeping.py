"""The benchmark of candles and archive."""

from tests.bench.keeping import run


def test_every_figure_is_told() -> None:
    found = run(2_000, rounds=1, symbols=2)
    figures = {name: value for name, value in found.items() if name.endswith("_us")}
    assert set(figures) == {
        "decode_us",
        "decode_and_features_us",
        "candles_us",
        "archive_us",
        "merge_us",
    }
    assert all(value > 0 for value in figures.values())
    assert found["archived_bytes_per_tick"] > 0
