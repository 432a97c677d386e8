// What is looked at: symbol, target, range and style. It is kept in the address, so that a link
// shows the same.

export const RANGES = [
  { seconds: 300, step: 1, candle: 5, label: "5 min" },
  { seconds: 900, step: 1, candle: 15, label: "15 min" },
  { seconds: 3600, step: 5, candle: 60, label: "1 h" },
  { seconds: 7200, step: 10, candle: 120, label: "2 h" },
];

export const view = {
  symbol: null,
  target: null,
  range: RANGES[2],
  candles: false,
  paused: false,
  // A part that was zoomed into, seconds; null while the chart follows the newest.
  zoom: null,
};

const listeners = [];

export function onView(listener) {
  listeners.push(listener);
}

/** Change what is looked at, keep it in the address, and tell everybody what changed. */
export function change(changes) {
  const before = { ...view };
  Object.assign(view, changes);
  const names = Object.keys(changes).filter((name) => before[name] !== view[name]);
  if (!names.length) return;
  write();
  for (const listener of listeners) listener(new Set(names));
}

function write() {
  const parts = new URLSearchParams();
  if (view.symbol !== null) parts.set("symbol", view.symbol);
  if (view.target !== null) parts.set("target", view.target);
  parts.set("range", String(view.range.seconds));
  if (view.candles) parts.set("style", "candles");
  if (view.zoom) {
    parts.set("from", String(Math.floor(view.zoom.from)));
    parts.set("to", String(Math.ceil(view.zoom.to)));
  }
  history.replaceState(null, "", `#${parts}`);
}

export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const [from, to] = [Number(parts.get("from")), Number(parts.get("to"))];
  return {
    symbol: parts.get("symbol"),
    target: parts.get("target"),
    range: RANGES.find((each) => String(each.seconds) === parts.get("range")) ?? RANGES[2],
    candles: parts.get("style") === "candles",
    zoom: from > 0 && to > from ? { from, to } : null,
  };
}

Object.assign(view, readAddress());
addEventListener("hashchange", () => change(readAddress()));
