// The charts of one symbol: price, score (or forecast), and the forecast's error.

import { byId, element, modelName, number, price, score as scoreText, setText, timeOfDay } from "./format.js";
import { fade, newest, parted } from "./paint.js";
import { onColours, palette, seriesColour, soft } from "./palette.js";
import { horizontal, roomy, shade, sign, TimeChart, valueAxis, vertical } from "./plot.js";
import { rollingRoot } from "./series.js";
import { change, view } from "./view.js";

const GROUP = "voltick-market";
const MAX_LINES = 7;
const ERROR_STEPS = 60;
const KINDS = { hit: "hit", false_alarm: "false alarm", miss: "miss", pending: "not known yet" };
const hidden = new Set();

let series = null;
let lines = [];
let cursor = null;
let past = null;

const markColour = (kind) => palette[{ hit: "hit", false_alarm: "alert", miss: "miss", pending: "pending" }[kind]];

function shared(host, options) {
  return new TimeChart(byId(host), {
    group: GROUP,
    onZoom: (from, to) => change({ zoom: { from, to } }),
    onReset: () => change({ zoom: null }),
    onCursor: (index) => {
      cursor = index;
      readout();
    },
    ...options,
  });
}

function line(colour, options = {}) {
  return { stroke: colour, width: 1.6, points: { show: false }, spanGaps: true, ...options };
}

const priceChart = shared("price-chart", {
  height: 270,
  axes: [valueAxis()],
  scales: {
    y: { range: (_plot, low, high) => { const [from, to] = roomy(low, high); return [from - (to - from) * 0.12, to]; } },
    volume: { range: (_plot, _low, high) => [0, (high || 1) * 7] },
  },
  series: [
    line(() => palette.volume, {
      scale: "volume", fill: () => palette.volume, width: 0, spanGaps: false,
      paths: uPlot.paths.bars({ size: [0.8, 8], gap: 0 }),
    }),
    line(() => soft(palette.ask, 70), { width: 1 }),
    line(() => soft(palette.bid, 70), { width: 1 }),
    line(() => palette.price, { width: 1.8, fill: (plot) => fade(plot, palette.price, 26) }),
    line(() => "transparent"),
    line(() => "transparent"),
  ],
  bands: [{ series: [2, 3], fill: () => soft(palette.price, 14) }],
  before: (plot) => shadeMarks(plot),
  draw: (plot) => {
    if (view.candles) drawCandles(plot);
    drawMarks(plot);
    if (past) vertical(plot, past.until_ns / 1e9, palette.muted, `${past.origin} past until here`, 1);
    if (series?.backfilled.size) {
      vertical(plot, series.begin(), palette.muted, `${series.bars.venue} minute bars (backfill) until here`, 1);
    }
    const [at, value] = last("mid", "close");
    newest(plot, at, value, price(value), palette.price);
  },
});

const scoreChart = shared("score-chart", {
  height: 210,
  axes: [valueAxis(() => (isForecast() ? 1e4 : 1))],
  scales: { y: { range: (_plot, low, high) => scoreRange(low, high) } },
  series: [
    line((plot) => (isForecast() ? palette.accent : parted(plot, limit(), palette.accent, palette.alert)), {
      width: 2, fill: (plot) => (isForecast() ? "transparent" : parted(plot, limit(), palette.accent, palette.alert, 16)),
    }),
    line(() => palette.text, { width: 1.2, dash: [4, 3] }),
    ...Array.from({ length: MAX_LINES }, (_, index) => line(() => seriesColour(index), { width: 1.3 })),
  ],
  before: (plot) => shadeMarks(plot),
  draw: (plot) => {
    if (isForecast()) horizontal(plot, 0, palette.line);
    else if (series?.threshold !== null && series) horizontal(plot, series.threshold, palette.alert);
    for (const swap of series?.swaps ?? []) {
      if (swap.before !== null) vertical(plot, swap.ts_s, palette.muted, `now ${modelName(swap.model)}`);
    }
    const [at, value] = last("score");
    const isAlert = !isForecast() && limit() !== null && value >= limit();
    newest(plot, at, value, isForecast() ? `${number(value * 1e4, 2)} bps` : number(value, 3), isAlert ? palette.alert : palette.accent);
  },
});

const errorChart = shared("error-chart", {
  height: 120,
  axes: [valueAxis(() => 1e4)],
  scales: { y: { range: (_plot, _low, high) => [0, (high || 1e-6) * 1.12] } },
  series: [line(() => palette.accent, { width: 1.8 }), line(() => palette.muted, { width: 1.2, dash: [4, 3] })],
});

const isForecast = () => series?.kind === "regression";
const limit = () => series?.threshold ?? null;

/** The newest of the first of these columns that has one: its time and value. */
function last(...names) {
  for (const name of names) {
    const values = hidden.has(name === "score" ? "champion" : name) ? [] : series?.columns[name] ?? [];
    const row = values.findLastIndex((value) => value !== null);
    if (row >= 0) return [series.ts[row], values[row]];
  }
  return [0, null];
}

function scoreRange(low, high) {
  if (isForecast()) {
    const size = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 1e-6) * 1.1;
    return [-size, size];
  }
  const top = Math.max(high ?? 0, series?.threshold ?? 0, 0.02);
  return [0, Math.min(1.02, top * 1.12)];
}

function shadeMarks(plot) {
  for (const mark of series?.marks ?? []) {
    if (isForecast()) return;
    shade(plot, mark.ts_s, mark.to_s + 1, soft(markColour(mark.kind), mark.kind === "miss" ? 12 : 16));
  }
}

function drawMarks(plot) {
  if (isForecast()) return;
  const top = plot.bbox.top + 9 * devicePixelRatio;
  for (const mark of series?.marks ?? []) {
    const x = plot.valToPos(mark.ts_s, "x", true);
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
    sign(plot, x, top, mark.kind, markColour(mark.kind));
  }
}

function drawCandles(plot) {
  if (!series) return;
  const seconds = Math.max(series.step * 5, Math.min(view.range.candle, 60 * series.step));
  const { ctx, bbox } = plot;
  const width = (length) => Math.max(plot.valToPos(length, "x", true) - plot.valToPos(0, "x", true), 2);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const candle of series.candles(seconds)) {
    const [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close]
      .map((value) => plot.valToPos(value, "y", true));
    const middle = plot.valToPos(candle.start + candle.length / 2, "x", true);
    const isUp = candle.close >= candle.open;
    const body = Math.max(Math.round(width(candle.length) * 0.66), 1);
    ctx.fillStyle = ctx.strokeStyle = isUp ? palette.up : palette.down;
    ctx.lineWidth = Math.max(1, devicePixelRatio);
    ctx.beginPath();
    ctx.moveTo(middle, high);
    ctx.lineTo(middle, low);
    ctx.stroke();
    const height = Math.max(Math.abs(close - open), devicePixelRatio);
    ctx.fillRect(middle - body / 2, Math.min(open, close), body, height);
  }
  ctx.restore();
}

/** Take note of the history that was sent before the live ticks; null for none. */
export function showPast(history) {
  past = history;
}

/** The series that is drawn now. */
export const current = () => series;

/** The part of time that the charts show now. */
export function shown() {
  return view.zoom ?? series?.extent() ?? null;
}

export function draw(found) {
  series = found;
  const part = shown();
  const empty = byId("market-empty");
  empty.hidden = Boolean(part);
  byId("market-charts").hidden = !part;
  if (!part) return;
  const { columns } = series;
  const none = series.ts.map(() => null);
  const drawn = (name, values) => (hidden.has(name) ? none : values);
  const asLine = (values) => (view.candles ? none : values);
  const mid = columns.mid.map((value, row) => value ?? columns.close[row]);
  priceChart.show([
    series.ts, drawn("volume", columns.volume),
    asLine(drawn("bid and ask", columns.ask)), asLine(drawn("bid and ask", columns.bid)),
    asLine(drawn("mid", mid)),
    view.candles ? columns.high : none, view.candles ? columns.low : none,
  ], part.from, part.to);
  const forecast = isForecast();
  // What decides now is drawn as the champion, also where it was a challenger before.
  const champion = series.swaps.at(-1)?.model;
  lines = [...series.shadow.keys()].filter((ref) => ref !== champion).sort().slice(0, MAX_LINES);
  const own = forecast ? columns.judged.map((value, row) => value ?? columns.score[row]) : columns.score;
  const shadows = Array.from({ length: MAX_LINES }, (_, index) =>
    lines[index] === undefined ? none : drawn(lines[index], series.shadow.get(lines[index])));
  scoreChart.show([
    series.ts, drawn("champion", own), forecast ? drawn("what came", columns.truth) : none, ...shadows,
  ], part.from, part.to);
  byId("error-part").hidden = !forecast;
  if (forecast) {
    const errors = columns.truth.map((value, row) => (value === null ? null : value - columns.judged[row]));
    errorChart.show([
      series.ts, rollingRoot(errors, ERROR_STEPS), rollingRoot(columns.truth, ERROR_STEPS),
    ], part.from, part.to);
    setText(byId("error-title"), `Error over ${ERROR_STEPS * series.step} s, root mean square, bps`);
  }
  setText(byId("score-title"), forecast ? "Forecast of the next minute against what came, bps" : "Score");
  legends();
  readout();
  describe(part);
}

function key(name, colour, title, dashed = false) {
  const button = element("button", {
    type: "button", className: `key${dashed ? " dashed" : ""}`, "aria-pressed": String(!hidden.has(name)), title,
  }, [element("span", { className: "swatch", "aria-hidden": "true" }), name]);
  button.firstChild.style.setProperty("--swatch", colour);
  button.addEventListener("click", () => {
    if (!hidden.delete(name)) hidden.add(name);
    draw(series);
  });
  return button;
}

function legends() {
  const champion = series.swaps.at(-1)?.model ?? null;
  const signature = JSON.stringify([view.candles, champion, lines, isForecast(), [...hidden], palette.accent, series.threshold]);
  const host = byId("score-legend");
  if (host.dataset.said === signature) return;
  host.dataset.said = signature;
  const focused = document.activeElement?.closest(".legend") ? document.activeElement.textContent : null;
  byId("price-legend").replaceChildren(
    ...(view.candles ? [] : [
      key("mid", palette.price, "Mid price: halfway between the best quotes"),
      key("bid and ask", soft(palette.price, 45), "Best quotes at the last trade of each step"),
    ]),
    key("volume", palette.volume, "Traded in each step"),
  );
  const own = champion === null ? "champion" : `${modelName(champion)}, champion`;
  const champ = key("champion", palette.accent, champion ?? "The model that decides");
  champ.lastChild.textContent = own;
  host.replaceChildren(
    champ,
    ...(isForecast() ? [key("what came", palette.text, "The return that followed", true)] : []),
    ...lines.map((ref, index) => {
      const made = key(ref, seriesColour(index), ref);
      made.lastChild.textContent = modelName(ref);
      return made;
    }),
    ...(isForecast() || series.threshold === null ? []
      : [element("span", { className: "key limit dashed", text: `threshold ${number(series.threshold, 3)}` })]),
  );
  byId("mark-legend").hidden = isForecast();
  if (focused) {
    for (const each of document.querySelectorAll(".legend button")) if (each.textContent === focused) each.focus();
  }
}

function readout() {
  if (!series?.ts.length) return;
  const row = cursor ?? series.ts.length - 1;
  const { columns } = series;
  if (series.ts[row] === undefined) return;
  const at = `${timeOfDay(series.ts[row])} UTC`;
  const parts = [`price ${price(columns.close[row])}`];
  if (columns.bid[row] !== null) parts.push(`bid ${price(columns.bid[row])}`, `ask ${price(columns.ask[row])}`);
  if (columns.trades[row]) parts.push(`${columns.trades[row]} ${columns.trades[row] === 1 ? "trade" : "trades"}, ${price(columns.volume[row])}`);
  setText(byId("price-readout"), `${at} · ${parts.join(" · ")}`);
  const kind = series.kind;
  const said = [`${isForecast() ? "forecast" : "score"} ${scoreText(columns.score[row], kind)}`];
  for (const ref of lines) {
    const value = series.shadow.get(ref)[row];
    if (value !== null && value !== undefined) said.push(`${modelName(ref)} ${scoreText(value, kind)}`);
  }
  if (columns.truth[row] !== null) {
    said.push(isForecast() ? `came ${scoreText(columns.truth[row], kind)}` : columns.truth[row] ? "a spike followed" : "no spike followed");
  }
  setText(byId("score-readout"), said.join(" · "));
}

function describe(part) {
  const counts = {};
  for (const mark of series.marks) counts[mark.kind] = (counts[mark.kind] ?? 0) + 1;
  const marks = Object.entries(counts).map(([kind, count]) => `${count} × ${KINDS[kind]}`).join(", ");
  const span = `from ${timeOfDay(part.from)} to ${timeOfDay(part.to)} UTC`;
  const known = series.columns.close.filter((value) => value !== null);
  byId("price-chart").setAttribute("aria-label", `Price of ${series.symbol} ${span}: between ${price(Math.min(...known))}`
    + ` and ${price(Math.max(...known))}, now ${price(known.at(-1))}. Marks: ${marks || "none"}.`);
  byId("score-chart").setAttribute("aria-label", `${isForecast() ? "Forecast" : "Score"} of ${series.symbol} ${span}, now`
    + ` ${scoreText(series.columns.score.findLast((value) => value !== null), series.kind)}.`);
}

onColours(() => {
  if (!series) return;
  byId("score-legend").dataset.said = "";
  draw(series);
  for (const chart of [priceChart, scoreChart, errorChart]) chart.redraw();
});
