"""The processor time of a peer's processes."""

from pathlib import Path

import pytest

from tests.bench.peers import process
from tests.bench.peers.process import PeerProcess, Usage
from tests.support.polling import until


def test_the_time_of_what_has_ended_still_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = iter([1.0, 3.0, 5.0])

    def usage(_session: int) -> Usage:
        return Usage(next(seen, 0.0), 0, [])  # 0: everything has ended

    monkeypatch.setattr(process, "SAMPLE_EVERY_S", 0.001)
    monkeypatch.setattr(process, "usage_of", usage)
    with PeerProcess(["true"], tmp_path, {}, "peer") as peer:
        until(lambda: len(peer._samples) > 5, "samples")
    first, last = peer._samples[0][0], peer._samples[-1][0]
    assert peer.cpu_between_s(first, last) == 4.0
