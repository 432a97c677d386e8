"""What a program's HTTP server answers while it starts and runs."""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError, URLError


def answer_of(port: int, path: str) -> dict[str, Any]:
    """Return the JSON object that is answered; empty while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return {}
