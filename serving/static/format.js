// Numbers, times and elements. Text reaches the page by textContent alone, never as markup.

const isNumber = (value) => value !== null && value !== undefined && Number.isFinite(value);

export function number(value, digits = 3) {
  if (!isNumber(value)) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function compact(value) {
  if (!isNumber(value)) return "–";
  return value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 });
}

const power = (size) => Math.floor(Math.log10(size));
// "1.2340e-9", and no sign before a power above 0: an axis has room for ten signs.
const scientific = (value, digits) => value.toExponential(digits).replace("e+", "e");

/** A price or a quantity of any market: of 0.00001234 as of 1,600,000,000 the first digits are told. */
export function price(value) {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e10 || (size > 0 && size < 1e-6)) return scientific(value, 4);
  if (size >= 1) return number(value, size >= 1e7 ? 0 : size >= 1000 ? 2 : 4);
  return number(value, size > 0 ? Math.max(6, 3 - power(size)) : 6);
}

/** A value as an axis says it, whose lines are `step` apart: as many digits as tell them apart. */
export function axisValue(value, step) {
  if (!isNumber(value)) return "–";
  const at = power(step);
  const isHalf = Math.abs(step / 10 ** at - Math.round(step / 10 ** at)) > 0.01; // 2.5, 0.25, ...
  const last = isHalf ? at - 1 : at;
  const plain = number(value, Math.min(Math.max(-last, 0), 20));
  if (plain.length <= 10 || value === 0) return value === 0 ? "0" : plain;
  return scientific(value, Math.min(Math.max(power(Math.abs(value)) - last, 0), 15));
}

export function score(value, kind) {
  if (!isNumber(value)) return "–";
  return kind === "regression" ? `${value > 0 ? "+" : ""}${number(value * 1e4, 2)} bps` : number(value, 3);
}

export function age(milliseconds) {
  if (!isNumber(milliseconds)) return "–";
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function duration(milliseconds) {
  if (!isNumber(milliseconds)) return "–";
  const size = Math.abs(milliseconds);
  if (size < 10) return `${number(milliseconds, 1)} ms`;
  if (size < 1000) return `${Math.round(milliseconds)} ms`;
  return `${number(milliseconds / 1000, size < 10000 ? 2 : 1)} s`;
}

export function clock(nanoseconds) {
  return new Date(nanoseconds / 1e6).toISOString().replace("T", " ").slice(0, 23);
}

export function timeOfDay(seconds, withSeconds = true) {
  return new Date(seconds * 1000).toISOString().slice(11, withSeconds ? 19 : 16);
}

/**
 * A model's name as people say it: its variant, and when it was made. The whole reference belongs
 * into the title. "volatility_spike-logreg@20261128T072848Z-0fef0b43" is "logreg 07:28".
 */
export function modelName(ref) {
  const [name, version = ""] = ref.split("@");
  const kind = name.split("-").at(-1) || name;
  const made = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})/.exec(version);
  if (!made) return kind;
  const [, year, month, day, hour, minute] = made;
  const today = new Date().toISOString().slice(0, 10) === `${year}-${month}-${day}`;
  if (hour + minute === "0000") return kind;
  return today ? `${kind} ${hour}:${minute}` : `${kind} ${month}-${day} ${hour}:${minute}`;
}

export const plainWords = (name) => name.replaceAll("_", " ");

export function element(name, { text, className, ...attributes } = {}, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A name with underscores as nodes, so that a line may end behind each of them. */
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, at) => (at ? [document.createElement("wbr"), part] : [part]));
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function tag(kind, text, title) {
  return element("span", { className: `tag ${kind}`, text, ...(title ? { title } : {}) });
}

/** Put a table's rows in place, but only where what they say has changed. */
export function fill(node, signature, children) {
  if (node.dataset.said === signature) return;
  node.dataset.said = signature;
  node.replaceChildren(...children());
}

export const byId = (id) => document.getElementById(id);
