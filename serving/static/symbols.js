// The list of all symbols. Only the rows in sight exist, so that 500 cost what 12 do.

import { byId, element, price, score as scoreText, setText } from "./format.js";
import { flags, overall, states } from "./scores.js";
import { change, view } from "./view.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 46;
const EXTRA = 3;

const list = byId("symbols");
const space = byId("symbols-space");
const rows = [];
let names = [];
let filter = "";
let signature = "";

function make() {
  const line = document.createElementNS(SVG, "polyline");
  const spark = document.createElementNS(SVG, "svg");
  spark.setAttribute("class", "spark");
  spark.setAttribute("viewBox", "0 0 56 22");
  spark.setAttribute("preserveAspectRatio", "none");
  spark.setAttribute("aria-hidden", "true");
  spark.append(line);
  const parts = {
    name: element("span", { className: "name" }),
    value: element("span", { className: "price" }),
    score: element("span", { className: "score" }),
    state: element("span", { className: "state" }),
  };
  const node = element("div", { role: "option", className: "symbol" }, [
    element("span", { className: "who" }, [parts.name, parts.state]), spark,
    element("span", { className: "numbers" }, [parts.value, parts.score]),
  ]);
  node.addEventListener("click", () => change({ symbol: node.dataset.symbol, zoom: null }));
  space.append(node);
  return { node, line, ...parts };
}

export function draw(target, now) {
  const fresh = JSON.stringify([[...states.keys()], filter, overall.loaded]);
  if (fresh !== signature) {
    signature = fresh;
    names = [...states.keys()].filter((name) => name.toUpperCase().includes(filter)).sort();
    space.style.height = `${names.length * ROW}px`;
    setText(byId("symbols-count"), names.length === states.size ? String(states.size) : `${names.length} of ${states.size}`);
    byId("symbols-empty").hidden = names.length > 0;
    setText(byId("symbols-empty"), states.size ? "No symbol fits." : overall.loaded
      ? "No score yet. The pipeline writes the first one a few seconds after its start; the health above says what is missing."
      : "Asking the API for scores.");
  }
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - EXTRA);
  const last = Math.min(names.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + EXTRA);
  const wanted = Math.max(0, last - first);
  while (rows.length < wanted) rows.push(make());
  rows.forEach((row, index) => {
    row.node.hidden = index >= wanted;
    if (index < wanted) update(row, names[first + index], first + index, target, now);
  });
}

function update(row, symbol, place, target, now) {
  const state = states.get(symbol);
  if (!state) return;
  const { latest } = state;
  const own = latest.scores[target.name];
  if (row.node.dataset.symbol !== symbol) {
    row.node.dataset.symbol = symbol;
    row.node.id = `symbol-${place}`;
    setText(row.name, symbol);
  }
  row.node.style.transform = `translateY(${place * ROW}px)`;
  row.node.setAttribute("aria-posinset", String(place + 1));
  row.node.setAttribute("aria-setsize", String(names.length));
  row.node.setAttribute("aria-selected", String(symbol === view.symbol));
  if (symbol === view.symbol) list.setAttribute("aria-activedescendant", row.node.id);
  setText(row.value, price(latest.price));
  setText(row.score, own ? scoreText(own.score, target.kind) : "no model");
  row.node.classList.toggle("alert", own?.decision === true);
  const words = own?.decision === true ? [["alert", "alert"]] : [];
  words.push(...flags(state, now));
  setText(row.state, words.length ? words.map(([, word]) => word).join(", ") : "live");
  row.state.classList.toggle("warn", words.some(([kind]) => kind === "warn"));
  row.line.setAttribute("points", points(state.trend));
}

function points(values) {
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  return values.map((value, at) =>
    `${((at / (values.length - 1)) * 56).toFixed(1)},${(20 - ((value - low) / span) * 18).toFixed(1)}`).join(" ");
}

/** Choose another symbol by its place in the list, and bring it into sight. */
function step(by) {
  if (!names.length) return;
  const at = names.indexOf(view.symbol);
  const next = Math.min(names.length - 1, Math.max(0, (at < 0 ? 0 : at) + by));
  change({ symbol: names[next], zoom: null });
  const top = next * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

export function start(redraw) {
  byId("filter").addEventListener("input", (event) => {
    filter = event.target.value.trim().toUpperCase();
    list.scrollTop = 0;
    redraw();
  });
  list.addEventListener("scroll", redraw, { passive: true });
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -1e9, End: 1e9 };
  list.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    step(moves[event.key]);
  });
}
