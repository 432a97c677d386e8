"""A producer of input that is not idempotent repeats itself: nothing is lost, nothing is twice."""

from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.ticks import Tick
from tests.integration.proofs import prove_spotless
from tests.proof.broker_faults import lost_answers
from tests.proof.cluster import Plan
from tests.proof.feeder import FeederKind
from tests.support.kafka.lost_answers import AnswerLosingKafka
from tests.support.kafka.tools import Filler, Outgoing, create_topics, delete_topics, read_topic
from tests.support.polling import until

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]

START_NS = 1_750_000_000 * 10**9
BATCH = 51


@pytest.fixture(scope="module")
def started(kafka_jars, tmp_path_factory):
    with AnswerLosingKafka(tmp_path_factory.mktemp("losing-kafka")) as kafka:
        yield kafka


@pytest.fixture
def kafka(started: AnswerLosingKafka) -> AnswerLosingKafka:
    delete_topics(started.client_config())
    return started


def batch(first: int) -> list[Outgoing]:
    made = []
    for number in range(first, first + BATCH):
        at_ns = START_NS + number * 10**9
        tick = Tick(
            symbol="A-B", venue="v", ts_event_ns=at_ns, price=100.0 + number, trade_id=number
        )
        made.append(Outgoing(0, b"A-B", msgspec.json.encode(tick), at_ns // 10**6))
    return made


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_batch_whose_answer_is_lost_lies_in_the_log_twice_unless_idempotent(
    kafka: AnswerLosingKafka, idempotent: bool
) -> None:
    create_topics(kafka.client_config(), 1)
    filler = Filler(kafka.producer_config(), idempotent=idempotent)
    filler.write(batch(0))
    until(lambda: _delivered(filler) == BATCH, "the first batch", 60)
    lost = kafka.proxy.lose_one()
    filler.write(batch(BATCH))
    kafka.proxy.wait_lost(lost)
    filler.write(batch(2 * BATCH))
    filler.close()
    raw = read_topic(kafka.client_config(), topics.TICKS_RAW, at_least=3 * BATCH)
    ids = [msgspec.json.decode(message.value)["trade_id"] for message in raw]
    assert set(ids) == set(range(3 * BATCH))
    assert len(ids) == (3 if idempotent else 4) * BATCH
    if idempotent:
        assert ids == sorted(ids)


def _delivered(filler: Filler) -> int:
    filler.poll()
    return filler.delivered


def test_repeats_are_dropped_and_nothing_else(kafka: AnswerLosingKafka, tmp_path: Path) -> None:
    plan = Plan(
        51, ticks=8_000, rate_hz=800, oracle_rows=200, uninterrupted=False, feeder=FeederKind.PLAIN
    )
    result = prove_spotless(kafka, plan, tmp_path, lambda cluster: lost_answers(cluster, times=2))
    assert result.kills == 2
    assert result.repeats > 0
    assert result.line()["repeats"] == result.repeats
