"""One ONNX graph in ONNX Runtime, proven fit to serve before it scores anything.

The rule for graphs: one input, float32, shape (n, len(manifest.features)) with n free; the first
output is the score, float32, shape (n,) or (n, 1). A classifier's score is the probability of the
event. Exporters shape their graphs so; nothing here guesses which column is meant. Imputation of
undefined (NaN) features is inside the graph.
"""

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from flows.errors import ModelRejectedError
from flows.numeric.arrays import Float32, Float64
from flows.scoring.names import check_version, sha256_of
from flows.scoring.session import open_session
from schemas.features import FEATURE_SET, FEATURES, INDEX, NAMES
from schemas.models import ModelManifest

if TYPE_CHECKING:
    import onnx

# Manifests of models over columns of their own (candles): stored, listed and scored offline,
# never served by the flow.
OWN_FEATURES: Final = 0

# Opsets of the default domain that exporters in use write and every supported runtime reads.
OPSET_RANGE: Final = (9, 24)

# Scores may depend on the batch's size by this much: the runtime may sum in another order.
BATCH_TOLERANCE: Final = 1e-6

_PROBE_ROWS = 16
# As many rows as a busy partition's batch has: a graph may hold the size that it was exported with.
_PROBE_BATCH = 1000
_PROBE_SEED = 20260101
# A plausible size for features whose range is open, by unit; pure numbers are ratios or returns.
_SPAN_BY_UNIT: Final = {
    "bps": 20.0,
    "ticks": 1000.0,
    "1/s": 50.0,
    "quote": 1e6,
    "base": 100.0,
    "1/Mquote": 1e-2,
    "s": 3600.0,
}
_RATIO_SPAN = 10.0
_RETURN_SPAN = 5e-3
_FOREIGN_SPAN = 1.0
# Rounding alone can move a deep graph's score by more than BATCH_TOLERANCE where values cancel; a
# graph that really mixes rows differs by far more than this.
_MIXING_TOLERANCE = 1e-5


class OnnxModel:
    """A proven model: construction refuses whatever could not serve.

    Parameters
    ----------
    manifest
        What the store says about the graph.
    onnx_bytes
        The graph.
    contract
        Column names of the matrices that :meth:`score` will be given.

    Attributes
    ----------
    failure
        What the runtime said of the first row that it failed on; None as long as there was none.

    Raises
    ------
    ModelRejectedError
        Target, hash, FEATURE_SET, features, opset, input or output do not fit, the runtime cannot
        load the graph, or a probe's scores are not finite, out of range or dependent on the batch's
        size.
    """

    def __init__(
        self, manifest: ModelManifest, onnx_bytes: bytes, *, contract: tuple[str, ...] = NAMES
    ) -> None:
        self.manifest = manifest
        self.ref = manifest.ref
        self.failure: str | None = None
        self._columns = _columns(manifest, contract)
        self._width = len(contract)
        self._is_classifier = manifest.target.kind == "classification"
        _check_target(manifest)
        _check_content(manifest, onnx_bytes)
        self._session = _or_refused(
            manifest, "ONNX Runtime cannot load it", lambda: open_session(onnx_bytes)
        )
        self._input, self._output = _signature(manifest, self._session)
        self._probe(contract)

    def score(self, values: Float32) -> Float64:
        """Score rows of the contract's matrix.

        Parameters
        ----------
        values
            float32, shape (n, len(contract)); undefined is NaN.

        Returns
        -------
        float64, shape (n,): probabilities in [0, 1] of a classifier, else the forecast; NaN where
        the graph has none: it fails on the row, or a classifier's score is no probability.
        """
        if values.dtype != np.float32 or values.ndim != 2 or values.shape[1] != self._width:
            message = (
                f"{self.ref} scores float32 of shape (n, {self._width}),"
                f" not {values.dtype} of shape {values.shape}"
            )
            raise ValueError(message)
        if values.shape[0] == 0:
            return np.empty(0, dtype=np.float64)
        scores = self._raw(self._picked(values))
        if self._is_classifier:
            lowest, highest = scores.min(), scores.max()
            if not (lowest >= 0.0 and highest <= 1.0):
                # A forest's sum of float32 shares can exceed 1 in the last digit.
                scores[~self._usable(scores)] = np.nan
                np.clip(scores, 0.0, 1.0, out=scores)
        return scores

    def flaw(self, values: Float32) -> str | None:
        """Return why some of these rows have no score; None if each has one.

        Parameters
        ----------
        values
            As of :meth:`score`; n is at least 1.
        """
        scores = self._raw(self._picked(values))
        wrong = np.flatnonzero(~self._usable(scores))
        if not wrong.size:
            return None
        first = scores[wrong[0]]
        why = f"its score is {first:g}"
        if math.isnan(first) and self.failure is not None:
            why = self.failure
        return f"{wrong.size} of {len(values)} rows have no score; of the first {why}"

    def _raw(self, rows: Float32) -> Float64:
        """Return what the graph gives, float64, shape (n,); NaN for each row that it fails on."""
        scores = self._attempt(rows)
        if scores is not None:
            return scores
        if len(rows) == 1:
            return np.full(1, np.nan)
        # One row that the graph fails on must not cost the others their scores.
        return np.concatenate([self._raw(rows[at : at + 1]) for at in range(len(rows))])

    def _attempt(self, rows: Float32) -> Float64 | None:
        try:
            (output,) = self._session.run([self._output], {self._input: rows})
        except MemoryError:
            raise
        except Exception as error:  # the runtime's errors have no other common base
            self._note(_first_line(error))
            return None
        scores: Float64 = output.reshape(-1).astype(np.float64)
        if len(scores) != len(rows):
            self._note(f"it gave {len(scores)} scores for {len(rows)} rows")
            return None
        return scores

    def _note(self, failure: str) -> None:
        if self.failure is None:
            self.failure = failure

    def _usable(self, scores: Float64) -> npt.NDArray[np.bool_]:
        if not self._is_classifier:
            return np.isfinite(scores)
        return (scores >= -BATCH_TOLERANCE) & (scores <= 1.0 + BATCH_TOLERANCE)

    def _probe(self, contract: tuple[str, ...]) -> None:
        rows = probe_rows(contract)
        (output,) = _or_refused(
            self.manifest,
            "cannot score",
            lambda: self._session.run([self._output], {self._input: self._picked(rows)}),
        )
        if output.dtype != np.float32 or output.shape not in {(len(rows),), (len(rows), 1)}:
            message = (
                f"its first output is {output.dtype} of shape {output.shape} for {len(rows)} rows;"
                " the score is float32 of shape (n,) or (n, 1)"
            )
            raise _refused(self.manifest, message)
        scores = output.reshape(-1).astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(scores))
        if wrong.size:
            which = "with every feature undefined" if wrong[0] == 0 else "of plausible features"
            message = f"a row {which} scores {scores[wrong[0]]}; imputation belongs in the graph"
            raise _refused(self.manifest, message)
        if not self._usable(scores).all():
            message = (
                f"scores reach from {scores.min():g} to {scores.max():g}; a classifier's score is a"
                " probability in [0, 1]"
            )
            raise _refused(self.manifest, message)
        alone = np.concatenate([self.score(rows[i : i + 1]) for i in range(len(rows))])
        many = np.arange(_PROBE_BATCH) % len(rows)
        for found, expected in ((alone, scores), (self.score(rows[many]), scores[many])):
            if self.failure is not None:
                message = f"it cannot score any number of rows at once: {self.failure}"
                raise _refused(self.manifest, message)
            difference = np.abs(found - expected) / (1.0 + np.abs(expected))
            if difference.max() > _MIXING_TOLERANCE:
                message = f"a row's score depends on the rows beside it, by {difference.max():g}"
                raise _refused(self.manifest, message)

    def _picked(self, rows: Float32) -> Float32:
        if self._columns is None:
            return np.ascontiguousarray(rows)
        return np.take(rows, self._columns, axis=1)


def probe_rows(contract: tuple[str, ...] = NAMES) -> Float32:
    """Return rows that every model must score: float32, shape (16, len(contract)).

    All undefined, all zero, the low and the high end of plausible ranges, then draws from those
    ranges with some values undefined. The same on every machine.
    """
    bounds = np.array([_plausible(name) for name in contract])
    low, high = bounds[:, 0], bounds[:, 1]
    random = np.random.default_rng(_PROBE_SEED)
    rows = random.uniform(low, high, (_PROBE_ROWS, len(contract)))
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[0] = np.nan
    rows[1] = np.clip(0.0, low, high)
    rows[2] = low
    rows[3] = high
    return rows.astype(np.float32)


def _plausible(name: str) -> tuple[float, float]:
    """Return a finite range within the feature's own."""
    if name not in INDEX:
        return -_FOREIGN_SPAN, _FOREIGN_SPAN
    feature = FEATURES[INDEX[name]]
    fallback = _RATIO_SPAN if "ratio" in name else _RETURN_SPAN
    span = _SPAN_BY_UNIT.get(feature.unit, fallback)
    low = feature.low if np.isfinite(feature.low) else -span
    return low, feature.high if np.isfinite(feature.high) else span


def contract_of(manifest: ModelManifest) -> tuple[str, ...]:
    """Return the columns a model is fed: the feature contract, or its own for other data."""
    return tuple(manifest.features) if manifest.feature_set == OWN_FEATURES else NAMES


def _columns(manifest: ModelManifest, contract: tuple[str, ...]) -> npt.NDArray[np.intp] | None:
    """Return which columns of the contract the graph takes; None if it takes them as they are."""
    if manifest.feature_set not in {FEATURE_SET, OWN_FEATURES}:
        message = (
            f"it was trained for FEATURE_SET {manifest.feature_set}, this code computes"
            f" {FEATURE_SET}; ship code and models together"
        )
        raise _refused(manifest, message)
    positions = {name: position for position, name in enumerate(contract)}
    foreign = [name for name in manifest.features if name not in positions]
    if foreign:
        message = f"feature {foreign[0]!r} is not among the {len(contract)} that it will be given"
        raise _refused(manifest, message)
    if not manifest.features or len(set(manifest.features)) != len(manifest.features):
        message = "its manifest names no feature, or one twice"
        raise _refused(manifest, message)
    if tuple(manifest.features) == contract:
        return None
    return np.array([positions[name] for name in manifest.features], dtype=np.intp)


def _check_target(manifest: ModelManifest) -> None:
    """Refuse a target whose truth nobody can find: its outcomes would end ``flows.outcomes``."""
    target = manifest.target
    if target.horizon_s < 1 or target.lookback_s < 1:
        message = (
            f"its target looks {target.horizon_s} s ahead and {target.lookback_s} s back; both take"
            " a second at least"
        )
        raise _refused(manifest, message)
    is_event = target.kind == "classification"
    if is_event is (target.definition == "return"):
        message = f"its target is a {target.kind} by the definition {target.definition!r}"
        raise _refused(manifest, message)
    if is_event and (target.level is None or not math.isfinite(target.level)):
        message = f"its target has no level: above which {target.definition} volatility is an event"
        raise _refused(manifest, message)


def _check_content(manifest: ModelManifest, onnx_bytes: bytes) -> None:
    found = sha256_of(onnx_bytes)
    if found != manifest.sha256:
        message = (
            f"model.onnx has sha256 {found}, the manifest says {manifest.sha256}; the file is"
            " damaged or was tampered with"
        )
        raise _refused(manifest, message)
    check_version(manifest.version, manifest.sha256)
    graph = _parsed(manifest, onnx_bytes)
    opsets = {entry.domain or "ai.onnx": entry.version for entry in graph.opset_import}
    opset = opsets.get("ai.onnx")
    lowest, highest = OPSET_RANGE
    if opset is None or not lowest <= opset <= highest:
        message = f"opset {opset} is not supported; export with one of {lowest} to {highest}"
        raise _refused(manifest, message)
    if opset != manifest.opset:
        message = f"the graph has opset {opset}, its manifest says {manifest.opset}"
        raise _refused(manifest, message)


def _parsed(manifest: ModelManifest, onnx_bytes: bytes) -> "onnx.ModelProto":
    # Here, not above: it takes a sixth of a second, and who reads manifests does not need it.
    import onnx
    from onnx.external_data_helper import uses_external_data

    graph: onnx.ModelProto = _or_refused(
        manifest,
        "model.onnx is not an ONNX graph",
        lambda: onnx.load_model_from_string(onnx_bytes),
    )
    if any(uses_external_data(tensor) for tensor in graph.graph.initializer):
        message = "its weights lie in another file; export it as one file"
        raise _refused(manifest, message)
    return graph


def _signature(manifest: ModelManifest, session: Any) -> tuple[str, str]:
    """Return the names of input and score output."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        message = f"it has {len(inputs)} inputs; the matrix of features is the only one"
        raise _refused(manifest, message)
    (source,) = inputs
    width = len(manifest.features)
    free = len(source.shape) == 2 and not isinstance(source.shape[0], int)
    if source.type != "tensor(float)" or not free or source.shape[1] != width:
        message = (
            f"its input is {source.type} of shape {source.shape}; it must be tensor(float) of"
            f" shape [None, {width}], as its manifest names {width} features"
        )
        raise _refused(manifest, message)
    score = session.get_outputs()[0]
    if score.type != "tensor(float)":
        message = (
            f"its first output {score.name!r} is {score.type}; the score must come first, as"
            " tensor(float) of shape [None] or [None, 1]"
        )
        raise _refused(manifest, message)
    return str(source.name), str(score.name)


def _or_refused(manifest: ModelManifest, what: str, call: Any) -> Any:
    try:
        return call()
    except MemoryError:
        raise
    except Exception as error:
        # The runtime's errors have no common base of their own but Exception.
        raise _refused(manifest, f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)


def _refused(manifest: ModelManifest, reason: str) -> ModelRejectedError:
    return ModelRejectedError(f"model {manifest.ref} is refused: {reason}")
