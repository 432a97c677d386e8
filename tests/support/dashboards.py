"""Grafana's dashboards as the repository holds them."""

import json
from typing import Any

from tests.support.processes import ROOT

FOLDER = ROOT / "docker" / "grafana"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
TARGET = "volatility_spike"


def queries() -> list[tuple[str, str, str, str]]:
    """Return dashboard, panel, the panel's description and query, variables filled in."""
    return [
        (name, panel["title"], panel["description"], each["expr"].replace("$target", TARGET))
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for each in panel["targets"]
    ]
