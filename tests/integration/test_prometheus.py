"""Prometheus and Alertmanager, Debian's own, watch a running system."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.dashboards import queries
from tests.support.polling import until
from tests.support.processes import flow, run
from tests.support.prometheus import Alertmanager, Prometheus, binary, rules
from tests.support.runbook import runbook
from tests.support.watched import Watched, watched_system

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    binary("prometheus")
    with watched_system(tmp_path_factory.mktemp("system")) as found:
        yield found


@pytest.fixture(scope="module")
def alertmanager(
    system: Watched, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(
    system: Watched, alertmanager: Alertmanager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, system.ports, alertmanager.port) as server:
        answered: set[str] = set()

        def all_have_answered() -> bool:
            system.assert_running()
            answered.update(job for job, is_up in server.up().items() if is_up)
            return answered == set(system.ports)

        until(all_have_answered, "a scrape of each process", 180, every_s=0.5)
        yield server


def test_every_process_is_scraped_and_shows_its_memory_and_cpu(
    system: Watched, prometheus: Prometheus
) -> None:
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total"):
        found = _seen(prometheus, f"last_over_time({name}[5m])", "job")
        assert found == set(system.ports)


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    names = sorted(rule.get("alert") or rule["record"] for rule in rules())

    def evaluated() -> bool:
        found = prometheus.rules()
        assert sorted(rule["name"] for rule in found) == names
        assert [rule["lastError"] for rule in found if rule.get("lastError")] == []
        return all(rule["health"] == "ok" for rule in found)

    until(evaluated, "each rule to be evaluated", 60)


def test_a_ticks_way_is_measured_stage_by_stage(system: Watched, prometheus: Prometheus) -> None:
    def measured() -> set[str]:
        system.assert_running()
        return _seen(prometheus, "last_over_time(voltick_stage_seconds_count[5m]) > 0", "stage")

    wanted = {
        "event_to_received",
        "received_to_kafka",
        "kafka_to_scored",
        "scored_to_committed",
        "committed_to_redis",
    }
    until(lambda: measured() == wanted, "every stage", 200, every_s=0.5)
    recorded = "last_over_time(voltick:tick_to_commit_seconds:p95_5m[5m])"
    until(lambda: prometheus.query(recorded), "the recorded quantile", 60, every_s=0.5)
    ages = "last_over_time(voltick_symbol_event_age_seconds[5m])"
    symbols = {"BTC-USD", "ETH-USD"}
    until(lambda: _seen(prometheus, ages, "symbol") == symbols, "both symbols", 60, every_s=0.5)
    champions = 'last_over_time(voltick_model_info{role="champion"}[5m])'
    assert _seen(prometheus, champions, "target") == {"volatility_spike"}
    [broker] = prometheus.query("last_over_time(voltick_embedded_broker_bytes[5m])")
    assert float(broker["value"][1]) > 1e6


def test_drift_is_looked_at_and_told_by_the_api(system: Watched, prometheus: Prometheus) -> None:
    def drift() -> dict | None:
        system.assert_running()
        answer = httpx.get(f"{system.api}/quality?target=volatility_spike", timeout=10).json()
        return answer["drift"]

    until(drift, "a report of drift", 200, every_s=0.5)
    found = drift()
    assert found is not None
    # The built-in baseline was never trained: it has no reference.
    assert [each["state"] for each in found["models"]] == ["unknown"]
    until(lambda: prometheus.query('voltick_drift_state{state="unknown"} == 1'), "its metric", 30)


def test_the_status_tells_the_same(system: Watched, tmp_path: Path) -> None:
    def whole() -> dict:
        """Return what is said once everything has answered in time and both symbols are scored."""
        said = run(["-m", "flows.status", "--once", "--json"], tmp_path, system.settings, 120)
        found: dict = json.loads(said.stdout)
        assert said.returncode == (0 if found["health"]["status"] == "ok" else 1), said.stderr
        symbols = {symbol["symbol"] for symbol in found["symbols"]}
        return found if found["problems"] == [] and symbols == {"BTC-USD", "ETH-USD"} else {}

    found = until(whole, "a status without a problem, of both symbols", 200)
    rates = {topic["name"]: topic["rate_hz"] for topic in found["topics"]}
    assert rates["predictions"] is not None  # how high it is depends on the machine
    # A group that has committed nothing yet has no lag.
    assert "pipeline" in {group["name"] for group in found["groups"]}
    [champion] = [model for model in found["models"] if model["role"] == "champion"]
    assert champion["target"] == "volatility_spike"


# Commands of the runbook that are not run as they stand: what runs for ever, waits for long, or
# trains for minutes. Their options are checked all the same.
SHORTER = {
    ("-m", "flows.status"): ("--once", "--json"),
    ("-m", "training.retrain"): ("--help",),
}
CODES = {("-m", "flows.status"): {0, 1}, ("-m", "flows.check"): {0, 1}}


def test_what_the_runbook_tells_to_run_runs(system: Watched, tmp_path: Path) -> None:
    commands = runbook().commands
    assert {words[:2] for words in commands} >= {
        *SHORTER,
        *CODES,
        ("-m", "flows.redrive"),
        ("-m", "training.models"),
    }
    for words in commands:
        if words[:2] == ("-m", "bytewax.run"):
            assert words[2].removeprefix("flows.") in {*system.flows, "pipeline", "outcomes"}
            continue
        asked = [*words, *SHORTER.get(words[:2], ())]
        asked = ["2" if word == "30" else word for word in asked]
        done = run(asked, tmp_path, system.settings, 120)
        if words[2:3] == ("rollback",):  # nothing was trained here, so there is nothing to go to
            assert (done.returncode, "no former champion" in done.stderr) == (2, True)
        else:
            allowed = CODES.get(words[:2], {0})
            assert done.returncode in allowed, (words, done.stderr)


def test_what_the_runbook_tells_to_ask_is_answered(system: Watched) -> None:
    calls = runbook().calls
    assert {("GET", "/health"), ("GET", "/dead-letters"), ("GET", "/system")} <= set(calls)
    for method, path in calls:
        place = path.replace("{target}", "volatility_spike")
        # Without a token nothing is changed.
        allowed = {200, 503} if path == "/health" else {200} if method == "GET" else {401, 403}

        def answered(method=method, place=place, allowed=allowed) -> bool:
            try:
                found = httpx.request(method, f"{system.api}{place}", timeout=60).status_code
            except httpx.TransportError:  # not started yet
                return False
            assert found in {*allowed, 503}, (place, found)
            return found in allowed

        # To the API a broker that a busy machine keeps waiting is away for the moment.
        until(answered, f"an answer to {method} {place}", 120)


def test_every_query_of_every_panel_gives_data(system: Watched, prometheus: Prometheus) -> None:
    # One that gave data once does give data: a scrape that a busy machine misses is no finding.
    empty = {
        (dashboard, panel, expression)
        for dashboard, panel, description, expression in queries()
        if "Nothing " not in description
    }

    def none_is_left() -> bool:
        system.assert_running()
        empty.difference_update([each for each in empty if prometheus.query(each[2])])
        return not empty

    try:
        until(none_is_left, "data in each panel", 200, every_s=2.0)
    except TimeoutError:
        assert empty == set()


def test_an_alert_fires_on_a_fault_and_resolves_after_it(
    system: Watched, prometheus: Prometheus, alertmanager: Alertmanager
) -> None:
    alert = ("VoltickProcessDown", "voltick-candles")
    until(lambda: alert not in alertmanager.firing(), "no such alert at first", 60)
    system.assert_running()
    candles = system.flows["candles"]
    candles.kill()
    until(lambda: alert in alertmanager.firing(), "the alert", 100)
    with flow("flows.candles", candles.folder, candles.settings, "candles-again"):
        until(lambda: prometheus.up()["voltick-candles"], "the process to answer", 120)
        until(lambda: alert not in alertmanager.firing(), "the alert to resolve", 100)


def _seen(prometheus: Prometheus, expression: str, label: str) -> set[str]:
    """Return the values of a label among a query's samples."""
    return {sample["metric"][label] for sample in prometheus.query(expression)}
