// Live quality: how the served models do on what really happened.

import { age, byId, clock, element, fill, modelName, number, setText } from "./format.js";
import { onColours, palette, seriesColour, soft } from "./palette.js";
import { horizontal, roomy, TimeChart, valueAxis } from "./plot.js";

const MAX_LINES = 5;

const CLASSIFICATION = [
  ["PR-AUC", "pr_auc", 3], ["Prevalence", "prevalence", 3], ["ROC-AUC", "roc_auc", 3],
  ["Brier skill", "brier_skill", 3], ["Calibration error", "calibration_error", 3],
];
const REGRESSION = [
  ["RMSE, bps", "rmse", 3, 1e4], ["Persistence", "persistence_rmse", 3, 1e4],
  ["MAE, bps", "mae", 3, 1e4], ["Persistence", "persistence_mae", 3, 1e4],
];

let state = { points: [], kind: "classification", band: null, refs: [] };

// The first points make no line yet.
const points = { show: (_plot, _series, from, to) => to - from < 3, size: 6 };
const line = (colour, options = {}) => ({ stroke: colour, width: 1.8, points, spanGaps: true, ...options });

const rolling = new TimeChart(byId("rolling-chart"), {
  group: "voltick-quality",
  height: 180,
  axes: [valueAxis()],
  scales: { y: { range: (_plot, low, high) => {
    const values = [low, high, state.band?.low, state.band?.high].filter(Number.isFinite);
    return roomy(values.length ? Math.min(...values) : null, values.length ? Math.max(...values) : null, 0.12);
  } } },
  series: [
    line(() => palette.accent, { width: 2.2 }),
    line(() => palette.muted, { width: 1.2, dash: [4, 3] }),
    ...Array.from({ length: MAX_LINES }, (_, index) => line(() => seriesColour(index), { width: 1.3 })),
  ],
  before: (plot) => {
    if (!state.band) return;
    const { ctx, bbox } = plot;
    const [top, bottom] = [state.band.high, state.band.low].map((value) => plot.valToPos(value, "y", true));
    ctx.save();
    ctx.fillStyle = soft(palette.accent, 13);
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    ctx.restore();
    horizontal(plot, state.band.value, soft(palette.accent, 60));
  },
});

const calibration = new uPlot({
  width: 300,
  height: 180,
  padding: [10, 6, 0, 14],
  legend: { show: false },
  cursor: { show: false },
  scales: { x: { time: false, range: () => [0, state.top ?? 1] }, y: { range: () => [0, state.top ?? 1] } },
  axes: [
    { ...valueAxis(), side: 2, scale: "x", size: 26, space: 44 },
    { ...valueAxis(), size: 34 },
  ],
  series: [{}, {
    stroke: () => palette.accent, width: 1.6, spanGaps: true,
    points: { show: true, size: 7, fill: () => palette.accent, stroke: () => palette.accent },
  }],
  hooks: { drawClear: [(plot) => {
    const { ctx } = plot;
    const top = state.top ?? 1;
    ctx.save();
    ctx.strokeStyle = palette.muted;
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(plot.valToPos(0, "x", true), plot.valToPos(0, "y", true));
    ctx.lineTo(plot.valToPos(top, "x", true), plot.valToPos(top, "y", true));
    ctx.stroke();
    ctx.restore();
  }] },
}, [[], []], byId("calibration-chart"));
new ResizeObserver(() => sizeCalibration()).observe(byId("calibration-chart"));

function sizeCalibration() {
  const width = Math.max(160, byId("calibration-chart").clientWidth);
  if (calibration.width !== width) calibration.setSize({ width, height: 180 });
}

/** Show the points of one target; `listed` are the models as /models lists them. */
export function show(points, listed, drift = null) {
  const point = points.at(-1);
  byId("quality-empty").hidden = Boolean(point);
  byId("quality-body").hidden = !point;
  setText(byId("quality-window"), point
    ? `over ${age((point.ts_ns - point.from_ns) / 1e6)}, to ${clock(point.ts_ns).slice(11, 19)} UTC` : "");
  if (!point) return;
  table(point, drift?.models ?? []);
  const isEvent = point.kind !== "regression";
  const name = isEvent ? "pr_auc" : "rmse";
  const factor = isEvent ? 1 : 1e4;
  const champion = point.models.find((each) => each.role === "champion");
  const refs = point.models.filter((each) => each.role === "challenger").map((each) => each.model).slice(0, MAX_LINES);
  const value = (at, ref, field) => {
    const found = at.models.find((each) => (ref === null ? each.role === "champion" : each.model === ref));
    return Number.isFinite(found?.[field]) ? found[field] * factor : null;
  };
  // Of the model that was judged, which may be the one before the present champion.
  const band = offline(listed.find((each) => each.ref === champion?.model), name, factor);
  const top = reliabilityTop(champion);
  state = { points, kind: point.kind, band, refs, top };
  const ts = points.map((each) => each.ts_ns / 1e9);
  const data = [
    ts,
    points.map((each) => value(each, null, name)),
    points.map((each) => value(each, null, isEvent ? "prevalence" : "persistence_rmse")),
    ...Array.from({ length: MAX_LINES }, (_, index) =>
      points.map((each) => (refs[index] ? value(each, refs[index], name) : null))),
  ];
  rolling.show(data, ts[0], Math.max(ts.at(-1), ts[0] + 30));
  rollingLegend(champion, refs, isEvent, band);
  const word = isEvent ? "PR-AUC" : "RMSE in bps";
  setText(byId("rolling-title"), `${word}, rolling`);
  const now = champion?.[name];
  const against = band ? `, offline ${number(band.low, 3)} to ${number(band.high, 3)}` : "";
  byId("rolling-chart").setAttribute("aria-label",
    `${word} of the champion over time, now ${number(now === null ? null : now * factor, 3)}${against}`);
  const bins = champion?.reliability ?? [];
  byId("calibration").hidden = !bins.length;
  if (bins.length) {
    calibration.setData([bins.map((bin) => bin.mean_score), bins.map((bin) => bin.truth_rate)]);
    byId("calibration-chart").setAttribute("aria-label", `Calibration: ${bins.map((bin) =>
      `score ${number(bin.mean_score, 2)} came true ${number(bin.truth_rate, 2)}`).join(", ")}`);
    sizeCalibration();
  }
}

/** What the champion's training expects: its figure and the interval about it. */
function offline(model, name, factor) {
  const [low, high, value] = [`${name}_low`, `${name}_high`, name].map((each) => model?.metrics[each]);
  if (![low, high, value].every(Number.isFinite)) return null;
  return { low: low * factor, high: high * factor, value: value * factor };
}

function reliabilityTop(champion) {
  const bins = champion?.reliability ?? [];
  const most = Math.max(0.05, ...bins.flatMap((bin) => [bin.mean_score, bin.truth_rate]));
  return Math.min(1, Math.ceil(most * 10 + 0.2) / 10);
}

function rollingLegend(champion, refs, isEvent, band) {
  fill(byId("rolling-legend"), JSON.stringify([champion?.model, refs, isEvent, band, palette.accent]), () => {
    const made = [];
    const add = (text, colour, title, dashed) => {
      const swatch = element("span", { className: "swatch", "aria-hidden": "true" });
      swatch.style.setProperty("--swatch", colour);
      made.push(element("span", { className: `key${dashed ? " dashed" : ""}`, title: title ?? "" }, [swatch, text]));
    };
    if (champion) add(modelName(champion.model), palette.accent, champion.model);
    refs.forEach((ref, index) => add(modelName(ref), seriesColour(index), ref));
    add(isEvent ? "prevalence" : "persistence", palette.muted, isEvent ? "The PR-AUC of a random score" : "The error of a forecast of zero", true);
    if (band) add("offline interval", soft(palette.accent, 30), "What the training's folds lead to expect");
    return made;
  });
}

const DRIFT_TAGS = { stable: "good", drift: "warn", misfit: "alert", unknown: "" };

/** How far a model's inputs are from its training: the state, and the causes as a title. */
function driftCell(model) {
  if (!model) return "–";
  const moved = Number.isFinite(model.moved) ? ` ${number(100 * model.moved, 0)} %` : "";
  const word = model.state === "misfit" ? "does not fit" : model.state;
  const title = model.causes.join("; ") || "Share of the inputs that have moved much since the training";
  return element("span", { className: `tag ${DRIFT_TAGS[model.state] ?? ""}`, title, text: `${word}${moved}` });
}

function table(point, drifts) {
  const columns = point.kind === "regression" ? REGRESSION : CLASSIFICATION;
  fill(byId("quality").tHead, point.kind, () => [element("tr", {}, [
    element("th", { scope: "col", text: "Model" }),
    element("th", { scope: "col", className: "num", text: "Judged" }),
    ...columns.map(([title]) => element("th", { scope: "col", className: "num", text: title })),
    element("th", { scope: "col", text: "Drift" }),
  ])]);
  fill(byId("quality").tBodies[0], JSON.stringify([point.models, drifts]), () => point.models.map((model) => element("tr", {}, [
    element("th", { scope: "row", title: model.model }, [
      modelName(model.model), " ",
      ...(model.role === "champion" ? [element("span", { className: "tag good", text: "champion" })] : []),
    ]),
    element("td", { className: "num", text: number(model.count, 0) }),
    ...columns.map(([, field, digits, factor = 1]) => element("td", {
      className: "num",
      text: number(Number.isFinite(model[field]) ? model[field] * factor : null, digits),
    })),
    element("td", {}, [driftCell(drifts.find((each) => each.model === model.model))]),
  ])));
}

onColours(() => {
  rolling.redraw();
  calibration.redraw(true);
});
