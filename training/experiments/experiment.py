"""One training run: from rows to judged, proven and perhaps published versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from threadpoolctl import threadpool_limits

from flows.errors import ModelRejectedError, TrainingError
from flows.numeric.arrays import Bool, Float64, Int64
from flows.scoring.registry import ModelStore
from schemas.models import ModelManifest, TargetSpec
from training.data.dataset import Dataset, thin
from training.data.splits import Plan
from training.estimators.export import score_onnx
from training.estimators.recipes import Recipe, recipes
from training.evaluation import gate, leaks
from training.evaluation.cross_validation import (
    FittedVariant,
    OutOfFold,
    cross_validate,
    fit_spec,
    fit_variant,
    labels,
    make_plan,
)
from training.evaluation.importance import permutation_importances
from training.evaluation.metrics import block_count
from training.evaluation.results import Comparison, Results, evaluate
from training.publishing.publication import Publication, publish
from training.publishing.versions import Version, build_version
from training.reporting.report import ReportInput, files

SHUFFLE_ROWS = 8_000
LEAK_PROBE = "rf"
Step = Callable[[str], None]
Served = tuple[ModelManifest, bytes]
"""A champion's manifest and graph."""


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """What one run is asked to do.

    Attributes
    ----------
    models
        Variants to train beside the baselines; the first is the candidate. It is named before the
        run, so that its figures are not the best of several looks at the same folds.
    budget
        Share of time that may be alerted.
    serves
        ``live`` or ``simulated``: what feed this store's champions score.
    pictures
        Draw plots for every variant's report; else for the candidate's alone.
    """

    models: tuple[str, ...]
    folds: int = 4
    embargo_s: int = 3600
    budget: float = 0.05
    seed: int = 0
    publish: bool = False
    serves: str = "live"
    pictures: bool = True


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What came of a run.

    Attributes
    ----------
    decision
        The gate's words; None where nothing was to be published.
    publication
        What is in the store now; None likewise.
    """

    spec: TargetSpec
    results: Results
    scored: OutOfFold
    versions: dict[str, Version]
    reports: dict[str, dict[str, bytes]]
    decision: gate.Decision | None
    publication: Publication | None


def choose(known: Mapping[str, Recipe], models: Sequence[str]) -> list[Recipe]:
    """Return the baselines and the wanted models, in that order.

    Raises
    ------
    TrainingError
        For an unknown variant.
    """
    unknown = [name for name in models if name not in known]
    if unknown or not models:
        wrong = f"unknown variant {', '.join(unknown)}" if unknown else "no variant named"
        msg = f"{wrong}; known are {', '.join(known)}"
        raise TrainingError(msg)
    baselines = [recipe for recipe in known.values() if recipe.baseline]
    wanted = [known[name] for name in models if not known[name].baseline]
    return baselines + wanted


def steps(chosen: Sequence[Recipe], folds: int) -> int:
    """Return how many progress steps a run has at most."""
    return len(chosen) * (folds + 2) + 3


def run_experiment(
    dataset: Dataset,
    spec: TargetSpec,
    options: ExperimentOptions,
    *,
    store: ModelStore | None,
    created_ns: int,
    step: Step = lambda _what: None,
    known: Mapping[str, Recipe] | None = None,
) -> ExperimentResult:
    """Run everything after the features; publishing comes last and all at once.

    Raises
    ------
    LeakError
        An alarm went off.
    TrainingError
        The data do not suffice, or the candidate's graph is not faithful.
    """
    # One thread: boosting over a few thousand rows spends more on waiting for its threads than on
    # counting, above all beside a running pipeline.
    with threadpool_limits(1):
        everything = recipes(spec.kind) if known is None else known
        chosen = choose(everything, options.models)
        return _train(dataset, spec, options, chosen, everything, store, created_ns, step)


def _train(
    dataset: Dataset,
    spec: TargetSpec,
    options: ExperimentOptions,
    chosen: Sequence[Recipe],
    known: Mapping[str, Recipe],
    store: ModelStore | None,
    created_ns: int,
    step: Step,
) -> ExperimentResult:
    candidate = options.models[0]
    dataset.check_finite()
    plan = make_plan(dataset, spec, options.folds, options.embargo_s)
    present = _champion(store, spec.name) if options.publish and store is not None else None
    judged = _with_recipe_of(present, chosen, known)
    scored = cross_validate(
        dataset, spec, judged, plan.folds, seed=options.seed, budget=options.budget, step=step
    )
    step("measures")
    results = evaluate(dataset, scored, judged, spec.kind)
    check_leaks(dataset, spec, chosen, plan, results, options, step)
    fitted_spec = fit_spec(spec, dataset, plan.holdout.train)
    versions: dict[str, Version] = {}
    reports: dict[str, dict[str, bytes]] = {}
    tested = np.concatenate([*(fold.test for fold in plan.folds), plan.holdout.test])
    truth = labels(fitted_spec, dataset.quantity[plan.holdout.train])
    notes: dict[str, list[tuple[str, str]]] = {}
    for recipe in chosen:
        step(f"final {recipe.name}")
        fitted = fit_variant(
            recipe, dataset, plan.holdout.train, truth, seed=options.seed, budget=options.budget
        )
        onnx_bytes = fitted.to_onnx()
        try:
            worst = fitted.prove(onnx_bytes, dataset, tested)
        except TrainingError as error:
            if recipe.name == candidate:
                raise
            structlog.get_logger().warning("a variant is left out", cause=str(error))
            continue
        versions[recipe.name] = build_version(
            fitted,
            onnx_bytes,
            dataset=dataset,
            rows=plan.holdout.train,
            spec=fitted_spec,
            results=results,
            created_ns=created_ns,
            notes="baseline" if recipe.baseline else "",
        )
        parity = f"ONNX within {worst:.1e} of scikit-learn on {len(tested)} test rows"
        notes[recipe.name] = [("Parity", parity)]
    decision = None
    if options.publish and store is not None:
        decision = _gate(dataset, plan, versions[candidate], results, options, present)
        notes[candidate] += [("Gate", reason) for reason in decision.reasons]
    for name, version in versions.items():
        step(f"report {name}")
        reports[name] = files(
            ReportInput(
                version.manifest,
                dataset,
                scored,
                results,
                _importances(version.fitted, dataset, plan, fitted_spec),
                notes[name],
                pictures=options.pictures or name == candidate,
            )
        )
    baseline = results.best(baseline=True)
    publication = None
    if decision is not None and store is not None:
        publication = publish(
            store,
            versions,
            reports,
            candidate=candidate,
            baseline=baseline if baseline in versions else None,
            champion=decision.champion,
            in_shadow=present is None or present[0].target.asks_the_same(spec),
            allow_simulated=options.serves == "simulated",
        )
    return ExperimentResult(fitted_spec, results, scored, versions, reports, decision, publication)


def check_leaks(
    dataset: Dataset,
    spec: TargetSpec,
    chosen: Sequence[Recipe],
    plan: Plan,
    results: Results,
    options: ExperimentOptions,
    step: Step,
) -> None:
    """Ring the alarms that rows alone can ring: too good, and good on shuffled labels."""
    if spec.kind == "regression":
        return
    assert results.prevalence is not None  # noqa: S101  # an event has one
    for name, one in results.variants.items():
        leaks.check_too_good(name, one.quality, results.prevalence)
    fold = plan.folds[-1]
    train, test = thin(fold.train, SHUFFLE_ROWS), thin(fold.test, SHUFFLE_ROWS)
    rows = np.concatenate([train, test])
    truth = labels(fit_spec(spec, dataset, fold.train), dataset.quantity[rows]).astype(np.bool_)
    by_name = {recipe.name: recipe for recipe in chosen}
    step("shuffled labels")
    # A line through ten inputs cannot learn rows by heart; trees can, so they look too.
    for recipe in dict.fromkeys([by_name[options.models[0]], recipes(spec.kind)[LEAK_PROBE]]):
        leaks.check_shuffled(recipe.name, truth, _refit(dataset, recipe, rows, len(train)))


def _refit(
    dataset: Dataset, recipe: Recipe, rows: Int64, cut: int
) -> Callable[[Bool], tuple[Float64, Int64]]:
    def fit_and_score(shuffled: Bool) -> tuple[Float64, Int64]:
        fitted = fit_variant(recipe, dataset, rows[:cut], shuffled[:cut], seed=0, budget=0.05)
        return fitted.score(dataset, rows[cut:]), np.arange(cut, len(rows))

    return fit_and_score


def _importances(
    fitted: FittedVariant, dataset: Dataset, plan: Plan, spec: TargetSpec
) -> dict[str, float]:
    rows = plan.holdout.test
    truth = labels(spec, dataset.quantity[rows])
    return permutation_importances(fitted, dataset, rows, truth)


def _champion(store: ModelStore, target: str) -> Served | None:
    """Return who serves; None where nobody does, or what should is broken."""
    ref = store.aliases(target).champion
    if ref is None:
        return None
    try:
        return store.read(ref)
    except ModelRejectedError as error:
        structlog.get_logger().warning("the champion is broken", model=ref, cause=str(error))
        return None


def _with_recipe_of(
    champion: Served | None, chosen: Sequence[Recipe], known: Mapping[str, Recipe]
) -> list[Recipe]:
    """Return the recipes to judge: the champion's is among them, if it is known."""
    variant = "" if champion is None else champion[0].variant
    others = [known[variant]] if variant in known else []
    return [*chosen, *(recipe for recipe in others if recipe not in chosen)]


def _gate(
    dataset: Dataset,
    plan: Plan,
    version: Version,
    results: Results,
    options: ExperimentOptions,
    present: Served | None,
) -> gate.Decision:
    spec = version.manifest.target
    champion, champion_bytes = (None, b"") if present is None else present
    if champion is not None and champion.feature_set != version.manifest.feature_set:
        champion = None

    def file_against_file() -> tuple[Comparison, int]:
        assert champion is not None  # noqa: S101  # asked only with a champion
        rows = gate.unseen(
            plan.holdout.test, dataset.ts_ns, champion, spec.horizon_s, options.embargo_s
        )
        blocks = block_count(dataset.ts_ns[rows])
        if blocks < gate.MIN_UNSEEN_BLOCKS:
            return Comparison(float("nan"), (float("nan"), float("nan")), 0.0), blocks
        theirs = score_onnx(champion_bytes, dataset.pick(rows, champion.features))
        ours = version.fitted.score(dataset, rows)
        truth = labels(spec, dataset.quantity[rows])
        found = gate.compare_files(truth, dataset.ts_ns[rows], ours, theirs, spec.kind)
        return found, blocks

    return gate.decide(
        candidate=version.manifest.variant,
        target=spec,
        provenance=version.manifest.provenance,
        serves=options.serves,
        champion=champion,
        results=results,
        file_against_file=file_against_file if champion is not None else None,
    )
