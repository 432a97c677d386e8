"""Drift beside the reasons of a score: told where enough independent rows are known, else not."""

import msgspec
import numpy as np
import pytest

from flows.numeric.histograms import population_stability
from flows.numeric.time import NS_PER_S
from schemas.features import INDEX, NAMES
from schemas.models import FeatureReference, ModelManifest
from serving.explaining.drift import APART_S, Sample, known_drift, lasts_s
from tests.support.models import CREATED_NS, SPIKE

FAST, SLOW = "imbalance", "grid_vol_900"
TRAINED_S = 24 * 3_600
MUCH = 0.25


def walk(seconds: int, seed: int) -> dict[str, np.ndarray]:
    """Return a value a second: noise, and the sum of the last 900 s of other noise."""
    random = np.random.default_rng(seed)
    steps = np.cumsum(random.normal(size=seconds + 900))
    return {FAST: random.normal(size=seconds), SLOW: steps[900:] - steps[:-900]}


def manifest_of(trained: dict[str, np.ndarray], to_ns: int | None) -> ModelManifest:
    reference = []
    for name, values in trained.items():
        edges = np.quantile(values, np.linspace(0, 1, 11))
        counts = np.histogram(values, edges)[0].tolist()
        reference.append(
            FeatureReference(feature=name, edges=edges.tolist(), counts=counts, undefined=0)
        )
    return ModelManifest(
        name="any",
        version="v",
        variant="logreg",
        target=SPIKE,
        sha256="0" * 64,
        feature_set=1,
        features=list(trained),
        provenance="recorded",
        created_ns=CREATED_NS,
        opset=17,
        data_from_ns=None if to_ns is None else 0,
        data_to_ns=to_ns,
        reference=reference,
    )


MODEL = manifest_of(walk(TRAINED_S, 0), TRAINED_S * NS_PER_S)


def sample(seconds: int, seed: int, shift: float = 0.0, symbols: int = 10) -> Sample:
    """Return rows of each symbol from a hundred places of so many seconds.

    Parameters
    ----------
    shift
        In standard deviations of each feature.
    """
    places = np.linspace(0, seconds - 10, 100).astype(int)
    at = (places[:, None] + np.arange(5)).ravel()
    rows = []
    for symbol in range(symbols):
        values = np.full((len(at), len(NAMES)), np.nan)
        for name, series in walk(seconds, 100 * seed + symbol + 1).items():
            size = np.sqrt(900.0) if name == SLOW else 1.0
            values[:, INDEX[name]] = series[at] + shift * size
        rows.append(values)
    return Sample(
        np.concatenate(rows),
        np.tile(CREATED_NS + at * NS_PER_S, symbols),
        np.repeat(np.arange(symbols), len(at)),
    )


@pytest.mark.parametrize("minutes", [5, 20, 120], ids="{} minutes".format)
def test_without_drift_nothing_has_moved_much(minutes: int) -> None:
    naive = []
    for seed in range(10):
        served = sample(minutes * 60, seed, symbols=2)
        naive.append(population_stability(MODEL.reference[1], served.values[:, INDEX[SLOW]]))
        assert all(index < MUCH for index in known_drift(MODEL, served).values())
    if minutes < 120:
        assert np.median(naive) > MUCH  # what so few windows look like


def test_what_has_moved_is_told() -> None:
    found = known_drift(MODEL, sample(7_200, 1, shift=2.0))
    assert found.keys() == {FAST, SLOW}
    assert min(found.values()) > 1.0


def test_a_fast_feature_is_known_before_a_slow_one() -> None:
    assert known_drift(MODEL, sample(60, 2)).keys() == set()
    assert known_drift(MODEL, sample(7_200, 2)).keys() == {FAST}


def test_a_short_training_is_no_measure() -> None:
    hour = manifest_of(walk(3_600, 0), 3_600 * NS_PER_S)
    assert SLOW not in known_drift(hour, sample(7_200, 3))


def test_a_training_of_unknown_length_is_none_either() -> None:
    assert known_drift(manifest_of(walk(TRAINED_S, 0), None), sample(7_200, 3, shift=2.0)) == {}


def test_all_windows_of_the_training_count() -> None:
    half_ns = TRAINED_S // 2 * NS_PER_S
    whole = known_drift(MODEL, sample(7_200, 4))
    parts = [(0, half_ns), (3 * half_ns, 4 * half_ns)]
    split = msgspec.structs.replace(MODEL, data_to_ns=4 * half_ns, data_windows_ns=parts)
    assert known_drift(split, sample(7_200, 4)) == whole != {}


def test_independent_rows_lie_a_window_apart_in_their_own_series() -> None:
    seconds = np.array([0, 1, 59, 60, 119, 121, 500, 0, 30])
    rows = Sample(
        np.zeros((9, len(NAMES))), seconds * NS_PER_S, np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    )
    assert rows.independent(60) == 4 + 1  # 0, 60, 121, 500; and 0
    assert rows.independent(10_000) == 2


def test_a_feature_lasts_for_its_longest_window() -> None:
    assert lasts_s("vol_ratio_5_3600") == 3_600
    assert lasts_s("log_return_1") == lasts_s("spread") == APART_S
    assert lasts_s("quarter_hour_position") == 900
