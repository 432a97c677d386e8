"""What happened after each row, looked up in plain lists; shares nothing with the product."""

import itertools
import math

from tests.oracle.time import NS_PER_S

NAN = math.nan
FORGET_NS = 86_400 * NS_PER_S


def log_return(a, b):
    x = (b - a) / a
    return math.log1p(x) if abs(x) < 0.5 else math.log(b / a)


def effective_times(symbols, times, mids, restarts, max_symbols=10_000):
    """Return (effective time, index of the first row of its memory) of each row, None without mid.

    A symbol silent for a day is forgotten when the partition's time enters another minute. Time
    passes by the steps between rows, but for those back and those over an hour; a day by the new
    row's own time counts, too, if more than an hour has passed. Of all symbols, the ``max_symbols``
    with the newest rows are remembered.
    """
    newest, first, seen, last, passed, out, order = {}, {}, {}, None, 0, [], []
    for i, (s, ts, mid, restart) in enumerate(zip(symbols, times, mids, restarts, strict=True)):
        if math.isnan(mid):
            out.append(None)
            continue
        if last is not None:
            passed += ts - last if 0 < ts - last <= 3600 * NS_PER_S else 0
            if ts // (60 * NS_PER_S) != last // (60 * NS_PER_S):
                for k in [
                    k
                    for k in newest
                    if passed - seen[k][1] > FORGET_NS
                    or (passed - seen[k][1] > 3600 * NS_PER_S and ts - seen[k][0] > FORGET_NS)
                ]:
                    del newest[k]
        last, seen[s] = ts, (ts, passed)
        order = [*(k for k in order if k != s), s]
        for k in order[:-max_symbols]:
            newest.pop(k, None)
        order = order[-max_symbols:]
        if s not in newest or restart:
            newest[s], first[s] = ts, i
        newest[s] = max(newest[s], ts)
        out.append((newest[s], first[s]))
    return out


def usual(rows, horizon_s, lookback_s):
    """Volatility of the lookback at the newest of (time, mid) rows, scaled to the horizon."""
    now = rows[-1][0]
    closes = {}
    for t, mid in rows:
        closes[t // NS_PER_S] = mid
    squares = [
        log_return(closes[a], closes[b]) ** 2
        for a, b in itertools.pairwise(closes)
        if b > now // NS_PER_S - lookback_s
    ]
    history = max(1.0, min(lookback_s, (now - rows[0][0]) / NS_PER_S))
    return math.sqrt(math.fsum(squares) * horizon_s / history) if squares else NAN


def label(symbols, times, mids, gaps, restarts, horizon_s=60, lookback_s=3600, max_symbols=10_000):
    """Return per row (ratio, volatility, return, index that made it known or -1)."""
    memory = effective_times(symbols, times, mids, restarts, max_symbols)
    out = []
    for i, at in enumerate(memory):
        out.append((NAN, NAN, NAN, -1))
        if at is None:
            continue
        t, first = at
        later = []
        for j in range(i + 1, len(memory)):
            if memory[j] is None or symbols[j] != symbols[i]:
                continue
            if memory[j][1] != first or gaps[j]:
                out[-1] = (NAN, NAN, NAN, j)
                break
            if memory[j][0] > t + horizon_s * NS_PER_S:
                out[-1] = (
                    *judge(i, t, first, later, memory, symbols, mids, horizon_s, lookback_s),
                    j,
                )
                break
            later.append((memory[j][0], mids[j]))
    return out


def judge(i, t, first, later, memory, symbols, mids, horizon_s, lookback_s):
    if not any(time > t for time, _ in later):
        return NAN, NAN, NAN
    path = [(t, mids[i]), *later]
    points = range(t // NS_PER_S + 1, t // NS_PER_S + horizon_s + 1)
    grid = [mids[i]] + [[mid for time, mid in path if time <= p * NS_PER_S][-1] for p in points]
    volatility = math.sqrt(math.fsum(log_return(a, b) ** 2 for a, b in itertools.pairwise(grid)))
    past = [
        (memory[k][0], mids[k])
        for k in range(first, i + 1)
        if memory[k] is not None and symbols[k] == symbols[i]
    ]
    scale = usual(past, horizon_s, lookback_s)
    ratio = volatility / scale if scale > 0 else NAN
    return ratio, volatility, log_return(mids[i], path[-1][1])
