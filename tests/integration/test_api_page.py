"""The live page in a real browser; skipped where none is installed."""

import json
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from flows.connectors.redis.backfill import put_backfill
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.backfill import Backfill, BackfillBar
from schemas.quality import ModelQuality, QualityPoint, ReliabilityBin
from tests.support.api import api
from tests.support.browser import Page
from tests.support.models import publish_tiny
from tests.support.pages import SPIKE, scored
from tests.support.polling import until

EVIL = "<img src=x onerror=alert(1)>"


def complaints(page: Page) -> list[str]:
    """What the page complains about but a failing health check, which is a 503."""
    return [text for text in page.complaints if "503" not in text]


def champion(tmp_path) -> str:
    store = ModelStore(tmp_path / "models")
    ref = publish_tiny(store, 0.25, provenance="simulated")
    store.move(SPIKE, champion=ref, by="test", allow_simulated=True)
    return ref


def test_page_shows_scores_as_they_come_and_runs_no_foreign_markup(
    page, tmp_path, valkey, database
):
    ref = champion(tmp_path)
    name, version = ref.split("@")
    own = {"model": name, "version": version}
    reliability = [ReliabilityBin(low=0, high=0.1, count=9, mean_score=0.05, truth_rate=0.06)]
    quality = ModelQuality(
        model=ref, role="champion", count=9, pr_auc=0.3125, reliability=reliability
    )
    point = QualityPoint(target=SPIKE, kind="classification", ts_ns=2, from_ns=1, models=[quality])
    database.xadd(topics.quality_key(SPIKE), {"message": msgspec.json.encode(point)})
    for offset in range(50):
        scored(database, "BTC-USD", 0.1 + offset / 1000, offset, own=own, venue="simulator")
        scored(database, EVIL, 0.2, offset, venue="simulator")

    with api(tmp_path, valkey.url, feed="simulate") as address:
        page.open(address)
        until(lambda: "0.149" in page.text("#symbols"), "the first scores")
        assert EVIL in page.text("#symbols")
        assert page.evaluate("document.querySelectorAll('#symbols img').length") == 0
        until(lambda: "SIMULATED" in page.text("#simulated"), "the banner")
        until(lambda: "0.313" in page.text("#quality"), "live quality")
        until(lambda: "failing: kafka" in page.text("#health-word"), "health")
        until(lambda: "KAFKA_BOOTSTRAP_SERVERS" in page.text("#trouble"), "what to do")

        page.evaluate("document.querySelectorAll('.symbol')[1].click()")
        until(lambda: "BTC-USD" in page.text("#symbol"), "the chosen symbol")
        until(lambda: page.attribute("#champion", "title") == ref, "the champion's whole name")
        assert ref not in page.text("#champion")
        assert page.attribute("#models tbody th", "title") == ref
        scored(database, "BTC-USD", 0.777, 51, own=own, venue="simulator")
        until(lambda: page.text("#score") == "0.777", "a score from the stream")
        until(lambda: "alert" in page.text("#verdict"), "the verdict")
        until(lambda: "score 0.777" in page.text("#score-readout"), "the chart's readout")
        until(lambda: "open" in page.text("#events"), "the alert in the list")
        drawn = """(() => { const canvas = document.querySelector('#score-chart canvas');
            const context = canvas.getContext('2d');
            const { width, height } = canvas;
            return new Set(context.getImageData(0, 0, width, height).data).size; })()"""
        until(lambda: page.evaluate(drawn) > 10, "the plot")
        page.evaluate("theme.click()")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert complaints(page) == []


def test_documentation_renders_without_the_network(page, tmp_path, valkey):
    with api(tmp_path, valkey.url) as address:
        page.open(f"{address}/docs")
        until(lambda: "/scores/{symbol}" in page.text("#docs"), "the documentation")
        assert page.complaints == []


def test_page_goes_by_the_log_and_names_a_clock_that_is_ahead(page, tmp_path, valkey, database):
    scored(database, "BTC-USD", 0.111, 1, age_s=-60.0)
    with api(tmp_path, valkey.url, api_root_path="/voltick") as address:
        page.open(f"{address}/voltick/")
        until(lambda: "0.111" in page.text("#symbols"), "the first score")
        until(lambda: "clock ahead" in page.text("#symbols"), "the clock to be named")
        # Later in the log, earlier by its time.
        scored(database, "BTC-USD", 0.222, 2, age_s=5.0)
        until(lambda: "0.222" in page.text("#symbols"), "the later score")
        until(lambda: "clock ahead" not in page.text("#symbols"), "the clock to be right again")


def test_what_the_page_says_is_what_the_api_says(page, tmp_path, valkey, database):
    for offset in range(120):
        scored(
            database,
            "BTC-USD",
            offset / 1000,
            offset,
            own={"shadow": {"zscore@20260101T000000Z-ab": offset / 2000}},
            price=64_000 + offset / 4,
            mid=64_000 + offset / 4,
            age_s=120 - offset,
        )
    with api(tmp_path, valkey.url) as address, httpx.Client(base_url=address) as client:
        page.open(address)
        until(lambda: "0.119" in page.text("#score"), "the newest score")
        said = client.get("/scores/BTC-USD").json()
        assert page.text("#price") == f"{said['price']:,.2f}"
        assert page.text("#score") == f"{said['scores'][SPIKE]['score']:.3f}"
        until(lambda: "0.119" in page.text("#score-readout"), "the chart")
        series = client.get("/series/BTC-USD", params={"seconds": 3600, "step_s": 1}).json()
        page.evaluate(
            "import(document.querySelector('script[type=module]').src.replace('app.js',"
            "'market.js')).then((market) => { window.market_ = market; })"
        )
        until(lambda: page.evaluate("window.market_?.current().step === 1"), "the finer steps")
        for column in ("close", "mid", "score", "alert", "trades"):
            drawn = json.loads(page.evaluate(f"JSON.stringify(market_.current().columns.{column})"))
            assert drawn == series["columns"][column], column
        assert page.evaluate("market_.current().ts.join()") == ",".join(
            map(str, series["columns"]["ts_s"])
        )
        assert "0.060" in page.text("#score-readout")  # the challenger, to three digits


def test_axe_finds_nothing_serious_in_light_and_dark_wide_and_narrow(
    page, tmp_path, valkey, database
):
    axe = Path(str(pytest.importorskip("axe_core_python").__file__)).with_name("axe.min.js")
    ref = champion(tmp_path)
    name, version = ref.split("@")
    own = {"model": name, "version": version, "shadow": {"zscore@20260101T000000Z-ab": 0.3}}
    for offset in range(60):
        scored(
            database,
            "BTC-USD",
            0.6 if 20 < offset < 30 else 0.2,
            offset,
            own=own,
            age_s=60 - offset,
            venue="simulator",
        )
    reliability = [ReliabilityBin(low=0, high=0.1, count=9, mean_score=0.05, truth_rate=0.06)]
    quality = ModelQuality(model=ref, role="champion", count=9, pr_auc=0.3, reliability=reliability)
    point = QualityPoint(target=SPIKE, kind="classification", ts_ns=2, from_ns=1, models=[quality])
    database.xadd(topics.quality_key(SPIKE), {"message": msgspec.json.encode(point)})
    with api(tmp_path, valkey.url, feed="simulate") as address:
        for width, theme in ((1280, "light"), (390, "dark")):
            page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=width < 600,
            )
            page.call(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": theme}],
            )
            page.open(address)
            until(lambda: "score 0.2" in page.text("#score-readout"), "the charts")
            until(lambda: "0.300" in page.text("#quality"), "live quality")
            until(lambda: page.text("#models tbody th"), "the models")
            page.evaluate(axe.read_text("utf-8") + "; null")
            page.evaluate("window.found = null; axe.run().then((each) => { found = each; })")
            until(lambda: page.evaluate("window.found !== null"), "axe", 60)
            told = page.evaluate(
                "JSON.stringify(found.violations.filter((each) => ['serious', 'critical']"
                ".includes(each.impact)).map((each) => [each.id, each.nodes.map((node) =>"
                " [node.html.slice(0, 200), node.failureSummary])]))"
            )
            assert json.loads(told) == [], (width, theme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_keeps_symbol_target_range_and_part(page, tmp_path, valkey, database):
    for symbol in ("BTC-USD", "ETH-USD"):
        for offset in range(60):
            scored(database, symbol, 0.1, offset, age_s=60 - offset)
    with api(tmp_path, valkey.url) as address:
        page.open(f"{address}/#symbol=ETH-USD&target=forward_return&range=900&style=candles")
        until(lambda: "ETH-USD" in page.text("#symbol"), "the symbol of the link")
        assert page.evaluate("target.value") == "forward_return"
        assert page.evaluate("candles.getAttribute('aria-pressed')") == "true"
        assert page.text("#ranges [aria-pressed=true]") == "15 min"
        page.evaluate("document.querySelector('#ranges button').click()")
        page.evaluate("document.querySelector('.symbol').click()")
        until(lambda: "symbol=BTC-USD" in page.evaluate("location.hash"), "the address")
        assert "range=300" in page.evaluate("location.hash")
        until(lambda: page.evaluate("!document.getElementById('market-charts').hidden"), "charts")
        page.evaluate("document.getElementById('zoom-in').click()")
        until(lambda: "from=" in page.evaluate("location.hash"), "the part in the address")
        page.evaluate("unzoom.click()")
        assert "from=" not in page.evaluate("location.hash")


def test_the_first_of_the_list_is_opened_whichever_was_scored_first(
    page, tmp_path, valkey, database
):
    scored(database, "ETH-USD", 0.1, 1)
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: "symbol=ETH-USD" in page.evaluate("location.hash"), "the only one")
        scored(database, "BTC-USD", 0.1, 1)
        until(lambda: "symbol=BTC-USD" in page.evaluate("location.hash"), "the first one")
        page.evaluate("document.querySelectorAll('.symbol')[1].click()")
        until(lambda: "symbol=ETH-USD" in page.evaluate("location.hash"), "the chosen one")
        scored(database, "AAVE-USD", 0.1, 1)
        until(lambda: page.text(".symbol .name") == "AAVE-USD", "the new first one")
        asked = (
            "performance.getEntriesByType('resource').filter((e) => /scores$/.test(e.name)).length"
        )
        before = page.evaluate(asked)
        until(lambda: page.evaluate(asked) > before + 1, "an answer that names it, taken in")
        assert "symbol=ETH-USD" in page.evaluate("location.hash")


def test_a_phone_reads_zooms_and_pauses_by_touch(page, tmp_path, valkey, database):
    for offset in range(60):
        scored(database, "BTC-USD", offset / 100, offset, age_s=60 - offset)
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2}
    page.call("Emulation.setDeviceMetricsOverride", mobile=True, **phone)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)

    def place(selector: str) -> dict[str, float]:
        page.evaluate(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        return {each: page.evaluate(f"{box}.{each}") for each in ("x", "y", "width", "height")}

    def touch(kind: str, y: float, *xs: float) -> None:
        points = [{"x": x, "y": y, "id": number} for number, x in enumerate(xs)]
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    with api(tmp_path, valkey.url) as address:
        page.open(f"{address}/#symbol=BTC-USD&range=300")
        until(lambda: "score 0.590" in page.text("#score-readout"), "the newest score")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = place("#score-chart .u-over")
        left, y = box["x"], box["y"] + box["height"] / 2
        touch("touchStart", y, left + box["width"] * 0.3)
        until(lambda: "score 0.590" not in page.text("#score-readout"), "what is under the finger")
        touch("touchEnd", y)
        touch("touchStart", y, left + box["width"] * 0.4, left + box["width"] * 0.6)
        touch("touchMove", y, left + box["width"] * 0.2, left + box["width"] * 0.8)
        until(lambda: "from=" in page.evaluate("location.hash"), "the part between two fingers")
        touch("touchEnd", y)
        button = place("#pause")
        y = button["y"] + button["height"] / 2
        touch("touchStart", y, button["x"] + button["width"] / 2)
        touch("touchEnd", y)
        until(lambda: page.text("#pause") == "Resume", "the pause")
        assert complaints(page) == []


def test_a_replay_is_called_one(page, tmp_path, valkey, database):
    scored(database, "BTC-USD", 0.1, 1)
    with api(tmp_path, valkey.url, feed="replay:day.ndjson") as address:
        page.open(address)
        until(lambda: page.evaluate("window.replayed?.hidden === false"), "the banner")
        assert page.evaluate("window.simulated.hidden")


def test_a_venues_bars_are_drawn_before_the_first_tick_and_marked(page, tmp_path, valkey, database):
    now_s = int(time.time())
    minutes = [now_s // 60 * 60 - 60 * number for number in range(30, 1, -1)]
    bars = [
        BackfillBar(ts_open_ns=at * NS_PER_S, open=100, high=101, low=99, close=100.5)
        for at in minutes
    ]
    put_backfill(database, Backfill(symbol="BTC-USD", venue="binance", interval_s=60, bars=bars))
    for offset in range(30):
        scored(database, "BTC-USD", 0.1, offset, age_s=30 - offset)
    with api(tmp_path, valkey.url) as address:
        page.open(f"{address}/#symbol=BTC-USD&range=3600&style=candles")
        begin = time.strftime("%H:%M:%S", time.gmtime(minutes[0]))
        label = "#price-chart"
        until(lambda: begin in page.attribute(label, "aria-label"), "the bars in the chart")
        assert complaints(page) == []


def test_five_hundred_symbols_make_a_dozen_rows_and_no_stall(page, tmp_path, valkey, database):
    def burst(offset: int) -> None:
        for number in range(500):
            scored(database, f"S{number:03d}-USD", 0.1, offset)

    burst(1)
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: page.text("#symbols-count") == "500", "all symbols")
        page.evaluate(
            "window.most = 0; new MutationObserver((changes) => { most = Math.max(most,"
            " changes.length); }).observe(document.getElementById('symbols'), {subtree: true,"
            " childList: true, characterData: true, attributes: true})"
        )
        for offset in range(2, 5):
            burst(offset)
        assert page.evaluate("document.querySelectorAll('.symbol').length") < 40
        page.evaluate("symbols.scrollTop = 1e6")
        until(lambda: "S499-USD" in page.text("#symbols"), "the end of the list")
        page.evaluate("filter.value = 's123'; filter.dispatchEvent(new Event('input'))")
        until(lambda: page.text("#symbols-count") == "1 of 500", "the filter")
        assert "S123-USD" in page.text("#symbols")
        # What is drawn at once does not grow with the symbols.
        assert 0 < page.evaluate("most") < 500
