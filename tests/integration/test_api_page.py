"""The live page in a real browser; skipped where none is installed."""

import msgspec
import pytest

from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.predictions import TargetScore
from schemas.quality import ModelQuality, QualityPoint, ReliabilityBin
from tests.support.api import api, prediction, write
from tests.support.browser import browser, chromium
from tests.support.models import publish_tiny
from tests.support.polling import until

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(tmp_path):
    chromium()
    with browser(tmp_path / "browser") as opened:
        yield opened


def test_page_shows_scores_as_they_come_and_runs_no_foreign_markup(
    page, tmp_path, valkey, database
):
    store = ModelStore(tmp_path / "models")
    ref = publish_tiny(store, 0.25, provenance="simulated")
    store.move("volatility_spike", champion=ref, by="test", allow_simulated=True)
    name, version = ref.split("@")

    def scored(symbol: str, score: float, offset: int) -> None:
        own = TargetScore(
            score=score, decision=score > 0.5, model=name, version=version, variant="tiny"
        )
        made = prediction(
            symbol, venue="simulator", offset=offset, scores={"volatility_spike": own}
        )
        write(database, made)

    reliability = [ReliabilityBin(low=0, high=0.1, count=9, mean_score=0.05, truth_rate=0.06)]
    quality = ModelQuality(
        model=ref, role="champion", count=9, pr_auc=0.3125, reliability=reliability
    )
    point = QualityPoint(
        target="volatility_spike", kind="classification", ts_ns=2, from_ns=1, models=[quality]
    )
    database.xadd(topics.quality_key("volatility_spike"), {"message": msgspec.json.encode(point)})
    for offset in range(50):
        scored("BTC-USD", 0.1 + offset / 1000, offset)
        scored(EVIL, 0.2, offset)

    with api(tmp_path, valkey.url, feed="simulate") as address:
        page.open(address)
        until(lambda: "0.149" in page.text("#scores"), "the first scores")
        assert EVIL in page.text("#scores")
        assert page.evaluate("document.querySelectorAll('#scores img').length") == 0
        until(lambda: "SIMULATED" in page.text("#simulated"), "the banner")
        until(lambda: ref in page.text("#tile-champion"), "the champion")
        until(lambda: "0.313" in page.text("#quality"), "live quality")
        until(lambda: "failing: kafka" in page.text("#health-word"), "health")
        until(lambda: ref in page.text("#models"), "the models")

        scored("BTC-USD", 0.777, 51)
        until(lambda: "0.777" in page.text("#scores"), "a score from the stream")
        assert "alert" in page.text("#scores")
        until(lambda: page.text("#tile-alerts") == "1", "the count of alerts")
        page.evaluate("document.querySelectorAll('#scores tbody th button')[1].click()")
        until(lambda: "BTC-USD" in page.text("#chart-title"), "the history of the chosen symbol")
        until(lambda: "0.777" in page.text("#readout"), "the plot")
        drawn = "[...chart.getContext('2d').getImageData(0, 0, chart.width, 300).data]"
        assert page.evaluate(f"new Set({drawn}).size") > 10
        page.evaluate("theme.click()")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        # The failing health check is a 503, which the browser notes by itself.
        page.complaints = [text for text in page.complaints if "503" not in text]
        assert page.complaints == []


def test_documentation_renders_without_the_network(page, tmp_path, valkey):
    with api(tmp_path, valkey.url) as address:
        page.open(f"{address}/docs")
        until(lambda: "/scores/{symbol}" in page.text("#docs"), "the documentation")
        assert page.complaints == []


def test_page_goes_by_the_log_and_names_a_clock_that_is_ahead(page, tmp_path, valkey, database):
    def scored(score: float, offset: int, age_s: float) -> None:
        own = TargetScore(score=score, decision=False, model="m", version="v", variant="tiny")
        write(database, prediction(offset=offset, age_s=age_s, scores={"volatility_spike": own}))

    scored(0.111, 1, -60.0)
    with api(tmp_path, valkey.url, api_root_path="/voltick") as address:
        page.open(f"{address}/voltick/")
        until(lambda: "0.111" in page.text("#scores"), "the first score")
        until(lambda: "clock ahead" in page.text("#scores"), "the clock to be named")
        scored(0.222, 2, 5.0)  # later in the log, earlier by its time
        until(lambda: "0.222" in page.text("#scores"), "the later score")
        until(lambda: "clock ahead" not in page.text("#scores"), "the clock to be right again")
