"""Split the venue's symbols, which have no separator, into base and quote asset.

A live feed knows what it has asked for. For a recording there is only the text, and the rule is:

1. Candidates are the splits whose quote asset the venue uses.
2. If the base of exactly one candidate is an asset of the venue, that one is meant: ``BNBUSD`` is
   BNB in USD and not "BN" in BUSD, ``BTCFDUSD`` is BTC in FDUSD and not "BTCFD" in USD.
3. If the bases of several are, the text is ambiguous: ``ARBUSD`` was AR in BUSD on binance.com and
   is ARB in USD on Binance.US. It is refused.
4. If the base of none is (new assets are listed every week), the longest quote asset is meant. That
   is refused where it is USD, which is the end of many other names; where the base is itself a pair
   (``BTCUSDTUSD``); and where one letter decides: ``QQTUSD`` is QQ in TUSD or QQT in USD.

The base of ``1000SHIBUSDT``, ``1MBABYDOGEUSDT`` and ``BTCUPUSDT`` is known if the asset in it is.
"""

import re
from collections.abc import Mapping

_QUOTE_NAMES = """
ARS AUD BIDR BKRW BNB BRL BTC BUSD BVND COP CZK DAI DOGE DOT ETH EUR EURI FDUSD GBP IDR IDRT JPY
MXN NGN PAX PLN RLUSD RON RUB SOL TRX TRY TUSD UAH USD USD1 USDC USDP USDS USDT UST VAI XRP ZAR
"""

QUOTE_ASSETS = frozenset(_QUOTE_NAMES.split())
"""Assets that the venue quotes or has quoted others in."""

# AEUR would read every name in A as a pair of its own: ADAEUR is ADA in EUR.
_PAIRS: Mapping[str, str] = {
    "BTCAEUR": "BTC-AEUR",
    "ETHAEUR": "ETH-AEUR",
    "EURAEUR": "EUR-AEUR",
}

_BASE_NAMES = """
0G 1INCH 2Z 4 A AAVE AB ACA ACE ACH ACM ACT ACX ADA AERGO AEUR AEVO AGIX AGLD AI AI16Z AION AIXBT
AKRO ALCH ALCX ALGO ALICE ALLO ALPACA ALPHA ALPINE ALT AMB AMP ANC ANIME ANKR ANT ANY APE API3 APPC
APR APT AR ARB ARDR ARK ARKM ARN ARPA ASR AST ASTER ASTR AT ATA ATM ATOM AUCTION AUD AUDIO AUSD AUTO
AVA AVAX AVNT AXL AXS B3 BABY BABYDOGE BADGER BAKE BAL BANANA BANANAS31 BAND BANK BAR BARD BAT BB
BCC BCD BCH BCHA BCHABC BCHSV BCPT BDOT BEAM BEAMX BEAR BEL BERA BETA BETH BFUSD BICO BIFI BIGTIME
BIO BKRW BLUR BLZ BMT BNB BNSOL BNT BNX BOME BOND BONK BQX BRD BREV BROCCOLI714 BSV BSW BTC BTCST
BTG BTS BTT BTTC BULL BURGER BUSD BZRX C C98 CAKE CAN CAT CATI CC CDT CELO CELR CETUS CFX CGPT
CHEEMS CHESS CHR CHZ CITY CKB CLOUD CLV CMT CND COCOS COMBO COMP COOKIE COS COTI COVER COW CREAM CRV
CTK CTSI CTXC CVC CVP CVX CYBER D DAI DAR DASH DATA DBR DCR DEEP DEGO DENT DEXE DF DGB DGD DIA DLT
DNT DOCK DODO DOGE DOGS DOLO DOT DREP DUSK DYDX DYM EDEN EDO EDU EGLD EIGEN ELF ENA ENG ENJ ENS ENSO
EOS EPIC EPS EPX ERA ERD ERN ETC ETH ETHFI ETHW EUL EUR EURC EURI EURT EVX EZ F FARM FDUSD FET FF
FIDA FIL FIO FIRO FIS FLM FLOKI FLOW FLUX FOR FORM FORTH FRONT FTM FTT FUEL FUN FXS G GAL GALA GAS
GBP GFT GHST GIGGLE GLM GLMR GMT GMX GNO GNS GNT GO GPS GRS GRT GTC GTO GUN GVT GXS H HAEDAL HARD
HBAR HC HEGIC HEI HEMI HFT HIFI HIGH HIVE HMSTR HNT HOLO HOME HOOK HOT HSR HUMA HYPER ICN ICP ICX ID
IDEX ILV IMX INIT INJ INS IO IOST IOTA IOTX IQ IRIS JASMY JITOSOL JOE JST JTO JUP JUV KAIA KAITO
KAVA KDA KEEP KERNEL KEY KGST KITE KLAY KMD KMNO KNC KP3R KSM LA LADYS LAYER LAZIO LDO LEND LEVER
LINA LINEA LINK LISTA LIT LOKA LOOM LPT LQTY LRC LSK LTC LTO LUM LUMIA LUN LUNA LUNC MAGIC MANA
MANTA MASK MATIC MAV MBL MBOX MC MCO MDA MDT MDX ME MEME MET METIS MFT MINA MIR MIRA MITH MITO MKR
MLN MMT MOB MOD MOG MORPHO MOVE MOVR MSOL MTH MTL MUBARAK MULTI NANO NAS NAV NBS NCASH NEAR NEBL
NEIRO NEO NEWT NEXO NFP NIL NKN NMR NOM NOT NPXS NTRN NU NULS NXPC NXS OAX OCEAN OG OGN OM OMG OMNI
ONDO ONE ONG ONT OOKI OP OPEN ORCA ORDI ORN OSMO OST OXT PARTI PAX PAXG PDA PENDLE PENGU PEOPLE PEPE
PERL PERP PHA PHB PHX PIVX PIXEL PLA PLUME PNT PNUT POA POE POL POLS POLY POLYX POND PORTAL PORTO
POWR PPT PROM PROS PROVE PSG PUMP PUNDIX PYR PYTH PYUSD QI QKC QLC QNT QSP QTUM QUICK RAD RARE RATS
RAY RCN RDN RDNT RED REEF REI REN RENBTC RENDER REP REQ RESOLV REZ RGT RIF RLC RLUSD RNDR RON RONIN
ROSE RPL RPX RSR RUNE RVN S SAGA SAHARA SALT SAND SANTOS SAPIEN SATS SC SCR SCRT SEI SENT SFP SHELL
SHIB SIGN SKL SKY SLF SLP SNGLS SNM SNT SNX SOL SOLV SOMI SONIC SOPH SPARTA SPELL SPK SRM SSV STEEM
STETH STG STMX STO STORJ STORM STPT STRAT STRAX STRK STX SUB SUI SUN SUPER SUSD SUSHI SWAP SWRV SXP
SXT SYN SYRUP SYS T TAO TCT TFUEL THE THETA TIA TKO TLM TNB TNSR TNT TOMO TON TORN TOWNS TRB TREE
TRIBE TRIG TROY TRU TRUMP TRX TRYB TST TURBO TURTLE TUSD TUT TVK TWT U UFT UMA UNFI UNI UP USD1 USDC
USDD USDE USDP USDS USDSB USDT USELESS UST USTC USUAL UTK VAI VANA VANRY VELO VELODROME VEN VET VGX
VIA VIB VIBE VIC VIDT VIRTUAL VITE VOXEL VTHO VVV W WABI WAL WAN WAVES WAXP WBETH WBTC WCT WHY WIF
WIN WING WINGS WLD WLFI WNXM WOO WPR WRX WTC XAI XAUT XEC XEM XLM XMR XNO XPL XRP XTZ XUSD XVG XVS
XZC YB YFI YFII YGG YOYO ZAMA ZBT ZEC ZEN ZETA ZIL ZK ZKC ZKP ZRO ZRX
"""

BASE_ASSETS = frozenset(_BASE_NAMES.split())
"""Assets that the venue has listed; the rule needs those that end as a quote asset begins."""


_MANY_OF = re.compile(r"1(?:0{3,6}|M)(?=[A-Z])")
_LEVERAGED = re.compile(r"(?<=..)(?:UP|DOWN|BULL|BEAR)$")
_NAME = re.compile(r"[^\W_]+")
# "one letter decides": the base of the shorter quote asset ends in it.
_ONE_LETTER_APART = frozenset(("BUSD", "TUSD", "BIDR"))


def split_pair(symbol: str) -> str | None:
    """Return ``BTC-USDT`` for ``BTCUSDT``; None where the quote asset is unknown or ambiguous."""
    if symbol in _PAIRS:
        return _PAIRS[symbol]
    splits = _splits(symbol)
    known = [split for split in splits if _is_asset(split[0])]
    if len(known) > 1 or not splits:
        return None
    base, quote = known[0] if known else splits[0]
    if not known and (quote == "USD" or quote in _ONE_LETTER_APART or _is_pair(base)):
        return None
    return f"{base}-{quote}"


def known_pair(symbol: str) -> str | None:
    """Return ``BTC-USDT`` for ``BTCUSDT``; None unless both are known for assets of the venue."""
    pair = split_pair(symbol)
    return pair if pair is not None and _is_asset(pair.partition("-")[0]) else None


def _splits(symbol: str) -> list[tuple[str, str]]:
    """Return base and quote asset of each candidate, the longest quote asset first."""
    if _NAME.fullmatch(symbol) is None:
        return []
    return [
        (symbol[:at], symbol[at:]) for at in range(1, len(symbol)) if symbol[at:] in QUOTE_ASSETS
    ]


def _is_asset(name: str) -> bool:
    return name in BASE_ASSETS or _LEVERAGED.sub("", _MANY_OF.sub("", name)) in BASE_ASSETS


def _is_pair(text: str) -> bool:
    return any(_is_asset(base) for base, _quote in _splits(text))
