"""Event streams: many clients, slow ones, one that never reads, and a Redis that comes and goes."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec

from schemas.predictions import Prediction
from serving.scores.latest import LatestScores
from tests.support.api import api, open_stream, prediction, read_events, write
from tests.support.polling import until


def metric(address: str, name: str) -> float:
    for line in httpx.get(f"{address}/metrics", timeout=10).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return 0.0


def clients_of(address: str) -> float:
    return metric(address, "voltick_stream_clients")


def test_stream_carries_every_published_prediction_in_order(tmp_path, valkey, database):
    with api(tmp_path, valkey.url) as address, open_stream(address) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        for offset in range(300):
            write(database, prediction(offset=offset))
        offsets = [msgspec.json.decode(data)["offset"] for data in read_events(stream, 300)]
        assert offsets == list(range(300))


def test_stream_of_one_symbol_has_no_other(tmp_path, valkey, database):
    path = "/stream?symbol=ETH-USD&symbol=X"
    with api(tmp_path, valkey.url) as address, open_stream(address, path) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        for symbol in ("BTC-USD", "ETH-USD", "BTC-USD", "ETH-USD"):
            write(database, prediction(symbol))
        found = [msgspec.json.decode(data)["symbol"] for data in read_events(stream, 2)]
        assert found == ["ETH-USD", "ETH-USD"]


def test_closed_stream_is_forgotten(tmp_path, valkey):
    with api(tmp_path, valkey.url) as address:
        with open_stream(address):
            until(lambda: clients_of(address) == 1, "the stream to open")
        until(lambda: clients_of(address) == 0, "the stream to be forgotten")


def test_hundreds_of_clients_get_everything_beside_one_that_never_reads(tmp_path, valkey, database):
    count, messages = 300, 400
    with api(tmp_path, valkey.url) as address:
        sleeper = open_stream(address, receive_buffer=4096)
        streams = [open_stream(address) for _ in range(count)]
        until(lambda: clients_of(address) == count + 1, "all streams to open")
        write_all = threading.Thread(
            target=lambda: [write(database, prediction(offset=i)) for i in range(messages)]
        )
        with ThreadPoolExecutor(16) as pool:
            write_all.start()
            read = list(pool.map(lambda stream: len(read_events(stream, messages, 60)), streams))
        write_all.join()
        assert read == [messages] * count
        assert httpx.get(f"{address}/scores/BTC-USD", timeout=10).status_code == 200
        for stream in [*streams, sleeper]:
            stream.close()
        until(lambda: clients_of(address) == 0, "the streams to be forgotten")


def test_client_that_never_reads_loses_its_oldest_and_is_dropped(
    tmp_path, valkey, database, monkeypatch
):
    monkeypatch.setattr("serving.scores.subscriber.QUEUE_BYTES", 20_000)
    monkeypatch.setattr("serving.routes.stream.STALLED_S", 1.0)
    with api(tmp_path, valkey.url) as address, open_stream(address, receive_buffer=4096):
        until(lambda: clients_of(address) == 1, "the stream to open")

        def dropped() -> bool:
            with database.pipeline() as pipeline:
                for _ in range(500):
                    message = msgspec.json.encode(prediction())
                    pipeline.publish("voltick:stream", message)
                pipeline.execute()
            return metric(address, "voltick_stream_evicted_clients_total") == 1

        until(dropped, "the sleeper to be dropped", 60)
        assert metric(address, "voltick_stream_dropped_chunks_total") > 0
        until(lambda: clients_of(address) == 0, "the sleeper to be forgotten")


def test_open_stream_goes_on_after_redis_restarts(tmp_path, valkey, database):
    with api(tmp_path, valkey.url) as address, open_stream(address) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        write(database, prediction(offset=1))
        assert len(read_events(stream, 1)) == 1
        valkey.kill()
        until(
            lambda: httpx.get(f"{address}/stream", timeout=10).status_code == 503,
            "the loss to be noticed",
        )
        valkey.start()
        until(
            lambda: httpx.head(f"{address}/stream", timeout=10).status_code == 200,
            "streams to be taken again",
        )
        write(database, prediction(offset=2))
        assert msgspec.json.decode(read_events(stream, 1)[0])["offset"] == 2


def test_foreign_messages_are_left_out_and_end_nothing(tmp_path, valkey, database):
    foreign = [b"\xff{", b'{"symbol": "\xff"}', b"[" * 100_000, b"9" * 10_000, b"null", b""]
    with api(tmp_path, valkey.url) as address, open_stream(address) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        for message in foreign:
            database.publish("voltick:stream", message)
        write(database, prediction(offset=5))
        assert msgspec.json.decode(read_events(stream, 1)[0])["offset"] == 5
        name = 'voltick_api_foreign_entries_total{place="stream"}'
        assert metric(address, name) == len(foreign)


def test_a_message_over_several_lines_is_one_event(tmp_path, valkey, database):
    with api(tmp_path, valkey.url) as address, open_stream(address) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        made = prediction(offset=6)
        lines = msgspec.json.format(msgspec.json.encode(made), indent=2)
        database.publish("voltick:stream", lines.replace(b"\n", b"\r\n"))
        data = read_events(stream, 1)[0]
        assert msgspec.json.decode(data, type=Prediction) == made


def test_a_stream_that_fails_begins_anew_and_health_says_so(
    tmp_path, valkey, database, monkeypatch
):
    monkeypatch.setattr("serving.scores.stream.RECONNECT_S", (5.0, 5.0))  # long enough to be seen
    with api(tmp_path, valkey.url) as address, open_stream(address) as stream:
        until(lambda: clients_of(address) == 1, "the stream to open")
        take = LatestScores.take

        def broken(self, prediction):
            text = "nobody expects this"
            raise RuntimeError(text)

        def stream_check() -> bool:
            health = httpx.get(f"{address}/health", timeout=10).json()
            return health["checks"]["stream"]["ok"]

        assert stream_check()
        monkeypatch.setattr(LatestScores, "take", broken)
        write(database, prediction(offset=1))
        until(lambda: not stream_check(), "health to see it")
        monkeypatch.setattr(LatestScores, "take", take)
        until(stream_check, "the stream to begin anew")
        write(database, prediction(offset=2))
        assert msgspec.json.decode(read_events(stream, 1)[0])["offset"] == 2


def test_server_stops_while_streams_are_open(tmp_path, valkey):
    with api(tmp_path, valkey.url) as address:
        stream = open_stream(address)
        until(lambda: clients_of(address) == 1, "the stream to open")
    with stream:
        stream.settimeout(5)
        while stream.recv(65536):
            pass


def test_streams_above_the_limit_are_refused(tmp_path, valkey, monkeypatch):
    monkeypatch.setattr("serving.routes.stream.MAX_CLIENTS", 1)
    with api(tmp_path, valkey.url) as address, open_stream(address):
        until(lambda: clients_of(address) == 1, "the stream to open")
        response = httpx.get(f"{address}/stream", timeout=10)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "too_many_streams"


def test_a_thousand_concurrent_readers_are_all_answered(tmp_path, valkey, database):
    for number in range(20):
        write(database, prediction(f"S{number}-USD"))

    async def read_all(address: str) -> list[int]:
        limits = httpx.Limits(max_connections=1000)
        async with httpx.AsyncClient(base_url=address, timeout=150, limits=limits) as client:
            paths = [f"/scores/S{number % 20}-USD" for number in range(1000)]
            answers = await asyncio.gather(*(client.get(path) for path in paths))
        return [answer.status_code for answer in answers]

    with api(tmp_path, valkey.url) as address:
        assert asyncio.run(read_all(address)) == [200] * 1000
