"""A run as Markdown: rates and costs, latency, what kills did, and the goals beside it."""

import statistics
from collections.abc import Iterable

from tests.bench.peers.catalogue import LIMIT, OURS, PEERS, Peer
from tests.bench.peers.environments import REQUIREMENTS
from tests.bench.peers.ledger import Ledger

NONE = "-"
FASTER: dict[str, float] = {
    "pathway": 4,
    "quix": 6,
    "spark": 10,
    "bytewax": 10,
    "flink": 20,
    "faust": 50,
}
"""How many times their rate ours is to be."""


def version_of(peer: Peer) -> str:
    """Return the pinned version of a peer's package; empty for our own."""
    if not peer.package:
        return ""
    for line in (REQUIREMENTS / f"{peer.requirements}.txt").read_text("utf-8").splitlines():
        name, _, version = line.partition("==")
        if name == peer.package:
            return version
    message = f"{peer.requirements}.txt does not pin {peer.package}"
    raise ValueError(message)


def report(ledger: Ledger) -> str:
    """Return everything as Markdown."""
    ranked = _ranked(ledger)
    parts = [_rates(ledger, ranked), _latencies(ledger, ranked), _recoveries(ledger, ranked)]
    failures = _failures(ledger)
    return "\n\n".join([_conditions(ledger), *parts, *failures, goals(ledger)])


def goals(ledger: Ledger) -> str:
    """Return what was aimed at beside what was measured, as a Markdown table."""
    lines = ["| Goal | Measured | |", "|---|---|---|"]
    ours = ledger.median(OURS, "throughput", "ticks_per_s", 4)
    for name, wanted in FASTER.items():
        what = f"{PEERS[name].title}: at least {wanted:g} times its ticks/s"
        theirs = ledger.median(name, "throughput", "ticks_per_s", 4)
        if ours and theirs:
            found = ours / theirs
            lines.append(f"| {what} | {found:.1f} | {_met(found >= wanted)} |")
        else:
            lines.append(f"| {what} | {NONE} | unknown |")
    others = [name for name in PEERS if name not in {OURS, LIMIT}]
    for figure, unit, what in (
        ("cpu_us_per_tick", "µs", "Less processor time a tick than each"),
        ("peak_rss_mb", "MB", "Less memory than each"),
    ):
        lines.append(_least(ledger, others, figure, unit, what))
    lines += [_lowest_p99(ledger), _only_one(ledger, others)]
    return "\n".join(lines)


def _ranked(ledger: Ledger) -> list[Peer]:
    """Return who was measured, the fastest first."""
    taken = {done.peer for done in ledger if done.figures}

    def rate(peer: Peer) -> float:
        return ledger.median(peer.name, "throughput", "ticks_per_s", 4) or 0.0

    return sorted((peer for name, peer in PEERS.items() if name in taken), key=rate, reverse=True)


def _conditions(ledger: Ledger) -> str:
    loads = sorted(done.load for done in ledger) or [0.0]
    rounds = max((done.round for done in ledger), default=0) + 1
    return (
        f"Medians of {rounds} round{'s' if rounds > 1 else ''}; the machine's load when a turn"
        f" began was {loads[0]:.0f} to {loads[-1]:.0f}, {statistics.median(loads):.0f} in the"
        " middle."
    )


def _rates(ledger: Ledger, peers: Iterable[Peer]) -> str:
    lines = [
        "| | Promises | ticks/s, 4 symbols | 500 symbols | Voltick / it | CPU µs a tick"
        " | Peak MB | First output s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours = ledger.median(OURS, "throughput", "ticks_per_s", 4)
    for peer in peers:
        few, many = (
            ledger.median(peer.name, "throughput", "ticks_per_s", symbols) for symbols in (4, 500)
        )
        cells = (
            _round(few),
            _round(many),
            f"{ours / few:.2f}" if ours and few else NONE,
            _plain(ledger.median(peer.name, "throughput", "cpu_us_per_tick", 4), 1),
            _round(ledger.median(peer.name, "throughput", "peak_rss_mb", 4)),
            _plain(ledger.median(peer.name, "throughput", "first_output_s", 4), 1),
        )
        lines.append(f"| {_named(peer)} | {peer.delivery} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _latencies(ledger: Ledger, peers: Iterable[Peer]) -> str:
    rates = _latency_rates(ledger)
    head = "".join(f" {rate:,.0f} ticks/s |" for rate in rates)
    lines = [f"| p50 / p95 / p99 / p99.9, ms |{head}", "|---|" + "---|" * len(rates)]
    for peer in peers:
        cells = [_latency(ledger, peer.name, rate) for rate in rates]
        lines.append(f"| {peer.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _latency_rates(ledger: Ledger) -> list[float]:
    return sorted({float(r) for d in ledger if d.measure == "latency" for r in d.figures})


def _latency(ledger: Ledger, name: str, rate: float) -> str:
    found = [done.figures.get(f"{rate:g}", "") for done in ledger.of(name, "latency")]
    told = [each for each in found if each]
    if told:
        medians = (statistics.median(each[q] for each in told) for q in told[0])
        return " / ".join(f"{ms:,.0f}" if ms >= 10 else f"{ms:.1f}" for ms in medians)
    return "falls behind" if None in found else NONE


def _recoveries(ledger: Ledger, peers: Iterable[Peer]) -> str:
    lines = [
        "| After SIGKILL | Next output s | Ticks | Lost | Twice | Other score |",
        "|---|---|---|---|---|---|",
    ]
    for peer in peers:
        for done in ledger.of(peer.name, "recovery"):
            if done.figures:
                told = done.figures
                after = ", ".join(f"{each:.1f}" for each in told["recovered_s"])
                counts = (told[name] for name in ("ticks", "lost", "twice", "different"))
                lines.append(f"| {peer.title} | {after} | {' | '.join(f'{n:,}' for n in counts)} |")
            elif done.error:
                lines.append(f"| {peer.title} | {_short(done.error)} | | | | |")
    return "\n".join(lines)


def _failures(ledger: Ledger) -> list[str]:
    errors = {peer.title: ledger.error(name) for name, peer in PEERS.items()}
    return [
        f"{title} did not run here: {_short(error)}" for title, error in errors.items() if error
    ]


def _least(ledger: Ledger, others: Iterable[str], figure: str, unit: str, what: str) -> str:
    ours = ledger.median(OURS, "throughput", figure, 4)
    found = {name: ledger.median(name, "throughput", figure, 4) for name in others}
    known = {name: value for name, value in found.items() if value is not None}
    if ours is None or not known:
        return f"| {what} | {NONE} | unknown |"
    least = min(known, key=lambda name: known[name])
    told = f"{ours:,.1f} {unit}; {PEERS[least].title}: {known[least]:,.1f} {unit}"
    return f"| {what} | {told} | {_met(ours < known[least])} |"


def _lowest_p99(ledger: Ledger) -> str:
    what = "Lowest p99 of those that are exactly once, at each rate"
    told, met, compared = [], True, False
    for rate in _latency_rates(ledger):
        found = {
            name: statistics.median(values)
            for name, peer in PEERS.items()
            if peer.exactly_once
            and (
                values := [
                    done.figures[f"{rate:g}"]["p99"]
                    for done in ledger.of(name, "latency")
                    if done.figures.get(f"{rate:g}")
                ]
            )
        }
        others = {name: value for name, value in found.items() if name != OURS}
        if OURS not in found or not others:
            continue
        compared = True
        best = min(others, key=lambda name: others[name])
        met &= found[OURS] < others[best]
        told.append(
            f"{rate:,.0f}/s: {found[OURS]:,.0f} ms, {PEERS[best].title} {others[best]:,.0f}"
        )
    return f"| {what} | {'; '.join(told) or NONE} | {_met(met) if compared else 'unknown'} |"


def _only_one(ledger: Ledger, others: Iterable[str]) -> str:
    what = "The only one with nothing lost, nothing twice and no other score after kills"

    def clean(name: str) -> bool:
        done = [each for each in ledger.of(name, "recovery") if each.figures]
        names = ("lost", "twice", "different")
        return bool(done) and not any(each.figures[n] for each in done for n in names)

    if not ledger.of(OURS, "recovery"):
        return f"| {what} | {NONE} | unknown |"
    too = [PEERS[name].title for name in others if clean(name)]
    told = f"Voltick {'is' if clean(OURS) else 'is not'}; so is {', '.join(too) or 'nobody else'}"
    return f"| {what} | {told} | {_met(clean(OURS) and not too)} |"


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _named(peer: Peer) -> str:
    version = version_of(peer)
    return f"{peer.title} {version}" if version else peer.title


def _round(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _plain(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _short(text: str) -> str:
    """Return the last telling line of an error, fit for a table's cell."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else text)[:160].replace("|", "\\|")
