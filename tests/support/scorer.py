"""A scorer whose clock and loading thread a test holds in its hands."""

import numpy as np

from schemas.features import NAMES

SPIKE = "volatility_spike"
FORWARD = "forward_return"
ROWS = np.zeros((4, len(NAMES)), dtype=np.float32)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Background:
    """Holds the loading job until the test runs it."""

    def __init__(self) -> None:
        self.jobs = []

    def __call__(self, job) -> None:
        self.jobs.append(job)

    def run(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()


def follow(scorer, clock, background):
    """Poll until the store's present state is taken over."""
    clock.now += 1.0
    assert scorer.poll() == ()
    background.run()
    return scorer.poll()


def scores_of(scorer):
    return {each.target: each.scores[0] for each in scorer.score(ROWS)}


def broken(store, ref):
    (store.folder(ref) / "model.onnx").write_bytes(b"broken")
