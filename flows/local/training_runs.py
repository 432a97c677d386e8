"""Training runs of an all-in-one run: processes at low priority, beside the dataflow.

On a simulated feed a model is trained once for each target, and serves at once in the place of the
untrained built-in one, whatever the gate says of it: the market is made up, so nothing but the
demonstration is at stake, and the log tells what it is worth. It learns from the history that the
feed sends before its live ticks, made anew from the same seed and cut where the live ticks begin:
every label ends before the cut, and what the model is judged on live comes after it. Where that
history is too short or too quiet it learns from another market, of another seed. On any other feed
training is tried again and again on the ticks collected so far, and the gate alone decides; until
they suffice that is a quiet retry.
"""

import structlog

from flows.errors import ModelRejectedError, ModelStoreError, VoltickError
from flows.host.lossy_output import SAID_BY
from flows.host.processes import LOWEST_NICENESS, lower_priority
from flows.local.child import Child
from flows.local.programs import start
from flows.local.supervisor import Supervisor
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from schemas.feeds import FeedName
from schemas.training import ExitCode, TrainingResult, find_result

BY = "launcher, simulated feed"

# Where the feed has no history of its own, or one to learn nothing from.
HISTORY = "2h"
LEAST_HISTORY_S = 3_600
# Enough that the symbols' own clusters of volatility average out, few enough to take seconds.
SYMBOLS = 6
RATE_PER_SYMBOL_HZ = 5.0
ROW_EVERY_S = 5
# The usual hour would leave half an hour to learn from.
EMBARGO_S = 300
# Two hours can end so quietly that there is no event to learn from or to judge by: take others.
SEED_STEP = 100
ATTEMPTS = 4

# The user waits for the first model, and ticks are being scored already; the others have time.
FIRST_NICENESS = 0
NEXT_NICENESS = 5
FIRST_TRY_S = 60.0
RETRY_S = 600.0
COLLECTED = "12h"
POLL_S = 0.2
# A try every ten minutes would fill the disk.
VERSIONS_KEPT = 20

_TRAINABLE = {"volatility_spike": "logreg", "forward_return": "ridge"}


def has_history(settings: Settings) -> bool:
    """Return whether the feed's own history is long enough to learn from."""
    return (
        settings.feed == FeedName.SIMULATE
        and settings.live_from_ns is not None
        and settings.simulate_history_s >= LEAST_HISTORY_S
    )


def history_settings(settings: Settings, attempt: int = 1) -> Settings:
    """Return the settings of a made-up past: another seed, for it must not be the feed's future."""
    others = (f"SIM{number:03d}-USD" for number in range(1, SYMBOLS + 1))
    names = tuple(dict.fromkeys((*settings.symbols, *others)))[:SYMBOLS]
    return settings.replace(
        symbols=names,
        simulate_rate_hz=RATE_PER_SYMBOL_HZ * SYMBOLS,
        simulate_seed=settings.simulate_seed + 1 + SEED_STEP * attempt,
        live_from_ns=None,
    )


def command(target: str, *, simulated: bool, history: str = HISTORY) -> list[str]:
    """Return module and arguments of one training run."""
    shared = ["training.retrain", "--target", target, "--publish"]
    if simulated:
        few = ["--models", _TRAINABLE[target], "--row-every-s", str(ROW_EVERY_S)]
        quick = [*few, "--embargo-s", str(EMBARGO_S), "--no-plots"]
        return [*shared, "--from", f"simulate:{history}", "--for-feed", "simulated", *quick]
    return [*shared, "--from", "kafka:ticks.raw", "--last", COLLECTED, "--for-feed", "live"]


class TrainingRuns:
    """Run the training processes of one launcher, one after the other.

    Parameters
    ----------
    settings
        Of the run, its feed resolved: not ``auto``.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._simulated = settings.feed == FeedName.SIMULATE
        self._store = ModelStore(settings.model_store)
        self._targets = [name for name in settings.targets if name in _TRAINABLE]
        self._said: dict[str, str] = {}
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Train until there is nothing left to do or everything is being stopped."""
        if self._simulated:
            self._train_all()
            return
        wait_s = FIRST_TRY_S
        while not self._supervisor.stopping(wait_s):
            self._train_all()
            wait_s = RETRY_S

    def _train_all(self) -> None:
        for target in self._targets:
            if self._supervisor.stopping():
                return
            try:
                self._train(target)
                pinned = self._settings.model_version
                self._store.prune(VERSIONS_KEPT, () if pinned is None else (pinned,))
            except (ModelRejectedError, ModelStoreError) as error:
                self._log.warning("the trained model does not serve", cause=str(error))

    def _train(self, target: str) -> None:
        for attempt in range(1, ATTEMPTS + 1 if self._simulated else 2):
            settings, history = self._settings, HISTORY
            if self._simulated:
                if attempt == 1 and has_history(settings):
                    history = f"{settings.simulate_history_s}s"
                else:
                    settings = history_settings(settings, attempt)
                self._log.debug(
                    "training on SIMULATED history, in the background",
                    target=target,
                    history=history,
                    seed=settings.simulate_seed,
                )
            ended = self._run_once(target, settings, history)
            if ended is None:
                return
            code, said = ended
            result = find_result(said)
            if code in (ExitCode.DONE, ExitCode.STAYED_CHALLENGER) and result is not None:
                self._trained(target, result, said)
                return
            self._failed(target, code, last_line(said))

    def _run_once(self, target: str, settings: Settings, history: str) -> tuple[int, str] | None:
        """Return exit code and output; None where everything is being stopped."""
        log = self._supervisor.folder / f"training-{target}.log"
        log.unlink(missing_ok=True)
        child = start(
            settings,
            self._supervisor,
            f"training of {target}",
            command(target, simulated=self._simulated, history=history),
            essential=False,
            watched=False,
            log=log,
        )
        lower_priority(child.pid, self._niceness(target))
        code = self._wait(child)
        if code is None:
            return None
        said = child.tail(1_000_000)
        self._supervisor.end(child)
        return code, said

    def _niceness(self, target: str) -> int:
        if not self._simulated:
            return LOWEST_NICENESS
        return FIRST_NICENESS if target == self._targets[0] else NEXT_NICENESS

    def _wait(self, child: Child) -> int | None:
        """Return the child's exit code; None where everything is being stopped."""
        while not self._supervisor.stopping(POLL_S):
            code = child.popen.poll()
            if code is not None:
                return code
        return None

    def _trained(self, target: str, result: TrainingResult, said: str) -> None:
        self._said.pop(target, None)
        ref, serves = result.version, result.champion
        gate = "champion" if serves else last_line(said)
        if self._simulated and not serves and ref is not None and self._is_untrained(target):
            # Here, not above: the run's start does not wait for numpy and ONNX Runtime.
            from flows.scoring import promotion

            promotion.promote(self._store, target, ref, by=BY, allow_simulated=True)
            serves = True
        figures = {
            "pr_auc": result.pr_auc,
            "prevalence": result.prevalence,
            "best_baseline": result.best_baseline,
        }
        known = {name: value for name, value in figures.items() if value is not None}
        if self._simulated:
            self._log.warning(
                "a model trained on SIMULATED data is ready",
                target=target,
                model=ref,
                serves=serves,
                gate=gate,
                lift=result.lift,
                **known,
            )
        else:
            self._log.info(
                "trained on the collected ticks",
                target=target,
                model=ref,
                serves=serves,
                gate=gate,
                lift=result.lift,
                **known,
            )

    def _is_untrained(self, target: str) -> bool:
        """Return whether the target has no champion, or the built-in model."""
        champion = self._store.aliases(target).champion
        return champion is None or self._store.manifest(champion).provenance == "builtin"

    def _failed(self, target: str, code: int, cause: str) -> None:
        """Log a new cause once; the numbers in it change with every try."""
        kind = cause.partition(":")[0]
        repeated = self._said.get(target) == kind
        self._said[target] = kind
        if repeated:
            self._log.debug("no model this time", target=target, cause=cause)
        elif kind == "too few ticks" and not self._simulated:
            self._log.info("not enough ticks to learn from yet", target=target, cause=cause)
        else:
            self._log.warning("training failed", target=target, exit_code=code, cause=cause)


def last_line(said: str) -> str:
    """Return the last line that is not JSON, a process's error, without whose it is."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("{")]
    return lines[-1].strip().removeprefix(SAID_BY) if lines else "it says nothing"


def train_models(settings: Settings, supervisor: Supervisor) -> None:
    """Train in this thread; returns quietly where the run ends meanwhile."""
    try:
        TrainingRuns(settings, supervisor).run()
    except VoltickError as error:
        if not supervisor.stopping():
            structlog.get_logger().warning("training cannot be started", cause=str(error))
