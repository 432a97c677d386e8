"""The way of a batch's oldest tick, by stages; and how old each symbol is."""

import os

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from flows.codec.outputs import Latest, OutputBatch
from flows.monitoring.embedded import EmbeddedMemory
from flows.monitoring.freshness import MAX_SYMBOLS, OTHER, SymbolFreshness
from flows.monitoring.latency import LOGGED, RECEIVED, STAGES, StageLatency
from flows.monitoring.serving_info import ServingInfo, ServingModelsInfo
from flows.numeric.time import NS_PER_MS, NS_PER_S

NOW_NS = 1_750_000_000 * NS_PER_S


def batch(**times: int | None) -> OutputBatch:
    return OutputBatch(
        partition=0, next_offset=1, rebuild_from=0, caught_up=True, emit=True, **times
    )


def seconds_of(registry: CollectorRegistry) -> dict[str, tuple[float, float]]:
    """Count and sum by stage."""
    return {
        stage: tuple(
            registry.get_sample_value(f"voltick_stage_seconds_{part}", {"stage": stage}) or 0.0
            for part in ("count", "sum")
        )
        for stage in STAGES
    }


def test_each_stage_is_the_time_between_its_two_ends() -> None:
    registry = CollectorRegistry()
    stages = StageLatency(registry)
    logged_ms = NOW_NS // NS_PER_MS
    stages.observe_commit(
        batch(
            first_event_ns=NOW_NS - 50 * NS_PER_MS,
            first_received_ns=NOW_NS - 20 * NS_PER_MS,
            oldest_ms=logged_ms,
            scored_ns=NOW_NS + 3 * NS_PER_MS,
        ),
        NOW_NS + 7 * NS_PER_MS,
    )
    stages.observe_redis(0.5)
    assert [pytest.approx(total) for _count, total in seconds_of(registry).values()] == [
        0.03,
        0.02,
        0.003,
        0.004,
        0.5,
    ]
    assert all(count == 1 for count, _total in seconds_of(registry).values())


def test_a_stage_without_a_known_end_is_left_out_and_one_below_zero_is_zero() -> None:
    registry = CollectorRegistry()
    stages = StageLatency(registry)
    stages.observe_commit(
        batch(first_event_ns=NOW_NS + NS_PER_S, oldest_ms=NOW_NS // NS_PER_MS), NOW_NS
    )
    stages.observe_commit(batch(first_event_ns=NOW_NS + NS_PER_S, first_received_ns=NOW_NS), NOW_NS)
    found = seconds_of(registry)
    assert found[RECEIVED] == (1, 0)
    assert found[LOGGED] == (0, 0)


def latest(symbol: str, event_ns: int | None) -> Latest:
    return Latest(symbol, 1, NOW_NS, b"{}", 0, event_ns)


def ages(freshness: SymbolFreshness) -> dict[str, float]:
    [family] = freshness.collect()
    return {sample.labels["symbol"]: sample.value for sample in family.samples}


def test_a_symbols_age_is_that_of_its_newest_event_and_ends_with_its_time_to_live() -> None:
    now_ns = [NOW_NS]
    freshness = SymbolFreshness(60.0, lambda: now_ns[0])
    freshness.note([latest("A", NOW_NS - NS_PER_S), latest("B", NOW_NS - 50 * NS_PER_S)])
    freshness.note([latest("A", NOW_NS - 2 * NS_PER_S), latest("C", None)])
    assert ages(freshness) == {"A": 1.0, "B": 50.0}
    now_ns[0] += 20 * NS_PER_S
    assert ages(freshness) == {"A": 21.0}


def test_a_clock_that_was_put_right_does_not_hide_a_symbol_that_falls_silent() -> None:
    now_ns = [NOW_NS]
    freshness = SymbolFreshness(86_400.0, lambda: now_ns[0])
    freshness.note([latest("A", NOW_NS + 3_600 * NS_PER_S)])
    freshness.note([latest("A", NOW_NS)])
    now_ns[0] += 40 * NS_PER_S
    assert ages(freshness) == {"A": 40.0}


def test_symbols_without_end_make_one_label() -> None:
    freshness = SymbolFreshness(60.0, lambda: NOW_NS)
    freshness.note(latest(f"S{number}", NOW_NS - NS_PER_S) for number in range(1_000))
    freshness.note([latest("S999", NOW_NS), latest("S0", NOW_NS)])
    found = ages(freshness)
    assert len(found) == MAX_SYMBOLS + 1
    assert (found[OTHER], found["S0"], found["S1"]) == (0.0, 0.0, 1.0)


def test_models_that_serve_have_their_line() -> None:
    registry, info = CollectorRegistry(), ServingModelsInfo()
    registry.register(info)
    assert "{" not in generate_latest(registry).decode()
    info.read = lambda: [ServingInfo("spike", "a@1", "logreg", ("b@2",), 1)]
    text = generate_latest(registry).decode()
    champion = 'model="a@1",role="champion",target="spike",variant="logreg"'
    assert f"voltick_model_info{{{champion}}} 1.0" in text
    assert 'model="b@2",role="challenger"' in text
    assert 'voltick_models_refused{target="spike"} 1.0' in text


def test_the_embedded_brokers_memory_is_shown_beside_its_limit() -> None:
    registry, memory = CollectorRegistry(), EmbeddedMemory()
    registry.register(memory)
    assert registry.get_sample_value("voltick_embedded_broker_bytes") is None
    memory.watch(os.getpid(), 100)
    assert (registry.get_sample_value("voltick_embedded_broker_bytes") or 0) > 1e6
    assert registry.get_sample_value("voltick_embedded_broker_limit_bytes") == 100_000_000
