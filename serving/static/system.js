// What the pipeline is doing: feed, throughput, latencies, partitions, dead letters, swaps.

import { Refused } from "./api.js";
import { age, byId, clock, compact, duration, element, fill, modelName, number, plainWords, setText, tag } from "./format.js";

const RATES = 60;
const rates = [];

/** The short form beside the charts: rate, latency and lag, and the rate's last minutes. */
function showFlow(report, lag) {
  byId("flow-card").hidden = false;
  rates.push(report.ticks_per_s);
  if (rates.length > RATES) rates.shift();
  const whole = report.latency.find((each) => each.stage === "venue to score");
  setText(byId("flow-feed"), report.feed === "SIMULATED" ? "simulated" : report.feed);
  setText(byId("flow-rate"), `${number(report.ticks_per_s, 1)}/s`);
  setText(byId("flow-latency"), whole ? duration(whole.p50_ms) : "–");
  byId("flow-latency").title = whole ? `p99 ${duration(whole.p99_ms)}, over ${whole.count} ticks` : "";
  setText(byId("flow-lag"), lag);
  const top = Math.max(...rates, 1) * 1.15;
  const line = rates.map((rate, at) => `${((at / Math.max(rates.length - 1, 1)) * 240).toFixed(1)},${(44 - (rate / top) * 42).toFixed(1)}`);
  byId("flow-line").querySelector("polyline").setAttribute("points", line.join(" "));
  byId("flow-line").querySelector("polygon").setAttribute("points", rates.length > 1 ? `0,44 ${line.join(" ")} 240,44` : "");
}

export function show(report) {
  byId("system-body").hidden = false;
  byId("system-empty").hidden = true;
  setText(byId("feed"), report.feed);
  setText(byId("throughput"), `${number(report.ticks_per_s, 1)}/s`);
  const lags = report.partitions.map((each) => each.lag).filter((lag) => lag !== null);
  const lag = lags.length ? compact(lags.reduce((sum, each) => sum + each, 0)) : "–";
  setText(byId("lag"), lag);
  showFlow(report, lag);
  setText(byId("gaps"), String(report.gaps));
  byId("gaps").title = `Of the ${report.looked_at} newest ticks; every reconnect of a feed leaves one`;
  byId("reconnects-part").hidden = !report.feeds.length;
  setText(byId("reconnects"), String(report.feeds.reduce((sum, each) => sum + each.reconnects, 0)));
  byId("reconnects").title = report.feeds.map((each) => `${each.feed}: ${each.reconnects}`).join(", ");
  const whole = report.latency.find((each) => each.stage === "venue to score");
  setText(byId("whole-latency"), whole ? duration(whole.p50_ms) : "–");
  fill(byId("venues"), JSON.stringify(report.venues.map((each) => [each.venue, each.symbols, age(each.event_age_ms)])), () =>
    report.venues.map((each) => element("li", {}, [
      element("b", { text: each.venue }), ` ${each.symbols} symbol${each.symbols === 1 ? "" : "s"}, newest event ${age(each.event_age_ms)} ago`,
    ])));
  fill(byId("latency"), JSON.stringify(report.latency), () => report.latency.map((each) => element("tr", {}, [
    element("th", { scope: "row", text: each.stage }),
    ...[each.p50_ms, each.p90_ms, each.p99_ms].map((value) => element("td", { className: "num", text: duration(value) })),
  ])));
  fill(byId("partitions"), JSON.stringify(report.partitions), () => report.partitions.map((each) => element("tr", {}, [
    element("th", { scope: "row", text: String(each.partition) }),
    element("td", { className: "num", text: each.ticks.toLocaleString("en-US") }),
    element("td", { className: "num", text: number(each.ticks_per_s, 1) }),
    element("td", { className: "num", text: each.lag === null ? "–" : each.lag.toLocaleString("en-US") }),
    element("td", { className: "muted", text: each.owner ?? "this run", title: each.owner ?? "Not shared out by a group" }),
  ])));
  fill(byId("moves"), JSON.stringify(report.moves), () => report.moves.slice(-6).reverse().map((move) => element("li", {}, [
    element("span", { className: "time", text: clock(move.ts_ns).slice(5, 19) }), " ",
    element("b", { text: move.after ? modelName(move.after) : "no model", title: move.after ?? "" }),
    ` for ${plainWords(move.target)}${move.before ? `, before ${modelName(move.before)}` : ""} `,
    element("span", { className: "muted", text: `by ${move.by}` }),
  ])));
  byId("moves-empty").hidden = report.moves.length > 0;
}

export function failed(error) {
  byId("system-body").hidden = true;
  byId("system-empty").hidden = false;
  setText(byId("system-empty"), error instanceof Refused ? error.message : "The API does not answer.");
}

export function showDead(found) {
  setText(byId("flow-dead"), compact(found.total));
  byId("flow-dead").classList.toggle("warn", found.total > 0);
  byId("dead-empty").hidden = found.letters.length > 0;
  fill(byId("dead-reasons"), JSON.stringify([found.by_reason, found.total]), () => Object.entries(found.by_reason).map(([reason, count]) =>
    tag("warn", `${count} × ${plainWords(reason)}`)));
  fill(byId("dead-letters"), JSON.stringify(found.letters), () => found.letters.map((letter) => element("li", {}, [
    element("details", {}, [
      element("summary", {}, [
        element("span", { className: "time", text: clock(letter.at_ms * 1e6).slice(11, 19) }), " ",
        element("b", { text: plainWords(letter.reason) }), " ", element("span", { className: "muted", text: letter.detail }),
      ]),
      element("pre", { text: letter.payload + (letter.size > letter.payload.length ? ` … (${letter.size} bytes)` : "") }),
      element("p", { className: "muted", text: letter.topic ? `${letter.topic}, partition ${letter.partition}, offset ${letter.offset}`
        : `a frame of ${letter.venue ?? "a feed"}` }),
    ]),
  ])));
}
