"""The candidate of an experiment against the champion of the store."""

from collections.abc import Mapping, Sequence

import structlog

from flows.errors import ModelRejectedError
from flows.numeric.arrays import Int64
from flows.scoring.registry import ModelStore
from schemas.models import ModelManifest
from training.data.dataset import Dataset
from training.estimators.export import score_onnx
from training.estimators.recipes import Recipe
from training.evaluation import gate
from training.evaluation.bootstrap import block_count
from training.evaluation.cross_validation import labels
from training.evaluation.results import Comparison, Results
from training.publishing.versions import Version

Champion = tuple[ModelManifest, bytes]
"""A champion's manifest and graph."""


def present_champion(store: ModelStore, target: str) -> Champion | None:
    """Return the target's champion; None if it has none, or one that cannot be read."""
    ref = store.aliases(target).champion
    if ref is None:
        return None
    try:
        return store.read(ref)
    except ModelRejectedError as error:
        structlog.get_logger().warning("the champion is broken", model=ref, cause=str(error))
        return None


def with_recipe_of(
    champion: Champion | None, chosen: Sequence[Recipe], known: Mapping[str, Recipe]
) -> list[Recipe]:
    """Return the recipes to evaluate: those chosen, and the champion's if it is known."""
    variant = "" if champion is None else champion[0].variant
    others = [known[variant]] if variant in known else []
    return [*chosen, *(recipe for recipe in others if recipe not in chosen)]


def decide(
    dataset: Dataset,
    holdout: Int64,
    version: Version,
    results: Results,
    present: Champion | None,
    *,
    serves: str,
    embargo_s: int,
) -> gate.Decision:
    """Ask the gate whether a version may become champion.

    Parameters
    ----------
    holdout
        Rows that the version was not trained on.
    present
        The champion of today.
    serves
        ``live`` or ``simulated``: kind of feed that this store's champions score.
    """
    spec = version.manifest.target
    champion, champion_bytes = (None, b"") if present is None else present
    if champion is not None and champion.feature_set != version.manifest.feature_set:
        champion = None

    def file_against_file() -> tuple[Comparison, int]:
        assert champion is not None  # noqa: S101  # asked only with a champion
        rows = gate.unseen(holdout, dataset.ts_ns, champion, spec.horizon_s, embargo_s)
        blocks = block_count(dataset.ts_ns[rows], spec.horizon_s)
        if blocks < gate.MIN_UNSEEN_BLOCKS:
            return Comparison(float("nan"), (float("nan"), float("nan")), 0.0), blocks
        theirs = score_onnx(champion_bytes, dataset.pick(rows, champion.features))
        ours = version.fitted.score(dataset, rows)
        truth = labels(spec, dataset.quantity[rows])
        found = gate.compare_files(truth, dataset.ts_ns[rows], ours, theirs, spec)
        return found, blocks

    return gate.decide(
        candidate=version.manifest.variant,
        target=spec,
        provenance=version.manifest.provenance,
        serves=serves,
        champion=champion,
        results=results,
        file_against_file=file_against_file if champion is not None else None,
    )
