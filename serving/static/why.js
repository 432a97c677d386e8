// Why the newest score is what it is: contributions of its features, and their drift.

import { Refused } from "./api.js";
import { breakable, byId, element, fill, modelName, number, plainWords, score as scoreText, setText, tag, timeOfDay } from "./format.js";

const MOST = 12;
// The usual rule of thumb for a population stability index.
const DRIFT = [[0.25, "alert", "much"], [0.1, "warn", "some"], [0, "", "hardly any"]];

const NOT_KNOWN = "Too few independent rows, now or in training: those within a feature's window repeat each other";

export function show(found) {
  byId("why-body").hidden = false;
  byId("why-empty").hidden = true;
  const isLinear = found.method === "linear";
  const inputs = found.inputs.slice(0, MOST);
  const size = (input) => Math.abs(isLinear ? input.amount : input.importance ?? 0);
  const most = Math.max(...found.inputs.map(size), 1e-12);
  setText(byId("why-score"), `${scoreText(found.score, found.link === "identity" ? "regression" : "classification")} by `
    + `${modelName(found.model)}, tick of ${timeOfDay(Math.floor(found.ts_event_ns / 1e9))} UTC`);
  setText(byId("why-note"), note(found));
  fill(byId("why-head"), found.method + found.link, () => [element("tr", {}, [
    element("th", { scope: "col", text: "Input" }), element("th", { scope: "col", className: "num", text: "Value" }),
    element("th", { scope: "col", text: isLinear ? "Pushes the score" : "Importance in training" }),
    element("th", { scope: "col", className: "num", text: isLinear ? (found.link === "logit" ? "Log odds" : "Bps") : "Loss" }),
    element("th", { scope: "col", text: "Drift" }),
  ])]);
  const body = byId("why-rows");
  while (body.rows.length > inputs.length) body.lastChild.remove();
  while (body.rows.length < inputs.length) body.append(row());
  inputs.forEach((input, at) => update(body.rows[at], input, size(input) / most, found));
}

function row() {
  return element("tr", {}, [
    element("th", { scope: "row" }), element("td", { className: "num" }),
    element("td", { className: "pushes" }, [element("div", { className: "push", "aria-hidden": "true" }, [element("span")])]),
    element("td", { className: "num" }), element("td"),
  ]);
}

function update(node, input, share, found) {
  const [name, value, pushes, amount, drift] = node.cells;
  const [first, ...others] = input.features.filter((each, at) => at === 0 || each !== "history_s");
  const called = others.length === 1 ? `${first} / ${others[0]}` : first;
  fill(name, called, () => breakable(called));
  name.title = `Made of ${input.features.join(", ")}`;
  setText(value, input.value === null ? "unknown" : short(input.value));
  const bar = pushes.firstChild;
  const isLinear = found.method === "linear";
  bar.className = `push ${!isLinear ? "plain" : input.amount >= 0 ? "up" : "down"}`;
  bar.firstChild.style.width = `${(share * (isLinear ? 50 : 100)).toFixed(1)}%`;
  const figure = isLinear ? input.amount * (found.link === "logit" ? 1 : 1e4) : input.importance;
  setText(amount, figure === null ? "–" : `${isLinear && figure > 0 ? "+" : ""}${number(figure, 3)}`);
  const moved = input.drift === null ? null : DRIFT.find(([limit]) => input.drift >= limit) ?? DRIFT[2];
  fill(drift, moved ? `${moved[2]} ${input.drift.toFixed(2)}` : "", () => (moved
    ? [tag(moved[1], `${moved[2]} ${input.drift.toFixed(2)}`, "Population stability index of the last rows against the training")]
    : [element("span", { className: "muted", text: "not known yet", title: NOT_KNOWN })]));
}

function short(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return number(value, size >= 100 ? 1 : 4);
}

function note(found) {
  const more = found.inputs.length > MOST ? ` ${found.inputs.length - MOST} smaller ones are left out.` : "";
  const late = found.is_latest ? "" : " These are the features of a tick shortly before the newest score.";
  const drift = found.drift_rows ? ` Drift is that of ${found.drift_rows.toLocaleString("en-US")} rows against the training.` : "";
  if (found.method === "linear") {
    const unit = found.link === "logit" ? "log odds" : "bps";
    const base = number(found.base * (found.link === "logit" ? 1 : 1e4), 3);
    return `Exact: the model's own coefficients. Usual values give ${base} ${unit}; with what is listed that comes to the score.${more}${late}${drift}`;
  }
  if (found.method === "importances") {
    return `The model is not linear: what its quality rests on in general, by shuffling one feature at a time.${more}${late}${drift}`;
  }
  return `The model is not linear, and its training measured no importances: retrain it to see them.${late}${drift}`;
}

export function failed(error, target) {
  byId("why-body").hidden = true;
  byId("why-empty").hidden = false;
  const advice = {
    model_unavailable: `No model of ${plainWords(target)} serves yet: train or promote one.`,
    kafka_unavailable: "The features lie on Kafka, which does not answer.",
    no_features: "The pipeline writes no features, or none of this symbol of late: set VOLTICK_PUBLISH_FEATURES=true.",
    unknown_symbol: "This symbol has no score yet.",
  };
  setText(byId("why-empty"), error instanceof Refused ? advice[error.code] ?? error.message : "The API does not answer.");
}
