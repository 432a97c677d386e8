"""Streams of predictions, and the outcomes they must have by the labels of training."""

from collections.abc import Mapping, Sequence

import numpy as np

from flows.codec.batch import GAP, LATE, RESTART
from flows.numeric.time import NS_PER_S
from flows.targets import label_columns, truth
from schemas.models import TargetSpec
from schemas.predictions import Prediction, TargetScore
from tests.support.api import prediction

START_NS = 1_700_000_000 * NS_PER_S

Labels = dict[str, tuple[float, float]]


def own(ref: str, score: float, **shadow: float) -> TargetScore:
    """A score by ``name@version``."""
    model, version = ref.split("@")
    named = {f"{name}@1": value for name, value in shadow.items()}
    return TargetScore(score=score, model=model, version=version, variant="x", shadow=named)


def stream(
    seed: int, count: int, models: Mapping[str, str], pace_s: float = 3.0
) -> list[Prediction]:
    """Three symbols, now and then late, after a gap, at a restart, or silent for minutes.

    ``models`` are by target; some predictions have the first target alone.
    """
    random = np.random.default_rng(seed)
    time_ns, mids, made = START_NS, {"A": 100.0, "B": 5.0, "C": 1.0}, []
    newest: dict[str, int] = {}
    (first, first_ref), *others = models.items()
    for offset in range(count):
        pause_s = random.exponential(pace_s) if random.random() > 0.01 else 100 * pace_s
        time_ns += int(pause_s * NS_PER_S)
        symbol = str(random.choice(["A", "B", "C"], p=[0.6, 0.3, 0.1]))
        mids[symbol] *= float(np.exp(random.normal(0, 3e-4)))
        event_ns = time_ns - (5 * NS_PER_S if random.random() < 0.05 else 0)
        late = event_ns < newest.get(symbol, 0)
        newest[symbol] = max(event_ns, newest.get(symbol, 0))
        scores = {first: own(first_ref, 0.1 + random.random() / 2, z=0.25)}
        if offset % 3 or seed % 2:
            scores.update({name: own(ref, random.random() / 2) for name, ref in others})
        made.append(
            prediction(
                symbol,
                offset=10 * offset,
                ts_scored_ns=1,
                ts_event_ns=event_ns,
                mid=mids[symbol],
                late=bool(late),
                gap=bool(random.random() < 0.01),
                restart=bool(random.random() < 0.005),
                scores=scores,
            )
        )
    return made


def expected(
    made: Sequence[Prediction], specs: Mapping[str, TargetSpec]
) -> dict[int, tuple[int, Labels]]:
    """Origin offset -> (offset that made it known, {target: (value, truth)}), by the labels."""
    names = sorted({each.symbol for each in made})
    columns = (
        np.array([names.index(each.symbol) for each in made], np.int32),
        np.array([each.ts_event_ns for each in made]),
        np.array([each.mid for each in made]),
        np.array([LATE * p.late + GAP * p.gap + RESTART * p.restart for p in made], np.uint8),
    )
    found: dict[int, tuple[int, Labels]] = {}
    for spec in specs.values():
        labels = label_columns(*columns, spec)
        truths = truth(labels.value, spec)
        for row, each in enumerate(made):
            if spec.name in each.scores and not np.isnan(labels.value[row]):
                known = int(labels.known_at[row])
                found.setdefault(each.offset, (known, {}))[1][spec.name] = (
                    float(labels.value[row]),
                    float(truths[row]),
                )
    return found
