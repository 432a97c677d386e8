"""The overview: rates between two looks, parts that are away, and what a terminal shows."""

from types import SimpleNamespace

import httpx
import msgspec
import pytest
from rich.console import Console

from flows import status
from flows.numeric.time import NS_PER_S
from flows.overview.look import Looker
from flows.overview.model import (
    GroupView,
    HealthView,
    ModelView,
    Overview,
    SymbolView,
    TopicView,
    with_rates,
)
from flows.overview.tables import as_tables
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from tests.support.api import DEAD_REDIS
from tests.support.models import RETURN, publish_tiny, tiny


def topic(name: str, end: int) -> TopicView:
    return TopicView(name=name, partitions=1, messages=end, end=end)


def test_a_rate_is_what_came_between_two_looks() -> None:
    before = Overview(ts_ns=10 * NS_PER_S, topics=[topic("a", 100), topic("b", 50)])
    now = Overview(ts_ns=12 * NS_PER_S, topics=[topic("a", 120), topic("b", 40), topic("c", 5)])
    rates = {each.name: each.rate_hz for each in with_rates(now, before).topics}
    assert rates == {"a": 10.0, "b": 0.0, "c": None}
    assert with_rates(now, None) == now
    assert with_rates(before, now) == before


def test_what_is_away_is_named_and_hides_nothing_else(tmp_path) -> None:
    store = ModelStore(tmp_path)
    ref = publish_tiny(store, 0.2)
    store.install("volatility_spike", champion=ref, by="test")
    settings = Settings(model_store=tmp_path, redis_url=DEAD_REDIS, api_port=1)
    found = Looker(settings, None).look()
    assert [(each.model, each.role) for each in found.models] == [(ref, "champion")]
    assert found.health.status == "unreachable"
    assert [problem.partition(":")[0] for problem in found.problems] == ["Kafka", "Redis", "API"]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Overview) == found


@pytest.mark.parametrize("body", [b"<html>", b'{"status": "\xff"}', b"[" * 5_000])
def test_a_stranger_at_the_apis_address_is_a_problem_that_hides_nothing(
    body: bytes, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(httpx, "get", lambda *_args, **_options: httpx.Response(200, content=body))
    found = Looker(Settings(model_store=tmp_path), None).look()
    assert found.health.status == "unreachable"
    assert any(problem.startswith("API: http://127.0.0.1:8000") for problem in found.problems)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_pipe_gets_each_look_below_the_last(arguments, monkeypatch, capsys, tmp_path) -> None:
    def rest(_seconds: float) -> None:
        shown.append(capsys.readouterr().out.count("unreachable"))
        if len(shown) == 2:
            raise KeyboardInterrupt

    shown: list[int] = []
    monkeypatch.setenv("VOLTICK_MODEL_STORE", str(tmp_path))
    monkeypatch.setenv("VOLTICK_API_PORT", "1")
    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=rest))
    monkeypatch.setattr("sys.argv", ["flows.status", *arguments])
    with pytest.raises(SystemExit):
        status.app()
    assert shown == [1, 1]


@pytest.mark.parametrize("health", ["ok", "unavailable", "unreachable"])
def test_a_terminal_shows_all_of_it(health: str) -> None:
    overview = Overview(
        ts_ns=1_750_000_000 * NS_PER_S,
        topics=[TopicView(name="ticks.raw", partitions=2, messages=1_234, end=1_234, rate_hz=7.5)],
        groups=[
            GroupView(name="pipeline", topic="ticks.raw", lag={0: 1_000}, owners={0: "x at y"})
        ],
        models=[
            ModelView(
                target="t",
                model="m@1",
                role="champion",
                judged=9,
                figure="pr_auc",
                live=0.25,
                offline=0.3,
                drift="misfit",
            )
        ],
        symbols=[
            SymbolView(symbol="BTC-USD", venue="v", age_s=0.4, price=64_000.0, scores={"t": 0.1}),
            SymbolView(symbol="BTC-JPY", venue="v", age_s=0.4, price=15_123_456.5, scores={}),
            SymbolView(symbol="SHIB-USD", venue="v", age_s=0.4, price=1.234e-5, scores={}),
            SymbolView(symbol="[/b]", venue="\x1b[2J", age_s=0.4, price=1.0, scores={}),
        ],
        health=HealthView(status=health, failing=["kafka"], warnings=["clocks disagree"]),
        problems=["Redis: away"],
    )
    console = Console(width=140, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(as_tables(overview))
    text = captured.get()
    for part in (
        health,
        "failing: kafka",
        "clocks disagree",
        "[/b]",
        r"\x1b[2J",
        "1,234",
        "7.5",
        "x at y",
        "m@1",
        "misfit",
        "BTC-USD",
        "15,123,456.5",
        "0.00001234",
        "not known: Redis: away",
    ):
        assert part in text


def test_a_forecast_is_held_to_its_error_before_it_was_judged(tmp_path) -> None:
    store = ModelStore(tmp_path)
    manifest, graph = tiny(0.0, name="forward_return-tiny", target=RETURN)
    manifest = msgspec.structs.replace(manifest, metrics={"rmse": 0.002})
    ref = store.publish(manifest, graph)
    store.install("forward_return", champion=ref, by="test")
    [found] = Looker(Settings(model_store=tmp_path, api_port=1), None).look().models
    assert (found.model, found.figure, found.live, found.offline) == (ref, "rmse", None, 0.002)
