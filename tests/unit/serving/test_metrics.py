"""The API's metrics have no labels without end."""

from serving.monitoring.metrics import MAX_SYMBOLS, OTHER, ApiMetrics
from tests.support.api import prediction

NOW_NS = 1_700_000_000_000_000_000


def labels_of(metrics, name, label):
    samples = [s for family in metrics.registry.collect() for s in family.samples]
    return {s.labels[label]: s.value for s in samples if s.name == name}


def test_methods_that_http_does_not_know_share_a_label():
    metrics = ApiMetrics()
    for method in ("GET", "BREW", "GET2", "get"):
        metrics.count_request(method, "/scores", 405, 0.001)
    counts = labels_of(metrics, "voltick_http_requests_total", "method")
    assert counts == {"GET": 1, OTHER: 3}


def test_symbols_beyond_the_bound_share_a_label_with_the_least_age():
    metrics = ApiMetrics()
    many = [
        prediction(symbol=f"S{number:04d}-USD", ts_scored_ns=NOW_NS - number * 1_000_000_000)
        for number in range(MAX_SYMBOLS + 3)
    ]
    metrics.set_score_ages(reversed(many), NOW_NS)
    ages = labels_of(metrics, "voltick_score_age_seconds", "symbol")
    assert len(ages) == MAX_SYMBOLS + 1
    assert ages["S0199-USD"] == MAX_SYMBOLS - 1
    assert ages[OTHER] == MAX_SYMBOLS
    metrics.set_score_ages(many[:1], NOW_NS)
    assert labels_of(metrics, "voltick_score_age_seconds", "symbol") == {"S0000-USD": 0}
