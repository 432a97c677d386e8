"""What ``auto`` stands for is settled once, and decides which models may serve."""

from pathlib import Path

import pytest

from flows.feeds import registry
from flows.local.launcher import resolve_feed
from flows.pipeline import _scorer
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from tests.support.models import publish_tiny

TARGET = "volatility_spike"


@pytest.mark.parametrize(("reachable", "feed"), [(True, "coinbase-exchange"), (False, "simulate")])
def test_auto_is_replaced_by_what_it_is_here(
    monkeypatch: pytest.MonkeyPatch, reachable: bool, feed: str
) -> None:
    real = registry.choose

    def choose(spec: str, url: str | None, *, may_simulate: bool) -> str:
        return real(spec, url, lambda _: reachable, may_simulate=may_simulate)

    monkeypatch.setattr(registry, "choose", choose)
    assert resolve_feed(Settings())(Settings(partitions=7)) == Settings(partitions=7, feed=feed)


def test_auto_is_never_the_simulator_on_a_broker_that_outlives_the_run() -> None:
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    assert resolve_feed(settings)(settings).feed == "coinbase-exchange"


def test_a_named_feed_is_not_asked_about() -> None:
    settings = Settings(feed="replay:some.ndjson")
    assert resolve_feed(settings)(settings) is settings


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path)
    learned = publish_tiny(store, provenance="simulated", name="learned")
    store.move(TARGET, champion=learned, by="test", allow_simulated=True)
    return store


def champion_of(store: ModelStore, feed: str) -> str:
    scorer = _scorer(Settings(model_store=store.root, feed=feed, targets=(TARGET,)))
    [status] = scorer.status()
    assert status.champion is not None
    assert store.aliases(TARGET).champion == status.champion.ref
    return status.champion.name


def test_a_simulated_champion_serves_a_simulated_feed_at_once(store: ModelStore) -> None:
    assert champion_of(store, "simulate") == "learned"


@pytest.mark.parametrize("feed", ["coinbase-exchange", "auto", "replay:some.ndjson"])
def test_any_other_feed_retires_a_simulated_champion(store: ModelStore, feed: str) -> None:
    assert champion_of(store, feed) == "zscore"
