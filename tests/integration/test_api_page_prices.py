"""Prices of any size, and symbols of any length, on the live page in a real browser."""

import json

import pytest

from serving.http.score_reads import MAX_SYMBOL
from tests.support.api import api
from tests.support.pages import scored
from tests.support.polling import until

PRICES = {
    "AAA-TINY": (1.0345e-9, "1.0345e-9"),
    "SHIB-USD": (1.234e-5, "0.00001234"),
    "DOGE-USD": (0.123456, "0.123456"),
    "BTC-USD": (64_822.23, "64,822.23"),
    "BTC-IDR": (1_602_470_017.0, "1,602,470,017"),
    "ZZZ-HUGE": (1.5e13, "1.5000e13"),
}


def test_a_price_of_any_size_and_a_symbol_of_any_length_can_be_read(
    page, tmp_path, valkey, database
):
    longest = "L" * MAX_SYMBOL
    for symbol, (price, _shown) in {**PRICES, longest: (1.5, "")}.items():
        scored(database, symbol, 0.1, 1, price=price, mid=price)
    with api(tmp_path, valkey.url) as address:
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=360,
            height=900,
            deviceScaleFactor=1,
            mobile=True,
        )
        for symbol, (_price, shown) in PRICES.items():
            page.open(f"{address}/#symbol={symbol}")
            until(lambda name=symbol: page.text("#symbol") == name, f"{symbol} to be shown")
            assert page.text("#price") == shown
            until(lambda text=shown: text in page.text("#price-readout"), "the chart's readout")
            assert page.evaluate("price.offsetHeight") < 40, "on one line"
        page.open(f"{address}/#symbol={longest}")
        until(lambda: page.text("#symbol") == longest, "the longest name")
        assert page.evaluate("symbol.getBoundingClientRect().right") <= page.evaluate(
            "symbol.closest('.now').getBoundingClientRect().right"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert [text for text in page.complaints if "503" not in text] == []


@pytest.mark.parametrize(
    ("values", "step", "labels"),
    [
        ((1.03e-9, 1.032e-9), 2e-12, ["1.030e-9", "1.032e-9"]),
        ((1.222e-5, 1.2225e-5), 5e-9, ["1.2220e-5", "1.2225e-5"]),
        ((0.015, 0.02, 0), 0.005, ["0.015", "0.020", "0"]),
        ((0, 2.5, 5), 2.5, ["0", "2.5", "5.0"]),
        ((64_750, 64_800), 50, ["64,750", "64,800"]),
        ((1.600e9, 1.605e9), 5e6, ["1.600e9", "1.605e9"]),
    ],
    ids=["tiny", "small", "scores", "halves", "usual", "large"],
)
def test_an_axis_tells_its_lines_apart(page, tmp_path, valkey, values, step, labels):
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: page.evaluate("document.readyState === 'complete'"), "the page")
        page.evaluate(
            "import(document.querySelector('script[type=module]').src.replace('app.js',"
            "'format.js')).then((format) => { window.format_ = format; })"
        )
        until(lambda: page.evaluate("Boolean(window.format_)"), "the module")
        told = f"{list(values)}.map((value) => format_.axisValue(value, {step}))"
        assert json.loads(page.evaluate(f"JSON.stringify({told})")) == labels
