"""On real markets: what training learns from is the truth that the outcomes flow publishes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.feeds.replay import ReplayFeed
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from flows.settings import load_settings
from flows.targets import label_columns, truth
from schemas import topics
from schemas.predictions import Outcome
from schemas.ticks import Tick
from tests.fuzz.chain import Chain, as_log, batches
from tests.support.captures import capture
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import Outgoing, create_topics, fill, read_topic
from tests.support.models import RETURN, SPIKE, publish_tiny
from tests.support.processes import flow
from training.data.build import compute_features
from training.data.sources import read_sources

SPECS = (SPIKE, RETURN)
RECORDINGS = ("binance_btcusdt_20240808_11min", "coinbase-exchange_eth_20210701_48h")
Truths = dict[int, dict[str, tuple[float, float]]]


def replayed(name: str) -> list[Tick]:
    """Read a recording as the replay that feeds the flow does."""
    feed = ReplayFeed(capture(name))
    parser = feed.parser()
    ticks: list[Tick] = []
    while not feed.finished:
        for frame in feed.poll(10_000):
            ticks.extend(parser.parse(frame).ticks)
    feed.close()
    return ticks


def labels(name: str) -> Truths:
    """Offset -> {target: (value, truth)}, as training makes them of a recording."""
    [log] = read_sources([str(capture(name))], load_settings({}))
    table = compute_features(log.batch)
    found: Truths = {}
    for spec in SPECS:
        columns = log.batch.symbol_id, table.ts_effective_ns, table.mid, table.flags
        values = label_columns(*columns, spec).value
        for row in np.flatnonzero(np.isfinite(values)).tolist():
            judged = float(values[row]), float(truth(values, spec)[row])
            found.setdefault(row, {})[spec.name] = judged
    return found


def predictions(scorer: Scorer, partition: int, ticks: list[Tick]) -> list[Outgoing]:
    """Return what the flow's own steps publish for these ticks."""
    raw = [Outgoing(partition, None, msgspec.json.encode(tick), -1) for tick in ticks]
    chain = Chain(scorer)
    for batch in batches(as_log(raw), seed=partition):
        chain.run(batch)
    return [Outgoing(partition, made.key, made.value, 1) for made in chain.outputs.predictions]


@pytest.mark.timeout(240)
def test_published_truth_is_the_label_of_training(
    embedded_broker: EmbeddedBroker, group: str, tmp_path: Path
) -> None:
    wanted = {part: labels(name) for part, name in enumerate(RECORDINGS)}
    assert all(len(known) > 10_000 for known in wanted.values())
    store = ModelStore(tmp_path / "models")
    for spec in SPECS:
        store.move(spec.name, champion=publish_tiny(store, 0.2, target=spec), by="test")
    scorer = Scorer(store, [spec.name for spec in SPECS])
    config = embedded_broker.client_config()
    create_topics(config, len(RECORDINGS))
    for part, name in enumerate(RECORDINGS):
        fill(config, predictions(scorer, part, replayed(name)), topics.PREDICTIONS)
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_GROUP": group,
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        "VOLTICK_PARTITIONS": str(len(RECORDINGS)),
    }
    with flow("flows.outcomes", tmp_path, settings) as process:
        count = sum(map(len, wanted.values()))
        messages = read_topic(config, topics.OUTCOMES, at_least=count, deadline_s=90)
        assert process.running, process.tail()

    found: dict[int, Truths] = {part: {} for part in wanted}
    for message in messages:
        outcome = msgspec.json.decode(message.value, type=Outcome)
        judged = {name: (own.value, own.truth) for name, own in outcome.scores.items()}
        assert outcome.offset not in found[message.partition]
        found[message.partition][outcome.offset] = judged
    for part, name in enumerate(RECORDINGS):
        assert found[part].keys() == wanted[part].keys(), name
        assert found[part] == wanted[part], name
        events = [judged[SPIKE.name][1] for judged in found[part].values() if SPIKE.name in judged]
        assert 0 < sum(events) < len(events)
