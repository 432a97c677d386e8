"""Alarms against models that know something they cannot know."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flows.codec.batch import TickBatch
from flows.errors import LeakError
from flows.numeric.arrays import Bool, Float64, Int64
from training.evaluation.metrics import pr_auc

TOO_GOOD = 0.9
SURE_AREA = 0.8
COMMON = 0.5
TOO_GOOD_LIFT = 1.3
SURE_LIFT = 1.1
SHUFFLES = 200
DEVIATIONS = 4.0

FitAndScore = Callable[[Bool], tuple[Float64, Int64]]
Features = Callable[[TickBatch], Float64]


def check_too_good(name: str, area: float, least_area: float, prevalence: float) -> None:
    """Refuse a PR-AUC that no honest model of a rare event reaches but by chance.

    Parameters
    ----------
    area, least_area
        PR-AUC, and the lower end of its interval: on a few minutes anything may happen.

    Raises
    ------
    LeakError
        If PR-AUC > 0.9, and surely above 0.8, at a prevalence below 0.5.
    """
    if area > TOO_GOOD and least_area > SURE_AREA and prevalence < COMMON:
        msg = (
            f"leak: {name} reaches PR-AUC {area:.3f} at prevalence {prevalence:.3f}; honest models"
            " of this kind of event reach 0.15-0.5. Look for a label that overlaps the features'"
            " windows (such as a rolling deviation shifted by one row)"
        )
        raise LeakError(msg)


def check_forecast(name: str, lift: float, least_lift: float) -> None:
    """Refuse a forecast that beats persistence by more than an honest one can.

    Honest forecasts of prices lower the RMSE by a few percent. Prices of two markets, or of two
    levels, in one series revert after each move, and so does a bounce between bid and ask: the way
    back can be forecast without any knowledge of the market.

    Parameters
    ----------
    lift, least_lift
        RMSE of persistence / RMSE, and the lower end of its interval.

    Raises
    ------
    LeakError
        If the lift is above 1.3, and surely above 1.1.
    """
    if lift > TOO_GOOD_LIFT and least_lift > SURE_LIFT:
        msg = (
            f"leak: {name} lowers persistence's RMSE by a factor of {lift:.2f}; honest forecasts of"
            f" prices stay below {TOO_GOOD_LIFT}. Look for two markets or two price levels in one"
            " series, for prices that bounce between bid and ask, and for a future price among the"
            " features"
        )
        raise LeakError(msg)


def check_shuffled(name: str, truth: Bool, fit_and_score: FitAndScore, seed: int = 0) -> float:
    """Refuse a recipe that ranks labels without information.

    All labels are shuffled once, those of training and test rows together; then nothing can be
    learned, unless test rows, their copies or their labels reach the fit.

    Parameters
    ----------
    truth
        bool, shape (n,): labels of all rows.
    fit_and_score
        Takes shuffled labels of all rows, fits on the training part and returns scores and row
        numbers of the test part.

    Returns
    -------
    PR-AUC on shuffled labels less its expected value, in standard deviations.

    Raises
    ------
    LeakError
        If it lies more than four standard deviations above chance.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(truth)
    score, rows = fit_and_score(shuffled)
    tested = shuffled[rows]
    reached = pr_auc(tested, score)
    chance = np.array([pr_auc(generator.permutation(tested), score) for _ in range(SHUFFLES)])
    spread = float(chance.std()) or 1e-12
    excess = (reached - float(chance.mean())) / spread
    if excess > DEVIATIONS:
        msg = (
            f"leak: {name} reaches PR-AUC {reached:.3f} on shuffled labels, where chance gives"
            f" {chance.mean():.3f} +- {spread:.3f}; test rows or their labels reach the training"
        )
        raise LeakError(msg)
    return excess


def check_future(batch: TickBatch, features: Features, names: list[str], cuts: int = 3) -> None:
    """Refuse features that a later tick changes.

    Parameters
    ----------
    batch
        Ticks in log order.
    features
        Computes float64, shape (n, len(names)), from scratch.
    cuts
        At how many places everything after is changed.

    Raises
    ------
    LeakError
        Naming the features that changed.
    """
    count = len(batch)
    honest = features(batch)
    for cut in np.linspace(0, count - 1, cuts + 2)[1:-1].astype(int):
        changed = features(_changed_after(batch, int(cut)))
        before, after = honest[: cut + 1], changed[: cut + 1]
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        if not same.all():
            guilty = [names[k] for k in np.flatnonzero(~same.all(axis=0))]
            msg = (
                f"leak: ticks after row {cut} change earlier values of {', '.join(guilty)};"
                " a feature may look back only"
            )
            raise LeakError(msg)


def _changed_after(batch: TickBatch, cut: int) -> TickBatch:
    later = np.arange(len(batch)) > cut
    sway = np.where(later, 1.0 + 0.03 * np.sin(np.arange(len(batch)) * 0.7), 1.0)
    return replace(
        batch,
        price=batch.price * sway,
        bid=batch.bid * sway,
        ask=batch.ask * sway,
        size=np.where(later, batch.size * 3.0, batch.size),
        bid_size=np.where(later, batch.bid_size * 2.0, batch.bid_size),
        ticks=[],
    )
