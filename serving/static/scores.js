// The newest score of every symbol: what /scores says, kept up to date by the event stream.

import { get } from "./api.js";

const CLOCK_TOLERANCE_MS = 1000;
const TREND_POINTS = 40;
const TREND_MS = 1000;

export const states = new Map(); // symbol -> {latest, scoredAt, aheadMs, arrivedAt, trend}
export const overall = { simulated: null, arrivals: [], staleAfterMs: 30000, loaded: false };

/**
 * Take a prediction over. What comes over the stream is the newest by its place in the log, whatever
 * a clock says; an answer may be older than what the stream brought while it was under way.
 */
export function take(prediction, scoredAt, askedAt = Infinity) {
  let state = states.get(prediction.symbol);
  if (!state) {
    state = { latest: prediction, scoredAt, aheadMs: 0, arrivedAt: 0, trend: [], trendAt: 0 };
    states.set(prediction.symbol, state);
  }
  const known = state.latest;
  const isLater = prediction.partition === known.partition && prediction.offset >= known.offset;
  if (!isLater && askedAt < state.arrivedAt) return state;
  state.latest = prediction;
  state.scoredAt = scoredAt;
  if (askedAt === Infinity) {
    state.arrivedAt = performance.now();
    overall.arrivals.push(Date.now());
  }
  if (performance.now() - state.trendAt > TREND_MS) {
    state.trendAt = performance.now();
    state.trend.push(prediction.mid);
    if (state.trend.length > TREND_POINTS) state.trend.shift();
  }
  return state;
}

export async function load() {
  const askedAt = performance.now();
  const { scores, simulated } = await get("scores");
  for (const scored of scores) {
    take(scored, Date.now() - scored.age_ms, askedAt).aheadMs = scored.clock_ahead_ms;
  }
  // Symbols that ended are no longer listed.
  const listed = new Set(scores.map((scored) => scored.symbol));
  for (const [symbol, state] of states) {
    if (!listed.has(symbol) && state.arrivedAt < askedAt) states.delete(symbol);
  }
  overall.simulated = scores.length ? simulated : null;
  overall.loaded = true;
}

export function perSecond() {
  const now = Date.now();
  overall.arrivals = overall.arrivals.filter((time) => now - time < 5000);
  return overall.arrivals.length / 5;
}

/** The score is dated ahead of the API's clock: its true age is not known. */
export const isAhead = (state) => state.aheadMs > CLOCK_TOLERANCE_MS;

export const ageOf = (state, now) => Math.max(now - state.scoredAt, 0);

/** What is special about a symbol's newest score: kind of tag, word, and what it means. */
export function flags(state, now) {
  const { latest } = state;
  const found = [];
  if (isAhead(state)) found.push(["warn", "clock ahead", "The score is dated ahead of the API's clock"]);
  if (Math.max(ageOf(state, now), state.aheadMs) > overall.staleAfterMs) {
    found.push(["warn", "stale", `Nothing new for more than ${overall.staleAfterMs / 1000} s`]);
  }
  if (!latest.warm) found.push(["warn", "warming up", "Less than five minutes of history: the windows are not full yet"]);
  if (latest.late) found.push(["", "late", "The tick was older than its symbol's newest"]);
  if (latest.gap) found.push(["warn", "gap", "Ticks were lost just before this one"]);
  return found;
}
