// One symbol over time: what /series said, brought forward by what the event stream brings.

const SINGLE = ["open", "high", "low", "close", "volume", "trades", "bid", "ask", "mid", "gap", "score",
  "alert", "truth", "judged"];
const FEW_S = 900;

export class Series {
  constructor(symbol, target, range, step = range.step) {
    this.symbol = symbol;
    this.target = target;
    this.range = range;
    this.step = step;
    this.reset();
  }

  reset() {
    this.ts = [];
    this.columns = Object.fromEntries(SINGLE.map((name) => [name, []]));
    this.shadow = new Map();
    this.marks = [];
    this.swaps = [];
    this.revision = 0;
    this.source = null;
    this.complete = false;
    this.skipped = 0;
    this.threshold = null;
    this.kind = null;
    this.newest = null;
    this.backfilled = new Set();
  }

  is(symbol, target, range) {
    return this.symbol === symbol && this.target === target && this.range === range;
  }

  /** Take an answer of /series over. */
  take(answer) {
    // A server that was started anew counts its revisions from the beginning.
    if (answer.source !== this.source || answer.revision < this.revision) {
      const whole = this.revision === 0;
      this.reset();
      this.source = answer.source;
      if (!whole) return false;
    }
    for (const name of ["revision", "complete", "skipped", "marks", "swaps", "threshold", "kind"]) {
      this[name] = answer[name];
    }
    const { columns } = answer;
    for (const ref of Object.keys(columns.shadow)) this.line(ref);
    columns.ts_s.forEach((second, at) => {
      const row = this.row(second);
      this.backfilled.delete(second);
      for (const name of SINGLE) this.columns[name][row] = columns[name][at];
      for (const [ref, values] of this.shadow) values[row] = columns.shadow[ref]?.[at] ?? null;
    });
    if (answer.newest_s !== null) this.newest = Math.max(this.newest ?? 0, answer.newest_s);
    this.precede();
    this.trim();
    return true;
  }

  /** Have a venue's bars of the time before the first tick drawn in front of what was scored. */
  precede(bars = this.bars) {
    this.bars = bars;
    // Until the log is read to its beginning, what it holds may reach further back.
    if (!bars?.venue || !this.complete) return;
    const first = this.begin();
    bars.ts_s.forEach((second, at) => {
      if (first === null || second + bars.interval_s > first || this.backfilled.has(second)) return;
      const row = this.row(second);
      this.backfilled.add(second);
      for (const name of ["open", "high", "low", "close"]) this.columns[name][row] = bars[name][at];
    });
  }

  /** The first second that is no backfill; null where there is none. */
  begin() {
    return this.ts.find((second) => !this.backfilled.has(second)) ?? null;
  }

  /** Bring the last step forward by a prediction; the next answer replaces it. */
  add(prediction) {
    const second = Math.floor(prediction.ts_event_ns / 1e9);
    if (this.newest === null || second < this.newest) return;
    this.newest = second;
    const known = this.ts.length;
    const row = this.row(second - (second % this.step));
    const isNew = this.ts.length > known;
    const { columns } = this;
    columns.close[row] = prediction.price;
    columns.mid[row] = prediction.mid;
    if (isNew) {
      columns.open[row] = columns.high[row] = columns.low[row] = prediction.price;
      // The quotes of the step before, until the next answer brings those of this one.
      columns.bid[row] = columns.bid[row - 1] ?? null;
      columns.ask[row] = columns.ask[row - 1] ?? null;
    }
    columns.high[row] = Math.max(columns.high[row] ?? -Infinity, prediction.price);
    columns.low[row] = Math.min(columns.low[row] ?? Infinity, prediction.price);
    const own = prediction.scores[this.target];
    if (!own) return;
    const isEvent = own.decision !== null && own.decision !== undefined;
    columns.score[row] = isEvent ? Math.max(own.score, columns.score[row] ?? 0) : own.score;
    if (isEvent) columns.alert[row] = own.decision || columns.alert[row] === true;
    for (const [ref, value] of Object.entries(own.shadow ?? {})) this.line(ref)[row] = value;
  }

  line(ref) {
    let values = this.shadow.get(ref);
    if (!values) {
      values = new Array(this.ts.length).fill(null);
      this.shadow.set(ref, values);
    }
    return values;
  }

  /** Return the row of a step, made in its place where it is new. */
  row(second) {
    let at = this.ts.length;
    while (at > 0 && this.ts[at - 1] > second) at -= 1;
    if (at > 0 && this.ts[at - 1] === second) return at - 1;
    this.ts.splice(at, 0, second);
    for (const name of SINGLE) this.columns[name].splice(at, 0, null);
    for (const values of this.shadow.values()) values.splice(at, 0, null);
    return at;
  }

  trim() {
    if (!this.ts.length) return;
    const oldest = this.newest - this.range.seconds * 1.05;
    let count = 0;
    while (count < this.ts.length && this.ts[count] < oldest) count += 1;
    if (!count) return;
    for (const second of this.ts.splice(0, count)) this.backfilled.delete(second);
    for (const name of SINGLE) this.columns[name].splice(0, count);
    for (const values of this.shadow.values()) values.splice(0, count);
  }

  /** The step that suits what is known: fine while there is little, whatever the range. */
  wantedStep() {
    const part = this.complete && this.extent();
    if (!part) return this.step;
    const length = part.to - part.from;
    return length < FEW_S ? 1 : length > FEW_S * 1.2 ? this.range.step : this.step;
  }

  /** The times between which there is something to see. */
  extent() {
    if (!this.ts.length) return null;
    const to = Math.max(this.newest ?? 0, this.ts.at(-1)) + this.step;
    const from = Math.max(this.ts[0], to - this.range.seconds);
    return { from: Math.min(from, to - 30), to };
  }

  /** Candles of so many seconds, from the steps. */
  candles(seconds) {
    const made = [];
    const { open, high, low, close } = this.columns;
    this.ts.forEach((second, row) => {
      if (open[row] === null && close[row] === null) return;
      const start = second - (second % seconds);
      let last = made.at(-1);
      if (!last || last.start !== start) {
        const length = this.backfilled.has(second) ? Math.max(seconds, this.bars.interval_s) : seconds;
        last = { start, length, open: open[row] ?? close[row], high: -Infinity, low: Infinity, close: null };
        made.push(last);
      }
      last.high = Math.max(last.high, high[row] ?? close[row]);
      last.low = Math.min(last.low, low[row] ?? close[row]);
      last.close = close[row] ?? last.close;
    });
    return made;
  }
}

/** Root mean squares over the last `width` values, null where there are none. */
export function rollingRoot(values, width) {
  let sum = 0;
  let count = 0;
  return values.map((value, at) => {
    if (Number.isFinite(value)) {
      sum += value * value;
      count += 1;
    }
    const old = values[at - width];
    if (at >= width && Number.isFinite(old)) {
      sum -= old * old;
      count -= 1;
    }
    return count && Number.isFinite(value) ? Math.sqrt(Math.max(sum, 0) / count) : null;
  });
}
