"""Debian's Prometheus and Alertmanager as context managers for tests."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support import docs
from tests.support.embedded import Server
from tests.support.processes import ROOT

FOLDER = ROOT / "docker" / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
_ALERTMANAGERS = ("prometheus-alertmanager", "alertmanager")


def binary(*names: str) -> str:
    """Return a program's path; skips where there is none."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"{names[0]} is not installed (apt-get install prometheus prometheus-alertmanager)")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool; skips where there is none."""
    command = [binary("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def rules() -> list[dict[str, Any]]:
    """Return all recording and alerting rules."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def unknown_metrics(text: str) -> set[str]:
    """Return what queries name that is no metric of the product, and nothing that rules record."""
    rows = re.findall(r"^\| `(voltick_\w+)` \|", docs.metrics_table(), re.MULTILINE)
    known = set(rows) | {rule["record"] for rule in rules() if "record" in rule}
    used = set(re.findall(r"\bvoltick[_:][a-z0-9_:]*", text))
    return {
        name
        for name in used
        if name not in known and re.sub(r"_(?:bucket|sum|count)$", "", name) not in known
    }


class Alertmanager(Server):
    """Alertmanager as its container starts it, with the receivers of this process's environment."""

    def command(self) -> list[str]:
        """Let the name that it has in its image lead to it, and return what to run."""
        names = self.folder / "bin"
        names.mkdir(parents=True, exist_ok=True)
        link = names / "alertmanager"
        if not link.is_symlink():
            link.symlink_to(binary(*_ALERTMANAGERS))
        return [
            *("env", f"PATH={names}{os.pathsep}{os.environ['PATH']}", f"TMPDIR={self.folder}"),
            *("sh", str(ROOT / "docker/alertmanager/start.sh")),
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    def firing(self) -> set[tuple[str, str]]:
        """Return name and job of each active alert."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v2/alerts?active=true", timeout=10)
        labels = [alert["labels"] for alert in answer.json()]
        return {(each["alertname"], each.get("job", "")) for each in labels}


class Prometheus(Server):
    """Prometheus with the product's configuration and rules, at other addresses.

    Parameters
    ----------
    folder
        For its data and its configuration.
    ports
        Of each job of ``local.yml``, one or several; a job without one is left out.
    alertmanager
        Port of Alertmanager.
    hurried
        Whether it asks every three seconds, and alerts wait for nothing, unlike as deployed.
    """

    def __init__(
        self,
        folder: Path,
        ports: Mapping[str, int | Sequence[int]],
        alertmanager: int,
        *,
        hurried: bool = True,
    ) -> None:
        super().__init__(folder)
        self._config = folder / "prometheus.yml"
        self._ports = ports
        self._alertmanager = alertmanager
        self._hurries = hurried

    def command(self) -> list[str]:
        """Write the configuration and return what to run."""
        self._write()
        return [
            binary("prometheus"),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query."""
        answer = httpx.get(
            f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": expression}, timeout=30
        )
        body = answer.json()
        assert body["status"] == "success", (expression, body)
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its health."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/rules", timeout=30).json()
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]

    def up(self) -> dict[str, bool]:
        """Return whether each job was scraped."""
        return {sample["metric"]["job"]: sample["value"][1] == "1" for sample in self.query("up")}

    def _write(self) -> None:
        config = yaml.safe_load((FOLDER / "local.yml").read_text())
        config["rule_files"] = [str(path) for path in RULES]
        if self._hurries:
            # A scrape may take as long as its interval, which a busy machine needs.
            config["global"] = {"scrape_interval": "3s", "evaluation_interval": "1s"}
            config["rule_files"] = [str(self._hurried(path)) for path in RULES]
        [manager] = config["alerting"]["alertmanagers"][0]["static_configs"]
        manager["targets"] = [f"127.0.0.1:{self._alertmanager}"]
        jobs = [job for job in config["scrape_configs"] if job["job_name"] in self._ports]
        for job in jobs:
            found = self._ports[job["job_name"]]
            ports = [found] if isinstance(found, int) else found
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        config["scrape_configs"] = jobs
        self._config.write_text(yaml.safe_dump(config))

    def _hurried(self, path: Path) -> Path:
        """Return the rules with alerts that wait for nothing."""
        content = yaml.safe_load(path.read_text())
        for group in content["groups"]:
            for rule in group["rules"]:
                rule.pop("for", None)
        copy = self.folder / path.name
        copy.write_text(yaml.safe_dump(content))
        return copy
