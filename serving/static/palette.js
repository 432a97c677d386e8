// Colours of the charts, taken from the page's style, so that light and dark have one place.

import { byId } from "./format.js";

export const palette = {};

const NAMES = ["bg", "card", "line", "text", "muted", "accent", "accent-soft", "price", "bid", "ask", "alert",
  "hit", "miss", "pending", "volume", "up", "down", "s1", "s2", "s3", "s4", "s5", "s6"];
const listeners = [];

export function read() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) palette[name] = style.getPropertyValue(`--${name}`).trim();
}

export const seriesColour = (index) => palette[`s${(index % 6) + 1}`];

export function onColours(listener) {
  listeners.push(listener);
}

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function changed() {
  read();
  const button = byId("theme");
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
  for (const listener of listeners) listener();
}

export function start() {
  byId("theme").addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem("voltick-theme", chosen);
    } catch {
      // Storage is refused: the choice lasts as long as the page.
    }
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  changed();
}

/** A colour with an opacity, for fills. */
export function soft(colour, percent) {
  const [, r, g, b] = /^#(..)(..)(..)$/.exec(colour) ?? [null, "80", "80", "80"];
  return `rgba(${parseInt(r, 16)}, ${parseInt(g, 16)}, ${parseInt(b, 16)}, ${percent / 100})`;
}
