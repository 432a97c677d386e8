// The REST calls and the event stream.

// The API's root as the browser sees it, whatever proxy lies between; this file lies at
// static/DIGEST/api.js below it.
const ROOT = new URL("../..", import.meta.url);
const TIMEOUT_MS = 15000;

/** The API refused; `code` is its stable name for the reason. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `the API answered ${status}`);
    this.status = status;
    this.code = body?.error?.code ?? null;
  }
}

export async function get(path, parameters = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const response = await fetch(url, {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body = await response.json();
  if (!response.ok && !body.checks) throw new Refused(response.status, body);
  return body;
}

export const scorePath = (kind, symbol) => `${kind}/${encodeURIComponent(symbol)}`;

/**
 * Follow /stream; reopens it for ever, also where the browser has given up. A hidden tab has none:
 * a browser gives a host six connections, and as many tabs would leave the next one waiting.
 */
export function follow(onScore, onState) {
  let source = null;
  const open = () => {
    source?.close();
    source = null;
    if (document.hidden) return;
    source = new EventSource(new URL("stream", ROOT));
    source.addEventListener("open", () => onState(true));
    source.addEventListener("score", (event) => onScore(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      onState(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 2000);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden !== (source === null)) open();
  });
  open();
}

/**
 * Repeat a load for ever; one that fails is tried again, whatever it was. It does not run while the
 * tab is hidden, and at once when it is seen again.
 */
export function repeat(load, milliseconds, onFailure = () => {}) {
  let timer = null;
  let running = false;
  let again = false;
  const run = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    clearTimeout(timer);
    let wait = typeof milliseconds === "function" ? milliseconds() : milliseconds;
    try {
      const soon = await load();
      if (soon !== undefined) wait = soon;
    } catch (error) {
      onFailure(error);
    }
    running = false;
    if (again) wait = 0;
    again = false;
    timer = setTimeout(() => { if (!document.hidden) run(); }, wait);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  run();
  return run;
}
