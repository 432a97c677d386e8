"""The pipeline's four steps, plain or with their times noted for traces."""

from collections.abc import Callable
from dataclasses import dataclass

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.monitoring.tracing import BatchTraces
from flows.stages.score import Decoded, Featured, Scored


@dataclass(frozen=True, slots=True)
class Steps:
    """What the dataflow maps over its batches, in this order."""

    decode: Callable[[RawBatch], Decoded]
    features: Callable[[Decoded], Featured]
    score: Callable[[Featured], Scored]
    encode: Callable[[Scored], tuple[str, OutputBatch]]

    def traced(self, traces: BatchTraces) -> "Steps":
        """Return the same steps, which note when they began and ended."""
        return Steps(
            traces.timed("decode", self.decode, lambda raw: raw),
            traces.timed("features", self.features, lambda decoded: decoded.raw),
            traces.timed("score", self.score, lambda featured: featured.decoded.raw),
            traces.timed("encode", self.encode, lambda scored: scored.featured.decoded.raw),
        )
