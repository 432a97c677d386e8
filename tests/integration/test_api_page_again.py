"""The live page after it was away: hidden, asleep, or without its server."""

import time

import httpx

from tests.support.api import api
from tests.support.browser import Page
from tests.support.pages import scored
from tests.support.polling import until


def test_a_server_that_restarts_is_joined_again(page, tmp_path, valkey, database):
    scored(database, "BTC-USD", 0.111, 1)
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: "0.111" in page.text("#score"), "the first score")
        port = int(address.rpartition(":")[2])
    until(lambda: "does not answer" in page.text("#trouble"), "the page to notice", 40)
    scored(database, "BTC-USD", 0.222, 2)
    with api(tmp_path, valkey.url, port=port):
        until(lambda: "0.222" in page.text("#score"), "the score of meanwhile", 40)
        scored(database, "BTC-USD", 0.333, 3)
        until(lambda: "0.333" in page.text("#score"), "the stream", 40)
        until(lambda: "does not answer" not in page.text("#trouble"), "the trouble to be over", 40)


def hide(page: Page) -> None:
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.asleep === true,"
        " configurable: true}); window.asleep = true;"
        " document.dispatchEvent(new Event('visibilitychange'))"
    )


def show(page: Page) -> None:
    page.evaluate("window.asleep = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_before_the_first_score_the_page_says_what_comes(page, tmp_path, valkey, database):
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: "No score yet" in page.text("#symbols-empty"), "that there is none")
        scored(database, "BTC-USD", 0.1, 1)
        until(lambda: "BTC-USD" in page.text("#symbols"), "the first symbol")
        assert page.evaluate("document.getElementById('symbols-empty').hidden")
        page.evaluate("filter.value = 'x'; filter.dispatchEvent(new Event('input'))")
        until(lambda: page.text("#symbols-empty") == "No symbol fits.", "that none fits")


def test_a_hidden_tab_leaves_the_browsers_connections_to_others(page, tmp_path, valkey, database):
    scored(database, "BTC-USD", 0.111, 1)
    with api(tmp_path, valkey.url) as address:

        def clients() -> str:
            told = httpx.get(f"{address}/metrics").text.splitlines()
            [line] = [each for each in told if each.startswith("voltick_stream_clients ")]
            return line.split()[1]

        page.open(address)
        until(lambda: clients() == "1.0", "the stream")
        hide(page)
        until(lambda: clients() == "0.0", "the stream to end", 40)
        show(page)
        until(lambda: clients() == "1.0", "the stream again", 40)
        scored(database, "BTC-USD", 0.222, 2)
        until(lambda: "0.222" in page.text("#score"), "the score of meanwhile")


def test_a_tab_that_slept_catches_up(page, tmp_path, valkey, database):
    for offset in range(30):
        scored(database, "BTC-USD", 0.1, offset, age_s=60 - offset)
    with api(tmp_path, valkey.url) as address:
        page.open(address)
        until(lambda: "score 0.100" in page.text("#score-readout"), "the chart")
        # As a browser does to a tab behind others: no timers, and an event when it is seen again.
        hide(page)
        page.call(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )
        for offset in range(30, 50):
            scored(database, "BTC-USD", 0.4, offset, age_s=60 - offset)
        time.sleep(1)
        page.call(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )
        show(page)
        until(lambda: "score 0.400" in page.text("#score-readout"), "what was missed", 40)
        assert page.text("#score") == "0.400"
