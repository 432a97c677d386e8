"""What the launcher trains on, and what it makes of a training process's end."""

import sys
from pathlib import Path

import pytest

from flows.host.lossy_output import SAID_BY
from flows.local import training_runs
from flows.local.supervisor import Supervisor
from flows.local.training_runs import TrainingRuns, command, history_settings, last_line
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from schemas.training import TrainingResult, encode_result
from tests.support.models import publish_tiny

CHALLENGER = "stays a challenger: recipe: logreg against zscore"


def settings_for(folder: Path, feed: str) -> Settings:
    return Settings(model_store=folder / "models", feed=feed, targets=("volatility_spike",))


def line(ref: str, *, champion: bool) -> str:
    return encode_result(
        TrainingResult(
            target="volatility_spike",
            version=ref,
            champion=champion,
            published=True,
            pr_auc=0.3,
            lift=1.1,
        )
    )


def run(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, said: str, code: int, times: int = 1
) -> None:
    """Let the launcher believe that a training process said this and ended so."""
    monkeypatch.setattr(training_runs, "FIRST_TRY_S", 0.0)
    monkeypatch.setattr(training_runs, "POLL_S", 0.01)
    program = [sys.executable, "-S", "-c", f"import sys; print({said!r}); sys.exit({code})"]
    with Supervisor() as supervisor:

        def start(_settings, _supervisor, name, _module, **options):
            return supervisor.spawn(name, program, **options)

        monkeypatch.setattr(training_runs, "start", start)
        job = TrainingRuns(settings, supervisor)
        for _ in range(times):
            job._train_all()


def test_simulated_history_is_another_market_than_the_feed() -> None:
    given = Settings(symbols=("BTC-USD", "XRP-USD"), simulate_rate_hz=5_000.0, simulate_seed=7)
    first, second = history_settings(given, 1), history_settings(given, 2)
    assert len({given.simulate_seed, first.simulate_seed, second.simulate_seed}) == 3
    assert first.symbols[:2] == ("BTC-USD", "XRP-USD")
    assert len(first.symbols) == len(set(first.symbols)) == training_runs.SYMBOLS
    assert first.simulate_rate_hz < 100  # a fast demonstration does not make a slow training


def test_the_first_model_learns_from_the_feeds_own_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, "simulate").replace(
        live_from_ns=1_767_225_600_000_000_000, simulate_history_s=5_400
    )
    asked = []

    def run_once(self, target, given, history):
        asked.append((given, history))
        return 2, "no positive label in holdout's test part (120 rows)"

    monkeypatch.setattr(training_runs.TrainingRuns, "_run_once", run_once)
    with Supervisor() as supervisor:
        TrainingRuns(settings, supervisor)._train_all()
    assert asked[0] == (settings, "5400s")
    # Another market has another past: it does not end where the feed's does.
    assert {(given.live_from_ns, history) for given, history in asked[1:]} == {(None, "2h")}
    assert settings.simulate_seed not in {given.simulate_seed for given, _ in asked[1:]}


@pytest.mark.parametrize("history_s", [0, 3_599])
def test_a_history_too_short_to_learn_from_is_left_alone(history_s: int) -> None:
    settings = Settings(live_from_ns=1, simulate_history_s=history_s)
    assert not training_runs.has_history(settings)


def test_only_a_simulated_feed_trains_on_simulated_ticks() -> None:
    made_up = " ".join(command("volatility_spike", simulated=True))
    assert "--from simulate:2h" in made_up
    own = " ".join(command("volatility_spike", simulated=True, history="5400s"))
    assert "--from simulate:5400s" in own
    assert "--for-feed simulated" in made_up
    collected = " ".join(command("volatility_spike", simulated=False))
    assert "--from kafka:ticks.raw" in collected
    assert "--for-feed live" in collected
    assert "simulate" not in collected


def test_the_last_line_that_is_not_json_is_the_cause() -> None:
    log = '{"event":"training","level":"info"}'
    assert last_line("\n".join([log, line("a@1", champion=True), CHALLENGER, log])) == CHALLENGER
    assert last_line(log) == "it says nothing"
    assert last_line(f"{SAID_BY}the cause") == "the cause"


def test_on_a_simulated_feed_the_learned_model_takes_over_from_the_untrained_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path, "simulate")
    store = ModelStore(settings.model_store)
    builtin = publish_tiny(store, 0.1, provenance="builtin", name="zscore")
    store.install("volatility_spike", champion=builtin, by="test")
    learned = publish_tiny(store, 0.2, provenance="simulated", name="learned")
    said = f"{line(learned, champion=False)}\n{CHALLENGER}"
    run(monkeypatch, settings, said, 5)
    assert store.aliases("volatility_spike").champion == learned
    written = "".join(capfd.readouterr())
    assert "SIMULATED" in written
    assert CHALLENGER in written


def test_a_trained_champion_stays_where_the_gate_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, "simulate")
    store = ModelStore(settings.model_store)
    before = publish_tiny(store, 0.1, provenance="simulated", name="before")
    store.move("volatility_spike", champion=before, by="test", allow_simulated=True)
    learned = publish_tiny(store, 0.2, provenance="simulated", name="learned")
    run(monkeypatch, settings, f"{line(learned, champion=False)}\n{CHALLENGER}", 5)
    assert store.aliases("volatility_spike").champion == before


def test_on_a_live_feed_the_gate_alone_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, "coinbase-exchange")
    store = ModelStore(settings.model_store)
    builtin = publish_tiny(store, 0.1, provenance="builtin", name="zscore")
    store.install("volatility_spike", champion=builtin, by="test")
    learned = publish_tiny(store, 0.2, provenance="live", name="learned")
    run(monkeypatch, settings, f"{line(learned, champion=False)}\n{CHALLENGER}", 5)
    assert store.aliases("volatility_spike").champion == builtin


def test_too_few_ticks_are_mentioned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path, "coinbase-exchange")
    monkeypatch.setattr(training_runs.TrainingRuns, "_run_once", _too_few(iter(range(1, 10))))
    with Supervisor() as supervisor:
        job = TrainingRuns(settings, supervisor)
        for _ in range(3):
            job._train_all()
    written = "".join(capfd.readouterr())
    assert sum("[info" in row and "too few ticks" in row for row in written.splitlines()) == 1
    assert "warning" not in written
    assert "error" not in written


def _too_few(minutes):
    def run_once(self, target, settings, history):
        return 2, f"{SAID_BY}too few ticks: {next(minutes)} min of labelled, warm ticks"

    return run_once


def test_a_quiet_history_is_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, "simulate")
    seeds = []

    def run_once(self, target, given, history):
        seeds.append(given.simulate_seed)
        return 2, "no positive label in holdout's test part (120 rows)"

    monkeypatch.setattr(training_runs.TrainingRuns, "_run_once", run_once)
    with Supervisor() as supervisor:
        TrainingRuns(settings, supervisor)._train_all()
    assert len(set(seeds)) == len(seeds) == training_runs.ATTEMPTS
