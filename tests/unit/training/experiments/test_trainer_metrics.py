"""What a trainer shows of its runs."""

import httpx
import pytest

from flows.errors import LeakError, PortTakenError, TrainingError
from schemas.training import TrainingResult
from tests.support.polling import free_ports
from training.experiments.trainer_metrics import TrainerMetrics, result_word

RESULT = TrainingResult(
    target="spike", version="a@1", published=True, champion=True, pr_auc=0.3, lift=1.2
)


@pytest.mark.parametrize(
    ("ended", "word"),
    [
        (RESULT, "champion"),
        (TrainingResult(target="t", version="a", published=True, champion=False), "challenger"),
        (TrainingResult(target="t", version="a", published=False, champion=False), "unpublished"),
        (TrainingError("too few"), "refused"),
        (LeakError("leak"), "leak"),
    ],
    ids=["champion", "challenger", "unpublished", "refused", "leak"],
)
def test_a_run_ends_in_one_of_five_ways(ended: TrainingResult | Exception, word: str) -> None:
    assert result_word(ended) == word


def test_a_refused_run_leaves_what_the_last_good_one_showed() -> None:
    [port] = free_ports(1)
    metrics = TrainerMetrics()
    metrics.listen("127.0.0.1", port)
    metrics.observe("spike", RESULT, 10.0, 1000.0)
    metrics.observe("spike", TrainingError("too few"), 1.0, 2000.0)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    for line in (
        'voltick_training_runs_total{result="champion",target="spike"} 1.0',
        'voltick_training_runs_total{result="refused",target="spike"} 1.0',
        'voltick_training_last_success_timestamp_seconds{target="spike"} 1000.0',
        'voltick_training_last_run_timestamp_seconds{target="spike"} 2000.0',
        'voltick_training_pr_auc{target="spike"} 0.3',
    ):
        assert line in text
    with pytest.raises(PortTakenError, match="VOLTICK_TRAINER_METRICS_PORT"):
        TrainerMetrics().listen("127.0.0.1", port)


def test_port_0_listens_nowhere() -> None:
    TrainerMetrics().listen("203.0.113.7", 0)
