"""One training run: from rows to judged, proven and perhaps published versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from flows.batch import Bool, Float64, Int64
from flows.errors import TrainingError
from flows.scoring.registry import ModelStore
from schemas.models import TargetSpec
from training import gate, leaks
from training.crossval import (
    FittedVariant,
    OutOfFold,
    cross_validate,
    fit_spec,
    fit_variant,
    labels,
    make_plan,
)
from training.dataset import Dataset, thin
from training.export import run
from training.importance import permutation_importances
from training.publication import Publication, publish
from training.recipes import Recipe, recipes
from training.report import ReportInput, files
from training.results import Comparison, Results, judge
from training.splits import Plan
from training.versions import Version, build_version

SHUFFLE_ROWS = 8_000
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
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
class Outcome:
    """What came of a run.

    Attributes
    ----------
    verdict
        The gate's words; None where nothing was to be published.
    publication
        What is in the store now; None likewise.
    """

    spec: TargetSpec
    results: Results
    scored: OutOfFold
    versions: dict[str, Version]
    reports: dict[str, dict[str, bytes]]
    verdict: gate.Verdict | None
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


def train(
    dataset: Dataset,
    spec: TargetSpec,
    options: Options,
    *,
    store: ModelStore | None,
    created_ns: int,
    step: Step = lambda _what: None,
    known: Mapping[str, Recipe] | None = None,
) -> Outcome:
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
        chosen = choose(recipes(spec.kind) if known is None else known, options.models)
        return _train(dataset, spec, options, chosen, store, created_ns, step)


def _train(
    dataset: Dataset,
    spec: TargetSpec,
    options: Options,
    chosen: Sequence[Recipe],
    store: ModelStore | None,
    created_ns: int,
    step: Step,
) -> Outcome:
    candidate = options.models[0]
    dataset.check_finite()
    plan = make_plan(dataset, spec, options.folds, options.embargo_s)
    scored = cross_validate(
        dataset, spec, chosen, plan.folds, seed=options.seed, budget=options.budget, step=step
    )
    step("measures")
    results = judge(dataset, scored, chosen, spec.kind)
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
        worst = fitted.prove(onnx_bytes, dataset, tested)
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
    verdict = None
    if options.publish and store is not None:
        verdict = _gate(dataset, plan, versions[candidate], results, options, store)
        notes[candidate] += [("Gate", reason) for reason in verdict.reasons]
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
    publication = None
    if verdict is not None and store is not None:
        publication = publish(
            store,
            versions,
            reports,
            candidate=candidate,
            baseline=results.best(baseline=True),
            champion=verdict.champion,
            allow_simulated=options.serves == "simulated",
        )
    return Outcome(fitted_spec, results, scored, versions, reports, verdict, publication)


def check_leaks(
    dataset: Dataset,
    spec: TargetSpec,
    chosen: Sequence[Recipe],
    plan: Plan,
    results: Results,
    options: Options,
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
    name = options.models[0]
    leaks.check_shuffled(name, truth, _refit(dataset, by_name[name], rows, len(train)))


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


def _gate(
    dataset: Dataset,
    plan: Plan,
    version: Version,
    results: Results,
    options: Options,
    store: ModelStore,
) -> gate.Verdict:
    spec = version.manifest.target
    ref = store.aliases(spec.name).champion
    champion, champion_bytes = store.read(ref) if ref is not None else (None, b"")
    if champion is not None and champion.feature_set != version.manifest.feature_set:
        champion = None

    def file_against_file() -> tuple[Comparison, int]:
        assert champion is not None  # noqa: S101  # asked only with a champion
        rows = gate.unseen(
            plan.holdout.test, dataset.ts_ns, champion, spec.horizon_s, options.embargo_s
        )
        if len(rows) < gate.MIN_UNSEEN_ROWS:
            return Comparison(float("nan"), (float("nan"), float("nan")), 0.0), len(rows)
        theirs = run(champion_bytes, dataset.pick(rows, champion.features))
        ours = version.fitted.score(dataset, rows)
        truth = labels(spec, dataset.quantity[rows])
        found = gate.compare_files(truth, dataset.ts_ns[rows], ours, theirs, spec.kind)
        return found, len(rows)

    return gate.decide(
        candidate=version.manifest.variant,
        provenance=version.manifest.provenance,
        serves=options.serves,
        champion=champion,
        results=results,
        file_against_file=file_against_file if champion is not None else None,
    )
