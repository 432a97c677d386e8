"""What the launcher refuses before it starts anything."""

from pathlib import Path

import pytest

from flows.errors import ConfigurationError
from flows.feeds.recordings import first_received_ns
from flows.local.launcher import (
    MAX_HISTORY_TICKS,
    ensure_services,
    refuse_cluster,
    with_feed_metrics,
    with_history,
)
from flows.local.training_runs import has_history
from flows.settings import Settings


def test_with_a_broker_configured_nothing_is_started() -> None:
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    assert ensure_services(settings) is settings


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["flows.pipeline", "-i", "0", "-a", "a:1;b:1"], {}),
        (["flows.pipeline", "-i0"], {}),
        (["flows.pipeline", "--process-id=0"], {}),
        (["flows.pipeline"], {"BYTEWAX_PROCESS_ID": "0"}),
        (["flows.pipeline"], {"BYTEWAX_ADDRESSES": "a:1"}),
        (["flows.pipeline"], {"BYTEWAX_POD_NAME": "voltick-0"}),
    ],
)
def test_a_clustered_run_needs_a_broker(arguments: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
        refuse_cluster(arguments, env)


def test_workers_in_one_process_are_no_cluster() -> None:
    refuse_cluster(["flows.pipeline", "-w", "2"], {"BYTEWAX_WORKERS_PER_PROCESS": "2"})


NOW_NS = 1_767_225_600_000_000_000


def test_a_simulated_market_begins_in_the_past() -> None:
    settings = with_history(Settings(feed="simulate"), lambda: NOW_NS)
    assert settings.live_from_ns == NOW_NS
    assert settings.simulate_history_s == 5_400
    assert settings.simulate_history_s * settings.simulate_rate_hz < MAX_HISTORY_TICKS


def test_a_fast_market_has_a_shorter_past() -> None:
    settings = with_history(Settings(feed="simulate", simulate_rate_hz=500.0), lambda: NOW_NS)
    assert settings.simulate_history_s == MAX_HISTORY_TICKS / 500


def test_a_live_feed_tells_its_reconnects_on_loopback_alone() -> None:
    live = Settings(feed="coinbase-exchange")
    assert with_feed_metrics(live).ingest_metrics_port > 0
    for other in (
        Settings(feed="simulate"),
        Settings(feed="replay:x.gz"),
        live.replace(ingest_metrics_port=9105),
        live.replace(metrics_host="0.0.0.0"),  # noqa: S104
    ):
        assert with_feed_metrics(other) is other


def test_a_replays_past_ends_where_its_own_pace_begins() -> None:
    recording = Path(__file__).parents[2] / "data" / "coinbase-exchange.frames.ndjson"
    first_ns = first_received_ns(recording)
    settings = with_history(Settings(feed=f"replay:{recording}", replay_from_s=1.5))
    assert settings.live_from_ns == first_ns + 1_500_000_000
    assert settings.history_from_ns == first_ns
    assert not has_history(settings)  # no model is trained on another, made-up market


@pytest.mark.parametrize(
    "settings",
    [
        Settings(feed="coinbase-exchange"),
        Settings(feed="replay:x.gz"),
        Settings(feed="simulate", simulate_history_s=0),
        Settings(feed="simulate", simulate_rate_hz=1_000_000.0),
    ],
    ids=["live", "replay", "not wanted", "too fast for any"],
)
def test_any_other_run_has_no_past(settings: Settings) -> None:
    assert with_history(settings) is settings
