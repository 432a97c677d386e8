"""What a broker needs before anything counts: a JVM is slow until what is used most is compiled."""

from itertools import islice

from flows.numeric.time import NS_PER_S
from tests.bench.pacing import SteadyFeeder
from tests.bench.passthrough import IN_TRANSACTIONS
from tests.bench.peers.contest import Contest
from tests.bench.reading import Arrived, Reader, follow

RATE_HZ = 2_000.0
START_LIMIT_S = 60.0
SOURCE, TARGET = "bench.warm.in", "bench.warm.out"


def warm_broker(contest: Contest, seconds: float) -> None:
    """Let the pass-through in transactions take a turn that does not count.

    Without it the first contestant would pay for all others.

    Raises
    ------
    RuntimeError
        Nothing came through.
    """
    place = contest.place
    place.topics(SOURCE, TARGET)
    load = list(islice(contest.ticks, int(RATE_HZ * (seconds + START_LIMIT_S))))
    feeder = SteadyFeeder(contest.config, SOURCE, load, RATE_HZ)
    reader = Reader(contest.config, TARGET)
    seen: list[int] = []

    def note(arrived: Arrived) -> None:
        seen.append(arrived.at_ns)

    try:
        with place.passthrough(SOURCE, TARGET, IN_TRANSACTIONS) as process:
            feeder.start()
            follow(reader, process, note, lambda _: bool(seen), START_LIMIT_S, "a first message")
            end_ns = seen[0] + int(seconds * NS_PER_S)
            follow(reader, process, note, lambda now: now >= end_ns, 2 * seconds, "the warm-up")
            feeder.stop()
    finally:
        reader.close()
