// The live page: what the API says, drawn some times a second.

import { follow, get } from "./api.js";
import { HistoryChart } from "./chart.js";
import { byId, element, number, setText } from "./format.js";
import { showHealth, showInterrupted, showModels, showQuality, showUnreachable } from "./panels.js";
import { ScoreTable } from "./table.js";

const KEPT_POINTS = 900;
const DRAW_MS = 250;

const states = new Map(); // symbol -> {latest, scoredAt, points}
const target = { name: null, kind: "classification", threshold: null, staleAfter: 30000 };
let version = null;
let selected = null;
let dirty = true;
let arrivals = [];

const table = new ScoreTable(select);
const chart = new HistoryChart(byId("chart"), byId("readout"));

/**
 * Take a prediction over. What comes over the stream is the newest by its place in the log, whatever
 * a clock says; an answer may be older than what the stream brought while it was under way.
 */
function take(prediction, scoredAt, askedAt = Infinity) {
  let state = states.get(prediction.symbol);
  if (!state) {
    state = { latest: prediction, scoredAt, aheadMs: 0, arrivedAt: 0, points: [] };
    states.set(prediction.symbol, state);
  }
  const known = state.latest;
  const isLater = prediction.partition === known.partition && prediction.offset >= known.offset;
  if (!isLater && askedAt < state.arrivedAt) return;
  state.latest = prediction;
  state.scoredAt = scoredAt;
  if (askedAt === Infinity) state.arrivedAt = performance.now();
  const last = state.points.at(-1);
  if (!last || !isSame(last, prediction)) state.points.push(prediction);
  if (state.points.length > KEPT_POINTS * 1.2) state.points.splice(0, state.points.length - KEPT_POINTS);
  dirty = true;
}

function isSame(one, other) {
  return one.partition === other.partition && one.offset === other.offset;
}

async function select(symbol) {
  selected = symbol;
  table.select(symbol);
  byId("chart-title").textContent = `History of ${symbol}`;
  dirty = true;
  await loadHistory(symbol, KEPT_POINTS);
}

async function loadHistory(symbol, limit) {
  try {
    const { points } = await get(`scores/${encodeURIComponent(symbol)}/history?limit=${limit}`);
    const state = states.get(symbol);
    if (!state) return;
    const newest = points.at(-1);
    const at = newest ? state.points.findIndex((point) => isSame(point, newest)) : -1;
    const later = at >= 0 ? state.points.slice(at + 1) : state.points.filter((point) => !newest
      || point.partition !== newest.partition || point.offset > newest.offset);
    state.points = [...points, ...later];
    dirty = true;
  } catch {
    // The stream goes on; the health indicator says what is wrong.
  }
}

async function loadScores() {
  const known = new Set(states.keys());
  const askedAt = performance.now();
  const { scores, simulated } = await get("scores");
  for (const view of scores) {
    take(view, Date.now() - view.age_ms, askedAt);
    states.get(view.symbol).aheadMs = view.clock_ahead_ms;
  }
  byId("simulated").hidden = !simulated;
  if (selected === null && scores.length) select(scores[0].symbol);
  const fresh = scores.filter((view) => !known.has(view.symbol)).slice(0, 40);
  for (const view of fresh) if (view.symbol !== selected) loadHistory(view.symbol, 90);
}

function showVersion(report) {
  version = report;
  target.staleAfter = report.stale_after_s * 1000;
  setText(byId("version"), `${report.version} · feature set ${report.feature_set}`);
  const choice = byId("target");
  const names = Object.keys(report.targets);
  if (choice.options.length !== names.length) {
    choice.replaceChildren(...names.map((name) => element("option", { value: name, text: name.replaceAll("_", " ") })));
    target.name = names[0];
    loadQuality().catch(() => {});
  }
  const model = report.targets[target.name];
  target.kind = model?.kind ?? (target.name === "forward_return" ? "regression" : "classification");
  target.threshold = model?.threshold ?? null;
  setText(byId("tile-champion"), model ? model.model : "none yet");
  const data = { simulated: "trained on simulated data", builtin: "built-in baseline" };
  setText(byId("tile-provenance"), model
    ? `${model.variant}, ${data[model.provenance] ?? `trained on ${model.provenance} data`}` : "");
  dirty = true;
}

function draw() {
  const now = Date.now();
  arrivals = arrivals.filter((time) => now - time < 5000);
  setText(byId("tile-rate"), number(arrivals.length / 5, 1));
  setText(byId("tile-symbols"), String(states.size));
  const alerts = [...states.values()].filter((state) => state.latest.scores[target.name]?.decision === true);
  setText(byId("tile-alerts"), target.kind === "regression" ? "–" : String(alerts.length));
  if (target.name === null) return;
  table.render(states, target, now);
  if (dirty) chart.draw(selected, states.get(selected)?.points ?? [], target);
  dirty = false;
}

/** Repeat a load for ever; one that fails is tried again, whatever it was. */
function repeat(load, milliseconds, onFailure = () => {}) {
  const run = async () => {
    try {
      await load();
    } catch (error) {
      onFailure(error);
    }
    setTimeout(run, milliseconds);
  };
  return run();
}

function themed() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  byId("theme").textContent = dark ? "Light" : "Dark";
  return dark;
}

byId("theme").addEventListener("click", () => {
  const chosen = themed() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("voltick-theme", chosen);
  } catch {
    // Storage is refused: the choice lasts as long as the page.
  }
  themed();
  dirty = true;
  loadQuality().catch(() => {});
});

byId("target").addEventListener("change", (event) => {
  target.name = event.target.value;
  showVersion(version);
  loadQuality().catch(() => {});
});
window.addEventListener("resize", () => { dirty = true; });

async function loadQuality() {
  if (target.name) showQuality((await get(`quality?target=${encodeURIComponent(target.name)}&limit=1`)).points);
}

themed();
repeat(async () => showVersion(await get("version")), 5000);
repeat(loadScores, 5000);
repeat(async () => showHealth(await get("health")), 5000, showUnreachable);
repeat(async () => showModels((await get("models")).models), 15000);
repeat(loadQuality, 5000);
follow(
  (prediction) => {
    const now = Date.now();
    arrivals.push(now);
    // What arrives was scored just now; its age is counted by this machine's own clock.
    take(prediction, now);
  },
  (open) => { if (!open) showInterrupted(); },
);
setInterval(draw, DRAW_MS);
