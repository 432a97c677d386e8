"""The features, recomputed for every tick from all ticks of its symbol's memory.

Slow, plain and on purpose unlike the kernel: lists and numpy, no running sums, no rings, no
compilation. Shares nothing with it but the contract.
"""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.features import FEATURES, INDEX, MAX_SYMBOLS, MEMORY_S, WARM_AFTER_S
from tests.oracle.order import Decision, PartitionOrder
from tests.oracle.time import NS_PER_S

if TYPE_CHECKING:
    from flows.codec.batch import TickBatch

MEMORY_NS = MEMORY_S * NS_PER_S
NAN = math.nan
DUPLICATE, LATE, RESTART, GAP, WARM = 1, 2, 4, 8, 16
FLAGS = {
    Decision.FIRST: RESTART,
    Decision.ON_TIME: 0,
    Decision.LATE: LATE,
    Decision.RESTART: RESTART,
    Decision.DUPLICATE: DUPLICATE,
}
COUNTED = {
    Decision.LATE: "late",
    Decision.RESTART: "restarts",
    Decision.DUPLICATE: "duplicates",
}


def log_return(a, b):
    """log(b / a), without losing the digits of a tiny move."""
    x = (b - a) / a
    return math.log1p(x) if abs(x) < 0.5 else math.log(b / a)


@dataclass
class Seen:
    """One accepted tick."""

    t: int
    mid: float
    price: float
    size: float
    side: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    gap: bool

    @property
    def whole_book(self):
        return not any(map(math.isnan, (self.bid, self.ask, self.bid_size, self.ask_size)))

    @property
    def spread_bps(self):
        return 1e4 * (self.ask - self.bid) / self.mid

    @property
    def imbalance(self):
        if not self.whole_book or self.bid_size + self.ask_size == 0:
            return NAN
        return (self.bid_size - self.ask_size) / (self.bid_size + self.ask_size)


def order_flow(before, now):
    if not (before.whole_book and now.whole_book):
        return NAN
    return (
        now.bid_size * (now.bid >= before.bid)
        - before.bid_size * (now.bid <= before.bid)
        - now.ask_size * (now.ask <= before.ask)
        + before.ask_size * (now.ask >= before.ask)
    )


class Fine:
    """The ticks of (t - W, t] and what the contract derives from one tick and the one before."""

    def __init__(self, memory, window_s):
        t = memory[-1].t
        first = next(k for k, tick in enumerate(memory) if tick.t > t - window_s * NS_PER_S)
        self.ticks = memory[first:]
        pairs = [(memory[k - 1], memory[k]) for k in range(max(first, 1), len(memory))]
        self.r = np.array([log_return(a.mid, b.mid) for a, b in pairs])
        self.d = np.array([log_return(a.price, b.price) for a, b in pairs])
        self.dd = np.array(
            [
                log_return(memory[k - 1].price, memory[k].price)
                * log_return(memory[k - 2].price, memory[k - 1].price)
                for k in range(max(first, 2), len(memory))
            ]
        )
        flow = np.array([order_flow(a, b) for a, b in pairs])
        self.flow = flow[~np.isnan(flow)]
        self.sized = [x for x in self.ticks if not math.isnan(x.size)]
        self.notional = [x.price * x.size for x in self.sized]
        self.sided = [x for x in self.sized if x.side != 0]
        self.quoted = [x for x in self.ticks if not math.isnan(x.bid) and not math.isnan(x.ask)]
        self.imbalances = [x.imbalance for x in self.ticks if not math.isnan(x.imbalance)]


class Coarse:
    """The one-second bars of (sec - W, sec]."""

    def __init__(self, memory, window_s):
        sec = memory[-1].t // NS_PER_S
        bars = {}
        for tick in memory:
            bars.setdefault(tick.t // NS_PER_S, []).append(tick)
        seconds = list(bars)
        self.g = np.array(
            [
                log_return(bars[before][-1].mid, bars[now][-1].mid)
                for before, now in itertools.pairwise(seconds)
                if now > sec - window_s
            ]
        )
        self.ticks = [x for s in seconds if s > sec - window_s for x in bars[s]]
        self.notional = [x.price * x.size for x in self.ticks if not math.isnan(x.size)]
        self.spreads = [
            x.spread_bps for x in self.ticks if not math.isnan(x.bid) and not math.isnan(x.ask)
        ]
        # Pairs of successive grid returns, both in the window.
        self.bipower = math.pi / 2 * float(np.sum(np.abs(self.g[1:]) * np.abs(self.g[:-1])))


def ratio(a, b):
    return a / b if b > 0 else NAN


def vol(values):
    return math.sqrt(float(np.sum(values**2))) if len(values) else NAN


def row_of(memory):
    """Return name -> value for the newest tick of a memory."""
    now = memory[-1]
    start = memory[0].t
    h = min(now.t - start, MEMORY_NS) / NS_PER_S
    fine = {w: Fine(memory, w) for w in (1, 5, 30, 60, 300)}
    coarse = {w: Coarse(memory, w) for w in (60, 300, 900, 3600)}

    def scale(w):
        return max(1.0, min(w, h))

    out = {}
    for w in (1, 5, 30, 60, 300):
        out[f"log_return_{w}"] = float(np.sum(fine[w].r)) if len(fine[w].r) else NAN
    for w in (5, 30, 60, 300):
        out[f"realized_vol_{w}"] = vol(fine[w].r)
    for w in (60, 300, 900, 3600):
        out[f"grid_vol_{w}"] = vol(coarse[w].g)
    f5, f60, f300 = fine[5], fine[60], fine[300]
    c60, c300, c3600 = coarse[60], coarse[300], coarse[3600]
    out["downside_vol_300"] = (
        math.sqrt(float(np.sum(f300.r[f300.r < 0] ** 2))) if len(f300.r) else NAN
    )
    out["bipower_vol_300"] = math.sqrt(c300.bipower) if len(c300.g) >= 2 else NAN
    total = float(np.sum(c300.g**2))
    out["jump_share_300"] = (
        max(0.0, 1 - c300.bipower / total) if len(c300.g) >= 2 and total > 0 else NAN
    )
    out["tick_return_mean_60"] = float(np.mean(f60.r)) if len(f60.r) else NAN
    out["tick_return_std_60"] = float(np.std(f60.r, ddof=1)) if len(f60.r) >= 2 else NAN
    out["tick_count_1"] = len(fine[1].ticks)
    out["tick_count_60"] = len(f60.ticks)
    out["trade_intensity_5"] = len(f5.ticks) / scale(5)
    out["trade_intensity_300"] = len(f300.ticks) / scale(300)
    out["intensity_ratio_5_300"] = out["trade_intensity_5"] / out["trade_intensity_300"]
    out["notional_60"] = math.fsum(f60.notional) if f60.sized else NAN
    out["signed_notional_60"] = (
        math.fsum(x.side * x.price * x.size for x in f60.sided) if f60.sided else NAN
    )
    for w, f in ((60, f60), (300, f300)):
        out[f"volume_imbalance_{w}"] = ratio(
            math.fsum(x.side * x.price * x.size for x in f.sided),
            math.fsum(x.price * x.size for x in f.sided),
        )
    size = math.fsum(x.size for x in f60.sized)
    out["vwap_dev_bps_60"] = (
        1e4 * (now.mid / (math.fsum(f60.notional) / size) - 1) if size > 0 else NAN
    )
    for w, c in ((60, c60), (300, c300)):
        mids = [x.mid for x in c.ticks]
        out[f"range_bps_{w}"] = 1e4 * log_return(min(mids), max(mids))
    quoted = not math.isnan(now.bid) and not math.isnan(now.ask)
    out["spread"] = now.ask - now.bid
    out["spread_bps"] = now.spread_bps if quoted else NAN
    out["spread_bps_mean_60"] = (
        math.fsum(x.spread_bps for x in f60.quoted) / len(f60.quoted) if f60.quoted else NAN
    )
    out["imbalance"] = now.imbalance
    for w, f in ((5, f5), (60, f60)):
        out[f"imbalance_mean_{w}"] = (
            math.fsum(f.imbalances) / len(f.imbalances) if f.imbalances else NAN
        )
    out["microprice_dev_bps"] = NAN
    if not math.isnan(now.imbalance):
        depth = now.bid_size + now.ask_size
        microprice = (now.bid * now.ask_size + now.ask * now.bid_size) / depth
        out["microprice_dev_bps"] = 1e4 * (microprice / now.mid - 1)
    out["ofi_60"] = math.fsum(f60.flow) if len(f60.flow) else NAN
    for w, f in ((5, f5), (60, f60)):
        out[f"ofi_share_{w}"] = ratio(math.fsum(f.flow), math.fsum(np.abs(f.flow)))
    out["amihud_300"] = (
        1e6 * float(np.sum(np.abs(f300.r))) / math.fsum(f300.notional)
        if len(f300.r) and math.fsum(f300.notional) > 0
        else NAN
    )
    out["roll_spread_bps_300"] = NAN
    if len(f300.dd) >= 2:
        c = float(np.mean(f300.dd)) - float(np.mean(f300.d)) ** 2
        if c <= 0:
            out["roll_spread_bps_300"] = 1e4 * 2 * math.sqrt(-c)
    hour = vol(c3600.g) / math.sqrt(scale(3600))
    short = {
        5: vol(f5.r) / math.sqrt(scale(5)),
        **{w: vol(coarse[w].g) / math.sqrt(scale(w)) for w in (60, 300, 900)},
    }
    for w, value in short.items():
        out[f"vol_ratio_{w}_3600"] = value / hour if hour > 0 else NAN
    out["activity_ratio_60_3600"] = (len(c60.ticks) / scale(60)) / (len(c3600.ticks) / scale(3600))
    out["notional_ratio_60_3600"] = (
        ratio(math.fsum(c60.notional) / scale(60), math.fsum(c3600.notional) / scale(3600))
        if c60.notional
        else NAN
    )
    out["spread_ratio_3600"] = NAN
    if quoted and sum(c3600.spreads) > 0:
        out["spread_ratio_3600"] = now.spread_bps / (math.fsum(c3600.spreads) / len(c3600.spreads))
    seconds = now.t % (86_400 * NS_PER_S) / NS_PER_S
    out["time_of_day_sin"] = math.sin(2 * math.pi * seconds / 86_400)
    out["time_of_day_cos"] = math.cos(2 * math.pi * seconds / 86_400)
    out["minute_position"] = now.t % (60 * NS_PER_S) / (60 * NS_PER_S)
    out["quarter_hour_position"] = now.t % (900 * NS_PER_S) / (900 * NS_PER_S)
    out["hour_position"] = now.t % (3600 * NS_PER_S) / (3600 * NS_PER_S)
    gaps = [x.t for x in memory if x.gap]
    out["gap_age_s"] = min(now.t - gaps[-1], MEMORY_NS) / NS_PER_S if gaps else float(MEMORY_S)
    out["history_s"] = h
    return out


class Oracle:
    """Places every tick in its symbol's order and recomputes every row."""

    def __init__(self, max_symbols=MAX_SYMBOLS):
        self.order = PartitionOrder(max_symbols)
        self.memories: dict[int, list[Seen]] = {}
        self.counters = {"late": 0, "duplicates": 0, "gaps": 0, "restarts": 0}

    def _place(self, symbol, ts, trade_id):
        """Return the tick's flag, effective time and whether its id follows the newest."""
        placed = self.order.decide(symbol, ts, None if trade_id < 0 else trade_id)
        if placed.decision in {Decision.FIRST, Decision.RESTART}:
            self.memories[symbol] = []
        if placed.decision in COUNTED:
            self.counters[COUNTED[placed.decision]] += 1
        return FLAGS[placed.decision], placed.effective_ns, placed.follows

    def update(self, batch: "TickBatch", only_last: bool = False):
        """Return values (n, F), flags (n,), mid (n,), effective time (n,).

        ``only_last`` makes the last tick's row only, and leaves out the flag WARM.
        """
        n = len(batch)
        values = np.full((n, len(FEATURES)), NAN)
        flags = np.zeros(n, np.uint8)
        mids = np.full(n, NAN)
        times = np.zeros(n, np.int64)
        for i in range(n):
            symbol, ts = int(batch.symbol_id[i]), int(batch.ts_event_ns[i])
            flags[i], times[i], follows = self._place(symbol, ts, int(batch.trade_id[i]))
            if flags[i] == DUPLICATE:
                continue
            gap = bool(batch.gap[i]) and not follows
            memory = self.memories[symbol]
            bid, ask, price = float(batch.bid[i]), float(batch.ask[i]), float(batch.price[i])
            mid = price if math.isnan(bid) or math.isnan(ask) else (bid + ask) / 2
            memory.append(
                Seen(
                    int(times[i]),
                    mid,
                    price,
                    float(batch.size[i]),
                    int(batch.side[i]),
                    bid,
                    ask,
                    float(batch.bid_size[i]),
                    float(batch.ask_size[i]),
                    gap,
                )
            )
            if gap:
                flags[i] |= GAP
                self.counters["gaps"] += 1
            mids[i] = mid
            if only_last and i < n - 1:
                continue
            row = row_of(memory)
            if row["history_s"] >= WARM_AFTER_S:
                flags[i] |= WARM
            for name, value in row.items():
                values[i, INDEX[name]] = value
        return values, flags, mids, times
