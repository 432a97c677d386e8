"""Hold what a client made of a venue's messages against the oracle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick
from tests.proof.feeds.oracle import Wanted, Wants

KINDS = (
    "missing",
    "twice",
    "unexpected",
    "different",
    "gap not marked",
    "gap marked falsely",
    "out of order",
    "dead letters",
    "counts",
    "exit code",
)
"""How a result can be wrong."""


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong; ``kind`` is one of :data:`KINDS`."""

    kind: str
    detail: str


def check(ticks: Sequence[Tick], dead: Sequence[DeadLetter], wants: Wants) -> list[Defect]:
    """Return what is wrong with ticks and dead letters."""
    defects = []
    for symbol in sorted({tick.symbol for tick in ticks} | set(wants.ticks)):
        mine = [tick for tick in ticks if tick.symbol == symbol]
        defects += _check_symbol(mine, wants.ticks.get(symbol, []))
    reasons = Counter(str(each.reason.value) for each in dead)
    if reasons != wants.dead:
        defects.append(Defect("dead letters", f"{dict(reasons)}, not {dict(wants.dead)}"))
    return defects


def _check_symbol(ticks: Sequence[Tick], wanted: Sequence[Wanted]) -> list[Defect]:
    defects = []
    expected = {each.key: each for each in wanted}
    times = Counter(each.key for each in wanted)  # trades without an id can be alike
    seen: Counter[tuple[object, ...]] = Counter()
    for tick in ticks:
        key = _key(tick)
        seen[key] += 1
        want = expected.get(key)
        if want is None:
            defects.append(Defect("unexpected", str(key)))
            continue
        if seen[key] > times[key]:
            defects.append(Defect("twice", str(key)))
        defects += _compare(tick, want)
    defects += [Defect("missing", str(key)) for key in expected if not seen[key]]
    late = {each.trade.trade_id for each in wanted if each.late}
    ids = [tick.trade_id for tick in ticks if tick.trade_id not in late and tick.trade_id]
    if ids != sorted(ids):
        at = next(i for i in range(1, len(ids)) if ids[i] < ids[i - 1])
        defects.append(Defect("out of order", f"{ticks[0].symbol}: {ids[at]} after {ids[at - 1]}"))
    return defects


def _compare(tick: Tick, want: Wanted) -> list[Defect]:
    trade = want.trade
    size = None if trade.size is None else float(trade.size)
    has = (tick.ts_event_ns, tick.price, tick.size, tick.side)
    defects = []
    if has != (trade.time_ns, float(trade.price), size, trade.taker):
        defects.append(Defect("different", f"{want.key}: {has}, not {trade}"))
    quote = (tick.bid, tick.ask, tick.bid_size, tick.ask_size)
    if quote != want.quote:
        defects.append(Defect("different", f"{want.key}: quote {quote}, not {want.quote}"))
    if tick.gap and not want.gap:
        defects.append(Defect("gap marked falsely", str(want.key)))
    if want.gap and not tick.gap:
        defects.append(Defect("gap not marked", str(want.key)))
    return defects


def _key(tick: Tick) -> tuple[object, ...]:
    if tick.trade_id is not None:
        return (tick.symbol, tick.trade_id)
    return (tick.symbol, None, tick.ts_event_ns, tick.price, tick.size)
