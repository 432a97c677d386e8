// The line above the charts: what holds for the chosen symbol now.

import { age, byId, fill, modelName, plainWords, price, score as scoreText, setText, tag } from "./format.js";
import { ageOf, flags, isAhead, states } from "./scores.js";
import { view } from "./view.js";

let shownPrice = null;

export function draw(target, series, now) {
  const state = states.get(view.symbol);
  byId("headline").hidden = !state;
  if (!state) return;
  const { latest } = state;
  setText(byId("symbol"), latest.symbol);
  setText(byId("venue"), latest.venue);
  const node = byId("price");
  setText(node, price(latest.price));
  if (shownPrice !== null && shownPrice.symbol === latest.symbol && shownPrice.value !== latest.price) {
    node.dataset.move = latest.price > shownPrice.value ? "up" : "down";
  }
  shownPrice = { symbol: latest.symbol, value: latest.price };
  change(series, latest.price);
  quotes(series);
  const own = latest.scores[target.name];
  setText(byId("score-label"), target.kind === "regression" ? "Forecast, next minute" : plainWords(target.name ?? "score"));
  setText(byId("score"), own ? scoreText(own.score, target.kind) : "–");
  byId("score").classList.toggle("alert", own?.decision === true);
  gauge(own, target);
  const said = verdict(own, target);
  setText(byId("verdict"), said);
  const champion = own ? `${own.model}@${own.version}` : null;
  setText(byId("champion"), champion ? modelName(champion) : "no model yet");
  byId("champion").title = champion ?? "";
  setText(byId("provenance"), champion && target.provenance ? provenance(target) : "");
  setText(byId("age"), isAhead(state) ? `${age(state.aheadMs)} ahead` : age(ageOf(state, now)));
  const found = flags(state, now);
  const words = found.length ? found : [["good", "live", "Scored just now"]];
  fill(byId("flags"), words.map(([, word]) => word).join("|"), () => words.map(([kind, word, why]) => tag(kind, word, why)));
}

/** How far the price has come since the charts begin. */
function change(series, now) {
  const node = byId("change");
  const from = series?.columns.close.find((value) => value !== null) ?? null;
  node.hidden = from === null || series.ts.length < 2;
  if (node.hidden) return;
  const percent = (now / from - 1) * 100;
  setText(node, `${percent > 0 ? "+" : ""}${percent.toFixed(2)} %`);
  node.title = `Since the charts begin, ${series.range.label} at most`;
  node.dataset.move = percent >= 0 ? "up" : "down";
}

function quotes(series) {
  const columns = series?.columns;
  const at = columns ? columns.bid.findLastIndex((value) => value !== null) : -1;
  byId("quotes").hidden = at < 0;
  if (at < 0) return;
  const [bid, ask] = [columns.bid[at], columns.ask[at]];
  setText(byId("bid"), price(bid));
  setText(byId("ask"), price(ask));
  setText(byId("spread"), ask !== null && bid !== null ? `${(((ask - bid) / ((ask + bid) / 2)) * 1e4).toFixed(2)} bps` : "–");
}

function gauge(own, target) {
  const host = byId("gauge");
  host.hidden = !own || target.kind === "regression";
  if (host.hidden) return;
  // The scale ends at a round value that shows both.
  const top = Math.min(1, Math.ceil(Math.max(own.score, target.threshold ?? 0) * 1.25 * 10) / 10 || 0.1);
  byId("gauge-bar").style.width = `${Math.min(100, (own.score / top) * 100)}%`;
  byId("gauge-bar").classList.toggle("alert", own.decision === true);
  const limit = byId("gauge-limit");
  limit.hidden = target.threshold === null;
  if (target.threshold !== null) limit.style.left = `${Math.min(100, (target.threshold / top) * 100)}%`;
}

function verdict(own, target) {
  if (!own) return "No model of this target serves yet: train or promote one.";
  if (target.kind === "regression") return own.score > 0 ? "up" : own.score < 0 ? "down" : "no change";
  if (own.decision === true) return "▲ alert: a spike is likely within a minute";
  return target.threshold === null ? "" : `calm, alert from ${target.threshold.toFixed(3)}`;
}

function provenance(target) {
  const words = { simulated: "trained on simulated data", builtin: "built in, not trained" };
  return words[target.provenance] ?? `trained on ${target.provenance} data`;
}
