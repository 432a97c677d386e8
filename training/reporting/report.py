"""The report of one version: a self-contained page, a model card and ``metrics.json``."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import structlog

from flows.host.whole_files import whole_files
from schemas.models import ModelManifest
from training.data.dataset import Dataset
from training.evaluation.bootstrap import block_length
from training.evaluation.cross_validation import OutOfFold
from training.evaluation.results import Results
from training.reporting import plots
from training.reporting.encoding import encode_json
from training.reporting.pages import embedded, render

INTENDED = {
    "classification": "Rank moments by the risk of a burst of volatility in the next"
    " {horizon} s, so that people or systems can widen, hedge or look.",
    "regression": "A reference for the price in {horizon} s; its skill over persistence is small.",
}
LIMITS = (
    "Trained on the venues and days listed here; volatility regimes change and the threshold's"
    " alert share with them. Scores below 300 s of history, across gaps and of late ticks are less"
    " sure. Not investment advice; no costs or fills are modelled."
)


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Contents of a version's report.

    Attributes
    ----------
    importances
        Loss of quality when a feature is shuffled, by feature.
    notes
        Gate reasons, parity, leak checks: lines of the card.
    pictures
        Draw plots; they take most of a short run's time.
    """

    manifest: ModelManifest
    dataset: Dataset
    scored: OutOfFold
    results: Results
    importances: dict[str, float]
    notes: Sequence[tuple[str, str]]
    pictures: bool = True


def files(given: ReportInput) -> dict[str, bytes]:
    """Return ``report.html``, ``model_card.md`` and ``metrics.json`` as bytes."""
    card = model_card(given)
    name = given.manifest.variant
    results = given.results
    baseline = results.best(baseline=True)
    html = render(
        "report.html.j2",
        title=f"{given.manifest.ref}: {given.manifest.target.name}",
        summary=_summary(results, name, baseline),
        table=variant_table(results, name),
        folds=fold_table(given.scored, results),
        block_min=block_length(given.dataset.ts_ns[given.scored.rows], given.scored.horizon_s)
        // 60,
        plots=embedded(_plots(given, baseline) if given.pictures and _can_draw() else []),
        card=card,
    )
    lines = [f"# {given.manifest.ref}", ""] + [f"- **{key}**: {value}" for key, value in card]
    return {
        "report.html": html.encode(),
        "model_card.md": ("\n".join(lines) + "\n").encode(),
        "metrics.json": msgspec.json.format(encode_json(metrics(given)), indent=2) + b"\n",
    }


def metrics(given: ReportInput) -> dict[str, Any]:
    """Return every number of the report."""
    baseline = given.results.best(baseline=True)
    made: dict[str, Any] = {
        "ref": given.manifest.ref,
        "target": msgspec.to_builtins(given.manifest.target),
        "prevalence": given.results.prevalence,
        "best_baseline": baseline,
        "importances": given.importances,
        "variants": {},
    }
    for name, one in given.results.variants.items():
        entry: dict[str, Any] = {
            "quality_ci": one.quality_ci,
            "by_fold": one.by_fold,
            **one.metrics,
        }
        if baseline is not None and name != baseline:
            found = given.results.compare(name, baseline)
            entry |= {"lift": found.lift, "lift_ci": found.lift_ci, "chance": found.chance}
        made["variants"][name] = entry
    return made


def variant_table(results: Results, candidate: str) -> dict[str, Any]:
    """Return head and rows of the table of variants."""
    event = results.kind == "classification"
    columns = (
        ["roc_auc", "brier_skill", "calibration_error", "precision_at_budget", "f1_at_budget"]
        if event
        else ["mae", "skill_over_persistence", "direction"]
    )
    baseline = results.best(baseline=True)
    rows = []
    ordered = sorted(
        results.variants.values(), key=lambda one: -one.quality if event else one.quality
    )
    for one in ordered:
        lift = "-"
        if baseline is not None and one.name != baseline:
            found = results.compare(one.name, baseline)
            lift = f"{found.lift:.3f} [{found.lift_ci[0]:.3f}, {found.lift_ci[1]:.3f}]"
        low, high = one.quality_ci
        digits = "{:.3f} [{:.3f}, {:.3f}]" if event else "{:.3e} [{:.3e}, {:.3e}]"
        kind = "candidate" if one.name == candidate else "baseline" if one.baseline else ""
        cells = [one.name, digits.format(one.quality, low, high), lift]
        cells += [f"{one.metrics[column]:.3g}" for column in columns]
        rows.append({"kind": kind, "cells": cells})
    quality = "PR-AUC [95 %]" if event else "RMSE [95 %]"
    head = ["variant", quality, f"lift over {baseline} [95 %]"]
    return {"head": head + [name.replace("_", " ") for name in columns], "rows": rows}


def fold_table(scored: OutOfFold, results: Results) -> dict[str, Any]:
    """Return head and rows of the table of folds."""
    names = list(results.variants)
    rows = []
    for number, part in enumerate(scored.folds):
        level = "-" if part.spec.level is None else f"{part.spec.level:.4g}"
        share = "-" if part.truth.dtype != bool else f"{part.truth.mean():.3f}"
        rows.append(
            [
                f"{part.fold.name}: {when(part.fold.test_from_ns)} to {when(part.fold.test_to_ns)}",
                f"{len(part.fold.train)} / {len(part.truth)}",
                level,
                share,
                *(f"{results.variants[name].by_fold[number]:.3g}" for name in names),
            ]
        )
    return {"head": ["tested", "rows train / test", "level", "prevalence", *names], "rows": rows}


def model_card(given: ReportInput) -> list[tuple[str, str]]:
    """Return the card's lines as name and text."""
    manifest, dataset = given.manifest, given.dataset
    target = manifest.target
    kind = "classification" if manifest.threshold is not None else "regression"
    window = (
        f"{when(manifest.data_from_ns)} to {when(manifest.data_to_ns)}"
        if manifest.data_from_ns is not None and manifest.data_to_ns is not None
        else "unknown"
    )
    counters = ", ".join(f"{count} {name}" for name, count in dataset.counters.items() if count)
    return [
        ("Model", f"{manifest.ref} ({manifest.variant}), FEATURE_SET {manifest.feature_set}"),
        (
            "Target",
            f"{target.name}, {target.definition}, {target.horizon_s} s ahead, version"
            f" {target.version}, level {target.level}",
        ),
        ("Intended use", INTENDED[kind].format(horizon=target.horizon_s)),
        ("Limits", LIMITS),
        ("Provenance", manifest.provenance),
        ("Sources", ", ".join(manifest.data_sources)),
        ("Training window", window),
        ("Training rows", f"{manifest.row_count} of {dataset.ticks} ticks"),
        ("Symbols", ", ".join(dataset.symbols)),
        ("Met on the way", counters or "nothing unusual"),
        ("Threshold", "none" if manifest.threshold is None else f"{manifest.threshold:.4g}"),
        ("Features", ", ".join(manifest.features)),
        ("Left out, undefined in these data", ", ".join(manifest.unused_features) or "none"),
        ("SHA-256", manifest.sha256),
        *given.notes,
    ]


def when(ts_ns: int) -> str:
    """Return a time as UTC, to the minute."""
    return f"{datetime.fromtimestamp(ts_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M}Z"


def _summary(results: Results, name: str, baseline: str | None) -> str:
    one = results.variants[name]
    low, high = one.quality_ci
    if results.kind == "classification":
        text = (
            f"PR-AUC {one.quality:.3f} [{low:.3f}, {high:.3f}] at prevalence"
            f" {results.prevalence:.3f}"
        )
    else:
        text = f"RMSE {one.quality:.3e} [{low:.3e}, {high:.3e}]"
    if baseline is None or baseline == name:
        return text + "."
    found = results.compare(name, baseline)
    return (
        f"{text}; the best baseline, {baseline}, is beaten by a factor of {found.lift:.3f}"
        f" [{found.lift_ci[0]:.3f}, {found.lift_ci[1]:.3f}] (below 1: not beaten)."
    )


@cache
def _can_draw() -> bool:
    """Return whether matplotlib finds the folder that it needs for its cache; say if not."""
    try:
        importlib.import_module("matplotlib.figure")
    except OSError as error:
        structlog.get_logger().warning("reports are without pictures", cause=str(error))
        return False
    return True


def _plots(given: ReportInput, baseline: str | None) -> list[plots.Plot]:
    name = given.manifest.variant
    scored = given.scored
    shown = [name] if baseline in (None, name) else [name, str(baseline)]
    scores = {one: scored.score(one) for one in shown}
    if given.results.kind == "regression":
        made = [plots.forecast_scatter(scored.truth.astype(np.float64), scores[name])]
        unit = "rise of RMSE when shuffled"
    else:
        truth = scored.truth.astype(np.bool_)
        made = [
            plots.precision_recall(truth, scores),
            plots.reliability_diagram(truth, scores),
            plots.score_distribution(truth, scores[name], given.manifest.threshold),
            plots.label_rate(truth, given.dataset.ts_ns[scored.rows]),
        ]
        unit = "loss of PR-AUC when shuffled"
    if given.importances:
        made.append(plots.importances(given.importances, unit))
    return made


def write_reports(folder: Path, reports: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write each variant's files into a folder of its own; all of them are there, or none."""
    with whole_files() as unfinished:
        for name, files_of_variant in reports.items():
            part = folder / name
            part.mkdir(parents=True, exist_ok=True)
            for file, content in files_of_variant.items():
                unfinished(part / file).write_bytes(content)
