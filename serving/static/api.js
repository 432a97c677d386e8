// The REST calls and the event stream.

// The API's root as the browser sees it, whatever proxy lies between.
const ROOT = new URL("..", import.meta.url);

export async function get(path) {
  const response = await fetch(new URL(path, ROOT), { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok && !body.checks) throw new Error(body.error?.message ?? response.statusText);
  return body;
}

/** Follow /stream; reopens it for ever, also where the browser has given up. */
export function follow(onScore, onState) {
  let source = null;
  const open = () => {
    source = new EventSource(new URL("stream", ROOT));
    source.addEventListener("open", () => onState(true));
    source.addEventListener("score", (event) => onScore(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      onState(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 2000);
    });
  };
  open();
}
