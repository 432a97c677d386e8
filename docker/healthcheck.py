"""Ask the process of this container whether it answers (standard library alone).

A flow, ingest, a trainer and the alerts answer at the first of the ports below that their
environment names (0 is none); the API at ``VOLTICK_API_PORT``; anything else at the URL that is
given as the one argument. Whether Kafka, Redis and the feed are well is another question, for
``GET /health``: starting this container anew would not mend them.
"""

import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence

TIMEOUT_S = 4.0
METRICS_PORTS = (
    "VOLTICK_METRICS_PORT",
    "VOLTICK_INGEST_METRICS_PORT",
    "VOLTICK_OUTCOMES_METRICS_PORT",
    "VOLTICK_CANDLES_METRICS_PORT",
    "VOLTICK_ARCHIVE_METRICS_PORT",
    "VOLTICK_TRAINER_METRICS_PORT",
    "VOLTICK_ALERTS_METRICS_PORT",
)


def address(env: Mapping[str, str]) -> str:
    """Return the URL to ask."""
    for name in METRICS_PORTS:
        metrics = env.get(name) or "0"
        if metrics != "0":
            return f"http://127.0.0.1:{metrics}/metrics"
    prefix = env.get("VOLTICK_API_ROOT_PATH", "").rstrip("/")
    return f"http://127.0.0.1:{env.get('VOLTICK_API_PORT') or '8000'}{prefix}/version"


def main(arguments: Sequence[str] = ()) -> int:
    """Return 0 if it answers, 1 if not."""
    url = arguments[0] if arguments else address(os.environ)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):  # noqa: S310 (loopback, by http)
            return 0
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
