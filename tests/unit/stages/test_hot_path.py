"""A guard of the hot path's speed without a clock: what Python does for a tick, counted.

The compiled loops are not seen. What is: bytecodes and calls between them, of which each costs some
ten nanoseconds. A loop or a call per tick that somebody adds shows as a step, on every machine.
"""

import pytest

from flows.codec.row_writer import row_writer_kernel
from flows.codec.tick_parser import tick_parser_kernel
from flows.features import feature_kernel
from flows.monitoring.metrics import PipelineMetrics
from flows.stages.encode import EncodeStep
from flows.stages.score import DecodeStep, FeatureStep, ScoreStep
from schemas import topics
from tests.bench.counting import counted
from tests.bench.profile import raw_batches
from tests.fuzz.chain import baseline_scorer

TICKS = 3 * 4096
MOST = {
    "decode": (0.3, 3.0),
    "features": (0.3, 5.0),
    "score": (0.3, 3.0),
    "encode": (0.5, 80.0),
}
"""Most calls and most bytecodes per tick, by step.

More than twice what is counted, so that other versions of NumPy, one more target or column, or a
longer fixed part of a batch do not fail; less than what one more call per tick costs. Counted with
Python 3.11 and batches of 4096: decode 0.05 and 0.5, features 0.11 and 1.6, score 0.02 and 0.3,
encode 0.14 and 39, most of it the two slices per tick that messages are.
"""


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Return calls and bytecodes per tick by step, of the third of three batches."""
    metrics = PipelineMetrics()
    kernels = (tick_parser_kernel(), row_writer_kernel(), feature_kernel())
    for kernel in kernels:  # not while the counting slows Python down
        kernel.compile()
    parser, writer, _features = kernels
    encode = EncodeStep(topics.TICKS_RAW, metrics, publish_features=True, write=writer.compile)
    steps = {
        "decode": DecodeStep(topics.TICKS_RAW, frozenset(), metrics, parse=parser.compile),
        "features": FeatureStep(metrics),
        "score": ScoreStep(baseline_scorer(tmp_path_factory.mktemp("store")), metrics),
        "encode": lambda scored: encode(scored)[1].completed(),
    }
    found = {}
    for item in raw_batches(TICKS, 4):
        count = len(item.values)
        for name, step in steps.items():
            made = []
            spent = counted(lambda step=step, item=item, made=made: made.append(step(item)))
            [item] = made
            found[name] = (spent.calls / count, spent.bytecodes / count)
    return found


@pytest.mark.parametrize("step", MOST)
def test_a_tick_costs_few_calls_and_bytecodes(costs, step):
    for spent, most in zip(costs[step], MOST[step], strict=True):
        assert spent <= most, costs
