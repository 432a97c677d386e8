"""The metrics of continuous training."""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge

from flows.errors import LeakError, PortTakenError
from flows.monitoring.served import ServedMetrics
from schemas.training import TrainingResult

_TARGET = ("target",)


class TrainerMetrics(ServedMetrics):
    """All metrics of a trainer, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = Counter(
            "voltick_training_runs",
            "Training runs by how they ended: champion, challenger, unpublished, refused or leak.",
            ("target", "result"),
            registry=self.registry,
        )
        self.triggers = Counter(
            "voltick_training_triggers",
            "Causes of training runs: drift, misfit (the reference is that of another market),"
            " decay of live quality, untrained.",
            ("target", "cause"),
            registry=self.registry,
        )
        self.seconds = self._gauge("run_seconds", "Time that the newest run took.")
        self.finished = self._gauge(
            "last_run_timestamp_seconds", "When the newest run ended, seconds since 1970."
        )
        self.succeeded = self._gauge(
            "last_success_timestamp_seconds",
            "When the newest run that gave a model ended, seconds since 1970.",
        )
        self.pr_auc = self._gauge("pr_auc", "PR-AUC of the newest run's candidate over its folds.")
        self.lift = self._gauge(
            "lift", "Lift of the newest run's candidate over the best baseline."
        )

    def listen(self, host: str, port: int, names: Sequence[str] = ()) -> None:
        """Answer scrapes, by further names too; not for port 0.

        Raises
        ------
        PortTakenError
            Nothing can listen there.
        """
        if not port:
            return
        try:
            self.serve(port, host=host, names=names)
        except OSError as error:
            message = (
                f"metrics cannot be answered at {host}:{port}: {error.strerror}; set"
                " VOLTICK_METRICS_HOST and VOLTICK_TRAINER_METRICS_PORT to an address of this"
                " machine and a free port"
            )
            raise PortTakenError(message) from None

    def observe(
        self, target: str, ended: TrainingResult | Exception, seconds: float, now_s: float
    ) -> None:
        """Show a run.

        Parameters
        ----------
        ended
            What it gave, or the error that refused it.
        now_s
            When it ended, seconds since 1970.
        """
        self.seconds.labels(target).set(seconds)
        self.finished.labels(target).set(now_s)
        self.runs.labels(target, result_word(ended)).inc()
        if isinstance(ended, Exception):
            return
        self.succeeded.labels(target).set(now_s)
        for gauge, value in ((self.pr_auc, ended.pr_auc), (self.lift, ended.lift)):
            if value is not None:
                gauge.labels(target).set(value)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"voltick_training_{name}", text, _TARGET, registry=self.registry)


def result_word(ended: TrainingResult | Exception) -> str:
    """Return how a run ended, as the metrics call it."""
    if isinstance(ended, LeakError):
        return "leak"
    if isinstance(ended, Exception):
        return "refused"
    if not ended.published:
        return "unpublished"
    return "champion" if ended.champion else "challenger"
