// The store's versions: which decides, which score in its shadow, and what training found.

import { byId, clock, element, fill, modelName, number, plainWords, tag } from "./format.js";

const MOST = 60;

const METRICS = {
  classification: [["PR-AUC", "pr_auc", 1], ["Prevalence", "prevalence", 1], ["ROC-AUC", "roc_auc", 1], ["Brier skill", "brier_skill", 1]],
  regression: [["RMSE, bps", "rmse", 1e4], ["Persistence", "rmse_persistence", 1e4], ["Skill", "skill_over_persistence", 1], ["Direction", "direction", 1]],
};

let selected = null;

export function show(models, target) {
  const own = models.filter((model) => model.target === target);
  const kind = own[0]?.kind ?? "classification";
  const columns = METRICS[kind];
  selected = target;
  byId("models-empty").hidden = own.length > 0;
  byId("models").hidden = !own.length;
  byId("models-count").textContent = own.length > 1 ? `${own.length} versions of ${plainWords(target)}` : "";
  fill(byId("models").tHead, kind, () => [element("tr", {}, [
    element("th", { scope: "col", text: "Version" }), element("th", { scope: "col", text: "Role" }),
    ...columns.map(([title]) => element("th", { scope: "col", className: "num", text: title })),
    element("th", { scope: "col", text: "Data" }), element("th", { scope: "col", text: "Made, UTC" }),
  ])]);
  fill(byId("models").tBodies[0], JSON.stringify([selected, own]), () => own.slice(0, MOST).map((model) => element("tr", {}, [
    element("th", { scope: "row", text: modelName(model.ref), title: model.ref }),
    element("td", {}, model.role === "none" ? [] : [tag(model.role === "champion" ? "good" : "", model.role)]),
    ...columns.map(([, field, factor], index) => element("td", { className: "num" },
      withInterval(model.metrics, field, factor, index === 0))),
    element("td", {}, [tag(model.provenance === "simulated" ? "warn" : "", model.provenance)]),
    element("td", { className: "muted", text: model.provenance === "builtin" ? "built in" : clock(model.created_ns).slice(5, 16), title: clock(model.created_ns) }),
  ])));
}

function withInterval(metrics, field, factor, withBounds) {
  const value = metrics[field];
  if (!Number.isFinite(value)) return ["–"];
  const [low, high] = [metrics[`${field}_low`], metrics[`${field}_high`]];
  const digits = factor === 1 ? 3 : 2;
  const text = number(value * factor, digits);
  if (!withBounds || !Number.isFinite(low) || !Number.isFinite(high)) return [text];
  const bounds = `${number(low * factor, digits - 1)}–${number(high * factor, digits - 1)}`;
  return [text, " ", element("span", { className: "bounds", text: bounds, title: "95 % interval by bootstrap of blocks" })];
}
