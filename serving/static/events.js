// The newest alerts and misses of the chosen symbol, as a list beside the chart.

import { byId, element, fill, number, price, timeOfDay } from "./format.js";
import { change, view } from "./view.js";

const MOST = 30;
const AROUND_S = 150;
const WORDS = {
  hit: ["good", "▲ hit", "The score was above its threshold, and a spike followed"],
  false_alarm: ["alert", "△ false alarm", "The score was above its threshold, and no spike followed"],
  miss: ["miss", "◇ miss", "A spike followed, and the score stayed below its threshold"],
  pending: ["warn", "● open", "The score was above its threshold; what follows is not known yet"],
};

export function draw(series) {
  const isForecast = series?.kind === "regression";
  byId("events-card").hidden = !series || isForecast;
  if (!series || isForecast) return;
  const counts = { hit: 0, false_alarm: 0, miss: 0, pending: 0 };
  for (const mark of series.marks) counts[mark.kind] += 1;
  const marks = series.marks.slice(-MOST).reverse();
  byId("events-empty").hidden = marks.length > 0 || !series.ts.length;
  fill(byId("events-counts"), JSON.stringify(counts), () => Object.entries(counts)
    .filter(([kind, count]) => count || kind !== "pending")
    .map(([kind, count]) => element("span", { className: `count ${kind}`, title: WORDS[kind][2] }, [
      element("b", { text: String(count) }), ` ${WORDS[kind][1].slice(2)}${count === 1 || kind === "pending" ? "" : kind === "miss" ? "es" : "s"}`,
    ])));
  fill(byId("events"), JSON.stringify([marks, view.symbol]), () => marks.map((mark) => {
    const [kind, word, why] = WORDS[mark.kind];
    const button = element("button", { type: "button", title: `${why}. Show it on the chart.` }, [
      element("span", { className: `tag ${kind}`, text: word }),
      element("span", { className: "time", text: timeOfDay(mark.ts_s) }),
      element("span", { className: "num", text: mark.score === null ? "–" : number(mark.score, 3) }),
      element("span", { className: "num muted", text: price(mark.price) }),
    ]);
    button.addEventListener("click", () => change({ zoom: { from: mark.ts_s - AROUND_S, to: mark.to_s + AROUND_S } }));
    return element("li", {}, [button]);
  }));
}
