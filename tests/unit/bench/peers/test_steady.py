"""Who works off a load too slowly is given up in time."""

import time
from typing import Any, cast

import pytest

from tests.bench.peers import steady
from tests.bench.peers.catalogue import PEERS
from tests.bench.peers.process import PeerProcess
from tests.bench.reading import Arrived


class Slow:
    """A topic that gets an output now and then, in order."""

    def __init__(self, *_arguments: object) -> None:
        self.sent = 0

    def take(self, wait_s: float = 0.1) -> Arrived:
        del wait_s
        time.sleep(0.01)
        self.sent += 1
        return Arrived(time.monotonic_ns(), [self.sent], [b'{"offset":%d}' % (self.sent - 1)])


class Running:
    running = True


class Turn:
    peer = PEERS["plain"]
    target = "out"

    class contest:  # noqa: N801 (an attribute)
        config: dict[str, Any] = {}  # noqa: RUF012


@pytest.mark.parametrize(("inputs", "all_came"), [(5, True), (1 << 40, False)])
def test_a_drain_ends_with_the_last_output_or_at_its_limit(
    inputs: int, all_came: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "Reader", Slow)
    watch = steady._Watch(cast(Any, Turn()))
    watch.drain(cast(PeerProcess, Running()), inputs, limit_s=0.3)
    assert (len(watch.received) >= inputs) == all_came
