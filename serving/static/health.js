// Health in the header, and what to do where something is missing.

import { byId, element, fill, setText } from "./format.js";

const ADVICE = {
  model: "Train or promote a model: python -m training.retrain --help, python -m training.models --help.",
  kafka: "Check that the broker runs and that KAFKA_BOOTSTRAP_SERVERS names it.",
  redis: "Check that Redis runs and that REDIS_URL names it. Scoring goes on meanwhile.",
  stream: "The API subscribes again by itself once Redis answers.",
  ticks: "Check the feed (flows.ingest) and the pipeline (flows.pipeline): their logs name the cause.",
};

function state(word, kind, problem) {
  byId("health").dataset.state = kind;
  setText(byId("health-word"), word);
  const banner = byId("trouble");
  banner.hidden = !problem;
  if (problem) setText(banner, problem);
}

export function show(report) {
  const failing = report.failing.map((name) => `${name}: ${report.checks[name].detail}. ${ADVICE[name] ?? ""}`);
  state(report.status === "ok" ? "healthy" : `failing: ${report.failing.join(", ")}`,
    report.status === "ok" ? "ok" : "bad", failing.join(" "));
  fill(byId("health-checks"), JSON.stringify([report.checks, report.warnings]), () => [
    ...Object.entries(report.checks).map(([name, check]) => element("li", {}, [
      element("strong", { text: name }),
      element("span", { className: check.ok ? "good" : "bad", text: check.ok ? "ok " : "failing " }),
      element("span", { className: "muted", text: check.detail }),
    ])),
    ...report.warnings.map((warning) => element("li", { className: "warn", text: warning })),
  ]);
}

export function unreachable() {
  state("API unreachable", "bad",
    "The API does not answer. The page shows what it knew last, and goes on by itself once the API is back.");
}

export function interrupted() {
  state("stream interrupted", "bad", "The event stream is interrupted; the page connects again by itself.");
}
