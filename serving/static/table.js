// The live table: one row per symbol, rewritten only where something changed.

import { age, byId, element, price, score, setText } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 130;
const HEIGHT = 26;
const CLOCK_TOLERANCE_MS = 1000;

export class ScoreTable {
  constructor(onSelect) {
    this.body = byId("scores").tBodies[0];
    this.rows = new Map();
    this.onSelect = onSelect;
    this.selected = null;
    this.filter = "";
    byId("filter").addEventListener("input", (event) => {
      this.filter = event.target.value.trim().toUpperCase();
      for (const [symbol, row] of this.rows) row.tr.hidden = !this.matches(symbol);
    });
  }

  matches(symbol) {
    return symbol.toUpperCase().includes(this.filter);
  }

  render(states, target, now) {
    for (const [symbol, state] of states) {
      let row = this.rows.get(symbol);
      if (!row) row = this.add(symbol);
      if (!row.tr.hidden) update(row, state, target, now);
    }
    byId("scores-empty").hidden = states.size > 0;
  }

  select(symbol) {
    this.selected = symbol;
    for (const [name, row] of this.rows) row.tr.setAttribute("aria-selected", String(name === symbol));
  }

  add(symbol) {
    const button = element("button", { type: "button", text: symbol });
    const bar = element("progress", { max: "1", "aria-hidden": "true" });
    const value = element("span");
    const line = document.createElementNS(SVG, "polyline");
    const spark = document.createElementNS(SVG, "svg");
    spark.setAttribute("class", "spark");
    spark.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    spark.setAttribute("preserveAspectRatio", "none");
    spark.setAttribute("aria-hidden", "true");
    spark.append(line);
    const cells = {
      price: element("td", { className: "num" }),
      score: element("td", { className: "num" }, [
        element("span", { className: "scorecell" }, [value, bar]),
      ]),
      decision: element("td"),
      spark: element("td", {}, [spark]),
      age: element("td", { className: "num" }),
      state: element("td"),
      model: element("td", { className: "model" }),
    };
    const tr = element("tr", { "aria-selected": String(symbol === this.selected) }, [
      element("th", { scope: "row" }, [button]),
      ...Object.values(cells),
    ]);
    tr.hidden = !this.matches(symbol);
    tr.addEventListener("click", () => this.onSelect(symbol));
    const following = [...this.rows.keys()].filter((name) => name > symbol).sort()[0];
    this.body.insertBefore(tr, following ? this.rows.get(following).tr : null);
    const row = { tr, cells, value, bar, line };
    this.rows.set(symbol, row);
    return row;
  }
}

function update(row, state, target, now) {
  const { cells } = row;
  const latest = state.latest;
  const own = latest.scores[target.name];
  setText(cells.price, price(latest.price));
  setText(row.value, score(own?.score, target.kind));
  row.bar.hidden = target.kind === "regression" || !own;
  if (own && target.kind !== "regression") row.bar.value = Math.min(1, Math.max(0, own.score));
  row.bar.classList.toggle("high", own?.decision === true);
  tags(cells.decision, own ? decision(own, target.kind) : []);
  const milliseconds = now - state.scoredAt;
  setText(cells.age, isAhead(state) ? `${age(state.aheadMs)} ahead` : age(milliseconds));
  tags(cells.state, flags(state, milliseconds, target.staleAfter));
  setText(cells.model, own ? `${own.model}@${own.version}` : "no champion");
  cells.model.title = cells.model.textContent;
  row.line.setAttribute("points", sparkPoints(state.points, target.name));
}

function decision(own, kind) {
  if (kind === "regression") return own.score > 0 ? [["", "up"]] : own.score < 0 ? [["", "down"]] : [["", "flat"]];
  if (own.decision === null || own.decision === undefined) return [];
  return own.decision ? [["alert", "▲ alert"]] : [["", "calm"]];
}

/** The score is dated ahead of the API's clock: its true age is not known. */
function isAhead(state) {
  return state.aheadMs > CLOCK_TOLERANCE_MS;
}

function flags(state, milliseconds, staleAfter) {
  const { latest } = state;
  const found = [];
  if (isAhead(state)) found.push(["warn", "clock ahead"]);
  if (Math.max(milliseconds, state.aheadMs) > staleAfter) found.push(["warn", "stale"]);
  if (!latest.warm) found.push(["warn", "warming up"]);
  if (latest.late) found.push(["", "late"]);
  if (latest.gap) found.push(["warn", "gap"]);
  if (!found.length) found.push(["good", "live"]);
  return found;
}

function tags(cell, wanted) {
  const wording = wanted.map(([kind, text]) => `${kind}:${text}`).join("|");
  if (cell.dataset.tags === wording) return;
  cell.dataset.tags = wording;
  cell.replaceChildren(...wanted.map(([kind, text]) => element("span", { className: `tag ${kind}`, text })));
}

function sparkPoints(points, name) {
  const values = points.slice(-90).map((point) => point.scores[name]?.score).filter(Number.isFinite);
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  return values
    .map((value, index) => {
      const x = (index / (values.length - 1)) * WIDTH;
      const y = HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
