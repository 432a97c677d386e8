// Health, models and live quality.

import { drawReliability } from "./chart.js";
import { age, byId, clock, element, number } from "./format.js";

export function showHealth(report) {
  const panel = byId("health");
  panel.dataset.state = report.status === "ok" ? "ok" : "bad";
  byId("health-word").textContent = report.status === "ok" ? "healthy" : `failing: ${report.failing.join(", ")}`;
  byId("health-checks").replaceChildren(
    ...Object.entries(report.checks).map(([name, check]) =>
      element("li", {}, [
        element("strong", { text: name }),
        element("span", { className: check.ok ? "good" : "bad", text: check.ok ? "ok " : "failing " }),
        element("span", { className: "muted", text: check.detail }),
      ])),
  );
}

export function showUnreachable() {
  byId("health").dataset.state = "bad";
  byId("health-word").textContent = "API unreachable";
}

export function showInterrupted() {
  byId("health").dataset.state = "bad";
  byId("health-word").textContent = "stream interrupted";
}

export function showModels(models) {
  const rows = models.slice(0, 100).map((model) => {
    const kind = { champion: "good", challenger: "" }[model.role];
    const role = kind === undefined ? [] : [element("span", { className: `tag ${kind}`, text: model.role })];
    const simulated = model.provenance === "simulated" ? "warn" : "";
    return element("tr", {}, [
      element("td", { text: model.ref, title: model.ref, className: "model" }),
      element("td", { text: model.target }),
      element("td", {}, role),
      element("td", { text: model.variant }),
      element("td", {}, [element("span", { className: `tag ${simulated}`, text: model.provenance })]),
      element("td", { className: "num", text: number(model.metrics.pr_auc ?? null, 3) }),
      element("td", { className: "muted", text: clock(model.created_ns).slice(0, 16) }),
    ]);
  });
  byId("models").tBodies[0].replaceChildren(...rows);
  byId("models-empty").hidden = rows.length > 0;
}

const CLASSIFICATION = [
  ["PR-AUC", "pr_auc", 3], ["Prevalence", "prevalence", 3], ["ROC-AUC", "roc_auc", 3], ["Brier", "brier", 4],
  ["Brier skill", "brier_skill", 3], ["Calibration error", "calibration_error", 3],
];
const REGRESSION = [
  ["RMSE, bps", "rmse", 3, 1e4], ["Persistence", "persistence_rmse", 3, 1e4],
  ["MAE, bps", "mae", 3, 1e4], ["Persistence", "persistence_mae", 3, 1e4],
];

export function showQuality(points) {
  const point = points.at(-1);
  byId("quality-empty").hidden = Boolean(point);
  byId("quality").hidden = !point;
  byId("reliability-figure").hidden = true;
  byId("quality-window").textContent = "";
  if (!point) return;
  const columns = point.kind === "regression" ? REGRESSION : CLASSIFICATION;
  byId("quality-window").textContent = `over ${age((point.ts_ns - point.from_ns) / 1e6)}, to ${clock(point.ts_ns).slice(0, 19)} UTC`;
  byId("quality").tHead.replaceChildren(element("tr", {}, [
    element("th", { scope: "col", text: "Model" }),
    element("th", { scope: "col", text: "Role" }),
    element("th", { scope: "col", className: "num", text: "Judged" }),
    ...columns.map(([title]) => element("th", { scope: "col", className: "num", text: title })),
  ]));
  byId("quality").tBodies[0].replaceChildren(...point.models.map((model) => element("tr", {}, [
    element("td", { text: model.model, title: model.model, className: "model" }),
    element("td", {}, [element("span", { className: `tag ${model.role === "champion" ? "good" : ""}`, text: model.role })]),
    element("td", { className: "num", text: number(model.count, 0) }),
    ...columns.map(([, field, digits, factor = 1]) => element("td", {
      className: "num",
      text: number(Number.isFinite(model[field]) ? model[field] * factor : null, digits),
    })),
  ])));
  const champion = point.models.find((model) => model.role === "champion" && model.reliability.length);
  if (champion) {
    byId("reliability-figure").hidden = false;
    drawReliability(byId("reliability"), champion.reliability);
  }
}
