// Numbers, times and elements. Text reaches the page by textContent alone, never as markup.

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function price(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return number(value, size >= 1000 ? 2 : size >= 1 ? 4 : 6);
}

export function score(value, kind) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return kind === "regression" ? `${number(value * 1e4, 2)} bps` : number(value, 3);
}

export function age(milliseconds) {
  if (!Number.isFinite(milliseconds)) return "–";
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function clock(nanoseconds) {
  return new Date(nanoseconds / 1e6).toISOString().replace("T", " ").slice(0, 23);
}

export function element(name, { text, className, ...attributes } = {}, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const byId = (id) => document.getElementById(id);
