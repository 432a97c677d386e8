"""Put together why a score is what it is."""

import threading
from collections.abc import Mapping

import numpy as np

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.linear import LinearForm, linear_form
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.registry import ModelStore
from schemas.features import INDEX, NAMES
from schemas.models import ModelManifest
from schemas.predictions import FeatureRow, Prediction
from serving.explaining.drift import Sample, known_drift
from serving.http.system_views import Contribution, ExplainResponse

_KEPT = 8


class Explainer:
    """Explains scores of the store's models; every method blocks.

    Parameters
    ----------
    store
        Where the graphs are.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._forms: dict[str, LinearForm | None] = {}
        self._lock = threading.Lock()

    def explain(
        self, model: OnnxModel, row: FeatureRow, latest: Prediction, target: str, sample: Sample
    ) -> ExplainResponse:
        """Return what the row's features add to the model's score.

        Parameters
        ----------
        sample
            Rows to measure drift on.
        """
        manifest = model.manifest
        values = np.array([np.nan if v is None else v for v in row.values], np.float32)
        form = self._form(manifest)
        drifts = known_drift(manifest, sample)
        base: float | None = None
        if form is not None:
            found = form.explain(values[[INDEX[name] for name in manifest.features]])
            base = found.base
            inputs = [
                _contribution(term.features, values, term.amount, manifest, drifts)
                for term in found.terms
            ]
            inputs.sort(key=lambda each: -abs(each.amount or 0.0))
        else:
            names = manifest.features
            inputs = [_contribution((name,), values, None, manifest, drifts) for name in names]
            inputs.sort(key=lambda each: -(each.importance or 0.0))
        method = "linear" if form else "importances" if manifest.importances else "none"
        return ExplainResponse(
            symbol=row.symbol,
            target=target,
            model=manifest.ref,
            method=method,  # type: ignore[arg-type]
            link=None if form is None else found.link,
            score=float(model.score(values[None, :])[0]),
            base=base,
            partition=row.partition,
            offset=row.offset,
            ts_event_ns=row.ts_event_ns,
            is_latest=(row.partition, row.offset) == (latest.partition, latest.offset),
            drift_rows=len(sample),
            inputs=inputs,
        )

    def _form(self, manifest: ModelManifest) -> LinearForm | None:
        with self._lock:
            if manifest.ref not in self._forms:
                try:
                    _manifest, content = self._store.read(manifest.ref)
                except (ModelRejectedError, ModelStoreError):
                    return None  # gone from the store since it was loaded
                while len(self._forms) >= _KEPT:
                    self._forms.pop(next(iter(self._forms)))
                self._forms[manifest.ref] = linear_form(content, manifest.features)
            return self._forms[manifest.ref]


def _contribution(
    features: tuple[str, ...],
    values: "np.typing.NDArray[np.float32]",
    amount: float | None,
    manifest: ModelManifest,
    drifts: Mapping[str, float],
) -> Contribution:
    first = features[0]
    value = float(values[NAMES.index(first)])
    return Contribution(
        features=list(features),
        value=None if np.isnan(value) else value,
        amount=amount,
        importance=manifest.importances.get(first),
        drift=drifts.get(first),
    )
