"""One experiment: from rows to evaluated, proven and perhaps published versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import structlog
from threadpoolctl import threadpool_limits

from flows.errors import TrainingError
from flows.numeric.arrays import Int64
from flows.scoring.registry import ModelStore
from schemas.models import TargetSpec
from training.data.dataset import Dataset
from training.data.splits import Plan
from training.estimators.recipes import Recipe, recipes
from training.evaluation import gate
from training.evaluation.cross_validation import (
    OutOfFold,
    cross_validate,
    fit_spec,
    fit_variant,
    labels,
    make_plan,
)
from training.evaluation.importance import permutation_importances
from training.evaluation.results import Results, evaluate
from training.experiments.leak_checks import check_leaks
from training.experiments.promotion import decide, present_champion, with_recipe_of
from training.publishing.publication import Publication, publish
from training.publishing.versions import Version, build_version
from training.reporting.report import ReportInput, files

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """Parameters of one experiment.

    Attributes
    ----------
    models
        Variants to train beside the baselines; the first is the candidate. It is named in advance,
        so that its figures are not the best of several looks at the same folds.
    budget
        Share of time that may be alerted.
    serves
        ``live`` or ``simulated``: kind of feed that this store's champions score.
    pictures
        Draw plots for every variant's report; else for the candidate's alone.
    plots
        Draw plots at all.
    """

    models: tuple[str, ...]
    folds: int = 4
    embargo_s: int = 3600
    budget: float = 0.05
    seed: int = 0
    publish: bool = False
    serves: str = "live"
    pictures: bool = True
    plots: bool = True


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """Outcome of one experiment.

    Attributes
    ----------
    decision
        Of the gate; None where nothing was to be published.
    publication
        References in the store; None likewise.
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
        return _run(dataset, spec, options, everything, store, created_ns, step)


def _run(
    dataset: Dataset,
    spec: TargetSpec,
    options: ExperimentOptions,
    known: Mapping[str, Recipe],
    store: ModelStore | None,
    created_ns: int,
    step: Step,
) -> ExperimentResult:
    candidate = options.models[0]
    chosen = choose(known, options.models)
    dataset.check_finite()
    plan = make_plan(dataset, spec, options.folds, options.embargo_s)
    publishes = store if options.publish else None
    champion = None if publishes is None else present_champion(publishes, spec.name)
    evaluated = with_recipe_of(champion, chosen, known)
    scored = cross_validate(
        dataset, spec, evaluated, plan.folds, seed=options.seed, budget=options.budget, step=step
    )
    step("measures")
    results = evaluate(dataset, scored, evaluated, spec.kind)
    step("leak alarms")
    check_leaks(dataset, spec, chosen, plan, results, candidate)
    final_spec = fit_spec(spec, dataset, plan.holdout.train)
    if publishes is not None:
        created_ns = publishes.creation_ns(created_ns)
    proven = _prove_all(dataset, final_spec, chosen, plan, results, options, created_ns, step)
    importances = {
        name: _importances(one.version, dataset, plan.holdout.test) for name, one in proven.items()
    }
    versions = {
        name: _with_importances(one.version, importances[name]) for name, one in proven.items()
    }
    decision, compared_with = None, None
    if publishes is not None:
        # Training takes its time: another version may have become champion since.
        compared_with = publishes.aliases(spec.name).champion
        champion = present_champion(publishes, spec.name)
        decision = decide(
            dataset,
            plan.holdout.test,
            versions[candidate],
            results,
            champion,
            serves=options.serves,
            embargo_s=options.embargo_s,
        )
    reports: dict[str, dict[str, bytes]] = {}
    for name, one in proven.items():
        step(f"report {name}")
        gated = decision.reasons if decision is not None and name == candidate else []
        reports[name] = files(
            ReportInput(
                versions[name].manifest,
                dataset,
                scored,
                results,
                importances[name],
                [("Parity", one.parity), *(("Gate", reason) for reason in gated)],
                pictures=options.plots and (options.pictures or name == candidate),
            )
        )
    publication = None
    if publishes is not None and decision is not None:
        baseline = results.best(baseline=True)
        publication = publish(
            publishes,
            versions,
            reports,
            candidate=candidate,
            baseline=baseline if baseline in versions else None,
            champion=decision.champion,
            instead_of=compared_with,
            in_shadow=champion is None or champion[0].target.asks_the_same(spec),
            allow_simulated=options.serves == "simulated",
        )
    return ExperimentResult(final_spec, results, scored, versions, reports, decision, publication)


@dataclass(frozen=True, slots=True)
class _Proven:
    version: Version
    parity: str


def _prove_all(
    dataset: Dataset,
    spec: TargetSpec,
    chosen: Sequence[Recipe],
    plan: Plan,
    results: Results,
    options: ExperimentOptions,
    created_ns: int,
    step: Step,
) -> dict[str, _Proven]:
    """Fit every recipe on the training part before the holdout and prove its ONNX graph.

    A variant that fails the proof is left out, the candidate excepted.
    """
    rows = plan.holdout.train
    truth = labels(spec, dataset.quantity[rows])
    tested = np.concatenate([*(fold.test for fold in plan.folds), plan.holdout.test])
    made: dict[str, _Proven] = {}
    for recipe in chosen:
        step(f"final {recipe.name}")
        fitted = fit_variant(recipe, dataset, rows, truth, seed=options.seed, budget=options.budget)
        onnx_bytes = fitted.to_onnx()
        try:
            worst = fitted.prove(onnx_bytes, dataset, tested)
        except TrainingError as error:
            if recipe.name == options.models[0]:
                raise
            structlog.get_logger().warning("a variant is left out", cause=str(error))
            continue
        version = build_version(
            fitted,
            onnx_bytes,
            dataset=dataset,
            rows=rows,
            spec=spec,
            results=results,
            created_ns=created_ns,
            notes="baseline" if recipe.baseline else "",
        )
        parity = f"ONNX within {worst:.1e} of scikit-learn on {len(tested)} test rows"
        made[recipe.name] = _Proven(version, parity)
    return made


def _with_importances(version: Version, importances: Mapping[str, float]) -> Version:
    """Return a version whose manifest also tells what the model rests on."""
    finite = {name: value for name, value in importances.items() if np.isfinite(value)}
    manifest = msgspec.structs.replace(version.manifest, importances=finite)
    return replace(version, manifest=manifest)


def _importances(version: Version, dataset: Dataset, rows: Int64) -> dict[str, float]:
    truth = labels(version.manifest.target, dataset.quantity[rows])
    return permutation_importances(version.fitted, dataset, rows, truth)
