// The live page: what the API says, drawn some times a second.

import { follow, get, Refused, repeat, scorePath } from "./api.js";
import * as events from "./events.js";
import { byId, element, fill, plainWords, setText } from "./format.js";
import * as headline from "./headline.js";
import * as health from "./health.js";
import * as market from "./market.js";
import * as models from "./models.js";
import * as colours from "./palette.js";
import * as quality from "./quality.js";
import * as scores from "./scores.js";
import { Series } from "./series.js";
import * as symbols from "./symbols.js";
import * as system from "./system.js";
import * as why from "./why.js";
import { change, onView, RANGES, view } from "./view.js";

const DRAW_MS = 250;
const QUALITY_POINTS = 720;
const SETTLE_MS = 15000;

const target = { name: null, kind: "classification", threshold: null, provenance: null };
let version = null;
let listed = [];
let series = null;
let dirty = true;
let opened = null; // what was opened unasked, and when

colours.start();

function useSeries() {
  if (view.symbol === null || target.name === null) return null;
  if (!series?.is(view.symbol, target.name, view.range)) series = new Series(view.symbol, target.name, view.range);
  return series;
}

async function loadSeries() {
  const asked = useSeries();
  if (!asked) return 300;
  let answer;
  try {
    answer = await get(scorePath("series", asked.symbol), {
      target: asked.target, seconds: asked.range.seconds, step_s: asked.step, after: asked.revision,
    });
  } catch (error) {
    if (error instanceof Refused && error.status === 404) setText(byId("market-empty"), `${asked.symbol} has no score. Choose a symbol of the list.`);
    throw error;
  }
  if (asked !== series) return 0;
  const isWhole = asked.take(answer);
  if (asked.wantedStep() !== asked.step) {
    // The one that is shown stays until the other has something to show.
    const next = new Series(asked.symbol, asked.target, asked.range, asked.wantedStep());
    const whole = await get(scorePath("series", next.symbol), {
      target: next.target, seconds: next.range.seconds, step_s: next.step, after: 0,
    });
    next.bars = asked.bars; // not before: they may have come meanwhile
    next.take(whole);
    if (asked === series) series = next;
  }
  setText(byId("source"), asked.source === "redis" ? "Kafka cannot be read: sampled scores of Redis, without quotes and outcomes"
    : asked.skipped ? `${asked.skipped.toLocaleString("en-US")} messages were passed over` : asked.complete ? "" : "reading the log…");
  dirty = true;
  return isWhole && asked.complete ? undefined : 50;
}

/** What fails is looked at again soon: at a start, it is over with the first score. */
async function loadHealth() {
  const report = await get("health");
  health.show(report);
  return report.status === "ok" ? undefined : 1000;
}

async function loadBackfill() {
  const asked = useSeries();
  if (!asked) return 300;
  const bars = await get(scorePath("backfill", asked.symbol));
  if (asked.symbol !== series?.symbol) return 0;
  series.precede(bars);
  dirty = true;
  return undefined;
}

function showVersion(report) {
  version = report;
  scores.overall.staleAfterMs = report.stale_after_s * 1000;
  market.showPast(report.history);
  byId("replayed").hidden = !report.replay;
  setText(byId("version"), `${report.version} · feature set ${report.feature_set}`);
  const names = Object.keys(report.targets);
  fill(byId("target"), names.join(), () => names.map((name) => element("option", { value: name, text: plainWords(name) })));
  const name = names.includes(view.target) ? view.target : names[0];
  const isNew = target.name !== name;
  const model = report.targets[name];
  target.name = name;
  target.kind = model?.kind ?? (name === "forward_return" ? "regression" : "classification");
  target.threshold = model?.threshold ?? null;
  target.provenance = model?.provenance ?? null;
  byId("target").value = name;
  if (view.target !== name) change({ target: name });
  if (isNew) reload();
  dirty = true;
}

async function loadScores() {
  await scores.load();
  byId("simulated").hidden = scores.overall.simulated !== true;
  const isSettled = chooseFirst();
  dirty = true;
  return isSettled ? undefined : 1000;
}

/**
 * Where nothing was chosen, open the first symbol of the list, whichever was scored first: another
 * one may get its first score, and come before it, a little later. Return whether that is over.
 */
function chooseFirst() {
  const [first] = [...scores.states.keys()].sort();
  if (first === undefined) return false;
  if (view.symbol === null) opened = { symbol: first, at: performance.now() };
  const isChosen = opened === null || (view.symbol ?? first) !== opened.symbol || view.zoom !== null;
  if (isChosen || performance.now() - opened.at > SETTLE_MS) return true;
  opened.symbol = first;
  change({ symbol: first });
  return false;
}

async function loadModels() {
  listed = (await get("models")).models;
  if (target.name) models.show(listed, target.name);
}

async function loadQuality() {
  if (!target.name) return 300;
  const asked = target.name;
  const { points, drift } = await get("quality", { target: asked, limit: QUALITY_POINTS });
  if (asked === target.name) quality.show(points, listed, drift);
  return undefined;
}

async function loadWhy() {
  if (view.symbol === null || target.name === null) return 300;
  const [symbol, name] = [view.symbol, target.name];
  let found = null;
  try {
    found = await get(scorePath("explain", symbol), { target: name });
  } catch (error) {
    if (name === target.name) why.failed(error, name);
    return 5000;
  }
  if (symbol === view.symbol && name === target.name && !view.paused) why.show(found);
  return undefined;
}

function draw() {
  const now = Date.now();
  setText(byId("rate"), `${scores.perSecond().toFixed(1)} updates/s`);
  if (view.paused) return;
  symbols.draw(target, now);
  headline.draw(target, series, now);
  if (!dirty || document.hidden) return;
  dirty = false;
  const found = useSeries();
  if (!found) return;
  market.draw(found);
  events.draw(found);
}

function controls() {
  byId("ranges").replaceChildren(...RANGES.map((range) => {
    const button = element("button", { type: "button", text: range.label, "aria-pressed": String(range === view.range) });
    button.addEventListener("click", () => change({ range, zoom: null }));
    return button;
  }));
  byId("candles").setAttribute("aria-pressed", String(view.candles));
  byId("pause").setAttribute("aria-pressed", String(view.paused));
  setText(byId("pause"), view.paused ? "Resume" : "Pause");
  byId("unzoom").hidden = view.zoom === null;
}

/** Move or scale the part of time that is shown: `by` of its length, `factor` times as long. */
function move(by, factor = 1) {
  const part = market.shown();
  if (!part) return;
  const length = part.to - part.from;
  const middle = (part.from + part.to) / 2 + by * length;
  const half = Math.max((length * factor) / 2, 5);
  change({ zoom: { from: middle - half, to: middle + half } });
}

const KEYS = {
  ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), "+": () => move(0, 0.5), "=": () => move(0, 0.5),
  "-": () => move(0, 2), 0: () => change({ zoom: null }), Escape: () => change({ zoom: null }), p: () => change({ paused: !view.paused }),
  c: () => change({ candles: !view.candles }),
};

byId("target").addEventListener("change", (event) => {
  change({ target: event.target.value });
  showVersion(version);
});
byId("candles").addEventListener("click", () => change({ candles: !view.candles }));
byId("pause").addEventListener("click", () => change({ paused: !view.paused }));
byId("unzoom").addEventListener("click", () => change({ zoom: null }));
byId("zoom-in").addEventListener("click", () => move(0, 0.5));
byId("zoom-out").addEventListener("click", () => move(0, 2));
byId("earlier").addEventListener("click", () => move(-0.5));
byId("later").addEventListener("click", () => move(0.5));
byId("market").addEventListener("keydown", (event) => {
  if (event.target.closest("select, input") || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

onView((changed) => {
  controls();
  dirty = true;
  if (changed.has("symbol") || changed.has("range")) {
    reloadSeries();
    reloadBackfill();
  }
  if (changed.has("symbol")) reloadWhy();
  if (changed.has("target") && version && view.target !== target.name) showVersion(version);
  draw();
});
colours.onColours(() => { dirty = true; });

controls();
symbols.start(() => symbols.draw(target, Date.now()));
repeat(async () => showVersion(await get("version")), 5000);
repeat(loadScores, 5000);
repeat(loadHealth, 5000, health.unreachable);
repeat(async () => system.show(await get("system")), 3000, system.failed);
repeat(async () => system.showDead(await get("dead-letters", { limit: 12 })), 5000);
const reloadWhy = repeat(loadWhy, 2000);
const reloadModels = repeat(loadModels, 10000);
const reloadQuality = repeat(loadQuality, 5000);
const reloadSeries = repeat(loadSeries, 1000);
const reloadBackfill = repeat(loadBackfill, 30000);
function reload() {
  reloadModels();
  reloadQuality();
  reloadSeries();
  reloadBackfill();
  reloadWhy();
}
follow(
  (prediction) => {
    // What arrives was scored just now; its age is counted by this machine's own clock.
    scores.take(prediction, Date.now());
    if (prediction.symbol === series?.symbol) {
      series.add(prediction);
      dirty = true;
    }
  },
  (open) => {
    if (open) reload();
    else health.interrupted();
  },
);
setInterval(draw, DRAW_MS);
