"""From fitted variants to manifests."""

from dataclasses import dataclass

import numpy as np

from flows.numeric.arrays import Float64, Int64
from flows.scoring.names import sha256_of, version_of
from flows.scoring.onnx_model import OWN_FEATURES
from schemas.features import FEATURE_SET, NAMES
from schemas.models import FeatureReference, ModelManifest, TargetSpec
from training.data.dataset import Dataset, thin
from training.data.splits import windows
from training.estimators.graph import OPSET
from training.evaluation.cross_validation import FittedVariant
from training.evaluation.results import Results

BINS = 10
SCORED_ROWS = 50_000
"""So many rows tell how scores are distributed."""


@dataclass(frozen=True, slots=True)
class Version:
    """A proven variant, not yet published."""

    fitted: FittedVariant
    manifest: ModelManifest
    onnx_bytes: bytes


def build_version(
    fitted: FittedVariant,
    onnx_bytes: bytes,
    *,
    dataset: Dataset,
    rows: Int64,
    spec: TargetSpec,
    results: Results,
    created_ns: int,
    notes: str,
) -> Version:
    """Describe a variant.

    Parameters
    ----------
    rows
        The training part's rows.
    results
        The folds' figures; the manifest carries the variant's own.
    """
    defined = set(dataset.defined(rows))
    one = results.variants[fitted.recipe.name]
    low, high = one.quality_ci
    quality = "pr_auc" if results.kind == "classification" else "rmse"
    figures = {**one.metrics, f"{quality}_low": low, f"{quality}_high": high}
    baseline = results.best(baseline=True)
    if baseline is not None and baseline != fitted.recipe.name:
        figures["lift"] = results.compare(fitted.recipe.name, baseline).lift
    manifest = ModelManifest(
        name=f"{spec.name}-{fitted.recipe.name}",
        version=version_of(created_ns, onnx_bytes),
        variant=fitted.recipe.name,
        target=spec,
        sha256=sha256_of(onnx_bytes),
        feature_set=FEATURE_SET if dataset.columns == NAMES else OWN_FEATURES,
        features=fitted.columns,
        provenance=dataset.provenance,
        created_ns=created_ns,
        opset=OPSET,
        threshold=fitted.threshold,
        unused_features=[name for name in dataset.columns if name not in defined],
        data_from_ns=int(dataset.ts_ns[rows].min()),
        data_to_ns=int(dataset.ts_ns[rows].max()),
        data_windows_ns=windows(dataset.ts_ns[rows]),
        data_sources=dataset.sources,
        row_count=fitted.rows,
        # An undefined figure is left out: JSON has no word for it.
        metrics={name: value for name, value in figures.items() if np.isfinite(value)},
        reference=references(fitted, dataset, rows),
        score_reference=score_reference(fitted, dataset, rows),
        notes=notes,
    )
    return Version(fitted, manifest, onnx_bytes)


def references(fitted: FittedVariant, dataset: Dataset, rows: Int64) -> list[FeatureReference]:
    """Return a histogram by training deciles for each of the model's features, for drift."""
    values = fitted.pick(dataset, rows)
    made = (
        histogram_of(name, values[:, column].astype(np.float64))
        for column, name in enumerate(fitted.columns)
    )
    return [each for each in made if each is not None]


def score_reference(
    fitted: FittedVariant, dataset: Dataset, rows: Int64
) -> FeatureReference | None:
    """Return a histogram of the model's scores over its training rows, for drift.

    Of the rows that it was fitted on: they lie a little further apart than those of new rows.
    """
    chosen = rows[thin(np.arange(len(rows)), SCORED_ROWS)]
    return histogram_of("score", fitted.score(dataset, chosen))


def histogram_of(name: str, values: Float64) -> FeatureReference | None:
    """Return a histogram by deciles of values, float64, shape (n,); None without a defined one."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return None
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 2:
        edges = np.array([edges[0], np.nextafter(edges[0], np.inf)])
    counts = np.histogram(known, edges)[0]
    return FeatureReference(
        feature=name,
        edges=edges.tolist(),
        counts=[int(count) for count in counts],
        undefined=len(values) - len(known),
    )
