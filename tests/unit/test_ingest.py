"""The runnable flow against an embedded broker."""

import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.connectors import feed
from flows.connectors.feed import TickProducer
from flows.connectors.kafka.admin import ensure_topics
from flows.errors import BrokerError
from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader
from flows.feeds.processor import FrameProcessor
from flows.feeds.venues import parser_for
from flows.host.lossy_output import SAID_BY
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick
from tests.support.embedded import EmbeddedBroker
from tests.support.polling import free_ports, until
from tests.support.processes import ROOT, flow, run

DATA = ROOT / "tests" / "data"


def ingest(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(["-m", "bytewax.run", "flows.ingest"], folder, settings)


def read(broker: EmbeddedBroker, topic: str, count: int) -> list[tuple[int, bytes, bytes]]:
    """Return partition, key and value of ``count`` messages of a topic, in order by partition."""
    found: list[tuple[int, bytes, bytes]] = []

    def enough() -> bool:
        # Anew each time: the embedded broker can leave a reader waiting for good.
        found[:] = read_once(broker, topic, count)
        return len(found) >= count

    until(enough, f"{count} messages on {topic}")
    return found


def read_once(broker: EmbeddedBroker, topic: str, count: int) -> list[tuple[int, bytes, bytes]]:
    consumer = Consumer({**broker.client_config(), "group.id": "reader", "log_level": 0})
    found: list[tuple[int, bytes, bytes]] = []
    try:
        parts = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in parts])
        for _ in range(10):
            for message in consumer.consume(1_000, 0.2):
                assert message.error() is None
                found.append((message.partition(), message.key(), message.value()))
            if len(found) >= count:
                break
    finally:
        consumer.close()
    return found


def test_a_replay_lands_in_the_topics_and_ends_by_itself(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    done = ingest(
        tmp_path,
        **embedded_broker.environment(),
        VOLTICK_FEED=f"replay:{DATA / 'coinbase-exchange.frames.ndjson'}",
        VOLTICK_REPLAY_SPEED="max",
        VOLTICK_LOG_FORMAT="json",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    ended = [msgspec.json.decode(line) for line in done.stderr.splitlines() if "ended" in line]
    assert [(entry["ticks"], entry["dead_letters"], entry["gaps"]) for entry in ended] == [
        (5, 4, 1)
    ]
    ticks = read(embedded_broker, topics.TICKS_RAW, 5)
    made = [msgspec.json.decode(value, type=Tick) for _, _, value in ticks]
    assert all(key.decode() == tick.symbol for (_, key, _), tick in zip(ticks, made, strict=True))
    bitcoin = [tick.trade_id for tick in made if tick.symbol == "BTC-USD"]
    assert bitcoin == [101, 102, 105, 107]
    assert len({part for part, key, _ in ticks if key == b"BTC-USD"}) == 1
    for _, _, value in read(embedded_broker, topics.DEAD_LETTERS, 4):
        assert msgspec.json.decode(value, type=DeadLetter).venue == "coinbase-exchange"


def test_a_recording_that_breaks_off_delivers_what_it_had_and_says_so(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    whole = (DATA / "binance.frames.ndjson").read_text()
    cut = tmp_path / "cut.frames.ndjson"
    cut.write_text(whole[:-40])
    done = ingest(
        tmp_path,
        **embedded_broker.environment(),
        VOLTICK_FEED=f"replay:{cut}",
        VOLTICK_REPLAY_SPEED="max",
    )
    assert done.returncode == 0
    assert "the recording breaks off: what comes before is used" in done.stderr
    assert "Traceback" not in done.stderr
    assert "panicked" not in done.stderr
    with CaptureReader(DATA / "binance.frames.ndjson") as reader:
        frames = [frame for block in reader.blocks() for frame in block]
    had = FrameProcessor(parser_for("binance", [])).process(frames[:-1]).ticks
    assert had

    def delivered() -> bool:
        return set(had) <= {
            (key, value) for _, key, value in read(embedded_broker, topics.TICKS_RAW, 1)
        }

    until(delivered, "what came before the break")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "set KAFKA_BOOTSTRAP_SERVERS"),
        ({"VOLTICK_PARTITIONS": "many"}, "VOLTICK_PARTITIONS"),
    ],
)
def test_bad_settings_are_one_clear_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    done = ingest(tmp_path, VOLTICK_FEED="simulate", **settings)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_missing_recording_is_one_clear_line(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    done = ingest(tmp_path, **embedded_broker.environment(), VOLTICK_FEED="replay:/no/such/file")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        f"{SAID_BY}cannot read the recording /no/such/file"
    )
    assert "panicked" not in done.stderr


def test_sigterm_delivers_what_was_read_and_exits_cleanly(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_FEED": "simulate",
        "VOLTICK_SYMBOLS": "LTC-USD",
        "VOLTICK_SIMULATE_RATE_HZ": "500",
    }
    with flow("flows.ingest", tmp_path, settings) as process:
        process.wait_for_log("SIMULATED", 60.0)
        keys = until(
            lambda: {key for _, key, _ in read_once(embedded_broker, topics.TICKS_RAW, 1)},
            "simulated ticks",
            60.0,
        )
        assert keys == {b"LTC-USD"}
        process.terminate()
        assert process.wait_exit(60) == 0, process.tail()
        assert "feed ended" in process.stderr


def test_a_failed_delivery_is_an_error_of_the_next_call() -> None:
    [port] = free_ports(1)
    producer = TickProducer(
        {"bootstrap.servers": f"127.0.0.1:{port}", "message.timeout.ms": 50, "linger.ms": 0}
    )
    producer.produce("t", [(b"k", b"v")])
    with pytest.raises(BrokerError, match="a message was not delivered to t: "):
        producer.flush()


def test_a_broker_that_is_away_is_not_waited_for_once_the_flow_is_to_end() -> None:
    [port] = free_ports(1)
    config = {"bootstrap.servers": f"127.0.0.1:{port}"}
    producer = TickProducer(config, silence_limit_s=0.2)
    producer.produce("t", [(b"k", b"v")] * 3)
    with pytest.raises(BrokerError, match=f"3 messages were not delivered: .*{port} took nothing"):
        producer.flush()


def test_a_full_queue_is_left_once_the_flow_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_QUEUE_MESSAGES", 10)
    [port] = free_ports(1)
    stop = threading.Event()
    producer = TickProducer({"bootstrap.servers": f"127.0.0.1:{port}"}, stop, silence_limit_s=0.2)
    stop.set()
    with pytest.raises(BrokerError, match=r"took nothing for 0\.2 s"):
        producer.produce("t", [(b"k", b"v")] * 20)


def test_symbols_are_spread_the_way_java_clients_do(embedded_broker: EmbeddedBroker) -> None:
    ensure_topics(embedded_broker.client_config(), ["spread"], 4)
    producer = TickProducer(embedded_broker.client_config())
    keys = [b"21", b"foobar", b"a-little-bit-long-string", b"BTC-USD"]
    producer.produce("spread", [(key, b"v") for key in keys])
    producer.flush()
    # Kafka's own test vectors of murmur2, made positive, modulo the partition count
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    found = {key: part for part, key, _ in read(embedded_broker, "spread", 4)}
    for key, value in hashes.items():
        assert found[key] == (value & 0x7FFFFFFF) % 4


def test_ingest_says_what_it_reads_and_which_dead_letters_are_many(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    recording = tmp_path / "bad.frames.ndjson"
    header = '{"format": "frames/1", "venue": "binance"}\n'
    recording.write_text(header + '{"ts_recv_ns": 1, "frame": "broken"}\n' * 9)
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_FEED": f"simulate,replay:{recording}",
        "VOLTICK_SYMBOLS": "METRICS-USD",
        "VOLTICK_REPLAY_SPEED": "max",
        "VOLTICK_INGEST_METRICS_PORT": str(port),
    }

    def answer(path: str) -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).text
        except httpx.HTTPError:
            return ""

    with flow("flows.ingest", tmp_path, settings) as process:
        until(lambda: '"status":"ok"' in answer("/health"), "health", 60)
        ticks = 'voltick_ingest_ticks_total{feed="simulate",symbol="METRICS-USD",venue="simulator"}'
        until(lambda: ticks in answer("/metrics"), "the ticks", 60)
        process.wait_for_log("many dead letters", 60)
        assert "broken_frame=9" in process.stderr
        process.terminate()
        assert process.wait_exit(60) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["SIGHUP", "SIGINT"])
def test_every_ending_signal_ends_it_cleanly(
    embedded_broker: EmbeddedBroker, tmp_path: Path, number: signal.Signals
) -> None:
    settings = {**embedded_broker.environment(), "VOLTICK_FEED": "simulate"}
    with flow("flows.ingest", tmp_path, settings) as process:
        process.wait_for_log("SIMULATED", 60.0)
        process.popen.send_signal(number)
        assert process.wait_exit(60) == 0, process.tail()
        assert "panicked" not in process.stderr


def test_the_first_tick_of_each_symbol_is_marked_whenever_ingest_starts(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_FEED": "simulate",
        "VOLTICK_SYMBOLS": "RESTART-A,RESTART-B",
        "VOLTICK_SIMULATE_RATE_HZ": "200",
    }

    def ours() -> list[Tick]:
        ticks = [
            msgspec.json.decode(value, type=Tick)
            for _, key, value in read_once(embedded_broker, topics.TICKS_RAW, 1)
            if key.startswith(b"RESTART")
        ]
        return sorted(ticks, key=lambda tick: tick.ts_event_ns)

    def marked(count: int) -> bool:
        return sum(tick.gap for tick in ours()) == count

    for runs in (1, 2):
        with flow("flows.ingest", tmp_path, settings) as process:
            process.wait_for_log("SIMULATED", 60.0)
            until(partial(marked, 2 * runs), "a mark for each symbol", 60)
            process.terminate()
            assert process.wait_exit(60) == 0
    for symbol in ("RESTART-A", "RESTART-B"):
        ids = [tick.trade_id or 0 for tick in ours() if tick.symbol == symbol]
        assert ids == sorted(set(ids))  # also across the restart, so that none is a duplicate


@pytest.mark.parametrize("times", [1, 2], ids=["one signal", "two signals"])
def test_sigterm_ends_it_within_seconds_while_the_broker_is_away(
    tmp_path: Path, times: int
) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker:
        settings = {**broker.environment(), "VOLTICK_FEED": "simulate"}
        with flow("flows.ingest", tmp_path, settings) as process:
            process.wait_for_log("SIMULATED", 60.0)
            until(lambda: read_once(broker, topics.TICKS_RAW, 1), "ticks", 60)
            broker.pause()
            for _ in range(times):
                process.terminate()
                process.wait_for_log("stopping", 30.0)
            process.wait_exit(30)
            broker.resume()


def test_several_feeds_run_at_once(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    recording = DATA / "binance.frames.ndjson"
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_FEED": f"replay:{recording},simulate",
        "VOLTICK_SYMBOLS": "simulate:SEVERAL-USD",
        "VOLTICK_REPLAY_SPEED": "max",
    }

    def venues() -> set[str]:
        found = read_once(embedded_broker, topics.TICKS_RAW, 1)
        return {msgspec.json.decode(value, type=Tick).venue for _, _, value in found}

    with flow("flows.ingest", tmp_path, settings) as process:
        process.wait_for_log("SIMULATED", 60.0)
        until(lambda: venues() >= {"binance", "simulator"}, "ticks of both", 60)
        process.terminate()
        assert process.wait_exit(60) == 0
        assert "feed=simulate" in process.stderr
        assert f"feed=replay:{recording}" in process.stderr


def test_a_broker_that_takes_nothing_bounds_memory_and_is_not_waited_for(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with EmbeddedBroker(tmp_path / "broker") as broker:
        settings = {
            **broker.environment(),
            "VOLTICK_FEED": "simulate",
            "VOLTICK_SIMULATE_RATE_HZ": "200000",
            "VOLTICK_INGEST_METRICS_PORT": str(port),
        }

        def sent() -> int:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
            lines = [line for line in text.splitlines() if "ingest_ticks_total{" in line]
            return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)

        with flow("flows.ingest", tmp_path, settings) as process:
            process.wait_for_log("SIMULATED", 60.0)
            until(sent, "ticks", 60)
            broker.pause()
            before = [0, -1]

            def stands_still() -> bool:
                before[:] = [sent(), before[0]]
                return before[0] == before[1] > feed._QUEUE_MESSAGES

            until(stands_still, "a full queue", 60, every_s=1.0)
            grown = psutil.Process(process.pid).memory_info().rss
            assert before[0] < 5 * feed._QUEUE_MESSAGES
            assert grown < 700 * 2**20
            began_s = time.monotonic()
            process.terminate()
            assert process.wait_exit(30) == 2
            assert time.monotonic() - began_s < 20
            assert "messages were not delivered" in process.stderr
            assert "panicked" not in process.stderr
            broker.resume()


class Waiting:
    """A live feed with frames that nobody has taken."""

    name = venue = "v"
    simulated = marked = finished = False
    live = True
    loop_number = 0

    def __init__(self, queued: int) -> None:
        self.queued = queued

    def poll(self, max_frames: int) -> list[Frame]:
        taken = min(max_frames, self.queued)
        self.queued -= taken
        return [Frame(1, "x")] * taken

    def close(self) -> None:
        pass


@pytest.mark.parametrize("queued", [0, 30_000])
def test_what_a_live_feed_has_received_by_the_end_is_handed_on(queued: int) -> None:
    stop = threading.Event()
    waiting = Waiting(queued)
    source = feed.FeedSource({"v": lambda: waiting}, 8_192, stop, pytest.fail)  # type: ignore[arg-type, dict-item]
    part = source.build_part("step", "v", None)
    stop.set()
    batches = part.next_batch()
    assert sum(len(batch.frames) for batch in batches) == queued
    assert [batch.last for batch in batches][-1:] == [True]
    with pytest.raises(StopIteration):
        part.next_batch()
