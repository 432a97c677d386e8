"""Pairs without a separator: what the venue really trades or traded, and what cannot be known."""

import pytest

from flows.feeds.binance.pairs import BASE_ASSETS, QUOTE_ASSETS, known_pair, split_pair

# base and quote asset of pairs that are or were listed
REAL = """
BTC USDT, ETH USDT, BNB USDT, XRP USDT, SOL USDT, DOGE USDT, ADA USDT, TRX USDT, DOT USDT
BTC FDUSD, ETH FDUSD, BNB FDUSD, SOL FDUSD, DOGE FDUSD, XRP FDUSD, FDUSD USDT, FDUSD TRY
BTC TUSD, ETH TUSD, BNB TUSD, TUSD USDT, TUSD BTC, TUSD ETH, TUSD BNB, TUSD TRY, TUSD BUSD
BTC BUSD, ETH BUSD, BNB BUSD, BUSD USDT, BUSD TRY, BUSD RUB, BUSD BRL, BUSD DAI, BUSD VAI
BUSD BIDR, BUSD BKRW, BUSD IDRT, BUSD NGN, BUSD ZAR, EUR BUSD, GBP BUSD, AUD BUSD, DOT BUSD
TRB BUSD, SHIB BUSD, ACH BUSD, BTT BUSD, APT BUSD, FET BUSD, GLM BUSD, WBTC BUSD, BULL BUSD
BTC USDC, ETH USDC, USDC USDT, USDC BUSD, USDC TUSD, USDC BNB, EUR USDC, AUD USDC, WBTC USDC
BTC USDP, USDP USDT, BTC PAX, PAX USDT, PAX TUSD, PAX BNB, BTC USDS, USDS USDT, USDS TUSD
USDSB USDT, USDSB USDS, SUSD USDT, SUSD BTC, SUSD ETH, UST USDT, UST BTC, LUNA UST, BTC UST
BTC DAI, USDT DAI, DAI USDT, BNB DAI, VAI USDT, BUSD VAI, USD1 USDT, BNB USD1, BTC USD1
ETH BTC, BNB BTC, LTC BTC, WBTC BTC, WBTC ETH, BETH ETH, BETH USDT, WBETH ETH, WBETH USDT
BNSOL SOL, BNSOL USDT, ADA BNB, MATIC BNB, XRP BNB, BTCST BTC, BTCST BUSD, BTCST USDT
BTC EUR, ETH EUR, BNB EUR, SOL EUR, EUR USDT, GALA EUR, LUNA EUR, ADA EUR, SHIB EUR, AEUR USDT
BTC AEUR, ETH AEUR, EUR AEUR, EURI USDT, BTC EURI, ETH EURI, BTC GBP, GBP USDT, BTC AUD
BTC TRY, ETH TRY, USDT TRY, SHIB TRY, PEPE TRY, BTC BRL, USDT BRL, BTC ARS, USDT ARS, USDT COP
BTC RUB, USDT RUB, USDT UAH, BTC UAH, USDT NGN, BTC NGN, BTC ZAR, USDT ZAR, BTC PLN, USDT PLN
BTC RON, USDT RON, BTC MXN, USDT MXN, BTC CZK, USDT CZK, BTC JPY, ETH JPY, BTC IDR, USDT IDR
BTC IDRT, USDT IDRT, BTC BIDR, ETH BIDR, BNB BIDR, USDT BIDR, BTC BKRW, USDT BKRW, USDT BVND
BTC BVND, XRP TRX, BTT TRX, WIN TRX, TRX XRP, XZC XRP, SHIB DOGE, TRX ETH, BLZ ETH, LINK ETH
1INCH USDT, 1000SATS USDT, 1000SATS FDUSD, 1000CAT USDT, 1MBABYDOGE USDT, C98 USDT, D USDT
S USDT, G USDT, T USDT, W USDT, ID USDT, ME USDT, OM USDT, QI BTC, T BUSD, BTCUP USDT, BTCDOWN USDT
ETHBULL USDT, ETHBULL BUSD, XRPBEAR BUSD, BNBUP USDT, PAXG USDT, PAXG BTC, NEIRO USDT
USDE USDT, RLUSD USDT, BFUSD USDT, XUSD USDT, XRP RLUSD
1000SHIB BUSD, 1000SHIB USDC, 1000PEPE USDT, 1000FLOKI TRY, 1000CHEEMS USDC, 10000LADYS USDT
1000000MOG USDT, 0G USDT, 2Z USDC, 4 USDT, 1INCH BUSD, 1INCH BTC, 1INCHUP USDT, TRUMP USDC, ZBT USD
USDC TRY, EUR TRY, DOGE TRY, TRX TRY, ETH FDUSD, EURI USDC, EUR GBP, JUP SOL, PYUSD USD, NEWT USD
BTC USD, ETH USD, BNB USD, USDT USD, USDC USD, BUSD USD, APT USD, FET USD, GRT USD, SHIB USD
BAT USD, VET USD, DOT USD, ONT USD, QNT USD, TRB USD, CKB USD, BNT USD
"""
PAIRS = [tuple(pair.split()) for line in REAL.split("\n") for pair in line.split(",") if pair]


def test_the_table_is_read_whole() -> None:
    assert len(PAIRS) > 200
    assert all(len(pair) == 2 for pair in PAIRS)


@pytest.mark.parametrize(("base", "quote"), PAIRS)
def test_listed_pairs_are_split_before_their_quote_asset(base: str, quote: str) -> None:
    assert split_pair(f"{base}{quote}") == f"{base}-{quote}"


@pytest.mark.parametrize(
    "symbol",
    [
        pytest.param("ARBUSD", id="AR in BUSD or ARB in USD"),
        pytest.param("SCRTUSD", id="SCR in TUSD or SCRT in USD"),
        pytest.param("BTCUSDTUSD", id="a pair and a quote asset"),
        pytest.param("BTCUSDTUSDT", id="a pair and a quote asset twice"),
        pytest.param("NEWNAMEUSD", id="USD after a name never heard of"),
        pytest.param("QQTUSD", id="a new asset in TUSD or one more letter of it in USD"),
        pytest.param("QQBUSD", id="a new asset in BUSD or one more letter of it in USD"),
        pytest.param("METUSD", id="ME in TUSD or MET in USD"),
        pytest.param("XBTUSD", id="another venue's name of bitcoin"),
        pytest.param("BTC-USDT", id="a dash"),
        pytest.param("BTC/USDT", id="a slash"),
        pytest.param("BTC_USDT", id="an underscore"),
        pytest.param("BINANCE:BTCUSDT", id="a venue before it"),
        pytest.param("BTCUSDT240927", id="a future without a sign"),
        pytest.param("FOOBAR", id="no quote asset"),
        pytest.param("BTCUSDT_240927", id="a future"),
        pytest.param("BTCUSD_PERP", id="a perpetual"),
        pytest.param("btcusdt", id="lower case"),
        pytest.param("USDT", id="a quote asset alone"),
        pytest.param("BTC", id="an asset alone"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_not_certain_is_refused(symbol: str) -> None:
    assert split_pair(symbol) is None


def test_a_new_asset_is_split_at_the_longest_quote_asset() -> None:
    for quote in sorted(QUOTE_ASSETS - {"USD", "BUSD", "TUSD", "BIDR"}):
        assert split_pair(f"QWXY{quote}") == f"QWXY-{quote}"


def test_no_asset_is_lost_to_another_in_the_usual_quote_assets() -> None:
    for base in sorted(BASE_ASSETS):
        for quote in ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "TRY", "EUR"):
            if base != quote:
                assert split_pair(f"{base}{quote}") in {f"{base}-{quote}", None}
                assert quote == "EUR" or split_pair(f"{base}{quote}") is not None


def test_a_known_pair_is_of_two_assets_that_the_venue_has_listed() -> None:
    assert known_pair("1000SHIBTRY") == "1000SHIB-TRY"
    assert known_pair("QWXYUSDT") is None
    assert known_pair("AUGUST") is None
