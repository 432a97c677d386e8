"""How far what models see has moved from what they were trained on."""

from typing import Literal

import msgspec

from schemas.ticks import Int64

DriftState = Literal["unknown", "stable", "drift", "misfit"]
"""``unknown``: no reference, or too few rows or minutes. ``drift``: it fitted, and has moved since.
``misfit``: the reference is that of another market; waiting does not mend it."""


class InputDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a model, or its score; a figure is null where it is undefined.

    Attributes
    ----------
    feature
        Its name; ``score`` for the score.
    psi
        Population stability index: below 0.1 hardly anything has moved, above 0.25 much.
    ks
        Greatest distance of the two distributions at the bins' edges, in [0, 1].
    beyond
        Share of values that lie beyond all that the training has seen, in [0, 1].
    """

    feature: str
    psi: float | None = None
    ks: float | None = None
    beyond: float | None = None


class ModelDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One model's inputs and score against its training.

    Attributes
    ----------
    model
        ``name@version``.
    causes
        Why the state is what it is, in plain words.
    rows
        How many rows were compared: the first of each symbol and second, warm ones.
    moved
        Share of the inputs whose PSI is 0.25 or more; times of day and ages are left out.
    fitted
        Whether the reference fitted once; false where it never did, null while that is open.
    inputs
        Those that moved most first.
    """

    model: str
    state: DriftState
    causes: list[str]
    rows: Int64
    moved: float | None = None
    fitted: bool | None = None
    score: InputDrift | None = None
    inputs: list[InputDrift] = []


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """All models of one target, over the last hour of event time.

    Attributes
    ----------
    ts_ns, from_ns
        Event time of the newest row, and of the beginning of the window, nanoseconds since the UNIX
        epoch.
    """

    target: str
    ts_ns: Int64
    from_ns: Int64
    models: list[ModelDrift]
